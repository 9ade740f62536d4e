"""Fuse the rankings of both sides of a search, dense and sparse, into one.

Scores of the two sides cannot be compared: one is a cosine, the other a sum over words. What can be compared is how far
a hit stands out, counted in standard deviations of what its query scores over the whole collection. Rare words that
stand together in one page stand out by twenty of them; an embedding model that does not know the language of the query
puts everything close together. So the side that knows its answer speaks louder, query by query, before any weight is
set.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from math import log, sqrt

import numpy as np

from ragflow.model.points import Float32Array, Point, SparseVector
from ragflow.vectors.protocols import ScoredPoint

SAMPLE = 1024
"""Points by which the spread is told. Ids are hashes, so the first ones are a fair sample."""
USUAL_WEIGHT = 1.2
"""BM25 weight of a word where no point of the sample has it."""
HALF_WAY = 4.0
"""Standard deviations that are shown as a score of one half."""
LEAST_SPREAD = 1e-3


class Spread:
    """How much the scores of a query differ over a collection, told by a sample of its points.

    Args:
        points: the sample, with vectors.
    """

    def __init__(self, points: Sequence[Point]) -> None:
        self._count = len(points)
        dense = np.stack([point.dense for point in points]) if points else np.zeros((1, 1), np.float32)
        self._mean = dense.mean(axis=0)
        deviations = (dense - self._mean) / np.float32(sqrt(len(dense)))
        # Multiplied out where that is the smaller matrix: every query is multiplied with it.
        self._multiplied = len(deviations) > deviations.shape[1]
        self._deviations = deviations.T @ deviations if self._multiplied else deviations
        terms = np.concatenate([point.sparse.indices for point in points]) if points else np.zeros(0, np.uint32)
        weights = np.concatenate([point.sparse.values for point in points]) if points else np.zeros(0, np.float32)
        self._terms, place = np.unique(terms, return_inverse=True)
        self._having = np.bincount(place, minlength=len(self._terms)).astype(np.float64)
        self._sum = np.bincount(place, weights, minlength=len(self._terms))
        self._squares = np.bincount(place, weights.astype(np.float64) ** 2, minlength=len(self._terms))

    def of_dense(self, vector: Float32Array) -> tuple[float, float]:
        """Return mean and standard deviation of the cosines; ``vector`` has shape (dimension,) and unit length."""
        if self._count < 2:
            return 0.0, 1.0
        product = self._deviations @ vector
        variance = float((vector if self._multiplied else product) @ product)
        return float(self._mean @ vector), max(sqrt(max(variance, 0.0)), LEAST_SPREAD)

    def of_sparse(self, query: SparseVector) -> float:
        """Return the standard deviation of the BM25 scores, words taken as independent of each other.

        A word that the sample lacks counts as if half a point had it.
        """
        variance = 0.0
        for term, times in zip(query.indices.tolist(), query.values.tolist(), strict=True):
            having, first, second = self._moments(term)
            frequency = log((self._count - having + 0.5) / (having + 0.5) + 1.0)
            mean = (first + 0.5 * USUAL_WEIGHT) / (self._count + 1)
            square = (second + 0.5 * USUAL_WEIGHT**2) / (self._count + 1)
            variance += (times * frequency) ** 2 * (square - mean**2)
        return max(sqrt(max(variance, 0.0)), LEAST_SPREAD) if len(query.indices) else 1.0

    def _moments(self, term: int) -> tuple[float, float, float]:
        place = int(np.searchsorted(self._terms, term))
        if place == len(self._terms) or self._terms[place] != term:
            return 0.0, 0.0, 0.0
        return float(self._having[place]), float(self._sum[place]), float(self._squares[place])


def fuse(
    dense: Sequence[ScoredPoint],
    sparse: Sequence[ScoredPoint],
    weight: float = 0.5,
    spreads: tuple[float, float] = (1.0, 1.0),
    usual: float = 0.0,
) -> list[ScoredPoint]:
    """Fuse two rankings, best first; a score tells by how many standard deviations a hit stands out, weighted.

    Args:
        dense: all hits of either side, as the dense side scores them.
        sparse: the same; a hit without any word of the query may be left out.
        weight: of the dense side, 0.0 to 1.0.
        spreads: standard deviation of the scores of either side.
        usual: mean score of the dense side; that of BM25 is next to nothing, most points having none of the words.
    """
    # By number: an id is hashed and compared in Python, a number is not.
    totals: dict[int, float] = {}
    for side, share, spread, mean in zip((dense, sparse), (weight, 1.0 - weight), spreads, (usual, 0.0), strict=True):
        factor = share / spread
        for identifier, score, _ in side:
            number = identifier.int
            totals[number] = totals.get(number, 0.0) + factor * (score - mean)
    points = {point.id.int: point for point in chain(sparse, dense)}
    order = sorted((-total, number) for number, total in totals.items())
    return [ScoredPoint(points[number].id, -negative, points[number].payload) for negative, number in order]


def shown(deviations: float) -> float:
    """Return a score between 0 and 1 for a number without limits; the order stays."""
    return deviations / (deviations + HALF_WAY) if deviations > 0 else 0.0
