"""The gate and the one atomic move: promote a proven candidate, refuse any other, roll back to a kept version.

What has gone live is asked once more through the alias (the canaries); if it answers otherwise than the candidate did,
the alias goes back by itself.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from ragflow.errors import CheckFailedError, NotFoundError, RagflowError
from ragflow.model.ledger import Ledger
from ragflow.model.releases import CanaryRecord, Decision, ReleaseRecord, VersionRecord
from ragflow.model.verdicts import Outcome, Verdict
from ragflow.pipeline.asking import Asked, ask_canaries
from ragflow.pipeline.collection import CandidateReport, build_candidate
from ragflow.pipeline.examination import Examination, examine
from ragflow.pipeline.sealing import read_and_check_seal
from ragflow.pipeline.workspace import Workspace

log = logging.getLogger(__name__)

UNCHANGED = "unchanged"
HELD = "held"


@dataclass(frozen=True, slots=True)
class ReleaseReport:
    """What became of a candidate.

    Attributes:
        version: the candidate.
        decision: ``promoted``, ``rejected``, ``unchanged`` (it, or one from more batches, is live already) or ``held``
            (it was rolled back from before and nothing has changed since).
        live: the version that serves now; None if none does.
        verdicts: what the gate said; empty if it was not asked.
        ledger: of the archive.
        record: the release record that was written, if any.
    """

    version: str
    decision: str
    live: str | None
    verdicts: tuple[Verdict, ...]
    ledger: Ledger
    record: ReleaseRecord | None
    canaries: tuple[Verdict, ...] = ()


def release(workspace: Workspace, candidate: CandidateReport | None = None, *, rebuild: bool = False) -> ReleaseReport:
    """Build a candidate if none is given, judge it, and make it live if every verdict allows.

    Raises:
        IncompleteError: a batch has not been through all stages.
    """
    candidate = candidate or build_candidate(workspace, rebuild=rebuild)
    return judge(workspace, candidate.record.version)


def judge(workspace: Workspace, version: str, *, explicit: bool = False) -> ReleaseReport:
    """Examine a version as it will be served, write the record, and move the alias if every verdict passed.

    Args:
        explicit: a person named this version: promote it even if it was rolled back from before.
    """
    with workspace.home.lock("release").held():
        finish_interrupted(workspace)
        records = workspace.home.releases.all()
        live = live_version(workspace)
        said = next((r.live_after for r in reversed(records) if r.moved_alias), None)
        if version == live and live == said:
            newest = next((r for r in reversed(records) if r.version == version), None)
            return ReleaseReport(version, UNCHANGED, live, (), newest.ledger if newest else Ledger(), None)
        if not explicit and was_rolled_back(records, version):
            ledger = next(r.ledger for r in reversed(records) if r.version == version)
            return ReleaseReport(version, HELD, live, (), ledger, None)
        if not explicit and live is not None and _overtaken(workspace, version, live):
            log.info("candidate overtaken", extra={"version": version, "live": live})
            ledger = next((r.ledger for r in reversed(records) if r.version == live), Ledger())
            return ReleaseReport(live, UNCHANGED, live, (), ledger, None)
        examination = examine(workspace, version)
        decision = Decision.PROMOTED if examination.passed else Decision.REJECTED
        record = _append(workspace, examination.record, decision, live, examination)
        if live != said and live not in workspace.home.canaries.versions():
            _put_back(workspace, live, said, record.decided_at)
        log.info("release decided", extra={"version": version, "decision": decision, "number": record.number})
        canaries: tuple[Verdict, ...] = ()
        ended: str = decision
        if decision is Decision.PROMOTED:
            _move(workspace, record)
            canaries, undone = _prove_live(workspace, record, examination.asked)
            ended = undone.decision if undone is not None else decision
    return ReleaseReport(
        version=version,
        decision=ended,
        live=live_version(workspace),
        verdicts=examination.verdicts,
        ledger=examination.ledger,
        record=record,
        canaries=canaries,
    )


def _put_back(workspace: Workspace, live: str | None, said: str | None, moved_at: str) -> None:
    """Undo a move of the alias that no release record tells of: nothing is live unproven. The gate has refused."""
    log.error("the alias was moved by hand, and is put back", extra={"found": live, "recorded": said})
    versions = workspace.versions()
    if said is None and live is not None:
        versions.drop_alias(expected=live)
    elif said is not None and said in versions.versions():
        versions.move_alias(said, expected=live, moved_at=moved_at)


def _prove_live(
    workspace: Workspace, record: ReleaseRecord, asked: Asked | None
) -> tuple[tuple[Verdict, ...], ReleaseRecord | None]:
    """Ask the canaries of a promoted version through the alias; if they fail, take the promotion back.

    Returns:
        What they said, and the record of what was taken back, if anything was.
    """
    try:
        verdicts = ask_canaries(workspace, record.version, record.points, asked)
    except RagflowError as error:
        # What cannot be asked cannot be served either.
        rows = ({"problem": error.message},)
        verdicts = (Verdict("canary_queries", Outcome.FAIL, error.message, remedy=error.remedy, rows=rows),)
    said = CanaryRecord(
        release=record.number,
        release_sha256=workspace.home.releases.hash_of(record.number),
        version=record.version,
        asked_at=datetime.now(UTC).isoformat(timespec="seconds"),
        verdicts=without_quotations(verdicts),
    )
    undone = None if said.passed else _take_back(workspace, record, verdicts)
    workspace.home.canaries.put(said)
    return verdicts, undone


def _take_back(workspace: Workspace, failed: ReleaseRecord, verdicts: tuple[Verdict, ...]) -> ReleaseRecord:
    """Move the alias back to what was live before, or away if nothing was."""
    before = failed.replaced if failed.replaced in workspace.versions().versions() else None
    kept = workspace.home.version_records.find(before or failed.version)
    assert kept is not None, "a version that was live has a record"
    reason = "The canaries failed: " + " ".join(verdict.summary for verdict in verdicts if not verdict.passed)
    record = _append(
        workspace,
        kept,
        Decision.ROLLED_BACK if before is not None else Decision.WITHDRAWN,
        failed.version,
        Examination(kept, verdicts, failed.ledger, None, 0.0),
        reason,
    )
    log.error("canaries failed", extra={"version": failed.version, "live": before, "reason": reason})
    _move(workspace, record)
    return record


def rollback(workspace: Workspace, version: str | None = None) -> ReleaseReport:
    """Make a version live again that was live before; none named: the one before the present one.

    The version's points are read and held against its record first; nothing is rebuilt.

    Raises:
        NotFoundError: there is no such version to go back to.
        CheckFailedError: the version is no longer what was recorded.
    """
    with workspace.home.lock("release").held():
        finish_interrupted(workspace)
        records = workspace.home.releases.all()
        live = live_version(workspace)
        target = version or version_before(workspace, records, live)
        kept = workspace.home.version_records.find(target)
        if kept is None or target not in workspace.versions().versions():
            raise NotFoundError(
                f"Version {target} is not kept.", remedy=f"Kept versions: {', '.join(workspace.versions().versions())}."
            )
        if target == live:
            raise CheckFailedError(f"Version {target} is live already.", remedy="See `ragflow releases`.")
        promoted = next((r for r in reversed(records) if r.version == target and r.decision is Decision.PROMOTED), None)
        if promoted is None:
            raise CheckFailedError(
                f"Version {target} was never live.", remedy=f"To prove and publish it, run `ragflow promote {target}`."
            )
        seal = read_and_check_seal(workspace, kept)
        if not seal.passed:
            raise CheckFailedError(f"Version {target} is damaged: {seal.summary}", remedy="Go back to another version.")
        found = Examination(kept, (seal,), promoted.ledger, None, 0.0)
        record = _append(workspace, kept, Decision.ROLLED_BACK, live, found)
        _move(workspace, record)
    log.info("rolled back", extra={"version": target, "replaced": live})
    return ReleaseReport(target, Decision.ROLLED_BACK, target, (seal,), promoted.ledger, record)


QUOTING = frozenset({"question", "text", "begins", "weakest_block_begins"})
"""Columns of verdicts that quote documents."""


def without_quotations(verdicts: Sequence[Verdict]) -> tuple[Verdict, ...]:
    """Return verdicts as they go on record: records are never changed, and a document that is to be forgotten must
    not be quoted in them."""
    return tuple(
        replace(verdict, rows=tuple({k: v for k, v in row.items() if k not in QUOTING} for row in verdict.rows))
        for verdict in verdicts
    )


def live_version(workspace: Workspace) -> str | None:
    """Return the version that the alias points to; None if nothing has gone live yet."""
    alias = workspace.versions().alias()
    return alias.version if alias else None


def was_rolled_back(records: Sequence[ReleaseRecord], version: str) -> bool:
    """Whether the last thing that happened to a version was that somebody went back from it."""
    for record in reversed(records):
        if record.decision in (Decision.ROLLED_BACK, Decision.WITHDRAWN) and record.replaced == version:
            return True
        if record.live_after == version and record.moved_alias:
            return False
    return False


def _overtaken(workspace: Workspace, version: str, live: str) -> bool:
    """Whether another run has published all batches of this version and more since it was built.

    Batches are never taken back, so going live with fewer of them would drop documents.
    """
    candidate, served = (workspace.home.version_records.find(name) for name in (version, live))
    return candidate is not None and served is not None and candidate.batches.keys() < served.batches.keys()


def is_decided(workspace: Workspace, corpus_fingerprint: str) -> str | None:
    """Return what the gate last said about this state of the archive, for a person; None if it has yet to be asked."""
    records = workspace.home.releases.all()
    record = next((r for r in reversed(records) if r.corpus_fingerprint == corpus_fingerprint), None)
    if record is None:
        return None
    if record.version == live_version(workspace):
        return f"{record.version} is live and holds this state of the archive."
    if record.decision is Decision.REJECTED:
        return f"{record.version} holds this state of the archive, and was rejected."
    if was_rolled_back(records, record.version):
        return f"{record.version} holds this state of the archive, and was rolled back from."
    # It was replaced by another state, of which the archive has come back: a setting changed and changed back.
    return None


def finish_interrupted(workspace: Workspace) -> None:
    """Move the alias if a process was killed between writing a record and moving it, and ask the canaries if it was
    killed before they had answered. The caller holds the lock.

    The record is written first, so that no version is ever live without one.
    """
    decided = next((r for r in reversed(workspace.home.releases.all()) if r.moved_alias), None)
    if decided is None:
        return
    live = live_version(workspace)
    if decided.live_after != live and decided.replaced == live:
        log.warning("finishing an interrupted release", extra={"version": decided.version})
        _move(workspace, decided)
        live = live_version(workspace)
    if decided.decision is Decision.PROMOTED and decided.version == live and _unproven(workspace, decided):
        log.warning("asking the canaries of an interrupted release", extra={"version": decided.version})
        _prove_live(workspace, decided, None)


def _unproven(workspace: Workspace, record: ReleaseRecord) -> bool:
    """Whether the canaries have yet to answer for a promotion."""
    return workspace.home.canaries.find(record.number) is None


def version_before(workspace: Workspace, records: Sequence[ReleaseRecord], live: str | None) -> str:
    """Return the kept version that was live before the present one.

    Raises:
        NotFoundError: there is none.
    """
    kept = set(workspace.versions().versions())
    for record in reversed(records):
        came_live = record.decision is Decision.PROMOTED and record.version == live
        if came_live and record.replaced in kept:
            return str(record.replaced)
    raise NotFoundError("There is no earlier version to go back to.", remedy="See `ragflow releases`.")


def _append(
    workspace: Workspace,
    version: VersionRecord,
    decision: Decision,
    live: str | None,
    examination: Examination,
    reason: str = "",
) -> ReleaseRecord:
    number, previous = workspace.home.releases.last_hash()
    record = ReleaseRecord(
        number=number + 1,
        version=version.version,
        decision=decision,
        decided_at=datetime.now(UTC).isoformat(timespec="seconds"),
        replaced=live,
        previous=previous,
        configuration_fingerprint=version.configuration_fingerprint,
        corpus_fingerprint=version.corpus_fingerprint,
        batches=version.batches,
        points=version.points,
        merkle_root=version.merkle_root,
        ledger=examination.ledger,
        verdicts=without_quotations(examination.verdicts),
        tables=version.tables,
        batch_roots=version.batch_roots,
        switched_off=tuple(sorted(workspace.gate.off)),
        reason=reason,
        fusion=version.fusion,
    )
    workspace.home.releases.append(record)
    return record


def _move(workspace: Workspace, record: ReleaseRecord) -> None:
    """Do to the alias what a record says."""
    versions = workspace.versions()
    if record.live_after is not None:
        versions.move_alias(record.live_after, expected=record.replaced, moved_at=record.decided_at)
    elif record.replaced is not None:
        versions.drop_alias(expected=record.replaced)
