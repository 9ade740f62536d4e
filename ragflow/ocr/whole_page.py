"""A recogniser that finds lines and words by itself, as an engine for whole pages."""

from __future__ import annotations

from ragflow.model.reading import PageReading, PageStatus
from ragflow.ocr.blank import is_blank
from ragflow.ocr.compose import Line, Piece, compose
from ragflow.ocr.engine import EngineError
from ragflow.ocr.layout import find_headings
from ragflow.ocr.options import ReadingOptions
from ragflow.ocr.page import Page, PdfError, Raster
from ragflow.ocr.recognition import FoundLine, Recogniser


class WholePageEngine:
    """Reads whole pages with one recogniser; a page without ink is BLANK, one without words is passed on."""

    def __init__(self, recogniser: Recogniser, options: ReadingOptions) -> None:
        self.name = recogniser.name
        self._recogniser = recogniser
        self._options = options

    @property
    def runs(self) -> int:
        return self._recogniser.runs

    def read(self, page: Page) -> PageReading | None:
        try:
            raster = page.render(self._options.dpi)
        except PdfError as error:
            raise EngineError(error.message, reason=error.reason, remedy=error.remedy) from error
        blank = is_blank(raster)
        found = [] if blank else self._recogniser.recognise(raster.pixels, raster.dpi, self._options.languages)
        text, words = compose([_line(line, raster) for line in found])
        if not blank and not any(map(str.isalnum, text)):
            return None
        return PageReading(
            page_index=page.page_index,
            status=PageStatus.BLANK if blank else PageStatus.INDEXED,
            engine=self.name,
            text=text,
            words=words,
            headings=find_headings(text, words, page.height_pt),
            raster_sha256=raster.sha256,
            raster_dpi=raster.dpi,
        )


def _line(line: FoundLine, raster: Raster) -> Line:
    return Line(
        line.block if line.block >= 0 else 0,
        [
            Piece(
                word.text,
                min(1.0, max(0.0, word.left / raster.width)),
                min(1.0, max(0.0, word.top / raster.height)),
                min(1.0, max(0.0, word.right / raster.width)),
                min(1.0, max(0.0, word.bottom / raster.height)),
                min(1.0, max(0.0, word.confidence)),
            )
            for word in line.words
        ],
    )
