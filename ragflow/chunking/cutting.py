"""Where a text may be cut, and how a stretch that is too long is cut evenly.

All positions are character offsets in one text. Everything here is linear in the length of the text.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

_SENTENCE_END = re.compile(
    # The look-behind lets a run of full stops match once, at its start, so that a page of dots costs no more.
    r"(?<![.!?\u2026])[.!?\u2026]{1,6}[\"'\u201d\u2019)\]]{0,3}(?:\s?»)?(?=\s)|[\u3002\uff01\uff1f\uff61]",
)
_WORD_BEFORE = re.compile(r"(\w{1,8})\Z")
_ABBREVIATIONS = frozenset(
    (
        *("al", "art", "cf", "chap", "dr", "ed", "env", "ex", "fig", "jr", "mgr", "mlle", "mme", "mr", "mrs", "ms"),
        *("no", "nos", "op", "pp", "prof", "réf", "ref", "sec", "sr", "st", "ste", "tel", "tél", "vol", "vs"),
    )
)
_JOINERS = frozenset("\u200d\ufe0e\ufe0f")


class Span(NamedTuple):
    """Characters ``start`` to ``end`` (exclusive) of a text."""

    start: int
    end: int


def strip_span(text: str, start: int, end: int) -> Span:
    """Return the span without white space at either end; empty if it is all white space."""
    part = text[start:end]
    left = len(part) - len(part.lstrip())
    return Span(start + left, start + max(left, len(part.rstrip())))


def blocks_of(text: str) -> list[Span]:
    """Return the blocks of a page text (parted by an empty line), stripped; an empty block keeps its place."""
    found: list[Span] = []
    start = 0
    while True:
        end = text.find("\n\n", start)
        if end < 0:
            found.append(strip_span(text, start, len(text)))
            return found
        found.append(strip_span(text, start, end))
        start = end + 2


def sentence_cuts(text: str, start: int, end: int) -> list[int]:
    """Return the positions after sentences between ``start`` and ``end``, ascending.

    Not after initials and common abbreviations of English and French, and not before a lower-case letter.
    """
    cuts: list[int] = []
    for match in _SENTENCE_END.finditer(text, start, end):
        cut = match.end()
        if match.group().startswith("."):
            following = text[cut : cut + 32].lstrip()[:1]
            if following.islower():
                continue
            before = _WORD_BEFORE.search(text, max(start, match.start() - 9), match.start())
            if before is not None and len(match.group()) == 1:
                word = before.group(1)
                if (len(word) == 1 and word.isalpha()) or word.lower() in _ABBREVIATIONS:
                    continue
        cuts.append(cut)
    return cuts


def line_cuts(text: str, start: int, end: int) -> list[int]:
    """Return the positions of line breaks between ``start`` and ``end``, ascending."""
    cuts: list[int] = []
    position = text.find("\n", start, end)
    while position >= 0:
        cuts.append(position)
        position = text.find("\n", position + 1, end)
    return cuts


@dataclass(frozen=True, slots=True)
class Ruler:
    """Measures stretches of one text in tokens.

    Attributes:
        ends: the end of each token, ascending. A token counts where it ends: tokenizers that take the space before a
            word into its token then still count it for the word.
    """

    ends: Sequence[int]

    def tokens(self, start: int, end: int) -> int:
        """Return how many tokens end after ``start``, up to ``end``."""
        return bisect_right(self.ends, end) - bisect_right(self.ends, start)

    def reach(self, start: int, tokens: int, end: int) -> int:
        """Return the furthest position up to ``end`` such that the stretch from ``start`` has ``tokens`` at most."""
        index = bisect_right(self.ends, start) + tokens
        return end if index >= len(self.ends) else min(end, self.ends[index] - 1)

    def token_end(self, start: int, position: int) -> int:
        """Return the last end of a token after ``start`` and up to ``position``; ``position`` if there is none."""
        index = bisect_right(self.ends, position) - 1
        return self.ends[index] if index >= 0 and self.ends[index] > start else position


@dataclass(frozen=True, slots=True)
class Limits:
    """Lengths for cutting: ``goal`` is the soft and ``hard`` the strict bound in tokens, without special tokens."""

    goal: int
    hard: int
    characters: int


def cut_evenly(text: str, span: Span, ruler: Ruler, limits: Limits, keep: int = 0) -> list[Span]:
    """Cut a stretch into pieces of about equal length that keep the limits by the ruler's measure.

    Cuts are at sentence ends where there are any in reach, else at lines, else at words, else between characters.

    Args:
        keep: the first piece reaches beyond this position if it can (the end of a heading).

    Returns:
        Pieces without white space at either end, ascending; together they hold every other character.
    """
    start, end = span
    pieces: list[Span] = []
    cuts: tuple[list[int], list[int]] | None = None
    while True:
        tokens = ruler.tokens(start, end)
        if tokens <= limits.hard and end - start <= limits.characters:
            pieces.append(Span(start, end))
            return pieces
        if cuts is None:
            cuts = sentence_cuts(text, start, end), line_cuts(text, start, end)
        count = max(2, -(-tokens // limits.goal), -(-(end - start) // limits.characters))
        goal = max(1, -(-tokens // count))
        stop = start + limits.characters
        near = min(ruler.reach(start, goal, end), stop)
        far = min(ruler.reach(start, limits.hard, end), stop)
        low = min(ruler.reach(start, goal // 2, end), near)
        if start < keep < far:
            low, near = max(low, keep), max(near, keep)
        cut = _nearest(cuts[0], low, near, far) or _nearest(cuts[1], low, near, far)
        if cut is None:
            cut = _space_before(text, max(start, keep) if keep < far else start, near) or _space_after(text, near, far)
        if cut is None:
            cut = _between_characters(text, start, ruler.token_end(start, far))
        piece = strip_span(text, start, cut)
        if piece.start < piece.end:
            pieces.append(piece)
        rest = strip_span(text, cut, end)
        if rest.start >= rest.end:
            return pieces
        start = rest.start


def _nearest(cuts: Sequence[int], low: int, near: int, far: int) -> int | None:
    """Return the cut in (low, far] that is nearest to ``near``; None if there is none."""
    first, last = bisect_right(cuts, low), bisect_right(cuts, far)
    if first >= last:
        return None
    index = bisect_left(cuts, near, first, last)
    return min(cuts[max(first, index - 1) : min(last, index + 1)], key=lambda cut: abs(cut - near))


def _space_before(text: str, start: int, position: int) -> int | None:
    """Return the last white space in (start, position]; None if there is none."""
    for index in range(min(position, len(text) - 1), start, -1):
        if text[index].isspace():
            return index
    return None


def _space_after(text: str, position: int, far: int) -> int | None:
    """Return the first white space in (position, far]; None if there is none."""
    for index in range(position + 1, min(far, len(text) - 1) + 1):
        if text[index].isspace():
            return index
    return None


def _between_characters(text: str, start: int, position: int) -> int:
    """Return a cut up to ``position``, at least one character after ``start``, not before a combining character."""
    position = max(position, start + 1)
    for cut in range(position, max(start, position - 8), -1):
        joined = cut < len(text) and (text[cut] in _JOINERS or unicodedata.combining(text[cut]) > 0)
        if not joined and text[cut - 1] != "\u200d":
            return cut
    return position
