"""Embed the queries of many requests together, and remember them.

One worker thread embeds; while it works, the queries that come in gather, and go together into the next batch. So a
lone query waits for nobody, and a crowd shares the fixed cost of a batch.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from ragflow.errors import ServiceUnavailableError
from ragflow.model.points import Float32Array
from ragflow.pipeline.searching import Searcher

Key = tuple[str, str]
"""SHA-256 of the model, and the query."""


@dataclass(eq=False, slots=True)
class _Waiting:
    """A query that is not embedded yet, and how many requests wait for it."""

    key: Key
    searcher: Searcher
    arrived: float
    future: asyncio.Future[Float32Array]
    alone: bool
    waiters: int = field(default=0)


class QueryEmbedder:
    """Vectors of queries, by model. Belongs to one event loop.

    Args:
        batch: queries embedded together at most.
        wait_ms: how long a query that finds the worker busy waits for company, from when it came in; one that finds it
            idle does not wait.
        cache: vectors kept, those least recently asked for go first; 0: none.

    Attributes:
        hits: queries answered from memory.
        joined: queries that waited for the same query of another request.
        misses: queries that had to be embedded.
        batches: calls of the model.
        embedded: queries that went through it; one that all requests have given up before its turn does not.
    """

    def __init__(self, *, batch: int = 32, wait_ms: float = 2.0, cache: int = 10_000) -> None:
        self.hits = 0
        self.joined = 0
        self.misses = 0
        self.batches = 0
        self.embedded = 0
        self._batch = max(1, batch)
        self._wait_seconds = max(0.0, wait_ms) / 1000
        self._cache_size = max(0, cache)
        self._cache: OrderedDict[Key, Float32Array] = OrderedDict()
        self._pending: dict[Key, _Waiting] = {}
        self._queue: deque[_Waiting] = deque()
        self._came = asyncio.Event()
        self._pump: asyncio.Task[None] | None = None
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="ragflow-embed")
        self._closed = False

    async def embed(self, searcher: Searcher, text: str) -> Float32Array:
        """Return the vector of a query, shape (dimension,), read-only.

        Raises:
            BadInputError: this text cannot be embedded; others in its batch are none the worse.
            ServiceUnavailableError: the service is being stopped.
        """
        key = (searcher.model_sha256, text)
        known = self._cache.get(key)
        if known is not None:
            self.hits += 1
            self._cache.move_to_end(key)
            return known
        waiting = self._pending.get(key)
        if waiting is None:
            self.misses += 1
            waiting = self._enqueue(key, searcher)
        else:
            self.joined += 1
        waiting.waiters += 1
        try:
            # Shielded: the query may be another request's, too.
            return await asyncio.shield(waiting.future)
        finally:
            waiting.waiters -= 1

    async def aclose(self) -> None:
        """Fail what waits, let the batch that is being embedded end, and stop the worker."""
        self._closed = True
        waiting, self._queue = list(self._queue), deque()
        for query in waiting:
            self._fail(query, _stopping())
        self._came.set()
        if self._pump is not None:
            await self._pump
        self._worker.shutdown()

    def _enqueue(self, key: Key, searcher: Searcher) -> _Waiting:
        if self._closed:
            raise _stopping()
        loop = asyncio.get_running_loop()
        idle = self._pump is None or self._pump.done()
        waiting = _Waiting(key, searcher, loop.time(), loop.create_future(), alone=idle)
        self._pending[key] = waiting
        self._queue.append(waiting)
        self._came.set()
        if idle:
            self._pump = loop.create_task(self._work())
        return waiting

    async def _work(self) -> None:
        """Embed until nobody waits any more."""
        loop = asyncio.get_running_loop()
        while self._queue:
            await self._company()
            batch = self._next_batch()
            if not batch:
                continue
            self.batches += 1
            self.embedded += len(batch)
            texts = [query.key[1] for query in batch]
            try:
                found_of_all = await loop.run_in_executor(self._worker, _embed, batch[0].searcher, texts)
            except BaseException as error:
                for query in batch:
                    self._fail(query, error)
                raise
            for query, found in zip(batch, found_of_all, strict=True):
                if isinstance(found, BaseException):
                    self._fail(query, found)
                else:
                    self._remember(query, found)

    async def _company(self) -> None:
        """Wait until a batch is full or its oldest query has waited long enough."""
        loop = asyncio.get_running_loop()
        while self._queue and not self._queue[0].alone and len(self._queue) < self._batch:
            left = self._queue[0].arrived + self._wait_seconds - loop.time()
            if left <= 0 or self._closed:
                return
            self._came.clear()
            try:
                async with asyncio.timeout(left):
                    await self._came.wait()
            except TimeoutError:
                return

    def _next_batch(self) -> list[_Waiting]:
        """Take the oldest queries of one model out of the queue, without those that nobody waits for any more."""
        batch: list[_Waiting] = []
        others: deque[_Waiting] = deque()
        while self._queue and len(batch) < self._batch:
            query = self._queue.popleft()
            if query.waiters == 0:
                del self._pending[query.key]
                query.future.cancel()
            elif batch and query.key[0] != batch[0].key[0]:
                others.append(query)
            else:
                batch.append(query)
        others.extend(self._queue)
        self._queue = others
        return batch

    def _remember(self, query: _Waiting, vector: Float32Array) -> None:
        del self._pending[query.key]
        query.future.set_result(vector)
        if self._cache_size:
            self._cache[query.key] = vector
            while len(self._cache) > self._cache_size:
                self._cache.popitem(last=False)

    def _fail(self, query: _Waiting, error: BaseException) -> None:
        del self._pending[query.key]
        query.future.set_exception(error)
        query.future.exception()  # all who waited may be gone: then nobody is to be told


def _embed(searcher: Searcher, texts: Sequence[str]) -> list[Float32Array | BaseException]:
    """Run in the worker: return the vector of each text, or what was wrong with it.

    If a batch fails, its halves are tried, and so on: one bad text costs the others a little time, and no more.
    """
    try:
        vectors = searcher.embed(texts)
    except Exception as error:
        if len(texts) == 1:
            return [error]
        middle = len(texts) // 2
        return [*_embed(searcher, texts[:middle]), *_embed(searcher, texts[middle:])]
    found: list[Float32Array | BaseException] = []
    for row in vectors:
        own = row.copy()  # a row would keep its whole batch in memory
        own.flags.writeable = False  # many requests get the same vector
        found.append(own)
    return found


def _stopping() -> ServiceUnavailableError:
    return ServiceUnavailableError("The service is being stopped.", remedy="Try again in a moment.")
