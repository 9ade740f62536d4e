"""Checks on a collection version."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from ragflow.model.points import diff
from ragflow.model.verdicts import Verdict, verdict

Owner = Mapping[uuid.UUID, tuple[str, int]]
"""Point id → (document key, page number)."""


def points_exact(
    desired: Mapping[uuid.UUID, bytes],
    observed: Mapping[uuid.UUID, bytes],
    doubled: Sequence[uuid.UUID],
    owners: Owner,
) -> Verdict:
    """The collection holds exactly the desired points: none missing, none changed, none too many, none twice.

    Args:
        desired, observed: point id → point hash.
        doubled: ids that were met more than once while reading the collection.
        owners: document and page of every desired and every observed point.
    """
    delta = diff(desired, observed)
    failures: list[dict[str, Any]] = []
    for identifier in delta.upserts:
        problem = "differs from its sources" if identifier in observed else "is missing"
        failures.append(_row(identifier, owners, problem))
    failures += [_row(identifier, owners, "belongs to no document that is there now") for identifier in delta.deletes]
    failures += [_row(identifier, owners, "is there more than once") for identifier in doubled]
    return verdict(
        "points_exact",
        failures,
        passed=f"All {len(desired)} points are as they should be; none is missing, left over or doubled.",
        failed="{count} points are not as they should be.",
        remedy="Run `ragflow ingest --rebuild` to build and prove a new version from the tables.",
    )


def _row(identifier: uuid.UUID, owners: Owner, problem: str) -> dict[str, Any]:
    document, page = owners.get(identifier, ("unknown", 0))
    return {"document": document, "page": page, "point": str(identifier), "problem": problem}
