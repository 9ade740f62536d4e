"""Reading pixels with the real Tesseract."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

from ragflow.errors import DependencyMissingError
from ragflow.model.reading import PageReading, PageStatus, Reason, Word
from ragflow.ocr.options import ReadingOptions
from ragflow.ocr.pdf import PdfFile
from ragflow.ocr.reader import read_unit
from ragflow.ocr.tesseract import parse_table
from ragflow_tests.ocr.pdfs import ENGLISH, FRENCH, HEIGHT, WIDTH, as_picture, empty, lines_at, scan, write_pdf

OPTIONS = ReadingOptions(engines=("tesseract",), dpi=200, page_seconds=60)


def read(path: Path, options: ReadingOptions = OPTIONS) -> tuple[PageReading, int]:
    unit = read_unit(path, [0], options)
    (page,) = unit.pages
    return page, unit.engine_runs["tesseract"]


def page_of_text(path: Path, lines: tuple[str, ...] = ENGLISH) -> Path:
    return write_pdf(path, [lines_at(lines * 3, top=520, size=14, leading=20)])


def find(reading: PageReading, text: str) -> Word:
    return next(word for word in reading.words if word.text == text)


def test_english_and_french(tmp_path: Path) -> None:
    english, runs = read(page_of_text(tmp_path / "a.pdf"))
    assert runs == 1
    assert english.text == "\n".join(ENGLISH * 3)
    assert (english.status, english.engine, english.language, english.raster_dpi) == (
        PageStatus.INDEXED,
        "tesseract",
        "en",
        200,
    )
    french, _ = read(page_of_text(tmp_path / "b.pdf", FRENCH))
    assert french.text.replace("\u2019", "'") == "\n".join(FRENCH * 3)
    assert french.language == "fr"


def test_the_raster_hash_is_that_of_the_rendered_page(tmp_path: Path) -> None:
    path = page_of_text(tmp_path / "a.pdf")
    reading, _ = read(path)
    with PdfFile(path) as file, file.page(0, 80_000_000) as page:
        assert page.render(200).sha256 == reading.raster_sha256
        assert page.render(150).sha256 != reading.raster_sha256


@pytest.mark.parametrize("turn", [90, 180, 270])
def test_turned_pixels_are_read_and_boxes_stay_on_the_displayed_page(tmp_path: Path, turn: int) -> None:
    upright = page_of_text(tmp_path / "source.pdf")
    options = replace(OPTIONS, dpi=150)
    straight, _ = read(upright, options)
    reading, _ = read(scan(tmp_path / "a.pdf", as_picture(upright, turn)), options)
    assert reading.text.split()[:9] == straight.text.split()[:9]
    before, after = find(straight, "jumps"), find(reading, "jumps")
    x, y = (before.left + before.right) / 2, (before.top + before.bottom) / 2
    expected = {90: (y, 1 - x), 180: (1 - x, 1 - y), 270: (1 - y, x)}[turn]
    middle = ((after.left + after.right) / 2, (after.top + after.bottom) / 2)
    assert middle == pytest.approx(expected, abs=0.01)


def test_a_box_encloses_the_words_ink(tmp_path: Path) -> None:
    path = write_pdf(tmp_path / "a.pdf", [lines_at(["landmark"], left=120, top=300, size=30)])
    reading, _ = read(path)
    word = find(reading, "landmark")
    with PdfFile(path) as file, file.page(0, 80_000_000) as page:
        pixels = page.render(200).pixels
    rows, columns = np.nonzero(pixels < 128)
    height, width = pixels.shape
    ink = (columns.min() / width, rows.min() / height, columns.max() / width, rows.max() / height)
    assert (word.left, word.top, word.right, word.bottom) == pytest.approx(ink, abs=0.01)


def test_a_blank_page_does_not_run_tesseract(tmp_path: Path) -> None:
    reading, runs = read(write_pdf(tmp_path / "a.pdf", [empty]))
    assert (reading.status, reading.reason, runs) == (PageStatus.BLANK, None, 0)
    assert reading.raster_sha256 is not None


def test_marks_without_text_are_quarantined(tmp_path: Path) -> None:
    image = Image.new("L", (600, 850), 255)
    ImageDraw.Draw(image).polygon([(100, 100), (500, 300), (200, 700)], fill=60)
    reading, runs = read(scan(tmp_path / "a.pdf", image))
    assert (reading.status, reading.reason) == (PageStatus.QUARANTINED, Reason.NO_TEXT_FOUND)
    assert runs == 1 and reading.detail


def test_a_page_that_takes_too_long_is_timed_out(tmp_path: Path) -> None:
    reading, _ = read(page_of_text(tmp_path / "a.pdf"), replace(OPTIONS, page_seconds=0.02))
    assert (reading.status, reading.reason) == (PageStatus.QUARANTINED, Reason.TIMED_OUT)


def test_a_large_page_is_rendered_with_fewer_dots(tmp_path: Path) -> None:
    reading, _ = read(page_of_text(tmp_path / "a.pdf"), replace(OPTIONS, max_page_pixels=1_000_000))
    assert reading.raster_dpi == int((1_000_000 / (WIDTH * HEIGHT / 72**2)) ** 0.5) == 144
    assert "quick brown fox" in reading.text
    reading, runs = read(page_of_text(tmp_path / "a.pdf"), replace(OPTIONS, max_page_pixels=200_000))
    assert (reading.status, reading.reason, runs) == (PageStatus.QUARANTINED, Reason.PAGE_TOO_LARGE, 0)


def test_a_missing_language_is_not_taken_for_a_bad_page(tmp_path: Path) -> None:
    with pytest.raises(DependencyMissingError, match="tesseract-ocr-xyz"):
        read(page_of_text(tmp_path / "a.pdf"), replace(OPTIONS, languages=("eng", "xyz")))


def test_a_missing_program_is_not_taken_for_a_bad_page(tmp_path: Path, monkeypatch: Any) -> None:
    import pytesseract

    monkeypatch.setattr(pytesseract.pytesseract, "tesseract_cmd", "no-such-program")
    with pytest.raises(DependencyMissingError, match="apt-get install tesseract-ocr"):
        read(page_of_text(tmp_path / "a.pdf"))


def test_the_table_is_read_row_by_row() -> None:
    row = "5\t1\t{}\t1\t{}\t1\t10\t20\t{}\t40\t{}\t{}"
    table = "\n".join(
        [
            "level\tpage_num\tblock_num\tpar_num\tline_num\tword_num\tleft\ttop\twidth\theight\tconf\ttext",
            "4\t1\t1\t1\t1\t0\t10\t20\t30\t40\t-1\t",
            row.format(1, 1, 30, "96.5", '"quoted"'),
            row.format(1, 1, 30, "95", "  "),
            row.format(1, 2, 3000, "-1", "wide"),
            row.format(2, 1, 30, "101", "sure"),
            "",
        ]
    )
    lines = parse_table(table, 100, 200)
    assert [(line.block, [piece.text for piece in line.pieces]) for line in lines] == [
        (0, ['"quoted"']),
        (0, ["wide"]),
        (1, ["sure"]),
    ]
    first, wide, sure = (line.pieces[0] for line in lines)
    assert first == ('"quoted"', 0.1, 0.1, 0.4, 0.3, 0.965)
    assert (wide.right, wide.confidence, sure.confidence) == (1.0, 0.0, 1.0)


def test_a_parted_word_holds_paragraphs_of_a_block_together() -> None:
    row = "5\t1\t{}\t{}\t1\t1\t10\t20\t30\t40\t90\t{}"
    table = "\n".join(row.format(*cells) for cells in [(1, 1, "exam-"), (1, 2, "ple"), (1, 3, "of-"), (2, 1, "ten")])
    assert [line.block for line in parse_table(table, 100, 200)] == [0, 0, 1, 2]
