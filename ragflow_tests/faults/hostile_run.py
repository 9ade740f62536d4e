"""Run in a process of its own: scan an inbox, take the batch through both reading stages, and say what came of it."""

from __future__ import annotations

import json
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil

from ragflow.ocr.options import ReadingOptions
from ragflow.pipeline import ocr_text, raw_pdfs
from ragflow.pipeline.batch_checks import check_stage
from ragflow.pipeline.quarantine import quarantined
from ragflow.pipeline.scanning import ScanLimits, scan, sources_for
from ragflow.pipeline.workspace import Workspace
from ragflow.store.home import Home

MEMORY_MB = 512
OPTIONS = ReadingOptions(
    engines=("text_layer", "tesseract"),
    languages=("eng",),
    dpi=150,
    workers=2,
    worker_memory_mb=MEMORY_MB,
    page_seconds=3.0,
    inspection_seconds=20.0,
)


class Peaks(threading.Thread):
    """Watches this process's descendants: the most memory that one of them had, and how many there were at most."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.most_mb = 0.0
        self.seen: set[int] = set()
        self._ended = threading.Event()

    def run(self) -> None:
        while not self._ended.wait(0.02):
            for process in psutil.Process().children(recursive=True):
                try:
                    self.most_mb = max(self.most_mb, process.memory_info().rss / (1 << 20))
                    self.seen.add(process.pid)
                except psutil.NoSuchProcess:
                    continue

    def end(self) -> None:
        self._ended.set()
        self.join()


def run(home: Path) -> dict[str, Any]:
    workspace = Workspace(home=Home(home), reading=OPTIONS)
    peaks = Peaks()
    peaks.start()
    (batch,) = scan(workspace, sources_for(workspace, []), ScanLimits(wait=False)).batches
    started = time.monotonic()
    raw = raw_pdfs.materialize(workspace, batch)
    texts = ocr_text.materialize(workspace, batch)
    seconds = time.monotonic() - started
    peaks.end()
    workspace.pool().close()
    rows = workspace.home.tables.read(texts.record, "page_texts").to_pylist()
    documents = workspace.home.tables.read(raw.record, "documents").to_pylist()
    names = {row["document_sha256"]: row["document_key"].split("/")[1].removesuffix(".pdf") for row in documents}
    return {
        "pages": [
            [names[r["document_sha256"]], r["page_index"], r["status"], r["reason"], r["detail"], r["text"]]
            for r in rows
        ],
        "quarantined": [entry.row() for entry in quarantined(workspace)],
        "failed_checks": [
            f"{asset}: {verdict.name}: {verdict.summary}"
            for asset in ("raw_pdfs", "ocr_text")
            for verdict in check_stage(replace(workspace), asset, batch)
            if not verdict.passed and verdict.name != "coverage"
        ],
        "most_mb": peaks.most_mb,
        "processes": sorted(peaks.seen),
        "seconds": seconds,
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(run(Path(sys.argv[1]))))
