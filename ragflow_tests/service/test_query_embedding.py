"""Queries are embedded together, once each, and one's trouble is not another's. The model is the real one."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence

import numpy as np
import pytest

from ragflow.errors import BadInputError, ServiceUnavailableError
from ragflow.model.points import Float32Array
from ragflow.pipeline.searching import Searcher
from ragflow.pipeline.workspace import EmbeddingOptions, Workspace
from ragflow.service.query_embedding import QueryEmbedder
from ragflow.store.home import Home
from ragflow.vectors.protocols import CollectionSettings

NEVER_MS = 3_600_000.0
QUERIES = [f"the {word} of the harbour" for word in ("quarry", "crane", "orchard", "windmill", "ferry", "bell")]


class Recording(Searcher):
    """A searcher that notes which texts were embedded together, and holds the worker back until it is let go."""

    def __init__(self, workspace: Workspace, model: str | None = None) -> None:
        super().__init__(workspace, "v000001")
        self.calls: list[list[str]] = []
        self.go = threading.Event()
        self.go.set()
        self.entered = threading.Event()
        self.model_sha256 = model or self.model_sha256

    def embed(self, queries: Sequence[str]) -> Float32Array:
        self.calls.append(list(queries))
        self.entered.set()
        assert self.go.wait(60)
        return super().embed(queries)

    async def busy(self, embedder: QueryEmbedder) -> asyncio.Task[Float32Array]:
        """Return a query that keeps the worker until ``go`` is set."""
        self.go.clear()
        self.entered.clear()
        task = asyncio.create_task(embedder.embed(self, "the first of all"))
        assert await asyncio.to_thread(self.entered.wait, 60)
        return task


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """An empty version, whose searcher embeds as any other's."""
    home = Home(tmp_path_factory.mktemp("queries") / "home")
    workspace = Workspace(home, embedding=EmbeddingOptions(precision="float32", threads=1))
    with workspace.versions().create("v000001", CollectionSettings(workspace.dense().dimension)) as writer:
        writer.finish()
    return workspace


def embedded(searcher: Searcher, text: str) -> Float32Array:
    (vector,) = Searcher.embed(searcher, [text])
    return vector


def test_queries_that_come_while_the_worker_is_busy_go_together(workspace: Workspace) -> None:
    async def ask() -> None:
        embedder = QueryEmbedder(batch=4, wait_ms=0)
        with Recording(workspace) as searcher:
            first = await searcher.busy(embedder)
            others = [asyncio.create_task(embedder.embed(searcher, query)) for query in QUERIES]
            await asyncio.sleep(0)
            searcher.go.set()
            vectors = await asyncio.gather(*others)
            await first
            assert [len(call) for call in searcher.calls] == [1, 4, 2]
            assert (embedder.batches, embedder.embedded, embedder.misses) == (3, 7, 7)
            for query, vector in zip(QUERIES, vectors, strict=True):
                assert float(np.dot(vector, embedded(searcher, query))) >= 0.9999
                assert not vector.flags.writeable
        await embedder.aclose()

    asyncio.run(ask())


def test_a_lone_query_waits_for_nobody_and_a_full_batch_for_nothing(workspace: Workspace) -> None:
    async def ask() -> None:
        embedder = QueryEmbedder(batch=2, wait_ms=NEVER_MS)
        with Recording(workspace) as searcher:
            await asyncio.wait_for(embedder.embed(searcher, QUERIES[0]), 60)
            first = await searcher.busy(embedder)
            second, third = (asyncio.create_task(embedder.embed(searcher, query)) for query in QUERIES[1:3])
            await asyncio.sleep(0)
            searcher.go.set()
            await asyncio.wait_for(asyncio.gather(first, second, third), 60)
            assert [len(call) for call in searcher.calls] == [1, 1, 2]
        await embedder.aclose()

    asyncio.run(ask())


def test_one_that_found_the_worker_busy_waits_for_company(workspace: Workspace) -> None:
    async def ask() -> None:
        embedder = QueryEmbedder(batch=2, wait_ms=NEVER_MS)
        with Recording(workspace) as searcher:
            first = await searcher.busy(embedder)
            second = asyncio.create_task(embedder.embed(searcher, QUERIES[1]))
            await asyncio.sleep(0)
            searcher.go.set()
            await first
            assert not second.done()
            third = asyncio.create_task(embedder.embed(searcher, QUERIES[2]))
            await asyncio.wait_for(asyncio.gather(second, third), 60)
            assert [len(call) for call in searcher.calls] == [1, 2]
        await embedder.aclose()

    asyncio.run(ask())


def test_what_is_known_is_not_embedded_again_and_what_is_rare_is_forgotten(workspace: Workspace) -> None:
    async def ask() -> None:
        embedder = QueryEmbedder(cache=2)
        with Recording(workspace) as searcher:
            one, two, three = QUERIES[:3]
            vectors = [await embedder.embed(searcher, query) for query in (one, two, one, three, one, two)]
            assert searcher.calls == [[one], [two], [three], [two]]
            assert (embedder.hits, embedder.misses) == (2, 4)
            assert vectors[0] is vectors[2] is vectors[4]
        await embedder.aclose()

    asyncio.run(ask())


def test_the_same_query_of_many_is_embedded_once_and_one_who_leaves_harms_nobody(workspace: Workspace) -> None:
    async def ask() -> None:
        embedder = QueryEmbedder(cache=0)
        with Recording(workspace) as searcher:
            first = await searcher.busy(embedder)
            same = [asyncio.create_task(embedder.embed(searcher, QUERIES[0])) for _ in range(5)]
            given_up = asyncio.create_task(embedder.embed(searcher, QUERIES[1]))
            await asyncio.sleep(0)
            same[0].cancel()
            given_up.cancel()
            await asyncio.sleep(0)
            searcher.go.set()
            vectors = await asyncio.gather(*same[1:])
            await first
            assert searcher.calls[1:] == [[QUERIES[0]]]
            assert embedder.joined == 4
            assert all(vector is vectors[0] for vector in vectors)
            # What was given up can be asked again.
            assert (await embedder.embed(searcher, QUERIES[1])).shape == vectors[0].shape
        await embedder.aclose()

    asyncio.run(ask())


def test_a_text_that_cannot_be_embedded_fails_alone(workspace: Workspace) -> None:
    async def ask() -> None:
        embedder = QueryEmbedder(wait_ms=0)
        with Recording(workspace) as searcher:
            first = await searcher.busy(embedder)
            texts = [*QUERIES[:2], "half a pair: \ud800", *QUERIES[2:]]
            tasks = [asyncio.create_task(embedder.embed(searcher, text)) for text in texts]
            await asyncio.sleep(0)
            searcher.go.set()
            answers = await asyncio.gather(*tasks, return_exceptions=True)
            await first
            assert len(searcher.calls[1]) == len(texts)
            assert isinstance(answers[2], BadInputError)
            for text, answer in zip(texts, answers, strict=True):
                if text in QUERIES:
                    assert isinstance(answer, np.ndarray)
                    assert float(np.dot(answer, embedded(searcher, text))) >= 0.9999
            # It is not remembered as if it were an answer.
            with pytest.raises(BadInputError):
                await embedder.embed(searcher, texts[2])
        await embedder.aclose()

    asyncio.run(ask())


def test_models_are_not_mixed(workspace: Workspace) -> None:
    async def ask() -> None:
        embedder = QueryEmbedder(wait_ms=0)
        with Recording(workspace) as old, Recording(workspace, model="another") as new:
            first = await old.busy(embedder)
            asked = [(searcher, query) for query in QUERIES[:3] for searcher in (old, new)]
            tasks = [asyncio.create_task(embedder.embed(searcher, query)) for searcher, query in asked]
            await asyncio.sleep(0)
            old.go.set()
            await asyncio.gather(first, *tasks)
            assert old.calls[1:] == [QUERIES[:3]]
            assert new.calls == [QUERIES[:3]]
            assert embedder.hits == embedder.joined == 0
        await embedder.aclose()

    asyncio.run(ask())


def test_who_waits_when_the_service_stops_is_told(workspace: Workspace) -> None:
    async def ask() -> None:
        embedder = QueryEmbedder()
        with Recording(workspace) as searcher:
            first = await searcher.busy(embedder)
            waiting = asyncio.create_task(embedder.embed(searcher, QUERIES[0]))
            await asyncio.sleep(0)
            closing = asyncio.create_task(embedder.aclose())
            with pytest.raises(ServiceUnavailableError):
                await waiting
            searcher.go.set()
            assert (await first).shape == embedded(searcher, "x").shape
            await closing
            with pytest.raises(ServiceUnavailableError):
                await embedder.embed(searcher, QUERIES[1])

    asyncio.run(ask())
