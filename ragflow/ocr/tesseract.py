"""The engine that reads pixels with Tesseract."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ragflow.model.reading import PageReading, PageStatus, Reason
from ragflow.ocr.blank import is_blank
from ragflow.ocr.compose import Line, Piece, compose, joins
from ragflow.ocr.engine import EngineError
from ragflow.ocr.layout import find_headings
from ragflow.ocr.options import TESSERACT, ReadingOptions
from ragflow.ocr.page import Page, PdfError, Raster
from ragflow.ocr.recognition import FoundLine, FoundWord
from ragflow.ocr.tesseract_program import has_orientation_data, missing_program, require_languages

UPRIGHT = 3
"""Tesseract's page segmentation mode: fully automatic, the page stands upright."""

ANY_ORIENTATION = 1
"""Fully automatic, with orientation detection; costs about a tenth more. Boxes stay in the pixels as given."""

ONE_BLOCK = 6
"""One block of text in lines: no layout to find."""

COARSE_DPI = 150
"""A scan of less is enlarged."""

POOR_CONFIDENCE = 0.65
"""Below this mean confidence a page is read again in any orientation: a page upside down gives about 0.5."""

MIN_CONFIDENCE = 0.3
"""If no word with a letter or digit reaches this, the page has marks, but no text."""

_WORD_ROW = "5"
_COLUMNS = 12


class TesseractEngine:
    """Renders a page in grey and has it read by the ``tesseract`` program.

    A page without ink is BLANK, and Tesseract does not run. A page with ink on which no word is found is
    QUARANTINED (NO_TEXT_FOUND). Temporary files go to Python's temporary folder and are removed.
    """

    name = TESSERACT

    def __init__(self, options: ReadingOptions) -> None:
        self.runs = 0
        self._dpi = options.dpi
        self._languages = options.languages
        self._seconds = options.page_seconds
        self._checked = False

    def read(self, page: Page) -> PageReading | None:
        if not self._checked:
            require_languages(self._languages)
            self._checked = True
        try:
            raster = page.render(self._resolution(page))
        except PdfError as error:
            raise EngineError(error.message, reason=error.reason, remedy=error.remedy) from error
        if is_blank(raster):
            return self._reading(page, raster, PageStatus.BLANK)
        self.runs += 1
        lines = self._recognise(raster)
        if not _has_text(lines):
            return self._reading(page, raster, PageStatus.QUARANTINED, reason=Reason.NO_TEXT_FOUND)
        text, words = compose(lines)
        return PageReading(
            page_index=page.page_index,
            status=PageStatus.INDEXED,
            engine=self.name,
            text=text,
            words=words,
            headings=find_headings(text, words, page.height_pt),
            raster_sha256=raster.sha256,
            raster_dpi=raster.dpi,
        )

    def _resolution(self, page: Page) -> int:
        """Return the resolution to read at: that of the scan, twice that of a coarse one, and no more than asked for.

        Twice the size lifts Tesseract on 100 dpi from 72 to 83 words of a hundred; three times adds nothing but time.
        """
        scanned = page.pixels_per_inch()
        if scanned is None:
            return self._dpi
        return min(self._dpi, round(scanned if scanned >= COARSE_DPI else max(COARSE_DPI, 2 * scanned)))

    def _reading(self, page: Page, raster: Raster, status: PageStatus, reason: Reason | None = None) -> PageReading:
        return PageReading(
            page_index=page.page_index,
            status=status,
            reason=reason,
            detail="Tesseract found no word on the page." if reason else None,
            engine=self.name,
            raster_sha256=raster.sha256,
            raster_dpi=raster.dpi,
        )

    def _recognise(self, raster: Raster) -> list[Line]:
        """Return the lines; those of the better attempt if the page may not stand upright."""
        deadline = time.monotonic() + self._seconds
        with tempfile.TemporaryDirectory(prefix="ragflow-page-") as folder:
            image = Path(folder) / "page.pgm"
            write_grey(image, raster.pixels)
            lines = self._run(image, raster, UPRIGHT, deadline)
            if _mean_confidence(lines) >= POOR_CONFIDENCE or not has_orientation_data():
                return lines
            turned = self._run(image, raster, ANY_ORIENTATION, deadline)
        return turned if _score(turned) > _score(lines) else lines

    def _run(self, image: Path, raster: Raster, segmentation: int, deadline: float) -> list[Line]:
        table = run_tesseract(image, self._languages, raster.dpi, segmentation, deadline, self._seconds)
        return parse_table(table, raster.width, raster.height)


class TesseractRecogniser:
    """Reads a raster of lines with the ``tesseract`` program; see :class:`ragflow.ocr.recognition.Recogniser`.

    Args:
        seconds: limit for one raster.
    """

    name = TESSERACT

    def __init__(self, seconds: float) -> None:
        self.runs = 0
        self._seconds = seconds

    def recognise(self, pixels: npt.NDArray[np.uint8], dpi: int, languages: Sequence[str]) -> list[FoundLine]:
        require_languages(languages)
        self.runs += 1
        deadline = time.monotonic() + self._seconds
        rows, columns = pixels.shape
        with tempfile.TemporaryDirectory(prefix="ragflow-page-") as folder:
            image = Path(folder) / "page.pgm"
            write_grey(image, pixels)
            table = run_tesseract(image, languages, dpi, ONE_BLOCK, deadline, self._seconds)
        return [
            FoundLine(
                tuple(
                    FoundWord(
                        piece.text,
                        piece.left * columns,
                        piece.top * rows,
                        piece.right * columns,
                        piece.bottom * rows,
                        piece.confidence,
                    )
                    for piece in line.pieces
                ),
                line.block,
            )
            for line in parse_table(table, columns, rows)
        ]


def write_grey(path: Path, pixels: npt.NDArray[np.uint8]) -> None:
    """Write grey pixels as a PGM file, which Tesseract reads fastest."""
    with path.open("wb") as stream:
        stream.write(f"P5\n{pixels.shape[1]} {pixels.shape[0]}\n255\n".encode())
        stream.write(np.ascontiguousarray(pixels).data.cast("B"))


def run_tesseract(
    image: Path, languages: Sequence[str], dpi: int, segmentation: int, deadline: float, limit: float
) -> str:
    """Run Tesseract on an image file and return its table of words (TSV).

    Args:
        segmentation: its page segmentation mode.
        deadline: on the monotonic clock.
        limit: the seconds that ``deadline`` came from, for the message.

    Raises:
        EngineError: it failed, or did not finish in time.
        DependencyMissingError: it is not installed.
    """
    import pytesseract

    seconds = deadline - time.monotonic()
    if seconds <= 0:
        raise _timed_out(limit)
    try:
        table = pytesseract.image_to_data(
            str(image),
            lang="+".join(languages),
            config=f"--psm {segmentation} --dpi {dpi}",
            output_type=pytesseract.Output.STRING,
            timeout=seconds,
        )
    except pytesseract.TesseractNotFoundError as error:
        raise missing_program() from error
    except pytesseract.TesseractError as error:
        raise EngineError(f"Tesseract ended with status {error.status}: {error.message[-300:]}") from error
    except RuntimeError as error:
        if time.monotonic() < deadline:
            raise
        raise _timed_out(limit) from error
    return str(table)


def _timed_out(limit: float) -> EngineError:
    return EngineError(
        f"Tesseract did not finish within {limit:g} seconds.",
        reason=Reason.TIMED_OUT,
        remedy="Raise the limit on the seconds per page, or lower the resolution.",
    )


def parse_table(table: str, width: int, height: int) -> list[Line]:
    """Return the lines of Tesseract's TSV output; each of its paragraphs is a block.

    Tesseract likes to begin a paragraph after a short line. One that goes on with a parted word is none.

    Args:
        width, height: size in pixels of the image that was read.
    """
    lines: list[Line] = []
    previous: tuple[str, ...] = ("", "", "")
    block = -1
    pieces: list[Piece] = []
    for row in table.split("\n"):
        cells = row.rstrip("\r").split("\t", _COLUMNS - 1)
        if len(cells) < _COLUMNS or cells[0] != _WORD_ROW or not cells[11].strip():
            continue
        place = (cells[2], cells[3], cells[4])
        if place != previous:
            parted = bool(pieces) and joins(pieces[-1].text, cells[11].strip())
            if place[:2] != previous[:2] and not (parted and place[0] == previous[0]):
                block += 1
            previous = place
            pieces = []
            lines.append(Line(block, pieces))
        left, top, wide, high = (int(cell) for cell in cells[6:10])
        pieces.append(
            Piece(
                cells[11].strip(),
                _fraction(left, width),
                _fraction(top, height),
                _fraction(left + wide, width),
                _fraction(top + high, height),
                min(1.0, max(0.0, float(cells[10]) / 100)),
            )
        )
    return lines


def _fraction(position: int, size: int) -> float:
    return min(1.0, max(0.0, position / size))


def _has_text(lines: list[Line]) -> bool:
    return any(
        piece.confidence >= MIN_CONFIDENCE and any(map(str.isalnum, piece.text))
        for line in lines
        for piece in line.pieces
    )


def _mean_confidence(lines: list[Line]) -> float:
    """Return the mean confidence weighted by length; 0.0 without words."""
    characters = sum(len(piece.text) for line in lines for piece in line.pieces)
    return _score(lines) / characters if characters else 0.0


def _score(lines: list[Line]) -> float:
    """Return the confidence summed over all characters: more text, and surer, is better."""
    return sum(piece.confidence * len(piece.text) for line in lines for piece in line.pieces)
