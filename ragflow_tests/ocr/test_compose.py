"""The invariants of page texts."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragflow.model.reading import Word
from ragflow.ocr.compose import Line, Piece, clean, compose


def line(text: str, block: int = 0) -> Line:
    return Line(block, [Piece(word, 0.1, 0.1, 0.2, 0.2, 1.0) for word in text.split(" ")])


def composed(*lines: Line) -> str:
    return compose(lines)[0]


def check_invariants(text: str, words: Sequence[Word]) -> None:
    owners = [0] * len(text)
    for word in words:
        assert text[word.char_start : word.char_end] == word.text
        assert word.text and not any(map(str.isspace, word.text))
        for position in range(word.char_start, word.char_end):
            owners[position] += 1
    for character, owner in zip(text, owners, strict=True):
        assert owner == (0 if character in " \n" else 1)
    assert [word.char_start for word in words] == sorted(word.char_start for word in words)
    assert [word.line for word in words] == sorted(word.line for word in words)
    for first, second in pairwise(words):
        gap = text[first.char_end : second.char_start]
        if second.block != first.block:
            assert gap == "\n\n" and second.block == first.block + 1
        elif second.line == first.line:
            assert gap == " " or (gap == "\n" and first.line > 0)
        else:
            assert gap in ("\n", "")


pieces = st.text(
    st.one_of(st.sampled_from("aé-Z9\u00ad\x02\u2010\ufb01\x00\ufeff \u00a0e\u0301\ud835.\u3000"), st.characters()),
    max_size=6,
).map(lambda text: Piece(text, 0.0, 0.0, 1.0, 1.0, 0.5))


@given(st.lists(st.lists(pieces, max_size=5), max_size=8), st.data())
def test_any_lines_keep_the_invariants(raw: list[list[Piece]], data: st.DataObject) -> None:
    block = 0
    lines = []
    for members in raw:
        block += data.draw(st.booleans())
        lines.append(Line(block, members))
    text, words = compose(lines)
    check_invariants(text, words)
    text.encode("utf-8")
    assert compose(lines) == (text, words)


def test_blocks_lines_and_words_are_parted() -> None:
    text, words = compose([line("one two"), line("three"), line("four", 7)])
    assert text == "one two\nthree\n\nfour"
    assert [(word.block, word.line) for word in words] == [(0, 0), (0, 0), (0, 1), (1, 2)]


@pytest.mark.parametrize("hyphen", ["-", "\x02", "\u00ad", "\u2010"])
def test_a_parted_word_is_put_together(hyphen: str) -> None:
    text, words = compose([line(f"an exam{hyphen}"), line("ple of text")])
    assert text == "an example\nof text"
    assert [word.text for word in words] == ["an", "exam", "ple", "of", "text"]
    assert [word.line for word in words] == [0, 0, 1, 1, 1]


def test_a_word_over_three_lines() -> None:
    assert composed(line("inter-"), line("nation-"), line("al law")) == "international\nlaw"


@pytest.mark.parametrize(
    ("lines", "text"),
    [
        ([line("Jean\x02"), line("Pierre")], "Jean-\nPierre"),
        ([line("1990-"), line("and")], "1990-\nand"),
        ([line("a -"), line("dash")], "a -\ndash"),
        ([line("end-"), line("other", 1)], "end-\n\nother"),
        ([line("last-")], "last-"),
        ([line("soft\u00adly spo\x02ken")], "softly spoken"),
    ],
)
def test_other_hyphens_stay(lines: list[Line], text: str) -> None:
    assert composed(*lines) == text


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ("\ufb01n", "fin"),
        ("e\u0301te\u0301", "été"),
        ("a\x00b\x07", "ab"),
        ("\ufeff", ""),
        ("\ud835", ""),
        ("\uf8eb", "⎛"),
        ("\U0001d439", "\U0001d439"),
        ("plain", "plain"),
    ],
)
def test_cleaning(raw: str, text: str) -> None:
    assert clean(raw) == text


def test_lines_and_blocks_without_words_are_not_counted() -> None:
    _, words = compose([line("one"), line("\x00", 1), line("two", 2)])
    assert [(word.block, word.line) for word in words] == [(0, 0), (1, 1)]
