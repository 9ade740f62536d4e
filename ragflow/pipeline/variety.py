"""Keep hits from being the same thing over and over: near-identical texts folded, other subjects preferred."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from ragflow.model.points import Float32Array

NEARLY_THE_SAME = 0.8
"""Share of runs of words that two texts have in common, out of all that either has, from which on they count as one."""
RUN = 3
"""Words in a run."""

_WORD = re.compile(r"\w+")


def runs_of_words(text: str) -> frozenset[tuple[str, ...]]:
    """Return the runs of :data:`RUN` words of a text, case folded; of a shorter text, all of it."""
    words = _WORD.findall(text.casefold())
    if len(words) <= RUN:
        return frozenset({tuple(words)})
    return frozenset(zip(*(words[start:] for start in range(RUN)), strict=False))


def nearly_the_same(one: frozenset[tuple[str, ...]], other: frozenset[tuple[str, ...]]) -> bool:
    """Whether two texts differ by no more than two readings of the same page do (Jaccard's coefficient)."""
    shared = len(one & other)
    return shared >= NEARLY_THE_SAME * (len(one) + len(other) - shared)


def diverse(scores: Sequence[float], vectors: Float32Array, count: int, diversity: float) -> list[int]:
    """Return the places of ``count`` hits by maximal marginal relevance (Carbonell and Goldstein, 1998).

    Args:
        scores: of the hits, best first; scaled to 0…1 here.
        vectors: of the hits, of unit length, shape (n, dimension).
        diversity: 0.0 keeps the order, 1.0 looks at nothing but difference.
    """
    worth = np.asarray(scores, dtype=np.float64)
    spread = worth.max() - worth.min() if worth.size else 0.0
    worth = (worth - worth.min()) / spread if spread > 0 else np.ones_like(worth)
    alike = vectors @ vectors.T
    chosen: list[int] = []
    nearest = np.zeros(len(worth))
    left = np.ones(len(worth), dtype=bool)
    while left.any() and len(chosen) < count:
        gain = np.where(left, (1.0 - diversity) * worth - diversity * nearest, -np.inf)
        best = int(np.argmax(gain))
        chosen.append(best)
        left[best] = False
        nearest = np.maximum(nearest, alike[best])
    return chosen
