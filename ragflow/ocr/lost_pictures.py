"""Pictures on a PDF page that PDFium cannot decode, and silently leaves out: a damaged scan then looks blank."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import partial
from typing import Any

import pypdfium2.raw as pdfium

from ragflow.ocr.pdf import PageView

MAX_OBJECTS = 2000
"""Page objects that are looked at; a scan has a handful."""

MAX_DEPTH = 4
"""Form XObjects within form XObjects that are followed."""

MIN_SIDE = 16
"""Smaller pictures, in pixels, hold no word."""


def lost_picture(page: PageView) -> tuple[int, int] | None:
    """Return width and height in pixels, by its own account, of the first picture that cannot be decoded; None if all
    can. Decodes every picture: for pages that look blank."""
    search = _Search()
    search.visit(pdfium.FPDFPage_CountObjects(page.handle), partial(pdfium.FPDFPage_GetObject, page.handle), 0)
    return search.found


class _Search:
    def __init__(self) -> None:
        self.found: tuple[int, int] | None = None
        self._budget = MAX_OBJECTS

    def visit(self, count: int, get: Callable[[int], Any], depth: int) -> None:
        for index in range(count):
            if self._budget <= 0 or self.found is not None:
                return
            self._budget -= 1
            page_object = get(index)
            kind = pdfium.FPDFPageObj_GetType(page_object)
            if kind == pdfium.FPDF_PAGEOBJ_IMAGE:
                self._try(page_object)
            elif kind == pdfium.FPDF_PAGEOBJ_FORM and depth < MAX_DEPTH:
                objects = pdfium.FPDFFormObj_CountObjects(page_object)
                self.visit(objects, partial(pdfium.FPDFFormObj_GetObject, page_object), depth + 1)

    def _try(self, image: Any) -> None:
        bitmap = pdfium.FPDFImageObj_GetBitmap(image)
        if bitmap:
            pdfium.FPDFBitmap_Destroy(bitmap)
            return
        width, height = ctypes.c_uint(), ctypes.c_uint()
        known = pdfium.FPDFImageObj_GetImagePixelSize(image, width, height)
        if not known or min(width.value, height.value) >= MIN_SIDE:
            self.found = width.value, height.value
