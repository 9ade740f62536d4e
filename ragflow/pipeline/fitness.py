"""Whether a version is fit to be served: its model, its engine, and what it holds of the pages that were read."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from ragflow.model.batches import Corpus
from ragflow.model.reading import PageStatus
from ragflow.model.releases import VersionRecord
from ragflow.model.verdicts import MAX_ROWS, Outcome, Verdict
from ragflow.pipeline.observed import Observed
from ragflow.pipeline.stages import OCR_TEXT
from ragflow.pipeline.workspace import Workspace
from ragflow.quality.points import PageText
from ragflow.vectors.protocols import CollectionReader


def served_pages(workspace: Workspace, corpus: Corpus, observed: Observed) -> Iterator[PageText]:
    """Yield every indexed page of every document that is there now, with what points hold of it."""
    tables = workspace.home.tables
    names: dict[str, list[str]] = {}
    for key, state in sorted(corpus.documents.items()):
        if state.sha256 is not None:
            names.setdefault(state.sha256, []).append(key)
    columns = ["document_sha256", "page_index", "status", "text"]
    for batch in sorted({corpus.homes[sha256] for sha256 in names}):
        for row in tables.read(tables.get(OCR_TEXT, batch), "page_texts", columns=columns).to_pylist():
            if row["status"] != PageStatus.INDEXED:
                continue
            for key in names.get(row["document_sha256"], ()):
                page = row["page_index"] + 1
                yield PageText(key, page, row["text"], observed.spans.get((key, row["document_sha256"], page), ()))


def model_matches(workspace: Workspace, record: VersionRecord) -> Verdict:
    """The version was built by the model, the chunker and the settings that queries will meet."""
    settings, wanted = workspace.versions().settings(record.version), workspace.collection_settings()
    problems: Mapping[str, bool] = {
        "the model, the chunker or the settings are not those that it was built with": (
            record.configuration_fingerprint != workspace.configuration_fingerprint()
        ),
        f"its collection has {settings.dimension} dimensions, the model {wanted.dimension}": (
            settings.dimension != wanted.dimension
        ),
    }
    rows = tuple({"problem": problem} for problem, there in problems.items() if there)
    return Verdict(
        "model_matches",
        Outcome.FAIL if rows else Outcome.PASS,
        "; ".join(str(row["problem"]) for row in rows).capitalize() + "."
        if rows
        else f"Queries are embedded as the version was: {workspace.embedding.model}, {wanted.dimension} dimensions.",
        figure=len(rows),
        threshold=0,
        remedy="Set the settings back to what they were, or run `ragflow reindex`." if rows else "",
        rows=rows,
    )


def ready(reader: CollectionReader, record: VersionRecord) -> Verdict:
    """The engine has finished its work on the version, and answers a query."""
    info = reader.info()
    started = time.perf_counter()
    hits = reader.search_dense(np.full(record.dimension, record.dimension**-0.5, dtype=np.float32), 1)
    milliseconds = round((time.perf_counter() - started) * 1000, 2)
    lost = _not_found(reader)
    ok = info.optimized and (bool(hits) or record.points == 0) and not lost
    if lost:
        return Verdict(
            "ready",
            Outcome.FAIL,
            f"{len(lost)} points are not found by their own vectors: an index is broken.",
            figure=len(lost),
            threshold=0,
            remedy="Run `ragflow ingest --rebuild`.",
            rows=tuple(lost[:MAX_ROWS]),
        )
    return Verdict(
        "ready",
        Outcome.PASS if ok else Outcome.FAIL,
        f"The version answers a query in {milliseconds} ms and has {info.segments} segments"
        + ("." if info.optimized else ", which are still being optimised."),
        figure=milliseconds,
        remedy="" if ok else "Run `ragflow ingest --rebuild`.",
    )


PROBED = 24
"""Points that are searched for by their own vectors."""
ITSELF = 0.999
"""Least cosine of a point to itself, as any engine may round it."""


def _not_found(reader: CollectionReader) -> list[dict[str, Any]]:
    """Search for some points by their own vectors, on either side; return those that are not found."""
    lost: list[dict[str, Any]] = []
    for point in next(reader.scroll(PROBED), []):
        row = {"document": point.payload.get("document_key"), "page": point.payload.get("page_number")}
        dense = reader.search_dense(point.dense, 1)
        if not dense or dense[0].score < ITSELF:
            lost.append({**row, "point": str(point.id), "problem": "is not found by its dense vector"})
        if point.sparse.indices.size and not reader.search_sparse(point.sparse, 1):
            lost.append({**row, "point": str(point.id), "problem": "is not found by its terms"})
    return lost
