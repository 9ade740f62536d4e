"""Headings, paragraphs, sentences, boxes: where the cuts lie and what a chunk says of its place."""

from __future__ import annotations

import itertools

import pytest

from ragflow.chunking import Chunk, ChunkOptions, PageText, chunk_pages
from ragflow.chunking.cutting import blocks_of, sentence_cuts
from ragflow.embedding.model_folder import resolve_model
from ragflow.embedding.tokenizer import ModelTokenizer
from ragflow.model.reading import Word

COUNTER = ModelTokenizer(resolve_model("all-MiniLM-L6-v2"))
SMALL = ChunkOptions(max_tokens=48, target_tokens=32, min_tokens=6)


def words_of(text: str, confidence: float = 1.0) -> tuple[Word, ...]:
    """Lay a text out: each block, line and word gets its number; boxes follow line and place in the line."""
    words: list[Word] = []
    line = at = 0
    for block, lines in enumerate(text.split("\n\n")):
        for row in lines.split("\n"):
            for place, word in enumerate(row.split(" ")):
                left, top = place / 100, line / 100
                box = (left, top, left + 0.01, top + 0.01)
                words.append(Word(word, *box, confidence, block, line, at, at + len(word)))
                at += len(word) + 1
            line += 1
        at += 1
    assert all(text[word.char_start : word.char_end] == word.text for word in words)
    return tuple(words)


def chunks_of(
    text: str, headings: tuple[int, ...] = (), options: ChunkOptions = SMALL, words: bool = True
) -> list[Chunk]:
    page = PageText("0" * 64, 3, text, words_of(text) if words else (), headings, "en")
    return chunk_pages([page], COUNTER, options)[0]


def sentences(count: int, subject: str = "cat") -> str:
    return " ".join(f"The {subject} sat on mat number {number}." for number in range(count))


def test_short_paragraphs_share_a_chunk_up_to_the_target() -> None:
    blocks = [f"{name} walks slowly through the old town today." for name in ("Anna", "Bernard", "Carla", "Denis")]
    chunks = chunks_of("\n\n".join(blocks), options=ChunkOptions(max_tokens=40, target_tokens=24, min_tokens=4))
    assert [chunk.text for chunk in chunks] == ["\n\n".join(blocks[:2]), "\n\n".join(blocks[2:])]


def test_a_paragraph_that_fits_is_not_cut() -> None:
    blocks = [sentences(3), sentences(3, "dog"), sentences(4, "fox")]
    assert [chunk.text for chunk in chunks_of("\n\n".join(blocks))] == blocks


@pytest.mark.parametrize("words", [True, False])
def test_a_heading_starts_a_chunk_and_stays_with_what_follows(words: bool) -> None:
    text = f"{sentences(2)}\n\nSecond part\n\nOf dogs\n\n{sentences(1, 'dog')}\n\n{sentences(1, 'fox')}"
    chunks = chunks_of(text, headings=(1, 2), words=words)
    assert [chunk.text for chunk in chunks] == [
        sentences(2),
        f"Second part\n\nOf dogs\n\n{sentences(1, 'dog')}\n\n{sentences(1, 'fox')}",
    ]
    without = chunks_of(text, words=words)
    assert without[0].text.startswith(f"{sentences(2)}\n\nSecond part")


def test_a_heading_stays_with_the_first_part_of_a_long_block() -> None:
    chunks = chunks_of(f"{sentences(3)}\n\nThe heading\n\n{sentences(30, 'dog')}", headings=(1,))
    assert chunks[0].text == sentences(3)
    assert chunks[1].text.startswith("The heading\n\nThe dog sat on mat number 0.")
    assert all(chunk.text.endswith(".") for chunk in chunks)


def test_a_long_heading_that_ends_like_a_sentence_is_not_cut_off() -> None:
    heading = "Which " + "dog " * 25 + "sat?"  # about as long as a chunk: its end is the best place for a cut
    chunks = chunks_of(f"{heading}\n\n{sentences(30, 'dog')}", headings=(0,))
    assert chunks[0].text.startswith(f"{heading}\n\nThe dog")
    assert chunks_of(f"{heading}\n\n{sentences(30, 'dog')}")[0].text == heading, "as a paragraph it stands alone"


def test_a_heading_at_the_end_of_a_page_is_no_orphan() -> None:
    (chunk,) = chunks_of(f"{sentences(3)}\n\nNext", headings=(1,))
    assert chunk.text.endswith("\n\nNext")


def test_long_paragraphs_are_cut_evenly_at_sentence_ends() -> None:
    chunks = chunks_of(sentences(40))
    assert len(chunks) > 5
    assert all(chunk.text.startswith("The cat") and chunk.text.endswith(".") for chunk in chunks)
    counts = [chunk.token_count for chunk in chunks]
    assert max(counts) - min(counts) <= 12


def test_without_sentences_lines_are_kept_and_without_lines_words() -> None:
    lines = [f"row {number}" + " amber" * (2 + number * number % 7) for number in range(40)]
    assert {line for chunk in chunks_of("\n".join(lines)) for line in chunk.text.split("\n")} == set(lines)
    names = [f"name{number}" for number in range(200)]
    assert [word for chunk in chunks_of(" ".join(names)) for word in chunk.text.split(" ")] == names


def test_a_trailing_scrap_joins_its_neighbour() -> None:
    text = f"{sentences(4)}\n\nEnd."
    (chunk,) = chunks_of(text)
    assert SMALL.target_tokens < chunk.token_count <= SMALL.max_tokens


def test_sentences_end_where_a_reader_would_say() -> None:
    text = "M. Dupont, art. 5, voit J. Martin. « Quoi ! » Il dit 3.14 etc. et part… Fin? 日本。本"
    cuts = [0, *sentence_cuts(text, 0, len(text)), len(text)]
    parts = [text[start:end].strip() for start, end in itertools.pairwise(cuts)]
    assert parts == [
        "M. Dupont, art. 5, voit J. Martin.",
        "« Quoi ! »",
        "Il dit 3.14 etc. et part…",
        "Fin?",
        "日本。",
        "本",
    ]


def test_empty_blocks_keep_their_number() -> None:
    text = "a\n\n\n\nb"
    assert [text[span.start : span.end] for span in blocks_of(text)] == ["a", "", "b"]


def test_boxes_are_one_per_line_around_the_words_of_the_chunk() -> None:
    text = "Alpha beta gamma\ndelta epsilon\n\n" + sentences(12)
    first, *others = chunks_of(text)
    assert first.text.startswith("Alpha beta gamma\ndelta epsilon\n\nThe cat")
    assert first.page_index == 3
    assert first.line_boxes[0] == pytest.approx((0.0, 0.0, 0.03, 0.01))
    assert first.line_boxes[1] == pytest.approx((0.0, 0.01, 0.02, 0.02))
    last_word = len(first.text.split("\n\n")[1].split(" "))
    assert len(first.line_boxes) == 3
    assert first.line_boxes[2] == pytest.approx((0.0, 0.02, (last_word - 1) / 100 + 0.01, 0.03))
    assert others[0].line_boxes[0][0] == pytest.approx(last_word / 100), "the second chunk begins where the first ends"


def test_a_word_that_is_cut_belongs_to_both_chunks() -> None:
    chunks = chunks_of("supercalifragilistic-" * 20)
    assert len(chunks) > 1
    assert all(chunk.line_boxes == ((0.0, 0.0, 0.01, 0.01),) for chunk in chunks)


def test_confidence_is_the_mean_weighted_by_length() -> None:
    text = "ab cdefgh"
    one, two = words_of(text)
    page = PageText("0" * 64, 0, text, (one._replace(confidence=0.2), two._replace(confidence=0.6)))
    assert chunk_pages([page], COUNTER, SMALL)[0][0].confidence == pytest.approx((2 * 0.2 + 6 * 0.6) / 8)
    assert chunks_of(text, words=False)[0].confidence == 1.0
    assert chunks_of(text, words=False)[0].line_boxes == ()
