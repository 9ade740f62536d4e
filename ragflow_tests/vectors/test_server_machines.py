"""Several machines that use one server: who builds, and what is live."""

from __future__ import annotations

import multiprocessing
import threading
from contextlib import suppress

import pytest

from ragflow.errors import (
    CheckFailedError,
    IntegrityError,
    NotFoundError,
    UsageError,
)
from ragflow.vectors.server import ServerVersionStore
from ragflow.vectors.server_options import ServerOptions
from ragflow.vectors.server_requests import Requests
from ragflow_tests.vectors import children
from ragflow_tests.vectors.builders import MOVED_AT, hashes, make_points
from ragflow_tests.vectors.contract import SETTINGS, build, everything
from ragflow_tests.vectors.machines import ALIASES, COLLECTION, machine, once
from ragflow_tests.vectors.rest_server import RestServer, failing

SPAWN = multiprocessing.get_context("spawn")


def test_of_two_machines_one_builds_a_version(server: RestServer, options: ServerOptions) -> None:
    ours, theirs = machine(options, lease_seconds=9), machine(options, lease_seconds=9)
    with ours.create("v000001", SETTINGS) as writer:
        for use in (theirs.create, lambda v, s: theirs.clone("v000001", v, s), lambda v, s: theirs.discard(v)):
            with pytest.raises((CheckFailedError, NotFoundError)):
                use("v000001", SETTINGS)
        writer.upsert(make_points(3))
        writer.finish()
    assert theirs.versions() == ["v000001"]
    # Both find nothing, and create: the server lets one of them.
    server.faults.append(once("PUT", "/collections/ragflow-v000002", lambda: build(theirs, "v000002", [])))
    with pytest.raises(CheckFailedError, match="v000002"):
        ours.create("v000002", SETTINGS)
    assert ours.versions() == ["v000001", "v000002"]


def test_a_killed_build_leaves_no_version_and_is_given_up_after_its_lease(
    server: RestServer, options: ServerOptions
) -> None:
    ours, theirs = SPAWN.Pipe()
    child = SPAWN.Process(target=children.build_on_server, args=(options, theirs))
    child.start()
    while ours.recv() < 2000:
        pass
    child.kill()
    child.join()
    assert server.collections["ragflow-v000002"].metadata["ragflow"]["state"] == "building"
    store = machine(options, lease_seconds=3)
    assert store.versions() == []
    points = make_points(30, seed=4)
    build(store, "v000002", points)
    with store.open("v000002") as reader:
        assert hashes(everything(reader)) == hashes(points)


def test_who_was_taken_for_dead_stops(server: RestServer, options: ServerOptions) -> None:
    ours, theirs = machine(options, lease_seconds=4), machine(options, lease_seconds=4)
    silent = threading.Event()
    cut_off = failing(-1, 503, "GET", COLLECTION)
    server.faults.append(lambda r: cut_off(r) if silent.is_set() and r.headers.get("user-agent") == "ours" else None)
    ours_requests = ours._requests
    ours_requests.admin.http.client._client.headers["User-Agent"] = "ours"
    with ours.create("v000001", SETTINGS) as writer:
        silent.set()
        build(theirs, "v000001", make_points(3))
        silent.clear()
        with pytest.raises(CheckFailedError, match="v000001"):
            writer.finish()
    assert theirs.versions() == ["v000001"]
    theirs.check_files("v000001")


def test_a_collection_of_somebody_else_is_left_alone(server: RestServer, store: ServerVersionStore) -> None:
    Requests(ServerOptions(server.url)).create_bare("ragflow-v000001", {"other": {"state": "complete"}})
    assert store.versions() == []
    for use in (store.discard, lambda v: store.create(v, SETTINGS)):
        with pytest.raises(UsageError, match="did not make"):
            use("v000001")
    assert "ragflow-v000001" in server.collections


def test_archives_with_other_prefixes_do_not_meet(options: ServerOptions) -> None:
    one, other = machine(options), machine(options, prefix="ragflow-b")
    build(one, "v000001", make_points(2))
    build(other, "v000001", make_points(3))
    one.move_alias("v000001", expected=None, moved_at=MOVED_AT)
    assert other.alias() is None
    other.discard("v000001")
    assert (one.versions(), other.versions()) == (["v000001"], [])


def test_of_two_machines_that_move_the_alias_one_wins(server: RestServer, options: ServerOptions) -> None:
    ours, theirs = machine(options), machine(options)
    for version in ("v000001", "v000002", "v000003"):
        build(ours, version, [])
    ours.move_alias("v000001", expected=None, moved_at=MOVED_AT)

    def theirs_is_faster() -> None:
        theirs.move_alias("v000002", expected="v000001", moved_at=MOVED_AT)

    server.faults.append(once("POST", ALIASES, theirs_is_faster))
    with pytest.raises(CheckFailedError, match="in the meantime"):
        ours.move_alias("v000003", expected="v000001", moved_at=MOVED_AT)
    record = ours.alias()
    assert record is not None and (record.version, record.previous) == ("v000002", "v000001")
    assert server.aliases["ragflow-live"] == "ragflow-v000002"

    def there_and_back() -> None:
        theirs.move_alias("v000001", expected="v000002", moved_at=MOVED_AT)
        theirs.move_alias("v000002", expected="v000001", moved_at=MOVED_AT)

    # What was read before is not what is there now, though the version is the same.
    server.faults[:] = [once("POST", ALIASES, there_and_back)]
    with pytest.raises(CheckFailedError):
        ours.drop_alias(expected="v000002")
    assert ours.alias() is not None


def test_many_threads_that_move_the_alias_lose_no_move(options: ServerOptions) -> None:
    stores = [machine(options) for _ in range(4)]
    versions = [f"v00000{number}" for number in range(1, 5)]
    for version in versions:
        build(stores[0], version, [])
    stores[0].move_alias("v000001", expected=None, moved_at=MOVED_AT)
    won: list[tuple[str, str | None]] = []
    rounds, together = 12, threading.Barrier(4)

    def run(store: ServerVersionStore, version: str) -> None:
        for _ in range(rounds):
            together.wait(60)
            live = store.alias()
            if live is not None and live.version != version:
                with suppress(CheckFailedError):
                    record = store.move_alias(version, expected=live.version, moved_at=MOVED_AT)
                    won.append((version, record.previous))

    threads = [threading.Thread(target=run, args=pair) for pair in zip(stores, versions, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # Every move left from where another had led to: in and out of each version equally often, but for the two ends.
    last = stores[0].alias()
    assert last is not None and len(won) >= rounds
    for version in versions:
        arrived = sum(to == version for to, _ in won) + (version == "v000001")
        assert arrived == sum(start == version for _, start in won) + (version == last.version)


def test_a_version_is_not_made_live_while_it_is_discarded(server: RestServer, options: ServerOptions) -> None:
    ours, theirs = machine(options), machine(options)
    for version in ("v000001", "v000002", "v000003"):
        build(ours, version, make_points(2))
    ours.move_alias("v000001", expected=None, moved_at=MOVED_AT)
    move = lambda store, version: store.move_alias(version, expected="v000001", moved_at=MOVED_AT)  # noqa: E731

    # The mover has seen a complete version, which is gone when it moves.
    server.faults[:] = [once("POST", ALIASES, lambda: theirs.discard("v000002"))]
    with pytest.raises(CheckFailedError):
        move(ours, "v000002")
    assert ours.alias() is not None and ours.versions() == ["v000001", "v000003"]

    # The discarder has seen that the version is not live, which it is when it begins.
    server.faults[:] = [once("PATCH", "/collections/ragflow-v000003", lambda: move(theirs, "v000003") and None)]
    with pytest.raises(CheckFailedError, match="live"):
        ours.discard("v000003")
    record = ours.alias()
    assert record is not None and record.version == "v000003"
    assert ours.versions() == ["v000001", "v000003"]
    ours.check_files("v000003")


def test_an_alias_that_somebody_else_moved_is_not_trusted(server: RestServer, store: ServerVersionStore) -> None:
    for version in ("v000001", "v000002"):
        build(store, version, [])
    store.move_alias("v000001", expected=None, moved_at=MOVED_AT)
    server.aliases["ragflow-live"] = "ragflow-v000002"
    with pytest.raises(IntegrityError, match=r"ragflow-v000002.*v000001"):
        store.alias()
    with pytest.raises(IntegrityError):
        store.move_alias("v000002", expected="v000001", moved_at=MOVED_AT)
    server.aliases["ragflow-live"] = "ragflow-v000001"
    assert store.alias() is not None


def test_damaged_metadata_are_told(server: RestServer, store: ServerVersionStore) -> None:
    build(store, "v000001", make_points(2))
    noted = server.collections["ragflow-v000001"].metadata["ragflow"]
    for damage in ({"completion": {}}, {"completion": None}, {"completion": {**noted["completion"], "settings": {}}}):
        server.collections["ragflow-v000001"].metadata["ragflow"] = {**noted, **damage}
        with pytest.raises(IntegrityError, match="metadata"):
            store.open("v000001")


def test_a_reader_of_a_version_that_was_discarded_says_so(store: ServerVersionStore) -> None:
    build(store, "v000001", make_points(3))
    with store.open("v000001") as reader:
        store.discard("v000001")
        for use in (reader.count, reader.info, lambda: everything(reader)):
            with pytest.raises(NotFoundError):
                use()
