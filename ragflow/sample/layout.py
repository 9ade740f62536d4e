"""Setting blocks of text on an A4 page: lines, columns, and the type size that makes all of it fit.

Lengths are in points (1/72 inch), measured from the bottom left corner, as PDF does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from reportlab.pdfbase.pdfmetrics import stringWidth

from ragflow.errors import UsageError
from ragflow.sample.blocks import Block, BlockKind

PAGE_WIDTH = 595.28
PAGE_HEIGHT = 841.89
MARGIN = 66.0
COLUMN_GAP = 22.0
LEADING = 1.32
SMALLEST_SIZE = 5.0
_SIZE_STEP = 0.5
_HEADING_SCALE = {BlockKind.HEADING: 1.45, BlockKind.SUBHEADING: 1.12, BlockKind.PARAGRAPH: 1.0}
_LINES_KEPT_WITH_HEADING = 2
_SPACES = re.compile(r"[ \t\r\n\f\v]+")  # unlike str.split, leaves no-break spaces alone


@dataclass(frozen=True, slots=True)
class PageStyle:
    """How a page is set.

    Attributes:
        font, bold: names of two of the standard PDF fonts.
        size: largest type size of paragraphs; a fuller page is set smaller, down to :data:`SMALLEST_SIZE`.
        columns: number of columns, filled evenly.
        justified: stretch the lines of a paragraph to the full width.
    """

    font: str = "Times-Roman"
    bold: str = "Times-Bold"
    size: float = 11.0
    columns: int = 1
    justified: bool = False

    @property
    def column_width(self) -> float:
        return (PAGE_WIDTH - 2 * MARGIN - (self.columns - 1) * COLUMN_GAP) / self.columns


@dataclass(frozen=True, slots=True)
class PlacedLine:
    """One line where it stands; ``word_space`` is added to every space in it."""

    left: float
    baseline: float
    font: str
    size: float
    text: str
    word_space: float = 0.0


@dataclass(frozen=True, slots=True)
class _FlowLine:
    text: str
    font: str
    size: float
    space_before: float
    word_space: float
    keep_lines: int  # how many lines must follow in the same column

    @property
    def height(self) -> float:
        return self.size * LEADING


def lay_out(blocks: Sequence[Block], style: PageStyle) -> list[PlacedLine]:
    """Set the blocks of one page, at the largest size that fits.

    Raises:
        UsageError: the text does not fit on a page even at the smallest size, or there is no such number of columns.
    """
    if not 1 <= style.columns <= 4:
        raise UsageError(f"A page cannot be set in {style.columns} columns.", remedy="Ask for 1 to 4 columns.")
    size = style.size
    while size >= SMALLEST_SIZE:
        lines = list(_flow(blocks, style, size))
        placed = _fill_columns(lines, style)
        if placed is not None:
            return placed
        size -= _SIZE_STEP
    words = sum(len(block.text.split()) for block in blocks)
    raise UsageError(f"A text of {words} words does not fit on one page.", remedy="Spread it over more pages.")


def _flow(blocks: Sequence[Block], style: PageStyle, size: float) -> Iterator[_FlowLine]:
    width = style.column_width
    for block in blocks:
        is_paragraph = block.kind is BlockKind.PARAGRAPH
        font = style.font if is_paragraph else style.bold
        line_size = size * _HEADING_SCALE[block.kind]
        lines = list(_break_lines(block.text, font, width / line_size))
        for index, words in enumerate(lines):
            last = index == len(lines) - 1
            text = " ".join(words)
            stretch = 0.0
            if style.justified and is_paragraph and not last and len(words) > 1:
                stretch = (width - stringWidth(text, font, line_size)) / _space_count(text)
            yield _FlowLine(
                text=text,
                font=font,
                size=line_size,
                space_before=0.0 if index else size * (0.6 if is_paragraph else 1.1),
                word_space=stretch,
                keep_lines=0 if is_paragraph else _LINES_KEPT_WITH_HEADING,
            )


def _space_count(text: str) -> int:
    # PDF stretches the character with code 32 only, so no-break spaces do not count.
    return text.count(" ")


def _break_lines(text: str, font: str, width: float) -> Iterator[list[str]]:
    """Break a text into lines of words; ``width`` is in units of the type size."""
    line: list[str] = []
    used = 0.0
    space = _width(font, " ")
    for word in _SPACES.split(text):
        for piece in _pieces(word, font, width):
            piece_width = _width(font, piece)
            if line and used + space + piece_width > width:
                yield line
                line, used = [], 0.0
            used += piece_width + (space if line else 0.0)
            line.append(piece)
    if line:
        yield line


def _pieces(word: str, font: str, width: float) -> Iterator[str]:
    """A word, or parts of it if it is wider than a line."""
    while word and _width(font, word) > width:
        end = max(1, next(i for i in range(len(word)) if _width(font, word[: i + 1]) > width))
        yield word[:end]
        word = word[end:]
    if word:
        yield word


@lru_cache(maxsize=65_536)
def _width(font: str, word: str) -> float:
    return float(stringWidth(word, font, 1.0))


def _fill_columns(lines: Sequence[_FlowLine], style: PageStyle) -> list[PlacedLine] | None:
    """Place the lines in columns that are as even as possible; None if they do not fit."""
    room = PAGE_HEIGHT - 2 * MARGIN
    total = sum(line.height + line.space_before for line in lines)
    height = room if style.columns == 1 else min(room, total / style.columns)
    while True:
        placed = _place(lines, style, height)
        if placed is not None or height >= room:
            return placed
        height = min(room, height + 6.0)


def _place(lines: Sequence[_FlowLine], style: PageStyle, height: float) -> list[PlacedLine] | None:
    placed: list[PlacedLine] = []
    column, used = 0, 0.0
    for index, line in enumerate(lines):
        needed = line.height + (line.space_before if used else 0.0)
        following = sum(after.height for after in lines[index + 1 : index + 1 + line.keep_lines])
        if used and used + needed + following > height:
            column, used, needed = column + 1, 0.0, line.height
        if column == style.columns or needed > height:
            return None
        used += needed
        left = MARGIN + column * (style.column_width + COLUMN_GAP)
        baseline = PAGE_HEIGHT - MARGIN - used + 0.28 * line.size
        placed.append(PlacedLine(left, baseline, line.font, line.size, line.text, line.word_space))
    return placed
