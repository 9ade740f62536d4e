"""A vector engine that goes wrong on purpose, and a home that forgets a batch."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import qdrant_edge

from ragflow.model.batches import BatchManifest
from ragflow.model.points import Point
from ragflow.pipeline import desired
from ragflow.pipeline.workspace import Workspace
from ragflow.store.home import Home
from ragflow.store.manifests import ManifestStore
from ragflow.vectors.edge import EdgeVersionStore
from ragflow.vectors.edge_requests import from_point, to_point
from ragflow.vectors.files import files_below, take_inventory, write_json
from ragflow.vectors.folders import COMPLETE, SHARD, read_completion
from ragflow.vectors.protocols import (
    AliasRecord,
    CollectionReader,
    CollectionSettings,
    CollectionWriter,
    ScoredPoint,
    Where,
)
from ragflow_tests.faults.documents import Row
from ragflow_tests.faults.ragflow_rows import changed_points, own_payload, plain_payload, plain_point

RowsToRows = Callable[[list[Row]], list[Row]]
HitsToHits = Callable[[list[Row], list[Row]], list[Row]]


@dataclass(slots=True)
class Plan:
    """What goes wrong in the engine, and when. Everything left out works.

    Attributes:
        points: done to the points of a candidate before it is complete.
        after_move: done to the folder of the versions once the alias has moved; given the store and the version.
        dense, sparse: done to the hits of what is live, or of ``broken``.
        snapshot: done to the folder of a snapshot once it is written.
        broken: the version whose searches go wrong before it is live.
        moved: the version that the alias has been moved to.
    """

    points: RowsToRows | None = None
    after_move: Callable[[EdgeVersionStore, str], None] | None = None
    dense: HitsToHits | None = None
    sparse: HitsToHits | None = None
    snapshot: Callable[[Path], None] | None = None
    broken: str | None = None
    moved: str | None = None


class FaultyWriter:
    """Writes as asked, and before it finishes changes what it has written."""

    def __init__(self, writer: CollectionWriter, points: RowsToRows) -> None:
        self._writer = writer
        self._points = points

    def __enter__(self) -> FaultyWriter:
        self._writer.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self._writer.__exit__(*error)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._writer, name)

    def finish(self) -> Any:
        before = [plain_point(point) for points in self._writer.scroll() for point in points]
        gone, changed = changed_points(before, self._points(before))
        if gone:
            self._writer.delete(gone)
        if changed:
            self._writer.upsert(changed)
        return self._writer.finish()


class FaultyReader:
    """Reads a version that is live, and finds the wrong things in it."""

    def __init__(self, reader: CollectionReader, plan: Plan) -> None:
        self._reader = reader
        self._plan = plan

    def __enter__(self) -> FaultyReader:
        self._reader.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self._reader.__exit__(*error)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reader, name)

    def search_dense(
        self,
        vector: Any,
        limit: int,
        where: Where | None = None,
        fields: Sequence[str] | None = None,
        among: Collection[uuid.UUID] | None = None,
    ) -> list[ScoredPoint]:
        hits = self._reader.search_dense(vector, limit, where, fields, among)
        return self._changed(self._plan.dense, hits, limit, among)

    def search_sparse(
        self,
        sparse: Any,
        limit: int,
        where: Where | None = None,
        fields: Sequence[str] | None = None,
        among: Collection[uuid.UUID] | None = None,
    ) -> list[ScoredPoint]:
        hits = self._reader.search_sparse(sparse, limit, where, fields, among)
        return self._changed(self._plan.sparse, hits, limit, among)

    def _changed(
        self, change: HitsToHits | None, hits: list[ScoredPoint], limit: int, among: Collection[uuid.UUID] | None
    ) -> list[ScoredPoint]:
        if change is None:
            return hits
        everything = [
            ScoredPoint(point.id, 0.0, dict(point.payload))
            for points in self._reader.scroll()
            for point in points
            if among is None or point.id in among
        ]
        changed = change([hit._asdict() for hit in hits], [hit._asdict() for hit in everything])
        return [ScoredPoint(**row) for row in changed[:limit]]


class FaultyStore(EdgeVersionStore):
    """The embedded engine, with a plan of what goes wrong."""

    def __init__(self, root: Path, plan: Plan) -> None:
        super().__init__(root)
        self._plan = plan

    def create(self, version: str, settings: CollectionSettings) -> Any:
        return self._writer(super().create(version, settings))

    def clone(self, base: str, version: str, settings: CollectionSettings) -> Any:
        return self._writer(super().clone(base, version, settings))

    def _writer(self, writer: CollectionWriter) -> Any:
        return FaultyWriter(writer, self._plan.points) if self._plan.points else writer

    def open(self, version: str, *, salvage: bool = False) -> Any:
        reader = super().open(version, salvage=salvage)
        return FaultyReader(reader, self._plan) if version in (self._plan.broken, self._plan.moved) else reader

    def move_alias(self, version: str, *, expected: str | None, moved_at: str) -> AliasRecord:
        moved = super().move_alias(version, expected=expected, moved_at=moved_at)
        if self._plan.moved is None:
            self._plan.moved = version
            if self._plan.after_move is not None:
                self._plan.after_move(EdgeVersionStore(self._folders.root), version)
        return moved

    def save_snapshot(self, version: str, folder: Path) -> list[str]:
        files = super().save_snapshot(version, folder)
        if self._plan.snapshot is None:
            return files
        self._plan.snapshot(folder)
        return [path.relative_to(folder).as_posix() for path in files_below(folder)]


@dataclass(frozen=True, slots=True)
class FaultyWorkspace(Workspace):
    """A workspace whose engine follows a plan."""

    plan: Plan = field(default_factory=Plan)

    def versions(self) -> EdgeVersionStore:
        return FaultyStore(self.home.vectors, self.plan)


def with_plan(workspace: Workspace, plan: Plan) -> FaultyWorkspace:
    fields = {name: getattr(workspace, name) for name in Workspace.__slots__}
    return FaultyWorkspace(**fields, plan=plan)


@dataclass(frozen=True, slots=True)
class ForgetfulManifests(ManifestStore):
    """Manifests of which some are passed over."""

    kept: tuple[str, ...] = ()

    def all(self) -> tuple[BatchManifest, ...]:
        return tuple(manifest for manifest in ManifestStore.all(self) if manifest.key in self.kept)


@dataclass(frozen=True, slots=True)
class ForgetfulHome(Home):
    """A home in which a reader of manifests sees these batches only."""

    kept: tuple[str, ...] = ()

    @property
    def manifests(self) -> ManifestStore:
        return ForgetfulManifests(self.root / "manifests", self.kept)


def forgetful(workspace: Workspace, kept: Sequence[str]) -> Workspace:
    return replace(workspace, home=ForgetfulHome(workspace.home.root, kept=tuple(kept)))


@contextmanager
def faulty_payloads(change: Callable[[Row], Row]) -> Iterator[None]:
    """Have the code that makes payloads make others, wherever it is called."""
    right = desired._payload

    def wrong(*given: Any) -> dict[str, Any]:
        return own_payload(change(plain_payload(right(*given))))

    desired._payload = wrong
    try:
        yield
    finally:
        desired._payload = right


def exchange_files(store: EdgeVersionStore, version: str, other: str | None) -> None:
    """Put the files of another version in the place of those of a version; None: remove them."""
    folder = store._folders.folder(version)
    shutil.rmtree(folder)
    if other is not None:
        shutil.copytree(store._folders.folder(other), folder)


def change_snapshot(folder: Path, change: RowsToRows) -> None:
    """Change the points of a saved snapshot, and put its record right."""
    shard = qdrant_edge.EdgeShard.load(str(folder / SHARD))
    request = qdrant_edge.ScrollRequest(offset=None, limit=10_000, with_payload=True, with_vector=True)
    before = [plain_point(to_point(record)) for record in shard.scroll(request)[0]]
    gone, changed = changed_points(before, change(before))
    if gone:
        shard.update(qdrant_edge.UpdateOperation.delete_points(list(gone)))
    for point in changed:
        shard.update(qdrant_edge.UpdateOperation.upsert_points([from_point(point, _floats(point))]))
    shard.flush()
    count = shard.count(qdrant_edge.CountRequest(exact=True))
    shard.close()
    completion = read_completion(folder / COMPLETE)
    right = replace(completion, points=count, files=take_inventory(folder / SHARD))
    write_json(folder / COMPLETE, right.to_dict())


def _floats(point: Point) -> list[float]:
    return [float(value) for value in point.dense]
