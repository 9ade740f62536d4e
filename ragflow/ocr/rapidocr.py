"""The engine that finds lines and reads them with RapidOCR's models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ragflow.ocr.detection import Pixels, Quad, TextDetector, crop, grown, in_order, is_vertical, sides, turned
from ragflow.ocr.line_reading import LineReader
from ragflow.ocr.line_text import LineText, from_characters
from ragflow.ocr.options import RAPIDOCR
from ragflow.ocr.recognition import FoundLine, FoundWord

ASKED_LINES = 6
"""Lines, the longest, that are read to tell how a page is turned."""

UNSURE = 0.8
"""Mean confidence below which a page is tried upside down."""

CLEARLY = 0.1
"""How much better a page must read the other way round."""

BOTH_WAYS = 0.5
"""Share of the area of all lines in vertical ones from which on the page itself lies on its side."""


class Look(NamedTuple):
    """How a line is looked at: letters look otherwise to the model, and its errors are seldom the same.

    Attributes:
        stretch: factor on the width.
        room: added above and below, in heights of the line.
    """

    stretch: float
    room: float


PLAIN = Look(1.0, 0.0)


class ReadLine(NamedTuple):
    """A line: where it is, with its first corner where the text begins, what it says, and how surely it is text."""

    quad: Quad
    text: LineText
    score: float


class RapidOcr:
    """Finds the lines of a page and reads them; one page at a time.

    The models come inside the wheel of ``rapidocr``; nothing is fetched. Also a
    :class:`ragflow.ocr.recognition.Recogniser`, for lines on a sheet.
    """

    name = RAPIDOCR

    def __init__(self, threads: int = 1) -> None:
        self.runs = 0
        self._detector = TextDetector(threads)
        self._reader = LineReader(threads)

    def read_page(self, pixels: Pixels, *, enlarge: float = 1.0) -> tuple[list[ReadLine], int]:
        """Return the lines of a page, in no order, and the clockwise turn that brings the page upright.

        Args:
            enlarge: factor on the size at which lines are looked for.
        """
        self.runs += 1
        boxes = self._detector.detect(pixels, enlarge)
        quads = [box.quad for box in boxes]
        if not quads:
            return [], 0
        turn = self._turn(pixels, quads)
        quads = [_started(quad, turn) for quad in quads]
        texts = self.read_lines(pixels, quads)
        if turn == 0 and _mean(texts) < UNSURE:
            over = [np.roll(quad, 2, axis=0) for quad in quads]
            if self._score(pixels, over) > self._score(pixels, quads) + CLEARLY:
                turn, quads = 180, over
                texts = self.read_lines(pixels, quads)
        lines = [ReadLine(quad, text, box.score) for quad, text, box in zip(quads, texts, boxes, strict=True)]
        return self._sideways(pixels, lines, turn), turn

    def read_lines(self, pixels: Pixels, quads: Sequence[Quad], look: Look = PLAIN) -> list[LineText]:
        """Read lines whose places are known."""
        found = self._reader.read([crop(pixels, grown(quad, look.room)) for quad in quads], look.stretch)
        return [from_characters(self.name, characters) for characters in found]

    def recognise(self, pixels: Pixels, dpi: int, languages: Sequence[str]) -> list[FoundLine]:
        """Read a raster as a second engine; see :class:`ragflow.ocr.recognition.Recogniser`."""
        lines, _ = self.read_page(pixels)
        return [FoundLine(tuple(_words(line)), -1) for line in lines if line.text.text]

    def _turn(self, pixels: Pixels, quads: Sequence[Quad]) -> int:
        """Return 90 or 270 if most lines run up or down, else 0."""
        areas = [(width * height, is_vertical(quad)) for quad in quads for width, height in [sides(quad)]]
        if sum(area for area, vertical in areas if vertical) <= BOTH_WAYS * sum(area for area, _ in areas):
            return 0
        down = self._score(pixels, [turned(quad) for quad in quads if is_vertical(quad)])
        up = self._score(pixels, [np.roll(quad, 1, axis=0) for quad in quads if is_vertical(quad)])
        return 270 if down >= up else 90

    def _score(self, pixels: Pixels, quads: Sequence[Quad]) -> float:
        """Return how surely the longest of the lines are read."""
        longest = sorted(quads, key=lambda quad: -sides(quad)[0])[:ASKED_LINES]
        return _mean(self.read_lines(pixels, longest))

    def _sideways(self, pixels: Pixels, lines: list[ReadLine], turn: int) -> list[ReadLine]:
        """Read each line that runs across the others in the other direction too, and keep the surer reading."""
        across = [index for index, line in enumerate(lines) if is_vertical(upright(line.quad, turn))]
        others = [np.roll(lines[index].quad, 2, axis=0) for index in across]
        for index, quad, text in zip(across, others, self.read_lines(pixels, others), strict=True):
            if text.mean > lines[index].text.mean:
                lines[index] = ReadLine(quad, text, lines[index].score)
        return lines


def upright(quad: Quad, turn: int) -> Quad:
    """Return a line's corners in the order in which they stand on the page once it is turned by ``turn`` degrees."""
    # A line that runs across the others has its first corner elsewhere: order the corners by where they are displayed.
    return np.roll(in_order(quad), turn // 90, axis=0)


def _started(quad: Quad, turn: int) -> Quad:
    """Return displayed corners with the first where the text begins, on a page that is to be turned by ``turn``."""
    first = np.roll(quad, turn // 90, axis=0)
    return turned(first) if is_vertical(first) else first


def _mean(texts: Sequence[LineText]) -> float:
    characters = sum(len(text.text) for text in texts)
    return sum(text.mean * len(text.text) for text in texts) / characters if characters else 0.0


def _words(line: ReadLine) -> list[FoundWord]:
    """Return a line's words with their boxes, in pixels."""
    return [
        FoundWord(word.text, *box_between(line.quad, word.edges[0][0], word.edges[-1][1]), word.mean)
        for word in line.text.words()
    ]


def box_between(quad: Quad, start: float, end: float) -> tuple[float, float, float, float]:
    """Return the box ``(left, top, right, bottom)`` around the part of a line between two fractions of its width."""
    along_top, along_bottom = quad[1] - quad[0], quad[2] - quad[3]
    corners = np.array(
        [quad[side] + along * share for share in (start, end) for side, along in ((0, along_top), (3, along_bottom))]
    )
    left, top = corners.min(axis=0)
    right, bottom = corners.max(axis=0)
    return float(left), float(top), float(right), float(bottom)
