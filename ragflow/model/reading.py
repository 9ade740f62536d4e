"""What reading a document yields: inspection, pages, words, statuses and reasons.

Boxes are ``(left, top, right, bottom)`` as fractions (0.0 to 1.0) of the page as it is displayed, that is after the
page's own rotation; the origin is the top left corner. Confidence runs from 0.0 to 1.0.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple


class PageStatus(StrEnum):
    """The fate of a page; every page that came in has exactly one."""

    INDEXED = "indexed"
    BLANK = "blank"
    QUARANTINED = "quarantined"


class Reason(StrEnum):
    """Why a document or page is in quarantine."""

    UNREADABLE = "unreadable"
    OUTSIDE_SOURCE = "outside_source"
    SOURCE_CHANGED = "source_changed"
    FORGOTTEN = "forgotten"
    EMPTY_FILE = "empty_file"
    NOT_A_PDF = "not_a_pdf"
    DAMAGED = "damaged"
    ENCRYPTED = "encrypted"
    NO_PAGES = "no_pages"
    TOO_MANY_PAGES = "too_many_pages"
    PAGE_DAMAGED = "page_damaged"
    PAGE_TOO_LARGE = "page_too_large"
    NO_TEXT_FOUND = "no_text_found"
    TIMED_OUT = "timed_out"
    WORKER_DIED = "worker_died"
    ENGINE_FAILED = "engine_failed"


REASON_TEXT: dict[Reason, str] = {
    Reason.UNREADABLE: "the file cannot be read",
    Reason.OUTSIDE_SOURCE: "the file is a link that leads out of its source",
    Reason.SOURCE_CHANGED: "the file changed or disappeared after it was scanned; the next scan takes it up",
    Reason.FORGOTTEN: "the document was forgotten on request: nothing but its name and its hash is kept",
    Reason.EMPTY_FILE: "the file is empty",
    Reason.NOT_A_PDF: "the file is neither a PDF nor an image that can be read",
    Reason.DAMAGED: "the document is damaged beyond opening",
    Reason.ENCRYPTED: "the PDF asks for a password",
    Reason.NO_PAGES: "the document has no pages",
    Reason.TOO_MANY_PAGES: "the document has more pages than the limit allows",
    Reason.PAGE_DAMAGED: "the page cannot be opened",
    Reason.PAGE_TOO_LARGE: "the page has more pixels than the limit allows",
    Reason.NO_TEXT_FOUND: "the page has marks on it, but no engine found a word",
    Reason.TIMED_OUT: "reading took longer than the limit allows",
    Reason.WORKER_DIED: "the process that read the page died",
    Reason.ENGINE_FAILED: "the engine reported an error",
}


REASON_REMEDY: dict[Reason, str] = {
    Reason.UNREADABLE: "Check the file's permissions and its disk; the next scan takes it up.",
    Reason.OUTSIDE_SOURCE: "Put the file itself in the place of the link; the next scan takes it up.",
    Reason.SOURCE_CHANGED: "Run `ragflow ingest`: the next scan takes the file up as it is now.",
    Reason.FORGOTTEN: "Nothing: what is forgotten does not come back. A document with other bytes is another document.",
    Reason.EMPTY_FILE: "Hand in the file again; the next scan takes it up.",
    Reason.NOT_A_PDF: "Hand in a PDF or an image instead, or take the file out of the source.",
    Reason.DAMAGED: "Hand in an intact copy, or one that was saved anew by another program.",
    Reason.ENCRYPTED: "Add its password to the passwords file and run `ragflow ingest`, or hand in a copy without one.",
    Reason.NO_PAGES: "Hand in an intact copy, or take the file out of the source.",
    Reason.TOO_MANY_PAGES: "Raise max_pages, and run `ragflow ingest`; or split the document.",
    Reason.PAGE_DAMAGED: "Hand in an intact copy, or one that was saved anew by another program.",
    Reason.PAGE_TOO_LARGE: "Raise max_page_pixels, and run `ragflow ingest`; or split the page.",
    Reason.NO_TEXT_FOUND: "Look at the page: a picture has no text. For poor print run `ragflow reocr`.",
    Reason.TIMED_OUT: "Raise page_seconds or inspection_seconds, then run `ragflow quarantine retry`.",
    Reason.WORKER_DIED: "Raise worker_memory_mb if the detail speaks of memory, then run `ragflow quarantine retry`.",
    Reason.ENGINE_FAILED: "See to what the detail says, then run `ragflow quarantine retry`.",
}
"""What a person can do about it."""


class Word(NamedTuple):
    """One word on a page.

    Attributes:
        text: as read, never empty, no white space.
        left, top, right, bottom: box, fractions of the displayed page.
        confidence: 0.0 to 1.0.
        block, line: 0-based numbers within the page, in reading order; ``line`` counts over the whole page.
        char_start, char_end: where the word stands in the page text.
    """

    text: str
    left: float
    top: float
    right: float
    bottom: float
    confidence: float
    block: int
    line: int
    char_start: int
    char_end: int


class Effort(StrEnum):
    """How hard a page is read: normally, or with every engine on the whole page (``ragflow reocr``)."""

    NORMAL = "normal"
    THOROUGH = "thorough"


class Opinion(NamedTuple):
    """What one engine read at the place of one word: the text (empty: nothing), and how sure it says it is."""

    engine: str
    text: str
    confidence: float


@dataclass(frozen=True, slots=True)
class PageReading:
    """What was read on one page.

    Attributes:
        page_index: 0-based.
        status: indexed, blank or quarantined.
        reason, detail: set for quarantined pages only; ``detail`` is for a person.
        engine: name of the engine that read the page, several joined by ``+``; None if none did.
        text: blocks parted by an empty line, lines by a newline, words by a space; empty unless indexed.
        words: in reading order.
        headings: numbers of the blocks that look like headings.
        language: ISO 639-1 code of the page's language, or None.
        raster_sha256: hash of the grey pixels that an OCR engine read; None for a text layer.
        raster_dpi: resolution of that raster.
        opinions: for each word, what the engines that read its place said; empty for a text layer.
        effort: how hard the page was read.
        layer_distrust: why the text that the PDF carries was not believed; None if it was, or if there is none.
        orientation: clockwise turn that brought the displayed page upright: 0, 90, 180 or 270 degrees.
        skew: how far the lines rise (positive) or fall to the right, in degrees, before they were set straight.
        disagreement: share of the characters that two engines read otherwise, of those that two engines read; None
            if no two engines read the same place.
        reread_regions: lines that were read a second time because the first reading was unsure.
        left_out: words that were found but are more likely wrong than right, and so are no part of the text.
    """

    page_index: int
    status: PageStatus
    reason: Reason | None = None
    detail: str | None = None
    engine: str | None = None
    text: str = ""
    words: tuple[Word, ...] = ()
    headings: tuple[int, ...] = ()
    language: str | None = None
    raster_sha256: str | None = None
    raster_dpi: int | None = None
    opinions: tuple[tuple[Opinion, ...], ...] = ()
    effort: Effort = Effort.NORMAL
    layer_distrust: str | None = None
    orientation: int = 0
    skew: float = 0.0
    disagreement: float | None = None
    reread_regions: int = 0
    left_out: int = 0


@dataclass(frozen=True, slots=True)
class PageInspection:
    """What the document says about one page before it is read. Sizes in points (1/72 inch), as displayed."""

    page_index: int
    width_pt: float
    height_pt: float
    rotation: int
    has_text_layer: bool
    reason: Reason | None = None
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class DocumentInspection:
    """What the document says about itself.

    Attributes:
        page_count: number of pages; None if the file cannot be opened.
        reason, detail: why the whole document is in quarantine; None if it can be opened.
        encrypted: whether the file is encrypted (it may still open with the empty password).
        damaged: the file opens, but it is visibly damaged (truncated, say).
        language: what the catalogue's ``/Lang`` says, as ISO 639-1, or None.
        pages: one per page; empty if the document is in quarantine.
    """

    page_count: int | None
    reason: Reason | None = None
    detail: str | None = None
    encrypted: bool = False
    damaged: bool = False
    producer: str | None = None
    title: str | None = None
    language: str | None = None
    pages: tuple[PageInspection, ...] = field(default=())
