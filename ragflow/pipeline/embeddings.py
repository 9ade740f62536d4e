"""Stage ``embeddings``: a dense and a sparse vector for every distinct chunk text of the batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ragflow.errors import IntegrityError
from ragflow.model.fingerprints import fingerprint
from ragflow.model.points import Float32Array, SparseVector, vector_sha256
from ragflow.model.tables import embeddings_schema
from ragflow.pipeline.progress import report
from ragflow.pipeline.stages import CHUNKS, EMBEDDINGS, StageReport, StageResult, run_stage
from ragflow.pipeline.workspace import Workspace
from ragflow.store.tables import TableRecord

CODE_VERSION = 1
TextKey = tuple[str, str]
"""(SHA-256 of the text, language): the stemming of the sparse vector depends on the language."""


def expected_fingerprint(workspace: Workspace, chunks: TableRecord) -> str:
    return fingerprint(
        asset=EMBEDDINGS, code=CODE_VERSION, chunks=chunks.output_sha256, embedding=workspace.embedding_fingerprint()
    )


def materialize(workspace: Workspace, batch: str) -> StageReport:
    """Embed each distinct (text, language) of the batch once; take what earlier batches have embedded.

    Table: ``embeddings`` (one row per distinct text and language).

    Raises:
        IncompleteError: ``chunks`` is missing for the batch.
    """
    chunks = workspace.home.tables.get(CHUNKS, batch)
    return run_stage(
        workspace, EMBEDDINGS, batch, expected_fingerprint(workspace, chunks), lambda: _work(workspace, chunks)
    )


def _work(workspace: Workspace, chunks: TableRecord) -> StageResult:
    dense = workspace.dense()
    table = workspace.home.tables.read(chunks, "chunks", columns=["text_sha256", "language", "text"])
    texts: dict[TextKey, str] = {(row["text_sha256"], row["language"]): row["text"] for row in table.to_pylist()}
    schema = embeddings_schema(dense.dimension)
    reused = _reuse(workspace, chunks.batch, texts.keys(), schema)
    found: set[TextKey] = {
        key
        for part in reused
        for key in zip(*(part.column(n).to_pylist() for n in ("text_sha256", "language")), strict=True)
    }
    new = [key for key in texts if key not in found]
    # Equal words in another language: the dense vector is the same, only the sparse one differs.
    distinct = {key[0]: texts[key] for key in new}
    report("embed texts", 0, len(distinct))
    done = 0

    def advance(count: int) -> None:
        nonlocal done
        done += count
        report("embed texts", done, len(distinct))

    vectors = dense.encode(list(distinct.values()), on_progress=advance)
    row_of = {sha: row for row, sha in enumerate(distinct)}
    sparse = workspace.sparse().encode([texts[key] for key in new], [key[1] for key in new])
    fresh = embedding_rows(new, vectors[[row_of[sha] for sha, _ in new]], sparse, dense.precision, schema)
    result = pa.concat_tables([fresh, *reused])
    result = result.take(pc.sort_indices(result, sort_keys=[("text_sha256", "ascending"), ("language", "ascending")]))
    return StageResult(
        tables={"embeddings": result},
        figures={
            "embeddings": result.num_rows,
            "reused": result.num_rows - len(new),
            "dimension": dense.dimension,
            "precision": dense.precision,
            "model": workspace.embedding.model,
            "embedding_fingerprint": workspace.embedding_fingerprint(),
        },
        work={"embeddings_computed": len(distinct), "embeddings_reused": result.num_rows - len(new)},
    )


def embedding_rows(
    keys: Sequence[TextKey], dense: Float32Array, sparse: Sequence[SparseVector], precision: str, schema: pa.Schema
) -> pa.Table:
    """Return rows of the ``embeddings`` table; ``dense`` has shape (len(keys), dimension)."""
    columns: dict[str, Any] = {
        "text_sha256": pa.array([sha for sha, _ in keys], pa.string()),
        "language": pa.array([language for _, language in keys], pa.string()),
        "dense": pa.FixedSizeListArray.from_arrays(
            pa.array(np.ascontiguousarray(dense).reshape(-1), pa.float32()), schema.field("dense").type.list_size
        ),
        "sparse_indices": pa.array([vector.indices for vector in sparse], pa.list_(pa.uint32())),
        "sparse_values": pa.array([vector.values for vector in sparse], pa.list_(pa.float32())),
        "vector_sha256": pa.array(
            [vector_sha256(dense[row], vector) for row, vector in enumerate(sparse)], pa.string()
        ),
        "precision": pa.array([precision] * len(keys), pa.string()),
        "reused_from": pa.nulls(len(keys), pa.string()),
    }
    return pa.table(columns, schema=schema)


def _reuse(workspace: Workspace, batch: str, wanted: Any, schema: pa.Schema) -> list[pa.Table]:
    """Return rows that earlier batches hold for the wanted texts, embedded by the same model; each text once.

    Later batches are left out: made anew, a table must come out as it was, and no two batches may name each other.
    """
    tables = workspace.home.tables
    fingerprint_now = workspace.embedding_fingerprint()
    missing: set[TextKey] = set(wanted)
    parts: list[pa.Table] = []
    for other in tables.batches(EMBEDDINGS):
        if not missing:
            break
        if _sequence(other) >= _sequence(batch):
            continue
        try:
            record = tables.get(EMBEDDINGS, other)
            if record.figures.get("embedding_fingerprint") != fingerprint_now:
                continue
            keys = tables.read(record, "embeddings", columns=["text_sha256", "language"])
        except IntegrityError:
            # The checks of that batch tell of its damage; here it only means that a text is embedded once more.
            continue
        pairs = list(zip(keys.column("text_sha256").to_pylist(), keys.column("language").to_pylist(), strict=True))
        rows = [row for row, key in enumerate(pairs) if key in missing]
        if not rows or tables.damage(record):
            continue
        part = tables.read(record, "embeddings").take(pa.array(rows, pa.int64()))
        source = part.schema.get_field_index("reused_from")
        parts.append(part.set_column(source, "reused_from", pa.array([other] * len(rows), pa.string())).cast(schema))
        missing -= {pairs[row] for row in rows}
    return parts


def _sequence(batch: str) -> int:
    return int(batch.split("-")[1])
