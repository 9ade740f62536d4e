"""Words, boxes, order and trust of the text layer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ragflow.model.reading import PageReading, Word
from ragflow.ocr.pdf import PdfFile, Raster
from ragflow.ocr.text_layer import TextLayerEngine
from ragflow_tests.ocr.pdfs import (
    ENGLISH,
    HEIGHT,
    WIDTH,
    all_of,
    as_picture,
    empty,
    lines_at,
    picture,
    scan,
    write_pdf,
)

MARKED = "landmark"


def read(path: Path) -> PageReading | None:
    with PdfFile(path) as file, file.page(0, 80_000_000) as page:
        return TextLayerEngine().read(page)


def text_of(path: Path) -> str:
    reading = read(path)
    assert reading is not None
    return reading.text


def render(path: Path, dpi: int = 144) -> Raster:
    with PdfFile(path) as file, file.page(0, 80_000_000) as page:
        return page.render(dpi)


def ink_box(raster: Raster) -> tuple[float, float, float, float]:
    rows, columns = np.nonzero(raster.pixels < 128)
    return (
        columns.min() / raster.width,
        rows.min() / raster.height,
        (columns.max() + 1) / raster.width,
        (rows.max() + 1) / raster.height,
    )


def only_word(path: Path) -> Word:
    reading = read(path)
    assert reading is not None
    (word,) = reading.words
    assert word.text == MARKED
    return word


def assert_encloses_ink(path: Path) -> None:
    word = only_word(path)
    raster = render(path)
    left, top, right, bottom = ink_box(raster)
    across, down = 3 / raster.width, 3 / raster.height
    assert word.left - across <= left and right <= word.right + across
    assert word.top - down <= top and bottom <= word.bottom + down
    # The word is 8 letters of 24 points: its box is little larger than its ink.
    assert word.right - word.left <= (right - left) + 24 * 2 / raster.width * 2
    assert word.bottom - word.top <= (bottom - top) + 24 * 2 / raster.height * 2


@pytest.mark.parametrize("crop", [None, (30, 200, 400, 400)])
@pytest.mark.parametrize("rotate", [0, 90, 180, 270])
def test_a_box_lies_where_the_word_is_displayed(tmp_path: Path, rotate: int, crop: Any) -> None:
    options = {"rotate": rotate, **({"crop": crop} if crop else {})}
    assert_encloses_ink(write_pdf(tmp_path / "a.pdf", [lines_at([MARKED], left=70, top=300, size=24)], **options))


@pytest.mark.parametrize("turn", [90, 180, 270, 30])
def test_turned_text(tmp_path: Path, turn: int) -> None:
    def draw(canvas: Any) -> None:
        canvas.translate(200, 300)
        canvas.rotate(turn)
        canvas.setFont("Helvetica", 24)
        canvas.drawString(0, 0, MARKED)

    path = write_pdf(tmp_path / "a.pdf", [draw])
    word = only_word(path)
    left, top, right, bottom = ink_box(render(path))
    assert word.left <= left + 0.02 and right <= word.right + 0.02
    assert word.top <= top + 0.02 and bottom <= word.bottom + 0.02
    if turn % 90 == 0:
        assert_encloses_ink(path)


def test_words_outside_the_crop_box_are_left_out(tmp_path: Path) -> None:
    draw = all_of(lines_at(ENGLISH, top=500), lines_at(["outside below"], top=100))
    text = text_of(write_pdf(tmp_path / "a.pdf", [draw], crop=(0, 300, WIDTH, HEIGHT)))
    assert text.startswith("The quick") and "outside" not in text


def test_a_page_with_most_words_outside_is_passed_on(tmp_path: Path) -> None:
    draw = all_of(lines_at(["inside"], top=500), lines_at(ENGLISH, top=100))
    assert read(write_pdf(tmp_path / "a.pdf", [draw], crop=(0, 300, WIDTH, HEIGHT))) is None


def test_two_columns_keep_their_order(tmp_path: Path) -> None:
    left = [f"left{number} column text" for number in range(6)]
    right = [f"right{number} column text" for number in range(6)]
    draw = all_of(lines_at(left, left=40), lines_at(right, left=230))
    reading = read(write_pdf(tmp_path / "a.pdf", [draw]))
    assert reading is not None
    assert reading.text == "\n".join(left) + "\n\n" + "\n".join(right)
    assert {word.block for word in reading.words} == {0, 1}


def test_paragraphs_and_headings(tmp_path: Path) -> None:
    draw = all_of(
        lines_at(["A large title"], top=540, size=20),
        lines_at(ENGLISH, top=500),
        lines_at(ENGLISH, top=430),
        lines_at(["2.1 Numbered part"], top=370),
        lines_at(ENGLISH, top=340),
    )
    reading = read(write_pdf(tmp_path / "a.pdf", [draw]))
    assert reading is not None
    body = "\n".join(ENGLISH)
    assert reading.text == "\n\n".join(["A large title", body, body, "2.1 Numbered part", body])
    assert reading.headings == (0, 3)


def test_double_spacing_is_not_taken_for_paragraphs(tmp_path: Path) -> None:
    assert text_of(write_pdf(tmp_path / "a.pdf", [lines_at(ENGLISH, leading=26)])) == "\n".join(ENGLISH)


def test_hyphens_at_line_ends(tmp_path: Path) -> None:
    lines = ["This is an exam-", "ple by Jean-", "Pierre on a well-known", "subject of ours"]
    text = text_of(write_pdf(tmp_path / "a.pdf", [lines_at(lines)]))
    assert text == "This is an example\nby Jean-\nPierre on a well-known\nsubject of ours"


def test_the_parts_of_a_parted_word_have_their_own_boxes(tmp_path: Path) -> None:
    reading = read(write_pdf(tmp_path / "a.pdf", [lines_at(["This is an exam-", "ple of text"])]))
    assert reading is not None
    exam, ple = (next(word for word in reading.words if word.text == part) for part in ("exam", "ple"))
    assert exam.char_end == ple.char_start
    assert exam.bottom <= ple.top + 0.005 and ple.right < exam.left


def test_french_accents(tmp_path: Path) -> None:
    lines = ["Où l'élève reçoit-il ses œuvres", "à la forêt de Noël ?"]
    assert text_of(write_pdf(tmp_path / "a.pdf", [lines_at(lines)])) == "\n".join(lines)


def grey_scan(tmp_path: Path) -> Image.Image:
    return as_picture(write_pdf(tmp_path / "source.pdf", [lines_at(ENGLISH)]), dpi=72)


def many_words(mode: int) -> Any:
    return lines_at(ENGLISH, mode=mode)


def test_invisible_text_over_a_picture_is_passed_on(tmp_path: Path) -> None:
    assert read(scan(tmp_path / "a.pdf", grey_scan(tmp_path), many_words(3))) is None


def test_visible_text_over_a_picture_is_read(tmp_path: Path) -> None:
    assert read(scan(tmp_path / "a.pdf", grey_scan(tmp_path), many_words(0))) is not None


def test_text_under_a_picture_is_passed_on(tmp_path: Path) -> None:
    path = write_pdf(tmp_path / "a.pdf", [all_of(many_words(0), picture(grey_scan(tmp_path)))])
    assert read(path) is None


def test_text_beside_a_large_picture_is_read(tmp_path: Path) -> None:
    below = (0.0, 0.0, WIDTH, 0.6 * HEIGHT)
    path = write_pdf(tmp_path / "a.pdf", [all_of(many_words(0), picture(grey_scan(tmp_path), below))])
    assert read(path) is not None


def test_invisible_text_under_strips_of_a_picture_is_passed_on(tmp_path: Path) -> None:
    image = grey_scan(tmp_path)
    strips = [picture(image, (0, number * HEIGHT / 10, WIDTH, HEIGHT / 10)) for number in range(10)]
    assert read(write_pdf(tmp_path / "a.pdf", [all_of(many_words(3), *strips)])) is None


def test_a_stamp_on_a_scan_is_passed_on(tmp_path: Path) -> None:
    assert read(scan(tmp_path / "a.pdf", grey_scan(tmp_path), lines_at(["RECEIVED 12 May"]))) is None


def test_a_stamp_without_a_scan_is_read(tmp_path: Path) -> None:
    assert text_of(write_pdf(tmp_path / "a.pdf", [lines_at(["RECEIVED 12 May"])])) == "RECEIVED 12 May"


def form_with_picture(image: Image.Image, scale: float) -> Any:
    def draw(canvas: Any) -> None:
        canvas.beginForm("picture")
        picture(image, (0, 0, WIDTH / 10, HEIGHT / 10))(canvas)
        canvas.endForm()
        canvas.saveState()
        canvas.scale(scale, scale)
        canvas.doForm("picture")
        canvas.restoreState()

    return draw


@pytest.mark.parametrize(("scale", "passed_on"), [(10, True), (3, False)])
def test_a_picture_within_a_form_counts_as_large_as_it_is_displayed(
    tmp_path: Path, scale: float, passed_on: bool
) -> None:
    draw = all_of(form_with_picture(grey_scan(tmp_path), scale), many_words(3))
    assert (read(write_pdf(tmp_path / "a.pdf", [draw])) is None) == passed_on


def with_mapping(path: Path, codes: Sequence[int]) -> Path:
    """A PDF of one font whose ToUnicode maps the letters from ``A`` on to these code points; three lines of A to Z."""
    entries = "".join(f"<{65 + number:02x}> <{code:04x}>\n" for number, code in enumerate(codes))
    cmap = (
        "/CIDInit /ProcSet findresource begin 12 dict begin begincmap\n"
        "1 begincodespacerange <00> <ff> endcodespacerange\n"
        f"{len(codes)} beginbfchar\n{entries}endbfchar endcmap end end"
    )
    letters = "".join(chr(65 + number) for number in range(26))
    content = f"BT /F 12 Tf 30 150 Td ({letters}) Tj 0 -20 Td ({letters}) Tj 0 -20 Td ({letters}) Tj ET"
    objects = [
        "<</Type/Catalog/Pages 2 0 R>>",
        "<</Type/Pages/Kids[3 0 R]/Count 1>>",
        "<</Type/Page/Parent 2 0 R/MediaBox[0 0 400 200]/Contents 4 0 R/Resources<</Font<</F 5 0 R>>>>>>",
        f"<</Length {len(content)}>>stream\n{content}\nendstream",
        "<</Type/Font/Subtype/Type1/BaseFont/Helvetica/ToUnicode 6 0 R>>",
        f"<</Length {len(cmap)}>>stream\n{cmap}\nendstream",
    ]
    body = "".join(f"{number} 0 obj\n{content}\nendobj\n" for number, content in enumerate(objects, 1))
    path.write_text(f"%PDF-1.4\n{body}trailer<</Root 1 0 R>>\nstartxref\n0\n%%EOF", encoding="ascii")
    return path


def test_characters_without_meaning_are_passed_on(tmp_path: Path) -> None:
    good = list(range(97, 123))
    assert text_of(with_mapping(tmp_path / "a.pdf", good)).startswith("abcdef")
    assert read(with_mapping(tmp_path / "b.pdf", [0xE000, 0xFFFD, *good[2:]])) is None
    assert read(with_mapping(tmp_path / "c.pdf", [0xE000, *good[1:]])) is not None


def test_ligatures_and_surrogate_pairs(tmp_path: Path) -> None:
    path = with_mapping(tmp_path / "a.pdf", [0xFB03, *range(98, 123)])
    assert text_of(path).startswith("ffibcd")


@pytest.mark.parametrize("draw", [empty, lines_at(["   "]), lines_at(["... ---"])])
def test_a_page_without_words_is_passed_on(tmp_path: Path, draw: Any) -> None:
    assert read(write_pdf(tmp_path / "a.pdf", [draw])) is None
