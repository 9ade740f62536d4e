"""What becomes of each adopted point: kept, merged into its exact duplicate, or linked to one that says the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ragflow.pipeline.adopting_rows import EXACT, NEAR, REASONS, SAME_TEXT, Outcomes, Rows
from ragflow.pipeline.duplicates import BLOCK, IntArray, NearOptions, first_of, link_near
from ragflow.pipeline.progress import report

SAME_MODEL_COSINE = 0.95
"""Where the same texts of two collections have vectors less alike than this, at the median, two models made them."""


def merge_exact(rows: Rows) -> Outcomes:
    """Return outcomes in which the first of all points with the same vectors and payload is kept, and the others are
    merged into it."""
    outcomes = Outcomes.of_rows(len(rows))
    for row, first in enumerate(rows.exact_first().tolist()):
        if row != first:
            outcomes.put(row, EXACT, first, merge=True)
    return outcomes


def link_same(rows: Rows, outcomes: Outcomes, *, drop: bool) -> None:
    """Link points with the same text to the first of them that can be searched; ``drop``: merge them into it."""
    kept, searchable = _kept(outcomes), rows.searchable
    ordered = np.concatenate([kept[searchable[kept]], kept[~searchable[kept]]])
    first = ordered[first_of(rows.text_hashes(ordered))] if len(ordered) else ordered
    pairs = np.flatnonzero(ordered != first)
    for start in range(0, len(pairs), BLOCK):
        here, there = ordered[pairs[start : start + BLOCK]], first[pairs[start : start + BLOCK]]
        cosines = _cosines(rows, here, there, searchable)
        for row, of, cosine in zip(here.tolist(), there.tolist(), cosines.tolist(), strict=True):
            outcomes.put(row, SAME_TEXT, of, merge=drop, cosine=cosine)
        report("comparing texts", start + len(here), len(pairs))


def link_alike(
    rows: Rows, outcomes: Outcomes, options: NearOptions, scratch: Path, *, drop: bool
) -> list[dict[str, Any]]:
    """Link near duplicates; ``drop``: merge them.

    Returns:
        How each vector's points were compared.
    """
    methods = []
    kept = np.zeros(len(rows), bool)
    kept[_kept(outcomes)] = True
    for number, (name, named) in enumerate(rows.names()):
        among = named[kept[named]]
        folder = scratch / f"near-{number}"
        folder.mkdir()
        vectors = rows.mapped(among, folder / "vectors.f32")
        links, method = link_near(vectors, rows.grams_of(among), options, folder)
        for link in links:
            jaccard = np.nan if link.jaccard is None else link.jaccard
            row, of = int(among[link.row]), int(among[link.of])
            outcomes.put(row, NEAR, of, merge=drop, cosine=link.cosine, jaccard=jaccard)
        methods.append({"vector": name, "points": len(among), "method": method})
    return methods


def duplicate_figures(rows: Rows, outcomes: Outcomes) -> dict[str, Any]:
    """Return, for each kind of duplicate, how many there are within and across collections, and how alike they are."""
    figures: dict[str, Any] = {}
    for reason in (EXACT, SAME_TEXT, NEAR):
        found = np.flatnonzero(outcomes.reason == REASONS.index(reason))
        across = rows.collection[found] != rows.collection[outcomes.of[found]]
        figures[reason] = {
            "points": len(found),
            "within": int((~across).sum()),
            "across": int(across.sum()),
            "cosine": _spread(outcomes.cosine[found]),
            "jaccard": _spread(outcomes.jaccard[found]),
        }
    return figures


def other_model(rows: Rows, outcomes: Outcomes) -> tuple[int, float] | None:
    """Return how many pairs across collections have the same text, and the median cosine of their vectors, if that is
    so low that different models must have made them."""
    found = np.flatnonzero((outcomes.reason == REASONS.index(SAME_TEXT)) & ~np.isnan(outcomes.cosine))
    pairs = outcomes.cosine[found[rows.collection[found] != rows.collection[outcomes.of[found]]]]
    if not len(pairs) or (median := float(np.median(pairs))) >= SAME_MODEL_COSINE:
        return None
    return len(pairs), median


def _kept(outcomes: Outcomes) -> IntArray:
    """Return the rows of which nothing is said yet."""
    return np.flatnonzero(outcomes.reason == 0)


def _cosines(rows: Rows, here: IntArray, there: IntArray, searchable: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """Return the cosine of each pair; NaN where one of the two has no vector."""
    cosines = np.full(len(here), np.nan)
    both = searchable[here] & searchable[there]
    if both.any():
        one, other = rows.unit(here[both]), rows.unit(there[both])
        cosines[both] = np.einsum("ij,ij->i", one, other, dtype=np.float64)
    return cosines


def _spread(values: npt.NDArray[np.float64]) -> dict[str, float] | None:
    known = values[~np.isnan(values)]
    if not len(known):
        return None
    figures = {"least": known.min(), "median": np.median(known), "most": known.max()}
    return {name: round(float(value), 6) for name, value in figures.items()}
