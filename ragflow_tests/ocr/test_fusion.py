"""Two readings of a line, put together."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragflow.ocr.alignment import letters, matches, partner_spans, spans, starts_seen
from ragflow.ocr.fusion import fuse, judges, known_share, weights_sha256
from ragflow.ocr.line_reading import Character
from ragflow.ocr.line_sheet import SheetWord
from ragflow.ocr.line_text import LineText, from_characters, from_words, joined
from ragflow.ocr.word_fusion import fuse_words, has_unknown_words, looked_again, settled, sole_words

WORDS = frozenset({"tête", "maître", "school", "company", "affiliation", "unit", "price", "stationery", "shop", "the"})


def line(engine: str, text: str, confidence: float | dict[int, float] = 0.99) -> LineText:
    sure = [confidence if isinstance(confidence, float) else confidence.get(i, 0.99) for i in range(len(text))]
    step = 1.0 / max(1, len(text))
    return LineText(engine, text, tuple(sure), tuple((i * step, (i + 1) * step) for i in range(len(text))))


def settled_text(first: LineText, second: LineText) -> str:
    return " ".join(word.text for word in fuse_words(first, second, WORDS, 0.9, 1.0))


def test_readings_that_agree_stay_as_they_are() -> None:
    words = fuse_words(line("rapidocr", "the school"), line("tesseract", "the school", 0.9), WORDS, 0.9, 1.0)
    assert [word.text for word in words] == ["the", "school"]
    assert all(word.confidence > 0.95 for word in words)
    assert [opinion.engine for opinion in words[1].opinions] == ["rapidocr", "tesseract"]
    assert [opinion.text for opinion in words[1].opinions] == ["school", "school"]


def test_a_word_of_the_language_is_believed_over_one_that_is_none() -> None:
    assert settled_text(line("rapidocr", "la tete", {4: 0.6}), line("tesseract", "la tête", 0.9)) == "la tête"
    assert settled_text(line("rapidocr", "the amliation", {5: 0.4}), line("tesseract", "the affiliation")) == (
        "the affiliation"
    )
    assert settled_text(line("rapidocr", "the school"), line("tesseract", "the schqol", 0.6)) == "the school"


def test_words_run_together_are_parted_where_the_other_engine_parts_them() -> None:
    first = line("rapidocr", "STATIONERYSHOP")
    assert settled_text(first, line("tesseract", "STATIONERY SHOP", 0.95)) == "STATIONERY SHOP"


def test_digits_of_the_first_engine_are_kept() -> None:
    assert settled_text(line("rapidocr", "46558104"), line("tesseract", "4655B104", 0.7)) == "46558104"


def test_a_silent_engine_takes_nothing_away() -> None:
    words = fuse_words(line("rapidocr", "the school"), line("tesseract", ""), WORDS, 0.9, 1.0)
    assert [word.text for word in words] == ["the school"] or [word.text for word in words] == ["the", "school"]
    assert fuse_words(line("rapidocr", ""), line("tesseract", ""), WORDS, 0.9, 1.0) == ()


def test_words_lie_within_their_line_from_left_to_right() -> None:
    words = fuse_words(
        line("rapidocr", "the amliation of unit price"),
        line("tesseract", "the affiliation of unitprice"),
        WORDS,
        0.9,
        1.0,
    )
    lefts = [word.left for word in words]
    assert lefts == sorted(lefts)
    assert all(0.0 <= word.left < word.right <= 1.0 for word in words)


def test_confidence_is_less_where_engines_differ_or_the_line_is_doubtful() -> None:
    agreed = fuse_words(line("rapidocr", "xqzt"), line("tesseract", "xqzt"), WORDS, 0.9, 1.0)[0].confidence
    differ = fuse_words(line("rapidocr", "xqzt"), line("tesseract", "kpw"), WORDS, 0.9, 1.0)[0].confidence
    faint = fuse_words(line("rapidocr", "xqzt", 0.5), line("tesseract", "kpw", 0.3), WORDS, 0.55, 1.0)[0].confidence
    assert agreed > differ > faint


def test_a_second_look_of_the_same_engine_keeps_its_name() -> None:
    merged = looked_again(line("rapidocr", "the schcol", {8: 0.5}), line("rapidocr", "the school"), WORDS)
    assert (merged.engine, merged.text) == ("rapidocr", "the school")


def test_a_third_engine_is_heard_against_what_two_settled_on() -> None:
    two = fuse_words(line("rapidocr", "la tete", {4: 0.6}), line("tesseract", "la tête"), WORDS, 0.9, 1.0)
    said = settled(two, ["rapidocr", "tesseract"])
    assert (said.engine, said.text) == ("rapidocr+tesseract", "la tête")
    three = fuse_words(said, line("doctr", "la tète", 0.6), WORDS, 0.9, 1.0)
    assert [word.text for word in three] == ["la", "tête"]
    assert [opinion.engine for opinion in three[1].opinions] == ["rapidocr+tesseract", "doctr"]


def test_a_line_that_one_engine_read() -> None:
    words = sole_words(line("rapidocr", "unit price 12.50"), WORDS, 0.9, 1.0)
    assert [word.text for word in words] == ["unit", "price", "12.50"]
    assert all(len(word.opinions) == 1 for word in words)
    assert sole_words(line("rapidocr", ""), WORDS, 0.9, 1.0) == ()


def test_unknown_words() -> None:
    assert has_unknown_words("the amliation", WORDS)
    assert not has_unknown_words("the affiliation, 1234 xy", WORDS)
    assert known_share("12 %", WORDS) is None
    assert known_share("the xxx", WORDS) == 0.5


def test_readings_from_characters_and_words() -> None:
    characters = [Character(c, 0.9, i / 10, (i + 1) / 10) for i, c in enumerate(" a  b ")]
    assert from_characters("rapidocr", characters).text == "a b"
    words = from_words("tesseract", [SheetWord("ab", 0.8, 0.0, 0.4), SheetWord("c", 0.7, 0.5, 0.6)])
    assert words.text == "ab c"
    assert words.confidences == (0.8, 0.8, 0.7, 0.7)
    assert words.edges[0] == (0.0, 0.2)
    assert joined([words, from_words("tesseract", [])]).text == "ab c"


def test_alignment() -> None:
    one, two = letters(line("a", "unitprice 5")), letters(line("b", "unit pr1ce5"))
    partners = matches(one.text.text, two.text.text)
    assert partners == list(range(10))
    assert starts_seen(partners, two)[4] is True
    assert starts_seen(partners, two)[9] is False
    assert spans(one.starts) == [(0, 9), (9, 10)]
    assert partner_spans([(0, 4), (4, 10)], partners, 10) == [(0, 4), (4, 10)]


lines = st.text(st.sampled_from("abé1 .-"), max_size=24).map(lambda text: " ".join(text.split()))


@given(lines, lines)
def test_whatever_is_read_the_result_is_one_of_the_readings_piece_by_piece(first: str, second: str) -> None:
    pairs, believed = fuse(line("a", first), line("b", second), WORDS, "other")
    assert len(pairs) == len(believed)
    assert "".join(pair.first.text for pair in pairs).replace(" ", "") == first.replace(" ", "")
    assert "".join(pair.second.text for pair in pairs).replace(" ", "") == second.replace(" ", "")
    for word in fuse_words(line("a", first), line("b", second), WORDS, 0.5, 1.0):
        assert word.text and " " not in word.text
        assert 0.0 <= word.confidence <= 1.0


def test_the_models_are_there() -> None:
    assert set(judges()) == {"spacing_again", "choice_again", "spacing_other", "choice_other", "right"}
    assert len(weights_sha256()) == 64
    with pytest.raises(KeyError):
        fuse(line("a", "x y"), line("b", "xy"), WORDS, "nobody")  # type: ignore[arg-type]
