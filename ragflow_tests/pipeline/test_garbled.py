from __future__ import annotations

import string
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from ragflow.errors import IncompleteError, IntegrityError
from ragflow.model.batches import Corpus, fold
from ragflow.model.verdicts import Outcome
from ragflow.ocr.options import ReadingOptions
from ragflow.pipeline.garbled import garbled
from ragflow.pipeline.ingest import MATERIALIZE
from ragflow.pipeline.stages import OCR_TEXT, RAW_PDFS
from ragflow.pipeline.workspace import Workspace
from ragflow.sample import write_scan_pdf
from ragflow_tests.pipeline.archive import Archive, edited, make_workspace, put, scan_inbox, settle, tamper

SHIP = (
    "Sirs, I have to report that your schooner Petrel took the ground on the Calf Rocks at low water on Sunday last. "
    "She was hauled off on the night tide by the tug Samson and lies now at the coal wharf with four planks started."
)
PILOT = (
    "The pilot says that the buoy had dragged. I went out myself with the lead and found the buoy one hundred and "
    "sixty yards east of its proper place. No blame can therefore fall upon your master."
)
SCAN, LAYER = "inbox/scan.pdf", "inbox/layer.pdf"
LIMIT = 0.05


@pytest.fixture(scope="module")
def scanned(tmp_path_factory: pytest.TempPathFactory) -> Archive:
    """One batch that was read, no further: a scan of three pages, and a document with a text layer."""
    reading = ReadingOptions(engines=("text_layer", "tesseract"), workers=1)
    workspace = make_workspace(tmp_path_factory.mktemp("garbled").resolve() / "home", reading=reading)
    workspace.home.inbox.mkdir(parents=True)
    path = workspace.home.inbox / "scan.pdf"
    write_scan_pdf(path, [[SHIP, PILOT], [PILOT], [SHIP]], dpi=150, seed=3)
    settle(path)
    put(workspace, "layer.pdf", SHIP)
    scan_inbox(workspace)
    (batch,) = workspace.home.manifests.batch_keys()
    for asset in (RAW_PDFS, OCR_TEXT):
        MATERIALIZE[asset](workspace, batch)
    return Archive(workspace, batch, batch)


@pytest.fixture
def spoilt(scanned: Archive, tmp_path: Path) -> Archive:
    """A copy to change."""
    return scanned.copy(tmp_path / "home")


def corpus_of(workspace: Workspace) -> Corpus:
    return fold(workspace.home.manifests.all())


def shift(text: str) -> str:
    low = string.ascii_lowercase
    return text.translate(str.maketrans(low, low[3:] + low[:3]))


def spoil(archive: Archive, key: str, page_index: int, block: int) -> None:
    """Replace the words of a block by others of the same length, in the table of words and in the page's text."""
    workspace = archive.workspace
    sha256 = corpus_of(workspace).documents[key].sha256
    places: list[tuple[int, int]] = []

    def words(table: pa.Table) -> pa.Table:
        rows = table.to_pylist()
        for row in rows:
            if (row["document_sha256"], row["page_index"], row["block"]) == (sha256, page_index, block):
                row["text"] = shift(row["text"])
                places.append((row["char_start"], row["char_end"]))
        return pa.Table.from_pylist(rows, schema=table.schema)

    def texts(table: pa.Table) -> pa.Table:
        rows = table.to_pylist()
        for row in rows:
            if (row["document_sha256"], row["page_index"]) == (sha256, page_index):
                for start, end in places:
                    row["text"] = row["text"][:start] + shift(row["text"][start:end]) + row["text"][end:]
        return pa.Table.from_pylist(rows, schema=table.schema)

    tamper(workspace, OCR_TEXT, archive.first, "words", words, forge=True)
    assert len(places) > 20
    tamper(workspace, OCR_TEXT, archive.first, "page_texts", texts, forge=True)


def test_scans_that_were_read_well_pass(scanned: Archive) -> None:
    verdict = garbled(scanned.workspace, corpus_of(scanned.workspace), LIMIT)
    assert (verdict.name, verdict.outcome, verdict.figure, verdict.rows) == ("garbled_text", Outcome.PASS, 0.0, ())
    assert "3 pages read by OCR" in verdict.summary


def test_one_garbled_block_of_a_page_is_named(spoilt: Archive) -> None:
    spoil(spoilt, SCAN, 0, 1)
    verdict = garbled(spoilt.workspace, corpus_of(spoilt.workspace), LIMIT)
    assert (verdict.outcome, verdict.figure, verdict.threshold) == (Outcome.FAIL, round(1 / 3, 6), LIMIT)
    assert {(row["document"], row["page"]) for row in verdict.rows} == {(SCAN, 1)}
    assert set(shift(PILOT).split()) & set(verdict.rows[0]["region_begins"].split())
    assert verdict.rows[0]["implausible_words"] > 5


def test_the_page_is_that_of_its_document(spoilt: Archive) -> None:
    spoil(spoilt, SCAN, 2, 0)
    verdict = garbled(spoilt.workspace, corpus_of(spoilt.workspace), LIMIT)
    assert {(row["document"], row["page"]) for row in verdict.rows} == {(SCAN, 3)}


def test_the_threshold_decides(spoilt: Archive) -> None:
    spoil(spoilt, SCAN, 0, 1)
    verdict = garbled(spoilt.workspace, corpus_of(spoilt.workspace), 0.5)
    assert (verdict.outcome, verdict.passed, verdict.threshold) == (Outcome.WARN, True, 0.5)


def test_a_text_layer_is_not_judged(spoilt: Archive) -> None:
    spoil(spoilt, LAYER, 0, 0)
    assert garbled(spoilt.workspace, corpus_of(spoilt.workspace), LIMIT).outcome is Outcome.PASS


def test_a_document_that_is_gone_is_not_judged(spoilt: Archive) -> None:
    spoil(spoilt, SCAN, 0, 1)
    corpus = corpus_of(spoilt.workspace)
    left = {key: state for key, state in corpus.documents.items() if key != SCAN}
    verdict = garbled(spoilt.workspace, replace(corpus, documents=left), LIMIT)
    assert (verdict.outcome, verdict.rows) == (Outcome.PASS, ())
    assert "0 pages" in verdict.summary


def test_the_same_bytes_under_two_names_count_once(spoilt: Archive) -> None:
    spoil(spoilt, SCAN, 0, 1)
    corpus = corpus_of(spoilt.workspace)
    twin = replace(corpus.documents[SCAN], key="inbox/twin.pdf")
    verdict = garbled(spoilt.workspace, replace(corpus, documents={**corpus.documents, twin.key: twin}), LIMIT)
    assert verdict.figure == round(1 / 3, 6)
    assert {row["document"] for row in verdict.rows} == {SCAN}


def test_an_archive_without_scans_passes(archive: Archive) -> None:
    verdict = garbled(archive.workspace, corpus_of(archive.workspace), LIMIT)
    assert (verdict.outcome, verdict.figure) == (Outcome.PASS, 0.0)


def test_an_empty_archive_passes(workspace: Workspace) -> None:
    assert garbled(workspace, Corpus(), LIMIT).outcome is Outcome.PASS


@pytest.mark.parametrize(("language", "said"), [("osd", "cannot be unpacked"), ("xyz", "no data for the language xyz")])
def test_nothing_is_judged_without_a_word_list(scanned: Archive, language: str, said: str) -> None:
    """The orientation data are no language and have no word list; of xyz nothing is installed."""
    workspace = replace(scanned.workspace, reading=replace(scanned.workspace.reading, languages=(language,)))
    verdict = garbled(workspace, corpus_of(workspace), LIMIT)
    assert (verdict.outcome, verdict.figure) == (Outcome.WARN, None)
    assert said in verdict.summary
    assert verdict.remedy


def test_words_that_do_not_fit_the_pages_are_an_error(spoilt: Archive) -> None:
    tamper(spoilt.workspace, OCR_TEXT, spoilt.first, "words", lambda table: table.slice(1), forge=True)
    with pytest.raises(IntegrityError, match="words"):
        garbled(spoilt.workspace, corpus_of(spoilt.workspace), LIMIT)


def test_a_page_of_an_unknown_engine_is_read_by_ocr(spoilt: Archive) -> None:
    spoil(spoilt, SCAN, 0, 1)
    tamper(spoilt.workspace, OCR_TEXT, spoilt.first, "page_texts", edited("engine", {"tesseract": "new"}), forge=True)
    assert garbled(spoilt.workspace, corpus_of(spoilt.workspace), LIMIT).outcome is Outcome.FAIL


def test_a_batch_that_was_not_read_is_an_error(workspace: Workspace) -> None:
    put(workspace, "new.pdf", SHIP)
    scan_inbox(workspace)
    with pytest.raises(IncompleteError, match="ocr_text is missing"):
        garbled(workspace, corpus_of(workspace), LIMIT)
