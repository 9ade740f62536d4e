"""Peak memory of every process of an ingest."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ragflow.ocr.options import ReadingOptions
from ragflow.ocr.pdf import PdfError, PdfFile
from ragflow.ocr.pool import TaskFailure, WorkerPool
from ragflow_tests.benchmarks.fresh import Measured, call, ragflow_command
from ragflow_tests.benchmarks.material import settle, write_reports, write_scans
from ragflow_tests.benchmarks.report import Bench, Figure, say

NAME = "memory"
CORPORA = "RAGFLOW_CORPORA"
GIGABYTE = 1_000_000_000
MOST_BYTES = 2 * GIGABYTE
OPENING_SECONDS = 20.0


def run(bench: Bench) -> Iterator[Figure]:
    yield from longest_document(bench)
    documents, pages_each = bench.count(95, 3), bench.count(10, 4)
    scans = bench.count(5, 1)
    say(f"{NAME}: ingesting a batch of {documents + scans} documents")
    folder = bench.folder / "batch"
    write_reports(folder, documents, pages_each)
    write_scans(folder, scans, 4)
    measured = ragflow_command(bench.folder / "batch-home", "ingest", folder, memory=True)
    yield from figures(measured, f"a batch of {documents} reports of {pages_each} pages and {scans} scans of 4")


def longest_document(bench: Bench) -> Iterator[Figure]:
    """Ingest the PDF with the most pages below the folder that RAGFLOW_CORPORA names."""
    named = os.environ.get(CORPORA)
    if not named or not Path(named).is_dir():
        reason = f"{CORPORA} names no folder" if named else f"{CORPORA} is not set"
        say(f"{NAME}: the longest PDF is left out: {reason}")
        yield Figure(NAME, "the longest PDF of the corpora", f"left out: {reason}")
        return
    say(f"{NAME}: looking for the longest PDF below {named}")
    most_pages = bench.count(ReadingOptions().max_pages, 50)
    found = call(find_longest, bench.folder / "home", folder=named, most_pages=most_pages).answer
    if found is None:
        yield Figure(NAME, "the longest PDF of the corpora", f"left out: no PDF below {named} opens")
        return
    source = Path(found["path"])
    folder = bench.folder / "longest"
    folder.mkdir()
    shutil.copy(source, folder / "longest.pdf")
    settle(folder)
    say(f"{NAME}: ingesting {source.name}, {found['pages']} pages")
    measured = ragflow_command(bench.folder / "longest-home", "ingest", folder, memory=True)
    yield from figures(measured, f"{source.name}, {found['pages']} pages, {source.stat().st_size / 1e6:.1f} MB")


def figures(measured: Measured, what: str) -> Iterator[Figure]:
    """Yield the highest peak of each kind of process."""
    pages = measured.answer["pages"]
    about = f"{what} ({pages['indexed']} of {pages['total']} pages indexed, {measured.wall:.0f} s)"
    for role in sorted({peak.role for peak in measured.peaks}):
        peaks = [peak for peak in measured.peaks if peak.role == role]
        rss, pss = max(peak.rss for peak in peaks), max(peak.pss for peak in peaks)
        yield Figure(
            NAME,
            f"{about}: {role}, highest of {len(peaks)}",
            f"{rss / GIGABYTE:.2f} GB resident ({pss / GIGABYTE:.2f} GB proportional)",
            rss / GIGABYTE,
            "< 2 GB in each process",
            rss < MOST_BYTES,
        )


def find_longest(folder: str, most_pages: int) -> dict[str, Any] | None:
    """Return path and pages of the PDF with most pages up to a limit; bad files cost a worker each at most."""
    paths = sorted(str(path) for path in Path(folder).rglob("*") if path.suffix.lower() == ".pdf" and path.is_file())
    options = ReadingOptions()
    best: tuple[int, str] | None = None
    with WorkerPool(options.workers, options.worker_memory_mb) as pool:
        for path, pages in pool.map(page_count, paths, seconds=lambda _: OPENING_SECONDS):
            if not isinstance(pages, TaskFailure) and 0 < pages <= most_pages:
                best = max(best or (0, ""), (pages, path))
    return {"pages": best[0], "path": best[1]} if best else None


def page_count(path: str) -> int:
    """Run in a worker: return how many pages a PDF has, 0 if it does not open."""
    try:
        with PdfFile(Path(path), ()) as file:
            return file.page_count
    except PdfError:
        return 0
