"""The hash of a page's words: text, boxes, confidences and places, in reading order."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pyarrow as pa

from ragflow.model.fingerprints import sha256_hex
from ragflow.model.reading import Word
from ragflow.model.tables import WORDS

FLOAT_COLUMNS = ("left", "top", "right", "bottom", "confidence")
INTEGER_COLUMNS = ("block", "line", "char_start", "char_end")

NO_WORDS = sha256_hex(b"")
"""Hash of a page without words."""


def words_table(document_sha256: str, page_index: int, words: Sequence[Word]) -> pa.Table:
    """Return the words of one page as rows of :data:`ragflow.model.tables.WORDS`."""
    columns = list(zip(*words, strict=True)) if words else [()] * len(Word._fields)
    by_name = dict(zip(Word._fields, columns, strict=True))
    return pa.table(
        {
            "document_sha256": pa.array([document_sha256] * len(words), pa.string()),
            "page_index": pa.array([page_index] * len(words), pa.int32()),
            "word_index": pa.array(range(len(words)), pa.int32()),
            **{name: pa.array(by_name[name], WORDS.field(name).type) for name in Word._fields},
        },
        schema=WORDS,
    )


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
