"""Each page asked for gets one status, whatever the engines do."""

from __future__ import annotations

from pathlib import Path

import pytest

from ragflow.errors import RagflowError
from ragflow.model.reading import PageStatus, Reason
from ragflow.ocr.options import ReadingOptions
from ragflow.ocr.reader import read_pages, read_unit
from ragflow_tests.ocr.fakes import FailingEngine, FixedEngine, NullEngine, errors, fatal
from ragflow_tests.ocr.pdfs import ENGLISH, as_picture, empty, lines_at, scan, write_pdf

OPTIONS = ReadingOptions(dpi=150)


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pdf(tmp_path_factory.mktemp("reader") / "a.pdf", [lines_at(ENGLISH), empty])


def test_the_text_layer_spares_the_ocr(document: Path) -> None:
    unit = read_unit(document, [1, 0], OPTIONS)
    assert [(page.page_index, page.status) for page in unit.pages] == [(1, PageStatus.BLANK), (0, PageStatus.INDEXED)]
    assert unit.pages[1].engine == "text_layer" and unit.pages[1].language == "en"
    assert unit.engine_runs == {"text_layer": 1, "rapidocr": 0, "tesseract": 0}


def test_a_scan_goes_on_to_the_ocr(document: Path, tmp_path: Path) -> None:
    path = scan(tmp_path / "a.pdf", as_picture(document), lines_at(ENGLISH, mode=3))
    unit = read_unit(path, [0], OPTIONS)
    assert unit.pages[0].engine.startswith("rapidocr") and "brown fox" in unit.pages[0].text
    assert unit.engine_runs["rapidocr"] == 1 and unit.engine_runs["text_layer"] == 0


def test_without_an_engine_for_it_a_page_is_blank_or_without_text(document: Path) -> None:
    marked, blank = read_pages(document, [0, 1], OPTIONS, [NullEngine()])
    assert (marked.status, marked.reason) == (PageStatus.QUARANTINED, Reason.NO_TEXT_FOUND)
    assert (blank.status, blank.reason) == (PageStatus.BLANK, None)


@pytest.mark.parametrize("error", errors(), ids=lambda error: type(error).__name__)
def test_an_error_costs_the_page_only(document: Path, error: Exception) -> None:
    pages = read_pages(document, [0, 1], OPTIONS, [FailingEngine(error), NullEngine()])
    expected = getattr(error, "reason", Reason.ENGINE_FAILED)
    assert [(page.status, page.reason) for page in pages] == [(PageStatus.QUARANTINED, expected)] * 2
    assert all(page.detail for page in pages)


def test_after_a_failed_engine_the_next_one_is_asked(document: Path) -> None:
    (page,) = read_pages(document, [0], OPTIONS, [FailingEngine(ValueError("a defect")), FixedEngine()])
    assert (page.status, page.engine, page.language) == (PageStatus.INDEXED, "fixed", "fr")


@pytest.mark.parametrize("error", fatal(), ids=lambda error: type(error).__name__)
def test_what_concerns_all_pages_is_raised(document: Path, error: Exception) -> None:
    with pytest.raises(type(error)):
        read_pages(document, [0], OPTIONS, [FailingEngine(error), FixedEngine()])


def test_a_page_that_is_not_there(document: Path) -> None:
    pages = read_pages(document, [7, 0], OPTIONS, [FixedEngine()])
    assert [page.reason for page in pages] == [Reason.PAGE_DAMAGED, None]


def test_a_file_that_does_not_open(tmp_path: Path) -> None:
    path = tmp_path / "bad.pdf"
    path.write_bytes(b"%PDF-1.4 and nothing more")
    assert [page.reason for page in read_pages(path, [0, 1], OPTIONS)] == [Reason.DAMAGED] * 2
    assert [page.reason for page in read_pages(tmp_path / "none.pdf", [0], OPTIONS)] == [Reason.UNREADABLE]


def test_our_errors_survive_pickling() -> None:
    import pickle

    for error in [*errors(), *fatal()]:
        copy = pickle.loads(pickle.dumps(error))
        assert str(copy) == str(error)
        if isinstance(error, RagflowError):
            assert copy.__dict__ == error.__dict__
