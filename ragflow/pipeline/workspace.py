"""One archive and how it is worked on: the home folder, all options, and the engines made from them."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from functools import lru_cache
from multiprocessing.util import Finalize
from pathlib import Path
from typing import Any, Literal

from ragflow.chunking import ChunkOptions
from ragflow.chunking import fingerprint_parts as chunk_fingerprint_parts
from ragflow.embedding.dense import DenseEmbedder
from ragflow.embedding.model_folder import DEFAULT_MODEL
from ragflow.embedding.reranker import Reranker
from ragflow.embedding.sparse import SparseEmbedder
from ragflow.embedding.tokenizer import ModelTokenizer
from ragflow.errors import UsageError
from ragflow.model.fingerprints import fingerprint
from ragflow.model.fusion import ENGLISH_ONLY, Fusion
from ragflow.model.questions import RetrievalOptions
from ragflow.model.releases import VersionRecord
from ragflow.ocr.options import ReadingOptions
from ragflow.ocr.pool import WorkerPool
from ragflow.store.home import Home
from ragflow.vectors.edge import EdgeVersionStore
from ragflow.vectors.protocols import CollectionSettings, VersionStore
from ragflow.vectors.server_options import ServerOptions

MIN_TOKENS = 32
"""A piece of text shorter than this joins its neighbour where it fits."""
POINT_FORMAT = 2
"""Goes up whenever the payload of a point changes its shape."""


@dataclass(frozen=True, slots=True)
class BatchOptions:
    """How a scan makes batches.

    Attributes:
        max_documents, max_bytes: a batch is closed before it goes over either.
        settle_seconds: a file changed more recently than this may still be being written.
        removal_limit: the share of a source's documents that may vanish at once before a scan refuses (a folder
            that is not mounted must not empty the archive); asked from 20 documents on.
    """

    max_documents: int = 200
    max_bytes: int = 512 * 1024 * 1024
    settle_seconds: float = 2.0
    removal_limit: float = 0.5


@dataclass(frozen=True, slots=True)
class EmbeddingOptions:
    """Which model, and in which arithmetic. ``threads`` 0: all cores."""

    model: str = "all-MiniLM-L6-v2"
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    threads: int = 0


@dataclass(frozen=True, slots=True)
class VectorOptions:
    """Where collections are kept.

    Attributes:
        engine: ``edge``, in the process and the home folder, or ``server``, a Qdrant server.
        quantization, shards, replicas, text_index: see :class:`ragflow.vectors.protocols.CollectionSettings`.
        Others as in :class:`ragflow.vectors.server_options.ServerOptions`; the API key comes from the environment only.
    """

    engine: Literal["edge", "server"] = "edge"
    url: str = ""
    prefix: str = "ragflow"
    api_key: str | None = field(default=None, repr=False)
    prefer_grpc: bool = False
    grpc_port: int = 6334
    timeout_seconds: float = 60.0
    retries: int = 3
    parallel: int = 2
    batch: int = 256
    ca_file: Path | None = None
    verify: bool = True
    wait_seconds: float = 3600.0
    lease_seconds: float = 60.0
    quantization: Literal["none", "int8", "binary"] = "none"
    shards: int = 1
    replicas: int = 1
    text_index: bool = False

    def server(self) -> ServerOptions:
        """Return what concerns the server.

        Raises:
            UsageError: no address is named, or a value cannot be used.
        """
        named = {name: getattr(self, name) for name in (f.name for f in fields(ServerOptions)) if hasattr(self, name)}
        return ServerOptions(**named)


@dataclass(frozen=True, slots=True)
class SearchOptions:
    """How hits are ordered, beyond what was tuned.

    Attributes:
        reranker: folder of a cross-encoder, relative to the home folder; None: hits are not ranked again.
        rerank_depth: hits that it is asked about.
    """

    reranker: Path | None = None
    rerank_depth: int = 30


SWITCHABLE = (
    "coverage",
    "low_confidence",
    "garbled_text",
    "read_again",
    "vectors_match_texts",
    "golden_queries",
    "known_items",
    "latency",
    "canaries",
)
"""Verdicts that settings may switch off; those on integrity cannot be."""


@dataclass(frozen=True, slots=True)
class SampleOptions:
    """How much of what is new the gate works out again from its beginnings.

    Attributes:
        layer_pages: pages whose text layer is read again.
        ocr_pages: pages that an engine reads again.
        blank_pages: blank pages that are looked at again.
        texts: chunk texts that are embedded again; their sparse vectors, which cost little, are made again for all.
    """

    layer_pages: int = 100
    ocr_pages: int = 2
    blank_pages: int = 50
    texts: int = 64


@dataclass(frozen=True, slots=True)
class GateOptions:
    """What a candidate must reach.

    Attributes:
        coverage: least share of pages that are indexed or blank, 0.0 to 1.0.
        served_coverage: least share of the characters of indexed pages that stand in points, 0.0 to 1.0.
        low_confidence: largest share of the characters read by OCR that may stand in words below the confidence of
            :data:`ragflow.model.words.LOW_CONFIDENCE`, 0.0 to 1.0.
        garbled: largest share of the pages read by OCR that may have a region that is no language, 0.0 to 1.0.
        vector_tolerance: largest distance of a vector's length from 1.
        bfloat16_cosine: least cosine between bfloat16 and float32 embeddings, and between a stored vector and one
            that is made again.
        sample: how much is made again.
        retrieval: what is asked of the candidate, and of what is served after the move.
        off: verdicts that are switched off, out of :data:`SWITCHABLE`; each release says so.
    """

    coverage: float = 0.95
    served_coverage: float = 1.0
    low_confidence: float = 0.25
    garbled: float = 0.05
    vector_tolerance: float = 1e-4
    bfloat16_cosine: float = 0.999
    sample: SampleOptions = field(default_factory=SampleOptions)
    retrieval: RetrievalOptions = field(default_factory=RetrievalOptions)
    off: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        unknown = sorted(set(self.off) - set(SWITCHABLE))
        if unknown:
            raise UsageError(
                f"The verdict {unknown[0]!r} cannot be switched off.", remedy=f"These can: {', '.join(SWITCHABLE)}."
            )


@dataclass(frozen=True, slots=True)
class Workspace:
    """Everything that a use case needs. Cheap to make; engines are made on first use and shared by the process."""

    home: Home
    batching: BatchOptions = field(default_factory=BatchOptions)
    reading: ReadingOptions = field(default_factory=ReadingOptions)
    target_tokens: int = 200
    embedding: EmbeddingOptions = field(default_factory=EmbeddingOptions)
    index_from_points: int = 50_000
    gate: GateOptions = field(default_factory=GateOptions)
    vectors: VectorOptions = field(default_factory=VectorOptions)
    search: SearchOptions = field(default_factory=SearchOptions)

    def at(self, record: VersionRecord) -> Workspace:
        """Return the workspace as it was when a version was built: with its tables, its model, its chunk length."""
        then = replace(self, home=replace(self.home, pins=record.tables)) if record.tables else self
        if not record.configuration:
            return then
        return replace(
            then,
            embedding=replace(self.embedding, model=record.configuration["model"]),
            target_tokens=record.configuration["target_tokens"],
        )

    def pool(self) -> WorkerPool:
        """Return the process's pool of reading workers; it starts with its first task and ends with the process."""
        return _pool(self.reading.workers, self.reading.worker_memory_mb)

    def tokenizer(self) -> ModelTokenizer:
        return self.dense().tokenizer

    def dense(self) -> DenseEmbedder:
        return _dense(self.embedding)

    def sparse(self) -> SparseEmbedder:
        return _sparse()

    def reranker(self) -> Reranker | None:
        """Return what ranks the first hits again; None if that is not wanted."""
        if self.search.reranker is None:
            return None
        return _reranker(self.home.root / self.search.reranker.expanduser(), self.search.rerank_depth)

    def fusion(self) -> Fusion:
        """Return how much each side of a search counts: as tuned for the model in use, else by default."""
        tuned = self.home.tuning.find()
        if tuned is not None and tuned.model_sha256 == self.model_fingerprint():
            return Fusion(tuned.dense)
        return Fusion(ENGLISH_ONLY) if self.embedding.model == DEFAULT_MODEL else Fusion()

    def versions(self) -> VersionStore:
        if self.vectors.engine == "server":
            from ragflow.vectors.server import ServerVersionStore

            return ServerVersionStore(self.vectors.server())
        return EdgeVersionStore(self.home.vectors)

    def chunk_options(self) -> ChunkOptions:
        """Return the chunker's options: never longer than what the model reads."""
        max_tokens = self.tokenizer().max_tokens
        target = min(self.target_tokens, max_tokens)
        return ChunkOptions(max_tokens=max_tokens, target_tokens=target, min_tokens=min(MIN_TOKENS, target))

    def collection_settings(self) -> CollectionSettings:
        return CollectionSettings(
            dimension=self.dense().dimension,
            index_from_points=self.index_from_points,
            quantization=self.vectors.quantization,
            shards=self.vectors.shards,
            replicas=self.vectors.replicas,
            text_index=self.vectors.text_index,
        )

    def model_fingerprint(self) -> str:
        """Return the hash of the embedding model's files, tokenizer included."""
        return self.dense().fingerprint

    def chunking_fingerprint(self) -> dict[str, Any]:
        """Return what decides the chunks of a given page text."""
        return {"options": chunk_fingerprint_parts(self.chunk_options()), "model": self.model_fingerprint()}

    def embedding_fingerprint(self) -> str:
        """Return what decides the vectors of a given text."""
        return fingerprint(dense=self.dense().fingerprint, sparse=self.sparse().fingerprint)

    def configuration(self) -> dict[str, Any]:
        """Return what decides a collection, given the pages, as a person names it."""
        return {
            "model": self.embedding.model,
            "model_sha256": self.model_fingerprint(),
            "target_tokens": self.target_tokens,
            "collection": self.collection_settings().fingerprint_parts(),
        }

    def configuration_fingerprint(self) -> str:
        """Return what decides a collection, given the pages: a change of it means a reindex."""
        return fingerprint(
            point_format=POINT_FORMAT,
            chunking=self.chunking_fingerprint(),
            embedding=self.embedding_fingerprint(),
            collection=self.collection_settings().fingerprint_parts(),
        )


@lru_cache(maxsize=4)
def _pool(workers: int, memory_mb: int) -> WorkerPool:
    pool = WorkerPool(workers, memory_mb)
    # Not atexit: a run that Dagster launches is a multiprocessing child, which skips that, and which waits for its own
    # children before it ends.
    Finalize(None, pool.close, exitpriority=10)
    return pool


@lru_cache(maxsize=2)
def _dense(options: EmbeddingOptions) -> DenseEmbedder:
    return DenseEmbedder(options.model, options.precision, threads=options.threads)


@lru_cache(maxsize=2)
def _reranker(folder: Path, depth: int) -> Reranker:
    return Reranker(folder, depth)


@lru_cache(maxsize=1)
def _sparse() -> SparseEmbedder:
    return SparseEmbedder()
