"""Verify what is served: the chain from stored bytes to points, and the records that say what is live.

The plain verification hashes: manifests, tables, documents, points, and holds them against the release record, which
seals what the gate has proven. Only if something differs is everything recomputed, to say where. ``deep`` recomputes
it in any case, and reads the stored bytes again, page by page.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from datetime import UTC, datetime

from ragflow.errors import NotFoundError, UsageError
from ragflow.model.batches import fold
from ragflow.model.releases import VersionRecord
from ragflow.model.verdicts import Outcome, Verdict
from ragflow.pipeline.deep import bytes_to_words
from ragflow.pipeline.examination import VERDICT_NAMES, examine, find_version
from ragflow.pipeline.origins import with_first_release
from ragflow.pipeline.release import live_version
from ragflow.pipeline.sealing import (
    blobs_intact,
    read_and_check_seal,
    read_manifests,
    releases_chained,
    tables_intact,
)
from ragflow.pipeline.workspace import Workspace
from ragflow.store.verifications import LastVerification, verification_store

log = logging.getLogger(__name__)


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


def verify(
    workspace: Workspace, version: str | None = None, *, deep: bool = False, anchor: str | None = None
) -> VerificationReport:
    """Recompute the chain of a version, offline.

    Whether the version would still pass the gate is not asked: coverage and quality are no matters of integrity.

    Args:
        version: None: the live one.
        deep: recompute every link, and read the stored bytes again.
        anchor: SHA-256 of a release record that was noted elsewhere: it must be one of the chain.

    Raises:
        NotFoundError: nothing is live, or there is no such version.
        UsageError: the anchor is no SHA-256.
    """
    started = time.monotonic()
    live = live_version(workspace)
    version = version or live
    if version is None:
        raise NotFoundError("Nothing is live yet.", remedy="Run `ragflow ingest` first.")
    record = find_version(workspace, version)
    verdicts = {verdict.name: verdict for verdict in _seals(workspace, record, live)}
    if deep or not all(verdict.passed for verdict in verdicts.values()):
        for verdict in examine(workspace, version, publish=False).verdicts:
            # Both look at the tables, for instance: what one of them refuses is refused.
            if verdict.name not in verdicts or not verdict.passed:
                verdicts[verdict.name] = verdict
    if deep:
        pages = bytes_to_words(workspace.at(record), fold(read_manifests(workspace, record)[0]))
        verdicts[pages.name] = pages
    if anchor is not None:
        verdicts["anchored"] = _anchored(workspace, anchor)
    order = [*(name for name in VERDICT_NAMES if name in verdicts), *(n for n in verdicts if n not in VERDICT_NAMES)]
    told = with_first_release(workspace, record, [verdicts[name] for name in order])
    report = VerificationReport(version, tuple(told), record.points, round(time.monotonic() - started, 2))
    _note(workspace, report, deep)
    return report


def _note(workspace: Workspace, report: VerificationReport, deep: bool) -> None:
    """Note that it was done, for the service's health: an archive that cannot be written to can be verified, too."""
    last = LastVerification(
        version=report.version,
        verified_at=datetime.now(UTC).isoformat(timespec="seconds"),
        passed=report.passed,
        deep=deep,
    )
    try:
        verification_store(workspace.home.root).put(last)
    except OSError as error:
        log.warning("the verification could not be noted", extra={"error": str(error)})


def _seals(workspace: Workspace, record: VersionRecord, live: str | None) -> list[Verdict]:
    """Hash everything, and hold it against the records."""
    manifests, verdicts = read_manifests(workspace, record)
    then = workspace.at(record)
    return [
        *verdicts,
        releases_chained(workspace, live),
        tables_intact(then, [manifest.key for manifest in manifests]),
        blobs_intact(then, fold(manifests)),
        read_and_check_seal(workspace, record),
    ]


def _anchored(workspace: Workspace, anchor: str) -> Verdict:
    """A release record that was noted elsewhere is one of the chain: it was not written anew as a whole."""
    wanted = anchor.strip().lower()
    if len(wanted) != 64 or not all(digit in "0123456789abcdef" for digit in wanted):
        raise UsageError(f"{anchor!r} is no SHA-256.", remedy="Take `sha256` of a record of `ragflow releases --json`.")
    releases = workspace.home.releases
    numbers = [number for number in range(1, releases.last_hash()[0] + 1) if releases.hash_of(number) == wanted]
    if numbers:
        return Verdict("anchored", Outcome.PASS, f"The chain holds the anchor: it is release record {numbers[0]}.")
    return Verdict(
        "anchored",
        Outcome.FAIL,
        "No release record has the hash that was noted: the records are not those of then.",
        remedy="Restore the release records from a backup.",
        rows=({"problem": f"no release record hashes to {wanted}"},),
    )
