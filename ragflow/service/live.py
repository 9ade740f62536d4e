"""Follow the alias: requests see the version that is live, and none is lost when that changes.

A new version is opened and warmed beside the one that serves; only then do requests get it. Requests that hold the old
one keep it until they are done. So for a moment two versions are open, and each answer comes from one of them as a
whole.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from ragflow.embedding.dense import RECORD_AFTER
from ragflow.errors import NotFoundError, RagflowError, ServiceUnavailableError
from ragflow.model.points import Float32Array
from ragflow.pipeline.searching import Searcher
from ragflow.pipeline.workspace import Workspace
from ragflow.service.search_process import SearchProcess
from ragflow.service.search_tasks import WARM_UP_WORDS, warm_up
from ragflow.vectors.protocols import AliasRecord

log = logging.getLogger(__name__)

SPARE_AFTER_SECONDS = 5.0
"""When the process for the next version is started: not while one has just gone live."""
FIRST_RETRY_SECONDS = 1.0
LONGEST_RETRY_SECONDS = 30.0
"""Opening a version that cannot be opened may hash all its files: it is tried ever more rarely, up to this."""


class BeginProcess(Protocol):
    """Starts a process that will search a version; see :class:`ragflow.service.search_process.SearchProcess`."""

    def __call__(self, *, patient: bool) -> SearchProcess: ...


class _Retry:
    """When what failed is tried again: ever more rarely, until it has been well for a while."""

    def __init__(self) -> None:
        self._at = -math.inf
        self._wait = 0.0

    @property
    def is_due(self) -> bool:
        return time.monotonic() >= self._at

    def failed(self) -> None:
        now = time.monotonic()
        recently = now - self._at < LONGEST_RETRY_SECONDS
        self._wait = min(LONGEST_RETRY_SECONDS, 2 * self._wait) if recently else FIRST_RETRY_SECONDS
        self._at = now + self._wait


class _Served:
    """An open version, the process that searches it (if there is one), and the requests that hold it.

    Its owner's lock guards it.
    """

    def __init__(self, searcher: Searcher) -> None:
        self.searcher = searcher
        self.process: SearchProcess | None = None
        self.leases = 0
        self.left = False

    @property
    def is_done(self) -> bool:
        return self.left and self.leases == 0


class LiveCollection:
    """The version that the alias names, opened; follows the alias from ``start`` to ``stop``.

    May be shared by threads. The alias is read through the version store, whichever the engine.

    Args:
        poll_seconds: how often the alias is looked at.
    """

    def __init__(self, workspace: Workspace, *, poll_seconds: float = 0.5) -> None:
        self._workspace = workspace
        self._poll_seconds = poll_seconds
        self._begin_process: BeginProcess | None = None
        self._process_retry = _Retry()
        self._spare: SearchProcess | None = None
        self._spare_at = math.inf
        self._lock = threading.Lock()
        """Guards the fields below, for moments only."""
        self._served: _Served | None = None
        self._left: list[_Served] = []
        self._problem: str | None = None
        self._failed: tuple[AliasRecord, _Retry] | None = None
        """What could not be opened, and when it is tried again."""
        self._looking = threading.Lock()
        """Held while the alias is looked at: one opens, others wait."""
        self._wake = threading.Event()
        self._stopped = False
        self._thread: threading.Thread | None = None

    @property
    def version(self) -> str | None:
        """The version that serves; None if none does."""
        with self._lock:
            return self._served.searcher.version if self._served else None

    @property
    def pids(self) -> list[int]:
        """Numbers of all processes beside this one."""
        with self._lock:
            found = [served.process for served in (self._served, *self._left) if served is not None]
        return [process.pid for process in (*found, self._spare) if process is not None]

    def process(self, version: str) -> SearchProcess | None:
        """Return the process that searches this version, if there is one; the version must be leased."""
        with self._lock:
            for served in (self._served, *self._left):
                if served is not None and served.searcher.version == version:
                    return served.process
        return None

    @property
    def problem(self) -> str | None:
        """Why the version that serves may not be the one that is live, for a person; None if all is well."""
        with self._lock:
            return self._problem

    def start(self, begin_process: BeginProcess | None = None) -> None:
        """Open what is live, then follow the alias in a thread. Nothing live is no error; a problem is kept as one.

        Args:
            begin_process: starts a process that searches a version, beside this one; None: there is to be none.
        """
        self._stopped = False
        self._begin_process = begin_process
        self.look()
        self._thread = threading.Thread(target=self._follow, name="ragflow-live", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop following and serve no more. A version that a request still holds is closed with its last lease."""
        with self._lock:
            self._stopped = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        with self._looking:
            self._replace(None)
            with self._lock:
                processes = [served.process for served in self._left if served.process is not None]
                for served in self._left:
                    served.process = None
            for process in (*processes, *([self._spare] if self._spare is not None else [])):
                process.close()
            self._spare = None
            self._close_left()

    @contextmanager
    def lease(self) -> Iterator[Searcher]:
        """Give out the version that serves; it stays open until the block ends, wherever the alias goes.

        Never waits: it may be used on an event loop, and held across awaits.

        Raises:
            NotFoundError: nothing is live.
            ServiceUnavailableError: something is, but it could not be opened.
        """
        with self._lock:
            served, problem = self._served, self._problem
            if served is not None:
                served.leases += 1
        if served is None:
            if problem is not None:
                raise ServiceUnavailableError(problem, remedy="See `ragflow verify`, or roll back.")
            raise NotFoundError("Nothing is live.", remedy="Run `ragflow ingest` first.")
        try:
            yield served.searcher
        finally:
            with self._lock:
                served.leases -= 1
                done, stopped = served.is_done, self._stopped
            if done and stopped:
                self._close_left()
            elif done:
                self._wake.set()  # closing removes files: not a request's work

    def look(self) -> None:
        """Look at the alias now, and open what it names if that does not serve yet; what fails becomes the problem."""
        with self._looking:
            try:
                self._look()
            except RagflowError as error:
                self._set_problem(error.message)
            except Exception as error:
                # The thread must go on, whatever it met: the old version serves meanwhile, and health tells of it.
                log.exception("the alias cannot be followed")
                self._set_problem(f"The alias cannot be followed: {type(error).__name__}.")
            finally:
                self._close_left()

    def _follow(self) -> None:
        while not self._stopped:
            self._wake.wait(self._poll_seconds)
            self._wake.clear()
            if not self._stopped:
                self.look()

    def _look(self) -> None:
        alias = self._workspace.versions().alias()
        if alias is None or alias.version == self.version:
            if alias is None:
                self._replace(None)
            else:
                self._tend_process()
                self._tend_spare()
            self._failed = None
            self._set_problem(None)
            return
        retry = self._failed[1] if self._failed is not None and self._failed[0] == alias else _Retry()
        if not retry.is_due:
            return
        try:
            served = self._opened(alias.version)
        except Exception:
            retry.failed()
            self._failed = alias, retry
            raise
        self._replace(served)
        self._failed = None
        self._set_problem(None)

    def _opened(self, version: str) -> _Served:
        """Open a version and ask it once in each mode: files are mapped, the model is loaded, before requests come.

        Where a process searches it, this one opens it only if it must, for that would hold up all requests.
        """
        started = time.monotonic()
        served = _Served(Searcher(self._workspace, version, at_once=False))
        try:
            vector = self._warm_up_vector(served.searcher)
            served.process = self._new_process(version, vector)
            if served.process is None:
                served.searcher.read_ahead()
                warm_up(served.searcher, vector)
        except BaseException:
            served.searcher.close()
            raise
        seconds = round(time.monotonic() - started, 3)
        log.info("version opened", extra={"version": version, "seconds": seconds})
        return served

    def _warm_up_vector(self, searcher: Searcher) -> Float32Array:
        for _ in range(RECORD_AFTER):  # until the model is recorded for queries, once for all versions
            searcher.embed([WARM_UP_WORDS])
        vector: Float32Array = searcher.embed([WARM_UP_WORDS])[0]
        return vector

    def _new_process(self, version: str, vector: Float32Array) -> SearchProcess | None:
        """Have a process search a version; None if that fails, for searches can be done without it."""
        if self._begin_process is None:
            return None
        process, self._spare = self._spare, None
        try:
            if process is None or not process.is_well:
                if process is not None:
                    process.close()
                process = self._begin_process(patient=False)
            process.open(version, vector)
        except (OSError, TimeoutError, RagflowError) as error:
            reason = str(error) or type(error).__name__
            log.error("no search process can be had", extra={"version": version, "reason": reason})
            self._process_retry.failed()
            if process is not None:
                process.close()
            return None
        self._spare_at = time.monotonic() + SPARE_AFTER_SECONDS
        return process

    def _tend_spare(self) -> None:
        """Start a process for the next version, so that it is there when it is needed."""
        if self._begin_process is None or self._spare is not None or time.monotonic() < self._spare_at:
            return
        self._spare_at = math.inf
        try:
            self._spare = self._begin_process(patient=True)
        except (OSError, TimeoutError) as error:
            log.warning("no spare process can be started", extra={"reason": str(error) or type(error).__name__})

    def _tend_process(self) -> None:
        """Replace the process of the version that serves, if it has died or answers no more."""
        with self._lock:
            served = self._served
        if self._begin_process is None or served is None:
            return
        dead = served.process
        if dead is not None and not dead.is_well:
            log.error("the search process is lost", extra={"version": served.searcher.version, "pid": dead.pid})
            served.process = None
            dead.close()
            self._process_retry.failed()
        if served.process is None and self._process_retry.is_due:
            served.process = self._new_process(served.searcher.version, self._warm_up_vector(served.searcher))

    def _replace(self, served: _Served | None) -> None:
        with self._lock:
            before, self._served = self._served, served
            if before is not None:
                before.left = True
                self._left.append(before)

    def _close_left(self) -> None:
        """Close the versions that were left and that nobody holds any more."""
        with self._lock:
            done = [served for served in self._left if served.is_done]
            self._left = [served for served in self._left if not served.is_done]
        for served in done:
            try:
                if served.process is not None:
                    served.process.close()
                served.searcher.close()
            except Exception:
                # It serves nobody any more: what is served must not suffer from it.
                log.exception("a version that was left cannot be closed", extra={"version": served.searcher.version})
            else:
                log.info("version closed", extra={"version": served.searcher.version})

    def _set_problem(self, problem: str | None) -> None:
        with self._lock:
            changed, self._problem = problem != self._problem, problem
        if changed and problem is not None:
            log.warning("the live version cannot be followed", extra={"problem": problem})
