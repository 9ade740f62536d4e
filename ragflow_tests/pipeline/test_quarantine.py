"""What is in quarantine is listed with a reason and a remedy; trying again works on what was asked for, no more."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from ragflow.errors import NotFoundError
from ragflow.model.reading import REASON_REMEDY, REASON_TEXT, Reason
from ragflow.pipeline.ingest import pending_batches
from ragflow.pipeline.quarantine import chosen, quarantined, quarantined_in, request_retry, retry_outcome
from ragflow.pipeline.release import release
from ragflow.pipeline.workspace import GateOptions, Workspace
from ragflow.store.home import Home
from ragflow_tests.faults import bombs
from ragflow_tests.ocr.pdfs import empty, write_pdf
from ragflow_tests.pipeline.archive import (
    QUARRY,
    WINDMILL,
    Archive,
    ingest,
    make_workspace,
    put,
    run_batch,
    run_pending,
    scan_inbox,
    settle,
)

MEMORY_MB = 512
BOMB_BYTES = 300 << 20
"""Too much for a worker with 512 MiB, and not for one with 2048."""

GOOD, BOMB, LONG, TORN, GONE, TWIN = (f"inbox/{n}.pdf" for n in ("good", "bomb", "long", "torn", "gone", "later/long"))


def with_limits(workspace: Workspace, **limits: object) -> Workspace:
    return replace(workspace, reading=replace(workspace.reading, **limits))


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Archive:
    """One batch with a good document and four bad ones, one with a copy of a bad one."""
    root = tmp_path_factory.mktemp("quarantine").resolve() / "home"
    workspace = make_workspace(root, gate=GateOptions(coverage=0.1))
    workspace = with_limits(workspace, max_pages=5, worker_memory_mb=MEMORY_MB)
    workspace.home.inbox.mkdir(parents=True)
    put(workspace, "good.pdf", QUARRY, WINDMILL)
    settle(bombs.content_bomb(workspace.home.inbox / "bomb.pdf", BOMB_BYTES, before=["The ferry leaves at noon."]))
    long = settle(write_pdf(workspace.home.inbox / "long.pdf", [empty] * 6))
    (workspace.home.inbox / "torn.pdf").write_bytes(b"%PDF-1.7 and no more")
    settle(workspace.home.inbox / "torn.pdf")
    (workspace.home.inbox / "gone.pdf").symlink_to("nowhere")
    assert ingest(workspace).decision == "promoted"
    (workspace.home.inbox / "later").mkdir()
    settle(Path(shutil.copy(long, workspace.home.inbox / "later" / "long.pdf")))
    assert ingest(workspace).decision == "promoted"
    return Archive(workspace, *workspace.home.manifests.batch_keys())


@pytest.fixture
def bad(template: Archive, tmp_path: Path) -> Archive:
    home = tmp_path / "home"
    # Links stay links, and the holes of the engine's files stay holes.
    subprocess.run(["cp", "-a", "--sparse=always", template.home.root, home], check=True)
    return replace(template, workspace=replace(template.workspace, home=Home(home)))


def places(workspace: Workspace) -> dict[tuple[str, int | None], str]:
    return {entry.place: str(entry.reason) for entry in quarantined(workspace)}


ALL = {
    (BOMB, 1): "worker_died",
    (GONE, None): "unreadable",
    (TWIN, None): "too_many_pages",
    (LONG, None): "too_many_pages",
    (TORN, None): "damaged",
}


def test_every_reason_has_a_meaning_and_a_remedy() -> None:
    assert set(REASON_TEXT) == set(REASON_REMEDY) == set(Reason)


def test_everything_is_listed_with_what_a_person_needs(template: Archive) -> None:
    entries = {entry.place: entry.row() for entry in quarantined(template.workspace)}
    assert {place: row["reason"] for place, row in entries.items()} == ALL
    bomb = entries[BOMB, 1]
    assert (bomb["page"], bomb["batch"], bomb["tries"]) == (2, template.first, 1)
    assert f"it has {MEMORY_MB} MiB" in bomb["detail"]
    assert entries[LONG, None]["detail"] == "long.pdf has 6 pages; the limit is 5."
    assert entries[TWIN, None]["batch"] == template.second
    for row in entries.values():
        assert row["what_to_do"] and row["meaning"] and row["arrived_at"] <= row["recorded_at"]


def test_a_batch_lists_its_own(template: Archive) -> None:
    first = {entry.place: str(entry.reason) for entry in quarantined_in(template.workspace, template.first)}
    assert first == {place: reason for place, reason in ALL.items() if place[0] != TWIN}
    (second,) = quarantined_in(template.workspace, template.second)
    assert second.place == (TWIN, None)


def test_what_was_removed_or_replaced_is_not_listed(bad: Archive) -> None:
    workspace = bad.workspace
    (workspace.home.inbox / "long.pdf").unlink()
    put(workspace, "torn.pdf", QUARRY)
    scan_inbox(workspace)
    run_pending(workspace)
    assert places(workspace) == {place: why for place, why in ALL.items() if place[0] not in (LONG, TORN)}


def test_choosing(template: Archive) -> None:
    entries = quarantined(template.workspace)
    assert {e.document for e in chosen(entries, (), Reason.TOO_MANY_PAGES)} == {LONG, TWIN}
    assert [e.document for e in chosen(entries, [LONG, TORN], Reason.DAMAGED)] == [TORN]
    assert len(chosen(entries, ())) == len(ALL)
    with pytest.raises(NotFoundError, match=r"good\.pdf"):
        chosen(entries, [GOOD])


def test_a_page_that_needed_more_memory_comes_out_and_nothing_else_is_touched(bad: Archive) -> None:
    retry = request_retry(bad.workspace, chosen(quarantined(bad.workspace), [BOMB]))
    assert retry.batches == (bad.first,)
    assert pending_batches(bad.workspace) == [bad.first]
    workspace = with_limits(bad.workspace, worker_memory_mb=2048)
    reports = run_batch(workspace, bad.first)
    assert reports["raw_pdfs"].work["documents_inspected"] == 1 and reports["raw_pdfs"].work["documents_kept"] == 3
    assert reports["ocr_text"].work["pages_read"] <= 2, "the pages of the good document stand"
    outcome = retry_outcome(workspace, retry)
    assert ([e.place for e in outcome.released], outcome.stayed) == ([(BOMB, 1)], ())
    assert places(workspace) == {place: why for place, why in ALL.items() if place != (BOMB, 1)}
    assert pending_batches(workspace) == []
    assert release(workspace).decision == "promoted"


def test_what_stays_is_counted_and_not_tried_again_by_itself(bad: Archive) -> None:
    for tries in (2, 3):
        retry = request_retry(bad.workspace, chosen(quarantined(bad.workspace), [BOMB, TORN]))
        reports = run_batch(bad.workspace, bad.first)
        assert reports["raw_pdfs"].work["documents_inspected"] == 2
        outcome = retry_outcome(bad.workspace, retry)
        assert outcome.released == ()
        assert {entry.place: entry.tries for entry in outcome.stayed} == {(BOMB, 1): tries, (TORN, None): tries}
        assert pending_batches(bad.workspace) == []


def test_a_raised_limit_needs_no_asking_and_looks_only_at_what_it_kept_out(bad: Archive) -> None:
    workspace = with_limits(bad.workspace, max_pages=6)
    reports = run_pending(workspace)
    works = [reports[batch]["raw_pdfs"].work for batch in (bad.first, bad.second)]
    assert [(w["documents_inspected"], w["documents_kept"]) for w in works] == [(1, 3), (1, 0)]
    assert {place[0] for place in places(workspace)} == {BOMB, GONE, TORN}
    lowered = with_limits(workspace, max_pages=5)
    run_pending(lowered)
    assert places(lowered) == ALL
    assert release(lowered).decision == "unchanged", "the archive is again what is live"


def test_a_whole_document_is_looked_at_by_every_batch_that_names_it(bad: Archive) -> None:
    """The rows of both batches must agree, or the ledger would not add up."""
    retry = request_retry(bad.workspace, chosen(quarantined(bad.workspace), [LONG]))
    assert retry.batches == (bad.first, bad.second)
    assert pending_batches(bad.workspace) == [bad.first, bad.second]


def test_a_document_without_bytes_says_what_is_the_matter_with_its_file(bad: Archive) -> None:
    workspace = bad.workspace
    entries = chosen(quarantined(workspace), [GONE])
    retry = request_retry(workspace, entries)
    assert retry.batches == () and "cannot be read" in retry.hopeless[GONE]
    assert workspace.home.rereads.all() == [] and pending_batches(workspace) == []


def test_files_that_heal_or_change_are_told(workspace: Workspace) -> None:
    workspace = replace(workspace, gate=GateOptions(coverage=0.0))
    link = workspace.home.inbox / "a.pdf"
    link.symlink_to("nowhere")
    changed = workspace.home.inbox / "b.pdf"
    changed.write_bytes(b"%PDF-1.7 and no more")
    settle(changed)
    scan_inbox(workspace)
    run_pending(workspace)
    link.unlink()
    put(workspace, "a.pdf", QUARRY)
    put(workspace, "b.pdf", WINDMILL)
    retry = request_retry(workspace, quarantined(workspace))
    assert "can be read now: run `ragflow ingest`" in retry.hopeless["inbox/a.pdf"]
    assert "has changed since" in retry.notes["inbox/b.pdf"]
    assert len(retry.batches) == 1, "what is stored of b.pdf is tried all the same"


def test_an_archive_without_anything_has_nothing_in_quarantine(workspace: Workspace) -> None:
    assert quarantined(workspace) == []
    put(workspace, "a.pdf", QUARRY)
    (batch,) = scan_inbox(workspace).batches
    assert quarantined(workspace) == quarantined_in(workspace, batch) == []
