"""What a vector engine has to do, whichever it is.

Vectors: dense float32 of unit length, compared by cosine; sparse BM25 term weights, compared by the dot product in
which each term of the query is multiplied by its inverse document frequency::

    idf(term) = ln((N - df + 0.5) / (df + 0.5) + 1)

with ``N`` the points of the whole collection and ``df`` those among them that have the term. A filter narrows the
hits, not the statistics; points that were replaced or deleted do not count.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, NamedTuple, Protocol, Self

from ragflow.errors import UsageError
from ragflow.model.points import Float32Array, Point, SparseVector

DISTANCE = "cosine"
LIVE_ALIAS = "live"
TEXT_FIELD = "text"
PAYLOAD_INDEXES: dict[str, Literal["keyword", "integer"]] = {
    "document_key": "keyword",
    "source": "keyword",
    "language": "keyword",
    "engine": "keyword",
    "page_number": "integer",
}
"""Payload fields that are often filtered on; other fields can be, too, by looking at every point."""
QUANTIZATIONS = ("none", "int8", "binary")
OVERSAMPLING = 3.0
"""How many times more hits than asked for are found by quantized vectors, before the exact ones order them."""


@dataclass(frozen=True, slots=True)
class AnyOf:
    """One of these values, all of them texts or all of them whole numbers."""

    values: tuple[str, ...] | tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Between:
    """A number from ``low`` to ``high``, both included; None: no limit on that side."""

    low: float | None = None
    high: float | None = None


Condition = str | int | bool | AnyOf | Between
Where = Mapping[str, Condition]
"""Conditions on payload fields, all of which must hold: name of a top-level field → the value it has. A field that
holds a list meets a condition if one of its entries does. ``True`` and ``1`` are different values."""


@dataclass(frozen=True, slots=True)
class CollectionSettings:
    """How a collection is laid out. Another value of any field asks for a reindex.

    Attributes:
        dimension: length of the dense vectors.
        hnsw_m: edges per node of the HNSW graph.
        hnsw_ef_construct: candidates looked at while the graph is built.
        index_from_points: a graph is built from about this many points on; with fewer, dense search is exact (unless
            there is a quantization).
        quantization: short copies of the dense vectors by which hits are found first: ``int8`` takes a quarter of the
            room, ``binary`` a thirty-second. The vectors themselves stay, and give the scores.
        shards: parts into which a server cuts the collection; document frequencies are counted in each for itself, so
            that BM25 scores differ a little from those of one shard.
        replicas: copies of each shard, on servers of their own.
        text_index: whether the words of the field ``text`` get an index.
    """

    dimension: int
    hnsw_m: int = 16
    hnsw_ef_construct: int = 100
    index_from_points: int = 50_000
    quantization: Literal["none", "int8", "binary"] = "none"
    shards: int = 1
    replicas: int = 1
    text_index: bool = False

    def __post_init__(self) -> None:
        limits = {
            "dimension": (1, 65_536),
            "hnsw_m": (2, 512),
            "hnsw_ef_construct": (4, 10_000),
            "index_from_points": (1, 2**40),
            "shards": (1, 1_000),
            "replicas": (1, 100),
        }
        for name, (lowest, highest) in limits.items():
            value = getattr(self, name)
            if type(value) is not int or not lowest <= value <= highest:
                raise UsageError(
                    f"The collection setting {name} is {value!r}.",
                    remedy=f"It must be a whole number from {lowest} to {highest}.",
                )
        if self.quantization not in QUANTIZATIONS:
            raise UsageError(
                f"The collection setting quantization is {self.quantization!r}.",
                remedy=f"It must be one of {', '.join(QUANTIZATIONS)}.",
            )
        if type(self.text_index) is not bool:
            raise UsageError(
                f"The collection setting text_index is {self.text_index!r}.", remedy="It must be true or false."
            )

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as a JSON object, without later additions that are at their defaults."""
        defaults = {field.name: field.default for field in fields(self)}
        return {
            name: value for name, value in asdict(self).items() if name not in _ADDED_LATER or value != defaults[name]
        }

    def fingerprint_parts(self) -> dict[str, Any]:
        """Return what decides the layout, as a JSON object, for the configuration fingerprint."""
        return {**self.to_dict(), "distance": DISTANCE}


_ADDED_LATER = frozenset({"quantization", "shards", "replicas", "text_index"})
"""Left out of records and fingerprints at their defaults: archives from before these settings stay as they are."""


class ScoredPoint(NamedTuple):
    """One hit.

    Attributes:
        id: of the point.
        score: cosine (-1.0 to 1.0) or BM25 (above 0.0), as float32; higher is better.
        payload: of the point, whole, unless only some fields were asked for.
    """

    id: uuid.UUID
    score: float
    payload: dict[str, Any]


@dataclass(frozen=True, slots=True)
class CollectionInfo:
    """What an engine says about a version.

    Attributes:
        points: number of points.
        indexed: vectors, dense and sparse together, that the engine finds through an index, by its own count: those
            replaced or deleted since the index was built may still be among them.
        segments: number of parts in which the engine keeps the points.
        optimized: whether the engine has nothing left to merge or to index.
    """

    points: int
    indexed: int
    segments: int
    optimized: bool


@dataclass(frozen=True, slots=True)
class AliasRecord:
    """Where the alias points.

    Attributes:
        alias: always ``live``.
        version: the version that is served.
        previous: the version that was served before; None if there was none.
        moved_at: ISO 8601, UTC.
    """

    alias: str
    version: str
    previous: str | None
    moved_at: str


class CollectionReader(Protocol):
    """A complete version, opened for reading. Close it, or use it as a context manager.

    Many readers, in many processes, may have one version open, and the threads of a process may share a reader.
    Reading leaves every byte of the version as it is. Every method raises UsageError once the reader is closed.
    """

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def close(self) -> None:
        """Give everything back; a second call does nothing."""
        ...

    def count(self) -> int:
        """Return the exact number of points."""
        ...

    def scroll(self, batch: int = 2048) -> Iterator[list[Point]]:
        """Yield every point, with vectors and payload, in ascending order of ids, ``batch`` at a time."""
        ...

    def retrieve(self, ids: Sequence[uuid.UUID], with_vectors: bool = True) -> list[Point]:
        """Return the points with these ids, in the given order, each once; unknown ids are left out.

        Without vectors, ``dense`` and both arrays of ``sparse`` have length 0.
        """
        ...

    def read_ahead(self, fields: Sequence[str]) -> None:
        """Prepare for many searches with these ``fields``, so that the first ones are as quick as all others.

        May read every point once. Nothing happens where nothing is gained.
        """
        ...

    def search_dense(
        self,
        vector: Float32Array,
        limit: int,
        where: Where | None = None,
        fields: Sequence[str] | None = None,
        among: Collection[uuid.UUID] | None = None,
    ) -> list[ScoredPoint]:
        """Return the points nearest to ``vector`` by cosine, best first, equal scores by id.

        Args:
            vector: shape (dimension,); need not be of unit length, but must not be zero.
            limit: most hits to return, at least 1.
            where: conditions on the payload.
            fields: top-level fields of the payload that are wanted; None: all. A ranking needs few, and to hand over
                whole payloads takes longer than to find them.
            among: only points with these ids are hits; None: any. For exact scores of points that are known.

        Raises:
            UsageError: wrong shape, limit or condition.
        """
        ...

    def search_sparse(
        self,
        sparse: SparseVector,
        limit: int,
        where: Where | None = None,
        fields: Sequence[str] | None = None,
        among: Collection[uuid.UUID] | None = None,
    ) -> list[ScoredPoint]:
        """Return the points with the highest BM25 score, best first, equal scores by id.

        Points that share no term with the query are no hits; a query without terms has none.
        """
        ...

    def info(self) -> CollectionInfo:
        """Return the engine's figures."""
        ...


class CollectionWriter(Protocol):
    """A candidate being built. Use it as a context manager, from one thread, and call ``finish`` at the end.

    A writer left without ``finish`` (an error, a kill) leaves no version: what it wrote is removed when the same
    version is created, cloned or discarded again. After ``finish`` or ``close`` every method raises UsageError.
    """

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def close(self) -> None:
        """Stop building; without ``finish`` before, the version stays incomplete. A second call does nothing."""
        ...

    def upsert(self, points: Sequence[Point]) -> None:
        """Write points, replacing those with the same ids as a whole. Writing a point twice is as writing it once.

        Raises:
            BadInputError: a point that could not be given back exactly as it is, see
                :func:`ragflow.vectors.checking.check_points`. Points of the same call may have been written before.
        """
        ...

    def delete(self, ids: Sequence[uuid.UUID]) -> None:
        """Delete the points with these ids; unknown ids are ignored."""
        ...

    def scroll(self, batch: int = 2048) -> Iterator[list[Point]]:
        """As :meth:`CollectionReader.scroll`, on what has been written so far. Do not write while it runs."""
        ...

    def count(self) -> int:
        """Return the exact number of points written so far."""
        ...

    def finish(self) -> CollectionInfo:
        """Optimise, make everything durable, and mark the version as complete, in this order; then close."""
        ...


class VersionStore(Protocol):
    """The versions of one collection, named ``v000001`` and up, and the alias that says which of them is live.

    Of a server, every method may raise ServiceUnavailableError.
    """

    @property
    def engine(self) -> str:
        """What keeps the versions: ``qdrant-edge-py`` or ``qdrant``."""
        ...

    @property
    def engine_version(self) -> str:
        """The version of the engine; a server is asked."""
        ...

    def versions(self) -> list[str]:
        """Return the complete versions, in ascending order."""
        ...

    def create(self, version: str, settings: CollectionSettings) -> CollectionWriter:
        """Start an empty candidate; the remains of an unfinished build of the same name are removed first.

        Raises:
            UsageError: not a version name, this version is complete already, or the engine cannot do what
                ``settings`` ask for.
            CheckFailedError: another writer is building this version right now.
        """
        ...

    def clone(self, base: str, version: str, settings: CollectionSettings) -> CollectionWriter:
        """Start a candidate that holds what ``base`` holds; ``base`` is left as it is.

        Raises:
            NotFoundError: ``base`` is not a complete version.
            IntegrityError: ``base`` is damaged.
            UsageError: ``settings`` are not those of ``base`` (that is a reindex), or as for :meth:`create`.
        """
        ...

    def open(self, version: str, *, salvage: bool = False) -> CollectionReader:
        """Open a complete version for reading.

        Args:
            salvage: take it as it is, damaged or not, to find out what is wrong with it. An engine may crash on
                damaged files: do this in a process that may die.

        Raises:
            NotFoundError: there is no such complete version; the message lists those there are.
            IntegrityError: the version is damaged.
        """
        ...

    def check_files(self, version: str) -> None:
        """Hold a complete version against what was recorded when it was completed, as deeply as the engine allows.

        An embedded engine hashes every file; a server counts its points.

        Raises:
            IntegrityError: it is not as it was.
        """
        ...

    def save_snapshot(self, version: str, folder: Path) -> list[str]:
        """Write the engine's own copy of a complete version into ``folder``, which is empty or missing.

        Returns:
            The files it wrote, relative to ``folder``, with slashes; all of them are on the disk by now.

        Raises:
            UsageError: there is something in ``folder``, or the engine cannot copy such a version.
            IntegrityError: the version is damaged.
        """
        ...

    def load_snapshot(self, version: str, folder: Path) -> None:
        """Make a complete version of what :meth:`save_snapshot` wrote, under the same name or another.

        Raises:
            IntegrityError: ``folder`` is damaged, of another engine, or does not make a version with as many points as
                were saved; there is no such version then, nor after a kill.
            UsageError: this version is complete already.
            CheckFailedError: another writer is building this version right now.
        """
        ...

    def discard(self, version: str) -> None:
        """Remove a version, complete or not. Readers of an embedded engine that have it open keep it.

        Raises:
            NotFoundError: there is no trace of it.
            CheckFailedError: it is live, or being built right now.
        """
        ...

    def size_bytes(self, version: str) -> int:
        """Return the bytes that a complete version takes up.

        For files with holes it is what is allocated; of a server, an estimate from the points.
        """
        ...

    def settings(self, version: str) -> CollectionSettings:
        """Return the settings with which a complete version was built."""
        ...

    def alias(self) -> AliasRecord | None:
        """Return where the alias points; None if nothing has gone live yet."""
        ...

    def move_alias(self, version: str, *, expected: str | None, moved_at: str) -> AliasRecord:
        """Make ``version`` live in one step, if ``expected`` (None: nothing) is what is live now.

        Moving it to the version that is live already changes nothing.

        Raises:
            NotFoundError: ``version`` is not complete.
            CheckFailedError: something other than ``expected`` is live: another process was faster.
        """
        ...

    def drop_alias(self, *, expected: str) -> None:
        """Make nothing live, in one step, if ``expected`` is what is live now.

        Raises:
            CheckFailedError: something other than ``expected`` is live, or nothing.
        """
        ...
