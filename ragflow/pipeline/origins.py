"""Say of each break with which release it came."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ragflow.errors import IntegrityError, NotFoundError
from ragflow.model.batches import BatchManifest
from ragflow.model.releases import Decision, ReleaseRecord, VersionRecord
from ragflow.model.verdicts import Verdict
from ragflow.pipeline.observed import observed_hash
from ragflow.pipeline.workspace import Workspace

Hashes = dict[uuid.UUID, bytes]


def with_first_release(workspace: Workspace, record: VersionRecord, verdicts: Sequence[Verdict]) -> list[Verdict]:
    """Add ``first_release`` to the rows of failed verdicts: the first release that shows what the row says.

    For a point that is the first kept version in which it is as it is now. For a table or a document it is the first
    version that was built from its batch: every version since then stands on it.
    """
    if all(verdict.passed for verdict in verdicts):
        return list(verdicts)
    try:
        released = [r for r in workspace.home.releases.all() if r.decision is Decision.PROMOTED]
    except IntegrityError:
        # The release records themselves are broken, which is told: nothing can be said about when.
        return list(verdicts)
    points = {uuid.UUID(row["point"]) for v in verdicts if not v.passed for row in v.rows if "point" in row}
    history = _history(workspace, released, sorted(points))
    homes = _batches_of_documents(workspace, record)
    return [
        verdict
        if verdict.passed
        else replace(verdict, rows=tuple(_told(row, record.version, released, history, homes) for row in verdict.rows))
        for verdict in verdicts
    ]


def _history(workspace: Workspace, released: Sequence[ReleaseRecord], points: Sequence[uuid.UUID]) -> dict[str, Hashes]:
    """Return version → hashes of the points concerned, for every released version that can still be read."""
    history: dict[str, Hashes] = {}
    for version in dict.fromkeys(release.version for release in released) if points else ():
        try:
            with workspace.versions().open(version) as reader:
                history[version] = {point.id: observed_hash(point) for point in reader.retrieve(points)}
        except (NotFoundError, IntegrityError):
            # Pruned, or damaged as a whole: the point shows in the other versions.
            continue
    return history


def _batches_of_documents(workspace: Workspace, record: VersionRecord) -> dict[str, str]:
    """Return document key → the last batch of the version that says something about it."""
    found: dict[str, str] = {}
    for batch in sorted(record.batches):
        try:
            manifest: BatchManifest = workspace.home.manifests.get(batch)
        except (NotFoundError, IntegrityError):
            continue
        found.update({change.key: batch for change in manifest.documents})
    return found


def _told(
    row: dict[str, Any],
    version: str,
    released: Sequence[ReleaseRecord],
    history: dict[str, Hashes],
    homes: dict[str, str],
) -> dict[str, Any]:
    if "point" in row and version in history:
        identifier = uuid.UUID(row["point"])
        now = history[version].get(identifier)
        known = [r for r in released if r.version in history and (now is not None or row.get("batch") in r.batches)]
        first = next((r for r in known if history[r.version].get(identifier) == now), None)
    else:
        batch = row.get("batch") or homes.get(str(row.get("document")))
        first = next((r for r in released if batch in r.batches), None) if batch else None
    return row if first is None else {**row, "first_release": first.number, "first_version": first.version}
