"""Lines of words in, page text and placed words out. Every engine's text is made here.

What holds for each result, and what chunking and tracing build on:

- ``text[word.char_start:word.char_end] == word.text`` for every word,
- every visible character of the text belongs to exactly one word,
- blocks are parted by an empty line, lines by a newline, words by one space.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import NamedTuple

from ragflow.model.reading import Word

LINE_HYPHEN = "\x02"
"""Stands in a piece of text for a hyphen that an engine knows to part a word at the end of a line."""

_HYPHENS = "-\u2010\u00ad" + LINE_HYPHEN
_SPELLED_OUT = str.maketrans(
    {
        "\ufb00": "ff",
        "\ufb01": "fi",
        "\ufb02": "fl",
        "\ufb03": "ffi",
        "\ufb04": "ffl",
        "\ufb05": "st",
        "\ufb06": "st",
        # Pieces of large brackets, which the Symbol font has among the private characters.
        **{chr(0xF8EB + number): piece for number, piece in enumerate("⎛⎜⎝⎡⎢⎣⎧⎨⎩⎪⎮⎞⎟⎠⎤⎥⎦⎫⎬⎭")},
    }
)
_DROPPED = re.compile(
    "[\x00-\x01\x03-\x1f\x7f-\x9f\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\ufeff\ufff9-\ufffb\ufffe\uffff"
    "\ud800-\udfff]"
)
_PLAIN = re.compile(r"[\x21-\x7e]+\Z")


class Piece(NamedTuple):
    """One word as an engine gives it: raw text, box in fractions of the displayed page, confidence 0.0 to 1.0."""

    text: str
    left: float
    top: float
    right: float
    bottom: float
    confidence: float


class Line(NamedTuple):
    """One line: the number of its block, and its pieces in reading order."""

    block: int
    pieces: Sequence[Piece]


def clean(text: str) -> str:
    """Return ``text`` in NFC, ligatures as letters, without control, direction and zero-width characters.

    A trailing hyphen of a line (soft, or :data:`LINE_HYPHEN`) is kept for :func:`compose`; within the text they are
    dropped. The result holds no white space.
    """
    if _PLAIN.match(text):
        return text
    text = unicodedata.normalize("NFC", _DROPPED.sub("", text).translate(_SPELLED_OUT))
    ending = text[-1:] if text[-1:] in (LINE_HYPHEN, "\u00ad") else ""
    return "".join(text.replace(LINE_HYPHEN, "").replace("\u00ad", "").split()) + ending


def joins(first: str, second: str) -> bool:
    """Whether ``second``, first word of the next line, is the rest of ``first``."""
    return len(first) > 1 and first[-1] in _HYPHENS and first[-2].isalpha() and second[:1].islower()


def _kept_hyphen(text: str) -> str:
    return text[:-1] + "-" if text[-1] in (LINE_HYPHEN, "\u00ad") else text


def compose(lines: Sequence[Line]) -> tuple[str, tuple[Word, ...]]:
    """Return the page text and its words.

    A word parted by a hyphen at the end of a line is put together when the next line of the same block goes on with a
    lower-case letter: both parts stay words of their own, with their own boxes, and touch each other in the text; the
    newline then stands after the second part. Blocks and lines that end up without words are not counted.
    """
    cleaned: list[tuple[int, list[tuple[str, Piece]]]] = []
    for block, pieces in lines:
        kept = [(text, piece) for piece in pieces if (text := clean(piece.text))]
        if kept:
            cleaned.append((block, kept))
    parts: list[str] = []
    words: list[Word] = []
    position = 0
    block_number = -1
    previous_block: int | None = None
    joined = False
    for line_number, (block, kept) in enumerate(cleaned):
        following = cleaned[line_number + 1] if line_number + 1 < len(cleaned) else None
        if block != previous_block:
            block_number += 1
            separator = "\n\n" if words else ""
        else:
            separator = "" if joined else "\n"
        previous_block = block
        after_join = joined
        joined = False
        last = len(kept) - 1
        for index, (text, piece) in enumerate(kept):
            if index == last and text[-1] in _HYPHENS:
                if following is not None and following[0] == block and joins(text, following[1][0][0]):
                    joined = True
                    text = text[:-1]
                else:
                    text = _kept_hyphen(text)
            elif text[-1] in (LINE_HYPHEN, "\u00ad"):
                text = text[:-1] if len(text) > 1 else "-"
            if separator:
                parts.append(separator)
                position += len(separator)
            end = position + len(text)
            parts.append(text)
            words.append(Word(text, *piece[1:], block_number, line_number, position, end))
            position = end
            separator = "\n" if after_join and index == 0 else " "
    return "".join(parts), tuple(words)
