"""What is true of the server engine beyond the contract: connections, keys, writing."""

from __future__ import annotations

import socket
import threading
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ragflow.errors import (
    RagflowError,
    ServiceUnavailableError,
    UsageError,
)
from ragflow.vectors.protocols import CollectionSettings
from ragflow.vectors.server import ServerVersionStore
from ragflow.vectors.server_connection import RefusedError
from ragflow.vectors.server_options import ServerOptions
from ragflow.vectors.server_requests import shared_requests
from ragflow_tests.vectors.builders import DIMENSION, MOVED_AT, hashes, make_points
from ragflow_tests.vectors.contract import SETTINGS, build, everything
from ragflow_tests.vectors.machines import ALIASES, COLLECTION, HANG_UP, POINTS, machine
from ragflow_tests.vectors.rest_server import Answer, Request, RestServer, failing


@pytest.mark.parametrize("status", [HANG_UP, 429, 500, 503])
def test_what_may_pass_is_tried_again(server: RestServer, store: ServerVersionStore, status: int) -> None:
    points = make_points(5)
    with store.create("v000001", SETTINGS) as writer:
        server.faults.append(failing(2, status, "PUT", POINTS))
        writer.upsert(points)
        assert writer.count() == 5
        writer.finish()
    assert len(server.requests("PUT", POINTS)) == 3
    with store.open("v000001") as reader:
        assert hashes(everything(reader)) == hashes(points)


def test_a_server_that_asks_for_time_gets_it(
    server: RestServer, store: ServerVersionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    with store.create("v000001", SETTINGS) as writer:
        # The module's own name for it: other threads, the lease's among them, sleep as ever.
        monkeypatch.setattr("ragflow.vectors.server_connection.time", SimpleNamespace(sleep=waits.append))
        server.faults.append(failing(1, 429, "POST", f"{POINTS}/delete", **{"Retry-After": "7"}))
        server.faults.append(failing(2, 503, "POST", f"{POINTS}/delete"))
        writer.delete([make_points(1)[0].id])
        monkeypatch.undo()
    assert waits[0] == 7
    assert all(0.75 * 0.01 * 2**n <= wait <= 1.25 * 0.01 * 2**n for n, wait in zip((1, 2), waits[1:], strict=True))


def test_then_it_is_an_error_of_the_service(server: RestServer, store: ServerVersionStore) -> None:
    with store.create("v000001", SETTINGS) as writer:
        server.faults.append(failing(99, 503, "PUT", POINTS))
        with pytest.raises(ServiceUnavailableError, match=r"write to ragflow-v000001.*as told") as caught:
            writer.upsert(make_points(5))
            writer.count()
    assert caught.value.exit_code == 5 and caught.value.remedy
    assert len(server.requests("PUT", POINTS)) == 1 + ServerOptions(server.url).retries
    assert store.versions() == []


def test_nobody_listens() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        options = ServerOptions(f"http://127.0.0.1:{free.getsockname()[1]}", retries=1, retry_seconds=0.01)
        with pytest.raises(ServiceUnavailableError, match="Connect"):
            machine(options).versions()


def test_what_cannot_pass_is_not_tried_again(server: RestServer, store: ServerVersionStore) -> None:
    server.faults.append(failing(1, 400, "GET", "/aliases"))
    with pytest.raises(RefusedError, match="as told"):
        store.alias()
    server.faults[:] = [lambda r: Answer(200, b"<html>hello") if r.path == "/aliases" else None]
    with pytest.raises(RefusedError, match="cannot be read"):
        store.alias()
    server.faults[:] = [lambda r: Answer(307, b"", {"Location": "http://127.0.0.1:9/aliases"})]
    with pytest.raises(RefusedError, match="307"):
        store.alias()
    assert len(server.requests("GET", "/aliases")) == 3


def test_an_answer_that_got_lost_does_not_make_a_change_fail(server: RestServer, store: ServerVersionStore) -> None:
    server.after.append(failing(1, HANG_UP, "PUT", COLLECTION))
    build(store, "v000001", make_points(3))
    server.after.append(failing(1, HANG_UP, "POST", ALIASES))
    store.move_alias("v000001", expected=None, moved_at=MOVED_AT)
    server.after.append(failing(1, HANG_UP, "POST", ALIASES))
    store.drop_alias(expected="v000001")
    assert store.alias() is None
    server.after.append(failing(1, HANG_UP, "DELETE", COLLECTION))
    store.discard("v000001")
    assert store.versions() == []
    assert all(not fault(Request("", "", {}, {}, b"")) for fault in server.after)


def test_a_proxy_of_the_environment_gets_nothing_that_is_not_encrypted(
    store: ServerVersionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    assert store.versions() == []


def test_an_old_server_is_refused(tmp_path: Path) -> None:
    with RestServer(tmp_path, version="1.18.2").running() as server, pytest.raises(UsageError, match=r"1\.18\.2"):
        machine(ServerOptions(server.url)).versions()


def test_a_process_shares_its_connection_and_a_fork_does_not(
    options: ServerOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = shared_requests(options)
    assert shared_requests(replace(options)) is ours
    monkeypatch.setattr("os.getpid", lambda: 1)
    assert shared_requests(options) is not ours


# Keys


def test_a_wrong_key_is_said_clearly_and_once(server: RestServer, options: ServerOptions) -> None:
    server.key = "right-key"
    for key in ("wrong-key", None):
        with pytest.raises(UsageError, match="API key") as caught:
            machine(options, api_key=key).versions()
        assert "wrong-key" not in str(caught.value)
    assert len(server.seen) == 2
    store = machine(options, api_key="right-key")
    build(store, "v000001", make_points(3))
    with store.clone("v000001", "v000002", SETTINGS) as writer:
        writer.finish()
    # The server fetches its own snapshot, and needs the key for it.
    assert len(server.requests("PUT", f"{COLLECTION}/snapshots/recover")) == 1
    assert len(server.requests("PUT", POINTS)) == 1


def test_a_key_is_not_sent_where_others_could_read_it() -> None:
    for url in (
        "http://qdrant.example:6333",
        "http://localhost.example",
        "http://10.0.0.7:6333",
        "http://127.0.0.1.nip",
    ):
        with pytest.raises(UsageError, match="plain http"):
            ServerOptions(url, api_key="k")
    with pytest.raises(UsageError, match="without knowing"):
        ServerOptions("https://qdrant.example", api_key="k", verify=False)
    for url in (
        "http://localhost:6333",
        "http://127.0.0.1",
        "http://127.8.9.1:1",
        "http://[::1]:6333",
        "https://q.example",
    ):
        assert "k3y" not in repr(ServerOptions(url, api_key="k3y"))
    ServerOptions("http://qdrant.example:6333")


@pytest.mark.parametrize(
    "changes",
    [
        {"url": ""},
        {"url": "qdrant.example:6333"},
        {"url": "ftp://qdrant.example"},
        {"url": "http://"},
        {"url": "http://q:99999"},
        {"url": "https://user:secret@q"},
        {"url": "https://q?api-key=1"},
        {"prefix": ""},
        {"prefix": "a/b"},
        {"prefix": "-a"},
        {"prefix": "a" * 65},
        {"parallel": 0},
        {"batch": 0},
        {"retries": -1},
        {"wait_seconds": float("nan")},
        {"ca_file": Path("nowhere.pem")},
        {"url": "https://q", "prefer_grpc": True, "verify": False},
    ],
)
def test_refuses_options_that_make_no_sense(changes: dict[str, Any]) -> None:
    with pytest.raises(UsageError) as caught:
        ServerOptions(**{"url": "http://localhost", **changes})
    assert caught.value.remedy and "secret" not in str(caught.value)


def test_addresses() -> None:
    assert ServerOptions("https://q.example/").address == "https://q.example:6333"
    assert ServerOptions("https://q.example:443/qdrant/").address == "https://q.example:443/qdrant"
    assert ServerOptions("http://[::1]").address == "http://[::1]:6333"


# Writing


def test_no_more_batches_are_under_way_than_asked_for(server: RestServer, options: ServerOptions) -> None:
    points = make_points(95)
    going_on, most, go = threading.Condition(), [0, 0], threading.Semaphore(0)

    def hold(request: Request) -> Answer | None:
        if request.method == "PUT" and request.path.endswith("/points"):
            with going_on:
                most[0] += 1
                most[1] = max(most)
                going_on.notify_all()
            go.acquire()
            with going_on:
                most[0] -= 1
        return None

    with machine(options, parallel=3, batch=10).create("v000001", SETTINGS) as writer:
        server.faults.append(hold)
        writing = threading.Thread(target=writer.upsert, args=(points,))
        writing.start()
        with going_on:
            assert going_on.wait_for(lambda: most[0] == 3, timeout=60)
        assert writing.is_alive()  # the fourth has to wait
        for _ in range(10):
            go.release()
        writing.join()
        assert writer.count() == 95
        writer.finish()
    assert most[1] == 3
    assert len(server.requests("PUT", POINTS)) == 10


def test_the_last_of_two_points_counts_however_many_batches_are_under_way(options: ServerOptions) -> None:
    first, second, third = (make_points(40, seed=seed) for seed in (1, 2, 3))
    store = machine(options, parallel=8, batch=5)
    with store.create("v000001", SETTINGS) as writer:
        writer.upsert([*first, *second])
        writer.upsert(third[:20])
        assert hashes(everything(writer)) == hashes([*third[:20], *second[20:]])
        writer.delete([point.id for point in third])
        writer.upsert(first[:1])
        writer.finish()
    with store.open("v000001") as reader:
        assert hashes(everything(reader)) == hashes(first[:1])


def test_settings_reach_the_server(server: RestServer, store: ServerVersionStore) -> None:
    settings = CollectionSettings(DIMENSION, 24, 200, 1_000, quantization="int8", shards=3, replicas=2, text_index=True)
    build(store, "v000001", make_points(3), settings)
    assert store.settings("v000001") == settings
    (request,) = server.requests("PUT", COLLECTION)
    asked = request.body()
    assert asked["vectors"] == {"dense": {"size": DIMENSION, "distance": "Cosine"}}
    assert asked["sparse_vectors"] == {"sparse": {"modifier": "idf"}}
    assert asked["hnsw_config"] == {"m": 24, "ef_construct": 200, "full_scan_threshold": 63}
    assert asked["optimizers_config"]["indexing_threshold"] == 63  # kilobytes: 1,000 vectors of 64 bytes
    assert asked["quantization_config"] == {"scalar": {"type": "int8", "quantile": 0.99}}
    assert (asked["shard_number"], asked["replication_factor"], asked["write_consistency_factor"]) == (3, 2, 2)
    indexes = server.collections["ragflow-v000001"].indexes
    assert set(indexes) == {"document_key", "source", "language", "engine", "page_number", "text"}
    with store.open("v000001") as reader:
        reader.search_dense(make_points(1)[0].dense, 2)
    (query,) = server.requests("POST", f"{POINTS}/query")
    assert query.body()["params"] == {"quantization": {"rescore": True, "oversampling": 3.0}}


def test_a_collection_that_is_not_indexed_in_time_is_no_version(server: RestServer, options: ServerOptions) -> None:
    store = machine(options, wait_seconds=1)
    with store.create("v000001", SETTINGS) as writer:
        server.state = {"status": "yellow"}
        with pytest.raises(ServiceUnavailableError, match="yellow"):
            writer.finish()
    assert store.versions() == []


def test_a_collection_is_complete_once_the_server_has_nothing_left_to_do(
    server: RestServer, store: ServerVersionStore
) -> None:
    states = [
        {"status": "yellow"},
        {"status": "green", "update_queue": {"length": 2}},
        {"status": "green", "update_queue": {"length": 0, "deferred_points": 5}},
        {"status": "grey"},
    ]

    def step(request: Request) -> Answer | None:
        if request.method == "GET" and request.path.endswith("v000001") and server.state.get("status") != "grey":
            server.state = states.pop(0) if states else {}
        return None

    with store.create("v000001", SETTINGS) as writer:
        writer.upsert(make_points(3))
        server.faults.append(step)
        assert writer.finish().optimized
    assert states == []
    updates = [request.body() for request in server.requests("PATCH", COLLECTION)]
    assert updates[0] == {"optimizers_config": {}} and "metadata" in updates[-1]
    assert store.versions() == ["v000001"]


@pytest.mark.parametrize("state", [{"status": "red"}, {"optimizer_status": {"error": "no space left"}}])
def test_a_server_that_cannot_index_is_not_waited_for(
    server: RestServer, store: ServerVersionStore, state: dict[str, Any]
) -> None:
    with store.create("v000001", SETTINGS) as writer:
        server.state = state
        with pytest.raises(RagflowError, match="cannot index"):
            writer.finish()
