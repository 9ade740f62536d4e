"""Checks on ``embeddings``."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ragflow.model.points import Float32Array, SparseVector, vector_sha256
from ragflow.model.verdicts import Outcome, Verdict, verdict

Float64Array = npt.NDArray[np.float64]

REMEDY = "Materialize embeddings for this partition again."


def dense_matrix(embeddings: pa.Table) -> Float32Array:
    """Return the dense vectors, shape (rows, dimension); one that is missing in a damaged table is NaN throughout."""
    column = embeddings.column("dense").combine_chunks()
    size = embeddings.schema.field("dense").type.list_size
    # flatten() honours an offset into the buffer, .values would not; but it leaves out what is missing.
    found = np.asarray(column.flatten().to_numpy(zero_copy_only=False), dtype=np.float32).reshape(-1, size)
    if not column.null_count:
        return found
    matrix = np.full((len(column), size), np.nan, dtype=np.float32)
    matrix[column.is_valid().to_numpy(zero_copy_only=False)] = found
    return matrix


def sparse_vectors(embeddings: pa.Table) -> list[SparseVector]:
    """Return the sparse vectors, one per row; in a damaged table indices and values may differ in number."""
    indices = _pieces(embeddings.column("sparse_indices"), np.dtype(np.uint32))
    values = _pieces(embeddings.column("sparse_values"), np.dtype(np.float32))
    return list(map(SparseVector, indices, values))


def _pieces(column: pa.ChunkedArray, kind: np.dtype[Any]) -> list[npt.NDArray[Any]]:
    """Return one array per row of a column of lists."""
    lists = column.combine_chunks()
    ends = np.cumsum(lists.value_lengths().fill_null(0).to_numpy(zero_copy_only=False))
    bounds = np.concatenate(([0], ends)).astype(np.int64)
    flat = lists.flatten().to_numpy(zero_copy_only=False).astype(kind, copy=False)
    return [flat[start:end] for start, end in itertools.pairwise(bounds)]


def embeddings_complete(chunks: pa.Table, embeddings: pa.Table) -> Verdict:
    """Each chunk text has exactly one row, and there is no row without a chunk."""
    wanted = set(_pairs(chunks))
    found = _pairs(embeddings)
    failures: list[dict[str, Any]] = [
        {"text_sha256": sha, "problem": "has no vector"} for sha, _ in sorted(wanted - set(found))
    ]
    failures += [{"text_sha256": sha, "problem": "belongs to no chunk"} for sha, _ in sorted(set(found) - wanted)]
    if len(found) != len(set(found)):
        failures.append({"text_sha256": "", "problem": f"{len(found) - len(set(found))} rows are doubled"})
    return verdict(
        "embeddings_complete",
        failures,
        passed=f"All {len(wanted)} distinct texts have one vector each.",
        failed="{count} texts and vectors do not match.",
        remedy=REMEDY,
    )


def _pairs(table: pa.Table) -> list[tuple[str, str]]:
    return list(zip(table.column("text_sha256").to_pylist(), table.column("language").to_pylist(), strict=True))


def vectors_sound(embeddings: pa.Table, dimension: int, tolerance: float) -> Verdict:
    """Vectors are finite, of unit length and of the right dimension, and hash to what was recorded."""
    found = embeddings.schema.field("dense").type.list_size
    if found != dimension:
        return Verdict(
            "vectors_sound",
            Outcome.FAIL,
            f"The vectors have {found} dimensions; the model has {dimension}.",
            figure=found,
            threshold=dimension,
            remedy=REMEDY,
        )
    dense = dense_matrix(embeddings)
    lengths = np.linalg.norm(dense.astype(np.float64), axis=1)
    finite = np.isfinite(lengths)
    off: Float64Array = np.abs(lengths - 1.0)
    shas = embeddings.column("text_sha256").to_pylist()
    recorded = embeddings.column("vector_sha256").to_pylist()
    failures: list[dict[str, Any]] = []
    for row, sparse in enumerate(sparse_vectors(embeddings)):
        problem = None
        if not finite[row]:
            problem = "is not finite"
        elif off[row] > tolerance:
            problem = f"has the length {lengths[row]:.4f}"
        elif len(sparse.indices) != len(sparse.values):
            problem = "has a sparse vector with other numbers of terms and of weights"
        elif not np.isfinite(sparse.values).all() or (sparse.values <= 0).any():
            problem = "has an unsound sparse vector"
        elif vector_sha256(dense[row], sparse) != recorded[row]:
            problem = "does not match its hash"
        if problem:
            failures.append({"text_sha256": shas[row], "problem": problem})
    return verdict(
        "vectors_sound",
        failures,
        passed=f"{len(shas)} vectors are finite, of unit length, of {dimension} dimensions, and match their hashes.",
        failed="{count} vectors are unsound.",
        remedy=REMEDY,
    )


def precision_agrees(cosine: float, precision: str, sample: int, threshold: float) -> Verdict:
    """The arithmetic that was used gives what float32 gives.

    Args:
        cosine: least cosine between both, measured on ``sample`` texts of the batch.
    """
    ok = cosine >= threshold
    return Verdict(
        "precision_agrees",
        Outcome.PASS if ok else Outcome.FAIL,
        f"Embeddings in {precision} and in float32 have a cosine of at least {cosine:.6f} on {sample} texts.",
        figure=round(cosine, 6),
        threshold=threshold,
        remedy="" if ok else "Set embedding.precision to float32 and materialize embeddings again.",
    )
