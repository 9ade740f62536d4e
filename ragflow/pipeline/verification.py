"""Verify what is served: the chain from stored bytes to points, and the records that say what is live."""

from __future__ import annotations

from dataclasses import dataclass

from ragflow.errors import IntegrityError, NotFoundError
from ragflow.model.batches import fold
from ragflow.model.releases import Decision
from ragflow.model.verdicts import Outcome, Verdict
from ragflow.pipeline.deep import bytes_to_words
from ragflow.pipeline.examination import examine
from ragflow.pipeline.release import live_version
from ragflow.pipeline.workspace import Workspace


@dataclass(frozen=True, slots=True)
class VerificationReport:
    """What was recomputed.

    Attributes:
        version: that was verified.
        verdicts: one per check.
        points: number of points recorded for the version.
        seconds: what it took.
    """

    version: str
    verdicts: tuple[Verdict, ...]
    points: int
    seconds: float

    @property
    def passed(self) -> bool:
        return all(verdict.passed for verdict in self.verdicts)


def verify(workspace: Workspace, version: str | None = None, *, deep: bool = False) -> VerificationReport:
    """Recompute the chain of a version, offline.

    Coverage is a matter of the gate, not of integrity, and is left out.

    Args:
        version: None: the live one.
        deep: also read the stored bytes again, page by page.

    Raises:
        NotFoundError: nothing is live, or there is no such version.
    """
    live = live_version(workspace)
    version = version or live
    if version is None:
        raise NotFoundError("Nothing is live yet.", remedy="Run `ragflow ingest` first.")
    examination = examine(workspace, version)
    verdicts = [verdict for verdict in examination.verdicts if verdict.name != "coverage"]
    verdicts.append(_releases(workspace, live))
    if deep:
        manifests = [workspace.home.manifests.get(key) for key in examination.record.batches]
        verdicts.append(bytes_to_words(workspace, fold(manifests)))
    return VerificationReport(version, tuple(verdicts), examination.record.points, examination.seconds)


def _releases(workspace: Workspace, live: str | None) -> Verdict:
    """The release records are an unbroken chain, and the last of them says what is live."""
    try:
        records = workspace.home.releases.all()
    except IntegrityError as error:
        return Verdict(
            "releases_chained", Outcome.FAIL, error.message, remedy=error.remedy, rows=({"problem": error.message},)
        )
    decided = next((record for record in reversed(records) if record.decision is not Decision.REJECTED), None)
    said = decided.version if decided else None
    if said != live:
        problem = f"{live} is live, but the last release record says {said}"
        return Verdict(
            "releases_chained",
            Outcome.FAIL,
            f"{problem}.",
            remedy=f"Run `ragflow rollback {said}` or `ragflow promote {live}` to make a proven version live.",
            rows=({"problem": problem},),
        )
    return Verdict("releases_chained", Outcome.PASS, f"{len(records)} release records form an unbroken chain.")
