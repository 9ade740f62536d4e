"""A Qdrant server as the engine of versioned collections.

On the server, a version is the collection ``<prefix>-v000001``, and what is live has the alias ``<prefix>-live``. That
a version is complete, and with which settings, stands in its collection's metadata, written last. How several machines
keep out of each other's way: :mod:`ragflow.vectors.server_claims` and :mod:`ragflow.vectors.server_alias`.

What differs from the embedded engine: readers that are open end when their version is discarded, and what the server
has is not held against hashes when a version is opened, only counted; the gate and ``verify`` read every point.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from ragflow.errors import CheckFailedError, IntegrityError, NotFoundError, UsageError
from ragflow.model.fingerprints import canonical_json
from ragflow.model.points import Float32Array, Point, SparseVector
from ragflow.vectors.checking import check_limit, check_points, check_query, check_sparse_query
from ragflow.vectors.folders import Completion, check_vacant, check_version_name
from ragflow.vectors.protocols import AliasRecord, CollectionInfo, CollectionSettings, ScoredPoint, Where
from ragflow.vectors.server_alias import LiveAlias
from ragflow.vectors.server_claims import Claim, check_abandoned, claim, completion_of, is_complete, note
from ragflow.vectors.server_completion import ENGINE, complete
from ragflow.vectors.server_copies import copy_collection, fill, read_snapshot, save
from ragflow.vectors.server_options import ServerOptions
from ragflow.vectors.server_points import to_filter
from ragflow.vectors.server_requests import Requests, shared_requests
from ragflow.vectors.server_uploads import Uploads

DELETE_BATCH = 1_000
SIZE_SAMPLE = 200
"""Points by which the bytes of all are estimated."""


class _OpenCollection:
    """A collection that knows whether it is closed; what readers and writers share."""

    def __init__(self, requests: Requests, version: str, name: str) -> None:
        self._requests = requests
        self._collection = requests.options.collection(version)
        self._name = name
        self._is_open = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._is_open = False

    def count(self) -> int:
        self._check_open()
        return self._requests.count(self._collection)

    def scroll(self, batch: int = 2048) -> Iterator[list[Point]]:
        if batch < 1:
            raise UsageError(f"Batches of {batch} points are none.", remedy="Ask for at least 1.")
        self._check_open()
        return self._scroll(batch)

    def _scroll(self, batch: int) -> Iterator[list[Point]]:
        offset: str | None = None
        while True:
            self._check_open()
            points, offset = self._requests.scroll(self._collection, batch, offset)
            if points:
                yield points
            if offset is None:
                return

    def _check_open(self) -> None:
        if not self._is_open:
            raise UsageError(f"The {self._name} is closed.", remedy="Open it again.")


class ServerReader(_OpenCollection):
    """A complete version; see :class:`ragflow.vectors.protocols.CollectionReader`."""

    def __init__(self, requests: Requests, version: str, completion: Completion) -> None:
        super().__init__(requests, version, f"collection version {version}")
        self._completion = completion

    def retrieve(self, ids: Sequence[uuid.UUID], with_vectors: bool = True) -> list[Point]:
        self._check_open()
        wanted = list(dict.fromkeys(ids))
        found = self._requests.retrieve(self._collection, wanted, with_vectors) if wanted else {}
        return [found[identifier] for identifier in wanted if identifier in found]

    def read_ahead(self, fields: Sequence[str]) -> None:
        # The server keeps what it needs, whoever asks.
        self._check_open()

    def search_dense(
        self,
        vector: Float32Array,
        limit: int,
        where: Where | None = None,
        fields: Sequence[str] | None = None,
        among: Collection[uuid.UUID] | None = None,
    ) -> list[ScoredPoint]:
        self._check_open()
        settings = self._completion.settings
        check_query(vector, settings.dimension)
        check_limit(limit)
        conditions = to_filter(where, among)
        return self._requests.search_dense(
            self._collection, settings, vector.astype(np.float32), limit, conditions, fields
        )

    def search_sparse(
        self,
        sparse: SparseVector,
        limit: int,
        where: Where | None = None,
        fields: Sequence[str] | None = None,
        among: Collection[uuid.UUID] | None = None,
    ) -> list[ScoredPoint]:
        self._check_open()
        check_sparse_query(sparse)
        check_limit(limit)
        return self._requests.search_sparse(self._collection, sparse, limit, to_filter(where, among), fields)

    def info(self) -> CollectionInfo:
        points = self.count()
        found = self._requests.state(self._collection)
        if found is None:
            raise NotFoundError(f"The {self._name} is no longer on the server.", remedy="It was discarded meanwhile.")
        return CollectionInfo(points, found.indexed, found.segments, self._completion.optimized)


class ServerWriter(_OpenCollection):
    """A candidate being built; see :class:`ragflow.vectors.protocols.CollectionWriter`."""

    def __init__(self, requests: Requests, claimed: Claim, settings: CollectionSettings) -> None:
        super().__init__(requests, claimed.version, f"candidate {claimed.version}")
        self._claim = claimed
        self._settings = settings
        self._uploads = Uploads(
            lambda points, dense: requests.upsert(self._collection, points, dense), requests.options.parallel
        )

    def close(self) -> None:
        if self._is_open:
            super().close()
            self._uploads.close()
            self._claim.release()

    def upsert(self, points: Sequence[Point]) -> None:
        self._check_open()
        last = list({point.id: point for point in points}.values())
        size = self._requests.options.batch
        for start in range(0, len(last), size):
            batch = last[start : start + size]
            # To floats of 64 bits and back changes no bit of a float32.
            dense = check_points(batch, self._settings.dimension).tolist()
            self._claim.check()
            self._uploads.put(batch, dense)

    def delete(self, ids: Sequence[uuid.UUID]) -> None:
        self._settle()
        for start in range(0, len(ids), DELETE_BATCH):
            self._claim.check()
            self._requests.delete(self._collection, ids[start : start + DELETE_BATCH])

    def scroll(self, batch: int = 2048) -> Iterator[list[Point]]:
        self._settle()
        return super().scroll(batch)

    def count(self) -> int:
        self._settle()
        return super().count()

    def finish(self) -> CollectionInfo:
        self._settle()
        self._claim.check()
        info = complete(self._requests, self._claim, self._settings)
        super().close()
        self._uploads.close()
        return info

    def _settle(self) -> None:
        """Wait until everything that was handed in is written."""
        self._check_open()
        self._uploads.drain()


class ServerVersionStore:
    """Versions as collections of a Qdrant server; see :class:`ragflow.vectors.protocols.VersionStore`.

    Args:
        requests: the connection to use; by default, the one that this process shares.
    """

    def __init__(self, options: ServerOptions, *, requests: Requests | None = None) -> None:
        self._options = options
        self._given = requests

    @property
    def _requests(self) -> Requests:
        requests = self._given or shared_requests(self._options)
        _ = requests.server_version  # asked once; refuses a server that is too old
        return requests

    @property
    def engine(self) -> str:
        return ENGINE

    @property
    def engine_version(self) -> str:
        return self._requests.server_version

    def versions(self) -> list[str]:
        requests = self._requests
        named = re.compile(re.escape(self._options.prefix) + r"-(v[0-9]{6})", re.ASCII)
        matches = [named.fullmatch(name) for name in requests.collections()]
        versions = sorted(match[1] for match in matches if match is not None)
        return [v for v in versions if is_complete(requests.state(self._options.collection(v)), v)]

    def create(self, version: str, settings: CollectionSettings) -> ServerWriter:
        requests = self._requests
        check_version_name(version)
        claimed = claim(requests, version, settings)
        try:
            requests.create_indexes(claimed.collection, settings)
        except BaseException:
            claimed.release()
            raise
        return ServerWriter(requests, claimed, settings)

    def clone(self, base: str, version: str, settings: CollectionSettings) -> ServerWriter:
        requests = self._requests
        completion = self._counted(base)
        if completion.settings != settings:
            raise UsageError(
                f"Collection version {base} was built with {completion.settings.fingerprint_parts()}, "
                f"not with {settings.fingerprint_parts()}.",
                remedy="Other settings ask for an empty candidate: reindex.",
            )
        claimed = claim(requests, version, settings)
        try:
            copy_collection(requests, self._options.collection(base), claimed, completion)
        except BaseException:
            claimed.release()
            raise
        return ServerWriter(requests, claimed, settings)

    def open(self, version: str, *, salvage: bool = False) -> ServerReader:
        completion = self._completion(version) if salvage else self._counted(version)
        return ServerReader(self._requests, version, completion)

    def check_files(self, version: str) -> None:
        self._counted(version)

    def save_snapshot(self, version: str, folder: Path) -> list[str]:
        completion = self._counted(version)
        check_vacant(folder)
        return save(self._requests, self._options.collection(version), completion, folder)

    def load_snapshot(self, version: str, folder: Path) -> None:
        requests = self._requests
        check_version_name(version)
        completion, file = read_snapshot(folder)
        claimed = claim(requests, version, completion.settings)
        try:
            fill(requests, claimed, completion, file)
            complete(requests, claimed, completion.settings)
        except BaseException:
            claimed.release(remove=True)
            raise

    def discard(self, version: str) -> None:
        requests, alias = self._requests, LiveAlias(self._requests)
        collection = self._options.collection(version)
        found = requests.state(collection)
        if found is None:
            raise self._not_found(version)
        if is_complete(found, version):
            _check_not_live(alias, version)
            # From here on it is not complete, and no move that began before can succeed: see LiveAlias.move.
            requests.set_metadata(collection, note("discarding", version))
            try:
                alias.guard()
                _check_not_live(alias, version)
            except BaseException:
                requests.set_metadata(collection, found.metadata)
                raise
        else:
            check_abandoned(requests, version, found)
        requests.drop(collection)

    def size_bytes(self, version: str) -> int:
        completion = self._completion(version)
        settings = completion.settings
        sample, _ = self._requests.scroll(self._options.collection(version), SIZE_SAMPLE, None)
        each = settings.dimension * 4 + 2 * settings.hnsw_m * 4
        held = sum(len(canonical_json(dict(point.payload))) + point.sparse.indices.size * 8 for point in sample)
        return completion.points * (each + held // max(1, len(sample))) * settings.replicas

    def settings(self, version: str) -> CollectionSettings:
        return self._completion(version).settings

    def alias(self) -> AliasRecord | None:
        return LiveAlias(self._requests).read()

    def move_alias(self, version: str, *, expected: str | None, moved_at: str) -> AliasRecord:
        check_version_name(version)
        alias = LiveAlias(self._requests)
        return alias.move(version, expected=expected, moved_at=moved_at, check=self._completion)

    def drop_alias(self, *, expected: str) -> None:
        LiveAlias(self._requests).drop(expected=expected)

    def _completion(self, version: str) -> Completion:
        collection = self._options.collection(version)
        found = self._requests.state(collection)
        if found is None or not is_complete(found, version):
            raise self._not_found(version)
        return completion_of(found, collection)

    def _counted(self, version: str) -> Completion:
        """Return the record of a complete version that has as many points as it says."""
        completion = self._completion(version)
        points = self._requests.count(self._options.collection(version))
        if points != completion.points:
            raise IntegrityError(
                f"There are {points} points in collection version {version}, and its record says {completion.points}.",
                remedy="Restore this version from a backup, or roll back to another version and reindex.",
            )
        return completion

    def _not_found(self, version: str) -> NotFoundError:
        there = self.versions()
        return NotFoundError(
            f"There is no complete collection version {version} at {self._options.address}.",
            remedy=f"Complete versions: {', '.join(there)}." if there else "No version is complete yet: ingest.",
        )


def _check_not_live(alias: LiveAlias, version: str) -> None:
    record = alias.read()
    if record is not None and record.version == version:
        raise CheckFailedError(
            f"Collection version {version} is live and cannot be removed.",
            remedy="Promote another version, or roll back, first.",
        )
