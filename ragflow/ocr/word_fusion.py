"""From readings of a line to words with opinions and a confidence that means what it says."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from ragflow.model.reading import Opinion
from ragflow.ocr.fusion import (
    LONG_WORD,
    LineSurroundings,
    Pair,
    WordList,
    fuse,
    judges,
    known_share,
    right_features,
)
from ragflow.ocr.line_text import LineText, joined

_RUN_TOGETHER = re.compile(r"[^\W\d_]\d|\d[^\W\d_]|[a-z][A-Z]|\d{7,}|\S{16,}|[.,:;!?)][^\W_]")


class FusedWord(NamedTuple):
    """A word that was settled on.

    Attributes:
        confidence: calibrated: the probability that the word is right.
        left, right: as fractions of the line's width.
        said: the reading that is believed, for further engines to be heard against.
        opinions: what each engine said here.
    """

    text: str
    confidence: float
    left: float
    right: float
    said: LineText
    opinions: tuple[Opinion, ...]


def looked_again(first: LineText, again: LineText, words: WordList) -> LineText:
    """Return one reading out of two looks of the same engine."""
    return _named(first.engine, _said(*fuse(first, again, words, "again")))


def has_unknown_words(text: str, words: WordList) -> bool:
    """Whether a line has a word of four letters or more that the language does not know."""
    return any(
        len(word) >= LONG_WORD and (known_share(word, words) or 0.0) < 1.0
        for word in text.split()
        if any(map(str.isalpha, word))
    )


def looks_run_together(text: str) -> bool:
    """Whether a line has something in which a space may be missing, however sure the engine is of each character."""
    return _RUN_TOGETHER.search(text) is not None


def sole_words(text: LineText, words: WordList, score: float, height: float) -> tuple[FusedWord, ...]:
    """Return the words of a line that one engine read.

    Args:
        score: how surely there is text at the line's place.
        height: of the line, in usual line heights of the page.
    """
    pairs = [Pair(word, LineText("", "", (), ())) for word in text.words()]
    return _words(pairs, [False] * len(pairs), False, words, LineSurroundings(text.mean, score, height))


def fuse_words(
    first: LineText, second: LineText, words: WordList, score: float, height: float
) -> tuple[FusedWord, ...]:
    """Return the words of a line that two engines read."""
    pairs, believed = fuse(first, second, words, "other")
    said = _said(pairs, believed)
    pairs = [Pair(_named(first.engine, p.first), _named(second.engine, p.second)) for p in pairs]
    return _words(pairs, believed, True, words, LineSurroundings(said.mean, score, height))


def settled(words: Sequence[FusedWord], engines: Sequence[str]) -> LineText:
    """Return fused words as one reading, to be fused with that of a further engine."""
    return _named("+".join(dict.fromkeys(engines)), joined([word.said for word in words]))


def _said(pairs: Sequence[Pair], believed: Sequence[bool]) -> LineText:
    return joined([pair.second if second else pair.first for pair, second in zip(pairs, believed, strict=True)])


def _words(
    pairs: Sequence[Pair], believed: Sequence[bool], heard: bool, words: WordList, line: LineSurroundings
) -> tuple[FusedWord, ...]:
    judge = judges()["right"]
    found = []
    for pair, second in zip(pairs, believed, strict=True):
        said = pair.second if second else pair.first
        if not said.text:
            continue
        confidence = judge.probability(right_features(pair, second, heard, words, line))
        opinions = tuple(
            Opinion(reading.engine, reading.text, round(reading.mean, 4)) for reading in (pair if heard else pair[:1])
        )
        # A reading may hold several words where the other has one.
        for word in said.words():
            found.append(FusedWord(word.text, confidence, word.edges[0][0], word.edges[-1][1], word, opinions))
    return tuple(found)


def _named(engine: str, text: LineText) -> LineText:
    return text._replace(engine=engine)
