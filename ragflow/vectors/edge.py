"""Qdrant Edge, embedded in the process, as the engine of versioned collections.

Measured on qdrant-edge-py 0.9.0, and relied on here:

- Without its write-ahead log several processes can load one shard; on load it rewrites ``edge_config.json`` only.
- It loads shards with missing files, filling in emptiness, and can end the process on damaged ones; hence the files
  are held against their inventory before it sees them.
- It counts deleted points in the document frequencies of sparse search, unless a corpus is named, when it counts
  exactly; hence the corpus "everything".
- It reads ``True`` as 1 in conditions, but numpy's booleans as booleans.
- It raises plain ``Exception``, and on a defect of its own a ``PanicException`` that is not one.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version as package_version
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import qdrant_edge
from filelock import BaseFileLock

from ragflow.errors import BadInputError, IntegrityError, RagflowError, UsageError
from ragflow.model.points import Float32Array, Point, SparseVector
from ragflow.vectors.checking import check_limit, check_points, check_query, check_sparse_query, check_where
from ragflow.vectors.files import copy_tree, sync_tree, take_inventory
from ragflow.vectors.folders import Completion, VersionFolders
from ragflow.vectors.protocols import AliasRecord, CollectionInfo, CollectionSettings, ScoredPoint, Where
from ragflow.vectors.views import make_view, remove_view, sweep_views

ENGINE = "qdrant-edge-py"
DENSE = "dense"
SPARSE = "sparse"
UPSERT_BATCH = 1_000
SEGMENTS = 2
"""Segments to merge towards; left alone, the engine takes the number of processors, and versions would differ."""
FULL_SCAN_KILOBYTES = 10_000
"""A filter that leaves less than this is searched without the graph."""
OPTIMIZE_ROUNDS = 8
PAYLOAD_INDEXES = {
    "document_key": qdrant_edge.PayloadSchemaType.Keyword,
    "source": qdrant_edge.PayloadSchemaType.Keyword,
    "language": qdrant_edge.PayloadSchemaType.Keyword,
    "engine": qdrant_edge.PayloadSchemaType.Keyword,
    "page_number": qdrant_edge.PayloadSchemaType.Integer,
}
"""Payload fields that are often filtered on; other fields can be, too, by looking at every point."""


class _OpenShard:
    """A loaded shard that knows whether it is closed and whose errors are ours; what readers and writers share."""

    def __init__(self, shard: qdrant_edge.EdgeShard, name: str) -> None:
        self._shard: qdrant_edge.EdgeShard | None = shard
        self._name = name

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        shard, self._shard = self._shard, None
        if shard is not None:
            with _translated(self._name, RagflowError):
                shard.close()

    def count(self) -> int:
        with self._opened(IntegrityError) as shard:
            return shard.count(qdrant_edge.CountRequest(exact=True))

    def scroll(self, batch: int = 2048) -> Iterator[list[Point]]:
        if batch < 1:
            raise UsageError(f"Batches of {batch} points are none.", remedy="Ask for at least 1.")
        with self._opened(IntegrityError):
            return self._scroll(batch)

    def _scroll(self, batch: int) -> Iterator[list[Point]]:
        offset: uuid.UUID | int | str | None = None
        while True:
            request = qdrant_edge.ScrollRequest(offset=offset, limit=batch, with_payload=True, with_vector=True)
            with self._opened(IntegrityError) as shard:
                records, offset = shard.scroll(request)
                points = [_to_point(record) for record in records]
            if points:
                yield points
            if offset is None:
                return

    def _info(self, optimized: bool) -> CollectionInfo:
        points = self.count()
        with self._opened(IntegrityError) as shard:
            info = shard.info()
        return CollectionInfo(points, info.indexed_vectors_count, info.segments_count, optimized)

    @contextmanager
    def _opened(self, kind: type[RagflowError]) -> Iterator[qdrant_edge.EdgeShard]:
        """Give the shard out; what the engine raises meanwhile becomes an error of this kind."""
        if self._shard is None:
            raise UsageError(f"The {self._name} is closed.", remedy="Open it again.")
        with _translated(self._name, kind):
            yield self._shard


class EdgeReader(_OpenShard):
    """A complete version, opened through a view; see :class:`ragflow.vectors.protocols.CollectionReader`."""

    def __init__(self, shard: qdrant_edge.EdgeShard, version: str, completion: Completion, view: Path) -> None:
        super().__init__(shard, f"collection version {version}")
        self._completion = completion
        self._view = view

    def close(self) -> None:
        try:
            super().close()
        finally:
            remove_view(self._view)

    def retrieve(self, ids: Sequence[uuid.UUID], with_vectors: bool = True) -> list[Point]:
        with self._opened(IntegrityError) as shard:
            records = shard.retrieve(list(dict.fromkeys(ids)), with_payload=True, with_vector=with_vectors)
            return [_to_point(record) for record in records]

    def search_dense(self, vector: Float32Array, limit: int, where: Where | None = None) -> list[ScoredPoint]:
        check_query(vector, self._completion.settings.dimension)
        query = qdrant_edge.Query.Nearest(vector.astype(np.float32).tolist(), using=DENSE)
        return self._search(query, limit, where, None)

    def search_sparse(self, sparse: SparseVector, limit: int, where: Where | None = None) -> list[ScoredPoint]:
        check_sparse_query(sparse)
        query = qdrant_edge.Query.Nearest(_to_sparse(sparse), using=SPARSE)
        everything = qdrant_edge.SearchParams(idf=qdrant_edge.IdfParams(corpus=qdrant_edge.Filter()))
        return self._search(query, limit, where, everything)

    def info(self) -> CollectionInfo:
        return self._info(self._completion.optimized)

    def _search(
        self, query: qdrant_edge.Query, limit: int, where: Where | None, params: qdrant_edge.SearchParams | None
    ) -> list[ScoredPoint]:
        check_limit(limit)
        request = qdrant_edge.QueryRequest(
            limit=limit, query=query, filter=_to_filter(where), with_payload=True, params=params
        )
        with self._opened(IntegrityError) as shard:
            hits = [ScoredPoint(_to_uuid(hit.id), hit.score, hit.payload or {}) for hit in shard.query(request)]
        return sorted(hits, key=lambda hit: (-hit.score, hit.id))


class EdgeWriter(_OpenShard):
    """A candidate being built; see :class:`ragflow.vectors.protocols.CollectionWriter`."""

    def __init__(
        self,
        shard: qdrant_edge.EdgeShard,
        folders: VersionFolders,
        version: str,
        settings: CollectionSettings,
        lock: BaseFileLock,
    ) -> None:
        super().__init__(shard, f"candidate {version}")
        self._folders = folders
        self._version = version
        self._settings = settings
        self._lock = lock

    def close(self) -> None:
        try:
            super().close()
        finally:
            self._lock.release()

    def upsert(self, points: Sequence[Point]) -> None:
        for start in range(0, len(points), UPSERT_BATCH):
            batch = points[start : start + UPSERT_BATCH]
            # One conversion for the batch; to floats of 64 bits and back changes no bit of a float32.
            dense = check_points(batch, self._settings.dimension).tolist()
            with self._opened(RagflowError) as shard:
                rows = [_from_point(point, vector) for point, vector in zip(batch, dense, strict=True)]
                shard.update(qdrant_edge.UpdateOperation.upsert_points(rows))

    def delete(self, ids: Sequence[uuid.UUID]) -> None:
        with self._opened(RagflowError) as shard:
            shard.update(qdrant_edge.UpdateOperation.delete_points(list(ids)))

    def finish(self) -> CollectionInfo:
        with self._opened(RagflowError) as shard:
            rounds = 0
            while shard.optimize() and rounds < OPTIMIZE_ROUNDS:
                rounds += 1
            shard.flush()
        info = self._info(optimized=rounds < OPTIMIZE_ROUNDS)
        super().close()
        folder = self._folders.shard(self._version)
        sync_tree(folder)
        completion = Completion(
            settings=self._settings,
            points=info.points,
            optimized=info.optimized,
            engine=ENGINE,
            engine_version=package_version(ENGINE),
            files=take_inventory(folder),
        )
        self._folders.complete(self._version, completion)
        self.close()
        return info


class EdgeVersionStore:
    """Versions as folders under ``root``; see :class:`ragflow.vectors.protocols.VersionStore`.

    Args:
        root: folder of the collection; made when the first version is.
        views: where readers put their views (see :mod:`ragflow.vectors.views`), any local folder that can be written
            to; ``root/views`` if None.
    """

    def __init__(self, root: Path, *, views: Path | None = None) -> None:
        self._folders = VersionFolders(root)
        self._views = (views or root / "views").absolute()

    def versions(self) -> list[str]:
        return self._folders.versions()

    def create(self, version: str, settings: CollectionSettings) -> EdgeWriter:
        lock = self._folders.start(version)
        try:
            folder = self._folders.shard(version)
            folder.mkdir()
            with _translated(f"candidate {version}", RagflowError):
                shard = qdrant_edge.EdgeShard.create(str(folder), _to_config(settings))
                for name, kind in PAYLOAD_INDEXES.items():
                    shard.update(qdrant_edge.UpdateOperation.create_field_index(name, kind))
        except BaseException:
            lock.release()
            raise
        return EdgeWriter(shard, self._folders, version, settings, lock)

    def clone(self, base: str, version: str, settings: CollectionSettings) -> EdgeWriter:
        completion = self._folders.check_files(base)
        if completion.settings != settings:
            raise UsageError(
                f"Collection version {base} was built with {completion.settings.fingerprint_parts()}, "
                f"not with {settings.fingerprint_parts()}.",
                remedy="Other settings ask for an empty candidate: reindex.",
            )
        lock = self._folders.start(version)
        try:
            folder = self._folders.shard(version)
            copy_tree(self._folders.shard(base), folder)
            shard = _load(folder, f"the copy of collection version {base}", completion.points)
        except BaseException:
            lock.release()
            raise
        return EdgeWriter(shard, self._folders, version, settings, lock)

    def open(self, version: str, *, salvage: bool = False) -> EdgeReader:
        completion = self._folders.completion(version) if salvage else self._folders.check_files(version)
        sweep_views(self._views)
        view = make_view(self._views, self._folders.shard(version))
        try:
            shard = _load(view, f"collection version {version}", None if salvage else completion.points)
        except BaseException:
            remove_view(view)
            raise
        return EdgeReader(shard, version, completion, view)

    def check_files(self, version: str) -> None:
        """Hash every file of a complete version; raise IntegrityError if one is not as it was when it was built.

        :meth:`open` does the same for files whose modification time has changed, and looks at the sizes of all.
        """
        self._folders.check_files(version, deep=True)

    def discard(self, version: str) -> None:
        self._folders.discard(version)

    def size_bytes(self, version: str) -> int:
        return self._folders.size_bytes(version)

    def settings(self, version: str) -> CollectionSettings:
        return self._folders.completion(version).settings

    def alias(self) -> AliasRecord | None:
        return self._folders.alias()

    def move_alias(self, version: str, *, expected: str | None, moved_at: str) -> AliasRecord:
        return self._folders.move_alias(version, expected=expected, moved_at=moved_at)


@contextmanager
def _translated(name: str, kind: type[RagflowError]) -> Iterator[None]:
    """Turn what the engine raises into an error of ours of this kind."""
    try:
        yield
    except RagflowError:
        raise
    except BaseException as error:
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        remedy = (
            "Restore this version from a backup, or roll back to another version and reindex."
            if kind is IntegrityError
            else "See whether the disk is full; then build the candidate again."
        )
        raise kind(f"The vector engine failed on the {name}: {error}", remedy=remedy) from error


def _load(folder: Path, name: str, expected: int | None) -> qdrant_edge.EdgeShard:
    """Load a shard; raise IntegrityError if it cannot be loaded or has not the expected number of points."""
    with _translated(name, IntegrityError):
        shard = qdrant_edge.EdgeShard.load(str(folder))
        points = shard.count(qdrant_edge.CountRequest(exact=True))
        if expected is not None and points != expected:
            shard.close()
            raise IntegrityError(
                f"There are {points} points in {name}, and its record says {expected}.",
                remedy="Restore this version from a backup, or roll back to another version and reindex.",
            )
        return shard


def _to_config(settings: CollectionSettings) -> qdrant_edge.EdgeConfig:
    # Rounded up: with fewer points than asked for there is never a graph. The engine counts in kilobytes per segment.
    threshold = -(-settings.index_from_points * settings.dimension * 4 // 1024)
    return qdrant_edge.EdgeConfig(
        vectors={DENSE: qdrant_edge.EdgeVectorParams(settings.dimension, qdrant_edge.Distance.Cosine)},
        sparse_vectors={SPARSE: qdrant_edge.EdgeSparseVectorParams(modifier=qdrant_edge.Modifier.Idf)},
        hnsw_config=qdrant_edge.HnswIndexConfig(
            settings.hnsw_m, settings.hnsw_ef_construct, full_scan_threshold=min(FULL_SCAN_KILOBYTES, threshold)
        ),
        optimizers=qdrant_edge.EdgeOptimizersConfig(indexing_threshold=threshold, default_segment_number=SEGMENTS),
        wal_enabled=False,
    )


def _to_filter(where: Where | None) -> qdrant_edge.Filter | None:
    check_where(where)
    if not where:
        return None
    conditions: list[Any] = []
    for name, value in where.items():
        key = name if name.isidentifier() and name.isascii() else f'"{name}"'
        match: Any = np.bool_(value) if isinstance(value, bool) else value
        conditions.append(qdrant_edge.FieldCondition(key, match=qdrant_edge.MatchValue(match)))
    return qdrant_edge.Filter(must=conditions)


def _to_sparse(sparse: SparseVector) -> qdrant_edge.SparseVector:
    return qdrant_edge.SparseVector(sparse.indices.tolist(), sparse.values.tolist())


def _from_point(point: Point, dense: list[float]) -> qdrant_edge.Point:
    try:
        return qdrant_edge.Point(point.id, {DENSE: dense, SPARSE: _to_sparse(point.sparse)}, dict(point.payload))
    except (TypeError, ValueError) as error:
        raise BadInputError(f"Point {point.id} cannot be stored: {error}.") from error


def _to_uuid(identifier: Any) -> uuid.UUID:
    if not isinstance(identifier, uuid.UUID):
        raise IntegrityError(f"The collection holds the point {identifier!r}, which ragflow did not write.")
    return identifier


def _to_point(record: qdrant_edge.Record) -> Point:
    vectors: Any = record.vector or {}
    sparse = vectors.get(SPARSE)
    return Point(
        id=_to_uuid(record.id),
        dense=np.array(vectors.get(DENSE, ()), dtype=np.float32),
        sparse=SparseVector(
            np.array(sparse.indices if sparse is not None else (), dtype=np.uint32),
            np.array(sparse.values if sparse is not None else (), dtype=np.float32),
        ),
        payload=record.payload or {},
    )
