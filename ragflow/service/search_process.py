"""A process beside the service that searches for it.

The vector engine and what ranks its hits hold Python's lock: in one process they would take turns with the reading and
answering of requests. So the service hands each search over a pair of sockets to a second process, which has its own
view of the same version, and needs neither the embedding model nor the web.

Nothing depends on that process. A search that it cannot take, or that it dies of, is done by the service itself. There
is one process for each version that is served, so that opening the next one holds up no search in the one before, and
a spare one waits for the next.
"""

from __future__ import annotations

import asyncio
import logging
import pickle
import socket
import subprocess
import sys
import time
from collections.abc import Coroutine
from typing import Any, cast

from ragflow.model.points import Float32Array
from ragflow.pipeline.workspace import Workspace
from ragflow.service.search_tasks import Found, SearchTask
from ragflow.service.search_worker import LENGTH, PATIENCE, framed

log = logging.getLogger(__name__)

OPEN_SECONDS = 120.0
"""How long opening a version may take there: many files may have to be hashed."""
HUNG_SECONDS = 15.0
"""Without an answer for so long the process is given up; what waits for it still has time to be done here."""
STOP_SECONDS = 5.0
MOST_WAITING = 100
"""Searches that may wait for the process; more are done here."""
_PROGRAM = "from ragflow.service.search_start import main; main()"


class _Connection(asyncio.Protocol):
    """The service's end: sends numbered messages, and gives each its answer. Belongs to the event loop."""

    def __init__(self) -> None:
        self.lost = False
        self.waiting: dict[int, tuple[asyncio.Future[Any], float]] = {}
        """Who waits for an answer, and since when (monotonic); the oldest first."""
        self._number = 0
        self._received = bytearray()
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)

    async def ask(self, *message: Any) -> Any:
        """Return the answer; raise what was raised there.

        Raises:
            ConnectionError: the process has died, or does so before it answers.
        """
        if self.lost or self._transport is None:
            raise ConnectionResetError
        self._number += 1
        number, future = self._number, asyncio.get_running_loop().create_future()
        self.waiting[number] = future, time.monotonic()
        self._transport.write(framed((number, *message)))
        return await future

    def waits_since(self) -> float | None:
        """Return since when the oldest message waits for its answer (monotonic); None if none does."""
        return min([since for _, since in [*self.waiting.values()]], default=None)

    def data_received(self, data: bytes) -> None:
        self._received += data
        start = 0
        while len(self._received) - start >= LENGTH.size:
            (length,) = LENGTH.unpack_from(self._received, start)
            end = start + LENGTH.size + length
            if len(self._received) < end:
                break
            self._take(*pickle.loads(memoryview(self._received)[start + LENGTH.size : end]))
            start = end
        if start:
            del self._received[:start]

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True
        waiting, self.waiting = self.waiting, {}
        for future, _ in waiting.values():
            if not future.done():
                future.set_exception(ConnectionResetError())

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def _take(self, number: int | None, answer: Any) -> None:
        if number is None:
            logging.getLogger(answer.name).handle(answer)
            return
        future, _ = self.waiting.pop(number)
        if future.done():  # who asked has given up
            return
        if isinstance(answer, Exception):
            future.set_exception(answer)
        else:
            future.set_result(answer)


class SearchProcess:
    """A process that searches one version, once it is told which.

    :meth:`find` belongs to the event loop, the rest to any other thread.

    Args:
        workspace: of the archive.
        loop: on which searches are asked for; it runs.
        patient: leave the cores to others until a version is to be opened.

    Raises:
        OSError, TimeoutError: the process cannot be started.
    """

    def __init__(self, workspace: Workspace, loop: asyncio.AbstractEventLoop, *, patient: bool = False) -> None:
        self._workspace = workspace
        self._loop = loop
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                self._process = subprocess.Popen(
                    [sys.executable, "-c", _PROGRAM, str(theirs.fileno()), str(PATIENCE if patient else 0)],
                    pass_fds=[theirs.fileno()],
                    stdin=subprocess.DEVNULL,
                )
            except BaseException:
                ours.close()
                raise
        self._connection = _Connection()
        ours.setblocking(False)
        try:
            self._wait_for(loop.create_connection(lambda: self._connection, sock=ours))
        except BaseException:
            ours.close()
            self.close()
            raise

    def open(self, version: str, vector: Float32Array) -> None:
        """Have a version opened; returns when it can be searched quickly.

        Args:
            vector: of any query, to warm up with.

        Raises:
            RagflowError: the version cannot be opened there.
            OSError, TimeoutError: the process has died, or does not come up.
        """
        level = logging.getLogger("ragflow").getEffectiveLevel()
        self._wait_for(self._connection.ask(self._workspace, level, version, vector))

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_well(self) -> bool:
        """Whether it lives, and answers in time."""
        since = self._connection.waits_since()
        return not self._connection.lost and (since is None or time.monotonic() - since < HUNG_SECONDS)

    async def find(self, task: SearchTask) -> Found | None:
        """Return what the process finds; None if it cannot be asked, or dies of it: then search here.

        Raises:
            RagflowError: the query or a condition cannot be used, or the engine fails.
        """
        if len(self._connection.waiting) >= MOST_WAITING:
            return None
        try:
            found: Found | None = await self._connection.ask(task)
        except ConnectionError:
            return None
        return found

    def close(self) -> None:
        """End the process; what still waits for it is told so. Must not be called on the loop."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._connection.abort)
        try:
            # It ends by itself when the other end of its socket is closed.
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _wait_for(self, work: Coroutine[Any, Any, Any]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(OPEN_SECONDS)
