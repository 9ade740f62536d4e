"""New vectors for adopted points: the texts of their payloads, embedded with the workspace's models."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import orjson

from ragflow.model.points import Float32Array
from ragflow.pipeline.adopting_rows import Embedded, Outcomes, Rows
from ragflow.pipeline.adopting_spool import Blobs, sparse_bytes
from ragflow.pipeline.progress import report
from ragflow.pipeline.workspace import Workspace

TEXTS_AT_ONCE = 512


def embed_rows(workspace: Workspace, rows: Rows, outcomes: Outcomes, scratch: Path) -> Embedded:
    """Embed the texts of all rows that are not merged into others; those without a text get no vector.

    A text that is longer than the model reads is cut into halves until each piece fits; its vector is the mean of
    theirs, weighted by their characters, of unit length. The payload's field ``language`` chooses the stemmer.
    """
    dense, sparse = workspace.dense(), workspace.sparse()
    path = scratch / "embedded.f32"
    vectors = np.memmap(path, np.float32, "w+", shape=(max(1, len(rows)), dense.dimension))
    words = Blobs(scratch / "embedded.sparse")
    made = Embedded(vectors, words, np.zeros(len(rows), bool))
    wanted = outcomes.written
    for start in range(0, len(rows), TEXTS_AT_ONCE):
        stop = min(start + TEXTS_AT_ONCE, len(rows))
        here = [(row, text) for row in range(start, stop) if wanted[row] and (text := rows.raw_text(row))]
        texts = [text for _, text in here]
        if texts:
            numbers = [row for row, _ in here]
            vectors[numbers], pieces = _encode(workspace, texts)
            made.in_pieces += pieces
            made.usable[numbers] = True
        languages = [_language(rows.payload(row)) for row, _ in here]
        weights = iter(sparse.encode(texts, languages))
        with_text = {row for row, _ in here}
        for row in range(start, stop):
            words.append(sparse_bytes(next(weights)) if row in with_text else b"")
        report("embedding texts", stop, len(rows))
    words.flush()
    return made


def _encode(workspace: Workspace, texts: Sequence[str]) -> tuple[Float32Array, int]:
    """Return one vector per text, and how many texts had to be cut."""
    pieces = _pieces(workspace, texts)
    vectors = workspace.dense().encode([piece for cut in pieces for piece in cut])
    made = np.empty((len(texts), vectors.shape[1]), np.float32)
    first = 0
    for number, cut in enumerate(pieces):
        own = vectors[first : first + len(cut)]
        first += len(cut)
        if len(cut) == 1:
            made[number] = own[0]
            continue
        mean = np.average(own.astype(np.float64), axis=0, weights=[len(piece) for piece in cut])
        made[number] = (mean / np.linalg.norm(mean)).astype(np.float32)
    return made, sum(len(cut) > 1 for cut in pieces)


def _pieces(workspace: Workspace, texts: Sequence[str]) -> list[list[str]]:
    """Cut each text into pieces that the model can read."""
    tokenizer = workspace.tokenizer()
    pieces: list[list[str]] = []
    for text, tokens in zip(texts, tokenizer.count(texts), strict=True):
        spans = tokenizer.spans([text])[0] if tokens > tokenizer.max_tokens else []
        if len(spans) < 2:
            pieces.append([text])
            continue
        middle = spans[len(spans) // 2][0]
        halves = [half for half in (text[:middle], text[middle:]) if half.strip()]
        pieces.append([piece for cut in _pieces(workspace, halves) for piece in cut] if len(halves) == 2 else halves)
    return pieces


def _language(payload: bytes) -> str | None:
    language = orjson.loads(payload).get("language")
    return language if isinstance(language, str) else None
