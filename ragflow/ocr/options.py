"""What decides a reading, and the fingerprint parts made from it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from ragflow.errors import UsageError

READING_CODE_VERSION = "reading/1"
"""Raised whenever the code of this package gives other words, boxes or statuses for the same page."""

TEXT_LAYER = "text_layer"
TESSERACT = "tesseract"
ENGINE_NAMES = (TEXT_LAYER, TESSERACT)

MIN_WORKER_MEMORY_MB = 128
"""Least memory of a worker: below this, Python itself cannot be relied on."""

MIN_DPI = 72
"""A page that is too large even at this resolution is not rendered."""


@dataclass(frozen=True, slots=True)
class TrustThresholds:
    """When the text that a PDF carries is believed. Shares run from 0.0 to 1.0.

    Attributes:
        max_bad_characters: share of the visible characters that may have no meaning: private
            use, control or replacement characters.
        max_unmapped_characters: share of the characters that may lack a mapping to Unicode in the PDF, so that PDFium
            guesses; with common encodings it guesses right, so this alone is weak evidence.
        max_outside_words: share of the words that may lie outside the displayed page.
        image_cover: share of the page area from which on a page counts as a picture (a scan).
        max_hidden_words: on a picture, share of the words that may be invisible or painted over.
        min_picture_words: on a picture, fewer words than this are taken for a stamp.
    """

    max_bad_characters: float = 0.05
    max_unmapped_characters: float = 0.5
    max_outside_words: float = 0.5
    image_cover: float = 0.5
    max_hidden_words: float = 0.5
    min_picture_words: int = 8


@dataclass(frozen=True, slots=True)
class ReadingOptions:
    """How pages are read.

    Attributes:
        engines: names, in the order in which they are asked.
        languages: Tesseract's language codes.
        dpi: resolution for OCR; reduced, down to 72, for a page that would have too many pixels.
        max_pages: a document with more is quarantined.
        max_page_pixels: most pixels of a rendered page.
        page_seconds: wall-clock limit for OCR of one page.
        worker_memory_mb: limit on the private memory of one worker, in MiB.
        workers: processes; 0 means one per available core. No part of the fingerprint.
        trust: when the text layer is believed.
    """

    engines: tuple[str, ...] = ENGINE_NAMES
    languages: tuple[str, ...] = ("eng", "fra")
    dpi: int = 300
    max_pages: int = 5000
    max_page_pixels: int = 80_000_000
    page_seconds: float = 120.0
    worker_memory_mb: int = 4096
    workers: int = 0
    trust: TrustThresholds = TrustThresholds()

    def __post_init__(self) -> None:
        unknown = [name for name in self.engines if name not in ENGINE_NAMES]
        if unknown or not self.engines:
            raise UsageError(
                f"Unknown reading engine {unknown[0]!r}." if unknown else "No reading engine is named.",
                remedy=f"Choose from: {', '.join(ENGINE_NAMES)}.",
            )
        if not self.languages:
            raise UsageError("No OCR language is named.", remedy="Name at least one Tesseract language, such as eng.")
        if self.dpi < MIN_DPI:
            raise UsageError(f"{self.dpi} dpi are too few to read.", remedy=f"Use {MIN_DPI} or more; 300 is usual.")
        for name in ("max_pages", "max_page_pixels", "page_seconds"):
            if getattr(self, name) <= 0:
                raise UsageError(f"{name} must be greater than 0, not {getattr(self, name)}.")
        if self.worker_memory_mb < MIN_WORKER_MEMORY_MB:
            raise UsageError(
                f"{self.worker_memory_mb} MiB are too little for a worker.",
                remedy=f"Give it {MIN_WORKER_MEMORY_MB} MiB or more.",
            )
        if self.workers < 0:
            raise UsageError(f"workers must be 0 (one per core) or more, not {self.workers}.")

    @property
    def worker_count(self) -> int:
        """Number of processes that ``workers`` stands for on this machine."""
        return self.workers or len(os.sched_getaffinity(0))


def fingerprint_parts(options: ReadingOptions) -> dict[str, Any]:
    """Return everything that decides a reading, apart from the document: options, versions, language data.

    Language data is hashed once per process. Equal parts promise equal readings on the same machine architecture.

    Raises:
        DependencyMissingError: Tesseract is among the engines, but it or one of its languages is not installed.
    """
    from ragflow.ocr.pdf import pdfium_version

    parts: dict[str, Any] = {
        "code": READING_CODE_VERSION,
        "engines": list(options.engines),
        "languages": list(options.languages),
        "max_pages": options.max_pages,
        "pdfium": pdfium_version(),
    }
    if TEXT_LAYER in options.engines:
        trust = options.trust
        parts["trust"] = {name: getattr(trust, name) for name in sorted(trust.__slots__)}
    if TESSERACT in options.engines:
        from ragflow.ocr.tesseract_program import language_hashes, tesseract_version

        parts["dpi"] = options.dpi
        parts["max_page_pixels"] = options.max_page_pixels
        parts["page_seconds"] = options.page_seconds
        parts["tesseract"] = tesseract_version()
        parts["tesseract_languages"] = language_hashes(options.languages)
    return parts
