"""Pages read by several engines together, for real."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont
from rapidfuzz.distance import Levenshtein

from ragflow.model.reading import Effort, PageReading, PageStatus, Reason
from ragflow.ocr.engine import EngineError
from ragflow.ocr.hybrid import HybridEngine
from ragflow.ocr.options import DEFAULT_ENGINES, ReadingOptions, Route, route_fingerprints
from ragflow.ocr.pdf import PdfFile
from ragflow.ocr.rapidocr import RapidOcr
from ragflow.ocr.reader import make_engines, read_unit
from ragflow.ocr.recognition import FoundLine
from ragflow.ocr.tesseract import TesseractEngine
from ragflow.sample import write_scan_pdf
from ragflow_tests.ocr.pdfs import ENGLISH, FRENCH

OPTIONS = ReadingOptions(page_seconds=60)
LETTER = [" ".join(ENGLISH), "Please send the invoice for 1,250.00 to the office before Friday."]
LETTRE = [" ".join(FRENCH), "Le maître a reçu la lettre après la fête, et s'en réjouit à l'école."]


def read(path: Path, options: ReadingOptions = OPTIONS, effort: Effort = Effort.NORMAL) -> PageReading:
    (page,) = read_unit(path, [0], options, effort=effort).pages
    return page


def errors(text: str, truth: Sequence[str]) -> float:
    """Return the character error rate, line breaks and quotes aside."""
    said = " ".join(text.replace("\u2019", "'").split())
    true = " ".join(" ".join(truth).replace("\u2019", "'").split())
    return Levenshtein.distance(said, true) / len(true)


def test_a_scan_is_read_by_two_engines_and_says_by_whom(tmp_path: Path) -> None:
    write_scan_pdf(tmp_path / "a.pdf", [LETTER], skew_degrees=1.5, noise=0.06)
    result = read_unit(tmp_path / "a.pdf", [0], OPTIONS)
    (page,) = result.pages
    assert page.status is PageStatus.INDEXED
    assert errors(page.text, LETTER) < 0.02
    assert page.engine in ("rapidocr", "rapidocr+tesseract")
    assert result.engine_runs["rapidocr"] == 1
    assert abs(page.skew - 1.5) < 0.4
    assert len(page.opinions) == len(page.words)
    assert all(opinions[0].engine == "rapidocr" for opinions in page.opinions)
    assert page.language == "en"


def test_french_is_read_as_french(tmp_path: Path) -> None:
    write_scan_pdf(tmp_path / "a.pdf", [LETTRE])
    page = read(tmp_path / "a.pdf")
    assert errors(page.text, LETTRE) < 0.02
    assert page.language == "fr"
    assert "maître" in page.text and "reçu" in page.text


@pytest.mark.parametrize("turn", [90, 180, 270])
def test_a_turned_page_is_set_upright(tmp_path: Path, turn: int) -> None:
    write_scan_pdf(tmp_path / "a.pdf", [LETTER], turn=turn)
    page = read(tmp_path / "a.pdf")
    assert errors(page.text, LETTER) < 0.02
    assert page.orientation == (360 - turn) % 360
    first, last = page.words[0], page.words[-1]
    # The text begins at the top left of the sheet, wherever that is displayed.
    assert (first.left > 0.5, first.top > 0.5) == {90: (True, False), 180: (True, True), 270: (False, True)}[turn]
    assert first.left != last.left


def test_boxes_lie_where_the_words_are(tmp_path: Path) -> None:
    write_scan_pdf(tmp_path / "a.pdf", [LETTER], skew_degrees=0.0, noise=0.0)
    page = read(tmp_path / "a.pdf")
    with PdfFile(tmp_path / "a.pdf") as file, file.page(0, OPTIONS.max_page_pixels) as view:
        pixels = view.render(200).pixels
    rows, columns = pixels.shape
    for word in page.words:
        inside = pixels[
            round(word.top * rows) : round(word.bottom * rows), round(word.left * columns) : round(word.right * columns)
        ]
        assert inside.min() < 100, word
    ink = (pixels < 100).sum()
    covered = np.zeros_like(pixels, dtype=bool)
    for word in page.words:
        covered[
            round(word.top * rows) : round(word.bottom * rows), round(word.left * columns) : round(word.right * columns)
        ] = True
    assert (pixels < 100)[covered].sum() > 0.97 * ink


def font(size: int) -> ImageFont.FreeTypeFont:
    import reportlab

    return ImageFont.truetype(str(Path(reportlab.__file__).parent / "fonts" / "Vera.ttf"), size)


def two_columns(path: Path) -> tuple[list[str], list[str]]:
    left = [
        "The harbour was quiet that",
        "morning, and the fishermen",
        "had not yet come back from",
        "the open sea. A grey light",
        "lay over the water, and the",
        "gulls stood on the stones.",
    ]
    right = [
        "Nobody in the town knew",
        "what had happened in the",
        "night. The lamp of the old",
        "tower had gone out, and no",
        "ship had been seen since",
        "the church bell rang nine.",
    ]
    image = Image.new("L", (1240, 600), 250)
    draw = ImageDraw.Draw(image)
    for row, (one, other) in enumerate(zip(left, right, strict=True)):
        draw.text((80, 60 + row * 50), one, fill=20, font=font(30))
        draw.text((660, 60 + row * 50), other, fill=20, font=font(30))
    image.save(path, dpi=(150, 150))
    return left, right


def test_columns_are_read_one_after_the_other(tmp_path: Path) -> None:
    left, right = two_columns(tmp_path / "a.png")
    page = read(tmp_path / "a.png")
    assert errors(page.text, [*left, *right]) < 0.02
    assert page.words[-1].block > page.words[0].block


def test_small_letters_of_a_coarse_scan(tmp_path: Path) -> None:
    write_scan_pdf(tmp_path / "a.pdf", [LETTER], dpi=100, skew_degrees=0.3)
    page = read(tmp_path / "a.pdf")
    assert page.raster_dpi == 100
    assert errors(page.text, LETTER) < 0.03


def test_light_letters_on_dark_paper(tmp_path: Path) -> None:
    two_columns(tmp_path / "a.png")
    image = Image.open(tmp_path / "a.png")
    Image.eval(image, lambda grey: 255 - grey).save(tmp_path / "b.png", dpi=(150, 150))
    assert errors(read(tmp_path / "b.png").text, [read(tmp_path / "a.png").text]) < 0.03


def test_an_empty_sheet_is_blank_and_no_engine_runs(tmp_path: Path) -> None:
    Image.new("L", (1240, 1754), 245).save(tmp_path / "a.png", dpi=(150, 150))
    result = read_unit(tmp_path / "a.png", [0], OPTIONS)
    assert result.pages[0].status is PageStatus.BLANK
    assert sum(result.engine_runs.values()) == 0


def test_marks_that_are_no_text_are_quarantined(tmp_path: Path) -> None:
    image = Image.new("L", (1240, 1754), 245)
    draw = ImageDraw.Draw(image)
    for step in range(0, 700, 40):
        draw.arc((200 + step // 3, 300, 900, 1000 + step), 0, 300 - step // 3, fill=0, width=9)
    image.save(tmp_path / "a.png", dpi=(150, 150))
    page = read(tmp_path / "a.png")
    assert (page.status, page.reason) == (PageStatus.QUARANTINED, Reason.NO_TEXT_FOUND)
    assert page.text == "" and page.words == ()


def test_the_same_page_reads_the_same_every_time(tmp_path: Path) -> None:
    write_scan_pdf(tmp_path / "a.pdf", [LETTER], noise=0.08)
    first, second = (
        HybridEngine(OPTIONS, [make_engine_of(OPTIONS)]).read(open_page(tmp_path / "a.pdf")) for _ in range(2)
    )
    assert first == second


def make_engine_of(options: ReadingOptions):  # type: ignore[no-untyped-def]
    from ragflow.ocr.reader import make_recogniser

    return make_recogniser("tesseract", options)


def open_page(path: Path):  # type: ignore[no-untyped-def]
    return PdfFile(path).page(0, OPTIONS.max_page_pixels)


class FailingRecogniser:
    """Stands for a second engine that breaks on the page."""

    name = "tesseract"
    runs = 0

    def recognise(self, pixels: object, dpi: int, languages: Sequence[str]) -> list[FoundLine]:
        raise EngineError("It broke.")


def test_a_second_engine_that_fails_costs_nothing_that_was_read(tmp_path: Path) -> None:
    write_scan_pdf(tmp_path / "a.pdf", [LETTER], noise=0.08)
    page = HybridEngine(OPTIONS, [FailingRecogniser()], Effort.THOROUGH).read(open_page(tmp_path / "a.pdf"))
    assert page is not None and page.engine == "rapidocr"
    assert errors(page.text, LETTER) < 0.03


class Counting:
    """Passes on to Tesseract, and notes how many lines it is asked about."""

    name = "tesseract"

    def __init__(self) -> None:
        self._engine = make_engine_of(OPTIONS)
        self.rows = 0

    @property
    def runs(self) -> int:
        return int(self._engine.runs)

    def recognise(self, pixels: np.ndarray, dpi: int, languages: Sequence[str]) -> list[FoundLine]:
        self.rows += (pixels.shape[0] - 24) // 88
        self.languages = tuple(languages)
        found: list[FoundLine] = self._engine.recognise(pixels, dpi, languages)
        return found


def test_only_weak_lines_are_read_again_and_with_every_effort_all(tmp_path: Path) -> None:
    lines = [
        "the house stands on the hill above the old harbour",
        "xqrvd kpwlt zzhfg mnbvq",
        "and the road goes down to the sea",
    ]
    image = Image.new("L", (1240, 500), 250)
    draw = ImageDraw.Draw(image)
    for row, text in enumerate(lines):
        draw.text((80, 60 + row * 120), text, fill=10, font=font(36))
    image.save(tmp_path / "a.png", dpi=(150, 150))
    from ragflow.ocr.document import open_document

    rows = {}
    for effort in Effort:
        counting = Counting()
        with open_document(tmp_path / "a.png") as document, document.page(0, OPTIONS.max_page_pixels) as page:
            reading = HybridEngine(OPTIONS, [counting], effort).read(page)
        assert reading is not None
        rows[effort] = counting.rows
        assert reading.reread_regions == counting.rows
        assert counting.languages == ("eng",)
    assert rows == {Effort.NORMAL: 1, Effort.THOROUGH: 3}


def test_rapidocr_alone(tmp_path: Path) -> None:
    write_scan_pdf(tmp_path / "a.pdf", [LETTER])
    result = read_unit(tmp_path / "a.pdf", [0], replace(OPTIONS, engines=("rapidocr",)))
    assert errors(result.pages[0].text, LETTER) < 0.03
    assert result.engine_runs == {"rapidocr": 1}
    assert result.pages[0].disagreement is None


def test_rapidocr_reads_a_raster_as_a_second_engine(tmp_path: Path) -> None:
    two_columns(tmp_path / "a.png")
    pixels = np.array(Image.open(tmp_path / "a.png"))
    found = RapidOcr().recognise(pixels, 150, ("eng",))
    assert {word.text for line in found for word in line.words} >= {"harbour", "fishermen", "lamp"}


def test_which_engines_are_made() -> None:
    kinds = [type(engine).__name__ for engine in make_engines(OPTIONS)]
    assert kinds == ["TextLayerEngine", "HybridEngine", "TesseractEngine"]
    assert [type(e) for e in make_engines(replace(OPTIONS, engines=("tesseract",)))] == [TesseractEngine]
    names = [type(e).__name__ for e in make_engines(replace(OPTIONS, engines=("doctr", "tesseract")))]
    assert names == ["WholePageEngine", "TesseractEngine"]


def test_a_route_becomes_stale_only_by_what_decides_it() -> None:
    normal = route_fingerprints(OPTIONS)
    tesseract_only = route_fingerprints(replace(OPTIONS, engines=("text_layer", "tesseract")))
    assert normal[Route.TEXT_LAYER] == tesseract_only[Route.TEXT_LAYER]
    assert normal[Route.OCR] != tesseract_only[Route.OCR]
    thorough = route_fingerprints(OPTIONS, Effort.THOROUGH)
    assert (thorough[Route.TEXT_LAYER] == normal[Route.TEXT_LAYER], thorough[Route.OCR] == normal[Route.OCR]) == (
        True,
        False,
    )
    distrustful = route_fingerprints(replace(OPTIONS, trust=replace(OPTIONS.trust, sample="always")))
    assert distrustful[Route.TEXT_LAYER] != normal[Route.TEXT_LAYER]
    assert distrustful[Route.OCR] != normal[Route.OCR]
    assert route_fingerprints(replace(OPTIONS, page_seconds=3, workers=7, max_pages=2)) == normal
    assert OPTIONS.engines == DEFAULT_ENGINES
