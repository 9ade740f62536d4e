"""What must hold for the chunks of every page, checked with the real tokenizer over arbitrary text."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from ragflow.chunking import Chunk, ChunkOptions, PageText, TokenCounter, chunk_pages, fingerprint_parts
from ragflow.embedding.model_folder import resolve_model
from ragflow.embedding.tokenizer import ModelTokenizer
from ragflow.errors import UsageError

# The tests bring the two siblings together; in the package they do not know each other.
COUNTER = ModelTokenizer(resolve_model("all-MiniLM-L6-v2"))
OPTIONS = (ChunkOptions(), ChunkOptions(max_tokens=24, target_tokens=16, min_tokens=4), ChunkOptions(16, 16, 0))

_SENTENCE = st.lists(
    st.sampled_from(
        [
            "the",
            "archive",
            "économies",
            "d'été",
            "M.",
            "art.",
            "x" * 120,
            "1 234,56",
            "日本語の文章",
            "한국어",
            "👩‍👩‍👧‍👦",
            "n°",
        ]
    ),
    min_size=1,
    max_size=40,
).map(lambda words: " ".join(words) + ".")
_LAYOUT = st.lists(st.one_of(_SENTENCE, st.sampled_from(["\n", "\n\n", "\n \n\n", " ", "\t", "!", "。", "…"]))).map(
    "".join
)
_ANY = st.text(st.characters(exclude_categories=["Cs"]), max_size=600)
_DENSE = st.builds(
    lambda part, times: part * times,
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12),
    st.integers(1, 400),
)


def check_page(text: str, chunks: Sequence[Chunk], options: ChunkOptions) -> None:
    position = 0
    for chunk in chunks:
        assert chunk.char_start >= position
        assert not text[position : chunk.char_start].strip(), "characters lost between chunks"
        assert chunk.text == text[chunk.char_start : chunk.char_end] == chunk.text.strip() != ""
        assert len(chunk.text) <= options.max_characters
        position = chunk.char_end
    assert not text[position:].strip(), "characters lost at the end"
    assert [chunk.token_count for chunk in chunks] == COUNTER.count([chunk.text for chunk in chunks])
    assert all(chunk.token_count <= options.max_tokens for chunk in chunks)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(texts=st.lists(st.one_of(_LAYOUT, _ANY, _DENSE), max_size=4), options=st.sampled_from(OPTIONS))
@example(texts=["", " \n\n \t"], options=OPTIONS[0])
@example(texts=["a" * 50_000, "." * 50_000, "!" * 3_000 + "\n" * 3_000], options=OPTIONS[0])
@example(texts=["\x00" * 9_000, "\u200b" * 9_000, "\u0301" * 9_000], options=OPTIONS[0])
@example(texts=["漢字" * 3_000, "👩‍👩‍👧‍👦" * 500, "\ufdfa" * 200], options=OPTIONS[1])
def test_every_page_is_cut_without_loss_and_within_bounds(texts: list[str], options: ChunkOptions) -> None:
    pages = [PageText("0" * 64, number, text) for number, text in enumerate(texts)]
    chunks = chunk_pages(pages, COUNTER, options)
    assert len(chunks) == len(pages)
    for page, of_page in zip(pages, chunks, strict=True):
        check_page(page.text, of_page, options)
        assert {chunk.page_index for chunk in of_page} <= {page.page_index}
    assert chunk_pages(pages, COUNTER, options) == chunks
    alone = [chunk_pages([page], COUNTER, options)[0] for page in pages]
    assert alone == chunks, "the chunks of a page depend on the pages beside it"


class ContextCounter:
    """A tokenizer that counts differently alone: a token per character, but in the page one per four characters."""

    special_tokens = 2
    max_tokens = 512

    def __init__(self) -> None:
        self.counted: list[str] = []

    def spans(self, texts: Sequence[str]) -> list[list[tuple[int, int]]]:
        return [[(at, min(len(text), at + 4)) for at in range(0, len(text), 4)] for text in texts]

    def count(self, texts: Sequence[str]) -> list[int]:
        self.counted.extend(texts)
        return [len(text) + self.special_tokens for text in texts]


def test_a_chunk_that_costs_more_alone_is_cut_again() -> None:
    counter = ContextCounter()
    typed: TokenCounter = counter
    options = ChunkOptions(max_tokens=64, target_tokens=48, min_tokens=8)
    text = "one two three four. " * 60 + "y" * 500
    (chunks,) = chunk_pages([PageText("0" * 64, 0, text)], typed, options)
    assert all(len(chunk.text) + 2 == chunk.token_count <= 64 for chunk in chunks)
    assert "".join(chunk.text for chunk in chunks).replace(" ", "") == text.replace(" ", "")
    assert max(map(len, counter.counted)) > 64, "nothing had to be cut again: the test shows nothing"


def test_a_character_that_cannot_fit_is_an_error() -> None:
    class Greedy(ContextCounter):
        def count(self, texts: Sequence[str]) -> list[int]:
            return [99] * len(texts)

    with pytest.raises(UsageError, match="single character 'a'"):
        chunk_pages([PageText("0" * 64, 0, "ab")], Greedy(), ChunkOptions(64, 48, 8))


@pytest.mark.parametrize(
    ("maximum", "target", "least"), [(8, 8, 0), (64, 65, 0), (64, 0, 0), (64, 32, 33), (64, 32, -1)]
)
def test_options_that_do_not_fit_each_other_are_refused(maximum: int, target: int, least: int) -> None:
    with pytest.raises(UsageError):
        ChunkOptions(maximum, target, least)


def test_chunks_longer_than_the_model_reads_are_refused() -> None:
    with pytest.raises(UsageError, match="reads 256") as caught:
        chunk_pages([], COUNTER, ChunkOptions(max_tokens=257))
    assert "256" in caught.value.remedy


def test_every_option_is_part_of_the_fingerprint() -> None:
    options = [
        ChunkOptions(),
        ChunkOptions(max_tokens=250),
        ChunkOptions(target_tokens=199),
        ChunkOptions(min_tokens=31),
    ]
    parts = [tuple(sorted(fingerprint_parts(one).items())) for one in options]
    assert len(set(parts)) == len(options)
