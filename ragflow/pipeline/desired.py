"""The desired state of the collection: one point for every chunk of every document that is there now."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from ragflow.errors import IntegrityError
from ragflow.model.batches import Corpus, DocumentState
from ragflow.model.fingerprints import fingerprint
from ragflow.model.points import Point, point_id, point_sha256
from ragflow.pipeline.stages import CHUNKS, EMBEDDINGS, OCR_TEXT, RAW_PDFS, STAGES
from ragflow.pipeline.workspace import Workspace
from ragflow.quality.embeddings import dense_matrix, sparse_vectors

BOX_DIGITS = 5
"""Decimals of a box in a payload: a hundredth of a millimetre on A4."""


PAGE_COLUMNS = ["document_sha256", "page_index", "text_sha256", "words_sha256", "raster_sha256", "raster_dpi", "engine"]


@dataclass(frozen=True, slots=True)
class DesiredPoint:
    """A point with its hash, and where it comes from."""

    point: Point
    sha256: bytes
    document_key: str
    content: str
    page_number: int


@dataclass(frozen=True, slots=True)
class BatchInputs:
    """What the points of the contents at home in one batch are made of."""

    batch: str
    chunks: pa.Table
    embeddings: pa.Table
    texts: pa.Table


def load_inputs(workspace: Workspace, batch: str) -> BatchInputs:
    """Read the tables of a batch.

    Raises:
        IncompleteError: a stage of the batch is missing.
        IntegrityError: a table cannot be read.
    """
    tables = workspace.home.tables
    return BatchInputs(
        batch=batch,
        chunks=tables.read(tables.get(CHUNKS, batch), "chunks"),
        embeddings=tables.read(tables.get(EMBEDDINGS, batch), "embeddings"),
        texts=tables.read(
            tables.get(OCR_TEXT, batch),
            "page_texts",
            columns=PAGE_COLUMNS,
        ),
    )


def titles(workspace: Workspace, corpus: Corpus) -> dict[str, str]:
    """Return document key → title, for every readable document that is there now."""
    found: dict[str, str] = {}
    tables = workspace.home.tables
    for batch in sorted({state.batch_key for state in corpus.documents.values()}):
        table = tables.read(tables.get(RAW_PDFS, batch), "documents", columns=["document_key", "title"])
        for row in table.to_pylist():
            key = row["document_key"]
            state = corpus.documents.get(key)
            if state is not None and state.batch_key == batch:
                found[key] = row["title"] or key.rsplit("/", 1)[-1]
    return found


def by_home(corpus: Corpus) -> dict[str, dict[str, list[DocumentState]]]:
    """Return home batch → content hash → the documents with this content, in order of their keys."""
    homes: dict[str, dict[str, list[DocumentState]]] = {}
    for key in sorted(corpus.documents):
        state = corpus.documents[key]
        if state.sha256 is not None:
            homes.setdefault(corpus.homes[state.sha256], {}).setdefault(state.sha256, []).append(state)
    return homes


def desired_points(
    inputs: BatchInputs,
    contents: Mapping[str, Sequence[DocumentState]],
    title_of: Mapping[str, str],
    only: frozenset[uuid.UUID] | None = None,
) -> Iterator[DesiredPoint]:
    """Yield the points of the contents at home in one batch, once for each document that has the content.

    Args:
        contents: content hash → documents, from :func:`by_home`.
        only: if given, points with other ids are left out.

    Raises:
        IntegrityError: the tables do not fit together.
    """
    row_of = {
        key: row
        for row, key in enumerate(
            zip(
                inputs.embeddings.column("text_sha256").to_pylist(),
                inputs.embeddings.column("language").to_pylist(),
                strict=True,
            )
        )
    }
    dense, sparse = dense_matrix(inputs.embeddings), sparse_vectors(inputs.embeddings)
    vector_hashes = inputs.embeddings.column("vector_sha256").to_pylist()
    pages = {(row["document_sha256"], row["page_index"]): row for row in inputs.texts.to_pylist()}
    for chunk in inputs.chunks.to_pylist():
        sha = chunk["document_sha256"]
        for state in contents.get(sha, ()):
            identifier = point_id(state.key, chunk["page_index"], chunk["chunk_index"], chunk["text_sha256"])
            if only is not None and identifier not in only:
                continue
            row = row_of.get((chunk["text_sha256"], chunk["language"]))
            page = pages.get((sha, chunk["page_index"]))
            title = title_of.get(state.key)
            if row is None or page is None or title is None:
                lacking = EMBEDDINGS if row is None else OCR_TEXT if page is None else RAW_PDFS
                raise IntegrityError(
                    f"{lacking} has no row for a chunk of {state.key}, page {chunk['page_index'] + 1}"
                    f" (batch {state.batch_key if lacking == RAW_PDFS else inputs.batch}).",
                    remedy=f"Materialize {lacking} for this partition again.",
                )
            payload = _payload(chunk, state, page, title, inputs.batch, vector_hashes[row])
            yield DesiredPoint(
                point=Point(id=identifier, dense=dense[row], sparse=sparse[row], payload=payload),
                sha256=point_sha256(identifier, vector_hashes[row], payload),
                document_key=state.key,
                content=sha,
                page_number=chunk["page_index"] + 1,
            )


def _payload(
    chunk: Mapping[str, Any], state: DocumentState, page: Mapping[str, Any], title: str, batch: str, vector: str
) -> dict[str, Any]:
    return {
        "document_key": state.key,
        "document_sha256": state.sha256,
        "source": state.key.split("/", 1)[0],
        "title": title,
        "page_index": chunk["page_index"],
        "page_number": chunk["page_index"] + 1,
        "chunk_index": chunk["chunk_index"],
        "char_start": chunk["char_start"],
        "char_end": chunk["char_end"],
        "text": chunk["text"],
        "text_sha256": chunk["text_sha256"],
        "page_text_sha256": page["text_sha256"],
        "words_sha256": page["words_sha256"],
        "raster_sha256": page["raster_sha256"],
        "raster_dpi": page["raster_dpi"],
        "vector_sha256": vector,
        "language": chunk["language"],
        "boxes": [[round(edge, BOX_DIGITS) for edge in box] for box in chunk["line_boxes"]],
        "confidence": round(chunk["confidence"], 4),
        "engine": page["engine"],
        "batch": batch,
    }


def corpus_fingerprint(workspace: Workspace, corpus: Corpus) -> tuple[str, dict[str, str]]:
    """Return the fingerprint of what a collection would be built from, and batch key → hash of its embeddings.

    Raises:
        IncompleteError: a batch has not been through all stages.
    """
    outputs = table_outputs(workspace, corpus)
    # Other weights ask for a version of its own, though its points are the same: they too go live by the gate only.
    parts = {"configuration": workspace.configuration_fingerprint(), "fusion": workspace.fusion().to_dict()}
    return fingerprint(tables=outputs, **parts), outputs[EMBEDDINGS]


def table_outputs(workspace: Workspace, corpus: Corpus) -> dict[str, dict[str, str]]:
    """Return asset → batch key → hash over the tables that stand now.

    Raises:
        IncompleteError: a batch has not been through all stages.
    """
    tables = workspace.home.tables
    return {asset: {batch: tables.get(asset, batch).output_sha256 for batch in corpus.batch_keys} for asset in STAGES}
