"""A file is what its first bytes say; pages of PDFs and of images look alike to an engine."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from ragflow.model.reading import PageStatus, Reason
from ragflow.ocr.document import open_document
from ragflow.ocr.image import ImageFile
from ragflow.ocr.inspection import inspect_document
from ragflow.ocr.options import ReadingOptions
from ragflow.ocr.page import Page, PdfError
from ragflow.ocr.pdf import PdfFile
from ragflow.ocr.pool import WorkerPool
from ragflow.ocr.reader import read_pages
from ragflow_tests.ocr.images import ENGLISH, letter, save
from ragflow_tests.ocr.pdfs import HEIGHT, WIDTH, all_of, empty, lines_at, picture, scan, write_pdf

LIMIT = 80_000_000


def resolution(path: Path, page_index: int = 0) -> float | None:
    with open_document(path) as file, file.page(page_index, LIMIT) as opened:
        page: Page = opened
        return page.pixels_per_inch()


def test_the_content_decides_and_not_the_name(tmp_path: Path) -> None:
    pdf = write_pdf(tmp_path / "photo.png", [empty])
    with open_document(pdf) as file:
        assert isinstance(file, PdfFile)
    for kind in ("PNG", "JPEG", "TIFF", "WEBP", "BMP"):
        image = tmp_path / f"{kind}.pdf"
        letter().save(image, kind)
        with open_document(image) as file:
            assert isinstance(file, ImageFile) and file.format.upper() == kind


def test_an_image_that_quotes_a_pdf_is_an_image_and_a_pdf_may_begin_late(tmp_path: Path) -> None:
    image = save(tmp_path / "a.jpg", letter(), comment=b"%PDF-1.7")
    assert b"%PDF-" in image.read_bytes()[:1024]
    with open_document(image) as file:
        assert isinstance(file, ImageFile)
    pdf = write_pdf(tmp_path / "a.pdf", [empty])
    for junk in (b"\n" * 900, b"BMW is a maker of cars, and this is no bitmap.\n"):
        late = tmp_path / "late.pdf"
        late.write_bytes(junk + pdf.read_bytes())
        with open_document(late) as file:
            assert isinstance(file, PdfFile)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", Reason.EMPTY_FILE),
        (b"GIF89a" + bytes(3000), Reason.NOT_A_PDF),
        (b"BM" + b" is the name of a band" * 20, Reason.NOT_A_PDF),
        (b"RIFF\0\0\0\0WAVEfmt " + bytes(100), Reason.NOT_A_PDF),
    ],
)
def test_what_is_neither(tmp_path: Path, content: bytes, reason: Reason) -> None:
    path = tmp_path / "a.pdf"
    path.write_bytes(content)
    with pytest.raises(PdfError, match=r"a\.pdf") as caught:
        open_document(path)
    assert caught.value.reason is reason
    assert inspect_document(path, ReadingOptions()).reason is reason
    with pytest.raises(PdfError) as caught:
        open_document(tmp_path / "none.pdf")
    assert caught.value.reason is Reason.UNREADABLE


def test_inspection_of_images(tmp_path: Path) -> None:
    pages = [letter(width=620, height=877), letter(width=877, height=620)]
    path = save(tmp_path / "a.tif", pages[0], save_all=True, append_images=pages[1:], dpi=(75, 75))
    found = inspect_document(path, ReadingOptions())
    assert (found.page_count, found.reason, found.title, found.encrypted, found.damaged) == (
        2,
        None,
        None,
        False,
        False,
    )
    first, second = found.pages
    assert (first.width_pt, first.height_pt) == pytest.approx((595.2, 841.92))
    assert (second.width_pt, second.height_pt) == pytest.approx((841.92, 595.2))
    assert not first.has_text_layer and (first.rotation, second.page_index) == (0, 1)


def test_images_are_inspected_and_read_in_a_worker(tmp_path: Path) -> None:
    paths = [
        save(tmp_path / "a.png", letter()),
        save(tmp_path / "b.webp", letter()),
        save(tmp_path / "c.tif", letter().convert("1"), compression="group4"),
    ]
    with WorkerPool(2, 1024) as pool:
        results = dict(pool.map(words_in, paths, seconds=lambda path: 60))
    assert results == {path: " ".join(ENGLISH).split() for path in paths}


def words_in(path: Path) -> list[str]:
    """Run in a worker: the words that Tesseract reads on the first page."""
    options = ReadingOptions(engines=("text_layer", "tesseract"), languages=("eng",), dpi=150)
    assert inspect_document(path, options).page_count == 1
    (page,) = read_pages(path, [0], options)
    assert (page.status, page.engine) == (PageStatus.INDEXED, "tesseract")
    return page.text.split()


def test_a_blank_image_is_blank(tmp_path: Path) -> None:
    (page,) = read_pages(
        save(tmp_path / "a.png", Image.new("L", (500, 700), 250)), [0], ReadingOptions(engines=("text_layer",))
    )
    assert page.status is PageStatus.BLANK


def test_the_resolution_of_a_scanned_page(tmp_path: Path) -> None:
    pixels = letter(width=round(WIDTH * 200 / 72), height=round(HEIGHT * 200 / 72))
    assert resolution(scan(tmp_path / "a.pdf", pixels)) == pytest.approx(200, rel=0.01)
    with_text = scan(tmp_path / "b.pdf", pixels, lines_at(ENGLISH, mode=3))
    assert resolution(with_text) == pytest.approx(200, rel=0.01)


def test_pages_that_are_no_single_picture_have_no_resolution(tmp_path: Path) -> None:
    small = picture(letter(), (0, 0, WIDTH, HEIGHT * 0.4))
    outside = picture(letter(), (WIDTH * 0.7, 0, WIDTH, HEIGHT))
    path = write_pdf(
        tmp_path / "a.pdf", [lines_at(ENGLISH), small, outside, picture(letter(), (0, 0, WIDTH, HEIGHT * 0.6))]
    )
    assert [resolution(path, index) is None for index in range(4)] == [True, True, True, False]


def test_turned_cropped_nested_and_layered_pictures(tmp_path: Path) -> None:
    """The picture has 620 x 877 pixels; drawn over the whole page, that is 106 pixels per inch."""
    whole = picture(letter())
    expected = pytest.approx(max(620 / WIDTH, 877 / HEIGHT) * 72, rel=0.001)
    assert resolution(write_pdf(tmp_path / "turned.pdf", [whole], rotate=90)) == expected
    assert resolution(write_pdf(tmp_path / "cropped.pdf", [whole], crop=(100, 100, 200, 200))) == expected

    def nested(canvas: object) -> None:
        canvas.beginForm("inner")  # type: ignore[attr-defined]
        picture(letter(), (0, 0, WIDTH / 2, HEIGHT / 2))(canvas)
        canvas.endForm()  # type: ignore[attr-defined]
        canvas.scale(2, 2)  # type: ignore[attr-defined]
        canvas.doForm("inner")  # type: ignore[attr-defined]

    assert resolution(write_pdf(tmp_path / "nested.pdf", [nested])) == expected
    ground = picture(Image.new("L", (50, 70), 230))
    for number, layers in enumerate((all_of(ground, whole), all_of(whole, ground))):
        assert resolution(write_pdf(tmp_path / f"layers{number}.pdf", [layers])) == expected
    many = all_of(*[lines_at(["x"])] * 3, whole)
    assert resolution(write_pdf(tmp_path / "many.pdf", [many])) == expected

    def sideways(canvas: object) -> None:
        canvas.translate(WIDTH, 0)  # type: ignore[attr-defined]
        canvas.rotate(90)  # type: ignore[attr-defined]
        picture(letter(), (0, 0, HEIGHT, WIDTH))(canvas)

    found = resolution(write_pdf(tmp_path / "sideways.pdf", [sideways]))
    assert found == pytest.approx(max(620 / HEIGHT, 877 / WIDTH) * 72, rel=0.001)
