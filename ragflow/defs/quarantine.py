"""What a batch has in quarantine, as Dagster shows it."""

from collections.abc import Sequence
from typing import Any

import dagster as dg

from ragflow.defs.metadata import Metadata, rows_table
from ragflow.pipeline.quarantine import Quarantined, quarantined_in
from ragflow.pipeline.stages import RAW_PDFS
from ragflow.pipeline.workspace import Workspace


def quarantine_metadata(workspace: Workspace, asset: str, batch: str) -> Metadata:
    """Return a table of what a batch has in quarantine, with reasons and what to do: the documents for ``raw_pdfs``,
    documents and pages for ``ocr_text``. Nothing if nothing is there."""
    entries = [e for e in quarantined_in(workspace, batch) if e.page_index is None or asset != RAW_PDFS]
    if not entries:
        return {}
    told: Metadata = {"quarantine": dg.MetadataValue.md(rows_table(_rows(entries)))}
    told["quarantine_all"] = dg.MetadataValue.text(
        f"{len(entries)} entries; `ragflow quarantine list` shows all, `ragflow quarantine retry` tries them again."
    )
    return told


def _rows(entries: Sequence[Quarantined]) -> list[dict[str, Any]]:
    shown = ("document", "page", "reason", "detail", "what_to_do", "tries")
    rows = (entry.row() for entry in entries)
    return [{name: "all" if row[name] is None else row[name] for name in shown} for row in rows]
