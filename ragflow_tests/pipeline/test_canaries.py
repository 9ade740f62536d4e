"""What goes live is asked once more through the alias; if it answers otherwise, the alias goes back by itself."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from ragflow.errors import CheckFailedError, IntegrityError, NotFoundError, UsageError
from ragflow.model.releases import Decision
from ragflow.model.verdicts import Outcome
from ragflow.pipeline.collection import build_candidate
from ragflow.pipeline.release import ReleaseReport, judge, live_version, release, rollback
from ragflow.pipeline.searching import Searcher
from ragflow.pipeline.verification import verify
from ragflow.pipeline.workspace import GateOptions, Workspace
from ragflow.vectors.edge import EdgeVersionStore
from ragflow.vectors.protocols import AliasRecord, CollectionReader
from ragflow_tests.pipeline.archive import LAVOIR, QUARRY, Archive, ingest, put, run_pending, scan_inbox


class Switching(EdgeVersionStore):
    """Serves something else than was judged, from the moment the alias moves to ``switch``."""

    def __init__(self, root: Path, switch: str, other: Path | None) -> None:
        super().__init__(root)
        self.switch, self.other = switch, other
        self.root = root

    def move_alias(self, version: str, *, expected: str | None, moved_at: str) -> AliasRecord:
        moved = super().move_alias(version, expected=expected, moved_at=moved_at)
        if version == self.switch:
            folder = self.root / "versions" / version
            shutil.rmtree(folder)
            if self.other is not None:
                shutil.copytree(self.other, folder)
        return moved

    def open(self, version: str, *, salvage: bool = False) -> CollectionReader:
        return super().open(version, salvage=salvage)


@dataclass(frozen=True, slots=True)
class SwitchingWorkspace(Workspace):
    """A workspace whose engine exchanges a version's files behind the gate's back."""

    switch: str = "v000003"
    other: Path | None = None

    def versions(self) -> EdgeVersionStore:
        return Switching(self.home.vectors, self.switch, self.other)


def switching(workspace: Workspace, switch: str, other: Path | None) -> SwitchingWorkspace:
    fields = {name: getattr(workspace, name) for name in Workspace.__slots__}
    return SwitchingWorkspace(**fields, switch=switch, other=other)


def grow(workspace: Workspace) -> None:
    put(workspace, "new.pdf", "Two brass cannons were raised from the wreck in the bay and sold to the museum.")
    scan_inbox(workspace)
    run_pending(workspace)


def outcomes(report: ReleaseReport) -> dict[str, Outcome]:
    return {verdict.name: verdict.outcome for verdict in report.canaries}


def test_what_goes_live_is_asked_through_the_alias(copied: Archive) -> None:
    grow(copied.workspace)
    report = release(copied.workspace)
    assert (report.decision, report.live) == ("promoted", "v000003")
    assert outcomes(report) == dict.fromkeys(("canary_version", "canary_counts", "canary_queries"), Outcome.PASS)
    assert report.record is not None
    said = copied.home.canaries.find(report.record.number)
    assert said is not None and said.passed
    assert (said.version, said.release_sha256) == ("v000003", copied.home.releases.hash_of(3))


@pytest.mark.parametrize("served", ["another version", "nothing"])
def test_what_fails_live_is_taken_back_by_itself(copied: Archive, served: str) -> None:
    """The version's files are exchanged after the gate has let it through, as a bad disk or a bad copy might."""
    grow(copied.workspace)
    build_candidate(copied.workspace)
    other = copied.home.vectors / "versions" / "v000001" if served == "another version" else None
    report = release(switching(copied.workspace, "v000003", other))
    assert (report.decision, report.live) == ("rolled_back", "v000002")
    assert Outcome.FAIL in outcomes(report).values()
    promoted, undone = copied.home.releases.all()[-2:]
    assert (promoted.decision, promoted.version) == (Decision.PROMOTED, "v000003")
    assert (undone.decision, undone.version, undone.replaced) == (Decision.ROLLED_BACK, "v000002", "v000003")
    assert undone.reason.startswith("The canaries failed: ")
    assert [verdict.name for verdict in undone.verdicts if not verdict.passed]
    assert verify(copied.workspace).passed
    with Searcher(copied.workspace) as searcher:
        assert searcher.version == "v000002"
        assert searcher.search(QUARRY)[0].text == QUARRY
    again = release(copied.workspace)
    if served == "nothing":
        assert (again.decision, again.live) == ("promoted", "v000004"), "a version that is gone is built anew"
    else:
        assert (again.decision, again.live) == ("held", "v000002"), "the same version is not tried again by itself"


def test_a_first_version_that_fails_live_is_withdrawn(workspace: Workspace) -> None:
    put(workspace, "a.pdf", QUARRY, LAVOIR)
    scan_inbox(workspace)
    run_pending(workspace)
    report = release(switching(workspace, "v000001", None))
    assert (report.decision, report.live) == ("withdrawn", None)
    assert live_version(workspace) is None
    assert [record.decision for record in workspace.home.releases.all()] == ["promoted", "withdrawn"]
    with pytest.raises(NotFoundError, match="Nothing is live"):
        Searcher(workspace)
    grow(workspace)
    after = release(workspace)
    assert (after.decision, after.live) == ("promoted", "v000002")
    assert verify(workspace).passed


def test_a_release_killed_before_its_canaries_is_asked_by_the_next(copied: Archive) -> None:
    grow(copied.workspace)
    assert release(copied.workspace).live == "v000003"
    path = copied.home.canaries.root / "000003.json"
    path.unlink()
    with pytest.raises(CheckFailedError):
        rollback(copied.workspace, "v000003")  # live already: but what was interrupted is finished first
    said = copied.home.canaries.find(3)
    assert said is not None and said.passed


def test_an_interrupted_withdrawal_is_finished(workspace: Workspace) -> None:
    """Killed between the record and the alias: the next release takes the alias away before it looks at anything."""
    put(workspace, "a.pdf", QUARRY)
    scan_inbox(workspace)
    run_pending(workspace)
    alias = workspace.home.vectors / "alias.json"
    kept: list[bytes] = []

    class KilledError(Exception):
        pass

    class Dying(Switching):
        def drop_alias(self, *, expected: str) -> None:
            kept.append(alias.read_bytes())
            raise KilledError

    class DyingWorkspace(SwitchingWorkspace):
        __slots__ = ()

        def versions(self) -> EdgeVersionStore:
            return Dying(self.home.vectors, self.switch, self.other)

    fields = {name: getattr(workspace, name) for name in Workspace.__slots__}
    with pytest.raises(KilledError):
        release(DyingWorkspace(**fields, switch="v000001", other=None))
    assert kept and live_version(workspace) == "v000001"
    grow(workspace)
    report = release(workspace)
    assert (report.decision, report.live) == ("promoted", "v000002")
    assert [record.replaced for record in workspace.home.releases.all()] == [None, "v000001", None]


def test_what_is_switched_off_stands_in_the_record(copied: Archive) -> None:
    off = ("canaries", "known_items", "read_again")
    workspace = replace(copied.workspace, gate=GateOptions(off=off))
    grow(workspace)
    report = release(workspace)
    assert (report.decision, report.canaries) == ("promoted", ())
    assert report.record is not None and report.record.switched_off == tuple(sorted(off))
    told = {verdict.name: verdict for verdict in report.verdicts}
    assert told["read_again"].outcome is Outcome.WARN and "Switched off" in told["read_again"].summary
    assert told["known_items"].outcome is Outcome.WARN
    assert told["vectors_match_texts"].outcome is Outcome.PASS


def test_integrity_cannot_be_switched_off() -> None:
    with pytest.raises(UsageError, match="points_exact"):
        GateOptions(off=("coverage", "points_exact"))


def golden(workspace: Workspace, *lines: dict[str, Any]) -> None:
    (workspace.home.root / "golden.jsonl").write_bytes(b"\n".join(orjson.dumps(line) for line in lines))


def test_a_golden_query_that_the_candidate_has_lost_is_refused(copied: Archive) -> None:
    """The document is still there, but a change took the page away that answered."""
    question = {"_id": "roof", "text": "toiture du lavoir", "document": "inbox/minutes.pdf", "page": 1}
    golden(copied.workspace, question)
    put(copied.workspace, "minutes.pdf", "Rien.", "Séance levée.", language="fr")
    scan_inbox(copied.workspace)
    run_pending(copied.workspace)
    report = release(copied.workspace)
    told = {verdict.name: verdict for verdict in report.verdicts}
    assert told["golden_queries"].figure is not None
    assert (report.decision, report.live) in {("rejected", "v000002"), ("promoted", "v000003")}
    assert (report.decision == "rejected") == (told["golden_queries"].outcome is Outcome.FAIL)


def test_a_damaged_canary_record_is_named(copied: Archive) -> None:
    path = copied.home.canaries.root / "000002.json"
    path.write_bytes(path.read_bytes().replace(b"v000002", b"v000001"))
    with pytest.raises(IntegrityError, match=r"000002\.json"):
        copied.home.canaries.find(2)
    with pytest.raises(IntegrityError, match=r"000002\.json"):
        ingest(copied.workspace)


@pytest.fixture(autouse=True)
def nothing_left_behind(tmp_path: Path) -> Iterator[None]:
    yield
    assert not list(tmp_path.rglob(".tmp-*"))


def test_a_rejected_candidate_is_never_asked_live(copied: Archive) -> None:
    workspace = replace(copied.workspace, gate=GateOptions(coverage=1.1))
    grow(workspace)
    report = judge(workspace, build_candidate(workspace).record.version)
    assert (report.decision, report.canaries, report.live) == ("rejected", (), "v000002")
    assert report.record is not None and copied.home.canaries.find(report.record.number) is None
