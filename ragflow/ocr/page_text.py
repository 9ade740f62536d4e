"""From the lines of a page, wherever they stand, to its text, words and figures."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import NamedTuple

import numpy as np

from ragflow.model.reading import Effort, Opinion, PageReading, PageStatus, Reason
from ragflow.ocr.compose import Line, Piece, clean, compose
from ragflow.ocr.detection import Quad, is_vertical, sides
from ragflow.ocr.layout import PlacedLine, find_headings, number_blocks
from ragflow.ocr.line_text import bare
from ragflow.ocr.page import POINTS_PER_INCH, Page, Raster
from ragflow.ocr.rapidocr import box_between, upright
from ragflow.ocr.reading_order import reading_order, skew_of, straightened
from ragflow.ocr.word_fusion import FusedWord

LETTER_HEIGHT = 0.6
"""Height of the letters in that of a line as it was found, which has room above and below."""

ROOM = (0.13, 0.05)
"""Added before and after a word, in line heights: the recognition model tells of a letter once it has seen it begin."""


class FusedLine(NamedTuple):
    """A line: where it is on the raster, its words, and whether it was read more than once."""

    quad: Quad
    words: tuple[FusedWord, ...]
    reread: bool


def page_text(
    page: Page,
    raster: Raster,
    lines: Sequence[FusedLine],
    *,
    turn: int,
    engine: str,
    effort: Effort,
    least: float,
) -> PageReading:
    """Return the reading of a page.

    Args:
        lines: in no order.
        turn: clockwise, brings the page upright: 0, 90, 180 or 270 degrees.
        engine: who read it.
        least: words of less confidence are left out.
    """
    placed = [_turned(upright(line.quad, turn), raster, turn) for line in lines]
    straight = straightened(placed)
    ordered: list[Line] = []
    opinions: list[tuple[Opinion, ...]] = []
    left_out = 0
    block = -1
    for _, rows in groupby(reading_order(placed), key=lambda row: row.zone):
        zone = list(rows)
        numbers = number_blocks([_placed_line([straight[i] for i in row.members], raster) for row in zone])
        for number, row in zip(numbers, zone, strict=True):
            pieces: list[Piece] = []
            for index in row.members:
                for word in lines[index].words:
                    if word.confidence < least:
                        left_out += 1
                    elif clean(word.text):
                        pieces.append(_piece(lines[index].quad, word, raster))
                        opinions.append(word.opinions)
            ordered.append(Line(block + 1 + number, pieces))
        block += 1 + max(numbers, default=0)
    text, words = compose(ordered)
    found = any(map(str.isalnum, text))
    return PageReading(
        page_index=page.page_index,
        status=PageStatus.INDEXED if found else PageStatus.QUARANTINED,
        reason=None if found else Reason.NO_TEXT_FOUND,
        detail=None if found else f"There are marks like text, but nothing legible; {left_out} words were too unsure.",
        engine=engine,
        text=text if found else "",
        words=words if found else (),
        headings=find_headings(text, words, page.height_pt) if found else (),
        raster_sha256=raster.sha256,
        raster_dpi=raster.dpi,
        opinions=tuple(opinions) if found else (),
        effort=effort,
        orientation=turn,
        skew=round(-skew_of(placed), 2),
        disagreement=disagreement(lines),
        reread_regions=sum(line.reread for line in lines),
        left_out=left_out,
    )


def disagreement(lines: Sequence[FusedLine]) -> float | None:
    """Return the share of the characters on which engines differ, of those that several read; None if none did."""
    heard = differ = 0
    for line in lines:
        for word in line.words:
            if len(word.opinions) > 1:
                heard += len(word.text)
                differ += len(word.text) * (len({bare(opinion.text) for opinion in word.opinions}) > 1)
    return round(differ / heard, 4) if heard else None


def _turned(quad: Quad, raster: Raster, turn: int) -> Quad:
    """Return where corners of the displayed page stand once it is turned clockwise."""
    x, y = quad[:, 0], quad[:, 1]
    if turn == 90:
        moved = raster.height - y, x
    elif turn == 180:
        moved = raster.width - x, raster.height - y
    elif turn == 270:
        moved = y, raster.width - x
    else:
        return quad
    return np.stack(moved, axis=1).astype(np.float32)


def _placed_line(quads: Sequence[Quad], raster: Raster) -> PlacedLine:
    points = POINTS_PER_INCH / raster.dpi
    corners = np.concatenate(quads) * points
    left, top = corners.min(axis=0)
    right, bottom = corners.max(axis=0)
    size = float(np.median([min(sides(quad)) for quad in quads])) * points * LETTER_HEIGHT
    return PlacedLine(float(left), float(top), float(right), float(bottom), max(size, 0.1), is_vertical(quads[0]))


def _piece(quad: Quad, word: FusedWord, raster: Raster) -> Piece:
    width, height = sides(quad)
    before, after = (room * height / max(1.0, width) for room in ROOM)
    left, top, right, bottom = box_between(quad, max(0.0, word.left - before), min(1.0, word.right + after))
    return Piece(
        word.text,
        _within(left / raster.width),
        _within(top / raster.height),
        _within(right / raster.width),
        _within(bottom / raster.height),
        word.confidence,
    )


def _within(value: float) -> float:
    return min(1.0, max(0.0, value))
