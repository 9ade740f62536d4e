"""Reads pages with the engines in their order; every page asked for gets exactly one status."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ragflow.errors import RagflowError
from ragflow.model.reading import REASON_TEXT, PageReading, PageStatus, Reason
from ragflow.ocr.blank import is_blank
from ragflow.ocr.engine import EngineError, PageEngine
from ragflow.ocr.language import detect_language, two_letter_codes
from ragflow.ocr.options import TEXT_LAYER, ReadingOptions
from ragflow.ocr.pdf import PageView, PdfError, PdfFile

MAX_DETAIL = 500
"""Characters kept of an error's message."""

BLANK_TEST_DPI = 150
"""Resolution at which a page is tested for ink when no engine read it."""


@dataclass(frozen=True, slots=True)
class UnitReading:
    """Readings of some pages of one document, in the order in which they were asked for.

    Attributes:
        engine_runs: engine → pages on which it really ran.
    """

    pages: tuple[PageReading, ...]
    engine_runs: Mapping[str, int]


def make_engines(options: ReadingOptions) -> list[PageEngine]:
    """Return new engines in the order of ``options.engines``. Nothing is checked or loaded yet."""
    engines: list[PageEngine] = []
    for name in options.engines:
        if name == TEXT_LAYER:
            from ragflow.ocr.text_layer import TextLayerEngine

            engines.append(TextLayerEngine(options.trust))
        else:
            from ragflow.ocr.tesseract import TesseractEngine

            engines.append(TesseractEngine(options))
    return engines


def read_pages(
    path: Path,
    page_indexes: Sequence[int],
    options: ReadingOptions,
    engines: Sequence[PageEngine] | None = None,
    *,
    passwords: Sequence[str] = (),
) -> list[PageReading]:
    """Read some pages of a PDF; as :func:`read_unit`, without the counts."""
    return list(read_unit(path, page_indexes, options, engines, passwords=passwords).pages)


def read_unit(
    path: Path,
    page_indexes: Sequence[int],
    options: ReadingOptions,
    engines: Sequence[PageEngine] | None = None,
    *,
    passwords: Sequence[str] = (),
) -> UnitReading:
    """Read some pages of a PDF, which is opened once.

    A page that cannot be read is quarantined with a reason; if the file cannot be opened, each of the pages is.

    Args:
        page_indexes: 0-based.
        engines: asked in turn until one reads the page; made from the options if not given.
        passwords: tried in turn for an encrypted file.

    Raises:
        DependencyMissingError: an engine needs a program or data file that is not installed.
    """
    chosen = make_engines(options) if engines is None else list(engines)
    before = {engine.name: engine.runs for engine in chosen}
    try:
        with PdfFile(path, passwords) as file:
            pages = tuple(_read_page(file, index, options, chosen) for index in page_indexes)
    except PdfError as error:
        pages = tuple(_quarantined(index, error.reason, error.message) for index in page_indexes)
    return UnitReading(pages, {engine.name: engine.runs - before[engine.name] for engine in chosen})


def _read_page(file: PdfFile, page_index: int, options: ReadingOptions, engines: Sequence[PageEngine]) -> PageReading:
    try:
        with file.page(page_index, options.max_page_pixels) as page:
            reading = _ask(page, engines)
    except PdfError as error:
        return _quarantined(page_index, error.reason, error.message)
    except MemoryError:
        return _quarantined(page_index, Reason.ENGINE_FAILED, "The page needs more memory than a worker may use.")
    if reading.status is PageStatus.INDEXED and reading.language is None:
        return replace(reading, language=detect_language(reading.text, two_letter_codes(options.languages)))
    return reading


def _ask(page: PageView, engines: Sequence[PageEngine]) -> PageReading:
    """Return the first engine's reading; if an engine fails, the next one is asked all the same."""
    failure: PageReading | None = None
    for engine in engines:
        try:
            reading = engine.read(page)
        except EngineError as error:
            failed = _quarantined(page.page_index, error.reason, error.message, engine.name)
        except (RagflowError, MemoryError):
            raise
        except Exception as error:
            # Whatever an engine does wrong on a hostile page must cost that page only.
            message = f"{engine.name}: {type(error).__name__}: {error}"
            failed = _quarantined(page.page_index, Reason.ENGINE_FAILED, message, engine.name)
        else:
            if reading is not None:
                return reading
            continue
        failure = failure or failed
    if failure is not None:
        return failure
    if is_blank(page.render(BLANK_TEST_DPI)):
        return PageReading(page.page_index, PageStatus.BLANK)
    return _quarantined(page.page_index, Reason.NO_TEXT_FOUND, "No engine found a word on the page.")


def _quarantined(page_index: int, reason: Reason, message: str, engine: str | None = None) -> PageReading:
    detail = (message or REASON_TEXT[reason])[:MAX_DETAIL]
    return PageReading(page_index, PageStatus.QUARANTINED, reason=reason, detail=detail, engine=engine)
