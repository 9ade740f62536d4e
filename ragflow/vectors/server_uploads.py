"""Batches of points on their way to a server: a few at once, and never more."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

from ragflow.model.points import Point

Send = Callable[[Sequence[Point], Sequence[list[float]]], None]
"""Writes points and returns when they are written; the second argument holds their dense vectors."""


class Uploads:
    """Sends batches in threads of its own. To be used from one thread.

    Two batches with the same point are never under way at the same time: the later one counts.

    Args:
        parallel: batches under way at once; whoever brings one more waits.
    """

    def __init__(self, send: Send, parallel: int) -> None:
        self._send = send
        self._parallel = parallel
        self._threads = ThreadPoolExecutor(parallel, thread_name_prefix="upload")
        self._flying: dict[Future[None], frozenset[uuid.UUID]] = {}

    def put(self, points: Sequence[Point], dense: Sequence[list[float]]) -> None:
        """Send a batch; raise what an earlier one met with."""
        ids = frozenset(point.id for point in points)
        if any(ids & others for others in self._flying.values()):
            self.drain()
        while len(self._flying) >= self._parallel:
            self._land(wait(self._flying, return_when=FIRST_COMPLETED).done)
        self._flying[self._threads.submit(self._send, points, dense)] = ids

    def drain(self) -> None:
        """Wait until every batch is written; raise what one of them met with."""
        self._land(wait(self._flying).done)

    def close(self) -> None:
        """Wait for what is under way, whatever becomes of it, and end the threads."""
        self._threads.shutdown(wait=True, cancel_futures=True)
        self._flying.clear()

    def _land(self, done: set[Future[None]]) -> None:
        for future in done:
            del self._flying[future]
        for future in done:
            future.result()
