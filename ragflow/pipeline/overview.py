"""What stands: batches, ledger, versions, what is live."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from ragflow.errors import IncompleteError, IntegrityError
from ragflow.model.batches import Change, fold
from ragflow.pipeline.ledger import corpus_ledger, ledger_lines
from ragflow.pipeline.release import live_version
from ragflow.pipeline.staleness import stale_stage
from ragflow.pipeline.workspace import Workspace


def status(workspace: Workspace) -> dict[str, Any]:
    """Return the state of the archive as a JSON object.

    ``ledger`` counts the documents that are there now; it is None while a batch has not been read, or is damaged.
    """
    manifests = workspace.home.manifests.all()
    corpus = fold(manifests)
    live = live_version(workspace)
    kept = workspace.versions()
    records = workspace.home.version_records.all()
    complete = set(kept.versions())
    try:
        ledger = corpus_ledger(workspace, corpus)
        counted: dict[str, Any] | None = {
            **asdict(ledger),
            "coverage": round(ledger.coverage, 6),
            "adds_up": ledger.adds_up,
        }
        quarantined = [
            {"document": line.document_key, "pages": reasons}
            for line in ledger_lines(workspace, corpus)
            if (reasons := _reasons(line.statuses))
        ]
    except (IncompleteError, IntegrityError):
        counted, quarantined = None, []
    return {
        "home": str(workspace.home.root),
        "live": live,
        "batches": [
            {
                "key": manifest.key,
                "documents": {kind.value: sum(c.change is kind for c in manifest.documents) for kind in Change},
                "pending": stale_stage(workspace, manifest),
            }
            for manifest in manifests
        ],
        "ledger": counted,
        "quarantined": quarantined,
        "versions": [
            {
                "version": record.version,
                "live": record.version == live,
                "points": record.points,
                "built_at": record.built_at,
                "size_bytes": kept.size_bytes(record.version),
            }
            for record in records
            if record.version in complete
        ],
    }


def _reasons(statuses: tuple[tuple[str, str | None, str | None, str | None], ...]) -> dict[str, int]:
    reasons: dict[str, int] = {}
    for _, reason, _, _ in statuses:
        if reason:
            reasons[reason] = reasons.get(reason, 0) + 1
    return reasons
