"""Writing born-digital PDFs: text with the standard fonts, the same bytes for the same input."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

from reportlab.lib.pdfencrypt import StandardEncryption
from reportlab.pdfgen.canvas import Canvas

from ragflow.errors import UsageError
from ragflow.sample.blocks import Block, BlockKind
from ragflow.sample.layout import LEADING, MARGIN, PAGE_HEIGHT, PAGE_WIDTH, PageStyle, PlacedLine, lay_out

PLAIN = PageStyle()
_FOOTER_SIZE = 8.5


def write_text_pdf(
    path: Path,
    paragraphs_by_page: Sequence[Sequence[str]],
    *,
    title: str = "",
    language: str | None = None,
    headings: Sequence[str] | None = None,
    columns: int = 1,
) -> None:
    """Write a born-digital PDF, one A4 page per sequence of paragraphs; an empty sequence makes a blank page.

    A page that is too full for 11 point type is set smaller.

    Args:
        path: the file to write; its folder must exist.
        title: the title in the file's information, not printed.
        language: the catalogue's ``/Lang``, such as ``en`` or ``fr``; None leaves it out.
        headings: one heading per page, printed in bold above its paragraphs; an empty one is left out.
        columns: 1 to 4.

    Raises:
        UsageError: no pages, not one heading per page, a page that does not fit, or a character that the standard
            fonts do not have (they have those of Windows code page 1252).
    """
    if headings is not None and len(headings) != len(paragraphs_by_page):
        raise UsageError(
            f"{path.name}: {len(headings)} headings were given for {len(paragraphs_by_page)} pages.",
            remedy="Give one heading per page; an empty one is left out.",
        )
    pages = [
        plain_blocks(paragraphs, heading=headings[index] if headings is not None else "")
        for index, paragraphs in enumerate(paragraphs_by_page)
    ]
    path.write_bytes(text_pdf_bytes(pages, title=title, language=language, style=PageStyle(columns=columns)))


def plain_blocks(paragraphs: Sequence[str], *, heading: str = "") -> tuple[Block, ...]:
    """Blocks of one page: a heading, unless it is empty, and paragraphs."""
    top = (Block(BlockKind.HEADING, heading),) if heading else ()
    return top + tuple(Block(BlockKind.PARAGRAPH, paragraph) for paragraph in paragraphs)


def text_pdf_bytes(
    pages: Sequence[Sequence[Block]],
    *,
    title: str = "",
    language: str | None = None,
    style: PageStyle = PLAIN,
    footer: str = "",
    user_password: str | None = None,
) -> bytes:
    """The bytes of a born-digital PDF.

    Args:
        pages: the blocks of each page; a page without blocks is really blank, without a footer.
        footer: printed in small type below the text, with the page number; empty for none.
        user_password: needed to open the file; None leaves it unencrypted.

    Raises:
        UsageError: as for :func:`write_text_pdf`.
    """
    if not pages:
        raise UsageError("A PDF without pages cannot be written.", remedy="Give the paragraphs of at least one page.")
    target = io.BytesIO()
    # 128 bits (RC4), not 256 (AES): the latter draws random salts, and the bytes must be the same every time.
    encryption = None if user_password is None else StandardEncryption(user_password, strength=128)
    canvas = Canvas(
        target, pagesize=(PAGE_WIDTH, PAGE_HEIGHT), pageCompression=1, invariant=1, lang=language, encrypt=encryption
    )
    canvas.setTitle(title)
    for number, blocks in enumerate(pages, start=1):
        for block in blocks:
            _check_characters(block.text)
        lines = lay_out(blocks, style)
        if lines and footer:
            lines.append(_footer_line(f"{footer} \N{EM DASH} {number}", style))
        _draw(canvas, lines)
        canvas.showPage()
    canvas.save()
    return target.getvalue()


def _check_characters(text: str) -> None:
    try:
        text.encode("cp1252")
    except UnicodeEncodeError as error:
        wrong = text[error.start]
        raise UsageError(
            f"The standard fonts have no character U+{ord(wrong):04X} ({wrong!r}).",
            remedy="Use the characters of Windows code page 1252.",
        ) from error


def _footer_line(text: str, style: PageStyle) -> PlacedLine:
    return PlacedLine(MARGIN, MARGIN - 3 * _FOOTER_SIZE * LEADING, style.font, _FOOTER_SIZE, text)


def _draw(canvas: Canvas, lines: Sequence[PlacedLine]) -> None:
    if not lines:
        return
    text = canvas.beginText()
    font: tuple[str, float] | None = None
    word_space = 0.0
    for line in lines:
        if font != (line.font, line.size):
            font = (line.font, line.size)
            text.setFont(line.font, line.size, line.size * LEADING)
        if word_space != line.word_space:
            word_space = line.word_space
            text.setWordSpace(word_space)
        text.setTextOrigin(round(line.left, 2), round(line.baseline, 2))
        text.textOut(line.text)
    canvas.drawText(text)
