"""Everything that a Qdrant server is asked for, one method each."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import httpx
from qdrant_client import models
from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

from ragflow.errors import RagflowError
from ragflow.model.points import Float32Array, Point, SparseVector
from ragflow.vectors.protocols import CollectionSettings, ScoredPoint
from ragflow.vectors.server_connection import Connection, MissingError
from ragflow.vectors.server_options import ServerOptions
from ragflow.vectors.server_points import (
    DENSE,
    SPARSE,
    from_point,
    to_collection,
    to_dense_params,
    to_hit,
    to_indexes,
    to_point,
    to_sparse,
    to_sparse_params,
)

DOWNLOAD_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class CollectionState:
    """What the server says of a collection.

    Attributes:
        status: ``green``, ``yellow`` (being optimised), ``grey`` (to be optimised, when told to), ``red``.
        problem: what the optimiser has to complain about; empty if nothing.
        indexed, segments: as in :class:`ragflow.vectors.protocols.CollectionInfo`.
        queued: updates that are not in the collection yet, and points not yet shown to searches.
        metadata: ours.
    """

    status: str
    problem: str
    indexed: int
    segments: int
    queued: int
    metadata: dict[str, Any]


class Snapshot(NamedTuple):
    """Name and SHA-256 (None: the server did not say) of a snapshot that lies on the server."""

    name: str
    sha256: str | None


class Change(NamedTuple):
    """One step of a change of aliases: ``create`` (on a collection), ``delete``, or ``rename`` (to another name)."""

    what: str
    alias: str
    target: str = ""


class Requests(Connection):
    """The requests, with retries; see :meth:`Connection.ask` for what they raise."""

    def collections(self) -> list[str]:
        """Return the names of all collections that are visible to us."""
        found = self.ask("list its collections", lambda: self.admin.get_collections())
        return [collection.name for collection in found.collections]

    def state(self, collection: str) -> CollectionState | None:
        """Return the state of a collection; None if it is not there."""
        try:
            info = self.ask(f"describe {collection}", lambda: self.admin.get_collection(collection))
        except MissingError:
            return None
        queue = info.update_queue
        error = getattr(info.optimizer_status, "error", "")
        return CollectionState(
            status=str(info.status),
            problem=str(error),
            indexed=info.indexed_vectors_count or 0,
            segments=info.segments_count,
            queued=0 if queue is None else queue.length + (queue.deferred_points or 0),
            metadata=dict(info.config.metadata or {}),
        )

    def create(self, collection: str, settings: CollectionSettings, metadata: dict[str, Any]) -> None:
        """Create an empty collection. Of several who do so at once, one succeeds; the others get ConflictError."""
        layout = to_collection(settings)
        self._done(
            f"create {collection}",
            lambda: self.admin.create_collection(collection, metadata=metadata, timeout=self._seconds, **layout),
        )

    def create_bare(self, collection: str, metadata: dict[str, Any]) -> None:
        """Create a collection that cannot hold vectors."""
        self._done(
            f"create {collection}",
            lambda: self.admin.create_collection(
                collection, vectors_config={}, metadata=metadata, timeout=self._seconds
            ),
        )

    def create_indexes(self, collection: str, settings: CollectionSettings) -> None:
        """Index payload fields; those that have an index already keep it."""
        for name, schema in to_indexes(settings).items():
            call = partial(self.admin.create_payload_index, collection, name, field_schema=schema, wait=True)
            self._done(f"index {name} of {collection}", call)

    def set_metadata(self, collection: str, metadata: dict[str, Any]) -> None:
        """Replace the metadata under the keys given."""
        self._done(
            f"note the state of {collection}",
            lambda: self.admin.update_collection(collection, metadata=metadata, timeout=self._seconds),
        )

    def start_optimizers(self, collection: str) -> None:
        """Have the server do what it had put off; it does so after any change of its settings."""
        self._done(
            f"optimise {collection}",
            lambda: self.admin.update_collection(
                collection, optimizers_config=models.OptimizersConfigDiff(), timeout=self._seconds
            ),
        )

    def drop(self, collection: str) -> None:
        """Delete a collection, if it is there, and all aliases on it."""
        self._done(f"delete {collection}", lambda: self.admin.delete_collection(collection, timeout=self._seconds))

    def aliases(self) -> dict[str, str]:
        """Return alias → collection, as they were at one moment."""
        found = self.ask("list its aliases", lambda: self.admin.get_aliases())
        return {alias.alias_name: alias.collection_name for alias in found.aliases}

    def change_aliases(self, changes: Sequence[Change]) -> None:
        """Change aliases in one request, which the server works through in order, with nobody in between."""
        operations = [_to_operation(change) for change in changes]
        self._done(
            "change its aliases",
            lambda: self.admin.update_collection_aliases(operations, timeout=self._seconds),
        )

    def peers(self) -> int:
        """Return the number of servers that work together."""
        status = self.ask("describe its cluster", lambda: self.admin.cluster_status())
        return len(getattr(status, "peers", None) or {}) or 1

    def upsert(self, collection: str, points: Sequence[Point], dense: Sequence[list[float]]) -> None:
        """Write points, and wait until they are written; ``dense`` are their vectors as Python's floats."""
        rows = [from_point(point, row, by_grpc=self._by_grpc) for point, row in zip(points, dense, strict=True)]
        self._done(f"write to {collection}", lambda: self.points.upsert(collection, rows, wait=True))

    def delete(self, collection: str, ids: Sequence[uuid.UUID]) -> None:
        selector = models.PointIdsList(points=[str(identifier) for identifier in ids])
        self._done(f"delete points of {collection}", lambda: self.points.delete(collection, selector, wait=True))

    def count(self, collection: str) -> int:
        found = self.ask(f"count {collection}", lambda: self.points.count(collection, exact=True))
        return int(found.count)

    def scroll(
        self, collection: str, limit: int, offset: str | None, *, with_vectors: bool = True
    ) -> tuple[list[Point], str | None]:
        """Return the points from ``offset`` on, in ascending order of ids, and where to go on; None: that was all."""
        records, following = self.ask(
            f"read {collection}",
            lambda: self.points.scroll(
                collection, limit=limit, offset=offset, with_payload=True, with_vectors=with_vectors
            ),
        )
        return [to_point(record) for record in records], None if following is None else str(following)

    def retrieve(self, collection: str, ids: Sequence[uuid.UUID], with_vectors: bool) -> dict[uuid.UUID, Point]:
        names = [str(identifier) for identifier in ids]
        records = self.ask(
            f"read {collection}",
            lambda: self.points.retrieve(collection, names, with_payload=True, with_vectors=with_vectors),
        )
        return {point.id: point for point in map(to_point, records)}

    def search_dense(
        self,
        collection: str,
        settings: CollectionSettings,
        vector: Float32Array,
        limit: int,
        conditions: models.Filter | None,
        fields: Sequence[str] | None,
    ) -> list[ScoredPoint]:
        return self._search(collection, vector.tolist(), DENSE, limit, conditions, fields, to_dense_params(settings))

    def search_sparse(
        self,
        collection: str,
        sparse: SparseVector,
        limit: int,
        conditions: models.Filter | None,
        fields: Sequence[str] | None,
    ) -> list[ScoredPoint]:
        return self._search(collection, to_sparse(sparse), SPARSE, limit, conditions, fields, to_sparse_params())

    def _search(
        self,
        collection: str,
        query: list[float] | models.SparseVector,
        using: str,
        limit: int,
        conditions: models.Filter | None,
        fields: Sequence[str] | None,
        params: models.SearchParams | None,
    ) -> list[ScoredPoint]:
        wanted = True if fields is None else list(fields)
        found = self.ask(
            f"search {collection}",
            lambda: self.points.query_points(
                collection,
                query,
                using=using,
                query_filter=conditions,
                search_params=params,
                limit=limit,
                with_payload=wanted,
            ),
        )
        return sorted(map(to_hit, found.points), key=lambda hit: (-hit.score, hit.id))

    def make_snapshot(self, collection: str) -> Snapshot:
        """Have the server write a snapshot of a collection; it lies there until it is dropped."""
        made = self.ask(
            f"take a snapshot of {collection}",
            lambda: self.patient.create_snapshot(collection, wait=True),
            retries=0,  # another try would leave the snapshot of the first behind
        )
        if made is None:
            raise RagflowError(f"The server took a snapshot of {collection}, and did not say where.")
        return Snapshot(made.name, made.checksum)

    def drop_snapshot(self, collection: str, snapshot: Snapshot) -> None:
        self._done(
            f"delete a snapshot of {collection}",
            lambda: self.patient.delete_snapshot(collection, snapshot.name, wait=True),
        )

    def recover(self, collection: str, source: str, snapshot: Snapshot) -> None:
        """Have the server fill a collection from a snapshot of the collection ``source``, which lies on it."""
        self._done(
            f"fill {collection} from a snapshot",
            lambda: self.patient.recover_snapshot(
                collection,
                location=self._snapshot_url(source, snapshot.name),
                api_key=self.options.api_key,
                checksum=snapshot.sha256,
                priority=models.SnapshotPriority.SNAPSHOT,
                wait=True,
            ),
            retries=0,
        )

    def upload(self, collection: str, path: Path, sha256: str) -> None:
        """Fill a collection from a snapshot that lies here."""

        def send() -> Any:
            with path.open("rb") as file:
                return self.patient.http.snapshots_api.recover_from_uploaded_snapshot(
                    collection,
                    wait=True,
                    priority=models.SnapshotPriority.SNAPSHOT,
                    checksum=sha256,
                    snapshot=file,
                )

        self._done(f"fill {collection} from a snapshot", send, retries=0)

    def download(self, collection: str, snapshot: Snapshot, path: Path) -> None:
        """Write a snapshot that lies on the server to ``path``; the caller holds it against its hash."""

        def receive() -> None:
            url = self._snapshot_url(collection, snapshot.name)
            encrypted = self.options.is_encrypted
            try:
                with (
                    httpx.Client(verify=self.verify, trust_env=encrypted, timeout=self.options.wait_seconds) as client,
                    client.stream("GET", url, headers=self.headers) as response,
                    path.open("wb") as file,
                ):
                    if response.status_code != httpx.codes.OK:
                        response.read()
                        raise UnexpectedResponse.for_response(response)
                    for block in response.iter_bytes(DOWNLOAD_BLOCK):
                        file.write(block)
            except httpx.TransportError as error:
                raise ResponseHandlingException(error) from error

        self.ask(f"hand out a snapshot of {collection}", receive)

    def _snapshot_url(self, collection: str, name: str) -> str:
        return f"{self.options.address}/collections/{quote(collection, safe='')}/snapshots/{quote(name, safe='')}"

    @property
    def _seconds(self) -> int:
        """How long the server itself may take before it gives a change up."""
        return max(1, int(self.options.timeout_seconds))

    def _done(self, what: str, call: Callable[[], Any], *, retries: int | None = None) -> None:
        """Ask for a change, of which the answer says nothing that its status does not."""
        self.ask(what, call, retries=retries)


def _to_operation(change: Change) -> models.AliasOperations:
    if change.what == "rename":
        return models.RenameAliasOperation(
            rename_alias=models.RenameAlias(old_alias_name=change.alias, new_alias_name=change.target)
        )
    if change.what == "delete":
        return models.DeleteAliasOperation(delete_alias=models.DeleteAlias(alias_name=change.alias))
    return models.CreateAliasOperation(
        create_alias=models.CreateAlias(alias_name=change.alias, collection_name=change.target)
    )


def shared_requests(options: ServerOptions) -> Requests:
    """Return the connection of this process to a server; its threads share one."""
    return _shared(options, os.getpid())


@lru_cache(maxsize=4)
def _shared(options: ServerOptions, _: int) -> Requests:
    return Requests(options)
