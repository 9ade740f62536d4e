"""Lines of a page, cut out, set straight and stacked, so that another engine reads them and nothing else.

An engine that reads whole pages looks for the layout first, and on forms, tables and receipts that is where it loses
most. On a sheet there is one line a row, all of one height, dark on white, wherever on the page they came from.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ragflow.ocr.detection import Pixels, Quad, crop
from ragflow.ocr.recognition import FoundLine

ROW = 64
"""Height of a line on the sheet, in pixels: letters stand about 35 high, which suits Tesseract."""

GAP = 24
"""White between lines and around them."""

MAX_ROWS = 300
MAX_WIDTH = 6000
"""A sheet stays below what Tesseract takes; longer lines are squeezed."""

SHEET_DPI = 300
"""What an engine is told: with letters of this size it is print at 300 dpi."""

DARK_PAPER = 110
CLEAR = 60
"""A line whose usual grey is below the first, and whose greys span at least the second, is light on dark."""

FAINT = 30
"""A line whose greys span no more than this has no ink worth spreading."""


class SheetWord(NamedTuple):
    """A word read on a sheet, with its place as fractions of its line's width."""

    text: str
    confidence: float
    left: float
    right: float


class Sheet(NamedTuple):
    """Stacked lines: the pixels, and the width of each line on the sheet."""

    pixels: Pixels
    widths: tuple[int, ...]


def make_sheets(pixels: Pixels, quads: Sequence[Quad]) -> list[Sheet]:
    """Return the lines on sheets of at most 300 rows, in their order."""
    return [_stack(pixels, quads[start : start + MAX_ROWS]) for start in range(0, len(quads), MAX_ROWS)]


def _stack(pixels: Pixels, quads: Sequence[Quad]) -> Sheet:
    lines = [dark_on_white(crop(pixels, quad, ROW)) for quad in quads]
    lines = [line if line.shape[1] <= MAX_WIDTH else _squeezed(line) for line in lines]
    width = max(line.shape[1] for line in lines) + 2 * GAP
    sheet = np.full((GAP + len(lines) * (ROW + GAP), width), 255, dtype=np.uint8)
    for row, line in enumerate(lines):
        top = GAP + row * (ROW + GAP)
        sheet[top : top + line.shape[0], GAP : GAP + line.shape[1]] = line
    return Sheet(sheet, tuple(line.shape[1] for line in lines))


def _squeezed(line: Pixels) -> Pixels:
    import cv2

    return np.asarray(cv2.resize(line, (MAX_WIDTH, line.shape[0]), interpolation=cv2.INTER_AREA), dtype=np.uint8)


def dark_on_white(line: Pixels) -> Pixels:
    """Return a line with its paper white and its ink black, whichever was darker."""
    low, high = np.percentile(line, (2, 90))
    if np.median(line) < DARK_PAPER and high - low > CLEAR:
        line = 255 - line
        low, high = np.percentile(line, (2, 90))
    if high - low <= FAINT:
        return line
    spread = (line.astype(np.float32) - low) * (255.0 / (high - low))
    clear: Pixels = np.clip(spread, 0, 255).astype(np.uint8)
    return clear


def words_by_line(sheet: Sheet, found: Sequence[FoundLine]) -> list[list[SheetWord]]:
    """Return the words of each line of a sheet, from left to right."""
    lines: list[list[SheetWord]] = [[] for _ in sheet.widths]
    for found_line in found:
        for word in found_line.words:
            row = int(((word.top + word.bottom) / 2 - GAP / 2) // (ROW + GAP))
            if 0 <= row < len(lines):
                width = sheet.widths[row]
                left, right = ((edge - GAP) / width for edge in (word.left, word.right))
                lines[row].append(SheetWord(word.text, word.confidence, max(0.0, left), min(1.0, right)))
    for line in lines:
        line.sort(key=lambda word: word.left)
    return lines
