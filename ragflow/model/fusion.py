"""How much each side of a hybrid search counts, by language."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import isfinite
from typing import Any

OTHER = "other"
"""Stands for every language that has no weight of its own."""
EVEN = 0.5
ENGLISH_ONLY: Mapping[str, float] = {OTHER: 0.5, "en": 0.65, "fr": 0.4}
"""For a model that was trained on English, by what it reached on test collections in both languages."""


@dataclass(frozen=True, slots=True)
class Fusion:
    """Weights of the dense side, 0.0 (words only) to 1.0 (meaning only).

    An embedding model that hardly knows a language must not have the same say there as BM25: with equal weights it
    makes good answers worse.

    Attributes:
        dense: ISO 639-1 code, or :data:`OTHER`, → weight.
    """

    dense: Mapping[str, float] = field(default_factory=lambda: {OTHER: EVEN})

    def __post_init__(self) -> None:
        for language, weight in self.dense.items():
            if not language or not isfinite(weight) or not 0.0 <= weight <= 1.0:
                raise ValueError(f"the weight of {language!r} is {weight!r}, and must be a number from 0 to 1")

    def weight(self, language: str | None) -> float:
        """Return the weight for hits in a language."""
        found = self.dense.get(language or OTHER)
        return self.dense.get(OTHER, EVEN) if found is None else found

    def mean(self, languages: Iterable[str | None]) -> float:
        """Return the mean weight over the languages of some hits; over none, that of :data:`OTHER`."""
        weights = [self.weight(language) for language in languages]
        return sum(weights) / len(weights) if weights else self.weight(None)

    def to_dict(self) -> dict[str, Any]:
        return dict(sorted(self.dense.items()))
