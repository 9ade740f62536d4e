"""Whether a few lines of a page, read from its pixels, say what its text layer says.

Most layers are plainly sound: their text is made of a language's commonest words. A layer in which those are rare may
be a table of numbers, or text whose characters are mapped to the wrong letters; only the pixels can tell.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from ragflow.ocr.detection import Pixels, Quad
from ragflow.ocr.line_sheet import SHEET_DPI, make_sheets, words_by_line
from ragflow.ocr.line_text import bare
from ragflow.ocr.recognition import Recogniser

_COMMON = """
the of and to in is for that on with as are be by this was or from it at not which an have
de la le les et des en un une du que est dans pour qui par sur au il pas ce ne se plus avec son sont aux ou
der die und das von zu den mit ist nicht ein eine auf für im dem del el los las por una con para che di non
"""
COMMON_WORDS = frozenset(_COMMON.split())
"""The words of which every third of a running text consists, in the languages of Western Europe."""

MIN_COMMON = 0.10
"""Share of common words from which on a text is plainly one."""

MIN_WORDS = 20
"""A text with fewer words is too short to be plainly one."""

LINES = 4
"""Lines that are read."""

MIN_LETTERS = 6
"""Letters and digits of a line that is worth reading."""

SAMPLE_DPI = 200
MARGIN = 0.15
"""Room left around a line, in its heights."""

_WORDS = re.compile(r"[^\W\d_]+")


def is_plainly_text(text: str) -> bool:
    """Return whether a text needs no look at the pixels: the common words of a language are common in it."""
    found = _WORDS.findall(text.casefold())
    return len(found) >= MIN_WORDS and sum(word in COMMON_WORDS for word in found) >= MIN_COMMON * len(found)


def agreement(
    pixels: Pixels,
    lines: Sequence[tuple[str, tuple[float, float, float, float]]],
    engine: Recogniser,
    languages: Sequence[str],
) -> float | None:
    """Read a few lines and return how alike they are to what the layer says, 0.0 to 1.0.

    Args:
        pixels: the page.
        lines: text and box (left, top, right, bottom; fractions of the page) of each upright line.

    Returns:
        None if no line is long enough to compare.
    """
    from rapidfuzz.fuzz import ratio

    usable = [line for line in lines if len(bare(line[0])) >= MIN_LETTERS]
    if not usable:
        return None
    longest = sorted(usable, key=lambda line: -len(line[0]))[: 3 * LINES]
    chosen = longest[:: max(1, len(longest) // LINES)][:LINES]
    likeness: list[float] = []
    for sheet in make_sheets(pixels, [_quad(box, pixels) for _, box in chosen]):
        read = words_by_line(sheet, engine.recognise(sheet.pixels, SHEET_DPI, languages))
        for (said, _), words in zip(chosen, read, strict=True):
            likeness.append(ratio(bare(said), bare("".join(word.text for word in words))) / 100)
    return sum(likeness) / len(likeness)


def _quad(box: tuple[float, float, float, float], pixels: Pixels) -> Quad:
    rows, columns = pixels.shape
    left, top, right, bottom = box[0] * columns, box[1] * rows, box[2] * columns, box[3] * rows
    room = MARGIN * (bottom - top)
    left, top, right, bottom = left - room, top - room, right + room, bottom + room
    return np.array([[left, top], [right, top], [right, bottom], [left, bottom]], dtype=np.float32)
