"""The four stages of a batch: done once, done again when something that decides them changed, and not before."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from ragflow.errors import IncompleteError
from ragflow.model.fingerprints import sha256_text
from ragflow.ocr.options import ReadingOptions
from ragflow.pipeline import chunks, embeddings, ocr_text
from ragflow.pipeline.batch_checks import CHECK_NAMES, check_batches, check_stage
from ragflow.pipeline.ingest import MATERIALIZE, pending_batches
from ragflow.pipeline.overview import status
from ragflow.pipeline.stages import STAGES, StageReport
from ragflow.pipeline.staleness import stale_stage
from ragflow.pipeline.workspace import Workspace
from ragflow_tests.pipeline.archive import (
    LAVOIR,
    ORCHARD,
    QUARRY,
    REPORT,
    WINDMILL,
    Archive,
    edited,
    failed,
    flip,
    make_workspace,
    put,
    run_batch,
    run_pending,
    scan_inbox,
    table_path,
    tamper,
)

TABLES = {"raw_pdfs": "pages", "ocr_text": "words", "chunks": "chunks", "embeddings": "embeddings"}


def stale(workspace: Workspace, batch: str) -> str | None:
    return stale_stage(workspace, workspace.home.manifests.get(batch))


def test_a_second_run_does_nothing(archive: Archive) -> None:
    for batch in (archive.first, archive.second):
        for asset, report in run_batch(archive.workspace, batch).items():
            assert (asset, report.reused, report.work) == (asset, True, {})
    assert pending_batches(archive.workspace, thorough=True) == []


def test_every_check_of_an_untouched_batch_passes(archive: Archive) -> None:
    for asset in STAGES:
        verdicts = check_stage(archive.workspace, asset, archive.first)
        assert tuple(verdict.name for verdict in verdicts) == CHECK_NAMES[asset]
        assert failed(verdicts) == {}


def test_a_stage_whose_forerunner_is_missing_says_which(workspace: Workspace) -> None:
    put(workspace, "a.pdf", QUARRY)
    (batch,) = scan_inbox(workspace).batches
    for materialize, missing in ((ocr_text, "raw_pdfs"), (chunks, "ocr_text"), (embeddings, "chunks")):
        with pytest.raises(IncompleteError, match=f"{missing} is missing for batch {batch}") as caught:
            materialize.materialize(workspace, batch)
        assert caught.value.remedy
    assert stale(workspace, batch) == "raw_pdfs is missing"
    with pytest.raises(IncompleteError):
        check_stage(workspace, "chunks", batch)
    verdicts = check_batches(workspace, [batch])
    assert [verdict.name for verdict in verdicts if not verdict.passed].count("tables_intact") == 4


def test_each_stage_in_turn_is_the_missing_one(workspace: Workspace) -> None:
    put(workspace, "a.pdf", QUARRY)
    (batch,) = scan_inbox(workspace).batches
    for asset in STAGES:
        assert stale(workspace, batch) == f"{asset} is missing"
        assert pending_batches(workspace) == [batch]
        MATERIALIZE[asset](workspace, batch)
    assert stale(workspace, batch) is None


@pytest.mark.parametrize("asset", STAGES)
def test_a_damaged_table_is_made_anew_and_comes_out_the_same(copied: Archive, asset: str) -> None:
    before = {name: copied.home.tables.get(name, copied.first).output_sha256 for name in STAGES}
    flip(table_path(copied.workspace, asset, copied.first, TABLES[asset]))
    (verdict, *_) = check_stage(copied.workspace, asset, copied.first)
    assert (verdict.name, verdict.passed, verdict.rows[0]["table"]) == ("tables_intact", False, TABLES[asset])
    assert pending_batches(copied.workspace, thorough=True) == [copied.first]
    reports = run_batch(copied.workspace, copied.first)
    assert {name: report.reused for name, report in reports.items()} == {name: name != asset for name in STAGES}
    assert {name: copied.home.tables.get(name, copied.first).output_sha256 for name in STAGES} == before


@pytest.mark.parametrize("asset", STAGES)
def test_a_damaged_record_is_named_and_made_anew(copied: Archive, asset: str) -> None:
    """One torn file must not keep the other batches, nor the view of what stands, from working."""
    (copied.home.tables.folder(asset, copied.second) / "record.json").write_bytes(b"{torn")
    assert "damaged" in (stale(copied.workspace, copied.second) or "")
    assert stale(copied.workspace, copied.first) is None
    verdicts = check_batches(copied.workspace, [copied.first, copied.second])
    broken = [verdict for verdict in verdicts if not verdict.passed]
    assert "tables_intact" in {verdict.name for verdict in broken}
    assert {row["batch"] for verdict in broken for row in verdict.rows if "batch" in row} == {copied.second}
    pending = {entry["key"]: entry["pending"] for entry in status(copied.workspace)["batches"]}
    assert (pending[copied.first], pending[copied.second]) == (None, stale(copied.workspace, copied.second))
    assert list(run_pending(copied.workspace)) == [copied.second]
    assert stale(copied.workspace, copied.second) is None
    assert failed(check_batches(copied.workspace, [copied.second])) == {}


def work(reports: dict[str, StageReport]) -> list[str]:
    return [asset for asset, report in reports.items() if not report.reused]


Options = Callable[[Workspace], Workspace]
CHANGES: list[tuple[Options, str]] = [
    (lambda w: replace(w, reading=replace(w.reading, max_pages=9)), "raw_pdfs"),
    (lambda w: replace(w, reading=replace(w.reading, trust=replace(w.reading.trust, image_cover=0.4))), "ocr_text"),
    (lambda w: replace(w, target_tokens=40), "chunks"),
]


@pytest.mark.parametrize(("change", "first_stale"), CHANGES)
def test_an_option_makes_its_stage_stale_and_none_before(archive: Archive, change: Options, first_stale: str) -> None:
    other = change(archive.workspace)
    assert stale(other, archive.first) == f"{first_stale} is out of date"
    assert pending_batches(other) == [archive.first, archive.second]


NEUTRAL: list[Options] = [
    lambda w: replace(w, reading=replace(w.reading, workers=1)),
    lambda w: replace(w, gate=replace(w.gate, coverage=0.1)),
    lambda w: replace(w, batching=replace(w.batching, max_documents=1)),
    lambda w: replace(w, embedding=replace(w.embedding, threads=1)),
    lambda w: replace(w, index_from_points=7),
]


@pytest.mark.parametrize("change", NEUTRAL)
def test_options_that_decide_no_table_make_none_stale(archive: Archive, change: Options) -> None:
    assert pending_batches(change(archive.workspace)) == []


def test_only_the_stages_behind_a_change_are_done_again(copied: Archive) -> None:
    other = replace(copied.workspace, reading=replace(copied.workspace.reading, max_pages=9))
    assert work(run_batch(other, copied.first)) == ["raw_pdfs"], "what it wrote is what stood there"
    assert stale(other, copied.first) is None


def test_a_stage_that_comes_out_the_same_spares_those_behind_it(copied: Archive) -> None:
    """The pages are shorter than either target: the chunks are cut again, and nothing is embedded again."""
    other = replace(copied.workspace, target_tokens=40)
    assert work(run_batch(other, copied.first)) == ["chunks"]


def test_other_chunks_are_embedded_anew(workspace: Workspace) -> None:
    put(workspace, "long.pdf", [QUARRY, ORCHARD, WINDMILL, *(f"{QUARRY} {number}" for number in range(14))])
    (batch,) = scan_inbox(workspace).batches
    wide = run_batch(workspace, batch)["chunks"].record
    narrow = replace(workspace, target_tokens=40)
    reports = run_batch(narrow, batch)
    assert work(reports) == ["chunks", "embeddings"]
    assert reports["chunks"].record.output_sha256 != wide.output_sha256
    assert reports["embeddings"].work["embeddings_computed"] == reports["chunks"].record.figures["chunks"]
    assert stale(narrow, batch) is None
    assert stale(workspace, batch) == "chunks is out of date"


def test_too_many_pages_by_option(copied: Archive) -> None:
    """The limit is part of what decides raw_pdfs: lowering it quarantines, raising it brings the document back."""
    strict = replace(copied.workspace, reading=replace(copied.workspace.reading, max_pages=3))
    reports = run_batch(strict, copied.first)
    assert reports["raw_pdfs"].record.figures["reasons"] == {"too_many_pages": 2}
    assert run_batch(copied.workspace, copied.first)["raw_pdfs"].record.figures["reasons"] == {}


def embed_work(workspace: Workspace) -> dict[str, tuple[int, int]]:
    """Return batch → (embeddings computed, embeddings reused) of what was pending."""
    found = {}
    for batch, reports in run_pending(workspace).items():
        done = reports["embeddings"].work
        found[batch] = (done["embeddings_computed"], done["embeddings_reused"])
    return found


def test_equal_texts_are_embedded_once_within_a_batch_and_across_batches(workspace: Workspace) -> None:
    put(workspace, "a.pdf", QUARRY, ORCHARD, QUARRY)
    put(workspace, "b.pdf", ORCHARD)
    (first,) = scan_inbox(workspace).batches
    assert embed_work(workspace) == {first: (2, 0)}
    put(workspace, "c.pdf", WINDMILL, ORCHARD)
    (second,) = scan_inbox(workspace).batches
    assert embed_work(workspace) == {second: (1, 1)}
    table = workspace.home.tables.read(workspace.home.tables.get("embeddings", second), "embeddings").to_pylist()
    origin = {row["text_sha256"]: row["reused_from"] for row in table}
    assert origin == {sha256_text(WINDMILL): None, sha256_text(ORCHARD): first}
    home = workspace.home.tables.read(workspace.home.tables.get("embeddings", first), "embeddings").to_pylist()
    vectors = {row["text_sha256"]: row["vector_sha256"] for row in home}
    (reused,) = [row for row in table if row["reused_from"]]
    assert reused["vector_sha256"] == vectors[sha256_text(ORCHARD)]


def test_the_same_words_in_another_language_share_their_dense_vector(workspace: Workspace) -> None:
    put(workspace, "a.pdf", LAVOIR, language="fr")
    put(workspace, "b.pdf", LAVOIR, language="en")
    (batch,) = scan_inbox(workspace).batches
    ((computed, _),) = embed_work(workspace).values()
    rows = workspace.home.tables.read(workspace.home.tables.get("embeddings", batch), "embeddings").to_pylist()
    assert computed == 1
    assert len({tuple(row["dense"]) for row in rows}) == 1
    assert {row["language"] for row in rows} in ({"fr"}, {"en", "fr"})


def flip_middle(path: Path) -> None:
    flip(path)


def tear(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:20])


def lose_record(path: Path) -> None:
    (path.parent / "record.json").write_bytes(b"{torn")


@pytest.mark.parametrize("damage", [flip_middle, tear, Path.unlink, lose_record])
def test_a_damaged_table_of_another_batch_is_not_reused(workspace: Workspace, damage: Callable[[Path], None]) -> None:
    put(workspace, "a.pdf", QUARRY)
    (first,) = scan_inbox(workspace).batches
    run_pending(workspace)
    damage(table_path(workspace, "embeddings", first, "embeddings"))
    put(workspace, "b.pdf", QUARRY, [])
    (second,) = scan_inbox(workspace).batches
    assert run_batch(workspace, second)["embeddings"].work == {"embeddings_computed": 1, "embeddings_reused": 0}


def test_vectors_are_never_taken_from_a_later_batch(copied: Archive) -> None:
    """The second batch has taken a vector from the first: made anew, the first must not take it back from there."""
    second = copied.home.tables.get("embeddings", copied.second)
    assert second.figures["reused"] == 1
    table_path(copied.workspace, "embeddings", copied.first, "embeddings").unlink()
    report = run_batch(copied.workspace, copied.first)["embeddings"]
    assert report.work == {"embeddings_computed": 5, "embeddings_reused": 0}


def test_a_batch_that_only_removes_has_empty_tables_and_passes(workspace: Workspace) -> None:
    put(workspace, "a.pdf", QUARRY)
    scan_inbox(workspace)
    run_pending(workspace)
    (workspace.home.inbox / "a.pdf").unlink()
    (batch,) = scan_inbox(workspace).batches
    reports = run_batch(workspace, batch)
    assert reports["raw_pdfs"].record.figures["removed"] == 1
    assert {name: report.record.files[TABLES[name]].rows for name, report in reports.items()} == dict.fromkeys(
        STAGES, 0
    )
    assert failed(check_batches(workspace, [batch])) == {}


def test_two_runs_of_one_stage_do_the_work_once(workspace: Workspace) -> None:
    put(workspace, "a.pdf", QUARRY)
    (batch,) = scan_inbox(workspace).batches
    reports: list[StageReport] = []
    threads = [
        threading.Thread(target=lambda: reports.append(MATERIALIZE["raw_pdfs"](workspace, batch))) for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(report.reused for report in reports) == [False, True, True]


def test_blank_pages_and_bad_documents_stay_in_the_tables(workspace: Workspace) -> None:
    put(workspace, "a.pdf", QUARRY, [])
    (workspace.home.inbox / "bad.pdf").write_bytes(b"no PDF")
    (batch,) = scan_inbox(workspace, wait=True).batches
    figures = run_batch(workspace, batch)["ocr_text"].record.figures
    assert (figures["pages"], figures["indexed"], figures["blank"], figures["quarantined"]) == (3, 1, 1, 1)
    found = failed(check_batches(workspace, [batch]))
    assert found.keys() == {"coverage"}


@pytest.mark.parametrize(
    ("asset", "table", "column", "replacements", "check"),
    [
        ("ocr_text", "page_texts", "text", {QUARRY: ORCHARD, ORCHARD: QUARRY}, "texts_intact"),
        ("ocr_text", "page_texts", "status", {"blank": "indexed"}, "pages_accounted"),
        ("ocr_text", "words", "text", {"granite": "marble"}, "texts_intact"),
        ("chunks", "chunks", "text", {QUARRY: ORCHARD}, "chunks_cover_pages"),
        ("chunks", "chunks", "page_index", {3: 0}, "chunks_cover_pages"),
    ],
)
def test_a_tampered_table_is_named_by_document_and_page(
    copied: Archive, asset: str, table: str, column: str, replacements: dict[object, object], check: str
) -> None:
    tamper(copied.workspace, asset, copied.first, table, edited(column, replacements))
    found = failed(check_stage(copied.workspace, asset, copied.first))
    assert "tables_intact" in found
    assert {document for document, _ in found[check]} <= {REPORT, "inbox/a twin.pdf"}
    assert all(page for _, page in found[check])


def test_reading_without_a_text_layer_engine_is_another_reading() -> None:
    """Engines are part of what decides the text; the number of workers is not."""
    from ragflow.ocr.options import ocr_parts

    base = ReadingOptions(engines=("text_layer",))
    assert ocr_parts(base) == ocr_parts(replace(base, workers=5))
    assert ocr_parts(base) != ocr_parts(replace(base, engines=("text_layer", "tesseract")))


def test_making_a_workspace_touches_nothing(archive: Archive) -> None:
    root = archive.home.root / "never"
    make_workspace(root)
    assert not root.exists()
