"""The log of queries, for an archive that must know who asked for what. It is off unless a file is named for it.

One JSON object per line. A search waits for no disk: lines go through a bounded queue to a thread that writes them.
Lines that could not be kept are counted, and the next line that is written says how many are missing.
"""

from __future__ import annotations

import logging
import os
import queue
import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import orjson

from ragflow.errors import RagflowError, UsageError
from ragflow.model.service import ServiceOptions
from ragflow.store.locks import Lock

log = logging.getLogger(__name__)

MAX_BYTES = 64 * 1024 * 1024
KEPT = 5
"""Files besides the newest: ``audit.jsonl.1`` is the next older one."""
WAITING = 10_000
AT_ONCE = 500
STOP_SECONDS = 10.0
FILE_MODE = 0o600


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One search.

    Attributes:
        caller: ``key:<id>``, or ``address:<address>`` where no key was needed.
        filters: conditions on payload fields, as they were given.
        version: collection version that answered.
        hits: number of hits returned.
        took_ms: milliseconds.
    """

    caller: str
    query: str
    filters: Mapping[str, Any] | Sequence[str]
    mode: str
    version: str
    hits: int
    took_ms: float


def audit_log(options: ServiceOptions, home: Path) -> AuditLog | None:
    """Return the log that the options ask for; None if they ask for none.

    Raises:
        UsageError: a relative path leads out of the home folder, or the file cannot be written.
    """
    if options.audit_log is None:
        return None
    path = home / Path(options.audit_log).expanduser()
    if not Path(options.audit_log).expanduser().is_absolute() and not path.resolve().is_relative_to(home.resolve()):
        raise UsageError(
            f"service.audit_log: {options.audit_log!r} leads out of {home}.",
            remedy="Name a file in the home folder, or give its whole path.",
        )
    return AuditLog(path)


class AuditLog:
    """Appends searches to a file that only its owner can read. Several processes may share it.

    Args:
        path: of the newest file.
        max_bytes: a file that has so many is put aside.
        kept: files put aside that are kept.
        waiting: entries that may wait for the disk; more are lost, and counted.
    """

    def __init__(self, path: Path, *, max_bytes: int = MAX_BYTES, kept: int = KEPT, waiting: int = WAITING) -> None:
        self.path = path
        self._max_bytes = max_bytes
        self._kept = kept
        self._queue: queue.Queue[bytes | None] = queue.Queue(waiting)
        self._thread = threading.Thread(target=self._write_all, name="audit-log", daemon=True)
        self._lost = 0
        self._counting = threading.Lock()

    @property
    def lost(self) -> int:
        """Entries that could not be kept, and that no line speaks of yet."""
        return self._lost

    def start(self) -> None:
        """Start writing.

        Raises:
            UsageError: the file cannot be opened.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            os.close(self._open())
        except OSError as error:
            raise UsageError(
                f"The audit log {self.path} cannot be written: {error.strerror}.",
                remedy="Correct service.audit_log, or make the file writable.",
            ) from error
        self._thread.start()

    def record(self, entry: AuditEntry) -> None:
        """Have an entry written. Never waits."""
        line = orjson.dumps(
            {"time": datetime.now(UTC).isoformat(timespec="milliseconds"), **asdict(entry)},
            default=str,
            option=orjson.OPT_APPEND_NEWLINE,
        )
        try:
            self._queue.put_nowait(line)
        except queue.Full:
            self._lose(1)

    def stop(self) -> None:
        """Write what waits, and end. Entries recorded after this are not written."""
        if not self._thread.is_alive():
            return
        self._queue.put(None)
        self._thread.join(STOP_SECONDS)
        if self._thread.is_alive():
            log.error("the audit log could not be finished", extra={"path": str(self.path)})

    def _write_all(self) -> None:
        going_on = True
        while going_on:
            lines = [self._queue.get()]
            while len(lines) < AT_ONCE and not self._queue.empty():
                lines.append(self._queue.get())
            going_on = None not in lines
            wanted = [line for line in lines if line is not None]
            try:
                self._append(wanted)
            except (OSError, RagflowError) as error:
                self._lose(len(wanted))
                log.error("the audit log cannot be written", extra={"path": str(self.path), "error": str(error)})

    def _append(self, lines: list[bytes]) -> None:
        lost = self._lost
        notes = [_note_of(lost)] if lost else []
        data = b"".join([*notes, *lines])
        if not data:
            return
        with Lock(self.path.with_name(f"{self.path.name}.lock")).held(seconds=STOP_SECONDS):
            if self.path.exists() and self.path.stat().st_size >= self._max_bytes:
                self._rotate()
            descriptor = self._open()
            size = os.fstat(descriptor).st_size
            try:
                _write(descriptor, data)
            except OSError:
                # Half a line would spoil the next one.
                os.ftruncate(descriptor, size)
                raise
            finally:
                os.close(descriptor)
        with self._counting:
            self._lost -= lost

    def _open(self) -> int:
        """Open the file for appending; a link in its place is not followed."""
        descriptor = os.open(self.path, os.O_APPEND | os.O_CREAT | os.O_WRONLY | os.O_NOFOLLOW, FILE_MODE)
        os.fchmod(descriptor, FILE_MODE)
        return descriptor

    def _rotate(self) -> None:
        aged = [self.path, *(self.path.with_name(f"{self.path.name}.{age}") for age in range(1, self._kept + 1))]
        for newer, older in reversed(list(pairwise(aged))):
            if newer.exists():
                newer.replace(older)

    def _lose(self, count: int) -> None:
        with self._counting:
            self._lost += count


def _note_of(lost: int) -> bytes:
    told = {"time": datetime.now(UTC).isoformat(timespec="milliseconds"), "lost": lost}
    return orjson.dumps(told, option=orjson.OPT_APPEND_NEWLINE)


def _write(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
