"""The checks of each stage on one batch: load what they need, call :mod:`ragflow.quality`.

Dagster's asset checks and the gate call the same functions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc

from ragflow.errors import IncompleteError, IntegrityError, RagflowError
from ragflow.model.ledger import LedgerLine, tally
from ragflow.model.reading import Reason, Word
from ragflow.model.tables import embeddings_schema
from ragflow.model.verdicts import Outcome, Verdict
from ragflow.model.words import weakest_block
from ragflow.pipeline.progress import report
from ragflow.pipeline.stages import CHUNKS, EMBEDDINGS, OCR_TEXT, RAW_PDFS, STAGES
from ragflow.pipeline.workspace import Workspace
from ragflow.quality import chunks as chunk_checks
from ragflow.quality import documents as document_checks
from ragflow.quality import embeddings as embedding_checks
from ragflow.quality import pages as page_checks
from ragflow.quality.suites import schema_and_ranges

PRECISION_SAMPLE = 8
"""Texts embedded in both precisions to compare them: a difference in arithmetic concerns all texts alike."""
BEGINNING = 60
"""Characters shown of a block that was read poorly."""
TOGETHER = 25
"""Batches whose tables are checked in one go: bounds the memory."""

CHECK_NAMES: dict[str, tuple[str, ...]] = {
    RAW_PDFS: ("tables_intact", "schema_and_ranges", "documents_complete", "blobs_intact"),
    OCR_TEXT: ("tables_intact", "schema_and_ranges", "pages_accounted", "texts_intact", "coverage", "low_confidence"),
    CHUNKS: ("tables_intact", "schema_and_ranges", "chunks_cover_pages", "chunks_fit_model"),
    EMBEDDINGS: ("tables_intact", "schema_and_ranges", "embeddings_complete", "vectors_sound", "precision_agrees"),
}
"""Asset → the verdicts its check function returns, in order."""

TABLE_NAMES: dict[str, tuple[str, ...]] = {
    RAW_PDFS: ("documents", "pages"),
    OCR_TEXT: ("page_texts", "words"),
    CHUNKS: ("chunks",),
    EMBEDDINGS: ("embeddings",),
}
"""Asset → its tables."""

CHECKED_TOGETHER = frozenset({"schema_and_ranges", "precision_agrees"})
"""Verdicts that take the tables of several batches at once."""

NOT_BLOCKING = frozenset({"coverage", "low_confidence"})
"""Verdicts that warn at a batch and decide at the gate only: one bad batch must not keep its good pages out."""


def check_stage(workspace: Workspace, asset: str, batch: str) -> list[Verdict]:
    """Run all checks of one asset on one batch, in the order of :data:`CHECK_NAMES`.

    A table that cannot be read fails every check that needs it; nothing is raised for it.

    Raises:
        IncompleteError: the asset has not been materialized for this batch.
    """
    verdicts = [*_check_alone(workspace, asset, batch), *_check_together(workspace, asset, [batch])]
    return sorted(verdicts, key=lambda verdict: CHECK_NAMES[asset].index(verdict.name))


def check_batches(workspace: Workspace, batches: Sequence[str]) -> list[Verdict]:
    """Run the checks of all stages on many batches; a missing stage is a failed verdict.

    What costs more to set up than to do (the suites, the precision) is done for many batches in one go.
    """
    verdicts: list[Verdict] = []
    for asset in STAGES:
        there = []
        for number, batch in enumerate(batches):
            report(f"check {asset}", number + 1, len(batches))
            try:
                verdicts += _check_alone(workspace, asset, batch)
                there.append(batch)
            except IncompleteError as error:
                verdicts.append(_not_there("tables_intact", batch, error))
        for start in range(0, len(there), TOGETHER):
            verdicts += _check_together(workspace, asset, there[start : start + TOGETHER])
    return verdicts


def _not_there(name: str, batch: str, error: RagflowError) -> Verdict:
    row = {"batch": batch, "problem": error.message}
    return Verdict(name, Outcome.FAIL, error.message, remedy=error.remedy, rows=(row,))


def _check_alone(workspace: Workspace, asset: str, batch: str) -> list[Verdict]:
    alone = [name for name in CHECK_NAMES[asset] if name not in CHECKED_TOGETHER]
    verdicts: list[Verdict] = []
    try:
        record = workspace.home.tables.get(asset, batch)
        verdicts.append(document_checks.tables_intact(workspace.home.tables.damage(record), asset, batch))
        return [*verdicts, *_CHECKS[asset](workspace, batch)]
    except IntegrityError as error:
        unread: RagflowError = error
    except (LookupError, TypeError, ValueError) as error:
        if not verdicts or verdicts[0].passed:
            raise
        # Damage may leave a file that can be read, with other columns or values than any table of ours.
        unread = IntegrityError(
            f"The tables of {asset} for batch {batch} make no sense: {error}.", remedy=verdicts[0].remedy
        )
    return [*verdicts, *(_not_there(name, batch, unread) for name in alone[len(verdicts) :])]


def _check_together(workspace: Workspace, asset: str, batches: Sequence[str]) -> list[Verdict]:
    """Run the checks that take the tables of several batches at once; a failure names the batch."""
    found = [_suites(workspace, asset, batches)]
    if asset == EMBEDDINGS:
        found.append(_precision(workspace, batches))
    if len(batches) == 1 or all(verdict.passed for verdict in found):
        return found
    return [verdict for batch in batches for verdict in _check_together(workspace, asset, [batch])]


def _suites(workspace: Workspace, asset: str, batches: Sequence[str]) -> Verdict:
    tables = workspace.home.tables
    try:
        checked = {
            name: [tables.read(tables.get(asset, batch), name) for batch in batches] for name in TABLE_NAMES[asset]
        }
    except IntegrityError as error:
        return _not_there("schema_and_ranges", batches[0], error)
    schemas = {"embeddings": embeddings_schema(workspace.dense().dimension)}
    found = schema_and_ranges("schema_and_ranges", checked, schemas)
    return replace(found, rows=tuple({"batch": batches[0], **row} for row in found.rows))


def _names(workspace: Workspace, batch: str) -> dict[str, str]:
    """Return content hash → document key for the contents at home in the batch."""
    return {
        change.sha256: change.key
        for change in workspace.home.manifests.get(batch).documents
        if change.sha256 is not None
    }


def _raw_pdfs(workspace: Workspace, batch: str) -> list[Verdict]:
    record = workspace.home.tables.get(RAW_PDFS, batch)
    documents = workspace.home.tables.read(record, "documents")
    pages = workspace.home.tables.read(record, "pages")
    problems: list[tuple[str, str]] = []
    checked: dict[str, str | None] = {}
    for row in documents.to_pylist():
        sha = row["document_sha256"]
        if sha is None or document_checks.is_missing_by_design(row["reason"]):
            continue
        if sha not in checked:
            checked[sha] = None if workspace.home.is_pruned(sha) else workspace.home.blobs.verify(sha)
        problem = checked[sha]
        if problem is not None:
            problems.append((row["document_key"], problem))
    return [
        document_checks.documents_complete(workspace.home.manifests.get(batch), documents, pages),
        document_checks.blobs_intact(problems, len(checked)),
    ]


def _ocr_text(workspace: Workspace, batch: str) -> list[Verdict]:
    tables = workspace.home.tables
    raw, record = tables.get(RAW_PDFS, batch), tables.get(OCR_TEXT, batch)
    documents, pages = tables.read(raw, "documents"), tables.read(raw, "pages")
    texts, words = tables.read(record, "page_texts"), tables.read(record, "words")
    names = _names(workspace, batch)
    statuses = tuple(
        (row["status"], row["reason"], row["engine"], row["language"])
        for row in texts.select(["status", "reason", "engine", "language"]).to_pylist()
        if row["reason"] != Reason.FORGOTTEN
    )
    ledger = tally([LedgerLine(batch, len(statuses), True, statuses)])
    return [
        page_checks.pages_accounted(documents, pages, texts, batch, names),
        page_checks.texts_intact(texts, words, names),
        page_checks.coverage(ledger, workspace.gate.coverage, scope="this batch"),
        low_confidence(workspace, {sha: batch for sha in names}, names, scope="this batch"),
    ]


def low_confidence(workspace: Workspace, homes: Mapping[str, str], names: Mapping[str, str], *, scope: str) -> Verdict:
    """Return the verdict on how sure the words of some contents are.

    Args:
        homes: content hash → its home batch.
        names: content hash → document key.

    Raises:
        IncompleteError: a batch has not been read.
        IntegrityError: a table cannot be read.
    """
    tables = workspace.home.tables
    wanted = pa.array(sorted(homes), pa.string())

    def parts() -> Iterator[pa.Table]:
        for batch in sorted(set(homes.values())):
            columns = ["engine", "text", *page_checks.WEAK_COLUMNS]
            texts = tables.read(tables.get(OCR_TEXT, batch), "page_texts", columns=columns)
            yield texts.filter(pc.is_in(texts["document_sha256"], wanted))

    def begins(sha256: str, page_index: int) -> str:
        record = tables.get(OCR_TEXT, homes[sha256])
        place = [("document_sha256", "=", sha256), ("page_index", "=", page_index)]
        rows = tables.rows(record, "words", place).select(Word._fields).to_pylist()
        return " ".join(word.text for word in weakest_block([Word(**row) for row in rows]))[:BEGINNING]

    return page_checks.low_confidence(parts(), workspace.gate.low_confidence, names, scope=scope, begins=begins)


def _chunks(workspace: Workspace, batch: str) -> list[Verdict]:
    tables = workspace.home.tables
    chunks = tables.read(tables.get(CHUNKS, batch), "chunks")
    texts = tables.read(tables.get(OCR_TEXT, batch), "page_texts")
    names = _names(workspace, batch)
    counter = workspace.tokenizer()
    counted = counter.count(chunks.column("text").to_pylist())
    return [
        chunk_checks.chunks_cover_pages(chunks, texts, names),
        chunk_checks.chunks_fit_model(chunks, counted, counter.max_tokens, names),
    ]


def _embeddings(workspace: Workspace, batch: str) -> list[Verdict]:
    tables = workspace.home.tables
    embeddings = tables.read(tables.get(EMBEDDINGS, batch), "embeddings")
    chunks = tables.read(tables.get(CHUNKS, batch), "chunks", columns=["text_sha256", "language"])
    dimension = workspace.dense().dimension
    return [
        embedding_checks.embeddings_complete(chunks, embeddings),
        embedding_checks.vectors_sound(embeddings, dimension, workspace.gate.vector_tolerance),
    ]


def _precision(workspace: Workspace, batches: Sequence[str]) -> Verdict:
    """Embed a sample of the batches' texts in the precision in use and in float32, and compare."""
    tables = workspace.home.tables
    step = max(1, len(batches) // PRECISION_SAMPLE)
    texts: set[str] = set()
    try:
        for batch in batches[::step]:
            texts.update(tables.read(tables.get(CHUNKS, batch), "chunks", columns=["text"]).column("text").to_pylist())
    except (IntegrityError, IncompleteError) as error:
        return _not_there("precision_agrees", batches[0], error)
    ordered = sorted(texts)
    sample = ordered[:: max(1, len(ordered) // PRECISION_SAMPLE)][:PRECISION_SAMPLE]
    dense = workspace.dense()
    return embedding_checks.precision_agrees(
        dense.cosine_to_float32(sample) if sample else 1.0,
        dense.precision,
        len(sample),
        workspace.gate.bfloat16_cosine,
    )


_CHECKS: dict[str, Callable[[Workspace, str], list[Verdict]]] = {
    RAW_PDFS: _raw_pdfs,
    OCR_TEXT: _ocr_text,
    CHUNKS: _chunks,
    EMBEDDINGS: _embeddings,
}
