"""Two readings of one line side by side: which characters match, where the words part, and who parts them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ragflow.ocr.line_text import LineText


class Letters(NamedTuple):
    """A reading without its spaces.

    Attributes:
        text: LineText of the visible characters only.
        starts: for each character, whether a word begins with it.
    """

    text: LineText
    starts: tuple[bool, ...]


def letters(line: LineText) -> Letters:
    """Take the spaces out of a reading, and note where they were."""
    places = [index for index, character in enumerate(line.text) if character != " "]
    return Letters(
        LineText(
            line.engine,
            "".join(line.text[index] for index in places),
            tuple(line.confidences[index] for index in places),
            tuple(line.edges[index] for index in places),
        ),
        tuple(index == 0 or line.text[index - 1] == " " for index in places),
    )


def matches(first: str, second: str) -> list[int | None]:
    """Return for each character of ``first`` the index of its partner in ``second``, None if it has none.

    Partners are equal, or stand for each other; their indexes rise.
    """
    from rapidfuzz.distance import Levenshtein

    partners: list[int | None] = [None] * len(first)
    for operation in Levenshtein.opcodes(first, second):
        length = min(operation.src_end - operation.src_start, operation.dest_end - operation.dest_start)
        if operation.tag in ("equal", "replace"):
            for offset in range(length):
                partners[operation.src_start + offset] = operation.dest_start + offset
    return partners


def starts_seen(partners: Sequence[int | None], second: Letters) -> list[bool | None]:
    """Return for each character of the first reading whether the second begins a word there; None if it cannot tell."""
    seen: list[bool | None] = []
    previous: int | None = None
    for index, partner in enumerate(partners):
        if index == 0 or partner is None or previous is None:
            seen.append(None)
        else:
            seen.append(any(second.starts[previous + 1 : partner + 1]))
        previous = partner
    return seen


def spans(starts: Sequence[bool]) -> list[tuple[int, int]]:
    """Return (start, end) of each word."""
    begins = [index for index, begin in enumerate(starts) if begin or index == 0]
    return list(zip(begins, [*begins[1:], len(starts)], strict=True)) if starts else []


def partner_spans(
    words: Sequence[tuple[int, int]], partners: Sequence[int | None], length: int
) -> list[tuple[int, int]]:
    """Return for each word of the first reading the part of the second that stands at its place.

    The parts follow each other without a gap; characters without a partner go with those before them.

    Args:
        length: of the second reading.
    """
    begins: list[int] = []
    reached = 0
    for start, end in words:
        inside = [partner for partner in partners[start:end] if partner is not None]
        if begins and inside:
            reached = max(reached, inside[0])
        begins.append(0 if not begins else reached)
        if inside:
            reached = max(reached, inside[-1] + 1)
    return list(zip(begins, [*begins[1:], length], strict=True)) if begins else []
