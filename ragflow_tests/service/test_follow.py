"""A release and a rollback while the service is under load: nothing is lost, and each answer is of one version."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable

import httpx
import psutil
import pytest

from ragflow.pipeline.release import rollback
from ragflow.pipeline.workspace import Workspace
from ragflow.service import live, search_process
from ragflow_tests.pipeline.archive import ingest, put
from ragflow_tests.service.homes import LATER, V1, V2, Service, running, settings_of

V3 = "v000003"
CLIENTS = 4
QUERIES = ("granite quarry", "the ferry across the lake", "lighthouse keeper", "une école froide", "cattle market")


class Load:
    """Clients that search without a pause, and note every answer."""

    def __init__(self, service: Service) -> None:
        self.seen: Counter[str] = Counter()
        self.wrong: list[str] = []
        self._service = service
        self._end = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._search, args=(n,)) for n in range(CLIENTS)]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        for thread in self._threads:
            thread.join(60)

    def wait_for(self, version: str, answers: int = 20) -> None:
        """Wait until a version has given so many answers more."""
        wanted = self.seen[version] + answers
        deadline = time.monotonic() + 60
        while self.seen[version] < wanted:
            assert time.monotonic() < deadline, (version, dict(self.seen), self.wrong)
            time.sleep(0.02)

    def _search(self, number: int) -> None:
        with self._service.client() as client:
            while not self._end.is_set():
                for shift in range(len(QUERIES)):
                    query = QUERIES[(number + shift) % len(QUERIES)]
                    self._note(client, query)

    def _note(self, client: httpx.Client, query: str) -> None:
        try:
            answer = client.post("/api/v1/search", json={"query": query, "top": 5, "words": True})
            found = answer.json()
            with self._lock:
                if answer.status_code != 200:
                    self.wrong.append(answer.text)
                    return
                versions = {hit["collection_version"] for hit in found["hits"]}
                if versions - {found["version"]} or not found["hits"]:
                    self.wrong.append(f"{query}: {versions} in an answer of {found['version']}")
                self.seen[found["version"]] += 1
        except httpx.HTTPError as error:
            with self._lock:
                self.wrong.append(repr(error))


@pytest.mark.parametrize("beside", [True, False], ids=["search process", "alone"])
def test_release_and_rollback_under_load_lose_nothing(changing: Workspace, beside: bool) -> None:
    with running(settings_of(changing.home.root, requests_per_minute=0, search_process=beside)) as service:
        with Load(service) as load:
            load.wait_for(V2)
            put(changing, "market.pdf", "The cattle market moves to the lower meadow after the flood.", title="Market")
            assert ingest(changing).live == V3
            load.wait_for(V3)
            rollback(changing, V1)
            load.wait_for(V1)
            rollback(changing, V3)
            load.wait_for(V3)
        assert load.wrong == []
        assert set(load.seen) == {V1, V2, V3}
        with service.client() as client:
            found = client.get("/api/v1/search", params={"query": "cattle market", "top": 1}).json()
            assert found["hits"][0]["document"]["key"] == "inbox/market.pdf"
            assert found["released_at"] == list(changing.home.releases)[-1].decided_at, "not that of its first time"
            assert client.get("/api/v1/documents", params={"key": LATER}).status_code == 200
    assert service.state.live.version is None, "stopped: nothing is open any more"


def test_no_request_is_lost_when_the_search_process_dies_or_hangs(
    home: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search_process, "HUNG_SECONDS", 1.0)
    with running(settings_of(home.home.root, requests_per_minute=0, search_process=True)) as service:
        with Load(service) as load:
            for end in (signal.SIGKILL, signal.SIGSTOP):
                load.wait_for(V2)
                old = pid_of(service)
                assert old is not None
                os.kill(old, end)
                load.wait_for(V2)
                wait_for(lambda: pid_of(service) not in (None, old))  # noqa: B023
                assert not psutil.pid_exists(old)
        assert load.wrong == [] and load.seen.keys() == {V2}
        last = pid_of(service)
        assert last is not None
    assert not psutil.pid_exists(last), "it ends with the service"


def test_a_spare_process_takes_the_next_version(changing: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "SPARE_AFTER_SECONDS", 0.0)
    with running(settings_of(changing.home.root, search_process=True)) as service:
        wait_for(lambda: len(service.state.live.pids) == 2)
        serving, spare = service.state.live.pids
        assert serving == pid_of(service)
        versions = changing.versions()
        versions.move_alias(V1, expected=V2, moved_at="2026-01-02T03:04:05Z")
        wait_for(lambda: service.state.live.version == V1)
        process = service.state.live.process(V1)
        assert process is not None and process.pid == spare
        wait_for(lambda: not psutil.pid_exists(serving))
        with service.client() as client:
            assert client.get("/api/v1/search", params={"query": "quarry"}).json()["version"] == V1
            resident = client.get("/health/detailed").json()["parts"]["memory"]["figure"]
            assert resident > psutil.Process().memory_info().rss + psutil.Process(spare).memory_info().rss / 2
        os.kill(spare, signal.SIGKILL)
        wait_for(lambda: service.state.live.process(V1) is not None and service.state.live.process(V1) is not process)


def test_the_search_process_ends_when_the_service_is_killed(home: Workspace) -> None:
    environment = {**os.environ, "RAGFLOW_HOME": str(home.home.root), "RAGFLOW_SERVICE__PORT": "0"}
    command = [sys.executable, "-m", "ragflow.cli.main", "serve", "--json"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) as serving:
        assert serving.stdout is not None and serving.stdout.readline(), "it does not start"
        (beside,) = psutil.Process(serving.pid).children()
        serving.kill()
    beside.wait(30)


def pid_of(service: Service) -> int | None:
    process = service.state.live.process(V2)
    return process.pid if process is not None else None


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)
