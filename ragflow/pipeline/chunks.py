"""Stage ``chunks``: page texts cut into pieces that the embedding model reads whole."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from ragflow.chunking import PageText, chunk_pages
from ragflow.model.fingerprints import fingerprint, sha256_text
from ragflow.model.reading import PageStatus, Word
from ragflow.model.tables import CHUNKS as CHUNKS_SCHEMA
from ragflow.pipeline.progress import report
from ragflow.pipeline.stages import CHUNKS, OCR_TEXT, StageReport, StageResult, run_stage
from ragflow.pipeline.workspace import Workspace
from ragflow.store.tables import TableRecord

CODE_VERSION = 1
UNKNOWN_LANGUAGE = "und"
"""ISO 639 code for a text whose language is not known."""
PAGES_AT_ONCE = 512
"""Bounds the memory that words take as Python objects."""


def expected_fingerprint(workspace: Workspace, texts: TableRecord) -> str:
    return fingerprint(
        asset=CHUNKS, code=CODE_VERSION, texts=texts.output_sha256, chunking=workspace.chunking_fingerprint()
    )


def materialize(workspace: Workspace, batch: str) -> StageReport:
    """Cut every indexed page of the batch. Table: ``chunks`` (one row per chunk).

    Raises:
        IncompleteError: ``ocr_text`` is missing for the batch.
    """
    texts = workspace.home.tables.get(OCR_TEXT, batch)
    return run_stage(workspace, CHUNKS, batch, expected_fingerprint(workspace, texts), lambda: _work(workspace, texts))


def _work(workspace: Workspace, texts: TableRecord) -> StageResult:
    table = cut(workspace, texts)
    tokens = table.column("token_count").to_numpy()
    return StageResult(
        tables={"chunks": table},
        figures={
            "chunks": table.num_rows,
            "pages": int(texts.figures["indexed"]),
            "tokens": int(tokens.sum()),
            "longest": int(tokens.max(initial=0)),
            "mean_tokens": round(float(tokens.mean()), 1) if len(tokens) else None,
            "limit": workspace.chunk_options().max_tokens,
        },
        work={"chunks_cut": table.num_rows},
    )


def cut(workspace: Workspace, texts: TableRecord) -> pa.Table:
    """Return the chunks of every indexed page of a batch."""
    counter, options = workspace.tokenizer(), workspace.chunk_options()
    rows: dict[str, list[Any]] = {name: [] for name in CHUNKS_SCHEMA.names}
    next_index: dict[str, int] = {}
    total = int(texts.figures["indexed"])
    done = 0
    for pages in page_texts(workspace, texts):
        for page, chunks in zip(pages, chunk_pages(pages, counter, options), strict=True):
            sha = page.document_sha256
            for chunk in chunks:
                index = next_index.get(sha, 0)
                next_index[sha] = index + 1
                rows["document_sha256"].append(sha)
                rows["chunk_index"].append(index)
                rows["page_index"].append(page.page_index)
                rows["char_start"].append(chunk.char_start)
                rows["char_end"].append(chunk.char_end)
                rows["text"].append(chunk.text)
                rows["text_sha256"].append(sha256_text(chunk.text))
                rows["token_count"].append(chunk.token_count)
                rows["language"].append(page.language or UNKNOWN_LANGUAGE)
                rows["line_boxes"].append(chunk.line_boxes)
                rows["confidence"].append(chunk.confidence)
        done += len(pages)
        report("cut chunks", done, total)
    return pa.table({name: pa.array(rows[name], CHUNKS_SCHEMA.field(name).type) for name in rows}, schema=CHUNKS_SCHEMA)


def page_texts(workspace: Workspace, record: TableRecord) -> Iterator[list[PageText]]:
    """Yield the indexed pages of a batch with their words, some hundred at a time, in the order of the table."""
    texts = workspace.home.tables.read(
        record,
        "page_texts",
        columns=["document_sha256", "page_index", "status", "text", "headings", "language", "word_count"],
    )
    words = workspace.home.tables.read(record, "words", columns=list(Word._fields)).combine_chunks()
    pages: list[PageText] = []
    start = 0
    for row in texts.to_pylist():
        count = row["word_count"]
        if row["status"] == PageStatus.INDEXED:
            part = words.slice(start, count)
            columns = [part.column(name).to_pylist() for name in Word._fields]
            pages.append(
                PageText(
                    document_sha256=row["document_sha256"],
                    page_index=row["page_index"],
                    text=row["text"],
                    words=tuple(map(Word._make, zip(*columns, strict=True))),
                    headings=tuple(row["headings"]),
                    language=row["language"],
                )
            )
        start += count
        if len(pages) >= PAGES_AT_ONCE:
            yield pages
            pages = []
    if pages:
        yield pages
