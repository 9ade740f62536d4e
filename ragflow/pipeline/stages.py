"""What the four stages of a batch have in common: order, fingerprints, and doing nothing twice."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from ragflow.pipeline.workspace import Workspace
from ragflow.store.tables import TableRecord

log = logging.getLogger(__name__)

RAW_PDFS = "raw_pdfs"
OCR_TEXT = "ocr_text"
CHUNKS = "chunks"
EMBEDDINGS = "embeddings"
STAGES = (RAW_PDFS, OCR_TEXT, CHUNKS, EMBEDDINGS)
"""In order; the key of the asset and the name of the tables' folder."""


@dataclass(frozen=True, slots=True)
class StageReport:
    """What a stage did for a batch.

    Attributes:
        record: the tables that stand now.
        reused: True if they stood already and nothing was worked on.
        work: what was really done this time (OCR calls, embeddings computed); empty if nothing was.
    """

    record: TableRecord
    reused: bool
    work: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class StageResult:
    """What a stage's own work returns: its tables, figures that belong to them, and the work that was done."""

    tables: Mapping[str, pa.Table]
    figures: Mapping[str, Any]
    work: Mapping[str, int]


def run_stage(
    workspace: Workspace,
    asset: str,
    batch: str,
    fingerprint: str,
    work: Callable[[], StageResult],
    *,
    outdated: Callable[[TableRecord], bool] = lambda record: False,
) -> StageReport:
    """Do ``work`` unless tables with this fingerprint stand already and are intact; store what it returns.

    Args:
        outdated: asked about tables that would be left as they are: True does the work all the same.

    One process at a time works on a stage of a batch; a second one waits, and then finds the work done.
    """
    tables = workspace.home.tables
    with workspace.home.lock(f"{asset}-{batch}").held():
        current = tables.current(asset, batch, fingerprint)
        if current is not None and not outdated(current):
            return StageReport(record=current, reused=True, work={})
        started = time.monotonic()
        result = work()
        record = tables.write(asset, batch, fingerprint=fingerprint, tables=result.tables, figures=result.figures)
    log.info(
        "stage done",
        extra={"asset": asset, "batch": batch, "seconds": round(time.monotonic() - started, 2), **result.work},
    )
    return StageReport(record=record, reused=False, work=result.work)
