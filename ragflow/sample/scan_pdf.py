"""Writing image-only PDFs that look like scans: rendered text, skewed, grainy, unevenly lit, as grey JPEG.

PDFium does the rendering, and PDFium must not be used by two threads at the same time.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pypdfium2
from PIL import Image
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen.canvas import Canvas

from ragflow.errors import UsageError
from ragflow.sample.blocks import Block
from ragflow.sample.layout import PageStyle
from ragflow.sample.text_pdf import plain_blocks, text_pdf_bytes

TURNS = (0, 90, 180, 270)
_DPI_RANGE = (50, 600)
_POINTS_PER_INCH = 72
_JPEG_QUALITY = 55
_INK, _PAPER = 46.0, 238.0  # grey levels of 0 to 255
_SHADOW = 14.0  # how much darker the paper is at the binding
_SPECKS_PER_NOISE = 4_000
_SCAN_STYLE = PageStyle(size=14.0)


@dataclass(frozen=True, slots=True)
class ScanLook:
    """How a scan looks.

    Attributes:
        dpi: pixels per inch.
        skew_degrees: how far the sheet lies askew, counter-clockwise.
        noise: standard deviation of the grain as a share of full scale; dust specks come in proportion.
        turn: how far the pixels are turned, clockwise: 0, 90, 180 or 270.
    """

    dpi: int = 200
    skew_degrees: float = 0.8
    noise: float = 0.02
    turn: int = 0

    def check(self) -> None:
        """Raises :class:`UsageError` for values that no scanner has."""
        low, high = _DPI_RANGE
        if not low <= self.dpi <= high:
            raise UsageError(f"A scan at {self.dpi} dpi is not possible.", remedy=f"Ask for {low} to {high} dpi.")
        if not 0.0 <= self.noise <= 1.0:
            raise UsageError(f"A noise of {self.noise} is not possible.", remedy="Ask for 0.0 to 1.0.")
        if self.turn not in TURNS:
            raise UsageError(f"A page cannot be turned by {self.turn} degrees.", remedy="Use 0, 90, 180 or 270.")


@dataclass(frozen=True, slots=True)
class ImagePage:
    """A page that is one image.

    Attributes:
        image: the pixels as stored.
        rotation: the page's ``/Rotate``: how far a viewer turns it clockwise before showing it.
    """

    image: Image.Image
    rotation: int = 0


def write_scan_pdf(
    path: Path,
    paragraphs_by_page: Sequence[Sequence[str]],
    *,
    dpi: int = 200,
    skew_degrees: float = 0.8,
    noise: float = 0.02,
    turn: int = 0,
    seed: int = 0,
) -> None:
    """Write an image-only PDF of text pages; the same arguments give the same bytes.

    Args:
        path: the file to write; its folder must exist.
        dpi, skew_degrees, noise, turn: see :class:`ScanLook`; ``turn`` holds for every page.
        seed: of the grain.

    Raises:
        UsageError: a value out of range, or a text that cannot be set (see :func:`ragflow.sample.write_text_pdf`).
    """
    look = ScanLook(dpi=dpi, skew_degrees=skew_degrees, noise=noise, turn=turn)
    images = scan_images([plain_blocks(paragraphs) for paragraphs in paragraphs_by_page], look, seed=seed)
    path.write_bytes(image_pdf_bytes([ImagePage(image) for image in images], dpi=dpi))


def scan_images(pages: Sequence[Sequence[Block]], look: ScanLook, *, seed: int) -> list[Image.Image]:
    """Grey images of text pages, as a scanner would deliver them."""
    look.check()
    document = pypdfium2.PdfDocument(text_pdf_bytes(pages, style=_SCAN_STYLE))
    try:
        images = []
        for index in range(len(document)):
            bitmap = document[index].render(scale=look.dpi / _POINTS_PER_INCH, grayscale=True)
            images.append(_scanned(bitmap.to_pil().convert("L"), look, np.random.default_rng((seed, index))))
        return images
    finally:
        document.close()


def _scanned(clean: Image.Image, look: ScanLook, random: np.random.Generator) -> Image.Image:
    skewed = clean.rotate(look.skew_degrees, resample=Image.Resampling.BICUBIC, fillcolor=255)
    grey = _INK + np.asarray(skewed, dtype=np.float32) * ((_PAPER - _INK) / 255.0)
    height, width = grey.shape
    grey -= np.linspace(_SHADOW, 0.0, width, dtype=np.float32) ** 2 / _SHADOW
    grey += random.standard_normal(grey.shape, dtype=np.float32) * np.float32(look.noise * 255.0)
    specks = int(look.noise * _SPECKS_PER_NOISE)
    rows, columns = random.integers(0, height - 1, specks), random.integers(0, width - 1, specks)
    for row_step in (0, 1):
        grey[rows + row_step, columns] = _INK + 50.0
    image = Image.fromarray(np.clip(grey, 0.0, 255.0).astype(np.uint8))
    return image.rotate(-look.turn, expand=True) if look.turn else image


def image_pdf_bytes(pages: Sequence[ImagePage], *, dpi: int, title: str = "", language: str | None = None) -> bytes:
    """The bytes of a PDF with one JPEG image per page, shown at ``dpi``, and no text layer."""
    target = io.BytesIO()
    canvas = Canvas(target, invariant=1, lang=language)
    canvas.setTitle(title)
    for page in pages:
        width, height = (side * _POINTS_PER_INCH / dpi for side in page.image.size)
        jpeg = io.BytesIO()
        page.image.save(jpeg, format="JPEG", quality=_JPEG_QUALITY)
        jpeg.seek(0)
        # The canvas takes the size as displayed, and turns the media box round for a page on its side.
        canvas.setPageSize((height, width) if page.rotation in (90, 270) else (width, height))
        canvas.setPageRotation(page.rotation)
        canvas.drawImage(ImageReader(jpeg), 0, 0, width, height)
        canvas.showPage()
    canvas.save()
    return target.getvalue()
