"""Whether the text that a PDF page carries is what a reader sees on it."""

from __future__ import annotations

import ctypes
import re
from collections.abc import Callable, Sequence
from enum import StrEnum
from functools import partial
from typing import Any

import pypdfium2.raw as pdfium

from ragflow.ocr.options import TrustThresholds
from ragflow.ocr.pdf import PageView

MAX_OBJECTS = 5000
"""Page objects that are looked at; a drawing may have millions."""

MAX_DEPTH = 3
"""Form XObjects within form XObjects that are followed."""

MAX_SAMPLE = 200
"""Characters whose mapping, and words whose visibility, is asked for one by one."""

GRID = 32
"""The page is divided into this many rows and columns to measure what images cover."""

# The private characters U+F8E5 to U+F8FE are the pieces of large brackets in the Symbol font, and have a known meaning.
_MEANINGLESS = re.compile(
    "[\x00\x01\x03-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufffd\ue000-\uf8e4\uf8ff]"
    "|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]"
)
_MOJIBAKE = re.compile("\u00c3[\u0080-\u00bf]|\u00c2[\u00a0-\u00bf]|\u00e2\u20ac.")
_INVISIBLE = 3


class Distrust(StrEnum):
    """Why the text that a page carries is not believed."""

    MEANINGLESS = "characters without meaning"
    MOJIBAKE = "UTF-8 read as Latin-1"
    MISPLACED = "text outside the page"
    HIDDEN = "text that is hidden, or a stamp on a picture"
    CONTRADICTED = "a sample of the page reads otherwise"


Matrix = tuple[float, float, float, float, float, float]


def is_mojibake(characters: str, thresholds: TrustThresholds) -> bool:
    """Return whether the text is UTF-8 that was once read as Latin-1: Ã© for é."""
    found = sum(len(match) for match in _MOJIBAKE.findall(characters))
    return found > max(4.0, thresholds.max_mojibake * len(characters))


def has_meaning(characters: str, text_page: Any, thresholds: TrustThresholds) -> bool:
    """Return whether nearly all visible characters are real ones, and not mere guesses of PDFium's.

    Args:
        characters: one per character index of the text page.
        text_page: the raw ``FPDF_TEXTPAGE``.
    """
    visible = len(characters) - sum(map(characters.count, " \r\n\t"))
    if visible <= 0:
        return False
    if len(_MEANINGLESS.findall(characters)) > thresholds.max_bad_characters * visible:
        return False
    step = max(1, len(characters) // MAX_SAMPLE)
    sample = [index for index in range(0, len(characters), step) if not characters[index].isspace()]
    unmapped = sum(pdfium.FPDFText_HasUnicodeMapError(text_page, index) == 1 for index in sample)
    return bool(unmapped <= thresholds.max_unmapped_characters * len(sample))


def hides_text(page: PageView, word_starts: Sequence[int], thresholds: TrustThresholds) -> bool:
    """Return whether the page is a picture whose text is a stamp on it, invisible, or painted over.

    Invisible text over a picture is what an earlier OCR left; it is read anew.

    Args:
        word_starts: character index of each visible word.
    """
    survey = _Survey(page)
    survey.look()
    if survey.image_cover < thresholds.image_cover:
        return False
    if len(word_starts) < thresholds.min_picture_words:
        return True
    if survey.covered_texts > thresholds.max_hidden_words:
        return True
    sample = word_starts[:: max(1, len(word_starts) // MAX_SAMPLE)]
    hidden = 0
    for index in sample:
        text_object = pdfium.FPDFText_GetTextObject(page.text_page, index)
        hidden += bool(text_object) and pdfium.FPDFTextObj_GetTextRenderMode(text_object) == _INVISIBLE
    return hidden > thresholds.max_hidden_words * len(sample)


class _Survey:
    """The images and texts among the first objects of a page, in the order in which they are painted."""

    def __init__(self, page: PageView) -> None:
        self._page = page
        self._displayed = page.to_displayed()
        self._budget = MAX_OBJECTS
        self._texts: list[tuple[int, Any, Matrix]] = []
        self._images: list[tuple[int, range, range, bool]] = []

    def look(self) -> None:
        page = self._page.handle
        count = pdfium.FPDFPage_CountObjects(page)
        self._visit(count, partial(pdfium.FPDFPage_GetObject, page), (1, 0, 0, 1, 0, 0), 0)

    @property
    def image_cover(self) -> float:
        """Share of the displayed page under images, 0.0 to 1.0."""
        cells = [0] * GRID
        for _, rows, columns, _ in self._images:
            for row in rows:
                cells[row] |= _mask(columns)
        return sum(row.bit_count() for row in cells) / GRID**2

    @property
    def covered_texts(self) -> float:
        """Share of the text objects that an opaque image, painted later, lies upon; 0.0 without texts."""
        opaque = [(order, rows, columns) for order, rows, columns, is_opaque in self._images if is_opaque]
        if not opaque or not self._texts:
            return 0.0
        covered = 0
        for order, text, matrix in self._texts:
            box = self._box(text, matrix)
            if box is None:
                continue
            row, column = int((box[1] + box[3]) / 2 * GRID), int((box[0] + box[2]) / 2 * GRID)
            covered += any(later > order and row in rows and column in columns for later, rows, columns in opaque)
        return covered / len(self._texts)

    def _visit(self, count: int, get: Callable[[int], Any], matrix: Matrix, depth: int) -> None:
        for index in range(count):
            if self._budget <= 0:
                return
            self._budget -= 1
            page_object = get(index)
            kind = pdfium.FPDFPageObj_GetType(page_object)
            if kind == pdfium.FPDF_PAGEOBJ_TEXT:
                self._texts.append((self._budget_used, page_object, matrix))
            elif kind == pdfium.FPDF_PAGEOBJ_IMAGE:
                box = self._box(page_object, matrix)
                if box is not None:
                    is_opaque = not pdfium.FPDFPageObj_HasTransparency(page_object)
                    cells = _cells(box[1], box[3]), _cells(box[0], box[2])
                    self._images.append((self._budget_used, *cells, is_opaque))
            elif kind == pdfium.FPDF_PAGEOBJ_FORM and depth < MAX_DEPTH:
                self._visit_form(page_object, matrix, depth)

    @property
    def _budget_used(self) -> int:
        return MAX_OBJECTS - self._budget

    def _visit_form(self, form: Any, matrix: Matrix, depth: int) -> None:
        inner = pdfium.FS_MATRIX()
        if pdfium.FPDFPageObj_GetMatrix(form, inner):
            matrix = _multiply((inner.a, inner.b, inner.c, inner.d, inner.e, inner.f), matrix)
        count = pdfium.FPDFFormObj_CountObjects(form)
        self._visit(count, partial(pdfium.FPDFFormObj_GetObject, form), matrix, depth + 1)

    def _box(self, page_object: Any, matrix: Matrix) -> tuple[float, float, float, float] | None:
        """Return the displayed box of an object whose form stands in the page by ``matrix``; within 0.0 to 1.0."""
        edges = [ctypes.c_float() for _ in range(4)]
        if not pdfium.FPDFPageObj_GetBounds(page_object, *edges):
            return None
        left, bottom, right, top = (edge.value for edge in edges)
        a, b, c, d, e, f = _multiply(matrix, self._displayed)
        across = [a * x + c * y + e for x in (left, right) for y in (bottom, top)]
        down = [b * x + d * y + f for x in (left, right) for y in (bottom, top)]
        return _within(min(across)), _within(min(down)), _within(max(across)), _within(max(down))


def _within(value: float) -> float:
    return min(1.0, max(0.0, value))  # in this order NaN becomes 0.0


def _mask(columns: range) -> int:
    return ((1 << len(columns)) - 1) << columns.start


def _cells(low: float, high: float) -> range:
    """Return the grid cells whose middle lies between two fractions of the page."""
    return range(round(low * GRID), round(high * GRID))


def _multiply(first: Matrix, second: Matrix) -> Matrix:
    """Return the matrix that applies ``first``, then ``second``."""
    a, b, c, d, e, f = first
    g, h, i, j, k, m = second
    return a * g + b * i, a * h + b * j, c * g + d * i, c * h + d * j, e * g + f * i + k, e * h + f * j + m
