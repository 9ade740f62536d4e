"""From lines to blocks, and which blocks look like headings. Sizes are in points, so that both axes compare."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from ragflow.model.reading import Word

EXTRA_GAP = 0.6
"""A block ends where the next line stands lower than usual by more than this share of the line height."""

SIZE_CHANGE = 1.25
"""A block ends where the line height grows or shrinks by this factor."""

HEADING_SIZE = 1.2
"""A short block is a heading if its lines are taller than the page's usual line by this factor."""

MAX_HEADING_LINES = 2
MAX_HEADING_WORDS = 25
MAX_NUMBERED_WORDS = 12

_NUMBERED = re.compile(
    r"(?:(?:\d{1,2}(?:\.\d{1,2}){0,4}|[IVX]{1,5}|[A-Z])[.)]?|(?i:chapter|chapitre|section|partie|part|annexe|appendix)"
    r"\s+\w{1,4}\s*[.:)\u2013-]?)\s+[^\W\d_a-z]"
)


class PlacedLine(NamedTuple):
    """A line's box in points from the top left of the displayed page, its usual word height, and its direction.

    ``vertical`` lines run up or down the displayed page; their ``size`` is measured across.
    """

    left: float
    top: float
    right: float
    bottom: float
    size: float
    vertical: bool


def number_blocks(lines: Sequence[PlacedLine]) -> list[int]:
    """Return the 0-based block number of each line; lines are in reading order.

    A new block begins where the direction or the size of the letters changes, where the text jumps up (a new column)
    or to where it has no overlap with the line before, and where the gap is larger than is usual on the page.
    """
    advance = _usual_advance(lines)
    numbers: list[int] = []
    number = 0
    for index, line in enumerate(lines):
        if index and _starts_block(lines[index - 1], line, advance):
            number += 1
        numbers.append(number)
    return numbers


def _usual_advance(lines: Sequence[PlacedLine]) -> float:
    """Return how far below the line before a line usually begins, in line heights."""
    advances = [
        (second.top - first.top) / first.size
        for first, second in pairwise(lines)
        if first.size > 0 and not first.vertical and not second.vertical and _same_size(first.size, second.size)
    ]
    # Not the middle one: on a page of short paragraphs every other advance is one between paragraphs.
    usual = sorted(advance for advance in advances if 0.5 < advance < 2.5)
    return usual[len(usual) // 3] if usual else 1.2


def _same_size(first: float, second: float) -> bool:
    return first < second * SIZE_CHANGE and second < first * SIZE_CHANGE


def _starts_block(before: PlacedLine, line: PlacedLine, usual_advance: float) -> bool:
    if before.vertical != line.vertical or not _same_size(before.size, line.size):
        return True
    if line.vertical:
        apart = max(line.left - before.right, before.left - line.right)
        return apart > EXTRA_GAP * line.size or line.top > before.bottom or line.bottom < before.top
    advance = line.top - before.top
    if abs(advance) < 0.5 * line.size:  # another part of the same row
        return False
    if advance < 0:
        return True
    if line.left > before.right or line.right < before.left:
        return True
    return advance > (usual_advance + EXTRA_GAP) * line.size


def find_headings(text: str, words: Sequence[Word], height_pt: float) -> tuple[int, ...]:
    """Return the numbers of the blocks that look like headings, ascending.

    That is a block of one or two lines in letters clearly taller than is usual on the page, or a single numbered line
    ("2.1 Results", "Chapitre 3"). A page of one block has no heading.

    Args:
        text, words: as made by :func:`ragflow.ocr.compose.compose`.
        height_pt: height of the displayed page.
    """
    lines: dict[int, list[Word]] = {}
    blocks: dict[int, dict[int, None]] = {}
    for word in words:
        lines.setdefault(word.line, []).append(word)
        blocks.setdefault(word.block, {})[word.line] = None
    if len(blocks) < 2:
        return ()
    sizes = {number: _line_size(members) * height_pt for number, members in lines.items()}
    usual = _weighted_median([(sizes[number], sum(len(w.text) for w in members)) for number, members in lines.items()])
    headings: list[int] = []
    for block, numbers in blocks.items():
        members = [word for number in numbers for word in lines[number]]
        if len(numbers) > MAX_HEADING_LINES or len(members) > MAX_HEADING_WORDS or _is_vertical(members):
            continue
        block_text = text[members[0].char_start : members[-1].char_end]
        if sum(map(str.isalpha, block_text)) < 2:
            continue
        large = min(sizes[number] for number in numbers) > HEADING_SIZE * usual
        numbered = (
            len(numbers) == 1
            and len(members) <= MAX_NUMBERED_WORDS
            and block_text[-1] not in ".,;:!?"
            and _NUMBERED.match(block_text) is not None
        )
        if large or numbered:
            headings.append(block)
    return tuple(headings)


def _line_size(words: Sequence[Word]) -> float:
    """Return the upper quartile of the words' heights: words without tall letters are lower than their line."""
    heights = sorted(word.bottom - word.top for word in words)
    return heights[(3 * len(heights)) // 4]


def _is_vertical(words: Sequence[Word]) -> bool:
    long = [word for word in words if len(word.text) > 2]
    return bool(long) and sum(w.bottom - w.top > 2 * (w.right - w.left) for w in long) > len(long) / 2


def _weighted_median(values: Sequence[tuple[float, int]]) -> float:
    half = sum(weight for _, weight in values) / 2
    passed = 0
    for value, weight in sorted(values):
        passed += weight
        if passed >= half:
            return value
    return 0.0
