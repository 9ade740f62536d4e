"""The engine that has a page read by several: one finds the lines and reads them, others are asked where it is unsure.

1. RapidOCR finds the lines, tells how the page is turned, and reads each line.
2. A line with an unsure character, a word that the language does not know, or words that may have run together, is
   *weak*. RapidOCR looks at weak lines again, stretched and squeezed a little; then the next engine reads them, and
   nothing else, cut out and set straight on a sheet.
3. Word by word, the readings are put together (:mod:`ragflow.ocr.fusion`), and each word gets a confidence that means
   what it says: of the words at 0.8, four of five are right.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np

from ragflow.model.reading import Effort, PageReading, PageStatus
from ragflow.ocr.blank import is_blank
from ragflow.ocr.detection import sides
from ragflow.ocr.engine import EngineError
from ragflow.ocr.language import detect_language, tesseract_code, two_letter_codes
from ragflow.ocr.lexicon import Lexicon, load_lexicon
from ragflow.ocr.line_sheet import SHEET_DPI, make_sheets, words_by_line
from ragflow.ocr.line_text import LineText, from_words
from ragflow.ocr.options import TESSERACT, ReadingOptions
from ragflow.ocr.page import Page, PdfError, Raster
from ragflow.ocr.page_text import FusedLine, page_text
from ragflow.ocr.rapidocr import Look, RapidOcr, ReadLine
from ragflow.ocr.recognition import Recogniser
from ragflow.ocr.word_fusion import fuse_words, has_unknown_words, looked_again, looks_run_together, settled, sole_words

log = logging.getLogger(__name__)

LOOKS = (Look(1.08, 0.06), Look(0.9, 0.0))
"""How RapidOCR looks at a weak line again, one look after the other."""

THOROUGH_LOOKS = (*LOOKS, Look(0.8, 0.1))
THOROUGH_SIZE = 1.5
"""With every effort: looks at each line, and how much larger the page is when lines are looked for."""

UNSURE = 0.95
"""A line with a character below this is weak."""

STILL_WEAK = 0.6
"""After an engine was heard, a line with a word below this goes to the next engine, if there is one."""


class HybridEngine:
    """Reads pixels with RapidOCR, and its weak lines with further engines.

    A page without ink is BLANK. A page on which no word is found is passed on to the next engine.

    Args:
        seconds: engines asked about weak lines, in this order.
    """

    name = "hybrid"

    def __init__(self, options: ReadingOptions, seconds: Sequence[Recogniser], effort: Effort = Effort.NORMAL) -> None:
        self._options = options
        self.first = RapidOcr()
        self.seconds = tuple(seconds)
        self._effort = effort
        self.recognisers: tuple[RapidOcr | Recogniser, ...] = (self.first, *self.seconds)

    @property
    def runs(self) -> int:
        """Pages that RapidOCR read."""
        return self.first.runs

    def read(self, page: Page) -> PageReading | None:
        try:
            raster = page.render(self.dpi(page))
        except PdfError as error:
            raise EngineError(error.message, reason=error.reason, remedy=error.remedy) from error
        if is_blank(raster):
            return PageReading(
                page.page_index,
                PageStatus.BLANK,
                engine=self.first.name,
                raster_sha256=raster.sha256,
                raster_dpi=raster.dpi,
                effort=self._effort,
            )
        larger = THOROUGH_SIZE if self._effort is Effort.THOROUGH else 1.0
        lines, turn = self.first.read_page(raster.pixels, enlarge=larger)
        lines = [line for line in lines if line.text.text]
        if not lines:
            return None
        fused = self._fuse(raster, lines)
        heard = [self.first.name, *(engine.name for engine in self.seconds if any(_spoke(engine, f) for f in fused))]
        return page_text(
            page,
            raster,
            fused,
            turn=turn,
            engine="+".join(heard),
            effort=self._effort,
            least=self._options.min_word_confidence,
        )

    def dpi(self, page: Page) -> int:
        """Return the resolution to read at: that of the scan itself, if it is less than what was asked for."""
        scanned = page.pixels_per_inch()
        return min(self._options.dpi, round(scanned)) if scanned else self._options.dpi

    def _fuse(self, raster: Raster, lines: Sequence[ReadLine]) -> list[FusedLine]:
        languages = self.languages(lines)
        lexicon = load_lexicon(languages) if TESSERACT in self._options.engines else Lexicon(frozenset())
        heights = np.array([sides(line.quad)[1] for line in lines])
        relative = [float(height) for height in heights / max(1.0, float(np.median(heights)))]
        texts = [line.text for line in lines]
        weak = [index for index, text in enumerate(texts) if self.is_weak(text, lexicon)]
        for look in THOROUGH_LOOKS if self._effort is Effort.THOROUGH else LOOKS:
            again = self.first.read_lines(raster.pixels, [lines[index].quad for index in weak], look)
            for index, text in zip(weak, again, strict=True):
                texts[index] = looked_again(texts[index], text, lexicon)
        fused = [
            FusedLine(line.quad, sole_words(text, lexicon, line.score, height), index in weak)
            for index, (line, text, height) in enumerate(zip(lines, texts, relative, strict=True))
        ]
        asked = [self.first.name]
        for engine in self.seconds:
            for index, other in self.second_opinion(engine, raster, fused, weak, languages):
                words = fuse_words(
                    settled(fused[index].words, asked), other, lexicon, lines[index].score, relative[index]
                )
                fused[index] = FusedLine(fused[index].quad, words, True)
            asked.append(engine.name)
            weak = [index for index in weak if any(word.confidence < STILL_WEAK for word in fused[index].words)]
        return fused

    def languages(self, lines: Sequence[ReadLine]) -> tuple[str, ...]:
        """Return the one language that the page is in, or all that it may be in if it is too short to tell."""
        text = "\n".join(line.text.text for line in lines)
        language = detect_language(text, two_letter_codes(self._options.languages))
        code = tesseract_code(language, self._options.languages)
        return (code,) if code else self._options.languages

    def is_weak(self, text: LineText, lexicon: Lexicon) -> bool:
        return (
            self._effort is Effort.THOROUGH
            or text.lowest < UNSURE
            or looks_run_together(text.text)
            or (len(lexicon) > 0 and has_unknown_words(text.text, lexicon))
        )

    def second_opinion(
        self,
        engine: Recogniser,
        raster: Raster,
        lines: Sequence[FusedLine],
        weak: Sequence[int],
        languages: Sequence[str],
    ) -> list[tuple[int, LineText]]:
        """Return what an engine reads on the weak lines; nothing if it fails, for the page has been read already."""
        if not weak:
            return []
        texts: list[LineText] = []
        try:
            for sheet in make_sheets(raster.pixels, [lines[index].quad for index in weak]):
                found = engine.recognise(sheet.pixels, SHEET_DPI, languages)
                texts += [from_words(engine.name, words) for words in words_by_line(sheet, found)]
        except EngineError as error:
            log.warning("second engine failed", extra={"engine": engine.name, "why": error.message})
            return []
        return list(zip(weak, texts, strict=True))


def _spoke(engine: Recogniser, line: FusedLine) -> bool:
    return any(opinion.engine == engine.name for word in line.words for opinion in word.opinions)
