"""Rate, size, number at once and time, on a small application of its own; slow senders on a real server."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
import uvicorn
from fastapi import FastAPI, Request
from hypothesis import given
from hypothesis import settings as quietly
from hypothesis import strategies as st
from starlette.responses import StreamingResponse
from starlette.testclient import TestClient

from ragflow.errors import UsageError
from ragflow.model.keys import Scope
from ragflow.model.service import ServiceOptions
from ragflow.service import limits, problems
from ragflow.service.limits import Buckets, GuardedProtocol, rated_name
from ragflow.service.security import Caller, identify, key_store
from ragflow.settings import Settings

BASE = "http://127.0.0.1"
ADDRESS = ("192.0.2.7", 4711)


class Work:
    """What the routes of the application wait for, and what became of them."""

    def __init__(self) -> None:
        self.begun = 0
        self.cancelled = 0
        self.may_end = threading.Event()


def application(home: Path, **options: Any) -> tuple[FastAPI, Work]:
    app, work = FastAPI(), Work()
    service = ServiceOptions(**options)
    app.state.service = SimpleNamespace(settings=Settings(home=home, service=service))
    problems.install(app)
    limits.install(app, service)

    @app.get("/health")
    @app.get("/who")
    async def who(request: Request) -> dict[str, str]:
        return {"caller": identify(request.scope).name, "scheme": request.url.scheme}

    @app.post("/size")
    async def size(request: Request) -> dict[str, int]:
        return {"bytes": len(await request.body())}

    @app.get("/waits")
    async def waits() -> dict[str, str]:
        work.begun += 1
        try:
            while not work.may_end.is_set():
                await asyncio.sleep(0.01)
        except asyncio.CancelledError:
            work.cancelled += 1
            raise
        return {}

    @app.get("/thread")
    def thread() -> dict[str, str]:
        work.may_end.wait(60)
        return {}

    @app.get("/stream")
    async def stream() -> StreamingResponse:
        async def pieces() -> AsyncIterator[bytes]:
            for _ in range(5):
                yield b"piece"
                await asyncio.sleep(0.3)

        return StreamingResponse(pieces())

    @app.get("/stalls")
    async def stalls() -> StreamingResponse:
        async def pieces() -> AsyncIterator[bytes]:
            yield b"piece"
            await asyncio.sleep(60)

        return StreamingResponse(pieces())

    return app, work


def client(app: FastAPI, address: tuple[str, int] = ADDRESS) -> TestClient:
    return TestClient(app, base_url=BASE, client=address)


@contextmanager
def served(app: FastAPI) -> Iterator[int]:
    """Serve an application on a free port, with the protocol of the service."""
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(app, http=GuardedProtocol, log_config=None, lifespan="off", proxy_headers=False)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline, "it never came to that"
        time.sleep(0.01)


def received(connection: socket.socket) -> bytes:
    """Read one answer, whose body is one JSON object without another inside."""
    connection.settimeout(30)
    data = b""
    while not data.endswith(b"}"):
        piece = connection.recv(65536)
        assert piece, f"the answer breaks off after {data!r}"
        data += piece
    return data


def check_problem(answer: httpx.Response, status: int, slug: str) -> dict[str, Any]:
    body: dict[str, Any] = answer.json()
    assert (answer.status_code, body["status"], body["type"]) == (status, status, f"urn:ragflow:{slug}"), answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert body["title"] and body["detail"] and body["remedy"] and body["instance"]
    return body


# Rate


def test_who_asks_too_often_must_wait(tmp_path: Path) -> None:
    app, _ = application(tmp_path, requests_per_minute=6, burst=3)
    asking = client(app)
    answers = [asking.get("/who") for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert [answer.headers["RateLimit"].split(";")[1] for answer in answers] == ["r=2", "r=1", "r=0", "r=0"]
    assert {answer.headers["RateLimit-Policy"] for answer in answers} == {'"requests";q=3;w=30'}
    check_problem(answers[3], 429, "too-many-requests")
    assert 1 <= int(answers[3].headers["Retry-After"]) <= 10
    assert asking.get("/health").status_code == 200 and "RateLimit" not in asking.get("/health").headers
    assert client(app, ("192.0.2.8", 1)).get("/who").status_code == 200


def test_a_key_has_a_rate_of_its_own_and_a_false_one_has_none(tmp_path: Path) -> None:
    app, _ = application(tmp_path, requests_per_minute=1, burst=1)
    key, token = key_store(app.state.service.settings).add("me", [Scope.SEARCH])
    asking = client(app)
    assert asking.get("/who").status_code == 200
    # The id of a good key, or a new one each time, does not give an address more than it has.
    for number in range(3):
        for false in (f"rfk_{key.id}_{'a' * 52}", f"rfk_{'abc'[number] * 8}_{'a' * 52}"):
            assert asking.get("/who", headers={"X-API-Key": false}).status_code == 429
    assert asking.get("/who", headers={"X-API-Key": token}).json()["caller"] == f"key:{key.id}"
    assert asking.get("/who", headers={"X-API-Key": token}).status_code == 429


def test_no_limit_on_the_rate_if_none_is_wanted(tmp_path: Path) -> None:
    app, _ = application(tmp_path, requests_per_minute=0, burst=1)
    answers = [client(app).get("/who") for _ in range(5)]
    assert {answer.status_code for answer in answers} == {200} and "RateLimit" not in answers[0].headers


@quietly(deadline=None)
@given(st.integers(1, 1000), st.integers(1, 50), st.lists(st.floats(0, 30, allow_nan=False), min_size=1, max_size=200))
def test_a_bucket_never_gives_more_than_its_rate(per_minute: int, burst: int, pauses: list[float]) -> None:
    now = 0.0
    buckets = Buckets(per_minute, burst, clock=lambda: now)
    granted = 0
    for pause in pauses:
        now += pause
        taken = buckets.take("me")
        granted += not taken.wait
        assert granted <= burst + now * per_minute / 60 + 1e-6
        assert 0 <= taken.left <= burst and taken.full >= 0
        if taken.wait:
            now += taken.wait + 1e-6
            assert not buckets.take("me").wait, "who waits as long as it is told is let in"
            granted += 1


def test_buckets_are_bounded() -> None:
    buckets = Buckets(60, 1, most=100, clock=lambda: 0.0)
    for number in range(1000):
        assert not buckets.take(f"address:{number}").wait
    assert len(buckets) == 100
    assert buckets.take("address:999").wait and not buckets.take("address:0").wait


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("192.0.2.7", "address:192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "address:2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1%eth0", "address:2001:db8:1:2::/64"),
        ("::ffff:192.0.2.7", "address:192.0.2.7"),
        ("", "address:"),
        ("/run/socket", "address:/run/socket"),
    ],
)
def test_addresses_are_counted_by_whom_they_belong_to(address: str, name: str) -> None:
    assert rated_name(Caller(address)) == name


# Proxies


def test_only_a_trusted_proxy_says_who_asked(tmp_path: Path) -> None:
    forwarded = {"X-Forwarded-For": "203.0.113.5, 198.51.100.9", "X-Forwarded-Proto": "https"}
    plain, _ = application(tmp_path)
    behind, _ = application(tmp_path, trusted_proxies=("192.0.2.0/24", "198.51.100.9"))
    assert client(plain).get("/who", headers=forwarded).json() == {"caller": "address:192.0.2.7", "scheme": "http"}
    assert client(behind).get("/who", headers=forwarded).json() == {"caller": "address:203.0.113.5", "scheme": "https"}
    outside = client(behind, ("203.0.113.66", 1)).get("/who", headers=forwarded)
    assert outside.json() == {"caller": "address:203.0.113.66", "scheme": "http"}
    # What the client wrote into the header itself stands further left, and is not looked at.
    lie = {"X-Forwarded-For": "10.0.0.1, 203.0.113.5"}
    assert client(behind).get("/who", headers=lie).json()["caller"] == "address:203.0.113.5"


@pytest.mark.parametrize("proxy", ["*", "proxy.example", "10.0.0.0/99", ""])
def test_a_proxy_is_an_address(tmp_path: Path, proxy: str) -> None:
    with pytest.raises(UsageError, match="trusted_proxies") as caught:
        application(tmp_path, trusted_proxies=(proxy,))
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("name", "value"),
    [("burst", 0), ("requests_per_minute", -1), ("max_body_bytes", 0), ("max_concurrent", 0)]
    + [("timeout_seconds", seconds) for seconds in (0.0, -1.0, float("nan"), float("inf"))],
)
def test_a_limit_that_lets_nothing_through_is_refused(tmp_path: Path, name: str, value: float) -> None:
    with pytest.raises(UsageError, match=name) as caught:
        application(tmp_path, **{name: value})
    assert caught.value.remedy


# Size


@pytest.mark.parametrize("streamed", [False, True])
def test_a_body_has_a_limit(tmp_path: Path, streamed: bool) -> None:
    app, _ = application(tmp_path, max_body_bytes=1000)

    def send(size: int) -> httpx.Response:
        pieces = (b"x" * 100 for _ in range(size // 100))
        return client(app).post("/size", content=pieces if streamed else b"x" * size)

    assert send(1000).json() == {"bytes": 1000}
    refused = send(1100)
    check_problem(refused, 413, "too-large")
    assert refused.headers["Connection"] == "close"
    assert client(app).post("/size").json() == {"bytes": 0}


def test_a_large_body_is_refused_before_it_has_come(tmp_path: Path) -> None:
    app, _ = application(tmp_path, max_body_bytes=1000)
    with served(app) as port, socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(b"POST /size HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 999999999\r\n\r\nonly this")
        assert b"413" in received(connection).splitlines()[0]
        assert connection.recv(65536) == b"", "the server has hung up"


def test_a_body_that_does_not_come_is_given_up(tmp_path: Path) -> None:
    app, _ = application(tmp_path, timeout_seconds=1.0, max_concurrent=1)
    with served(app) as port, socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(b"POST /size HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100\r\n\r\nonly this")
        # It holds no place meanwhile.
        assert httpx.get(f"{BASE}:{port}/who").status_code == 200
        answer = received(connection)
        assert b"408" in answer.splitlines()[0] and b"urn:ragflow:request-timeout" in answer


def test_a_head_that_does_not_come_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also on a connection that has been answered before; one that works on a request is left alone."""
    monkeypatch.setattr(limits, "HEAD_SECONDS", 0.3)
    app, work = application(tmp_path)
    with served(app) as port:
        silent = socket.create_connection(("127.0.0.1", port))
        second = socket.create_connection(("127.0.0.1", port))
        second.sendall(b"GET /who HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert b"200" in received(second).splitlines()[0]
        waiting = socket.create_connection(("127.0.0.1", port))
        waiting.sendall(b"GET /waits HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        for piece in (b"G", b"E", b"T"):
            second.sendall(piece)
        for slow in (silent, second):
            slow.settimeout(30)
            assert slow.recv(65536) == b"", "the server has hung up"
        work.may_end.set()
        assert b"200" in received(waiting).splitlines()[0]
        for connection in (silent, second, waiting):
            connection.close()


def test_a_head_has_a_limit(tmp_path: Path) -> None:
    app, _ = application(tmp_path)
    with served(app) as port, socket.create_connection(("127.0.0.1", port)) as connection:
        connection.settimeout(30)
        connection.sendall(b"GET /who HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Long: " + b"x" * 70_000)
        assert b"400" in connection.recv(65536).splitlines()[0]


# Number at once


def test_more_than_can_be_worked_on_is_refused_at_once(tmp_path: Path) -> None:
    app, work = application(tmp_path, max_concurrent=2)
    with served(app) as port:
        threads = [threading.Thread(target=httpx.get, args=(f"{BASE}:{port}/waits",)) for _ in range(2)]
        for thread in threads:
            thread.start()
        until(lambda: work.begun == 2)
        refused = httpx.get(f"{BASE}:{port}/who")
        check_problem(refused, 503, "overloaded")
        assert refused.headers["Retry-After"] == "1"
        assert httpx.get(f"{BASE}:{port}/health").status_code == 200
        work.may_end.set()
        for thread in threads:
            thread.join()
        assert httpx.get(f"{BASE}:{port}/who").status_code == 200


def test_who_hangs_up_frees_the_place_in_time(tmp_path: Path) -> None:
    app, work = application(tmp_path, max_concurrent=1, timeout_seconds=0.3)
    with served(app) as port:
        connection = socket.create_connection(("127.0.0.1", port))
        connection.sendall(b"GET /waits HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        until(lambda: work.begun == 1)
        connection.close()
        until(lambda: httpx.get(f"{BASE}:{port}/who").status_code == 200)
        assert work.cancelled == 1


# Time


@pytest.mark.parametrize("path", ["/waits", "/thread"])
def test_what_takes_too_long_is_given_up(tmp_path: Path, path: str) -> None:
    app, work = application(tmp_path, timeout_seconds=0.2)
    with served(app) as port:
        check_problem(httpx.get(f"{BASE}:{port}{path}"), 504, "timeout")
        assert work.cancelled == (path == "/waits")
        work.may_end.set()


def test_an_answer_that_comes_piece_by_piece_may_take_longer(tmp_path: Path) -> None:
    app, _ = application(tmp_path, timeout_seconds=1.0)
    with served(app) as port:
        assert httpx.get(f"{BASE}:{port}/stream").content == b"piece" * 5
        with pytest.raises(httpx.RemoteProtocolError):
            httpx.get(f"{BASE}:{port}/stalls")
        assert httpx.get(f"{BASE}:{port}/who").status_code == 200
