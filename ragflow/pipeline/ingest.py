"""Which batches still have work to do, and the stages in order."""

from __future__ import annotations

from collections.abc import Callable

from ragflow.ocr.passwords import load_passwords
from ragflow.pipeline import chunks, embeddings, ocr_text, raw_pdfs
from ragflow.pipeline.stages import CHUNKS, EMBEDDINGS, OCR_TEXT, RAW_PDFS, STAGES, StageReport
from ragflow.pipeline.staleness import stale_stage
from ragflow.pipeline.workspace import Workspace

MATERIALIZE: dict[str, Callable[[Workspace, str], StageReport]] = {
    RAW_PDFS: raw_pdfs.materialize,
    OCR_TEXT: ocr_text.materialize,
    CHUNKS: chunks.materialize,
    EMBEDDINGS: embeddings.materialize,
}
"""Asset → the function that materializes it for a batch, in order."""


def pending_batches(workspace: Workspace, *, thorough: bool = False) -> list[str]:
    """Return the batches that have work to do, in order: new, killed, or made stale by a change of configuration.

    Args:
        thorough: also hash every stored table, and return the batches of which one is damaged.

    Raises:
        UsageError: the passwords file cannot be used: better said now than after some hours of work.
    """
    load_passwords(workspace.reading.passwords_file)
    return [
        manifest.key
        for manifest in workspace.home.manifests.all()
        if stale_stage(workspace, manifest) is not None or (thorough and _is_damaged(workspace, manifest.key))
    ]


def _is_damaged(workspace: Workspace, batch: str) -> bool:
    tables = workspace.home.tables
    return any(tables.damage(tables.get(asset, batch)) for asset in STAGES)
