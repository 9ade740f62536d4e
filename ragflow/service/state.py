"""What the parts of one service share; ``app.state.service``."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import TypeVar

import psutil
from anyio import CapacityLimiter
from anyio.to_thread import run_sync
from fastapi import Request

from ragflow.model.releases import ReleaseRecord
from ragflow.model.service import ServiceOptions
from ragflow.pipeline.page_images import PageRenderer
from ragflow.pipeline.page_tables import PageTables
from ragflow.pipeline.searching import Searcher
from ragflow.pipeline.served import Kept, ServedVersion, release_of
from ragflow.pipeline.workspace import Workspace
from ragflow.service.audit import AuditLog, audit_log
from ragflow.service.live import LiveCollection
from ragflow.service.metrics import Metrics
from ragflow.service.query_embedding import QueryEmbedder
from ragflow.service.search_process import SearchProcess
from ragflow.service.search_tasks import Found, SearchTask, find
from ragflow.settings import Settings
from ragflow.store.forgotten import Kind
from ragflow.store.page_images import PageImageStore

log = logging.getLogger(__name__)

T = TypeVar("T")

RENDER_WORKERS = 2
RENDER_SECONDS = 20.0
SHOWN_VERSIONS = 3
"""Versions of which documents and pages are kept in memory: the live one, and those that requests still hold."""


@dataclass(slots=True)
class ServiceState:
    """The parts of one service. Blocking work goes through :meth:`quickly` or :meth:`slowly`, never on the event loop.

    Attributes:
        settings, workspace: of the archive.
        live: the version that serves.
        embedder: vectors of queries.
        metrics: figures.
        renderer: page images.
        images: page images that are kept.
        started_at: seconds since 1970.
        tracing: held while a chain is recomputed: its workers take one task at a time.
        audit: where searches are written down; None: nowhere.
    """

    settings: Settings
    workspace: Workspace
    live: LiveCollection
    embedder: QueryEmbedder
    metrics: Metrics
    renderer: PageRenderer
    images: PageImageStore
    started_at: float = field(default_factory=time.time)
    tracing: threading.Lock = field(default_factory=threading.Lock)
    audit: AuditLog | None = None
    _search_threads: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(2 * _cores()))
    _slow_threads: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(2 + 2 * _cores()))
    _render_threads: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(RENDER_WORKERS))
    _one_thread: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(1))
    _versions: Kept[str, ServedVersion] = field(default_factory=lambda: Kept(SHOWN_VERSIONS))
    _tables: PageTables = field(default_factory=PageTables)
    _releases: Kept[tuple[str, int], tuple[ReleaseRecord | None]] = field(default_factory=lambda: Kept(SHOWN_VERSIONS))

    @classmethod
    def of(cls, settings: Settings) -> ServiceState:
        """Return the parts that these settings ask for; nothing is opened or started yet."""
        options, workspace = settings.service, settings.workspace()
        if not workspace.embedding.threads:
            # One thread for the model: with more, each of its small steps waits for cores that requests keep busy.
            workspace = replace(workspace, embedding=replace(workspace.embedding, threads=1))
        state = cls(
            settings=settings,
            workspace=workspace,
            live=LiveCollection(workspace, poll_seconds=options.poll_seconds),
            embedder=QueryEmbedder(batch=options.embed_batch, wait_ms=options.embed_wait_ms, cache=options.embed_cache),
            metrics=Metrics(),
            renderer=PageRenderer(workspace.reading, workers=RENDER_WORKERS, seconds=RENDER_SECONDS),
            images=PageImageStore(workspace.home.page_images, options.image_cache_bytes),
            audit=audit_log(options, workspace.home.root),
        )
        embedder = state.embedder
        state.metrics.watch(
            "ragflow_query_embeddings",
            "Queries, by how their vector was had.",
            "source",
            lambda: {"kept": embedder.hits, "joined": embedder.joined, "computed": embedder.misses},
        )
        state.metrics.watch(
            "ragflow_embedding_work", "Calls of the model.", "unit",
            lambda: {"batches": embedder.batches, "queries": embedder.embedded},
        )  # fmt: skip
        return state

    @property
    def options(self) -> ServiceOptions:
        return self.settings.service

    async def find(self, held: ExitStack, searcher: Searcher, task: SearchTask) -> Found:
        """Search in the process that does so for this version, or else in a thread.

        Args:
            held: the lease on the version; it is handed over to the thread, which may outlive the request.

        Raises:
            RagflowError: the query or a condition cannot be used, or the engine fails.
        """
        process = self.live.process(searcher.version)
        found = await process.find(task) if process is not None else None

        def work() -> Found:
            with held.pop_all():
                return find(searcher, self.workspace.home.absences, task)

        return await self.quickly(work) if found is None else found

    async def quickly(self, work: Callable[[], T]) -> T:
        """Run a search, or what is as quick, in a thread; few at a time, or they get in each other's way."""
        return await run_sync(work, limiter=self._search_threads)

    async def slowly(self, work: Callable[[], T]) -> T:
        """Run what reads tables, renders or recomputes in a thread; searches do not wait for it."""
        return await run_sync(work, limiter=self._slow_threads)

    async def rendering(self, work: Callable[[], T]) -> T:
        """Run what renders a page in a thread; who waits for a renderer waits here, and holds up nobody."""
        return await run_sync(work, limiter=self._render_threads)

    async def alone(self, work: Callable[[], T]) -> T:
        """Run what recomputes a chain in a thread, one at a time."""

        def locked() -> T:
            # A request that was given up leaves its thread at work, but no longer counts for the limiter.
            with self.tracing:
                return work()

        return await run_sync(locked, limiter=self._one_thread)

    def shown(self, version: str) -> ServedVersion:
        """Return what a version shows. Reads manifests the first time: call it in a thread.

        Raises:
            NotFoundError: there is no record of it.
        """
        return self._versions.get(version, partial(self._show, version))

    def _show(self, version: str) -> ServedVersion:
        shown = ServedVersion(self.workspace, version, self._tables)
        for sha256 in self.workspace.home.absences.contents(Kind.FORGOTTEN) & self.images.contents():
            self.images.remove(sha256)
        return shown

    def release(self, version: str) -> ReleaseRecord | None:
        """Return the decision that last made a version live; as for :meth:`shown`.

        Records are read again when one has come in: a version may go live a second time.
        """
        found, *_ = self._releases.get(self._release_key(version), lambda: (release_of(self.workspace, version),))
        return found

    async def released_at(self, version: str) -> str | None:
        """Return when a version last went live, ISO 8601; None if no record tells. Reads records in a thread."""
        kept = self._releases.find(self._release_key(version))
        release = kept[0] if kept is not None else await self.slowly(lambda: self.release(version))
        return release.decided_at if release is not None else None

    def _release_key(self, version: str) -> tuple[str, int]:
        try:
            return version, self.workspace.home.releases.root.stat().st_mtime_ns
        except FileNotFoundError:
            return version, 0

    def resident_bytes(self) -> int:
        """Return the resident memory of the service and of the processes that search for it."""
        resident = 0
        for pid in (os.getpid(), *self.live.pids):
            with suppress(psutil.NoSuchProcess):
                resident += psutil.Process(pid).memory_info().rss
        return resident

    def note_live(self) -> None:
        """Note what serves among the figures; call it in a thread."""
        version = self.live.version
        if version is None:
            self.metrics.serves(None, points=0, decided=None, pages={})
            return
        shown, release = self.shown(version), self.release(version)
        ledger = asdict(release.ledger) if release is not None else {}
        decided = datetime.fromisoformat(release.decided_at).timestamp() if release is not None else None
        self.metrics.serves(version, points=shown.record.points, decided=decided, pages=ledger)

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Open what is live, and follow the alias from then on. Blocks until that is open: call it in a thread.

        Args:
            loop: that requests are answered on.
        """
        if self.audit is not None:
            self.audit.start()
        # A reranker takes far longer than the rest, and in threads of this process several can be at it.
        beside = self.options.search_process and not self.settings.search.reranker
        self.live.start(partial(SearchProcess, self.workspace, loop) if beside else None)
        log.info("service started", extra={"version": self.live.version, "problem": self.live.problem})

    async def close(self) -> None:
        """Give everything back: threads, workers, the open version."""
        await self.embedder.aclose()
        await run_sync(self.live.stop)
        await run_sync(self.renderer.close)
        if self.audit is not None:
            await run_sync(self.audit.stop)


def state_of(request: Request) -> ServiceState:
    """Return the state of the service that a request came to."""
    state: ServiceState = request.app.state.service
    return state


def _cores() -> int:
    return len(os.sched_getaffinity(0))
