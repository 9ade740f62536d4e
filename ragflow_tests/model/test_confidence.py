"""How sure the words of a page are, and what the engines said of each word."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragflow.model.reading import Opinion, Word
from ragflow.model.tables import WORDS
from ragflow.model.words import (
    BLOCK_CHARACTERS,
    LOW_CONFIDENCE,
    confidence_of,
    weakest_block,
    words_sha256,
    words_table,
)

SHA = "f" * 64


def word(text: str, confidence: float, block: int = 0) -> Word:
    return Word(text, 0.1, 0.1, 0.2, 0.2, confidence, block, block, 0, len(text))


def test_a_page_without_words_has_no_confidence() -> None:
    assert confidence_of([]) is None
    assert weakest_block([]) == []


def test_a_good_page_does_not_hide_a_bad_block() -> None:
    bad = [word("t" * 12, 0.2, 1), word("u" * 8, 0.4, 1)]
    page = [word("s" * 180, 0.95), *bad, word("7", 0.05, 2)]
    found = confidence_of(page)
    assert found is not None
    assert found.mean == pytest.approx((180 * 0.95 + 12 * 0.2 + 8 * 0.4 + 0.05) / 201)
    assert found.weakest_block == pytest.approx((12 * 0.2 + 8 * 0.4) / 20)
    assert found.weak_share == pytest.approx(21 / 201)
    assert weakest_block(page) == bad


def test_blocks_that_are_too_short_are_judged_with_their_page() -> None:
    page = [word("x" * (BLOCK_CHARACTERS - 1), 0.1, 0), word("y" * (BLOCK_CHARACTERS - 1), 0.9, 1)]
    found = confidence_of(page)
    assert found is not None
    assert found.weakest_block == found.mean == pytest.approx(0.5)
    assert weakest_block(page) == page


def test_a_word_at_the_threshold_is_not_weak() -> None:
    found = confidence_of([word("abc", LOW_CONFIDENCE), word("d", LOW_CONFIDENCE - 0.01)])
    assert found is not None and found.weak_share == pytest.approx(0.25)


WORDS_OF_A_PAGE = st.lists(
    st.builds(word, st.text("abc", min_size=1, max_size=30), st.floats(0, 1), st.integers(0, 3)), min_size=1
)


@given(WORDS_OF_A_PAGE)
def test_the_weakest_block_is_never_surer_than_it_must_be(page: list[Word]) -> None:
    found = confidence_of(page)
    assert found is not None
    letters = sum(len(one.text) for one in weakest_block(page))
    mean = sum(one.confidence * len(one.text) for one in weakest_block(page)) / letters
    assert found.weakest_block == pytest.approx(mean)
    assert 0.0 <= found.weak_share <= 1.0
    large = [number for number in range(4) if sum(len(w.text) for w in page if w.block == number) >= BLOCK_CHARACTERS]
    for number in large:
        block = confidence_of([one for one in page if one.block == number])
        assert block is not None and found.weakest_block <= block.mean + 1e-9


def test_opinions_stand_beside_their_words() -> None:
    words = [word("mill", 0.9), word("rn", 0.4), word("x", 0.3)]
    opinions = [
        (Opinion("tesseract", "mill", 0.9), Opinion("rapidocr", "mi11", 0.5)),
        (),
        (Opinion("rapidocr", "", 0.0),),
    ]
    table = words_table(SHA, 0, words, opinions)
    assert table.schema.equals(WORDS)
    table.validate(full=True)
    assert [[entry["text"] for entry in of] for of in table.column("opinions").to_pylist()] == [
        ["mill", "mi11"],
        [],
        [""],
    ]
    assert table.column("opinions")[0].as_py()[1] == {"engine": "rapidocr", "text": "mi11", "confidence": 0.5}
    plain = words_table(SHA, 0, words)
    assert plain.column("opinions").null_count == 3
    assert words_sha256(plain) == words_sha256(table), "the hash of the file protects the opinions"
    assert pa.concat_tables([plain, table, words_table(SHA, 1, [])]).num_rows == 6


def test_an_opinion_too_many_is_refused() -> None:
    with pytest.raises(pa.ArrowInvalid):
        words_table(SHA, 0, [word("mill", 0.9)], [(), ()])
