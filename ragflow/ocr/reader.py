"""Reads pages with the engines in their order; every page asked for gets exactly one status."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from ragflow.errors import RagflowError
from ragflow.model.reading import REASON_TEXT, Effort, PageReading, PageStatus, Reason
from ragflow.ocr.blank import is_blank
from ragflow.ocr.document import open_document
from ragflow.ocr.engine import EngineError, PageEngine
from ragflow.ocr.image import ImageFile
from ragflow.ocr.language import detect_language, two_letter_codes
from ragflow.ocr.lost_pictures import lost_picture
from ragflow.ocr.options import RAPIDOCR, TESSERACT, TEXT_LAYER, ReadingOptions
from ragflow.ocr.page import Page, PdfError
from ragflow.ocr.pdf import PageView, PdfFile
from ragflow.ocr.recognition import Recogniser

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


def make_engines(options: ReadingOptions, effort: Effort = Effort.NORMAL) -> list[PageEngine]:
    """Return new engines in the order in which they are asked. Nothing is checked or loaded yet.

    Tesseract as the first of the engines that read pixels reads whole pages. RapidOCR as the first finds the lines,
    and those that come after it are asked about its weak lines; Tesseract among them also reads the pages on which
    RapidOCR finds no line. With docTR as the first, docTR reads whole pages.
    """
    engines: list[PageEngine] = []
    pixel_engines = [name for name in options.engines if name != TEXT_LAYER]
    if TEXT_LAYER in options.engines:
        from ragflow.ocr.text_layer import TextLayerEngine

        sampler = make_recogniser(pixel_engines[0], options) if pixel_engines else None
        engines.append(TextLayerEngine(options.trust, sampler, options.languages))
    if pixel_engines[:1] == [RAPIDOCR]:
        from ragflow.ocr.hybrid import HybridEngine

        seconds = [make_recogniser(name, options) for name in pixel_engines[1:]]
        engines.append(HybridEngine(options, seconds, effort))
        pixel_engines = [name for name in pixel_engines if name == TESSERACT]
    for name in pixel_engines:
        if name == TESSERACT:
            from ragflow.ocr.tesseract import TesseractEngine

            engines.append(TesseractEngine(options))
        else:
            from ragflow.ocr.whole_page import WholePageEngine

            engines.append(WholePageEngine(make_recogniser(name, options), options))
    return engines


def make_recogniser(name: str, options: ReadingOptions) -> Recogniser:
    """Return an engine that reads rasters."""
    if name == TESSERACT:
        from ragflow.ocr.tesseract import TesseractRecogniser

        return TesseractRecogniser(options.page_seconds)
    if name == RAPIDOCR:
        from ragflow.ocr.rapidocr import RapidOcr

        return RapidOcr()
    from ragflow.ocr.doctr import DoctrRecogniser

    return DoctrRecogniser(options.models)


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
    effort: Effort = Effort.NORMAL,
) -> UnitReading:
    """Read some pages of a PDF, which is opened once.

    A page that cannot be read is quarantined with a reason; if the file cannot be opened, each of the pages is.

    Args:
        page_indexes: 0-based.
        engines: asked in turn until one reads the page; made from the options if not given.
        passwords: tried in turn for an encrypted file.
        effort: how hard the pages are read, if no engines are given.

    Raises:
        DependencyMissingError: an engine needs a program or data file that is not installed.
    """
    chosen = _engines_of_process(options, effort) if engines is None else list(engines)
    before = _runs(chosen)
    try:
        with open_document(path, passwords) as file:
            pages = tuple(_read_page(file, index, options, chosen) for index in page_indexes)
    except PdfError as error:
        pages = tuple(_quarantined(index, error.reason, error.message) for index in page_indexes)
    return UnitReading(pages, {name: runs - before[name] for name, runs in _runs(chosen).items()})


@lru_cache(maxsize=4)
def _engines_of_process(options: ReadingOptions, effort: Effort) -> list[PageEngine]:
    """Return the engines for these options; their models are loaded once in a process."""
    return make_engines(options, effort)


def _runs(engines: Sequence[PageEngine]) -> Counter[str]:
    """Return how often each recogniser ran; an engine may be made of several."""
    runs: Counter[str] = Counter()
    for engine in engines:
        for member in getattr(engine, "recognisers", (engine,)):
            runs[member.name] += member.runs
    return runs


def _read_page(
    file: PdfFile | ImageFile, page_index: int, options: ReadingOptions, engines: Sequence[PageEngine]
) -> PageReading:
    try:
        with file.page(page_index, options.max_page_pixels) as page:
            reading = _doubted(page, _ask(page, engines))
    except PdfError as error:
        return _quarantined(page_index, error.reason, error.message)
    except MemoryError:
        return _quarantined(page_index, Reason.ENGINE_FAILED, "The page needs more memory than a worker may use.")
    if reading.status is PageStatus.INDEXED and reading.language is None:
        return replace(reading, language=detect_language(reading.text, two_letter_codes(options.languages)))
    return reading


def _ask(page: Page, engines: Sequence[PageEngine]) -> PageReading:
    """Return the first engine's reading; if an engine fails, the next one is asked all the same."""
    failure: PageReading | None = None
    distrust: str | None = None
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
                return replace(reading, layer_distrust=distrust) if distrust else reading
            distrust = distrust or getattr(engine, "distrust", None)
            continue
        failure = failure or failed
    if failure is not None:
        return replace(failure, layer_distrust=distrust)
    if is_blank(page.render(BLANK_TEST_DPI)):
        return PageReading(page.page_index, PageStatus.BLANK, layer_distrust=distrust)
    quarantined = _quarantined(page.page_index, Reason.NO_TEXT_FOUND, "No engine found a word on the page.")
    return replace(quarantined, layer_distrust=distrust)


def _doubted(page: Page, reading: PageReading) -> PageReading:
    """Return the reading; but a page is not blank if it has a picture that could not be drawn."""
    if reading.status is not PageStatus.BLANK or not isinstance(page, PageView):
        return reading
    lost = lost_picture(page)
    if lost is None:
        return reading
    message = f"A picture on the page, of {lost[0]} by {lost[1]} pixels by its own account, cannot be decoded."
    return _quarantined(page.page_index, Reason.PAGE_DAMAGED, message, reading.engine)


def _quarantined(page_index: int, reason: Reason, message: str, engine: str | None = None) -> PageReading:
    detail = (message or REASON_TEXT[reason])[:MAX_DETAIL]
    return PageReading(page_index, PageStatus.QUARANTINED, reason=reason, detail=detail, engine=engine)
