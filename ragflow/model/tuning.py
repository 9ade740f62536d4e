"""What tuning has found: how much each side of a search counts in this archive."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ragflow.model.fusion import Fusion
from ragflow.model.releases import sealed, unsealed

TUNING_FORMAT = "ragflow-tuning/1"


@dataclass(frozen=True, slots=True)
class Tuning:
    """Weights that were fitted on questions with known answers.

    Attributes:
        dense: language → weight of the dense side, see :class:`ragflow.model.fusion.Fusion`.
        model_sha256: of the embedding model that the weights hold for.
        version: the collection version that was asked.
        questions: language → how many questions the weight was fitted on.
        ndcg_before, ndcg_after: mean nDCG@10 with the weights that stood before, and, cross-validated, with new ones.
        folds: parts of the cross-validation.
        tuned_at: ISO 8601, UTC.
    """

    dense: Mapping[str, float]
    model_sha256: str
    version: str
    questions: Mapping[str, int]
    ndcg_before: float
    ndcg_after: float
    folds: int
    tuned_at: str

    def to_dict(self) -> dict[str, Any]:
        """Return the record as JSON values, sealed."""
        return sealed({"format": TUNING_FORMAT, **asdict(self)})

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Tuning:
        """Read a record.

        Raises:
            EditedError: the seal is broken.
            KeyError, TypeError, ValueError: it is no record of this format, or a weight is none.
        """
        found = cls(**unsealed(value, TUNING_FORMAT))
        Fusion(found.dense)
        return found
