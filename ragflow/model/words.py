"""A page's words: as a table, their hash (text, boxes, confidences, places, in reading order), how sure they are."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from itertools import chain, pairwise
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from ragflow.model.fingerprints import sha256_hex
from ragflow.model.reading import Opinion, Word
from ragflow.model.tables import OPINIONS, WORDS

FLOAT_COLUMNS = ("left", "top", "right", "bottom", "confidence")
INTEGER_COLUMNS = ("block", "line", "char_start", "char_end")

NO_WORDS = sha256_hex(b"")
"""Hash of a page without words."""


LOW_CONFIDENCE = 0.6
"""A word below this confidence is *weak*."""
BLOCK_CHARACTERS = 20
"""A block with fewer characters tells nothing about how well a page was read: a page number, a stamp."""


def words_table(
    document_sha256: str, page_index: int, words: Sequence[Word], opinions: Sequence[Sequence[Opinion]] = ()
) -> pa.Table:
    """Return the words of one page as rows of :data:`ragflow.model.tables.WORDS`.

    Args:
        opinions: one entry per word; none at all gives words without opinions.
    """
    columns = list(zip(*words, strict=True)) if words else [()] * len(Word._fields)
    by_name = dict(zip(Word._fields, columns, strict=True))
    return pa.table(
        {
            "document_sha256": pa.array([document_sha256] * len(words), pa.string()),
            "page_index": pa.array([page_index] * len(words), pa.int32()),
            "word_index": pa.array(range(len(words)), pa.int32()),
            **{name: pa.array(by_name[name], WORDS.field(name).type) for name in Word._fields},
            "opinions": _opinions(opinions) if opinions else pa.nulls(len(words), OPINIONS),
        },
        schema=WORDS,
    )


def _opinions(opinions: Sequence[Sequence[Opinion]]) -> pa.ListArray:
    flat = list(chain.from_iterable(opinions))
    columns = list(zip(*flat, strict=True)) if flat else [()] * len(Opinion._fields)
    fields = list(OPINIONS.value_type)
    values = pa.StructArray.from_arrays(
        [pa.array(column, field.type) for column, field in zip(columns, fields, strict=True)], fields=fields
    )
    offsets = np.concatenate(([0], np.cumsum([len(entry) for entry in opinions]))).astype("<i4")
    return pa.ListArray.from_arrays(pa.array(offsets), values, type=OPINIONS)


class Confidence(NamedTuple):
    """How sure the words of a page are; each mean is weighted by the length of the words.

    Attributes:
        mean: over the whole page.
        weakest_block: lowest mean of a block of at least :data:`BLOCK_CHARACTERS` characters; that of the page if it
            has no such block.
        weak_share: share of the page's characters that stand in words below :data:`LOW_CONFIDENCE`.
    """

    mean: float
    weakest_block: float
    weak_share: float


def confidence_of(words: Sequence[Word]) -> Confidence | None:
    """Return how sure a page's words are; None if it has none."""
    certainty, letters = _by_block(words)
    total = sum(letters.values())
    if not total:
        return None
    mean = sum(certainty.values()) / total
    weakest = min((certainty[block] / letters[block] for block in _large(letters)), default=mean)
    weak = sum(len(word.text) for word in words if word.confidence < LOW_CONFIDENCE)
    return Confidence(mean, weakest, weak / total)


def weakest_block(words: Sequence[Word]) -> list[Word]:
    """Return the words of the block that :class:`Confidence` speaks of; all of them if none is large enough."""
    certainty, letters = _by_block(words)
    large = _large(letters)
    if not large:
        return list(words)
    weakest = min(large, key=lambda block: certainty[block] / letters[block])
    return [word for word in words if word.block == weakest]


def _by_block(words: Sequence[Word]) -> tuple[dict[int, float], dict[int, int]]:
    """Return block → confidence summed over its characters, and block → characters."""
    certainty: dict[int, float] = {}
    letters: dict[int, int] = {}
    for word in words:
        length = len(word.text)
        certainty[word.block] = certainty.get(word.block, 0.0) + word.confidence * length
        letters[word.block] = letters.get(word.block, 0) + length
    return certainty, letters


def _large(letters: dict[int, int]) -> list[int]:
    return [block for block, count in letters.items() if count >= BLOCK_CHARACTERS]


def words_sha256(words: pa.Table) -> str:
    """Return the hash of the rows of one page (columns of :data:`ragflow.model.tables.WORDS`, in order)."""
    return words_hashes(words, [0, words.num_rows])[0]


def words_hashes(words: pa.Table, bounds: Sequence[int]) -> list[str]:
    """Return the hash of each page, where page ``i`` is the rows ``bounds[i]`` to ``bounds[i + 1]``."""
    words = words.combine_chunks()
    texts = words.column("text").to_pylist()
    floats = [words.column(name).to_numpy().astype("<f4", copy=False) for name in FLOAT_COLUMNS]
    integers = [words.column(name).to_numpy().astype("<i4", copy=False) for name in INTEGER_COLUMNS]
    hashes = []
    for start, end in pairwise(bounds):
        if start == end:
            hashes.append(NO_WORDS)
            continue
        digest = hashlib.sha256("\0".join(texts[start:end]).encode("utf-8"))
        for column in (*floats, *integers):
            digest.update(np.ascontiguousarray(column[start:end]).tobytes())
        hashes.append(digest.hexdigest())
    return hashes
