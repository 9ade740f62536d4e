"""``ragflow serve``, the command itself: it says where it listens, answers, and ends as it should."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from ragflow.errors import ServiceUnavailableError, UsageError
from ragflow.pipeline.workspace import Workspace
from ragflow.service.app import create_app
from ragflow.service.serving import address_of, bound
from ragflow_tests.pipeline.archive import QUARRY, ingest, make_workspace, put
from ragflow_tests.service.homes import V1, settings_of

COMMAND = [sys.executable, "-m", "ragflow.cli.main", "serve"]


@pytest.fixture(scope="module")
def served_home(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """An archive of one document, live."""
    workspace = make_workspace(tmp_path_factory.mktemp("serve").resolve() / "home")
    put(workspace, "report.pdf", QUARRY, title="Report")
    (workspace.home.root / "ragflow.toml").write_text(
        '[reading]\nengines = ["text_layer"]\nworkers = 2\n[embedding]\nprecision = "float32"\n'
    )
    assert ingest(workspace).decision == "promoted"
    return workspace


def environment(home: Path, **more: str) -> Mapping[str, str]:
    return {**os.environ, "RAGFLOW_HOME": str(home), **more}


@contextmanager
def started(home: Path, *arguments: str, **more: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Start the command; yield the process and the address that it names."""
    process = subprocess.Popen(
        [*COMMAND, "--json", "--port", "0", *arguments],
        env=environment(home, **more),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        ready, _, _ = select.select([process.stdout], [], [], 120)
        assert ready, "it does not say that it listens"
        line = process.stdout.readline()
        assert line, process.stderr.read() if process.stderr else ""
        yield process, json.loads(line)["address"]
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate(timeout=30)


def test_it_answers_and_ends_after_the_request_under_way(served_home: Workspace) -> None:
    with started(served_home.home.root) as (process, address), httpx.Client(base_url=address, timeout=60) as client:
        assert address.startswith("http://127.0.0.1:")
        found = client.get("/api/v1/search", params={"query": "granite quarry", "top": 1}).json()
        assert found["version"] == V1
        answers: list[httpx.Response] = []
        slow = threading.Thread(target=lambda: answers.append(httpx.get(address + _proof(found), timeout=60)))
        slow.start()
        deadline = time.monotonic() + 30
        while "ragflow_requests_in_flight 2.0" not in client.get("/metrics").text:
            assert time.monotonic() < deadline and not answers, "the slow request was not seen under way"
        process.send_signal(signal.SIGTERM)
        slow.join(60)
        assert answers and answers[0].status_code == 200 and answers[0].json()["point"]
        assert process.wait(60) == 0
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"{address}/health")
    assert not list((served_home.home.vectors / "views").glob("*")), "the open version was given back"


def _proof(found: dict[str, Any]) -> str:
    (hit,) = found["hits"]
    return str(hit["links"]["proof"])


def test_others_are_not_served_without_keys(tmp_path: Path) -> None:
    done = subprocess.run(
        [*COMMAND, "--json", "--host", "0.0.0.0", "--port", "0"],
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=120,
    )
    error = json.loads(done.stdout)["error"]
    assert done.returncode == 2 and "ragflow keys add" in error["remedy"]


def test_a_port_that_is_taken_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ServiceUnavailableError, match=str(port)) as caught:
            bound("127.0.0.1", port)
    assert "--port" in caught.value.remedy


def test_an_address_of_another_machine_is_refused() -> None:
    with pytest.raises(UsageError):
        bound("no.such.host.invalid", 0)


@pytest.mark.parametrize(("host", "begin"), [("127.0.0.1", "http://127.0.0.1:"), ("::1", "http://[::1]:")])
def test_the_address_is_told_as_a_browser_takes_it(host: str, begin: str) -> None:
    try:
        listener = bound(host, 0)
    except ServiceUnavailableError:
        pytest.skip(f"this machine has no {host}")
    with listener:
        assert address_of(listener).startswith(begin)


def test_an_option_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cors_origins"):
        create_app(settings_of(tmp_path, cors_origins=("*",)))
