"""Clones and snapshots on a server."""

from __future__ import annotations

from pathlib import Path

import pytest

from ragflow.errors import (
    IntegrityError,
    UsageError,
)
from ragflow.vectors.protocols import CollectionSettings
from ragflow.vectors.server import ServerVersionStore
from ragflow.vectors.server_options import ServerOptions
from ragflow.vectors.server_requests import Requests
from ragflow_tests.vectors.builders import DIMENSION, hashes, make_points
from ragflow_tests.vectors.contract import SETTINGS, build, everything
from ragflow_tests.vectors.machines import COLLECTION, POINTS, machine
from ragflow_tests.vectors.openapi import needed_openapi
from ragflow_tests.vectors.rest_server import Answer, RestServer, failing


@pytest.mark.parametrize("obstacle", ["refused", "cannot be fetched", "incomplete", "cluster"])
def test_a_clone_goes_point_by_point_where_snapshots_do_not_work(
    server: RestServer, options: ServerOptions, obstacle: str
) -> None:
    store = machine(options, batch=40)
    points = make_points(300)
    build(store, "v000001", points)
    before = len(server.requests("PUT", POINTS))
    recover = f"{COLLECTION}/snapshots/recover"
    if obstacle == "refused":
        server.has_snapshots = False
    elif obstacle == "cannot be fetched":
        server.faults.append(failing(1, 500, "PUT", recover))
    elif obstacle == "incomplete":
        server.faults.append(lambda r: Answer(200, b'{"result": true}') if r.path.endswith("recover") else None)
    else:
        server.peers = 3
    with store.clone("v000001", "v000002", SETTINGS) as writer:
        assert hashes(everything(writer)) == hashes(points)
        writer.finish()
    assert len(server.requests("PUT", POINTS)) - before == 8
    assert len(server.requests("PUT", recover)) == (obstacle in {"cannot be fetched", "incomplete"})
    assert server.snapshots == {}
    assert set(server.collections["ragflow-v000002"].indexes) == set(server.collections["ragflow-v000001"].indexes)


def test_a_clone_by_snapshot_moves_no_point_and_leaves_no_snapshot(
    server: RestServer, store: ServerVersionStore
) -> None:
    build(store, "v000001", make_points(50))
    before = len(server.seen)
    with store.clone("v000001", "v000002", SETTINGS) as writer:
        writer.finish()
    kinds = {request.path.rsplit("/", 1)[1] for request, _ in server.seen[before:]}
    assert not kinds & {"points", "scroll"} and "recover" in kinds
    assert server.snapshots == {}


def test_a_base_that_lost_points_is_not_cloned_nor_opened(server: RestServer, store: ServerVersionStore) -> None:
    points = make_points(9)
    build(store, "v000001", points)
    Requests(ServerOptions(server.url)).delete("ragflow-v000001", [points[0].id])
    for use in (store.open, store.check_files, lambda v: store.clone(v, "v000002", SETTINGS)):
        with pytest.raises(IntegrityError, match=r"8 points.*9"):
            use("v000001")
    with store.open("v000001", salvage=True) as reader:
        assert len(everything(reader)) == 8
    assert store.versions() == ["v000001"]


def test_no_snapshot_is_saved_of_a_part(server: RestServer, store: ServerVersionStore, tmp_path: Path) -> None:
    build(store, "v000001", make_points(3))
    server.peers = 2
    with pytest.raises(UsageError, match="several Qdrant servers"):
        store.save_snapshot("v000001", tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


def test_a_snapshot_that_does_not_restore_makes_no_version(
    server: RestServer, store: ServerVersionStore, tmp_path: Path
) -> None:
    build(store, "v000001", make_points(30))
    store.save_snapshot("v000001", tmp_path / "copy")
    assert server.snapshots == {}
    upload = f"{COLLECTION}/snapshots/upload"
    for fault, words in (
        (failing(1, 400, "POST", upload), "does not take the snapshot"),
        (lambda r: Answer(200, b'{"result": true}') if r.path.endswith("upload") else None, "0 points"),
    ):
        server.faults[:] = [fault]
        with pytest.raises(IntegrityError, match=words):
            store.load_snapshot("v000002", tmp_path / "copy")
        assert set(server.collections) == {"ragflow-v000001"}


def test_a_snapshot_is_held_against_the_servers_hash(
    server: RestServer, store: ServerVersionStore, tmp_path: Path
) -> None:
    build(store, "v000001", make_points(3))
    server.faults.append(lambda r: Answer(200, b"short") if r.method == "GET" and "/snapshots/" in r.path else None)
    with pytest.raises(IntegrityError, match="did not arrive"):
        store.save_snapshot("v000001", tmp_path / "copy")
    assert not (tmp_path / "copy" / "complete.json").exists()


def test_every_kind_of_request_is_described(server: RestServer, store: ServerVersionStore, tmp_path: Path) -> None:
    """Requests that the contract does not make, held against Qdrant's own description."""
    described = needed_openapi()
    settings = CollectionSettings(DIMENSION, quantization="binary", shards=2, replicas=2, text_index=True)
    build(store, "v000001", make_points(3), settings)
    server.state = {"status": "grey"}
    with store.clone("v000001", "v000002", settings) as writer:
        writer.finish()
    with store.open("v000002") as reader:
        reader.search_dense(make_points(1)[0].dense, 2, {"language": "fr", "draft": True, "page_number": 3})
    server.peers = 2
    store.clone("v000001", "v000003", settings).close()
    assert [problem for seen in server.seen for problem in described.problems(*seen)] == []
