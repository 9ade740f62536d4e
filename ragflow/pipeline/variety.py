"""Keep hits from being the same thing over and over: near-identical texts folded, other subjects preferred."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from ragflow.model.points import Float32Array

NEARLY_THE_SAME = 0.8
"""Share of runs of words that two texts have in common, out of all that either has, from which on they count as one."""
WORTH_A_LOOK = 0.6
"""The same share of single words, which are told sooner: with less, two texts cannot be nearly the same."""
RUN = 3
"""Words in a run."""

_WORD = re.compile(r"\w+")


class Likeness:
    """A text that others are compared with."""

    def __init__(self, text: str) -> None:
        self._text = text.casefold()
        self._words = frozenset(self._text.split())
        self._runs: frozenset[tuple[str, ...]] | None = None

    @property
    def runs(self) -> frozenset[tuple[str, ...]]:
        """The runs of :data:`RUN` words; of a shorter text, all of it."""
        if self._runs is None:
            words = _WORD.findall(self._text)
            short = len(words) <= RUN
            self._runs = frozenset(
                [tuple(words)] if short else zip(*(words[start:] for start in range(RUN)), strict=False)
            )
        return self._runs

    def is_nearly(self, other: Likeness) -> bool:
        """Whether two texts differ by no more than two readings of the same page do."""
        return (
            _jaccard(self._words, other._words) >= WORTH_A_LOOK and _jaccard(self.runs, other.runs) >= NEARLY_THE_SAME
        )


def _jaccard(one: frozenset[Any], other: frozenset[Any]) -> float:
    shared = len(one & other)
    return shared / (len(one) + len(other) - shared) if one or other else 1.0


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
