"""Qdrant Edge, embedded in the process, as the engine of versioned collections.

Measured on qdrant-edge-py 0.9.0, and relied on here:

- Without its write-ahead log several processes can load one shard; on load it rewrites ``edge_config.json`` only.
- It loads shards with missing files, filling in emptiness, and can end the process on damaged ones; hence the files
  are held against their inventory before it sees them.
- It counts deleted points in the document frequencies of sparse search, unless a corpus is named, when it counts
  exactly; hence the corpus "everything".
- It keeps four threads for each core to search with, and hands every search over to one of them: with a single one a
  search takes half the CPU time, and is no slower. Several searches at a time are the work of several readers.
- It reads ``True`` as 1 in conditions, but numpy's booleans as booleans.
- It raises plain ``Exception``, and on a defect of its own a ``PanicException`` that is not one.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from importlib.metadata import version as package_version
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import qdrant_edge
from filelock import BaseFileLock

from ragflow.errors import IntegrityError, RagflowError, UsageError
from ragflow.model.points import Float32Array, Point, SparseVector
from ragflow.vectors.checking import check_limit, check_points, check_query, check_sparse_query
from ragflow.vectors.edge_requests import (
    DENSE,
    SPARSE,
    check_settings,
    from_point,
    to_config,
    to_dense_params,
    to_filter,
    to_indexes,
    to_point,
    to_sparse,
    to_uuid,
)
from ragflow.vectors.files import check_inventory, copy_tree, sync_tree, take_inventory
from ragflow.vectors.folders import SHARD, Completion, VersionFolders, read_saved
from ragflow.vectors.protocols import AliasRecord, CollectionInfo, CollectionSettings, ScoredPoint, Where
from ragflow.vectors.views import make_view, remove_view, sweep_views

ENGINE = "qdrant-edge-py"
UPSERT_BATCH = 1_000
OPTIMIZE_ROUNDS = 8
READ_AHEAD_BATCH = 1_000
KEPT_PAYLOADS = 100_000
"""Payloads of which a reader keeps the fields that rankings ask for, some 60 MB; then it starts anew."""
_NOTHING: dict[str, Any] = {}
SEARCH_THREADS = 1


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
                points = [to_point(record) for record in records]
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
        self._kept: dict[tuple[str, ...], dict[int, dict[str, Any]]] = {}

    def close(self) -> None:
        try:
            super().close()
        finally:
            remove_view(self._view)

    def retrieve(self, ids: Sequence[uuid.UUID], with_vectors: bool = True) -> list[Point]:
        with self._opened(IntegrityError) as shard:
            records = shard.retrieve(list(dict.fromkeys(ids)), with_payload=True, with_vector=with_vectors)
            return [to_point(record) for record in records]

    def read_ahead(self, fields: Sequence[str]) -> None:
        kept: dict[int, dict[str, Any]] = {}
        if self.count() > KEPT_PAYLOADS:
            return
        offset: uuid.UUID | int | str | None = None
        while True:
            request = qdrant_edge.ScrollRequest(offset=offset, limit=READ_AHEAD_BATCH, with_payload=list(fields))
            with self._opened(IntegrityError) as shard:
                records, offset = shard.scroll(request)
                kept |= {to_uuid(record.id).int: record.payload or {} for record in records}
            if offset is None:
                self._kept[tuple(fields)] = kept
                return

    def search_dense(
        self,
        vector: Float32Array,
        limit: int,
        where: Where | None = None,
        fields: Sequence[str] | None = None,
        among: Collection[uuid.UUID] | None = None,
    ) -> list[ScoredPoint]:
        check_query(vector, self._completion.settings.dimension)
        query = qdrant_edge.Query.Nearest(vector.astype(np.float32).tolist(), using=DENSE)
        return self._search(query, limit, to_filter(where, among), fields, to_dense_params(self._completion.settings))

    def search_sparse(
        self,
        sparse: SparseVector,
        limit: int,
        where: Where | None = None,
        fields: Sequence[str] | None = None,
        among: Collection[uuid.UUID] | None = None,
    ) -> list[ScoredPoint]:
        check_sparse_query(sparse)
        query = qdrant_edge.Query.Nearest(to_sparse(sparse), using=SPARSE)
        everything = qdrant_edge.SearchParams(idf=qdrant_edge.IdfParams(corpus=qdrant_edge.Filter()))
        return self._search(query, limit, to_filter(where, among), fields, everything)

    def info(self) -> CollectionInfo:
        return self._info(self._completion.optimized)

    def _search(
        self,
        query: qdrant_edge.Query,
        limit: int,
        conditions: qdrant_edge.Filter | None,
        fields: Sequence[str] | None,
        params: qdrant_edge.SearchParams | None,
    ) -> list[ScoredPoint]:
        check_limit(limit)
        request = qdrant_edge.QueryRequest(
            limit=limit, query=query, filter=conditions, with_payload=fields is None, params=params
        )
        with self._opened(IntegrityError) as shard:
            found = shard.query(request)
            # An id is made anew each time it is looked at: once is enough.
            ids, scores = [to_uuid(hit.id) for hit in found], [hit.score for hit in found]
            if fields is None:
                payloads = [hit.payload or {} for hit in found]
            else:
                payloads = self._fields_of(shard, ids, tuple(fields))
        hits = list(map(ScoredPoint._make, zip(ids, scores, payloads, strict=True)))
        # The engine sorts by score; what is left to do is to put equal ones in order.
        if len(set(scores)) < len(scores):
            hits.sort(key=lambda hit: (-hit.score, hit.id.int))
        return hits

    def _fields_of(
        self, shard: qdrant_edge.EdgeShard, ids: Sequence[uuid.UUID], fields: tuple[str, ...]
    ) -> list[dict[str, Any]]:
        """Return some fields of the payload of each point.

        The engine reads a payload as a whole whatever is asked of it, which takes longer than the search; a version
        never changes, so what was read once is kept.
        """
        if not fields:
            return [_NOTHING] * len(ids)
        kept = self._kept.get(fields)
        if kept is None or len(kept) > KEPT_PAYLOADS:
            kept = self._kept[fields] = {}
        # By number: an id is hashed and compared in Python, a number is not.
        missing: list[Any] = [identifier for identifier in ids if identifier.int not in kept]
        if missing:
            for record in shard.retrieve(missing, with_payload=list(fields), with_vector=False):
                kept[to_uuid(record.id).int] = record.payload or {}
        return [kept[identifier.int] for identifier in ids]


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
                rows = [from_point(point, vector) for point, vector in zip(batch, dense, strict=True)]
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

    @property
    def engine(self) -> str:
        return ENGINE

    @property
    def engine_version(self) -> str:
        return package_version(ENGINE)

    def versions(self) -> list[str]:
        return self._folders.versions()

    def create(self, version: str, settings: CollectionSettings) -> EdgeWriter:
        check_settings(settings)
        lock = self._folders.start(version)
        try:
            folder = self._folders.shard(version)
            folder.mkdir()
            with _translated(f"candidate {version}", RagflowError):
                shard = qdrant_edge.EdgeShard.create(str(folder), to_config(settings))
                for name, kind in to_indexes(settings).items():
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
            expected = None if salvage else completion.points
            config = to_config(completion.settings, SEARCH_THREADS)
            shard = _load(view, f"collection version {version}", expected, config)
        except BaseException:
            remove_view(view)
            raise
        return EdgeReader(shard, version, completion, view)

    def check_files(self, version: str) -> None:
        """Hash every file of a complete version; raise IntegrityError if one is not as it was when it was built.

        :meth:`open` does the same for files whose modification time has changed, and looks at the sizes of all.
        """
        self._folders.check_files(version, deep=True)

    def save_snapshot(self, version: str, folder: Path) -> list[str]:
        return self._folders.save(version, folder)

    def load_snapshot(self, version: str, folder: Path) -> None:
        completion = read_saved(folder, ENGINE)
        lock = self._folders.start(version)
        try:
            shard = self._folders.shard(version)
            copy_tree(folder / SHARD, shard)
            check_inventory(shard, completion.files, deep=True)
            view = make_view(self._views, shard)
            try:
                _load(view, f"snapshot {folder}", completion.points).close()
            finally:
                remove_view(view)
            sync_tree(shard)
            self._folders.complete(version, replace(completion, files=take_inventory(shard)))
        except BaseException:
            self._folders.remove(version)
            raise
        finally:
            lock.release()

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

    def drop_alias(self, *, expected: str) -> None:
        self._folders.drop_alias(expected=expected)


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


def _load(
    folder: Path, name: str, expected: int | None, config: qdrant_edge.EdgeConfig | None = None
) -> qdrant_edge.EdgeShard:
    """Load a shard; raise IntegrityError if it cannot be loaded or has not the expected number of points."""
    with _translated(name, IntegrityError):
        shard = qdrant_edge.EdgeShard.load(str(folder), config)
        points = shard.count(qdrant_edge.CountRequest(exact=True))
        if expected is not None and points != expected:
            shard.close()
            raise IntegrityError(
                f"There are {points} points in {name}, and its record says {expected}.",
                remedy="Restore this version from a backup, or roll back to another version and reindex.",
            )
        return shard
