"""A document by what is in it: a PDF or an image, whatever its name says."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ragflow.model.reading import Reason
from ragflow.ocr.image import ImageFile
from ragflow.ocr.image_formats import image_format
from ragflow.ocr.page import PdfError
from ragflow.ocr.pdf import PdfFile

HEADER_BYTES = 1024
"""``%PDF-`` stands within so many bytes of the start; PDFium looks no further either."""


def is_pdf(start: bytes) -> bool:
    """Return whether a file with these first bytes is a PDF. Images may quote one, so they are asked for first."""
    return b"%PDF-" in start[:HEADER_BYTES] and image_format(start) is None


def open_document(path: Path, passwords: Sequence[str] = ()) -> PdfFile | ImageFile:
    """Open a PDF or an image, told apart by their first bytes.

    Args:
        passwords: tried in turn on an encrypted PDF.

    Raises:
        PdfError: UNREADABLE, EMPTY_FILE, NOT_A_PDF (neither a PDF nor an image), ENCRYPTED, DAMAGED or
            TOO_MANY_PAGES.
    """
    try:
        with path.open("rb") as stream:
            start = stream.read(HEADER_BYTES)
    except OSError as error:
        raise PdfError(f"{path.name} cannot be read: {error.strerror or error}.", reason=Reason.UNREADABLE) from error
    if is_pdf(start):
        return PdfFile(path, passwords)
    if image_format(start) is not None:
        return ImageFile(path)
    if not start:
        raise PdfError(f"{path.name} has no bytes.", reason=Reason.EMPTY_FILE)
    raise PdfError(
        f"{path.name} is neither a PDF nor an image that can be read.",
        reason=Reason.NOT_A_PDF,
        remedy="Hand in a PDF, PNG, JPEG, TIFF, WebP or BMP file.",
    )
