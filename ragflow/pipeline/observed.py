"""Read a whole collection version as its engine returns it: hashes, places, and which text is there."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ragflow.errors import IntegrityError, RagflowError
from ragflow.model.fingerprints import sha256_text
from ragflow.model.merkle import batch_roots
from ragflow.model.points import Point, point_sha256, vector_sha256
from ragflow.ocr.pool import TaskFailure
from ragflow.pipeline.progress import report
from ragflow.pipeline.questions import Drawing
from ragflow.pipeline.workspace import Workspace
from ragflow.quality.points import Origin
from ragflow.vectors.edge import EdgeVersionStore
from ragflow.vectors.protocols import CollectionReader

SALVAGE_SECONDS = 600.0
"""Time limit for reading a damaged version."""


Span = tuple[int, int]
PageKey = tuple[str, str, int]
"""Document key, content hash, page number."""


@dataclass(frozen=True, slots=True)
class Observed:
    """What a version holds.

    Attributes:
        hashes: point id → hash over id, vectors and payload as they were given back.
        origins: point id → where its payload says that it comes from.
        doubled: ids that were met more than once.
        spans: page → the pieces of its text that points hold, as (start, end) in characters.
    """

    hashes: dict[uuid.UUID, bytes] = field(default_factory=dict)
    origins: dict[uuid.UUID, Origin] = field(default_factory=dict)
    doubled: list[uuid.UUID] = field(default_factory=list)
    spans: dict[PageKey, list[Span]] = field(default_factory=dict)

    def points(self) -> dict[uuid.UUID, tuple[bytes, Origin]]:
        """Return point id → hash and origin."""
        return {identifier: (digest, self.origins[identifier]) for identifier, digest in self.hashes.items()}

    def roots(self) -> dict[str, str]:
        """Return batch key → Merkle root over its points."""
        return batch_roots({key: (self.origins[key].batch, digest) for key, digest in self.hashes.items()})


def observed_hash(point: Point) -> bytes:
    """Return the hash of a point as an engine gave it back."""
    return point_sha256(point.id, vector_sha256(point.dense, point.sparse), point.payload)


def read_points(reader: CollectionReader, drawing: Drawing | None = None) -> Observed:
    """Read every point of a version; ``drawing`` is shown each: questions are drawn without reading it twice."""
    observed = Observed()
    total, done = reader.count(), 0
    for points in reader.scroll():
        for point in points:
            if point.id in observed.hashes:
                observed.doubled.append(point.id)
            observed.hashes[point.id] = observed_hash(point)
            origin = observed.origins[point.id] = _origin(point.payload)
            if drawing is not None:
                drawing.add(point.payload)
            start, end = point.payload.get("char_start"), point.payload.get("char_end")
            if isinstance(start, int) and isinstance(end, int) and _holds(point.payload, start, end):
                page = (origin.document, origin.content, origin.page)
                observed.spans.setdefault(page, []).append((start, end))
        done += len(points)
        report("read points", done, total)
    return observed


def _holds(payload: Mapping[str, Any], start: int, end: int) -> bool:
    """Whether a payload has the piece of text that it says it has."""
    text = payload.get("text")
    return isinstance(text, str) and len(text) == end - start and sha256_text(text) == payload.get("text_sha256")


def _origin(payload: Mapping[str, Any]) -> Origin:
    """Say where a point comes from; what stands in a payload that nobody vouches for may be anything."""
    page = payload.get("page_number")
    return Origin(
        document=str(payload.get("document_key")),
        page=page if isinstance(page, int) else 0,
        batch=str(payload.get("batch")),
        content=str(payload.get("document_sha256")),
    )


@dataclass(frozen=True, slots=True)
class SalvageTask:
    """A damaged version to read as far as it goes."""

    vectors: Path
    version: str


def salvage(task: SalvageTask) -> Observed:
    """Run in a worker process: an engine may crash on damaged files."""
    with EdgeVersionStore(task.vectors).open(task.version, salvage=True) as reader:
        return read_points(reader)


def salvaged(workspace: Workspace, version: str) -> Observed | None:
    """Read a version that does not open as it should; None if nothing can be read of it.

    What a server holds is read in this process: it cannot bring it down.
    """
    if workspace.vectors.engine == "server":
        try:
            with workspace.versions().open(version, salvage=True) as reader:
                return read_points(reader)
        except RagflowError:
            return None
    task = SalvageTask(workspace.home.vectors, version)
    ((_, found),) = workspace.pool().map(salvage, [task], seconds=lambda _: SALVAGE_SECONDS)
    return None if isinstance(found, TaskFailure) else found


def observe(
    workspace: Workspace, version: str, drawing: Drawing | None = None
) -> tuple[Observed | None, IntegrityError | None]:
    """Read a version; if it is damaged, return what can be read of it, and the damage.

    Raises:
        NotFoundError: there is no such complete version.
    """
    try:
        with workspace.versions().open(version) as reader:
            return read_points(reader, drawing), None
    except IntegrityError as error:
        return salvaged(workspace, version), error
