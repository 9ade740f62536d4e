"""One archive and how it is worked on: the home folder, all options, and the engines made from them."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from multiprocessing.util import Finalize
from typing import Any, Literal

from ragflow.chunking import ChunkOptions
from ragflow.chunking import fingerprint_parts as chunk_fingerprint_parts
from ragflow.embedding.dense import DenseEmbedder
from ragflow.embedding.sparse import SparseEmbedder
from ragflow.embedding.tokenizer import ModelTokenizer
from ragflow.model.fingerprints import fingerprint
from ragflow.ocr.options import ReadingOptions
from ragflow.ocr.pool import WorkerPool
from ragflow.store.home import Home
from ragflow.vectors.edge import EdgeVersionStore
from ragflow.vectors.protocols import CollectionSettings, VersionStore

MIN_TOKENS = 32
"""A piece of text shorter than this joins its neighbour where it fits."""
POINT_FORMAT = 1
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
class GateOptions:
    """What a candidate must reach.

    Attributes:
        coverage: least share of pages that are indexed or blank, 0.0 to 1.0.
        low_confidence: largest share of the characters read by OCR that may stand in words below the confidence of
            :data:`ragflow.model.words.LOW_CONFIDENCE`, 0.0 to 1.0.
        vector_tolerance: largest distance of a vector's length from 1.
        bfloat16_cosine: least cosine between bfloat16 and float32 embeddings.
    """

    coverage: float = 0.95
    low_confidence: float = 0.25
    vector_tolerance: float = 1e-4
    bfloat16_cosine: float = 0.999


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

    def pool(self) -> WorkerPool:
        """Return the process's pool of reading workers; it starts with its first task and ends with the process."""
        return _pool(self.reading.workers, self.reading.worker_memory_mb)

    def tokenizer(self) -> ModelTokenizer:
        return self.dense().tokenizer

    def dense(self) -> DenseEmbedder:
        return _dense(self.embedding)

    def sparse(self) -> SparseEmbedder:
        return _sparse()

    def versions(self) -> VersionStore:
        return EdgeVersionStore(self.home.vectors)

    def chunk_options(self) -> ChunkOptions:
        """Return the chunker's options: never longer than what the model reads."""
        max_tokens = self.tokenizer().max_tokens
        target = min(self.target_tokens, max_tokens)
        return ChunkOptions(max_tokens=max_tokens, target_tokens=target, min_tokens=min(MIN_TOKENS, target))

    def collection_settings(self) -> CollectionSettings:
        return CollectionSettings(dimension=self.dense().dimension, index_from_points=self.index_from_points)

    def model_fingerprint(self) -> str:
        """Return the hash of the embedding model's files, tokenizer included."""
        return self.dense().fingerprint

    def chunking_fingerprint(self) -> dict[str, Any]:
        """Return what decides the chunks of a given page text."""
        return {"options": chunk_fingerprint_parts(self.chunk_options()), "model": self.model_fingerprint()}

    def embedding_fingerprint(self) -> str:
        """Return what decides the vectors of a given text."""
        return fingerprint(dense=self.dense().fingerprint, sparse=self.sparse().fingerprint)

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


@lru_cache(maxsize=1)
def _sparse() -> SparseEmbedder:
    return SparseEmbedder()
