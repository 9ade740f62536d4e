"""The resolution of the picture that a scanned PDF page consists of."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Callable
from functools import partial
from typing import Any

import pypdfium2.raw as pdfium

MAX_OBJECTS = 2000
"""Page objects that are looked at; a scan has a handful, a drawing may have millions."""

MAX_DEPTH = 2
"""Form XObjects within form XObjects that are followed."""

MIN_COVER = 0.5
"""Share of the page that a picture covers at least, for the page to count as a picture."""

Matrix = tuple[float, float, float, float, float, float]
Box = tuple[float, float, float, float]


def picture_resolution(page: Any, box: Box) -> float | None:
    """Return the pixels per inch, along its finer side, of the picture that covers half of the page or more.

    Of several such pictures the finest counts: a scan that is stored in layers has its letters there.

    Args:
        page: the raw ``FPDF_PAGE``.
        box: left, bottom, right and top of what is displayed, in the PDF's own coordinates (points).
    """
    search = _Search(box)
    search.visit(
        pdfium.FPDFPage_CountObjects(page), partial(pdfium.FPDFPage_GetObject, page), (1.0, 0.0, 0.0, 1.0, 0.0, 0.0), 0
    )
    return search.finest


class _Search:
    def __init__(self, box: Box) -> None:
        self.finest: float | None = None
        self._box = box
        self._budget = MAX_OBJECTS

    def visit(self, count: int, get: Callable[[int], Any], outer: Matrix, depth: int) -> None:
        for index in range(count):
            if self._budget <= 0:
                return
            self._budget -= 1
            page_object = get(index)
            kind = pdfium.FPDFPageObj_GetType(page_object)
            if kind == pdfium.FPDF_PAGEOBJ_IMAGE:
                self._measure(page_object, _multiply(_matrix(page_object), outer))
            elif kind == pdfium.FPDF_PAGEOBJ_FORM and depth < MAX_DEPTH:
                inner = _multiply(_matrix(page_object), outer)
                objects = pdfium.FPDFFormObj_CountObjects(page_object)
                self.visit(objects, partial(pdfium.FPDFFormObj_GetObject, page_object), inner, depth + 1)

    def _measure(self, image: Any, matrix: Matrix) -> None:
        """Take account of an image; its matrix puts the unit square in its place on the page."""
        if _cover(matrix, self._box) < MIN_COVER:
            return
        columns, rows = ctypes.c_uint(), ctypes.c_uint()
        if not pdfium.FPDFImageObj_GetImagePixelSize(image, columns, rows):
            return
        a, b, c, d, _, _ = matrix
        # The sides of the displayed picture; so measured, it may stand at any angle.
        found = 72.0 * max(columns.value / math.hypot(a, b), rows.value / math.hypot(c, d))
        if 0.0 < found < math.inf:
            self.finest = max(found, self.finest or 0.0)


def _cover(matrix: Matrix, box: Box) -> float:
    """Return the share of ``box`` under the unit square's place; 0.0 for what has no area."""
    a, b, c, d, e, f = matrix
    if not math.isfinite(a + b + c + d + e + f) or a * d == b * c:
        return 0.0
    across, up = (e, e + a, e + c, e + a + c), (f, f + b, f + d, f + b + d)
    left, bottom, right, top = box
    width = min(right, max(across)) - max(left, min(across))
    height = min(top, max(up)) - max(bottom, min(up))
    return max(0.0, width) * max(0.0, height) / ((right - left) * (top - bottom))


def _matrix(page_object: Any) -> Matrix:
    found = pdfium.FS_MATRIX()
    if not pdfium.FPDFPageObj_GetMatrix(page_object, found):
        return 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    return found.a, found.b, found.c, found.d, found.e, found.f


def _multiply(first: Matrix, second: Matrix) -> Matrix:
    """Return the matrix that applies ``first``, then ``second``."""
    a, b, c, d, e, f = first
    g, h, i, j, k, m = second
    return a * g + b * i, a * h + b * j, c * g + d * i, c * h + d * j, e * g + f * i + k, e * h + f * j + m
