"""Blank pages, languages, options and fingerprints."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from ragflow.errors import DependencyMissingError, UsageError
from ragflow.ocr import tesseract_program
from ragflow.ocr.blank import is_blank
from ragflow.ocr.language import detect_language, two_letter_codes
from ragflow.ocr.options import ReadingOptions, TrustThresholds, ocr_parts
from ragflow.ocr.pdf import PdfFile, Raster
from ragflow_tests.ocr.pdfs import ENGLISH, FRENCH, lines_at, write_pdf


def paper(tone: int = 255) -> npt.NDArray[np.uint8]:
    return np.full((1200, 900), tone, dtype=np.uint8)


@pytest.mark.parametrize("tone", [0, 90, 200, 255])
def test_uniform_paper_is_blank(tone: int) -> None:
    assert is_blank(Raster(paper(tone), 150))


def test_noise_is_blank() -> None:
    random = np.random.default_rng(7)
    noisy = np.clip(random.normal(215, 12, (1200, 900)), 0, 255).astype(np.uint8)
    noisy[random.random((1200, 900)) < 0.0004] = 0
    assert is_blank(Raster(noisy, 150))


def test_dark_edges_are_blank() -> None:
    pixels = paper()
    pixels[:20] = pixels[-20:] = 0
    pixels[:, :15] = 30
    assert is_blank(Raster(pixels, 150))


def test_one_pixel_is_blank() -> None:
    assert is_blank(Raster(np.array([[3]], dtype=np.uint8), 72))


@pytest.mark.parametrize("dpi", [150, 300])
def test_a_page_number_alone_is_ink(tmp_path: Path, dpi: int) -> None:
    path = write_pdf(tmp_path / "a.pdf", [lines_at(["7"], top=40, left=210, size=8)])
    with PdfFile(path) as file, file.page(0, 80_000_000) as page:
        assert not is_blank(page.render(dpi))


def test_white_on_black_is_ink() -> None:
    pixels = paper(0)
    pixels[600:620, 300:500] = 255
    assert not is_blank(Raster(pixels, 150))


def test_raster_hash_is_as_documented() -> None:
    pixels = np.arange(12, dtype=np.uint8).reshape(3, 4)
    assert Raster(pixels, 300).sha256 == hashlib.sha256(b"4x3@300\n" + bytes(range(12))).hexdigest()


def test_languages() -> None:
    assert detect_language(" ".join(ENGLISH)) == "en"
    assert detect_language(" ".join(FRENCH)) == "fr"
    assert detect_language(" ".join(FRENCH), ("en",)) == "en"
    assert detect_language("Bonjour 12345 67890 12345") is None
    assert detect_language(" ".join(FRENCH), ()) is None
    assert two_letter_codes(("eng", "fra", "osd", "eng")) == ("en", "fr")


@pytest.mark.parametrize(
    "wrong",
    [
        {"engines": ("magic",)},
        {"engines": ()},
        {"languages": ()},
        {"dpi": 10},
        {"max_pages": 0},
        {"page_seconds": 0.0},
        {"page_seconds": float("nan")},
        {"inspection_seconds": float("inf")},
        {"worker_memory_mb": 64},
        {"workers": -1},
    ],
)
def test_wrong_options_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        ReadingOptions(**wrong)  # type: ignore[arg-type]


def test_fingerprint_names_what_decides_a_reading() -> None:
    options = ReadingOptions()
    parts = ocr_parts(options)
    data = Path("/usr/share/tesseract-ocr/5/tessdata/fra.traineddata")
    assert parts["tesseract"]["languages"]["fra"] == hashlib.sha256(data.read_bytes()).hexdigest()
    assert parts["tesseract"]["version"][0].isdigit() and parts["text_layer"]["pdfium"][0].isdigit()
    assert len(parts["rapidocr"]["PP-OCRv6_rec_small.onnx"]) == len(parts["fusion"]) == 64
    for change in (
        {"dpi": 200},
        {"languages": ("eng",)},
        {"engines": ("tesseract",)},
        {"trust": TrustThresholds(image_cover=0.4)},
        {"min_word_confidence": 0.5},
    ):
        assert ocr_parts(replace(options, **change)) != parts
    for no_change in (
        {"workers": 7},
        {"page_seconds": 9.0},
        {"max_pages": 9},
        {"worker_memory_mb": 700},
        {"inspection_seconds": 9.0},
        {"passwords_file": Path("passwords.txt")},
    ):
        assert ocr_parts(replace(options, **no_change)) == parts


def test_the_text_layer_alone_needs_no_tesseract(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tesseract_program, "PROGRAM", "no-such-program")
    tesseract_program.tesseract_version.cache_clear()
    try:
        assert "tesseract" not in ocr_parts(ReadingOptions(engines=("text_layer",)))
        with pytest.raises(DependencyMissingError, match="apt-get install tesseract-ocr"):
            ocr_parts(ReadingOptions())
    finally:
        tesseract_program.tesseract_version.cache_clear()


def test_a_missing_language_names_its_package() -> None:
    with pytest.raises(DependencyMissingError, match="tesseract-ocr-chi-tra"):
        ocr_parts(ReadingOptions(languages=("eng", "chi_tra")))
