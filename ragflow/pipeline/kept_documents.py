"""Which documents of a batch stand as they were inspected before, and which have to be looked at anew."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ragflow.errors import IntegrityError
from ragflow.model.batches import DocumentChange
from ragflow.model.reading import Reason
from ragflow.model.tables import DOCUMENTS, PAGES
from ragflow.ocr.options import ReadingOptions
from ragflow.pipeline.stages import RAW_PDFS
from ragflow.pipeline.workspace import Workspace
from ragflow.store.rereads import Reread

Requests = Mapping[str, Sequence[Reread]]
"""Content hash → requests to take it or a page of it up again, oldest first."""


@dataclass(frozen=True, slots=True)
class Earlier:
    """What stands in the batch's tables.

    Attributes:
        documents: document key → row.
        pages: content hash → rows.
        figures: of the record.
    """

    documents: Mapping[str, dict[str, Any]]
    pages: Mapping[str, list[dict[str, Any]]]
    figures: Mapping[str, Any]

    def stands(self, change: DocumentChange, options: ReadingOptions, passwords: str | None) -> bool:
        """Whether the rows of a document, whose bytes are stored, need not be made anew for the sake of a setting."""
        row = self.documents.get(change.key)
        sha = change.sha256
        if row is None or sha is None or row["document_sha256"] != sha or row["reason"] == Reason.SOURCE_CHANGED:
            return False
        if row["reason"] == Reason.ENCRYPTED and passwords not in (None, self.figures.get("passwords_tried")):
            return False
        count = row["page_count"]
        if count is not None and (count > options.max_pages) != (row["reason"] == Reason.TOO_MANY_PAGES):
            return False
        reasons = {row["reason"], *(page["reason"] for page in self.pages.get(sha, ()))}
        return Reason.PAGE_TOO_LARGE not in reasons or self.figures.get("max_page_pixels", 0) >= options.max_page_pixels

    def tells_of(self, change: DocumentChange) -> bool:
        """Whether there is a row of a document that was made from its bytes."""
        row = self.documents.get(change.key)
        return row is not None and row["document_sha256"] == change.sha256 and row["reason"] != Reason.SOURCE_CHANGED

    def is_asked_for(self, sha: str, requests: Sequence[Reread]) -> bool:
        """Whether there is a request, not heeded yet, for the whole content or for a page of it that did not open."""
        shut = {page["page_index"] for page in self.pages.get(sha, ()) if page["reason"]}
        fresh = requests[self.figures.get("requests_heeded", {}).get(sha, 0) :]
        return any(request.page_index is None or request.page_index in shut for request in fresh)


NOTHING = Earlier({}, {}, {})


def earlier_documents(workspace: Workspace, batch: str, code_version: int) -> Earlier:
    """Return what stands, if it is intact and was written by this version of the stage."""
    tables = workspace.home.tables
    try:
        record = tables.find(RAW_PDFS, batch)
        if record is None or record.figures.get("code_version") != code_version or tables.damage(record):
            return NOTHING
        documents, pages = tables.read(record, "documents"), tables.read(record, "pages")
    except IntegrityError:
        # Damaged tables are as good as none: every document is looked at.
        return NOTHING
    if not documents.schema.equals(DOCUMENTS) or not pages.schema.equals(PAGES):
        return NOTHING
    by_content: dict[str, list[dict[str, Any]]] = {}
    for row in pages.to_pylist():
        by_content.setdefault(row["document_sha256"], []).append(row)
    return Earlier({row["document_key"]: row for row in documents.to_pylist()}, by_content, record.figures)
