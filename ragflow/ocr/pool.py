"""Worker processes with limits on time and memory. What one task does to its worker costs that task alone."""

from __future__ import annotations

import multiprocessing
import os
import signal
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import forkserver
from pathlib import Path
from types import TracebackType
from typing import Generic, TypeVar

from pebble import ProcessExpired, ProcessPool

from ragflow.errors import RagflowError, ServiceUnavailableError, UsageError
from ragflow.model.reading import Reason
from ragflow.ocr.options import MIN_WORKER_MEMORY_MB
from ragflow.ocr.worker import ENVIRONMENT, end_remains, start_worker

T = TypeVar("T")
R = TypeVar("R")

IN_FLIGHT_PER_WORKER = 4
"""Tasks handed to the pool ahead of time: workers never wait, and a failure costs little queued work."""

MAX_ATTEMPTS = 5
"""How often a task is handed out if the whole pool breaks, as it does when a worker is killed between two tasks."""

START_SECONDS = 120.0
"""If no worker takes up a task for so long, they hang while they start, and are ended. Usual is a tenth of a second."""

MAX_STARTS = 3
"""How often in a row the workers may hang while they start."""

OVERDUE_SECONDS = 30.0
"""A task that is over its limit by so much sits in a worker that has stopped with a lock in its hand."""

LOOK_SECONDS = 1.0
"""How often what hangs is looked for."""

PRELOADED = ("__main__", "ragflow.ocr.reader", "ragflow.ocr.inspection", "ragflow.ocr.text_layer")
"""Modules that the fork server imports once, so that a worker starts in milliseconds."""


@dataclass(frozen=True, slots=True)
class TaskFailure:
    """Why a task has no result: TIMED_OUT, WORKER_DIED or ENGINE_FAILED, and the reason in words."""

    reason: Reason
    detail: str


@dataclass(slots=True)
class _Attempt(Generic[T]):
    task: T
    number: int
    started: float | None = None
    """When a worker was first seen to be at it."""
    died: bool = False
    """Whether a worker has died of it already."""

    def is_overdue(self, limit: float) -> bool:
        return self.started is not None and time.monotonic() - self.started > limit + OVERDUE_SECONDS


class _Watch:
    """Looks for workers that hang where the pool's own time limit does not count: before they take up a task."""

    def __init__(self, start_seconds: float) -> None:
        self._start_seconds = start_seconds
        self._last_sign = time.monotonic()
        self._hung_starts = 0

    def about_to_hand_out(self, running: int) -> None:
        if not running:
            self._last_sign = time.monotonic()

    def look(self, running: dict[Future[R], _Attempt[T]]) -> None:
        """Note which tasks are being worked on."""
        for future, attempt in running.items():
            if attempt.started is None and (future.running() or future.done()):
                attempt.started = self._last_sign = time.monotonic()
                self._hung_starts = 0

    def sees_no_start(self, running: dict[Future[R], _Attempt[T]]) -> bool:
        """Whether tasks are waiting and no worker has taken one up for too long.

        Raises:
            ServiceUnavailableError: so it was several times in a row.
        """
        started = any(attempt.started is not None for attempt in running.values())
        if not running or started or time.monotonic() - self._last_sign <= self._start_seconds:
            return False
        self._hung_starts += 1
        if self._hung_starts >= MAX_STARTS:
            raise ServiceUnavailableError(
                f"The reading workers hung while they started, {MAX_STARTS} times for {self._start_seconds:g} seconds.",
                remedy="See whether the machine is overloaded or its temporary folder hangs; then try again.",
            )
        return True


class WorkerPool:
    """A pool of processes; a context manager. Workers start with the first task and serve many calls of ``map``.

    Workers are started by a fork server, are limited in memory, ignore Ctrl-C, and end when the pool is closed or this
    process ends, together with the programs that they run. With one worker there is still a process apart from this.

    Args:
        workers: number of processes; 0 means one per available core.
        memory_mb: limit on the private memory of each worker, and of each program it runs, in MiB.
        start_seconds: how long the workers may take to start.
    """

    def __init__(self, workers: int, memory_mb: int, *, start_seconds: float = START_SECONDS) -> None:
        if workers < 0 or memory_mb < MIN_WORKER_MEMORY_MB:
            raise UsageError(
                f"A pool of {workers} workers with {memory_mb} MiB each cannot be made.",
                remedy=f"Give each worker {MIN_WORKER_MEMORY_MB} MiB or more, and name no negative number of workers.",
            )
        self.workers = workers or len(os.sched_getaffinity(0))
        self._memory_mb = memory_mb
        self._start_seconds = start_seconds
        self._pool: ProcessPool | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    def map(
        self, function: Callable[[T], R], tasks: Sequence[T], *, seconds: Callable[[T], float]
    ) -> Iterator[tuple[T, R | TaskFailure]]:
        """Run ``function`` on every task and yield (task, result) as results come, in no order.

        A task that takes too long, or of which two workers die, gives a :class:`TaskFailure`; the others are not
        concerned. Ending the iteration early ends what is still running.

        Args:
            function: stands at the top level of a module, so that a worker can import it.
            tasks: picklable, as are the results.
            seconds: time limit of a task, counted from its start in a worker.

        Raises:
            RagflowError: the function raised it; the tasks that are still open are given up.
            ServiceUnavailableError: the workers do not start.
        """
        waiting = [_Attempt(task, 1) for task in reversed(tasks)]
        running: dict[Future[R], _Attempt[T]] = {}
        watch = _Watch(self._start_seconds)
        try:
            while waiting or running:
                watch.about_to_hand_out(len(running))
                broken = self._hand_out(function, waiting, running, seconds)
                if not broken:
                    wait(running, timeout=LOOK_SECONDS, return_when=FIRST_COMPLETED)
                watch.look(running)
                for future in [future for future in running if future.done()]:
                    attempt = running.pop(future)
                    if isinstance(future.exception(), BrokenProcessPool):
                        broken.append(attempt)
                    else:
                        result = self._result(future, seconds(attempt.task))
                        if isinstance(result, TaskFailure) and result.reason is Reason.WORKER_DIED and not attempt.died:
                            # It may have been its neighbour's fault, or the system's, which was short of memory.
                            waiting.insert(0, _Attempt(attempt.task, attempt.number, died=True))
                        else:
                            yield attempt.task, result
                overdue = [f for f, a in running.items() if not f.done() and a.is_overdue(seconds(a.task))]
                for future in overdue:
                    attempt = running.pop(future)
                    yield attempt.task, _timed_out(seconds(attempt.task))
                hung = watch.sees_no_start(running)
                if broken or overdue or hung:
                    self._stop_workers()
                    # A pool that is ended forgets what it has not yet looked at, so nothing may be waited for.
                    if broken:
                        broken += running.values()
                    else:
                        waiting += [
                            _Attempt(attempt.task, attempt.number, died=attempt.died) for attempt in running.values()
                        ]
                    running.clear()
                    for attempt in broken:
                        if attempt.number < MAX_ATTEMPTS:
                            waiting.append(_Attempt(attempt.task, attempt.number + 1, died=attempt.died))
                        else:
                            yield attempt.task, TaskFailure(Reason.WORKER_DIED, "The workers cannot be kept running.")
        finally:
            if running:
                for future in running:
                    future.cancel()
                self._stop_workers()

    def _hand_out(
        self,
        function: Callable[[T], R],
        waiting: list[_Attempt[T]],
        running: dict[Future[R], _Attempt[T]],
        seconds: Callable[[T], float],
    ) -> list[_Attempt[T]]:
        """Fill the pool from ``waiting``; return what it did not take because it is broken."""
        while waiting and len(running) < IN_FLIGHT_PER_WORKER * self.workers:
            attempt = waiting.pop()
            pool = self._started()
            try:
                future: Future[R] = pool.schedule(function, args=(attempt.task,), timeout=seconds(attempt.task))
            except RuntimeError:
                return [attempt]
            running[future] = attempt
        return []

    def _result(self, future: Future[R], limit: float) -> R | TaskFailure:
        error = future.exception()
        if error is None:
            return future.result()
        if isinstance(error, RagflowError):
            raise error
        if isinstance(error, TimeoutError) and not future.cancelled() and error.args[:1] == ("Task timeout",):
            self._end_remains()
            return _timed_out(limit)
        if isinstance(error, ProcessExpired):
            self._end_remains()
            return TaskFailure(Reason.WORKER_DIED, _exit_in_words(error.exitcode, self._memory_mb))
        if isinstance(error, MemoryError):
            return TaskFailure(Reason.ENGINE_FAILED, f"The task needs more than the {self._memory_mb} MiB of a worker.")
        return TaskFailure(Reason.ENGINE_FAILED, f"{type(error).__name__}: {error}"[:500])

    def _started(self) -> ProcessPool:
        if self._pool is None:
            context = multiprocessing.get_context("forkserver")
            context.set_forkserver_preload(list(PRELOADED))
            _start_fork_server()
            self._folder = tempfile.TemporaryDirectory(prefix="ragflow-pool-", ignore_cleanup_errors=True)
            self._pool = ProcessPool(
                max_workers=self.workers,
                initializer=start_worker,
                initargs=(self._memory_mb, self._folder.name),
                context=context,
            )
        return self._pool

    def _end_remains(self, *, all_workers: bool = False) -> None:
        if self._folder is not None:
            end_remains(Path(self._folder.name), all_workers=all_workers)

    def _stop_workers(self) -> None:
        if self._pool is not None:
            self._pool.stop()  # type: ignore[no-untyped-call]
            self._pool.join()
            self._pool = None
            self._end_remains(all_workers=True)
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    def close(self) -> None:
        """End all workers and what they run. The pool may be used again; that starts new ones."""
        self._stop_workers()

    def __enter__(self) -> WorkerPool:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def _start_fork_server() -> None:
    """Start it with the environment that workers need, unless it runs already; this process keeps its own."""
    before = {name: os.environ.get(name) for name in ENVIRONMENT}
    os.environ.update(ENVIRONMENT)
    try:
        forkserver.ensure_running()
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _timed_out(limit: float) -> TaskFailure:
    return TaskFailure(Reason.TIMED_OUT, f"It was not finished within {limit:g} seconds.")


def _exit_in_words(exit_code: int | None, memory_mb: int) -> str:
    if exit_code is None or exit_code >= 0:
        return f"The process that worked on it ended with exit code {exit_code}."
    number = -exit_code
    try:
        named = f"signal {number}, {signal.Signals(number).name}"
    except ValueError:
        named = f"signal {number}"
    if number in (signal.SIGABRT, signal.SIGTRAP, signal.SIGILL):
        why = f"gave up ({named}), most often for want of memory: it has {memory_mb} MiB"
    elif number == signal.SIGKILL:
        why = f"was killed ({named}), by somebody or because the machine ran out of memory"
    else:
        why = f"crashed ({named})"
    return f"The process that worked on it {why}."
