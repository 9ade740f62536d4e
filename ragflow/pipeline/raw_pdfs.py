"""Stage ``raw_pdfs``: document bytes into the content-addressed store, and what each PDF says about itself."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from ragflow.errors import BadInputError, IntegrityError
from ragflow.model.batches import BatchManifest, Change, Corpus, DocumentChange, fold
from ragflow.model.fingerprints import fingerprint
from ragflow.model.reading import REASON_TEXT, DocumentInspection, Reason
from ragflow.model.tables import DOCUMENTS, PAGES
from ragflow.ocr.inspection import inspect_document
from ragflow.ocr.options import ReadingOptions
from ragflow.ocr.pool import TaskFailure
from ragflow.pipeline.progress import report
from ragflow.pipeline.stages import RAW_PDFS, StageReport, StageResult, run_stage
from ragflow.pipeline.workspace import Workspace
from ragflow.sources.folder import FolderSource
from ragflow.store.blobs import WrongContentError
from ragflow.store.tables import TableRecord

log = logging.getLogger(__name__)

CODE_VERSION = 1
INSPECTION_SECONDS = 60.0
"""Time limit for looking at one document."""


def expected_fingerprint(workspace: Workspace, manifest: BatchManifest) -> str:
    return fingerprint(
        asset=RAW_PDFS, code=CODE_VERSION, manifest=manifest.sha256, max_pages=workspace.reading.max_pages
    )


def materialize(workspace: Workspace, batch: str) -> StageReport:
    """Store and inspect the documents that the batch adds or changes.

    Tables: ``documents`` (one row per document) and ``pages`` (one row per page of each content at home here).

    Raises:
        NotFoundError: no such batch.
        IntegrityError: stored bytes were damaged and the source no longer has the right ones.
    """
    manifests = workspace.home.manifests.all()
    manifest = workspace.home.manifests.get(batch)
    return run_stage(
        workspace,
        RAW_PDFS,
        batch,
        expected_fingerprint(workspace, manifest),
        lambda: _work(workspace, manifest, fold(manifests)),
        outdated=lambda record: has_healed(workspace, record),
    )


def has_healed(workspace: Workspace, record: TableRecord) -> bool:
    """Whether a document that was quarantined because its bytes had changed has its bytes in the store now."""
    if not record.figures.get("reasons", {}).get(Reason.SOURCE_CHANGED):
        return False
    rows = workspace.home.tables.read(record, "documents", columns=["document_sha256", "reason"]).to_pylist()
    return any(
        row["reason"] == Reason.SOURCE_CHANGED
        and row["document_sha256"]
        and workspace.home.blobs.has(row["document_sha256"])
        for row in rows
    )


@dataclass(frozen=True, slots=True)
class InspectTask:
    """One document to look at, in a worker."""

    sha256: str
    path: str
    options: ReadingOptions


def inspect_task(task: InspectTask) -> DocumentInspection:
    """Run in a worker process: a PDF that crashes PDFium takes down the worker, not the run."""
    return inspect_document(Path(task.path), task.options)


def _work(workspace: Workspace, manifest: BatchManifest, corpus: Corpus) -> StageResult:
    changes = [change for change in manifest.documents if change.change is not Change.REMOVED]
    missing, stored = _store(workspace, manifest, changes)
    workspace.home.blobs.sync()
    present = sorted({c.sha256 for c in changes if c.sha256 and c.sha256 not in missing})
    inspections = dict(inspect_contents(workspace, present))
    inspections.update({sha: _quarantine(Reason.SOURCE_CHANGED) for sha in missing})
    documents = [_document_row(change, corpus, inspections) for change in changes]
    home = set(corpus.contents_of(manifest.key))
    pages = [
        {
            "document_sha256": sha,
            "page_index": page.page_index,
            "width_pt": page.width_pt,
            "height_pt": page.height_pt,
            "rotation": page.rotation,
            "has_text_layer": page.has_text_layer,
            "reason": page.reason,
            "detail": page.detail,
        }
        for sha in sorted(home & inspections.keys())
        for page in inspections[sha].pages
    ]
    reasons = Counter(str(row["reason"]) for row in documents if row["reason"])
    return StageResult(
        tables={
            "documents": pa.Table.from_pylist(documents, schema=DOCUMENTS),
            "pages": pa.Table.from_pylist(pages, schema=PAGES),
        },
        figures={
            "documents": len(documents),
            "removed": len(manifest.documents) - len(changes),
            "pages": len(pages),
            "bytes": sum(change.size for change in changes),
            "quarantined": sum(reasons.values()),
            "reasons": dict(reasons),
        },
        work={"blobs_stored": stored, "documents_inspected": len(present)},
    )


def _store(workspace: Workspace, manifest: BatchManifest, changes: Iterable[DocumentChange]) -> tuple[set[str], int]:
    """Bring the bytes of every change into the store; return the hashes that could not be had, and how many came."""
    sources = {root.name: FolderSource(root.name, Path(root.location)) for root in manifest.sources}
    blobs = workspace.home.blobs
    wanted: dict[str, list[str]] = {}
    for change in changes:
        if change.sha256 is not None:
            wanted.setdefault(change.sha256, []).append(change.key)
    missing: set[str] = set()
    stored = 0
    for number, (sha256, keys) in enumerate(wanted.items()):
        report("store documents", number + 1, len(wanted))
        problem = blobs.verify(sha256)
        if problem is None:
            continue
        if _fetch(workspace, sources, sha256, keys):
            stored += 1
        elif blobs.has(sha256):
            raise IntegrityError(
                f"Document {keys[0]} (batch {manifest.key}): {problem}, and the source no longer has the right ones.",
                remedy=f"Restore {blobs.path(sha256)} from a backup.",
            )
        else:
            missing.add(sha256)
    return missing, stored


def _fetch(workspace: Workspace, sources: dict[str, FolderSource], sha256: str, keys: Iterable[str]) -> bool:
    for key in keys:
        name, path = key.split("/", 1)
        if name not in sources:
            continue
        try:
            with sources[name].open(path) as stream:
                workspace.home.blobs.add(stream, sha256)
            return True
        except (WrongContentError, BadInputError) as error:
            log.warning("document changed after the scan", extra={"document": key, "why": error.message})
    return False


def inspect_contents(workspace: Workspace, contents: Iterable[str]) -> Iterable[tuple[str, DocumentInspection]]:
    """Inspect stored documents in the worker pool; yields (content hash, inspection) as they come."""
    tasks = [InspectTask(sha, str(workspace.home.blobs.path(sha)), workspace.reading) for sha in contents]
    results = workspace.pool().map(inspect_task, tasks, seconds=lambda task: INSPECTION_SECONDS)
    for number, (task, result) in enumerate(results):
        report("inspect documents", number + 1, len(tasks))
        if isinstance(result, TaskFailure):
            yield task.sha256, _quarantine(result.reason, result.detail)
        else:
            yield task.sha256, result


def _quarantine(reason: Reason, detail: str | None = None) -> DocumentInspection:
    return DocumentInspection(page_count=None, reason=reason, detail=detail or REASON_TEXT[reason])


def _document_row(change: DocumentChange, corpus: Corpus, inspections: dict[str, DocumentInspection]) -> dict[str, Any]:
    if change.sha256 is None:
        inspection = DocumentInspection(
            page_count=None, reason=Reason(change.reason or Reason.UNREADABLE), detail=change.detail
        )
    else:
        inspection = inspections[change.sha256]
    return {
        "document_key": change.key,
        "document_sha256": change.sha256,
        "size": change.size,
        "home_batch": corpus.homes.get(change.sha256) if change.sha256 else None,
        "page_count": inspection.page_count,
        "status": "quarantined" if inspection.reason else "readable",
        "reason": inspection.reason,
        "detail": inspection.detail,
        "encrypted": inspection.encrypted,
        "damaged": inspection.damaged,
        "producer": inspection.producer,
        "title": inspection.title,
        "language": inspection.language,
    }
