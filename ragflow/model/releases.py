"""Release records: append-only, one per decision."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from ragflow.model.ledger import Ledger
from ragflow.model.verdicts import Outcome, Verdict

RELEASE_FORMAT = "ragflow-release/1"


class Decision(StrEnum):
    """What became of a candidate, or what moved the alias."""

    PROMOTED = "promoted"
    REJECTED = "rejected"
    ROLLED_BACK = "rolled_back"


@dataclass(frozen=True, slots=True)
class ReleaseRecord:
    """One decision about one collection version.

    Attributes:
        number: 1-based, without gaps.
        version: the collection version that was judged, or, for a rollback, made live again.
        decision: promoted, rejected or rolled back.
        decided_at: ISO 8601, UTC.
        replaced: the version that was live before; None if none was.
        previous: SHA-256 of the record before this one; None for the first.
        configuration_fingerprint: model, chunker and collection settings.
        corpus_fingerprint: batches and configuration: equal means that nothing would change.
        batches: batch key → output hash of its embeddings table.
        points: number of points in the version.
        merkle_root: over all points of the version, in order of their ids.
        ledger: of the corpus at the time.
        verdicts: all that the gate said, with figures.
    """

    number: int
    version: str
    decision: Decision
    decided_at: str
    replaced: str | None
    previous: str | None
    configuration_fingerprint: str
    corpus_fingerprint: str
    batches: Mapping[str, str]
    points: int
    merkle_root: str
    ledger: Ledger
    verdicts: tuple[Verdict, ...]

    def to_dict(self) -> dict[str, Any]:
        return {"format": RELEASE_FORMAT, **asdict(self)}

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> ReleaseRecord:
        fields = {key: item for key, item in value.items() if key != "format"}
        fields["decision"] = Decision(fields["decision"])
        fields["ledger"] = Ledger(**fields["ledger"])
        fields["verdicts"] = tuple(
            Verdict(**{**item, "outcome": Outcome(item["outcome"]), "rows": tuple(item["rows"])})
            for item in fields["verdicts"]
        )
        return cls(**fields)


@dataclass(frozen=True, slots=True)
class VersionRecord:
    """What a collection version was built from; written when its build is complete.

    Attributes:
        version: ``v000001`` and so on.
        base: the version it was cloned from; None if it was built from nothing (a first build or a reindex).
        upserted, deleted, unchanged: what the build did to the clone.
        Others as in :class:`ReleaseRecord`.
    """

    version: str
    base: str | None
    built_at: str
    dimension: int
    configuration_fingerprint: str
    corpus_fingerprint: str
    batches: Mapping[str, str]
    points: int
    merkle_root: str
    upserted: int
    deleted: int
    unchanged: int
