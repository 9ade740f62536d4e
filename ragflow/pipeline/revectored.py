"""Embed texts again, and compare with the vectors that are stored for them: a vector that belongs to another text
shows nowhere else, for it is sound in itself."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np

from ragflow.errors import BadInputError
from ragflow.model.fingerprints import sha256_text
from ragflow.model.points import Float32Array, SparseVector
from ragflow.model.verdicts import Verdict, verdict
from ragflow.pipeline.progress import report
from ragflow.pipeline.stages import CHUNKS, EMBEDDINGS
from ragflow.pipeline.workspace import Workspace
from ragflow.quality.embeddings import dense_matrix, sparse_vectors

Lot = tuple[str, str, str, Float32Array]
"""Lot, batch, text, stored dense vector."""


def vectors_match_texts(workspace: Workspace, batches: Collection[str], salt: str) -> Verdict:
    """The stored vectors are those of their texts: all sparse ones, and a sample of the dense ones.

    Args:
        batches: those that are new, or were made anew, since the live version was built.
        salt: decides which texts are drawn: another version draws others.
    """
    failures: list[dict[str, Any]] = []
    lots: list[Lot] = []
    texts = 0
    for number, batch in enumerate(sorted(batches)):
        report("make vectors again", number, len(batches))
        count, wrong, drawn = _check_batch(workspace, batch, salt)
        texts += count
        failures += wrong
        lots = sorted([*lots, *drawn], key=lambda lot: lot[0])[: workspace.gate.sample.texts]
    failures += _dense(workspace, lots)
    return verdict(
        "vectors_match_texts",
        failures,
        passed=f"The sparse vectors of {texts} texts and a sample of {len(lots)} dense ones, made again, are those"
        " that are stored."
        if texts
        else "No text is new.",
        failed="{count} vectors are not those of their texts.",
        remedy="Materialize embeddings again for the named batches.",
        figure=len(failures),
        threshold=0,
    )


def _check_batch(workspace: Workspace, batch: str, salt: str) -> tuple[int, list[dict[str, Any]], list[Lot]]:
    """Make all sparse vectors of a batch again, and draw from the dense ones."""
    tables = workspace.home.tables
    chunks = tables.read(tables.get(CHUNKS, batch), "chunks", columns=["text_sha256", "language", "text"]).to_pylist()
    text_of = {(row["text_sha256"], row["language"]): row["text"] for row in chunks}
    table = tables.read(tables.get(EMBEDDINGS, batch), "embeddings")
    dense, sparse = dense_matrix(table), sparse_vectors(table)
    keys = list(zip(table.column("text_sha256").to_pylist(), table.column("language").to_pylist(), strict=True))
    known = [row for row, key in enumerate(keys) if key in text_of]
    again = workspace.sparse().encode([text_of[keys[row]] for row in known], [keys[row][1] for row in known])
    wrong = [
        _row(batch, text_of[keys[row]], "the sparse vector is not that of its text")
        for row, vector in zip(known, again, strict=True)
        if not _same(vector, sparse[row])
    ]
    lots = sorted((sha256_text(f"{salt} {keys[row][0]}"), row) for row in known)[: workspace.gate.sample.texts]
    return len(known), wrong, [(lot, batch, text_of[keys[row]], dense[row]) for lot, row in lots]


def _same(vector: SparseVector, stored: SparseVector) -> bool:
    return np.array_equal(vector.indices, stored.indices) and np.array_equal(vector.values, stored.values)


def _dense(workspace: Workspace, lots: list[Lot]) -> list[dict[str, Any]]:
    if not lots:
        return []
    try:
        again = workspace.dense().encode([text for _, _, text, _ in lots])
    except BadInputError as error:
        # One is longer than the model reads; `chunks_fit_model` says which.
        return [_row("", "", error.message)]
    stored = np.stack([vector for *_, vector in lots])
    # A vector with NaN has no cosine that is large enough.
    cosines = np.einsum("ij,ij->i", again.astype(np.float64), stored.astype(np.float64))
    return [
        _row(batch, text, f"the dense vector is not that of its text (cosine {cosine:.4f})")
        for (_, batch, text, _), cosine in zip(lots, cosines.tolist(), strict=True)
        if not cosine >= workspace.gate.bfloat16_cosine
    ]


def _row(batch: str, text: str, problem: str) -> dict[str, Any]:
    return {"batch": batch, "text": " ".join(text.split())[:60], "problem": problem}
