"""Text layers that say something else than the page, and how that is found out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import reportlab
from PIL import Image, ImageDraw, ImageFont

from ragflow.ocr.layer_sample import is_plainly_text
from ragflow.ocr.options import ReadingOptions
from ragflow.ocr.reader import read_unit
from ragflow.ocr.trust import Distrust, is_mojibake
from ragflow_tests.ocr.pdfs import ENGLISH, FRENCH, HEIGHT, WIDTH, all_of, lines_at, picture, write_pdf

OPTIONS = ReadingOptions(dpi=200)


def shifted(lines: Sequence[str]) -> tuple[str, ...]:
    """Return lines with each letter replaced by the next: what a wrong character map makes of a text."""
    return tuple("".join(chr(ord(c) + 1) if c.isalpha() and c.isascii() else c for c in line) for line in lines)


def covered(canvas: Any) -> None:
    """Paint the page white: what was drawn before is in the text layer, and not to be seen."""
    canvas.setFillColorRGB(1, 1, 1)
    canvas.rect(0, 0, WIDTH, HEIGHT, stroke=0, fill=1)
    canvas.setFillColorRGB(0, 0, 0)


def pictured(lines: Sequence[str]) -> Any:
    """Draw text as a picture that covers a quarter of the page: too little for the page to be a scan."""
    width, height = int(WIDTH), int(HEIGHT) // 4
    image = Image.new("L", (3 * width, 3 * height), 255)
    font = ImageFont.truetype(str(Path(reportlab.__file__).parent / "fonts" / "Vera.ttf"), 36)
    for row, line in enumerate(lines):
        ImageDraw.Draw(image).text((60, 10 + 70 * row), line, fill=0, font=font)
    return picture(image, (0, HEIGHT - 1.5 * height, WIDTH, height))


@pytest.mark.parametrize("text", ["\n".join(ENGLISH * 2), "\n".join(FRENCH * 2)])
def test_running_text_is_plainly_text(text: str) -> None:
    assert is_plainly_text(text)


def test_a_wrong_character_map_or_a_table_is_not_plainly_text() -> None:
    assert not is_plainly_text("\n".join(shifted(ENGLISH * 2)))
    assert not is_plainly_text("12 340 7,5 881 9 102\n" * 10)
    assert not is_plainly_text("The end")


def test_mojibake() -> None:
    trust = OPTIONS.trust
    french = "Les élèves de l'école étudient la géométrie, où l'été dernier « déjà » fut évoqué."
    assert is_mojibake(french.encode().decode("latin-1"), trust)
    assert not is_mojibake(french, trust)
    assert not is_mojibake("Ã is a letter of Portuguese: NÃO, SÃO, MÃE.", trust)


def test_a_mojibake_layer_is_refused_and_the_page_read_by_ocr(tmp_path: Path) -> None:
    wrong = tuple(line.encode().decode("latin-1") for line in FRENCH)
    path = write_pdf(tmp_path / "a.pdf", [lines_at(wrong * 3, top=HEIGHT - 80, size=14, leading=20)])
    (page,) = read_unit(path, [0], OPTIONS).pages
    assert page.layer_distrust == Distrust.MOJIBAKE
    assert page.engine is not None and page.engine.startswith("rapidocr")


def test_a_doubtful_layer_that_the_pixels_bear_out_is_kept(tmp_path: Path) -> None:
    path = write_pdf(tmp_path / "a.pdf", [lines_at(shifted(ENGLISH) * 2, top=HEIGHT - 80, size=14, leading=20)])
    unit = read_unit(path, [0], OPTIONS)
    assert unit.pages[0].engine == "text_layer"
    assert unit.pages[0].layer_distrust is None
    assert unit.engine_runs["rapidocr"] == 0, "a sample is no page"


def test_a_layer_that_the_pixels_contradict_is_refused(tmp_path: Path) -> None:
    hidden = lines_at(shifted(ENGLISH) * 2, top=HEIGHT - 80, size=14, leading=24)
    path = write_pdf(tmp_path / "a.pdf", [all_of(hidden, covered, pictured(ENGLISH * 2))])
    (page,) = read_unit(path, [0], OPTIONS).pages
    assert page.layer_distrust == Distrust.CONTRADICTED
    assert "quick brown fox" in page.text
    never = replace(OPTIONS, trust=replace(OPTIONS.trust, sample="never"))
    (page,) = read_unit(path, [0], never).pages
    assert page.engine == "text_layer"


def test_always_looks_at_plain_text_too(tmp_path: Path) -> None:
    hidden = lines_at(FRENCH * 3, top=HEIGHT - 80, size=14, leading=24)
    path = write_pdf(tmp_path / "a.pdf", [all_of(hidden, covered, pictured(ENGLISH * 2))])
    (believed,) = read_unit(path, [0], OPTIONS).pages
    assert believed.engine == "text_layer", "it reads like French, so nobody looks"
    always = replace(OPTIONS, trust=replace(OPTIONS.trust, sample="always"))
    (page,) = read_unit(path, [0], always).pages
    assert page.layer_distrust == Distrust.CONTRADICTED
    assert "quick brown fox" in page.text
