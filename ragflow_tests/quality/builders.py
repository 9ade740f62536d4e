"""Small right tables of one batch, and ways to damage them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from ragflow.model import tables
from ragflow.model.batches import BatchManifest, Change, DocumentChange
from ragflow.model.fingerprints import sha256_text
from ragflow.model.points import SparseVector, vector_sha256
from ragflow.model.reading import PageStatus, Reason, Word
from ragflow.model.words import confidence_of, words_sha256, words_table

DIMENSION = 8
OPEN, LOCKED, GONE = (sha256_text(name) for name in ("open", "locked", "gone"))
NAMES = {OPEN: "inbox/open.pdf", LOCKED: "inbox/locked.pdf"}
TEXTS = ("The mill grinds.\n\nBarley comes by boat.", "", "Pears ripen late.")
"""Of the three pages of the open document: the second is blank. A fourth page cannot be opened."""

MANIFEST = BatchManifest.create(
    sequence=1,
    created_at="2026-11-20T10:00:00+00:00",
    previous=None,
    sources=(),
    documents=[
        DocumentChange("inbox/open.pdf", Change.ADDED, OPEN, 900),
        DocumentChange("inbox/locked.pdf", Change.ADDED, LOCKED, 100),
        DocumentChange("inbox/unreadable.pdf", Change.ADDED, None, reason="unreadable"),
        DocumentChange("inbox/removed.pdf", Change.REMOVED, None),
    ],
)
BATCH = MANIFEST.key


def with_rows(table: pa.Table, rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist(list(rows), schema=table.schema)


def changed(table: pa.Table, row: int, **values: Any) -> pa.Table:
    """Return the table with other values in one row."""
    rows = table.to_pylist()
    rows[row] = {**rows[row], **values}
    return with_rows(table, rows)


def dropped(table: pa.Table, row: int) -> pa.Table:
    rows = table.to_pylist()
    del rows[row]
    return with_rows(table, rows)


def doubled(table: pa.Table, row: int) -> pa.Table:
    rows = table.to_pylist()
    return with_rows(table, [*rows, rows[row]])


def _document(key: str, sha: str | None, pages: int | None, reason: Reason | None) -> dict[str, Any]:
    return {
        "document_key": key,
        "document_sha256": sha,
        "size": 900,
        "home_batch": BATCH if sha else None,
        "page_count": pages,
        "status": "quarantined" if reason else "readable",
        "reason": reason,
        "detail": "why" if reason else None,
        "encrypted": False,
        "damaged": False,
        "producer": None,
        "title": None,
        "language": "en",
    }


def documents() -> pa.Table:
    rows = [
        _document("inbox/open.pdf", OPEN, 4, None),
        _document("inbox/locked.pdf", LOCKED, None, Reason.ENCRYPTED),
        _document("inbox/unreadable.pdf", None, None, Reason.UNREADABLE),
    ]
    return pa.Table.from_pylist(rows, schema=tables.DOCUMENTS)


def pages() -> pa.Table:
    rows = [
        {
            "document_sha256": OPEN,
            "page_index": index,
            "width_pt": 595.0,
            "height_pt": 842.0,
            "rotation": 90 * index,
            "has_text_layer": True,
            "reason": Reason.PAGE_DAMAGED if index == 3 else None,
            "detail": None,
        }
        for index in range(4)
    ]
    return pa.Table.from_pylist(rows, schema=tables.PAGES)


def page_words(page_index: int) -> list[Word]:
    words, position = [], 0
    text = TEXTS[page_index]
    for number, piece in enumerate(text.split()):
        start = text.index(piece, position)
        position = start + len(piece)
        edge = 0.1 * (number + 1)
        words.append(Word(piece, edge, 0.1, edge + 0.05, 0.2, 0.9, 0, 0, start, position))
    return words


def words() -> pa.Table:
    return pa.concat_tables(words_table(OPEN, index, page_words(index)) for index in range(3))


def _text(sha: str, index: int, status: PageStatus, text: str = "", reason: Reason | None = None) -> dict[str, Any]:
    found = page_words(index) if text else []
    confidence = confidence_of(found)
    return {
        "document_sha256": sha,
        "page_index": index,
        "status": status,
        "reason": reason,
        "detail": None,
        "engine": "text_layer" if text else None,
        "language": "en" if text else None,
        "text": text,
        "text_sha256": sha256_text(text),
        "word_count": len(found),
        "words_sha256": words_sha256(words_table(sha, index, found)),
        "headings": [],
        "confidence": 0.9 if text else None,
        "raster_sha256": None,
        "raster_dpi": None,
        "reading_fingerprint": "a" * 64,
        "inspection_sha256": None if sha == LOCKED else "b" * 64,
        "effort": "normal",
        "layer_distrust": None,
        "orientation": 0,
        "skew": 0.0,
        "disagreement": None,
        "reread_regions": 0,
        "weakest_block": confidence.weakest_block if confidence else None,
        "weak_share": confidence.weak_share if confidence else None,
    }


def texts() -> pa.Table:
    rows = [
        _text(OPEN, 0, PageStatus.INDEXED, TEXTS[0]),
        _text(OPEN, 1, PageStatus.BLANK),
        _text(OPEN, 2, PageStatus.INDEXED, TEXTS[2]),
        _text(OPEN, 3, PageStatus.QUARANTINED, reason=Reason.PAGE_DAMAGED),
        _text(LOCKED, 0, PageStatus.QUARANTINED, reason=Reason.ENCRYPTED),
    ]
    return pa.Table.from_pylist(rows, schema=tables.PAGE_TEXTS)


def chunk(page_index: int, number: int, start: int, end: int) -> dict[str, Any]:
    text = TEXTS[page_index][start:end]
    return {
        "document_sha256": OPEN,
        "chunk_index": number,
        "page_index": page_index,
        "char_start": start,
        "char_end": end,
        "text": text,
        "text_sha256": sha256_text(text),
        "token_count": len(text.split()) + 2,
        "language": "en",
        "line_boxes": [[0.1, 0.1, 0.9, 0.2]],
        "confidence": 0.9,
    }


def chunks() -> pa.Table:
    """Two chunks on the first page with an empty line between them, one on the third."""
    rows = [chunk(0, 0, 0, 16), chunk(0, 1, 18, len(TEXTS[0])), chunk(2, 2, 0, len(TEXTS[2]))]
    return pa.Table.from_pylist(rows, schema=tables.CHUNKS)


def counted(table: pa.Table) -> list[int]:
    """Count tokens as :func:`chunk` does."""
    return [len(text.split()) + 2 for text in table.column("text").to_pylist()]


def embedding(text_sha256: str, seed: int) -> dict[str, Any]:
    dense = np.random.default_rng(seed).normal(size=DIMENSION)
    unit = (dense / np.linalg.norm(dense)).astype(np.float32)
    sparse = SparseVector(np.array([seed, seed + 7], dtype=np.uint32), np.array([0.5, 1.5], dtype=np.float32))
    return {
        "text_sha256": text_sha256,
        "language": "en",
        "dense": unit.tolist(),
        "sparse_indices": sparse.indices.tolist(),
        "sparse_values": sparse.values.tolist(),
        "vector_sha256": vector_sha256(unit, sparse),
        "precision": "float32",
        "reused_from": None,
    }


def embeddings() -> pa.Table:
    shas = chunks().column("text_sha256").to_pylist()
    rows = [embedding(sha, seed) for seed, sha in enumerate(shas, start=1)]
    return pa.Table.from_pylist(rows, schema=tables.embeddings_schema(DIMENSION))
