"""Looking at stored documents in worker processes, so that a hostile page costs that page and no more."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ragflow.model.reading import DocumentInspection, PageInspection, Reason
from ragflow.ocr.inspection import inspect_document
from ragflow.ocr.options import ReadingOptions
from ragflow.ocr.passwords import load_passwords
from ragflow.ocr.pool import TaskFailure
from ragflow.pipeline.progress import report
from ragflow.pipeline.workspace import Workspace

log = logging.getLogger(__name__)

PAGES_AT_ONCE = 50
"""Pages of a difficult document that are looked at in one go."""

MAX_FAILURES = 8
"""How often the pages of one document may bring a worker down, or hold it up, before the rest is left alone. It bounds
what a document made to harm can cost: so many times the limit in seconds, twice over."""


@dataclass(frozen=True, slots=True)
class InspectTask:
    """One document, or some of its pages, to look at in a worker.

    Attributes:
        pages: None for all.
    """

    sha256: str
    path: str
    options: ReadingOptions
    pages: range | None = None


def inspect_task(task: InspectTask) -> DocumentInspection:
    """Run in a worker process: a document that crashes PDFium takes down the worker, not the run.

    Raises:
        UsageError: the passwords file cannot be used.
    """
    passwords = load_passwords(task.options.passwords_file)
    return inspect_document(Path(task.path), task.options, passwords, pages=task.pages)


def inspect_contents(workspace: Workspace, contents: Iterable[str]) -> Iterator[tuple[str, DocumentInspection]]:
    """Look at stored documents; yields (content hash, inspection) as they come.

    A document that takes too long, or with which a worker dies, is looked at in pieces: the pages to blame have the
    reason, the others are as good as any.

    Raises:
        UsageError: the passwords file cannot be used.
    """
    tasks = [InspectTask(sha, str(workspace.home.blobs.path(sha)), workspace.reading) for sha in contents]
    failed: list[tuple[InspectTask, TaskFailure]] = []
    done = 0
    for task, result in _run(workspace, tasks):
        if isinstance(result, TaskFailure):
            failed.append((task, result))
            continue
        yield task.sha256, result
        done += 1
        report("inspect documents", done, len(tasks))
    for task, failure in failed:
        log.warning("document inspected in pieces", extra={"sha256": task.sha256, "why": failure.detail})
        yield task.sha256, _in_pieces(workspace, task)
        done += 1
        report("inspect documents", done, len(tasks))


def _run(
    workspace: Workspace, tasks: Sequence[InspectTask]
) -> Iterator[tuple[InspectTask, DocumentInspection | TaskFailure]]:
    yield from workspace.pool().map(inspect_task, tasks, seconds=lambda task: task.options.inspection_seconds)


def _in_pieces(workspace: Workspace, task: InspectTask) -> DocumentInspection:
    ((_, whole),) = _run(workspace, [replace(task, pages=range(0))])
    if isinstance(whole, TaskFailure):
        return DocumentInspection(page_count=None, reason=whole.reason, detail=whole.detail)
    if whole.reason is not None or whole.page_count is None:
        return whole
    steps = [range(s, min(s + PAGES_AT_ONCE, whole.page_count)) for s in range(0, whole.page_count, PAGES_AT_ONCE)]
    found, difficult = _look(workspace, task, steps)
    singles = [range(index, index + 1) for step in sorted(difficult, key=lambda step: step.start) for index in step]
    alone, blamed = _look(workspace, task, singles)
    found |= alone
    for page, failure in blamed.items():
        found[page.start] = _closed(page.start, failure.reason, failure.detail)
    for index in range(whole.page_count):
        if index not in found:
            why = "Other pages of the document brought the process down or took too long; this one was not looked at."
            found[index] = _closed(index, Reason.WORKER_DIED, why)
    return replace(whole, pages=tuple(found[index] for index in range(whole.page_count)))


def _look(
    workspace: Workspace, task: InspectTask, parts: Sequence[range]
) -> tuple[dict[int, PageInspection], dict[range, TaskFailure]]:
    """Look at parts of a document until too many have failed; return the pages seen, and the parts that failed."""
    found: dict[int, PageInspection] = {}
    failed: dict[range, TaskFailure] = {}
    for part, result in _run(workspace, [replace(task, pages=part) for part in parts]):
        if isinstance(result, DocumentInspection):
            found.update({page.page_index: page for page in result.pages})
        elif part.pages is not None:
            failed[part.pages] = result
            if len(failed) >= MAX_FAILURES:
                break
    return found, failed


def _closed(page_index: int, reason: Reason, detail: str) -> PageInspection:
    return PageInspection(page_index, 0.0, 0.0, 0, has_text_layer=False, reason=reason, detail=detail)
