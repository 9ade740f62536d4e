"""Try faults on copies of one prepared archive, as many at a time as there are cores.

Each worker process has a subject of its own, and so loads the models once.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from ragflow_tests.faults.documents import write_states
from ragflow_tests.faults.ragflow_subject import RagflowSubject
from ragflow_tests.faults.subject import Outcome, Situation
from ragflow_tests.faults.trial import TRIALS, Result, Trial, run

MOST_WORKERS = 4
BY_NAME = {trial.name: trial for trial in TRIALS}


@dataclass(frozen=True, slots=True)
class Untouched:
    """What came of publishing without a fault: what was served before and after, and whether it answers."""

    before: str | None
    outcome: Outcome
    after: str | None
    answers: bool


class Runner:
    """Runs trials; each at most once. Use it as a context manager.

    Args:
        root: an empty folder.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._prepared = False
        workers = min(MOST_WORKERS, len(os.sched_getaffinity(0)))
        context = multiprocessing.get_context("spawn")
        self._pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_start, initargs=(root / "homes",))
        self._results: dict[str, Future[Result]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(cancel_futures=True)

    def start(self, trials: Sequence[Trial]) -> list[Future[Result]]:
        """Have trials run in the background; return what will come of each."""
        self._prepare()
        for trial in trials:
            if trial.name not in self._results:
                self._results[trial.name] = self._pool.submit(_try, trial.name)
        return [self._results[trial.name] for trial in trials]

    def result(self, trial: Trial) -> Result:
        (future,) = self.start([trial])
        return future.result()

    def untouched(self, situation: Situation) -> Untouched:
        """Publish without a fault."""
        self._prepare()
        return self._pool.submit(_publish, situation).result()

    def _prepare(self) -> None:
        if not self._prepared:
            states = write_states(self._root / "sources")
            self._pool.submit(_prepare, states).result()
            self._prepared = True


_subject: RagflowSubject | None = None
"""That of a worker process."""


def _start(homes: Path) -> None:
    global _subject
    _subject = RagflowSubject(homes)


def _prepare(states: Sequence[Path]) -> None:
    assert _subject is not None
    _subject.prepare(states)


def _try(name: str) -> Result:
    assert _subject is not None
    return run(_subject, BY_NAME[name])


def _publish(situation: Situation) -> Untouched:
    assert _subject is not None
    _subject.reset(situation)
    before = _subject.live()
    outcome = _subject.publish()
    return Untouched(before, outcome, _subject.live(), _subject.answers())
