"""What a document says about itself, before a page of it is read."""

from __future__ import annotations

import ctypes
import re
import unicodedata
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pypdfium2.raw as pdfium

from ragflow.model.reading import DocumentInspection, PageInspection, Reason
from ragflow.ocr.document import HEADER_BYTES, is_pdf, open_document
from ragflow.ocr.image import ImageFile
from ragflow.ocr.options import ReadingOptions
from ragflow.ocr.page import Page, PdfError
from ragflow.ocr.pdf import PageView, PdfFile

TRAILER_BYTES = 2048
"""``startxref`` and ``%%EOF`` stand within so many bytes of the end of an intact file."""

MAX_METADATA = 500
"""Characters kept of a title or producer."""

_UTF_16 = ctypes.POINTER(ctypes.c_ushort)
_LANGUAGE = re.compile(r"([A-Za-z]{2,3})(?:[-_].*)?\Z")
_THREE_LETTERS = {"eng": "en", "fra": "fr", "fre": "fr", "deu": "de", "ger": "de", "ita": "it", "spa": "es"}


def inspect_document(
    path: Path, options: ReadingOptions, passwords: Sequence[str] = (), *, pages: range | None = None
) -> DocumentInspection:
    """Open a PDF or an image and each of its pages, and say what is there. Never raises for a bad file.

    A file that cannot be worked on has ``reason`` set: UNREADABLE, EMPTY_FILE, NOT_A_PDF, ENCRYPTED, DAMAGED, NO_PAGES
    or TOO_MANY_PAGES. A page that cannot be opened has PAGE_DAMAGED, and no size. ``has_text_layer`` means that there
    is a character, not that it can be trusted; an image has none. PDFium and Pillow may still hang or crash on a
    hostile file: run this in the pool.

    Args:
        passwords: tried in turn on a PDF, after the empty one.
        pages: look at these pages only, as far as the document has them; None: at all.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as stream:
            start = stream.read(HEADER_BYTES)
            stream.seek(max(0, size - TRAILER_BYTES))
            end = stream.read(TRAILER_BYTES)
    except OSError as error:
        return DocumentInspection(None, Reason.UNREADABLE, f"{path.name} cannot be read: {error.strerror or error}.")
    if not start:
        return DocumentInspection(None, Reason.EMPTY_FILE, f"{path.name} has no bytes.")
    truncated = is_pdf(start) and (b"startxref" not in end or b"%%EOF" not in end)
    try:
        with open_document(path, passwords) as file:
            return _inspect(file, options, truncated, pages)
    except PdfError as error:
        return DocumentInspection(
            None, error.reason, error.message, encrypted=error.reason is Reason.ENCRYPTED, damaged=truncated
        )


def _inspect(
    file: PdfFile | ImageFile, options: ReadingOptions, truncated: bool, wanted: range | None
) -> DocumentInspection:
    reason: Reason | None = None
    detail: str | None = None
    pages: tuple[PageInspection, ...] = ()
    if file.page_count == 0:
        reason, detail = Reason.NO_PAGES, f"{file.path.name} has no pages."
    elif file.page_count > options.max_pages:
        reason = Reason.TOO_MANY_PAGES
        detail = f"{file.path.name} has {file.page_count} pages; the limit is {options.max_pages}."
    else:
        indexes = range(file.page_count) if wanted is None else wanted
        pages = tuple(_inspect_page(file, i, options.max_page_pixels) for i in indexes if i < file.page_count)
    if isinstance(file, ImageFile):
        return DocumentInspection(file.page_count, reason, detail, damaged=file.damaged, pages=pages)
    return DocumentInspection(
        page_count=file.page_count,
        reason=reason,
        detail=detail,
        encrypted=file.encrypted,
        damaged=truncated or not file.has_valid_cross_references,
        producer=_metadata(file, "Producer"),
        title=document_title(file),
        language=_language(file),
        pages=pages,
    )


def _inspect_page(file: PdfFile | ImageFile, page_index: int, max_page_pixels: int) -> PageInspection:
    try:
        with file.page(page_index, max_page_pixels) as page:
            return PageInspection(
                page_index, page.width_pt, page.height_pt, page.rotation, has_text_layer=_has_characters(page)
            )
    except PdfError as error:
        return PageInspection(page_index, 0.0, 0.0, 0, has_text_layer=False, reason=error.reason, detail=error.message)


def _has_characters(page: Page) -> bool:
    if not isinstance(page, PageView) or page.text_page is None:
        return False
    return int(pdfium.FPDFText_CountChars(page.text_page)) > 0


def document_title(file: PdfFile | ImageFile) -> str | None:
    """Return the title that a document gives itself, as :func:`inspect_document` records it."""
    return None if isinstance(file, ImageFile) else _metadata(file, "Title")


def _metadata(file: PdfFile, key: str) -> str | None:
    return _readable(_utf_16(lambda buffer, size: pdfium.FPDF_GetMetaText(file.handle, key.encode(), buffer, size)))


def _language(file: PdfFile) -> str | None:
    """Return the catalogue's ``/Lang`` (``fr-FR``, ``eng``) as ISO 639-1, or None."""

    def call(buffer: Any, size: int) -> int:
        return int(pdfium.FPDFCatalog_GetLanguage(file.handle, ctypes.cast(buffer, _UTF_16), size))

    value = _readable(_utf_16(call))
    match = _LANGUAGE.match(value or "")
    if match is None:
        return None
    code = match.group(1).lower()
    return code if len(code) == 2 else _THREE_LETTERS.get(code)


def _utf_16(call: Callable[[Any, int], int]) -> str:
    """Return what a PDFium call writes as UTF-16; the call returns the number of bytes, final NUL included."""
    size = call(None, 0)
    if size <= 2:
        return ""
    buffer = ctypes.create_string_buffer(size)
    call(buffer, size)
    return buffer.raw[: size - 2].decode("utf-16-le", "replace")


def _readable(text: str) -> str | None:
    """Return ``text`` without control characters, spaces in order, at most 500 characters; None if nothing is left."""
    kept = "".join(" " if unicodedata.category(character).startswith("C") else character for character in text)
    return " ".join(kept.split())[:MAX_METADATA].strip() or None
