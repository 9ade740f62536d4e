"""Locks between processes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from ragflow.errors import ServiceUnavailableError


@dataclass(frozen=True, slots=True)
class Lock:
    """An advisory file lock; the operating system frees it when its holder dies."""

    path: Path

    @contextmanager
    def held(self, *, seconds: float = 3600.0) -> Iterator[None]:
        """Hold the lock for the length of the ``with`` block, waiting up to ``seconds`` for it."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.path)
        try:
            lock.acquire(timeout=seconds)
        except Timeout as error:
            raise ServiceUnavailableError(
                f"Another process has held {self.path} for more than {seconds:.0f} seconds.",
                remedy="Wait until it ends, then try again.",
            ) from error
        try:
            yield
        finally:
            lock.release()
