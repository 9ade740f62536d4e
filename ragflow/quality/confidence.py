"""How sure a mean is, told by drawing the questions again and again (the bootstrap)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

DRAWS = 2_000
LEVEL = 0.95
_SEED = 20_250_101


class Estimate(NamedTuple):
    """A mean and the interval in which it lies with a confidence of :data:`LEVEL`."""

    mean: float
    low: float
    high: float


def estimate(values: Sequence[float]) -> Estimate:
    """Return the mean of the values, one per question, and its percentile bootstrap interval.

    The draws are always the same ones: equal values give equal intervals.

    Raises:
        ValueError: there are no values.
    """
    if not values:
        raise ValueError("there is no mean over no values")
    found = np.asarray(values, dtype=np.float64)
    places = np.random.default_rng(_SEED).integers(0, len(found), size=(DRAWS, len(found)))
    means = found[places].mean(axis=1)
    tail = (1.0 - LEVEL) / 2
    low, high = np.quantile(means, [tail, 1.0 - tail])
    return Estimate(float(found.mean()), float(low), float(high))
