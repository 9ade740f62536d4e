"""PDFium: an open file, its pages, their geometry and their pixels.

The raw C interface is used throughout: a page has thousands of characters, and each call counts.
"""

from __future__ import annotations

import ctypes
import math
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import pypdfium2.raw as pdfium
from pypdfium2.version import PDFIUM_INFO

from ragflow.model.reading import Reason
from ragflow.ocr.page import POINTS_PER_INCH, PdfError, Raster, dpi_within_limits
from ragflow.ocr.passwords import encoded, remember
from ragflow.ocr.picture_resolution import picture_resolution

__all__ = ["PageView", "PdfError", "PdfFile", "Raster", "pdfium_version"]


def pdfium_version() -> str:
    """Return PDFium's version, such as ``159.0.8149.0``."""
    return str(PDFIUM_INFO.version)


class PdfFile:
    """An open PDF; a context manager. Pages must be closed before it.

    Args:
        path: the file.
        passwords: tried in turn after no password at all.

    Raises:
        PdfError: ENCRYPTED, or DAMAGED; UNREADABLE if the file itself cannot be read.
    """

    def __init__(self, path: Path, passwords: Sequence[str] = ()) -> None:
        self.path = path
        self._handle: Any = None
        error = pdfium.FPDF_ERR_UNKNOWN
        for raw_password in (None, *encoded(passwords)):
            handle = pdfium.FPDF_LoadDocument(str(path).encode("utf-8", "surrogateescape"), raw_password)
            if handle:
                self._handle = handle
                if raw_password is not None:
                    remember(raw_password)
                break
            error = pdfium.FPDF_GetLastError()
            if error != pdfium.FPDF_ERR_PASSWORD:
                break
        if self._handle is None:
            raise _opening_error(path, error)
        self.page_count = max(0, int(pdfium.FPDF_GetPageCount(self._handle)))

    @property
    def handle(self) -> Any:
        """The raw ``FPDF_DOCUMENT``."""
        return self._handle

    @property
    def encrypted(self) -> bool:
        return int(pdfium.FPDF_GetSecurityHandlerRevision(self._handle)) != -1

    @property
    def has_valid_cross_references(self) -> bool:
        """False if PDFium had to rebuild the table of objects."""
        return bool(pdfium.FPDF_DocumentHasValidCrossReferenceTable(self._handle))

    def page(self, page_index: int, max_page_pixels: int) -> PageView:
        """Open a page.

        Raises:
            PdfError: PAGE_DAMAGED.
        """
        return PageView(self, page_index, max_page_pixels)

    def close(self) -> None:
        if self._handle is not None:
            pdfium.FPDF_CloseDocument(self._handle)
            self._handle = None

    def __enter__(self) -> PdfFile:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def _opening_error(path: Path, error: int) -> PdfError:
    if error == pdfium.FPDF_ERR_PASSWORD:
        return PdfError(
            f"{path.name} asks for a password.",
            reason=Reason.ENCRYPTED,
            remedy="Name its password in the settings, or hand in a copy without one.",
        )
    if error == pdfium.FPDF_ERR_SECURITY:
        return PdfError(f"{path.name} is encrypted in a way that PDFium does not know.", reason=Reason.ENCRYPTED)
    if error == pdfium.FPDF_ERR_FILE:
        return PdfError(f"{path.name} cannot be read.", reason=Reason.UNREADABLE)
    return PdfError(
        f"{path.name} cannot be opened: PDFium finds no document in it (code {error}).",
        reason=Reason.DAMAGED,
        remedy="Hand in an intact copy.",
    )


class PageView:
    """One open page of a PDF; a context manager, and a :class:`ragflow.ocr.page.Page`.

    Attributes:
        page_index: 0-based.
        width_pt, height_pt: size as displayed, after rotation, in points (1/72 inch).
        rotation: the page's own rotation, clockwise: 0, 90, 180 or 270.
    """

    def __init__(self, file: PdfFile, page_index: int, max_page_pixels: int) -> None:
        self.page_index = page_index
        self._file = file
        self._max_pixels = max_page_pixels
        self._text_page: Any = None
        self._rasters: dict[int, Raster] = {}
        self._handle: Any = pdfium.FPDF_LoadPage(file.handle, page_index)
        if not self._handle:
            raise PdfError(f"Page {page_index + 1} of {file.path.name} cannot be opened.", reason=Reason.PAGE_DAMAGED)
        self.width_pt = float(pdfium.FPDF_GetPageWidthF(self._handle))
        self.height_pt = float(pdfium.FPDF_GetPageHeightF(self._handle))
        self.rotation = 90 * (int(pdfium.FPDFPage_GetRotation(self._handle)) % 4)
        if not (0 < self.width_pt < math.inf and 0 < self.height_pt < math.inf):
            self.close()
            raise PdfError(f"Page {page_index + 1} of {file.path.name} has no area.", reason=Reason.PAGE_DAMAGED)

    @property
    def handle(self) -> Any:
        """The raw ``FPDF_PAGE``."""
        return self._handle

    @property
    def text_page(self) -> Any:
        """The raw ``FPDF_TEXTPAGE``, loaded when first asked for; None if PDFium cannot load it."""
        if self._text_page is None:
            self._text_page = pdfium.FPDFText_LoadPage(self._handle) or None
        return self._text_page

    def to_displayed(self) -> tuple[float, float, float, float, float, float]:
        """Return the matrix ``(a, b, c, d, e, f)`` from the PDF's own coordinates to the displayed page.

        A point (x, y), in points, is displayed at ``a*x + c*y + e`` from the left and ``b*x + d*y + f`` from the top,
        as fractions of the page.
        """
        left, bottom, right, top = self._displayed_box()
        width, height = right - left, top - bottom
        if self.rotation == 90:
            return 0.0, 1 / width, 1 / height, 0.0, -bottom / height, -left / width
        if self.rotation == 180:
            return -1 / width, 0.0, 0.0, 1 / height, right / width, -bottom / height
        if self.rotation == 270:
            return 0.0, -1 / width, -1 / height, 0.0, top / height, right / width
        return 1 / width, 0.0, 0.0, -1 / height, -left / width, top / height

    def _displayed_box(self) -> tuple[float, float, float, float]:
        """Return left, bottom, right and top of what is displayed, in the PDF's own coordinates (points)."""
        box = pdfium.FS_RECTF()
        found = pdfium.FPDF_GetPageBoundingBox(self._handle, box)
        if found and box.right > box.left and box.top > box.bottom:
            return box.left, box.bottom, box.right, box.top
        if self.rotation in (90, 270):
            return 0.0, 0.0, self.height_pt, self.width_pt
        return 0.0, 0.0, self.width_pt, self.height_pt

    def pixels_per_inch(self) -> float | None:
        """Return the resolution of the picture that covers half of the page or more; None if none does."""
        return picture_resolution(self._handle, self._displayed_box())

    def render(self, dpi: int) -> Raster:
        """Return the page as grey pixels, annotations included. Kept until the page is closed.

        ``Raster.dpi`` is less than ``dpi``, but not under 72, for a page that would have too many pixels.

        Raises:
            PdfError: PAGE_TOO_LARGE, or PAGE_DAMAGED if PDFium cannot render it.
        """
        if dpi not in self._rasters:
            name = self._file.path.name
            within = dpi_within_limits(self, dpi, max_pixels=self._max_pixels, name=name)
            self._rasters[dpi] = self._render(within)
        return self._rasters[dpi]

    def _render(self, dpi: int) -> Raster:
        width = max(1, round(self.width_pt * dpi / POINTS_PER_INCH))
        height = max(1, round(self.height_pt * dpi / POINTS_PER_INCH))
        pixels = np.full((height, width), 255, dtype=np.uint8)
        bitmap = pdfium.FPDFBitmap_CreateEx(
            width, height, pdfium.FPDFBitmap_Gray, pixels.ctypes.data_as(ctypes.c_void_p), width
        )
        if not bitmap:
            raise PdfError(
                f"Page {self.page_index + 1} of {self._file.path.name} cannot be rendered at {dpi} dpi.",
                reason=Reason.PAGE_DAMAGED,
            )
        try:
            flags = pdfium.FPDF_ANNOT | pdfium.FPDF_GRAYSCALE
            pdfium.FPDF_RenderPageBitmap(bitmap, self._handle, 0, 0, width, height, 0, flags)
        finally:
            pdfium.FPDFBitmap_Destroy(bitmap)
        pixels.setflags(write=False)
        return Raster(pixels, dpi)

    def close(self) -> None:
        self._rasters.clear()
        if self._text_page is not None:
            pdfium.FPDFText_ClosePage(self._text_page)
            self._text_page = None
        if self._handle is not None:
            pdfium.FPDF_ClosePage(self._handle)
            self._handle = None

    def __enter__(self) -> PageView:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()
