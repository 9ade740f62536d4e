"""Small PDFs made for the tests."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from PIL import Image
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen.canvas import Canvas

WIDTH, HEIGHT = 420.0, 595.0
"""Page size in points."""

ENGLISH = (
    "The quick brown fox jumps over the lazy dog",
    "while seven children play near the old river",
    "and nobody on the bridge looks at the clock",
)
FRENCH = (
    "Les élèves étudient la géométrie à l'école",
    "pendant que le garçon achète des pâtes fraîches",
    "et que la fenêtre reste fermée jusqu'à midi",
)

Draw = Callable[[Any], None]


def write_pdf(path: Path, draws: Sequence[Draw], **options: Any) -> Path:
    """Write a PDF with one page per drawing function.

    Args:
        options: ``crop`` (left, bottom, right, top), ``rotate`` (clockwise degrees; for 90 and 270 the page is
            stored lying, so that it is displayed upright), ``title``, ``lang``, ``encrypt``.
    """
    canvas = Canvas(str(path), pagesize=(WIDTH, HEIGHT), encrypt=options.get("encrypt"), invariant=True)
    if "title" in options:
        canvas.setTitle(options["title"])
    if "lang" in options:
        canvas.setCatalogEntry("Lang", options["lang"])
    for draw in draws:
        if "crop" in options:
            canvas.setCropBox(options["crop"])
        if "rotate" in options:
            canvas.setPageRotation(options["rotate"])
        draw(canvas)
        canvas.showPage()
    canvas.save()
    return path


def empty(canvas: Any) -> None:
    """A page with nothing on it."""


def lines_at(
    lines: Sequence[str], left: float = 60, top: float = 500, size: float = 12, leading: float = 15, mode: int = 0
) -> Draw:
    """Lines of Helvetica, the first baseline at ``top``; ``mode`` 3 is invisible."""

    def draw(canvas: Any) -> None:
        text = canvas.beginText(left, top)
        text.setFont("Helvetica", size, leading)
        text.setTextRenderMode(mode)
        for line in lines:
            text.textLine(line)
        canvas.drawText(text)

    return draw


def all_of(*draws: Draw) -> Draw:
    """Several drawings on one page, in order."""

    def draw(canvas: Any) -> None:
        for one in draws:
            one(canvas)

    return draw


def picture(image: Image.Image, box: tuple[float, float, float, float] = (0, 0, WIDTH, HEIGHT)) -> Draw:
    """An image in the box (left, bottom, width, height)."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG")

    def draw(canvas: Any) -> None:
        canvas.drawImage(ImageReader(io.BytesIO(buffer.getvalue())), *box)

    return draw


def as_picture(path: Path, turn: int = 0, dpi: int = 200) -> Image.Image:
    """The first page of a PDF as a grey picture, its pixels turned anticlockwise by ``turn`` degrees."""
    from ragflow.ocr.pdf import PdfFile

    with PdfFile(path) as file, file.page(0, 80_000_000) as page:
        image = Image.fromarray(page.render(dpi).pixels.copy())
    return image.rotate(turn, expand=True)


def scan(path: Path, image: Image.Image, *over: Draw) -> Path:
    """A PDF whose one page is the image from edge to edge, with more drawn over it."""
    wide, high = (WIDTH, HEIGHT) if image.height >= image.width else (HEIGHT, WIDTH)
    canvas = Canvas(str(path), pagesize=(wide, high), invariant=True)
    picture(image, (0, 0, wide, high))(canvas)
    for draw in over:
        draw(canvas)
    canvas.showPage()
    canvas.save()
    return path
