"""Release records: append-only, one per decision, each sealed and chained to the one before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from ragflow.model.fingerprints import canonical_json, sha256_hex
from ragflow.model.ledger import Ledger
from ragflow.model.verdicts import Outcome, Verdict

RELEASE_FORMAT = "ragflow-release/2"
CANARY_FORMAT = "ragflow-canary/1"
SEAL = "seal"


class EditedError(ValueError):
    """A record is not what was sealed."""


class Decision(StrEnum):
    """What became of a candidate, or what moved the alias."""

    PROMOTED = "promoted"
    REJECTED = "rejected"
    ROLLED_BACK = "rolled_back"
    WITHDRAWN = "withdrawn"
    """The first version of all failed its canaries: nothing is live again."""


@dataclass(frozen=True, slots=True)
class ReleaseRecord:
    """One decision about one collection version.

    Attributes:
        number: 1-based, without gaps.
        version: the collection version that was judged, or, for a rollback, made live again, or withdrawn.
        decision: promoted, rejected, rolled back or withdrawn.
        decided_at: ISO 8601, UTC.
        replaced: the version that was live before; None if none was.
        previous: SHA-256 of the record before this one; None for the first.
        configuration_fingerprint: model, chunker and collection settings.
        corpus_fingerprint: batches and configuration: equal means that nothing would change.
        batches: batch key → output hash of its embeddings table.
        points: number of points in the version.
        merkle_root: over the batches' roots.
        ledger: of the corpus at the time.
        verdicts: all that the gate said, with figures.
        tables: asset → batch key → output hash of the tables that the version was built from.
        batch_roots: batch key → Merkle root over its points, see :mod:`ragflow.model.merkle`.
        switched_off: verdicts that the settings had switched off.
        reason: why a version was rolled back from or withdrawn, for a person; empty where the verdicts say it.
        fusion: how much each side of a hybrid search counts, see :class:`ragflow.model.fusion.Fusion`.
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
    tables: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    batch_roots: Mapping[str, str] = field(default_factory=dict)
    switched_off: tuple[str, ...] = ()
    reason: str = ""
    fusion: Mapping[str, float] = field(default_factory=dict)

    @property
    def moved_alias(self) -> bool:
        return self.decision is not Decision.REJECTED

    @property
    def live_after(self) -> str | None:
        """Return what is live after a decision that moved the alias."""
        return None if self.decision is Decision.WITHDRAWN else self.version

    def to_dict(self) -> dict[str, Any]:
        """Return the record as JSON values, sealed: an edit of the newest record, which nothing follows, shows too."""
        return sealed({"format": RELEASE_FORMAT, **asdict(self)})

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> ReleaseRecord:
        """Read a record.

        Raises:
            EditedError: the seal is broken.
            KeyError, TypeError, ValueError: it is no record of this format.
        """
        fields = unsealed(value, RELEASE_FORMAT)
        fields["decision"] = Decision(fields["decision"])
        fields["ledger"] = Ledger(**fields["ledger"])
        fields["verdicts"] = verdicts_from(fields["verdicts"])
        fields["switched_off"] = tuple(fields["switched_off"])
        return cls(**fields)


@dataclass(frozen=True, slots=True)
class CanaryRecord:
    """What the canaries said after the alias had moved.

    Attributes:
        release: number of the release record.
        release_sha256: of that record's file.
        version: that was live when they asked.
        asked_at: ISO 8601, UTC.
        verdicts: all of them; empty if they are switched off.
    """

    release: int
    release_sha256: str
    version: str
    asked_at: str
    verdicts: tuple[Verdict, ...]

    @property
    def passed(self) -> bool:
        return all(verdict.passed for verdict in self.verdicts)

    def to_dict(self) -> dict[str, Any]:
        return sealed({"format": CANARY_FORMAT, **asdict(self)})

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> CanaryRecord:
        """Read a record; raises as :meth:`ReleaseRecord.from_dict`."""
        fields = unsealed(value, CANARY_FORMAT)
        return cls(**{**fields, "verdicts": verdicts_from(fields["verdicts"])})


@dataclass(frozen=True, slots=True)
class VersionRecord:
    """What a collection version was built from; written when its build is complete.

    Attributes:
        version: ``v000001`` and so on.
        base: the version it was cloned from; None if it was built from nothing (a first build or a reindex).
        upserted, deleted, unchanged: what the build did to the clone.
        configuration: the settings that the build was made with, as far as they decide the collection: ``model``,
            ``model_sha256``, ``target_tokens``, ``collection``.
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
    tables: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    batch_roots: Mapping[str, str] = field(default_factory=dict)
    configuration: Mapping[str, Any] = field(default_factory=dict)
    fusion: Mapping[str, float] = field(default_factory=dict)


IN_BOTH = (
    "version",
    "configuration_fingerprint",
    "corpus_fingerprint",
    "batches",
    "points",
    "merkle_root",
    "tables",
    "batch_roots",
    "fusion",
)
"""Fields that a release record repeats from the record of its version, and so seals."""


def verdicts_from(values: Any) -> tuple[Verdict, ...]:
    """Read verdicts from JSON values."""
    return tuple(
        Verdict(**{**item, "outcome": Outcome(item["outcome"]), "rows": tuple(item["rows"])}) for item in values
    )


def seal_of(content: Mapping[str, Any]) -> str:
    """Return the hash over a record's content, the seal itself left out."""
    return sha256_hex(canonical_json({key: value for key, value in content.items() if key != SEAL}))


def sealed(content: dict[str, Any]) -> dict[str, Any]:
    return {**content, SEAL: seal_of(content)}


def unsealed(value: Mapping[str, Any], expected_format: str) -> dict[str, Any]:
    """Return the fields of a sealed record.

    Raises:
        EditedError: its seal is broken.
        ValueError: it has another format.
    """
    if value["format"] != expected_format:
        raise ValueError(f"its format is {value['format']!r}, not {expected_format!r}")
    if value[SEAL] != seal_of(value):
        raise EditedError("its seal is broken")
    return {key: item for key, item in value.items() if key not in ("format", SEAL)}
