"""The reference engine: a dictionary, and numpy that compares the query with every point.

It is small enough to be right by inspection. The contract tests run on it, too: what they ask for is then known to be
the Protocol's meaning and not a habit of one engine.
"""

from __future__ import annotations

import copy
import math
import pickle
import uuid
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import orjson

from ragflow.errors import CheckFailedError, IntegrityError, NotFoundError, UsageError
from ragflow.model.fingerprints import sha256_hex
from ragflow.model.points import Float32Array, Point, SparseVector
from ragflow.vectors.checking import check_limit, check_points, check_query, check_sparse_query, check_where
from ragflow.vectors.folders import check_version_name
from ragflow.vectors.protocols import (
    LIVE_ALIAS,
    AliasRecord,
    AnyOf,
    Between,
    CollectionInfo,
    CollectionSettings,
    Condition,
    ScoredPoint,
    Where,
)

Points = dict[uuid.UUID, Point]


class MemoryShard:
    def __init__(self, points: Points, settings: CollectionSettings) -> None:
        self.points = points
        self.settings_used = settings
        self.closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self.closed = True

    def opened(self) -> Points:
        if self.closed:
            raise UsageError("It is closed.")
        return self.points

    def count(self) -> int:
        return len(self.opened())

    def scroll(self, batch: int = 2048) -> Iterator[list[Point]]:
        if batch < 1:
            raise UsageError("Batches of no points.")
        points = self.opened()
        ordered = [points[key] for key in sorted(points)]
        return (copy.deepcopy(ordered[start : start + batch]) for start in range(0, len(ordered), batch))

    def info(self) -> CollectionInfo:
        return CollectionInfo(self.count(), 0, 1, True)


class MemoryReader(MemoryShard):
    def read_ahead(self, fields: Sequence[str]) -> None:
        self.opened()

    def retrieve(self, ids: Sequence[uuid.UUID], with_vectors: bool = True) -> list[Point]:
        points = self.opened()
        found = [copy.deepcopy(points[key]) for key in dict.fromkeys(ids) if key in points]
        if with_vectors:
            return found
        nothing = np.empty(0, np.float32)
        return [
            Point(point.id, nothing, SparseVector(np.empty(0, np.uint32), nothing), point.payload) for point in found
        ]

    def search_dense(
        self,
        vector: Float32Array,
        limit: int,
        where: Where | None = None,
        fields: Sequence[str] | None = None,
        among: Collection[uuid.UUID] | None = None,
    ) -> list[ScoredPoint]:
        check_query(vector, self.settings_used.dimension)
        query = vector.astype(np.float64) / np.linalg.norm(vector.astype(np.float64))
        scores = {key: float(point.dense @ query) for key, point in self.opened().items()}
        return self._best(scores, limit, where, fields, among)

    def search_sparse(
        self,
        sparse: SparseVector,
        limit: int,
        where: Where | None = None,
        fields: Sequence[str] | None = None,
        among: Collection[uuid.UUID] | None = None,
    ) -> list[ScoredPoint]:
        check_sparse_query(sparse)
        points = self.opened()
        frequency = Counter(int(term) for point in points.values() for term in point.sparse.indices)
        weights = {
            int(term): float(value) * math.log((len(points) - frequency[term] + 0.5) / (frequency[term] + 0.5) + 1)
            for term, value in zip(sparse.indices.tolist(), sparse.values, strict=True)
        }
        scores = {}
        for key, point in points.items():
            shared = [
                weights[term] * float(value)
                for term, value in zip(point.sparse.indices.tolist(), point.sparse.values, strict=True)
                if term in weights
            ]
            if shared:
                scores[key] = sum(shared)
        return self._best(scores, limit, where, fields, among)

    def _best(
        self,
        scores: dict[uuid.UUID, float],
        limit: int,
        where: Where | None,
        fields: Sequence[str] | None,
        among: Collection[uuid.UUID] | None,
    ) -> list[ScoredPoint]:
        check_limit(limit)
        check_where(where)
        hits = [
            ScoredPoint(key, score, _fields(copy.deepcopy(dict(self.points[key].payload)), fields))
            for key, score in scores.items()
            if (among is None or key in among)
            and all(_meets(self.points[key].payload.get(name), value) for name, value in (where or {}).items())
        ]
        return sorted(hits, key=lambda hit: (-hit.score, hit.id))[:limit]


class MemoryWriter(MemoryShard):
    def __init__(self, points: Points, settings: CollectionSettings, store: MemoryVersionStore, version: str) -> None:
        super().__init__(points, settings)
        self._store = store
        self._version = version

    def close(self) -> None:
        super().close()
        self._store.building.discard(self._version)

    def upsert(self, points: Sequence[Point]) -> None:
        check_points(points, self.settings_used.dimension)
        self.opened().update((point.id, copy.deepcopy(point)) for point in points)

    def delete(self, ids: Sequence[uuid.UUID]) -> None:
        for key in ids:
            self.opened().pop(key, None)

    def finish(self) -> CollectionInfo:
        info = self.info()
        self._store.complete[self._version] = (self.points, self.settings_used)
        self.close()
        return info


class MemoryVersionStore:
    def __init__(self) -> None:
        self.complete: dict[str, tuple[Points, CollectionSettings]] = {}
        self.building: set[str] = set()
        self._alias: AliasRecord | None = None

    @property
    def engine(self) -> str:
        return "memory"

    @property
    def engine_version(self) -> str:
        return "1"

    def versions(self) -> list[str]:
        return sorted(self.complete)

    def create(self, version: str, settings: CollectionSettings) -> MemoryWriter:
        return self._start({}, version, settings)

    def clone(self, base: str, version: str, settings: CollectionSettings) -> MemoryWriter:
        points, used = self._find(base)
        if used != settings:
            raise UsageError("Other settings.")
        return self._start(copy.deepcopy(points), version, settings)

    def _start(self, points: Points, version: str, settings: CollectionSettings) -> MemoryWriter:
        if check_version_name(version) in self.building:
            raise CheckFailedError(f"{version} is being built.")
        if version in self.complete:
            raise UsageError(f"{version} is complete.")
        self.building.add(version)
        return MemoryWriter(points, settings, self, version)

    def check_files(self, version: str) -> None:
        self._find(version)

    def save_snapshot(self, version: str, folder: Path) -> list[str]:
        found = self._find(version)
        if folder.exists() and any(folder.iterdir()):
            raise UsageError(f"{folder} is not empty.")
        folder.mkdir(parents=True, exist_ok=True)
        content = pickle.dumps(found)
        (folder / "points.pickle").write_bytes(content)
        (folder / "complete.json").write_text(f'{{"engine":"memory","sha256":"{sha256_hex(content)}"}}')
        return ["complete.json", "points.pickle"]

    def load_snapshot(self, version: str, folder: Path) -> None:
        with self._start({}, version, CollectionSettings(1)) as writer:
            try:
                record = orjson.loads((folder / "complete.json").read_bytes())
                content = (folder / "points.pickle").read_bytes()
                if (record["engine"], record["sha256"]) != ("memory", sha256_hex(content)):
                    raise ValueError("of another engine, or changed")
            except (OSError, ValueError, KeyError) as error:
                raise IntegrityError(f"{folder} is damaged: {error}.") from error
            writer.points, writer.settings_used = pickle.loads(content)
            writer.finish()

    def _find(self, version: str) -> tuple[Points, CollectionSettings]:
        if check_version_name(version) not in self.complete:
            raise NotFoundError(f"No {version}.", remedy=f"There are: {self.versions()}.")
        return self.complete[version]

    def open(self, version: str, *, salvage: bool = False) -> MemoryReader:
        return MemoryReader(*self._find(version))

    def discard(self, version: str) -> None:
        if version in self.building:
            raise CheckFailedError("Being built.")
        self._find(version)
        if self._alias and self._alias.version == version:
            raise CheckFailedError("Live.")
        del self.complete[version]

    def size_bytes(self, version: str) -> int:
        return sum(point.dense.nbytes for point in self._find(version)[0].values())

    def settings(self, version: str) -> CollectionSettings:
        return self._find(version)[1]

    def alias(self) -> AliasRecord | None:
        return self._alias

    def move_alias(self, version: str, *, expected: str | None, moved_at: str) -> AliasRecord:
        self._find(version)
        current = self._alias.version if self._alias else None
        if current != expected:
            raise CheckFailedError(f"Not at {expected}.")
        if self._alias is None or current != version:
            self._alias = AliasRecord(LIVE_ALIAS, version, current, moved_at)
        return self._alias

    def drop_alias(self, *, expected: str) -> None:
        if self._alias is None or self._alias.version != expected:
            raise CheckFailedError(f"Not at {expected}.")
        self._alias = None


def _fields(payload: dict[str, Any], wanted: Sequence[str] | None) -> dict[str, Any]:
    return payload if wanted is None else {name: value for name, value in payload.items() if name in wanted}


def _meets(held: Any, asked: Condition) -> bool:
    if isinstance(asked, AnyOf):
        return any(_meets(held, one) for one in asked.values)
    values = held if isinstance(held, list) else [held]
    if isinstance(asked, Between):
        low, high = (-math.inf if asked.low is None else asked.low), (math.inf if asked.high is None else asked.high)
        return any(type(value) in (int, float) and low <= value <= high for value in values)
    return any(type(value) is type(asked) and value == asked for value in values)
