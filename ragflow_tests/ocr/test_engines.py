"""What every engine promises, run on every engine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ragflow.model.reading import PageReading, PageStatus
from ragflow.ocr.engine import PageEngine
from ragflow.ocr.options import ReadingOptions
from ragflow.ocr.pdf import PdfFile
from ragflow.ocr.reader import make_engines
from ragflow_tests.ocr.pdfs import ENGLISH, FRENCH, all_of, empty, lines_at, write_pdf
from ragflow_tests.ocr.test_compose import check_invariants

MakeEngine = Callable[[], PageEngine]


@pytest.fixture(params=["text_layer", "tesseract"])
def make(request: pytest.FixtureRequest) -> MakeEngine:
    options = ReadingOptions(engines=(request.param,), dpi=150)
    return lambda: make_engines(options)[0]


def read(path: Path, engine: PageEngine, page_index: int = 0) -> PageReading | None:
    with PdfFile(path) as file, file.page(page_index, 80_000_000) as page:
        return engine.read(page)


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> Path:
    text = all_of(
        lines_at(["A large title"], top=540, size=24),
        lines_at([*ENGLISH, "with an exam-", "ple at the end"], top=480, size=14, leading=18),
        lines_at(FRENCH, top=340, size=14, leading=18),
    )
    return write_pdf(tmp_path_factory.mktemp("engines") / "a.pdf", [text, empty])


def test_texts_words_and_boxes(document: Path, make: MakeEngine) -> None:
    engine = make()
    reading = read(document, engine)
    assert reading is not None
    assert (reading.status, reading.engine, reading.page_index) == (PageStatus.INDEXED, engine.name, 0)
    assert engine.runs == 1
    check_invariants(reading.text, reading.words)
    assert "example" in reading.text and "brown fox" in reading.text and "géométrie" in reading.text
    assert reading.headings == (0,)
    for word in reading.words:
        assert 0.0 <= word.left < word.right <= 1.0
        assert 0.0 <= word.top < word.bottom <= 1.0
        assert 0.0 <= word.confidence <= 1.0
    quick = next(word for word in reading.words if word.text == "quick")
    river = next(word for word in reading.words if word.text == "river")
    assert quick.bottom < river.top + 0.01 and quick.right < river.right


def test_the_same_page_gives_the_same_reading(document: Path, make: MakeEngine) -> None:
    engine = make()
    assert read(document, engine) == read(document, engine) == read(document, make())


def test_an_empty_page_is_blank_or_passed_on(document: Path, make: MakeEngine) -> None:
    engine = make()
    reading = read(document, engine, 1)
    assert reading is None or (reading.status, reading.text, reading.words) == (PageStatus.BLANK, "", ())
    assert engine.runs == 0
