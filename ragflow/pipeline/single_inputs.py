"""The inputs of ``ragflow ocr``: which files the arguments mean, and what each is before it is read."""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ragflow.errors import BadInputError, UsageError
from ragflow.model.reading import REASON_TEXT, DocumentInspection, Reason
from ragflow.ocr.inspection import inspect_document
from ragflow.ocr.options import ReadingOptions
from ragflow.ocr.passwords import load_passwords
from ragflow.ocr.pool import TaskFailure
from ragflow.pipeline.progress import report
from ragflow.pipeline.reading_output import json_path, shown, text_path
from ragflow.pipeline.workspace import Workspace
from ragflow.sources.folder import FolderSource
from ragflow.store.blobs import hash_file

SLOWEST_DISK = 20_000_000
"""Bytes per second that hashing may count on."""

Problem = tuple[Reason, str]
"""Why a document as a whole cannot be read, and the same in words."""


@dataclass(frozen=True, slots=True)
class Input:
    """One file to read.

    Attributes:
        path: absolute.
        wanted: place below the output folder that its name asks for.
        problem: why it cannot even be looked at.
    """

    path: str
    wanted: PurePosixPath
    problem: Problem | None = None


@dataclass(frozen=True, slots=True)
class Look:
    """What a file is before it is read: size, time and inode, hash, inspection."""

    mark: tuple[int, int, int]
    sha256: str
    inspection: DocumentInspection


def find_inputs(paths: Sequence[Path]) -> tuple[list[Input], dict[str, int]]:
    """Return the files, each once, in the order of the arguments and of their paths; and ignored kind → number."""
    found: dict[str, Input] = {}
    ignored: Counter[str] = Counter()
    for path in paths:
        absolute = path.absolute()
        if not os.path.isdir(absolute):  # noqa: PTH112 (it may stand in a folder that we may not enter)
            absolute = Path(os.path.realpath(absolute.parent)) / absolute.name
            one = Input(str(absolute), PurePosixPath(absolute.name), _not_a_file(absolute))
            found.setdefault(one.path, one)
            continue
        real = absolute.resolve()
        for file in FolderSource("ocr", real).scan():
            if file.ignored:
                ignored[file.detail or "other"] += 1
                continue
            problem = (Reason(file.reason), file.detail or REASON_TEXT[Reason(file.reason)]) if file.reason else None
            one = Input(str(real / file.path), PurePosixPath(file.path), problem)
            found.setdefault(one.path, one)
    if not found:
        kinds = f" (passed over: {', '.join(f'{count} {kind}' for kind, count in ignored.items())})" if ignored else ""
        raise BadInputError(
            f"There is no document in {', '.join(shown(str(path)) for path in paths)}{kinds}.",
            remedy="Name PDFs or images, or folders of them.",
        )
    return list(found.values()), dict(sorted(ignored.items()))


def _not_a_file(path: Path) -> Problem | None:
    try:
        mode = path.stat().st_mode
    except OSError as error:
        return Reason.UNREADABLE, f"{shown(path.name)} cannot be read: {error.strerror}."
    return None if stat.S_ISREG(mode) else (Reason.UNREADABLE, f"{shown(path.name)} is not a regular file.")


def spare_inputs(inputs: Sequence[Input], bases: Sequence[Path]) -> None:
    """Refuse to write over a file that is to be read; ``--force`` does not allow that either."""
    sources = {os.path.realpath(one.path) for one in inputs}
    for base in bases:
        for path in (text_path(base), json_path(base)):
            if os.path.realpath(path) in sources:
                raise UsageError(f"{shown(str(path))} is an input and an output.", remedy="Name another folder.")


@dataclass(frozen=True, slots=True)
class LookTask:
    """One file to look at, in a worker."""

    number: int
    path: str
    size: int
    options: ReadingOptions


def look_task(task: LookTask) -> Look | Problem:
    """Run in a worker process: hash and inspect a file."""
    path = Path(task.path)
    passwords = load_passwords(task.options.passwords_file)
    try:
        look = Look(mark_of(path), hash_file(path), inspect_document(path, task.options, passwords))
    except OSError as error:
        return Reason.UNREADABLE, f"{shown(path.name)} cannot be read: {error.strerror}."
    reason = look.inspection.reason
    return look if reason is None else (reason, look.inspection.detail or REASON_TEXT[reason])


def mark_of(path: Path) -> tuple[int, int, int]:
    """Return size, time of change and inode: equal as long as nobody writes to the file."""
    status = path.stat()
    return status.st_size, status.st_mtime_ns, status.st_ino


def look_at(workspace: Workspace, inputs: Sequence[Input]) -> list[Look | Problem]:
    """Return for each input what it is, or why it cannot be read as a whole."""
    looks: list[Look | Problem] = [one.problem or (Reason.UNREADABLE, "") for one in inputs]
    tasks = []
    for number, one in enumerate(inputs):
        if one.problem is None:
            try:
                tasks.append(LookTask(number, one.path, Path(one.path).stat().st_size, workspace.reading))
            except OSError as error:
                looks[number] = Reason.UNREADABLE, f"{shown(one.path)} cannot be read: {error.strerror}."
    results = workspace.pool().map(
        look_task, tasks, seconds=lambda task: task.options.inspection_seconds + task.size / SLOWEST_DISK
    )
    for done, (task, result) in enumerate(results):
        if isinstance(result, TaskFailure):
            looks[task.number] = result.reason, result.detail
        else:
            looks[task.number] = result
        report("look at files", done + 1, len(tasks))
    return looks
