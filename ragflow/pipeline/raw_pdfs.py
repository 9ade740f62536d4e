"""Stage ``raw_pdfs``: document bytes into the content-addressed store, and what each of them says about itself.

Done again for a batch, it looks only at the documents for which something has changed: their bytes are there now, the
passwords file has changed, a limit has, or somebody asked.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa

from ragflow.errors import BadInputError, IntegrityError
from ragflow.model.batches import BatchManifest, Change, Corpus, DocumentChange, fold
from ragflow.model.fingerprints import fingerprint
from ragflow.model.reading import REASON_TEXT, DocumentInspection, Reason
from ragflow.model.tables import DOCUMENTS, PAGES
from ragflow.pipeline.inspections import inspect_contents
from ragflow.pipeline.kept_documents import Requests, earlier_documents
from ragflow.pipeline.passwords import passwords_mark
from ragflow.pipeline.progress import report
from ragflow.pipeline.stages import RAW_PDFS, StageReport, StageResult, run_stage
from ragflow.pipeline.workspace import Workspace
from ragflow.sources.folder import FolderSource
from ragflow.store.blobs import WrongContentError
from ragflow.store.forgotten import Kind
from ragflow.store.tables import TableRecord

log = logging.getLogger(__name__)

CODE_VERSION = 2


def expected_fingerprint(workspace: Workspace, manifest: BatchManifest) -> str:
    return _fingerprint(workspace, manifest, _requests(workspace, manifest), _forgotten(workspace, manifest))


def _fingerprint(workspace: Workspace, manifest: BatchManifest, requests: Requests, forgotten: frozenset[str]) -> str:
    # Requests for single pages count only where a page did not open, which the tables say: see why_outdated().
    asked = {
        sha: [[request.at, request.why] for request in of if request.page_index is None] for sha, of in requests.items()
    }
    return fingerprint(
        asset=RAW_PDFS,
        code=CODE_VERSION,
        manifest=manifest.sha256,
        max_pages=workspace.reading.max_pages,
        requests={sha: of for sha, of in asked.items() if of},
        **({"forgotten": sorted(forgotten)} if forgotten else {}),
    )


def _requests(workspace: Workspace, manifest: BatchManifest) -> Requests:
    """Return the requests for contents that the batch names, whether they are at home in it or not: each batch has
    rows of its own for them, and they must agree."""
    contents = {change.sha256 for change in manifest.documents if change.sha256 is not None}
    return workspace.home.rereads.of(contents - _forgotten(workspace, manifest))


def _forgotten(workspace: Workspace, manifest: BatchManifest) -> frozenset[str]:
    """Return the contents named by the batch that are to be nowhere any more."""
    forgotten = workspace.home.absences.contents(Kind.FORGOTTEN)
    return frozenset(change.sha256 for change in manifest.documents if change.sha256 and change.sha256 in forgotten)


def materialize(workspace: Workspace, batch: str) -> StageReport:
    """Store and inspect the documents that the batch adds or changes.

    Tables: ``documents`` (one row per document) and ``pages`` (one row per page of each content at home here).

    Raises:
        NotFoundError: no such batch.
        IntegrityError: stored bytes were damaged and the source no longer has the right ones.
    """
    manifests = workspace.home.manifests.all()
    manifest = workspace.home.manifests.get(batch)
    # Taken once: a request that comes in while the stage runs makes the batch stale again.
    requests, forgotten = _requests(workspace, manifest), _forgotten(workspace, manifest)
    return run_stage(
        workspace,
        RAW_PDFS,
        batch,
        _fingerprint(workspace, manifest, requests, forgotten),
        lambda: _work(workspace, manifest, fold(manifests), requests, forgotten),
        outdated=lambda record: why_outdated(workspace, record) is not None,
    )


def why_outdated(workspace: Workspace, record: TableRecord) -> str | None:
    """Return why documents of tables whose fingerprint still holds can be had now, for a person; None if so is none."""
    figures = record.figures
    if has_healed(workspace, record):
        return "bytes that were missing are there now"
    if untried_passwords(workspace, record) is not None:
        return "the passwords file has changed since its encrypted documents were tried"
    shut = figures.get("pages_shut", {})
    too_large = Reason.PAGE_TOO_LARGE in shut or Reason.PAGE_TOO_LARGE in figures.get("reasons", {})
    if too_large and figures.get("max_page_pixels", 0) < workspace.reading.max_page_pixels:
        return "the limit on the pixels of a page was raised"
    if shut and workspace.home.rereads.all():
        earlier = earlier_documents(workspace, record.batch, CODE_VERSION)
        if any(earlier.is_asked_for(sha, of) for sha, of in workspace.home.rereads.of(earlier.pages.keys()).items()):
            return "pages that did not open are to be looked at again"
    return None


def untried_passwords(workspace: Workspace, record: TableRecord) -> str | None:
    """Return the mark of the passwords there are now, if the batch has encrypted documents on which others were tried;
    None if there is nothing to try."""
    if not record.figures.get("reasons", {}).get(Reason.ENCRYPTED):
        return None
    mark = passwords_mark(workspace)
    return None if mark == record.figures.get("passwords_tried") else mark


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


def _work(
    workspace: Workspace,
    manifest: BatchManifest,
    corpus: Corpus,
    requests: Requests,
    forgotten: frozenset[str],
) -> StageResult:
    changes = [change for change in manifest.documents if change.change is not Change.REMOVED]
    passwords = passwords_mark(workspace)
    earlier = earlier_documents(workspace, manifest.key, CODE_VERSION)
    missing, stored = _store(workspace, manifest, [c for c in changes if c.sha256 not in forgotten])
    workspace.home.blobs.sync()
    pruned = workspace.home.absences.contents(Kind.PRUNED)
    # Nothing that is kept needs their bytes: what was once found in them stands.
    gone = {sha for sha in missing & pruned if all(earlier.tells_of(c) for c in changes if c.sha256 == sha)}
    missing -= gone
    present = {c.sha256 for c in changes if c.sha256 and c.sha256 not in missing | forgotten}
    workspace.home.absences.add((present - gone) & pruned, Kind.RETURNED, f"came in again with batch {manifest.key}")
    anew = {
        change.sha256
        for change in changes
        if change.sha256 is not None
        and change.sha256 in present - gone
        and (
            not earlier.stands(change, workspace.reading, passwords)
            or earlier.is_asked_for(change.sha256, requests.get(change.sha256, ()))
        )
    }
    inspections = dict(inspect_contents(workspace, sorted(anew)))
    inspections.update({sha: _quarantine(Reason.SOURCE_CHANGED) for sha in missing})
    inspections.update({sha: _quarantine(Reason.FORGOTTEN) for sha in forgotten})
    documents = [
        earlier.documents[change.key] if change.sha256 in present - anew else _document_row(change, corpus, inspections)
        for change in changes
    ]
    home = set(corpus.contents_of(manifest.key))
    pages = [
        row
        for sha in sorted(home & (inspections.keys() | present))
        for row in (_page_rows(sha, inspections[sha]) if sha in inspections else earlier.pages.get(sha, []))
    ]
    reasons = Counter(str(row["reason"]) for row in documents if row["reason"])
    return StageResult(
        tables={
            "documents": pa.Table.from_pylist(documents, schema=DOCUMENTS),
            "pages": pa.Table.from_pylist(pages, schema=PAGES),
        },
        figures={
            "code_version": CODE_VERSION,
            "documents": len(documents),
            "removed": len(manifest.documents) - len(changes),
            "pages": len(pages),
            "bytes": sum(change.size for change in changes),
            "quarantined": sum(reasons.values()),
            "reasons": dict(reasons),
            "pages_shut": dict(Counter(str(row["reason"]) for row in pages if row["reason"])),
            "max_page_pixels": workspace.reading.max_page_pixels,
            **({"requests_heeded": {sha: len(of) for sha, of in requests.items()}} if requests else {}),
            **({"passwords_tried": passwords} if passwords and Reason.ENCRYPTED in reasons else {}),
        },
        work={
            "blobs_stored": stored,
            "documents_inspected": len(anew),
            "documents_kept": len(present) - len(anew),
        },
    )


def _page_rows(sha: str, inspection: DocumentInspection) -> list[dict[str, Any]]:
    return [
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
        for page in inspection.pages
    ]


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
