"""Duplicates among points: the same bytes, and vectors and texts that are nearly the same.

Near duplicates form stars, not chains: a point is linked to an earlier one that is itself linked to none, and is near
to that very point. So whoever drops the linked ones drops nothing of which there is no near twin left.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ragflow.model.points import Float32Array, Point, SparseVector
from ragflow.pipeline.progress import report
from ragflow.vectors.edge import EdgeVersionStore
from ragflow.vectors.protocols import CollectionSettings

GRAM = 5
"""Characters of the pieces by which texts are compared."""
BLOCK, COLUMNS = 1_024, 8_192
"""Points in a block, and earlier points that it is multiplied with at a time: 32 MiB of cosines."""
MAX_CANDIDATES = 64
"""Earlier points whose text is compared with that of one point: those with the highest cosine."""
SLACK = 1e-4
"""Below the limit, by which a cosine in float32 makes a candidate; what counts is the cosine in float64."""
_VERSION = "v000001"
_NO_TERMS = SparseVector(np.empty(0, np.uint32), np.empty(0, np.float32))

Candidates = list[list[tuple[float, int]]]
"""Of each point of a block: (cosine, earlier point)."""
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class NearOptions:
    """When two points are near duplicates.

    Attributes:
        cosine: least cosine of their vectors.
        jaccard: least share of common 5-grams of characters in their texts, where both have one; a point with a text
            and one without are not alike.
        exact_limit: up to so many points every pair is compared. Beyond, an index gives the 64 nearest neighbours of
            each: it may miss some, and of more than 64 that are all near, a few may stay apart.
    """

    cosine: float = 0.98
    jaccard: float = 0.8
    exact_limit: int = 100_000


@dataclass(frozen=True, slots=True)
class NearLink:
    """Point ``row`` is a near duplicate of the earlier point ``of``; ``jaccard`` is None where there are no texts."""

    row: int
    of: int
    cosine: float
    jaccard: float | None


def first_of(hashes: npt.NDArray[np.uint8]) -> IntArray:
    """Return, for each row of shape (n, 32), the number of the first row with the same bytes."""
    words = np.ascontiguousarray(hashes).view(np.uint64).reshape(-1, 4)
    order = np.lexsort(words.T)  # stable: equal rows stay in their order
    sorted_words = words[order]
    starts = np.ones(len(order), dtype=bool)
    starts[1:] = (sorted_words[1:] != sorted_words[:-1]).any(axis=1)
    first = np.empty(len(order), dtype=np.int64)
    first[order] = order[starts][np.cumsum(starts) - 1]
    return first


def grams(text: str) -> frozenset[str]:
    """Return the pieces of five characters of a text; a shorter one is a piece of its own."""
    return frozenset(text[start : start + GRAM] for start in range(max(1, len(text) - GRAM + 1)))


def jaccard(one: frozenset[str], other: frozenset[str]) -> float:
    """Return the share of common members among all, 0.0 to 1.0."""
    common = len(one & other)
    return common / (len(one) + len(other) - common)


def link_near(
    vectors: Float32Array, text: Callable[[int], frozenset[str] | None], options: NearOptions, scratch: Path
) -> tuple[list[NearLink], str]:
    """Find near duplicates.

    Args:
        vectors: of unit length, shape (points, dimension); may be mapped from a file.
        text: returns the 5-grams of a point's text, None if it has none.
        scratch: where an index is built, if there are too many points to compare all.

    Returns:
        The links in ascending order of points, and how they were found: ``exact`` or ``index``.
    """
    lead_of = np.arange(len(vectors))
    leads = np.zeros(len(vectors), dtype=bool)
    method = "exact" if len(vectors) <= options.exact_limit else "index"
    blocks = (
        _multiplied(vectors, leads, options.cosine - SLACK)
        if method == "exact"
        else _searched(vectors, options.cosine - SLACK, scratch)
    )
    links = []
    for start, candidates in blocks:
        for row, earlier in enumerate(candidates, start):
            # A neighbour that is linked itself shows the way to the one it is linked to.
            link = _best(row, [(cosine, int(lead_of[other])) for cosine, other in earlier], vectors, text, options)
            leads[row] = link is None
            if link is not None:
                lead_of[row] = link.of
                links.append(link)
        report("looking for near duplicates", start + len(candidates), len(vectors))
    return links, method


def _best(
    row: int,
    candidates: list[tuple[float, int]],
    vectors: Float32Array,
    text: Callable[[int], frozenset[str] | None],
    options: NearOptions,
) -> NearLink | None:
    """Return the link to the nearest candidate that is near enough in vector and text."""
    nearest = sorted(candidates, key=lambda pair: (-pair[0], pair[1]))[:MAX_CANDIDATES]
    exact = [
        (float(vectors[row].astype(np.float64) @ vectors[other].astype(np.float64)), other) for _, other in nearest
    ]
    for cosine, other in sorted(exact, key=lambda pair: (-round(pair[0], 9), pair[1])):
        if cosine < options.cosine:
            break
        one, two = text(row), text(other)
        if one is None and two is None:
            return NearLink(row, other, cosine, None)
        if one is not None and two is not None and (share := jaccard(one, two)) >= options.jaccard:
            return NearLink(row, other, cosine, share)
    return None


def _multiplied(vectors: Float32Array, leads: npt.NDArray[np.bool_], least: float) -> Iterator[tuple[int, Candidates]]:
    """Compare every point with all before it; of earlier blocks, only points that lead are given out."""
    for start in range(0, len(vectors), BLOCK):
        block = np.ascontiguousarray(vectors[start : start + BLOCK])
        found: Candidates = [[] for _ in range(len(block))]
        for first in range(0, start, COLUMNS):
            stop = min(first + COLUMNS, start)
            _collect(found, block @ vectors[first:stop].T, least, first, leads[first:stop])
        _collect(found, np.tril(block @ block.T, -1), least, start, None)
        yield start, found


def _collect(
    found: Candidates, scores: Float32Array, least: float, first: int, leads: npt.NDArray[np.bool_] | None
) -> None:
    """Add the pairs whose cosine is high enough.

    Args:
        first: the point of the first column.
        leads: columns that count, of which the highest of each point are enough; None: all of them.
    """
    for row in np.flatnonzero(scores.max(axis=1) >= least).tolist():
        values = scores[row]
        columns = np.flatnonzero(values >= least if leads is None else (values >= least) & leads)
        pairs = list(zip(values[columns].tolist(), (columns + first).tolist(), strict=True))
        if leads is not None:
            pairs = sorted(found[row] + pairs, key=lambda pair: (-pair[0], pair[1]))[:MAX_CANDIDATES]
            found[row] = pairs
        else:
            found[row] += pairs


def _searched(vectors: Float32Array, least: float, scratch: Path) -> Iterator[tuple[int, Candidates]]:
    """Ask an index for the neighbours of every point; a pair counts if either of the two finds the other."""
    store = EdgeVersionStore(scratch / "near")
    with store.create(_VERSION, CollectionSettings(vectors.shape[1])) as writer:
        for start in range(0, len(vectors), BLOCK):
            block = np.ascontiguousarray(vectors[start : start + BLOCK])
            writer.upsert([Point(uuid.UUID(int=start + row + 1), v, _NO_TERMS, {}) for row, v in enumerate(block)])
            report("indexing vectors", start + len(block), len(vectors))
        writer.finish()
    waiting: dict[int, list[tuple[float, int]]] = {}
    with store.open(_VERSION) as reader, ThreadPoolExecutor() as threads:
        for start in range(0, len(vectors), BLOCK):
            block = np.ascontiguousarray(vectors[start : start + BLOCK])
            found: Candidates = []
            for row, hits in enumerate(threads.map(lambda v: reader.search_dense(v, MAX_CANDIDATES), block), start):
                pairs = [(hit.score, hit.id.int - 1) for hit in hits if hit.score >= least and hit.id.int - 1 != row]
                for score, other in pairs:
                    if other > row:
                        waiting.setdefault(other, []).append((score, row))
                earlier = {other: score for score, other in pairs if other < row}
                earlier.update((other, score) for score, other in waiting.pop(row, ()))
                found.append([(score, other) for other, score in earlier.items()])
            yield start, found
