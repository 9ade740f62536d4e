"""Whether the tables of a batch are what the settings and the stages before them now give."""

from __future__ import annotations

from collections.abc import Sequence

from ragflow.errors import IntegrityError
from ragflow.model.batches import BatchManifest
from ragflow.model.releases import VersionRecord
from ragflow.model.verdicts import MAX_ROWS, Outcome, Verdict
from ragflow.pipeline import chunks, embeddings, ocr_text, raw_pdfs
from ragflow.pipeline.stages import CHUNKS, EMBEDDINGS, OCR_TEXT, RAW_PDFS, STAGES
from ragflow.pipeline.workspace import Workspace


def stages_current(workspace: Workspace, manifests: Sequence[BatchManifest], record: VersionRecord) -> Verdict:
    """Each stage of each batch was made from what stands before it now, and is what the version was built from."""
    failures = []
    for manifest in manifests:
        problem = stale_stage(workspace, manifest)
        if problem is not None:
            failures.append({"batch": manifest.key, "problem": problem})
            continue
        changed = [
            asset
            for asset in STAGES
            if workspace.home.tables.get(asset, manifest.key).output_sha256
            != record.tables.get(asset, {}).get(manifest.key)
        ]
        if changed:
            problem = f"{', '.join(changed)}: made anew after this version was built"
            failures.append({"batch": manifest.key, "problem": problem})
    return Verdict(
        "stages_current",
        Outcome.FAIL if failures else Outcome.PASS,
        f"{len(failures)} batches are out of date." if failures else f"All {len(manifests)} batches are up to date.",
        figure=len(failures),
        threshold=0,
        remedy="Run `ragflow ingest`, or materialize the named partitions, and release again." if failures else "",
        rows=tuple(failures[:MAX_ROWS]),
    )


def stale_stage(workspace: Workspace, manifest: BatchManifest) -> str | None:
    """Return which stage of a batch is missing, damaged or out of date, for a person; None if all are up to date.

    Damage is looked for in the records only; the tables' bytes are hashed by the checks.
    """
    try:
        return _stale_stage(workspace, manifest)
    except IntegrityError as error:
        return error.message


def _stale_stage(workspace: Workspace, manifest: BatchManifest) -> str | None:
    tables = workspace.home.tables
    raw = tables.find(RAW_PDFS, manifest.key)
    if raw is None or raw.fingerprint != raw_pdfs.expected_fingerprint(workspace, manifest):
        return f"{RAW_PDFS} {'is out of date' if raw else 'is missing'}"
    outdated = raw_pdfs.why_outdated(workspace, raw)
    if outdated is not None:
        return f"{RAW_PDFS} is out of date: {outdated}"
    texts = tables.find(OCR_TEXT, manifest.key)
    if texts is None or texts.fingerprint != ocr_text.expected_fingerprint(workspace, raw):
        return f"{OCR_TEXT} {'is out of date' if texts else 'is missing'}"
    cut = tables.find(CHUNKS, manifest.key)
    if cut is None or cut.fingerprint != chunks.expected_fingerprint(workspace, texts):
        return f"{CHUNKS} {'is out of date' if cut else 'is missing'}"
    vectors = tables.find(EMBEDDINGS, manifest.key)
    if vectors is None or vectors.fingerprint != embeddings.expected_fingerprint(workspace, cut):
        return f"{EMBEDDINGS} {'is out of date' if vectors else 'is missing'}"
    return None
