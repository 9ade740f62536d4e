"""Follow the alias: requests see the version that is live, and none is lost when that changes.

A new version is opened and warmed beside the one that serves; only then do requests get it. Requests that hold the old
one keep it until they are done. So for a moment two versions are open, and each answer comes from one of them as a
whole.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from ragflow.embedding.dense import RECORD_AFTER
from ragflow.errors import NotFoundError, RagflowError, ServiceUnavailableError
from ragflow.pipeline.hits import SearchMode
from ragflow.pipeline.searching import Searcher
from ragflow.pipeline.workspace import Workspace
from ragflow.vectors.protocols import AliasRecord

log = logging.getLogger(__name__)

WARM_UP_WORDS = "archive"
"""What a new version is asked first; where it holds any text, its own words follow."""
FIRST_RETRY_SECONDS = 1.0
LONGEST_RETRY_SECONDS = 30.0
"""Opening a version that cannot be opened may hash all its files: it is tried ever more rarely, up to this."""


class _Served:
    """An open version and the requests that hold it. Its owner's lock guards it."""

    def __init__(self, searcher: Searcher) -> None:
        self.searcher = searcher
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
        self._lock = threading.Lock()
        """Guards the fields below, for moments only."""
        self._served: _Served | None = None
        self._left: list[_Served] = []
        self._problem: str | None = None
        self._failed: tuple[AliasRecord, float, float] | None = None
        """What could not be opened, when it is tried again (monotonic), and how long was waited for that."""
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
    def problem(self) -> str | None:
        """Why the version that serves may not be the one that is live, for a person; None if all is well."""
        with self._lock:
            return self._problem

    def start(self) -> None:
        """Open what is live, then follow the alias in a thread. Nothing live is no error; a problem is kept as one."""
        self._stopped = False
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
            self._failed = None
            self._set_problem(None)
            return
        if self._failed is not None and self._failed[0] == alias and time.monotonic() < self._failed[1]:
            return
        try:
            searcher = self._opened(alias.version)
        except Exception:
            waited = self._failed[2] if self._failed is not None and self._failed[0] == alias else 0.0
            wait = min(LONGEST_RETRY_SECONDS, max(FIRST_RETRY_SECONDS, 2 * waited))
            self._failed = (alias, time.monotonic() + wait, wait)
            raise
        self._replace(searcher)
        self._failed = None
        self._set_problem(None)

    def _opened(self, version: str) -> Searcher:
        """Open a version and ask it once in each mode: files are mapped, the model is loaded, before requests come."""
        started = time.monotonic()
        searcher = Searcher(self._workspace, version)
        try:
            for _ in range(RECORD_AFTER + 1):  # until the model is recorded for queries, once for all versions
                (vector,) = searcher.embed([WARM_UP_WORDS])
            hits = searcher.search_with(WARM_UP_WORDS, vector, top=1, mode=SearchMode.DENSE)
            words = " ".join(hits[0].text.split()[:8]) if hits else WARM_UP_WORDS
            for mode in (SearchMode.SPARSE, SearchMode.HYBRID):
                searcher.search_with(words, None if mode is SearchMode.SPARSE else vector, top=1, mode=mode)
        except BaseException:
            searcher.close()
            raise
        seconds = round(time.monotonic() - started, 3)
        log.info("version opened", extra={"version": version, "seconds": seconds})
        return searcher

    def _replace(self, searcher: Searcher | None) -> None:
        with self._lock:
            before, self._served = self._served, _Served(searcher) if searcher is not None else None
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
