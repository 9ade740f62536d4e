"""A process that searches gives the same answers and the same errors as the service itself."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import TypeVar

import orjson
import psutil
import pytest

from ragflow.errors import NotFoundError, UsageError
from ragflow.pipeline.hits import SearchMode
from ragflow.pipeline.searching import Searcher
from ragflow.pipeline.workspace import Workspace
from ragflow.service import search_process
from ragflow.service.search_process import SearchProcess
from ragflow.service.search_tasks import Found, SearchTask, find
from ragflow.store.forgotten import Kind
from ragflow.vectors.protocols import AnyOf, Between
from ragflow_tests.service.homes import REPORT, V1, V2

T = TypeVar("T")
QUERY = "the granite quarry"


@pytest.fixture(scope="module")
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    """A loop that runs in a thread."""
    made = asyncio.new_event_loop()
    thread = threading.Thread(target=made.run_forever)
    thread.start()
    yield made
    made.call_soon_threadsafe(made.stop)
    thread.join()
    made.close()


@pytest.fixture(scope="module")
def searcher(home: Workspace) -> Iterator[Searcher]:
    with Searcher(home, V2) as opened:
        yield opened


@pytest.fixture(scope="module")
def started(
    home: Workspace, searcher: Searcher, loop: asyncio.AbstractEventLoop
) -> Iterator[Callable[[Workspace, str], SearchProcess]]:
    """Starts processes, which are ended in the end."""
    processes: list[SearchProcess] = []

    def start(workspace: Workspace, version: str) -> SearchProcess:
        processes.append(SearchProcess(workspace, loop))
        processes[-1].open(version, searcher.embed([QUERY])[0])
        return processes[-1]

    yield start
    for process in processes:
        process.close()


@pytest.fixture(scope="module")
def process(home: Workspace, started: Callable[[Workspace, str], SearchProcess]) -> SearchProcess:
    return started(home, V2)


@pytest.fixture
def ask(process: SearchProcess, loop: asyncio.AbstractEventLoop) -> Callable[[SearchTask], Found | None]:
    return partial(asked, process, loop)


def asked(process: SearchProcess, loop: asyncio.AbstractEventLoop, task: SearchTask) -> Found | None:
    return asyncio.run_coroutine_threadsafe(process.find(task), loop).result(60)


def task_of(searcher: Searcher, **changes: object) -> SearchTask:
    task = SearchTask(QUERY, searcher.embed([QUERY])[0], 5, SearchMode.HYBRID)
    return replace(task, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"mode": SearchMode.DENSE},
        {"mode": SearchMode.SPARSE, "vector": None},
        {"where": {"document_key": AnyOf((REPORT, "nowhere.pdf")), "page_number": Between(1, 3)}},
        {"where": {"language": "fr"}, "min_score": 0.0, "per_document": 1, "diversity": 0.5, "top": 2},
        {"min_score": 2.0},
    ],
    ids=str,
)
def test_it_finds_what_is_found_here(
    ask: Callable[[SearchTask], Found | None], searcher: Searcher, home: Workspace, changes: dict[str, object]
) -> None:
    task = task_of(searcher, **changes)
    there, here = ask(task), find(searcher, home.home.absences, task)
    assert there is not None
    assert (there.count, orjson.loads(there.hits)) == (here.count, orjson.loads(here.hits))
    assert there.stages.keys() == here.stages.keys()
    assert (there.count == 0) == ("min_score" in changes and task.top == 5)


@pytest.mark.parametrize("changes", [{"query": " "}, {"top": 0}, {"vector": None}, {"diversity": 2.0}], ids=str)
def test_its_errors_are_those_of_here(
    ask: Callable[[SearchTask], Found | None], searcher: Searcher, home: Workspace, changes: dict[str, object]
) -> None:
    task = task_of(searcher, **changes)
    with pytest.raises(UsageError) as there:
        ask(task)
    with pytest.raises(UsageError) as here:
        find(searcher, home.home.absences, task)
    assert (there.value.message, there.value.remedy) == (here.value.message, here.value.remedy)
    assert there.value.remedy


def test_a_version_that_is_not_there(home: Workspace, searcher: Searcher, loop: asyncio.AbstractEventLoop) -> None:
    process = SearchProcess(home, loop, patient=True)
    with pytest.raises(NotFoundError):
        process.open("v000099", searcher.embed([QUERY])[0])
    process.close()
    assert not psutil.pid_exists(process.pid)


def test_what_is_forgotten_is_not_found(
    changing: Workspace,
    searcher: Searcher,
    loop: asyncio.AbstractEventLoop,
    started: Callable[[Workspace, str], SearchProcess],
) -> None:
    process, task = started(changing, V1), task_of(searcher)
    before = asked(process, loop, task)
    assert before is not None
    first = orjson.loads(before.hits)[0]["document"]["sha256"]
    changing.home.absences.add([first], Kind.FORGOTTEN, "asked for")
    after = asked(process, loop, task)
    assert after is not None and 0 < after.count < before.count
    assert first not in {hit["document"]["sha256"] for hit in orjson.loads(after.hits)}


def test_a_search_that_fails_there_is_told_and_left_to_the_service(
    ask: Callable[[SearchTask], Found | None], searcher: Searcher, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR, logger="ragflow"):
        assert ask(task_of(searcher, vector="no vector")) is None
    assert any("a search failed" in record.getMessage() for record in caplog.records), "its log comes over here"
    assert ask(task_of(searcher)) is not None, "and it goes on"


def test_too_many_are_not_taken(
    process: SearchProcess, loop: asyncio.AbstractEventLoop, searcher: Searcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search_process, "MOST_WAITING", 3)
    task = task_of(searcher)

    async def many() -> list[Found | None]:
        return await asyncio.gather(*(process.find(task) for _ in range(10)))

    found = asyncio.run_coroutine_threadsafe(many(), loop).result(60)
    assert [one is not None for one in found] == [True] * 3 + [False] * 7
    assert process.is_well


def test_who_waits_is_told_when_it_is_closed(
    home: Workspace,
    searcher: Searcher,
    loop: asyncio.AbstractEventLoop,
    started: Callable[[Workspace, str], SearchProcess],
) -> None:
    process = started(home, V2)
    psutil.Process(process.pid).suspend()
    waiting = asyncio.run_coroutine_threadsafe(process.find(task_of(searcher)), loop)
    closing = threading.Thread(target=process.close)
    closing.start()
    assert waiting.result(60) is None
    closing.join()
    assert not process.is_well and not psutil.pid_exists(process.pid)
    assert asked(process, loop, task_of(searcher)) is None
