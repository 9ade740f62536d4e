"""Progress of long work, told to whoever listens: a bar on a terminal, Dagster's log, or nobody."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

Listener = Callable[[str, int, int], None]
"""Called with the name of the work, how much is done and how much there is, in the work's own unit."""

_listener: ContextVar[Listener | None] = ContextVar("ragflow_progress", default=None)


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Send progress reports to ``listener`` inside the ``with`` block."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


def report(work: str, done: int, total: int) -> None:
    """Tell the listener, if there is one."""
    listener = _listener.get()
    if listener is not None:
        listener(work, done, total)
