"""Checks on ``chunks``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from ragflow.model.fingerprints import sha256_text
from ragflow.model.reading import PageStatus
from ragflow.model.verdicts import Verdict, verdict
from ragflow.quality.pages import Names, place


def chunks_cover_pages(chunks: pa.Table, texts: pa.Table, names: Names) -> Verdict:
    """Each chunk is a piece of its page, word for word, and together they hold every non-blank character."""
    pages = {
        (row["document_sha256"], row["page_index"]): row["text"]
        for row in texts.select(["document_sha256", "page_index", "status", "text"]).to_pylist()
        if row["status"] == PageStatus.INDEXED
    }
    failures: list[dict[str, Any]] = []
    spans: dict[tuple[str, int], list[tuple[int, int]]] = {}
    columns = ["document_sha256", "page_index", "char_start", "char_end", "text", "text_sha256"]
    for row in chunks.select(columns).to_pylist():
        where = (row["document_sha256"], row["page_index"])
        text = pages.get(where)
        spans.setdefault(where, []).append((row["char_start"], row["char_end"]))
        if text is None:
            failures.append({**place(names, *where), "problem": "a chunk belongs to no indexed page"})
        elif text[row["char_start"] : row["char_end"]] != row["text"]:
            failures.append({**place(names, *where), "problem": "a chunk is not what stands on its page"})
        elif sha256_text(row["text"]) != row["text_sha256"]:
            failures.append({**place(names, *where), "problem": "a chunk does not match its hash"})
    for where, text in pages.items():
        problem = _gap(text, sorted(spans.get(where, ())))
        if problem:
            failures.append({**place(names, *where), "problem": problem})
    return verdict(
        "chunks_cover_pages",
        failures,
        passed=f"{chunks.num_rows} chunks hold every character of {len(pages)} pages.",
        failed="{count} chunks or pages do not match.",
        remedy="Materialize chunks for this partition again.",
    )


def _gap(text: str, spans: Sequence[tuple[int, int]]) -> str | None:
    position = 0
    for start, end in spans:
        if start < position:
            return f"two chunks overlap at character {start}"
        if text[position:start].strip():
            return f"characters {position} to {start} are in no chunk"
        position = end
    return f"characters {position} to {len(text)} are in no chunk" if text[position:].strip() else None


def chunks_fit_model(chunks: pa.Table, counted: Sequence[int], limit: int, names: Names) -> Verdict:
    """No chunk is longer than what the model reads: a longer one would lose its end silently.

    Args:
        counted: tokens of each chunk, counted again by the model's own tokenizer, special tokens included.
        limit: what the model reads.
    """
    rows = chunks.select(["document_sha256", "page_index", "token_count"]).to_pylist()
    failures = [
        {
            **place(names, row["document_sha256"], row["page_index"]),
            "problem": f"{count} tokens counted, {row['token_count']} recorded, {limit} allowed",
        }
        for row, count in zip(rows, counted, strict=True)
        if count > limit or count != row["token_count"]
    ]
    return verdict(
        "chunks_fit_model",
        failures,
        passed=f"The longest of {len(rows)} chunks has {max(counted, default=0)} tokens; the model reads {limit}.",
        failed="{count} chunks are too long or were counted wrongly.",
        remedy="Materialize chunks for this partition again.",
        figure=max(counted, default=0),
        threshold=limit,
    )
