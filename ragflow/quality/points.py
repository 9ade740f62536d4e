"""Checks on a collection version."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from ragflow.model.points import diff
from ragflow.model.verdicts import MAX_ROWS, Outcome, Verdict, verdict

REMEDY = "Run `ragflow ingest --rebuild` to build and prove a new version from the tables."


class Origin(NamedTuple):
    """Where a point comes from; ``page`` is 1-based."""

    document: str
    page: int
    batch: str
    content: str


def points_exact(
    desired: Mapping[uuid.UUID, tuple[bytes, Origin]],
    observed: Mapping[uuid.UUID, tuple[bytes, Origin]],
    doubled: Sequence[uuid.UUID],
    contents: Mapping[str, str | None],
) -> Verdict:
    """The collection holds exactly the desired points: none missing, none changed, none too many, none twice.

    Args:
        desired, observed: point id → point hash, and where the point comes from, or says that it does.
        doubled: ids that were met more than once while reading the collection.
        contents: document key → content hash, for the documents that are there now.
    """
    delta = diff(
        {identifier: digest for identifier, (digest, _) in desired.items()},
        {identifier: digest for identifier, (digest, _) in observed.items()},
    )
    failures: list[dict[str, Any]] = []
    for identifier in delta.upserts:
        problem = "differs from its sources" if identifier in observed else "is missing"
        failures.append(_row(identifier, desired[identifier][1], problem))
    for identifier in delta.deletes:
        origin = observed[identifier][1]
        failures.append(_row(identifier, origin, _left_over(origin, contents)))
    for identifier in doubled:
        origin = desired[identifier][1] if identifier in desired else observed[identifier][1]
        failures.append(_row(identifier, origin, "is there more than once"))
    return verdict(
        "points_exact",
        failures,
        passed=f"All {len(desired)} points are as they should be; none is missing, left over or doubled.",
        failed="{count} points are not as they should be.",
        remedy=REMEDY,
    )


def _left_over(origin: Origin, contents: Mapping[str, str | None]) -> str:
    if origin.document not in contents:
        return "belongs to no document that is there now"
    if contents[origin.document] != origin.content:
        return "belongs to an earlier state of its document"
    return "is no chunk of its document"


def _row(identifier: uuid.UUID, origin: Origin, problem: str) -> dict[str, Any]:
    place = {"document": origin.document, "page": origin.page, "batch": origin.batch}
    return {**place, "point": str(identifier), "problem": problem}


@dataclass(frozen=True, slots=True)
class PageText:
    """An indexed page and the pieces of its text that points hold, as (start, end) in characters."""

    document: str
    page: int
    text: str
    spans: Sequence[tuple[int, int]]


def served_coverage(pages: Iterable[PageText], threshold: float) -> Verdict:
    """What was read is served: every document and page with text has points, and they hold its characters.

    White space does not count.
    """
    documents: dict[str, bool] = {}
    total_pages = pages_served = characters = served = 0
    failures: list[dict[str, Any]] = []
    for page in pages:
        letters = _letters(page.text)
        held = sum(_letters(page.text[start:end]) for start, end in _merged(page.spans))
        documents[page.document] = documents.get(page.document, False) or held > 0
        total_pages += 1
        pages_served += held > 0
        characters += letters
        served += held
        if held < letters and len(failures) < MAX_ROWS:
            problem = "is not served at all" if not held else f"{letters - held} of {letters} characters are not served"
            failures.append({"document": page.document, "page": page.page, "problem": problem})
    share = served / characters if characters else 1.0
    ok = share >= threshold and (pages_served == total_pages or threshold < 1.0)
    return Verdict(
        "served_coverage",
        Outcome.PASS if ok else Outcome.FAIL,
        f"Of what was read, {sum(documents.values())} of {len(documents)} documents, {pages_served} of {total_pages}"
        f" pages and {share:.2%} of the characters can be found.",
        figure=round(share, 6),
        threshold=threshold,
        remedy="" if ok else REMEDY,
        rows=tuple(failures),
    )


def _letters(text: str) -> int:
    return len("".join(text.split()))


def _merged(spans: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the spans without overlaps, in order."""
    merged: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged
