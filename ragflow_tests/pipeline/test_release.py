"""The gate, the alias, and the way back."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from ragflow.errors import CheckFailedError, IncompleteError, IntegrityError, NotFoundError
from ragflow.model.releases import Decision, ReleaseRecord
from ragflow.pipeline import release as releasing
from ragflow.pipeline.collection import build_candidate
from ragflow.pipeline.ingest import pending_batches
from ragflow.pipeline.release import ReleaseReport, is_decided, judge, live_version, release, rollback
from ragflow.pipeline.searching import Searcher
from ragflow.pipeline.workspace import GateOptions, Workspace
from ragflow_tests.pipeline.archive import (
    LATER,
    ORCHARD,
    QUARRY,
    REPORT,
    WINDMILL,
    Archive,
    edited,
    failed,
    flip,
    ingest,
    put,
    run_batch,
    run_pending,
    scan_inbox,
    sha_of,
    tamper,
)
from ragflow_tests.pipeline.forging import forge_point

Change = Callable[[pa.Table], pa.Table]


def records(workspace: Workspace) -> list[tuple[int, str, str, str | None]]:
    return [(r.number, r.version, str(r.decision), r.replaced) for r in workspace.home.releases.all()]


def keys(workspace: Workspace) -> set[str]:
    with Searcher(workspace) as searcher:
        hits = searcher.search("anything", top=100)
        return {key for hit in hits for key in (hit.document["key"], *hit.also_in)}


def test_the_first_release_and_the_next(archive: Archive) -> None:
    assert records(archive.workspace) == [(1, "v000001", "promoted", None), (2, "v000002", "promoted", "v000001")]
    first, second = archive.home.version_records.all()
    assert (first.base, first.points, first.upserted, first.deleted, first.unchanged) == (None, 8, 8, 0, 0)
    assert (second.base, second.points, second.upserted, second.deleted, second.unchanged) == ("v000001", 10, 2, 0, 8)
    record = archive.home.releases.all()[-1]
    assert (record.ledger.documents, record.ledger.pages, record.ledger.indexed, record.ledger.blank) == (4, 12, 10, 2)
    assert record.batches.keys() == {archive.first, archive.second}
    assert failed(record.verdicts) == {}
    assert len(record.verdicts) > 12


def test_releasing_again_changes_nothing(archive: Archive) -> None:
    report = release(archive.workspace)
    assert (report.decision, report.version, report.live, report.record) == ("unchanged", "v000002", "v000002", None)
    assert report.ledger.pages == 12
    assert len(records(archive.workspace)) == 2
    assert archive.workspace.versions().versions() == ["v000001", "v000002"]


def test_a_batch_without_its_tables_is_not_released(copied: Archive) -> None:
    put(copied.workspace, "new.pdf", "A new page.")
    scan_inbox(copied.workspace)
    with pytest.raises(IncompleteError, match="is missing for batch"):
        release(copied.workspace)
    assert live_version(copied.workspace) == "v000002"


def test_removed_and_changed_documents_leave_the_collection(copied: Archive) -> None:
    (copied.home.inbox / "report.pdf").unlink()
    put(copied.workspace, "later.pdf", ORCHARD)
    report = ingest(copied.workspace)
    assert (report.decision, report.live) == ("promoted", "v000003")
    built = copied.home.version_records.find("v000003")
    assert built is not None
    assert (built.base, built.points, built.upserted, built.deleted) == ("v000002", 6, 1, 5)
    assert keys(copied.workspace) == {"inbox/a twin.pdf", "inbox/minutes.pdf", LATER}


def add_batch(workspace: Workspace, name: str = "new.pdf") -> None:
    put(workspace, name, f"A new page in {name}.")
    scan_inbox(workspace)
    run_pending(workspace)


TAMPERING: list[tuple[str, str, Change, bool, set[str]]] = [
    ("raw_pdfs", "documents", edited("title", {"Report": "Forged"}), True, {"stages_current"}),
    ("ocr_text", "page_texts", edited("text", {QUARRY: ORCHARD}), False, {"tables_intact", "texts_intact"}),
    ("ocr_text", "words", edited("text", {"granite": "marble"}), True, {"stages_current", "texts_intact"}),
    ("chunks", "chunks", edited("text", {QUARRY: ORCHARD}), False, {"tables_intact", "chunks_cover_pages"}),
    ("chunks", "chunks", edited("token_count", {18: 17}), True, {"stages_current", "chunks_fit_model"}),
    ("embeddings", "embeddings", edited("precision", {"float32": "int8"}), True, {"schema_and_ranges"}),
]


@pytest.mark.parametrize(("asset", "table", "change", "forge", "checks"), TAMPERING)
def test_a_table_that_was_tampered_with_after_its_run_never_goes_live(
    copied: Archive, asset: str, table: str, change: Change, forge: bool, checks: set[str]
) -> None:
    """The run of the first batch passed all its checks long ago; the gate reads everything again all the same."""
    add_batch(copied.workspace)
    tamper(copied.workspace, asset, copied.first, table, change, forge=forge)
    report = release(copied.workspace)
    assert (report.decision, report.live, live_version(copied.workspace)) == ("rejected", "v000002", "v000002")
    assert checks <= failed(report.verdicts).keys()
    assert forge != ("tables_intact" in failed(report.verdicts))
    assert all(verdict.remedy for verdict in report.verdicts if not verdict.passed)
    assert records(copied.workspace)[-1] == (3, report.version, "rejected", "v000002")
    assert "inbox/new.pdf" not in keys(copied.workspace)


@pytest.mark.parametrize(("asset", "table"), [("embeddings", "embeddings"), ("ocr_text", "page_texts")])
def test_tables_that_do_not_fit_together_give_no_candidate(copied: Archive, asset: str, table: str) -> None:
    add_batch(copied.workspace)
    tamper(copied.workspace, asset, copied.first, table, lambda rows: rows.slice(0, 0))
    with pytest.raises(IntegrityError, match=rf"{asset} has no row for a chunk of inbox/.*, page 1") as caught:
        release(copied.workspace)
    assert f"Materialize {asset}" in caught.value.remedy
    assert (live_version(copied.workspace), len(records(copied.workspace))) == ("v000002", 2)


def test_a_rejected_candidate_is_built_anew_once_the_damage_is_repaired(copied: Archive) -> None:
    add_batch(copied.workspace)
    tamper(copied.workspace, "chunks", copied.first, "chunks", edited("text", {QUARRY: ORCHARD}))
    assert release(copied.workspace).decision == "rejected"
    assert live_version(copied.workspace) == "v000002"
    assert pending_batches(copied.workspace, thorough=True) == [copied.first]
    run_batch(copied.workspace, copied.first)
    report = release(copied.workspace)
    assert (report.decision, live_version(copied.workspace)) == ("promoted", report.version)
    assert "inbox/new.pdf" in keys(copied.workspace)


def test_a_damaged_blob_stops_the_release_and_is_named(copied: Archive) -> None:
    add_batch(copied.workspace)
    flip(copied.home.blobs.path(sha_of(copied.workspace, REPORT)))
    report = release(copied.workspace)
    assert (report.decision, report.live) == ("rejected", "v000002")
    assert {document for document, _ in failed(report.verdicts)["blobs_intact"]} == {REPORT, "inbox/a twin.pdf"}


def test_too_little_coverage_stops_the_release_and_lowering_it_lets_it_through(workspace: Workspace) -> None:
    put(workspace, "a.pdf", QUARRY)
    (workspace.home.inbox / "bad.pdf").write_bytes(b"no PDF")
    scan_inbox(workspace, wait=True)
    run_pending(workspace)
    report = release(workspace)
    assert (report.decision, report.live) == ("rejected", None)
    assert failed(report.verdicts).keys() == {"coverage"}
    fingerprint = workspace.home.version_records.all()[-1].corpus_fingerprint
    assert "was rejected" in (is_decided(workspace, fingerprint) or "")
    generous = replace(workspace, gate=GateOptions(coverage=0.5))
    report = release(generous)
    assert (report.decision, report.version) == ("promoted", "v000002"), "a rejected candidate is never offered again"
    assert "is live" in (is_decided(workspace, fingerprint) or "")


def test_rolling_back_is_exact_and_holds_until_something_changes(copied: Archive) -> None:
    workspace = copied.workspace
    assert LATER in keys(workspace)
    report = rollback(workspace)
    assert (report.decision, report.version, report.live) == ("rolled_back", "v000001", "v000001")
    assert LATER not in keys(workspace)
    assert records(workspace)[-1] == (3, "v000001", "rolled_back", "v000002")
    held = release(workspace)
    assert (held.decision, held.version, held.live, held.record) == ("held", "v000002", "v000001", None)
    fingerprint = workspace.home.version_records.all()[-1].corpus_fingerprint
    assert "rolled back from" in (is_decided(workspace, fingerprint) or "")
    with pytest.raises(NotFoundError, match="no earlier version"):
        rollback(workspace)
    add_batch(workspace)
    report = release(workspace)
    assert (report.decision, report.version) == ("promoted", "v000003")
    assert {LATER, "inbox/new.pdf"} <= keys(workspace)


def test_a_version_that_was_rolled_back_from_goes_live_when_a_person_names_it(copied: Archive) -> None:
    rollback(copied.workspace)
    report = judge(copied.workspace, "v000002", explicit=True)
    assert (report.decision, live_version(copied.workspace)) == ("promoted", "v000002")
    assert rollback(copied.workspace).version == "v000001", "and the way back is the same as before"


def test_where_there_is_no_way_back_it_is_said(copied: Archive, workspace: Workspace) -> None:
    with pytest.raises(NotFoundError, match="v000009 is not kept") as caught:
        rollback(copied.workspace, "v000009")
    assert "v000001, v000002" in caught.value.remedy
    with pytest.raises(CheckFailedError, match="is live already"):
        rollback(copied.workspace, "v000002")
    with pytest.raises(NotFoundError, match="no earlier version"):
        rollback(workspace)
    add_batch(copied.workspace)
    candidate = build_candidate(copied.workspace)
    with pytest.raises(CheckFailedError, match="was never live") as refused:
        rollback(copied.workspace, candidate.record.version)
    assert "promote" in refused.value.remedy
    assert live_version(copied.workspace) == "v000002"


def test_there_is_no_way_back_to_a_version_that_was_forged(copied: Archive) -> None:
    with Searcher(copied.workspace) as searcher:
        point = searcher.search("granite", where={"document_key": REPORT})[0].point_id
    forge_point(copied.workspace, point, turn=True)
    rollback(copied.workspace)
    with pytest.raises(CheckFailedError, match="v000002 is damaged"):
        rollback(copied.workspace, "v000002")
    assert live_version(copied.workspace) == "v000001"
    assert len(records(copied.workspace)) == 3


def test_a_forged_live_version_is_no_base_that_passes_on_the_forgery(copied: Archive) -> None:
    with Searcher(copied.workspace) as searcher:
        point = searcher.search("granite", where={"document_key": REPORT})[0].point_id
    forge_point(copied.workspace, point, turn=True)
    add_batch(copied.workspace)
    report = release(copied.workspace)
    built = copied.home.version_records.find(report.version)
    assert built is not None
    assert (report.decision, built.base, built.upserted) == ("promoted", "v000002", 2), "the new point, and the healed"


class Killed(BaseException):
    """Stands for a process that ends between two steps."""


def test_a_release_that_was_killed_before_the_alias_moved_is_finished(
    copied: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_batch(copied.workspace)

    def die(workspace: Workspace, record: ReleaseRecord) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(releasing, "_move", die)
        with pytest.raises(Killed):
            release(copied.workspace)
    assert live_version(copied.workspace) == "v000002", "the old one serves until the alias moves"
    assert records(copied.workspace)[-1] == (3, "v000003", "promoted", "v000002")
    report = release(copied.workspace)
    assert (report.decision, report.live, live_version(copied.workspace)) == ("unchanged", "v000003", "v000003")
    assert len(records(copied.workspace)) == 3


def test_a_rollback_that_was_killed_is_finished(copied: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    def die(workspace: Workspace, record: ReleaseRecord) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(releasing, "_move", die)
        with pytest.raises(Killed):
            rollback(copied.workspace)
    assert live_version(copied.workspace) == "v000002"
    report = release(copied.workspace)
    assert (report.decision, live_version(copied.workspace)) == ("held", "v000001")


def test_a_build_that_was_killed_leaves_nothing_that_could_go_live(
    copied: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_batch(copied.workspace)
    from ragflow.pipeline import collection

    def die(*arguments: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(collection, "_apply", die)
        with pytest.raises(Killed):
            build_candidate(copied.workspace)
    assert copied.workspace.versions().versions() == ["v000001", "v000002"]
    report = release(copied.workspace)
    assert (report.decision, report.version) == ("promoted", "v000003")


RELEASE = """
import sys
from pathlib import Path
from ragflow.pipeline.release import release
from ragflow_tests.pipeline.archive import make_workspace
report = release(make_workspace(Path(sys.argv[1])))
print(report.decision, report.version)
"""


def test_two_processes_that_release_at_once_make_one_release(copied: Archive) -> None:
    add_batch(copied.workspace)
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", RELEASE, str(copied.home.root)]
    other = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root)
    here: list[ReleaseReport] = []
    threads = [threading.Thread(target=lambda: here.append(release(copied.workspace))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    out, _ = other.communicate()
    assert other.returncode == 0
    decisions = sorted([str(report.decision) for report in here] + [out.split()[0]])
    assert decisions == ["promoted", "unchanged", "unchanged"]
    assert {report.version for report in here} | {out.split()[1]} == {"v000003"}
    assert records(copied.workspace)[-1] == (3, "v000003", "promoted", "v000002")
    assert len(records(copied.workspace)) == 3
    assert copied.workspace.versions().versions() == ["v000001", "v000002", "v000003"]


def test_a_candidate_that_was_overtaken_does_not_replace_a_newer_one(copied: Archive) -> None:
    """One run builds; before it asks the gate, another builds from more batches and goes live."""
    add_batch(copied.workspace, "new.pdf")
    slow = build_candidate(copied.workspace)
    add_batch(copied.workspace, "newer.pdf")
    fast = release(copied.workspace)
    assert (fast.decision, live_version(copied.workspace)) == ("promoted", "v000004")
    late = release(copied.workspace, slow)
    assert (late.decision, late.live) == ("unchanged", "v000004")
    assert live_version(copied.workspace) == "v000004"
    assert "inbox/newer.pdf" in keys(copied.workspace)
    assert judge(copied.workspace, slow.record.version, explicit=True).decision == "promoted", "a person may"


def test_an_archive_that_becomes_empty_is_released_empty(workspace: Workspace) -> None:
    put(workspace, "a.pdf", WINDMILL)
    ingest(workspace)
    (workspace.home.inbox / "a.pdf").unlink()
    report = ingest(workspace)
    assert (report.decision, report.ledger.pages) == ("promoted", 0)
    assert keys(workspace) == set()


def test_a_release_record_says_why(copied: Archive) -> None:
    add_batch(copied.workspace)
    tamper(copied.workspace, "ocr_text", copied.first, "words", edited("text", {"granite": "marble"}))
    release(copied.workspace)
    record = copied.home.releases.all()[-1]
    assert record.decision is Decision.REJECTED
    (verdict,) = [verdict for verdict in record.verdicts if verdict.name == "tables_intact"]
    assert {"batch": copied.first, "asset": "ocr_text", "table": "words"}.items() <= verdict.rows[0].items()
