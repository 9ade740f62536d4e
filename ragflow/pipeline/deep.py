"""Deep verification: read the stored bytes again, and compare with what the tables hold.

Text layers are extracted again and compared word for word. Pages that were read by OCR are rendered again: their
pixels must hash to what the engine saw (OCR itself is not repeated).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ragflow.model.batches import Corpus
from ragflow.model.reading import PageStatus
from ragflow.model.verdicts import Verdict, verdict
from ragflow.model.words import words_sha256, words_table
from ragflow.ocr import reader
from ragflow.ocr.document import open_document
from ragflow.ocr.image import ImageFile
from ragflow.ocr.options import TEXT_LAYER, ReadingOptions
from ragflow.ocr.page import PdfError
from ragflow.ocr.passwords import load_passwords
from ragflow.ocr.pdf import PdfFile
from ragflow.ocr.pool import TaskFailure
from ragflow.pipeline.progress import report
from ragflow.pipeline.stages import OCR_TEXT
from ragflow.pipeline.workspace import Workspace

PAGES_AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class RecheckTask:
    """Pages of one document, with what is recorded for each."""

    sha256: str
    path: str
    pages: tuple[tuple[int, str, str, str | None, int | None], ...]
    """(page index, engine, words hash, raster hash, raster dpi)."""
    options: ReadingOptions


def recheck(task: RecheckTask) -> list[tuple[int, str]]:
    """Run in a worker process; return (page index, what differs)."""
    problems: list[tuple[int, str]] = []
    passwords = load_passwords(task.options.passwords_file)
    layer = [page for page in task.pages if page[1] == TEXT_LAYER]
    options = replace(task.options, engines=(TEXT_LAYER,))
    readings = reader.read_pages(Path(task.path), [p[0] for p in layer], options, passwords=passwords)
    for page, reading in zip(layer, readings, strict=True):
        found = words_sha256(words_table(task.sha256, reading.page_index, reading.words))
        if found != page[2]:
            problems.append((page[0], "the text layer of the stored bytes gives other words"))
    rasters = [page for page in task.pages if page[3] is not None]
    if rasters:
        try:
            with open_document(Path(task.path), passwords) as file:
                problems += _recheck_rasters(file, rasters, options)
        except PdfError as error:
            # Its password may have been taken out of the passwords file since.
            problems += [(index, error.message) for index, *_ in rasters]
    return problems


def _recheck_rasters(
    file: PdfFile | ImageFile, rasters: Sequence[tuple[int, str, str, str | None, int | None]], options: ReadingOptions
) -> list[tuple[int, str]]:
    problems: list[tuple[int, str]] = []
    for index, _, _, expected, dpi in rasters:
        try:
            with file.page(index, options.max_page_pixels) as view:
                found = view.render(dpi or options.dpi).sha256
        except PdfError as error:
            found = error.message
        if found != expected:
            problems.append((index, "the stored bytes render to other pixels"))
    return problems


def bytes_to_words(workspace: Workspace, corpus: Corpus) -> Verdict:
    """Compare every page of every document that is there now with the stored bytes."""
    names = {state.sha256: key for key, state in sorted(corpus.documents.items(), reverse=True) if state.sha256}
    tasks = list(_tasks(workspace, corpus, names))
    total = sum(len(task.pages) for task in tasks)
    failures: list[dict[str, Any]] = []
    done = 0

    def seconds(task: RecheckTask) -> float:
        return 30.0 + workspace.reading.page_seconds * len(task.pages)

    for task, result in workspace.pool().map(recheck, tasks, seconds=seconds):
        done += len(task.pages)
        report("compare pages with their bytes", done, total)
        if isinstance(result, TaskFailure):
            failures.append({"document": names[task.sha256], "page": task.pages[0][0] + 1, "problem": result.detail})
        else:
            failures += [
                {"document": names[task.sha256], "page": index + 1, "problem": problem} for index, problem in result
            ]
    return verdict(
        "bytes_to_words",
        failures,
        passed=f"All {total} pages, read or rendered again from their bytes, give what is recorded.",
        failed="{count} pages differ from their stored bytes.",
        remedy="Restore the documents from a backup, or materialize ocr_text again if the recorded words are wrong.",
    )


def _tasks(workspace: Workspace, corpus: Corpus, names: dict[str, str]) -> Iterator[RecheckTask]:
    tables = workspace.home.tables
    columns = ["document_sha256", "page_index", "status", "engine", "words_sha256", "raster_sha256", "raster_dpi"]
    for batch in sorted({corpus.homes[sha] for sha in names}):
        by_content: dict[str, list[dict[str, Any]]] = {}
        for row in tables.read(tables.get(OCR_TEXT, batch), "page_texts", columns=columns).to_pylist():
            wanted = row["raster_sha256"] or (row["status"] == PageStatus.INDEXED and row["engine"] == TEXT_LAYER)
            if wanted and row["document_sha256"] in names:
                by_content.setdefault(row["document_sha256"], []).append(row)
        for sha256, rows in by_content.items():
            for start in range(0, len(rows), PAGES_AT_ONCE):
                yield _task(workspace, sha256, rows[start : start + PAGES_AT_ONCE])


def _task(workspace: Workspace, sha256: str, rows: Sequence[dict[str, Any]]) -> RecheckTask:
    pages = tuple(
        (row["page_index"], row["engine"] or "", row["words_sha256"], row["raster_sha256"], row["raster_dpi"])
        for row in rows
    )
    return RecheckTask(sha256, str(workspace.home.blobs.path(sha256)), pages, workspace.reading)
