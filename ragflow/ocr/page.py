"""What engines know of a page, whatever kind of file it comes from."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

import numpy as np
import numpy.typing as npt

from ragflow.errors import BadInputError
from ragflow.model.reading import Reason
from ragflow.ocr.options import MIN_DPI

POINTS_PER_INCH = 72.0
MAX_SIDE = 32_000
"""Longest side of a rendered page, in pixels; Tesseract takes no more than 32,767."""


class PdfError(BadInputError):
    """A document or page, of a PDF or of an image, cannot be opened or rendered.

    Attributes:
        reason: what it is quarantined for.
    """

    def __init__(self, message: str, *, reason: Reason, remedy: str = "") -> None:
        super().__init__(message, remedy=remedy)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Raster:
    """Grey pixels of a page as displayed: ``pixels[row, column]``, uint8, 0 is black; ``dpi`` is what was used."""

    pixels: npt.NDArray[np.uint8]
    dpi: int

    @property
    def width(self) -> int:
        return int(self.pixels.shape[1])

    @property
    def height(self) -> int:
        return int(self.pixels.shape[0])

    @property
    def grey_bytes(self) -> memoryview:
        """The pixels row by row, one byte each; not a copy."""
        return self.pixels.data.cast("B")

    @property
    def sha256(self) -> str:
        """Hash over ``<width>x<height>@<dpi>``, a newline, and the grey bytes row by row."""
        digest = hashlib.sha256(f"{self.width}x{self.height}@{self.dpi}\n".encode())
        digest.update(self.grey_bytes)
        return digest.hexdigest()


class Page(Protocol):
    """One open page; a context manager. All that engines know about a page."""

    @property
    def page_index(self) -> int:
        """Position in the document, from 0."""
        ...

    @property
    def width_pt(self) -> float:
        """Width as displayed, after rotation, in points (1/72 inch)."""
        ...

    @property
    def height_pt(self) -> float:
        """Height as displayed, after rotation, in points (1/72 inch)."""
        ...

    @property
    def rotation(self) -> int:
        """The clockwise turn that the file asks for: 0, 90, 180 or 270; sizes and pixels are after it."""
        ...

    def render(self, dpi: int) -> Raster:
        """Return the page as grey pixels. Kept until the page is closed.

        ``Raster.dpi`` is less than ``dpi`` for a page that would have too many pixels.

        Raises:
            PdfError: PAGE_TOO_LARGE, or PAGE_DAMAGED.
        """
        ...

    def pixels_per_inch(self) -> float | None:
        """Return the resolution of the one picture that makes up the page; None for drawn pages and mixed ones."""
        ...

    def close(self) -> None:
        """Let go of the page and of its pixels."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None: ...


def dpi_within_limits(page: Page, dpi: int, *, max_pixels: int, name: str, least: int = MIN_DPI) -> int:
    """Return ``dpi``, or less if the page would have too many pixels at it.

    Args:
        name: of the file, for the message.
        least: the resolution below which a page is not rendered.

    Raises:
        PdfError: PAGE_TOO_LARGE, if the page has too many pixels even at ``least`` dpi.
    """
    width, height = page.width_pt / POINTS_PER_INCH, page.height_pt / POINTS_PER_INCH
    limit = min(math.sqrt(max_pixels / (width * height)), MAX_SIDE / max(width, height))
    if limit < least:
        raise PdfError(
            f"Page {page.page_index + 1} of {name} measures {width:.0f} by {height:.0f} inches: too many pixels even"
            f" at {least} dpi.",
            reason=Reason.PAGE_TOO_LARGE,
            remedy="Raise the limit on the pixels of a page, or split the page.",
        )
    return min(dpi, int(limit))
