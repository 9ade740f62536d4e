"""A page whose picture PDFium leaves out without a word is not blank."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from PIL import Image, ImageDraw

from ragflow.model.reading import PageStatus, Reason
from ragflow.ocr.options import ReadingOptions
from ragflow.ocr.reader import read_pages
from ragflow_tests.faults.bombs import pages_of, stream, write_objects

OPTIONS = ReadingOptions(engines=("tesseract",), languages=("eng",), dpi=100)
GREY = b"/ColorSpace/DeviceGray/BitsPerComponent 8"


def encoded(kind: str, *, blank: bool = False) -> bytes:
    image = Image.new("L", (800, 1000), 255)
    if not blank:
        ImageDraw.Draw(image).rectangle((100, 100, 700, 400), fill=0)
    buffer = io.BytesIO()
    image.save(buffer, kind)
    return buffer.getvalue()


def page_with(path: Path, name: bytes, data: bytes, entries: bytes = GREY, *, in_form: bool = False) -> Path:
    size = b"/Width 800/Height 1000/Filter/%b" % name
    picture = stream(data, b"/Type/XObject/Subtype/Image%b%b" % (size, entries))
    draw = b"q 420 0 0 595 0 0 cm /I Do Q"
    if not in_form:
        return write_objects(path, {**pages_of([stream(draw)], b"/XObject<</I 4 0 R>>"), 4: picture})
    form = stream(draw, b"/Type/XObject/Subtype/Form/BBox[0 0 420 595]/Resources<</XObject<</I 4 0 R>>>>")
    return write_objects(path, {**pages_of([stream(b"/X Do")], b"/XObject<</X 5 0 R>>"), 4: picture, 5: form})


@pytest.mark.parametrize("in_form", [False, True])
@pytest.mark.parametrize(
    ("name", "data", "entries"),
    [
        (b"DCTDecode", bytes(200) + encoded("JPEG")[200:], GREY),
        (b"DCTDecode", b"", GREY),
        (b"JPXDecode", encoded("JPEG2000")[:300], GREY),
        (b"JBIG2Decode", b"no such thing" * 20, b"/ColorSpace/DeviceGray/BitsPerComponent 1"),
        (b"UnheardOfDecode", encoded("JPEG"), GREY),
    ],
)
def test_a_picture_that_cannot_be_decoded(
    tmp_path: Path, name: bytes, data: bytes, entries: bytes, in_form: bool
) -> None:
    (page,) = read_pages(page_with(tmp_path / "a.pdf", name, data, entries, in_form=in_form), [0], OPTIONS)
    assert (page.status, page.reason) == (PageStatus.QUARANTINED, Reason.PAGE_DAMAGED)
    assert "800 by 1000 pixels" in str(page.detail)


@pytest.mark.parametrize(("name", "kind"), [(b"DCTDecode", "JPEG"), (b"JPXDecode", "JPEG2000")])
def test_a_picture_of_a_blank_page_is_blank(tmp_path: Path, name: bytes, kind: str) -> None:
    (page,) = read_pages(page_with(tmp_path / "a.pdf", name, encoded(kind, blank=True)), [0], OPTIONS)
    assert page.status is PageStatus.BLANK


def test_a_tiny_broken_picture_does_not_count(tmp_path: Path) -> None:
    path = page_with(tmp_path / "a.pdf", b"DCTDecode", b"")
    path.write_bytes(path.read_bytes().replace(b"/Width 800/Height 1000", b"/Width 008/Height 0008"))
    (page,) = read_pages(path, [0], OPTIONS)
    assert page.status is PageStatus.BLANK
