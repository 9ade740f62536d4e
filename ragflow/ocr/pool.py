"""Worker processes with limits on time and memory. What one task does to its worker costs that task alone."""

from __future__ import annotations

import multiprocessing
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Generic, TypeVar

from pebble import ProcessExpired, ProcessPool

from ragflow.errors import RagflowError, UsageError
from ragflow.model.reading import Reason
from ragflow.ocr.options import MIN_WORKER_MEMORY_MB
from ragflow.ocr.worker import end_remains, start_worker

T = TypeVar("T")
R = TypeVar("R")

IN_FLIGHT_PER_WORKER = 4
"""Tasks handed to the pool ahead of time: workers never wait, and a failure costs little queued work."""

MAX_ATTEMPTS = 5
"""How often a task is handed out if the whole pool breaks, as it does when a worker is killed between two tasks."""

PRELOADED = ("__main__", "ragflow.ocr.reader", "ragflow.ocr.inspection", "ragflow.ocr.text_layer")
"""Modules that the fork server imports once, so that a worker starts in milliseconds."""


@dataclass(frozen=True, slots=True)
class TaskFailure:
    """Why a task has no result: TIMED_OUT, WORKER_DIED or ENGINE_FAILED, and the reason in words."""

    reason: Reason
    detail: str


@dataclass(frozen=True, slots=True)
class _Attempt(Generic[T]):
    task: T
    number: int


class WorkerPool:
    """A pool of processes; a context manager. Workers start with the first task and serve many calls of ``map``.

    Workers are started by a fork server, are limited in memory, ignore Ctrl-C, and end when the pool is closed or this
    process ends, together with the programs that they run. With one worker there is still a process apart from this.

    Args:
        workers: number of processes; 0 means one per available core.
        memory_mb: limit on the private memory of each worker, and of each program it runs, in MiB.
    """

    def __init__(self, workers: int, memory_mb: int) -> None:
        if workers < 0 or memory_mb < MIN_WORKER_MEMORY_MB:
            raise UsageError(
                f"A pool of {workers} workers with {memory_mb} MiB each cannot be made.",
                remedy=f"Give each worker {MIN_WORKER_MEMORY_MB} MiB or more, and name no negative number of workers.",
            )
        self.workers = workers or len(os.sched_getaffinity(0))
        self._memory_mb = memory_mb
        self._pool: ProcessPool | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    def map(
        self, function: Callable[[T], R], tasks: Sequence[T], *, seconds: Callable[[T], float]
    ) -> Iterator[tuple[T, R | TaskFailure]]:
        """Run ``function`` on every task and yield (task, result) as results come, in no order.

        A task that takes too long, or whose worker dies, gives a :class:`TaskFailure`; the others are not concerned.
        Ending the iteration early ends what is still running.

        Args:
            function: stands at the top level of a module, so that a worker can import it.
            tasks: picklable, as are the results.
            seconds: time limit of a task, counted from its start in a worker.

        Raises:
            RagflowError: the function raised it; the tasks that are still open are given up.
        """
        waiting = [_Attempt(task, 1) for task in reversed(tasks)]
        running: dict[Future[R], _Attempt[T]] = {}
        try:
            while waiting or running:
                broken = self._hand_out(function, waiting, running, seconds)
                if not broken:
                    wait(running, return_when=FIRST_COMPLETED)
                for future in [future for future in running if future.done()]:
                    attempt = running.pop(future)
                    if isinstance(future.exception(), BrokenProcessPool):
                        broken.append(attempt)
                    else:
                        result = self._result(future, seconds(attempt.task))
                        yield attempt.task, result
                if broken:
                    self._stop_workers()
                    # A broken pool forgets what it has not yet looked at, so nothing may be waited for.
                    broken += running.values()
                    running.clear()
                    for attempt in broken:
                        if attempt.number < MAX_ATTEMPTS:
                            waiting.append(_Attempt(attempt.task, attempt.number + 1))
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
            return TaskFailure(Reason.TIMED_OUT, f"The task did not finish within {limit:g} seconds.")
        if isinstance(error, ProcessExpired):
            self._end_remains()
            return TaskFailure(Reason.WORKER_DIED, _exit_in_words(error.exitcode))
        if isinstance(error, MemoryError):
            return TaskFailure(Reason.ENGINE_FAILED, f"The task needs more than the {self._memory_mb} MiB of a worker.")
        return TaskFailure(Reason.ENGINE_FAILED, f"{type(error).__name__}: {error}"[:500])

    def _started(self) -> ProcessPool:
        if self._pool is None:
            context = multiprocessing.get_context("forkserver")
            context.set_forkserver_preload(list(PRELOADED))
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


def _exit_in_words(exit_code: int | None) -> str:
    if exit_code is not None and exit_code < 0:
        return f"The worker was ended by signal {-exit_code}."
    return f"The worker ended with exit code {exit_code}."
