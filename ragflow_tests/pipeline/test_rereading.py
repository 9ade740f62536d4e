"""Badly read pages: found, asked for once, read thoroughly; the check that names them, and the gate's verdict."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from ragflow.errors import UsageError
from ragflow.model.reading import Effort
from ragflow.model.verdicts import Outcome
from ragflow.ocr.options import ReadingOptions
from ragflow.pipeline.batch_checks import check_stage
from ragflow.pipeline.ingest import pending_batches
from ragflow.pipeline.release import release
from ragflow.pipeline.rereading import batches_to_reread, request_rereads, reread_outcome
from ragflow.pipeline.stages import OCR_TEXT
from ragflow.pipeline.workspace import Workspace
from ragflow.sample import write_scan_pdf
from ragflow.store.home import Home
from ragflow.store.rereads import Reread
from ragflow_tests.pipeline.archive import (
    ORCHARD,
    QUARRY,
    WINDMILL,
    make_workspace,
    put,
    run_batch,
    run_pending,
    scan_inbox,
    settle,
    sha_of,
)

CLEAR, FAINT, LOST, TEXT = "inbox/clear.pdf", "inbox/faint.pdf", "inbox/lost.pdf", "inbox/text.pdf"
OPTIONS = ReadingOptions(engines=("text_layer", "tesseract"), dpi=150, workers=2)
FOG = "Dense fog for thirty hours. The siren sounded without a stop."


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """Four batches, read: a clear scan, one that Tesseract can only guess at, one that it finds nothing on, a text."""
    workspace = make_workspace(tmp_path_factory.mktemp("weak").resolve() / "home", reading=OPTIONS)
    workspace = replace(workspace, batching=replace(workspace.batching, max_documents=1))
    inbox = workspace.home.inbox
    inbox.mkdir(parents=True)
    write_scan_pdf(inbox / "clear.pdf", [[QUARRY]], dpi=150, seed=3)
    write_scan_pdf(inbox / "faint.pdf", [[FOG, WINDMILL]], dpi=50, noise=0.02, seed=7)
    write_scan_pdf(inbox / "lost.pdf", [[FOG]], dpi=100, noise=0.08, seed=7)
    for path in inbox.iterdir():
        settle(path)
    put(workspace, "text.pdf", ORCHARD)
    assert len(scan_inbox(workspace).batches) == 4
    run_pending(workspace)
    return workspace


@pytest.fixture
def read(template: Workspace, tmp_path: Path) -> Workspace:
    root = tmp_path.resolve() / "home"
    shutil.copytree(template.home.root, root)
    return replace(template, home=Home(root))


def home_of(workspace: Workspace, key: str) -> str:
    return next(m.key for m in workspace.home.manifests.all() if any(c.key == key for c in m.documents))


def test_only_pages_that_ocr_read_badly_are_asked_for(read: Workspace) -> None:
    request = request_rereads(read, 0.8)
    assert [page.document for page in request.pages] == [LOST, FAINT], "the worst first"
    assert request.batches == (home_of(read, FAINT), home_of(read, LOST)), "in the order of the batches"
    asked = read.home.rereads.all()
    assert {(one.sha256, one.page_index) for one in asked} == {(page.sha256, page.page_index) for page in request.pages}
    assert {one.effort for one in asked} == {Effort.THOROUGH} and "0.8" in asked[0].why
    assert pending_batches(read) == list(request.batches)


def test_a_request_is_made_once_and_heeded_once(read: Workspace) -> None:
    first = request_rereads(read, 0.8)
    assert request_rereads(read, 0.8) == first, "not read yet: still to be done"
    assert len(read.home.rereads.all()) == len(first.pages)
    assert list(batches_to_reread(read)) == list(first.batches)
    before = reread_outcome(read, first)
    assert (before.pages, before.read, before.improved) == (len(first.pages), 0, 0)
    assert before.confidence_before == before.confidence_after
    run_batch(read, home_of(read, FAINT))
    assert reread_outcome(read, first).read == 1
    run_batch(read, home_of(read, LOST))
    outcome = reread_outcome(read, first)
    assert outcome.read == outcome.improved + outcome.unchanged == len(first.pages) == 2
    assert outcome.confidence_after is not None
    assert batches_to_reread(read) == {} and pending_batches(read) == []
    assert request_rereads(read, 0.8).pages == (), "nothing is tried without end"


def test_the_limit_takes_the_worst(read: Workspace) -> None:
    (worst, *_), (only,) = request_rereads(read, 1.0).pages, request_rereads(read, 1.0, limit=1).pages
    assert only == worst


def test_a_threshold_above_every_page_takes_in_the_clear_scan_but_no_text_layer(read: Workspace) -> None:
    assert {page.document for page in request_rereads(read, 1.0).pages} == {CLEAR, FAINT, LOST}


def test_documents_that_are_gone_are_left_alone(read: Workspace) -> None:
    for key in (FAINT, LOST):
        (read.home.inbox / Path(key).name).unlink()
    scan_inbox(read)
    assert request_rereads(read, 0.8).pages == ()


@pytest.mark.parametrize(("below", "limit"), [(0.0, None), (1.1, None), (float("nan"), None), (0.8, 0)])
def test_arguments_out_of_range_are_refused_and_ask_for_nothing(read: Workspace, below: float, limit: int) -> None:
    with pytest.raises(UsageError) as caught:
        request_rereads(read, below, limit=limit)
    assert caught.value.remedy
    assert read.home.rereads.all() == []


def test_a_batch_is_named_with_a_hash_of_its_requests(read: Workspace) -> None:
    assert batches_to_reread(read) == {}
    sha, clear = sha_of(read, FAINT), sha_of(read, CLEAR)
    read.home.rereads.add([Reread(sha, None, Effort.NORMAL, "a test", "2026-11-21T10:00:00+00:00")])
    read.home.rereads.add([Reread("e" * 64, 0, Effort.NORMAL, "no such content", "2026-11-21T10:00:00+00:00")])
    first = batches_to_reread(read)
    assert list(first) == [home_of(read, FAINT)]
    read.home.rereads.add([Reread(clear, 0, Effort.NORMAL, "a test", "2026-11-21T10:00:00+00:00")])
    second = batches_to_reread(read)
    assert list(second) == [home_of(read, CLEAR), home_of(read, FAINT)], "in the order of the batches"
    assert second[home_of(read, FAINT)] == first[home_of(read, FAINT)]
    assert len(set(second.values())) == 2


def test_the_check_fires_at_the_batch_and_names_page_and_block(read: Workspace) -> None:
    verdicts = {v.name: v for v in check_stage(read, OCR_TEXT, home_of(read, FAINT))}
    found = verdicts["low_confidence"]
    assert (found.outcome, found.threshold) == (Outcome.FAIL, 0.25)
    assert found.figure is not None and found.figure > 0.25
    assert [(row["document"], row["page"]) for row in found.rows] == [(FAINT, 1)]
    assert found.rows[0]["weakest_block_begins"]
    assert "ragflow reocr" in found.remedy
    clear = {v.name: v for v in check_stage(read, OCR_TEXT, home_of(read, CLEAR))}["low_confidence"]
    assert (clear.outcome, clear.rows) == (Outcome.PASS, ())


def test_the_gate_decides_on_the_whole_archive(read: Workspace) -> None:
    lenient = replace(read, gate=replace(read.gate, coverage=0.5, low_confidence=1.0))
    passed = release(lenient)
    verdict = next(v for v in passed.verdicts if v.name == "low_confidence")
    assert (passed.decision, verdict.outcome) == ("promoted", Outcome.PASS)
    assert {row["document"] for row in verdict.rows} == {FAINT}, "named all the same"
    put(read, "more.pdf", QUARRY)
    scan_inbox(read)
    run_pending(read)
    strict = replace(read, gate=replace(read.gate, coverage=0.5, low_confidence=0.1))
    refused = release(strict)
    assert (refused.decision, refused.live) == ("rejected", passed.version)
    assert [v.name for v in refused.verdicts if not v.passed] == ["low_confidence"]
