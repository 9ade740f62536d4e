"""What decides a reading, and the fingerprint parts made from it."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal

from ragflow.errors import UsageError
from ragflow.model.fingerprints import fingerprint
from ragflow.model.reading import Effort

READING_CODE_VERSION = "reading/2"
"""Raised whenever the code of this package gives other words, boxes or statuses for the same page."""

TEXT_LAYER = "text_layer"
TESSERACT = "tesseract"
RAPIDOCR = "rapidocr"
DOCTR = "doctr"
ENGINE_NAMES = (TEXT_LAYER, RAPIDOCR, TESSERACT, DOCTR)
DEFAULT_ENGINES = (TEXT_LAYER, RAPIDOCR, TESSERACT)


class Route(StrEnum):
    """How a page came by its words; each route has a fingerprint of its own."""

    TEXT_LAYER = "text_layer"
    OCR = "ocr"


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
        max_mojibake: share of the characters that may belong to UTF-8 read as Latin-1.
        sample: when a few lines of the page are read from its pixels and compared: never, always, or if the text is
            not plainly one.
        min_agreement: how alike the sample and the text are at least.
    """

    max_bad_characters: float = 0.05
    max_unmapped_characters: float = 0.5
    max_outside_words: float = 0.5
    image_cover: float = 0.5
    max_hidden_words: float = 0.5
    min_picture_words: int = 8
    max_mojibake: float = 0.01
    sample: Literal["never", "doubtful", "always"] = "doubtful"
    min_agreement: float = 0.5


@dataclass(frozen=True, slots=True)
class ReadingOptions:
    """How pages are read.

    Attributes:
        engines: names, in the order in which they are asked.
        languages: Tesseract's language codes.
        dpi: resolution for OCR; reduced, down to 72, for a page that would have too many pixels.
        max_pages: a document with more is quarantined. No part of the fingerprint: it decides which pages there are.
        max_page_pixels: most pixels of a rendered page.
        page_seconds: wall-clock limit for OCR of one page.
        inspection_seconds: wall-clock limit for looking at one document before its pages are read. No part of the
            fingerprint.
        worker_memory_mb: limit on the private memory of one worker, in MiB, and of each program that it runs. No part
            of the fingerprint.
        workers: processes; 0 means one per available core. No part of the fingerprint.
        min_word_confidence: a word that several engines settled on is left out of the text below this calibrated
            confidence: it is more likely a mark than a word.
        trust: when the text layer is believed.
        passwords_file: a text file with one password a line, tried on encrypted documents. No part of the fingerprint.
        models: folder of the weights that ``ragflow models pull`` fetches, for doctr.
    """

    engines: tuple[str, ...] = DEFAULT_ENGINES
    languages: tuple[str, ...] = ("eng", "fra")
    dpi: int = 300
    max_pages: int = 5000
    max_page_pixels: int = 80_000_000
    page_seconds: float = 120.0
    inspection_seconds: float = 60.0
    worker_memory_mb: int = 4096
    workers: int = 0
    min_word_confidence: float = 0.45
    trust: TrustThresholds = TrustThresholds()
    passwords_file: Path | None = None
    models: Path | None = None

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
        for name, usual in (
            ("max_pages", "5000"),
            ("max_page_pixels", "80000000, an A4 page at 850 dpi"),
            ("page_seconds", "120"),
            ("inspection_seconds", "60"),
        ):
            if not 0 < getattr(self, name) < math.inf:
                raise UsageError(
                    f"{name} must be a number greater than 0, not {getattr(self, name)}.",
                    remedy=f"Usual is {usual}; it stands in the section [reading] of ragflow.toml.",
                )
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


def text_layer_parts(options: ReadingOptions) -> dict[str, Any]:
    """Return everything that decides whether a text layer is believed, and what is read from it.

    The engine that reads the sample is no part of it: the sample is a coarse test, and a new version of an engine must
    not make all born-digital pages stale.
    """
    from ragflow.ocr.pdf import pdfium_version

    trust = options.trust
    return {
        "code": READING_CODE_VERSION,
        "used": TEXT_LAYER in options.engines,
        "languages": list(options.languages),
        "pdfium": pdfium_version(),
        "trust": {name: getattr(trust, name) for name in sorted(trust.__slots__)},
    }


def ocr_parts(options: ReadingOptions, effort: Effort = Effort.NORMAL) -> dict[str, Any]:
    """Return everything that decides what the engines read from pixels; the text layer's parts among it, for a page
    that it passed on.

    Model and language files are hashed once per process.

    Raises:
        DependencyMissingError: an engine, or data that it needs, is not installed.
    """
    from importlib.metadata import version

    engines = [name for name in options.engines if name != TEXT_LAYER]
    parts: dict[str, Any] = {
        "text_layer": text_layer_parts(options),
        "engines": engines,
        "effort": effort,
        "dpi": options.dpi,
        "max_page_pixels": options.max_page_pixels,
        "pillow": version("pillow"),
    }
    if TESSERACT in engines:
        from ragflow.ocr.tesseract_program import language_hashes, tesseract_version

        parts["tesseract"] = {"version": tesseract_version(), "languages": language_hashes(options.languages)}
    if RAPIDOCR in engines:
        from ragflow.ocr.fusion import weights_sha256
        from ragflow.ocr.rapidocr_models import rapidocr_fingerprint

        parts["rapidocr"] = rapidocr_fingerprint()
        parts["fusion"] = weights_sha256()
        parts["min_word_confidence"] = options.min_word_confidence
    if DOCTR in engines:
        from ragflow.ocr.doctr_models import doctr_fingerprint

        parts["doctr"] = doctr_fingerprint(options.models)
    return parts


def route_fingerprints(options: ReadingOptions, effort: Effort = Effort.NORMAL) -> dict[Route, str]:
    """Return the fingerprint of each route: a page whose route's fingerprint is unchanged need not be read again."""
    return {
        Route.TEXT_LAYER: fingerprint(parts=text_layer_parts(options)),
        Route.OCR: fingerprint(parts=ocr_parts(options, effort)),
    }
