"""The ledger of the documents that are there now, from the tables."""

from __future__ import annotations

from collections.abc import Iterator

from ragflow.model.batches import Corpus
from ragflow.model.ledger import Ledger, LedgerLine, tally
from ragflow.model.reading import PageStatus
from ragflow.pipeline.stages import OCR_TEXT, RAW_PDFS
from ragflow.pipeline.workspace import Workspace

Status = tuple[str, str | None, str | None, str | None]


def corpus_ledger(workspace: Workspace, corpus: Corpus) -> Ledger:
    """Count every document and page.

    Raises:
        IncompleteError: a batch has not been read.
    """
    return tally(ledger_lines(workspace, corpus))


def ledger_lines(workspace: Workspace, corpus: Corpus) -> Iterator[LedgerLine]:
    """Yield one line per document that is there now, batch by batch."""
    tables = workspace.home.tables
    statuses: dict[str, list[Status]] = {}
    for home in sorted(set(corpus.homes[s.sha256] for s in corpus.documents.values() if s.sha256)):
        rows = tables.read(
            tables.get(OCR_TEXT, home),
            "page_texts",
            columns=["document_sha256", "status", "reason", "engine", "language"],
        ).to_pylist()
        for row in rows:
            entry = (row["status"], row["reason"], row["engine"], row["language"])
            statuses.setdefault(row["document_sha256"], []).append(entry)
    for batch in sorted({state.batch_key for state in corpus.documents.values()}):
        rows = tables.read(
            tables.get(RAW_PDFS, batch), "documents", columns=["document_key", "page_count", "status", "reason"]
        ).to_pylist()
        found = {row["document_key"]: row for row in rows}
        for key, state in sorted(corpus.documents.items()):
            if state.batch_key != batch:
                continue
            row = found.get(key)
            readable = row is not None and row["status"] == "readable"
            if state.sha256 is None:
                lines: list[Status] = [(PageStatus.QUARANTINED, state.reason, None, None)]
            else:
                lines = statuses.get(state.sha256, [])
            yield LedgerLine(
                document_key=key,
                expected_pages=row["page_count"] if row is not None and readable else 1,
                openable=readable,
                statuses=tuple(lines),
            )
