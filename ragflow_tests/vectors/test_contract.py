"""The contract, on every engine."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ragflow.vectors.edge import EdgeVersionStore
from ragflow.vectors.protocols import VersionStore
from ragflow.vectors.server import ServerVersionStore
from ragflow.vectors.server_options import ServerOptions
from ragflow.vectors.server_requests import Requests
from ragflow_tests.vectors.contract import VersionStoreContract
from ragflow_tests.vectors.local_qdrant import LocalQdrant
from ragflow_tests.vectors.memory import MemoryVersionStore
from ragflow_tests.vectors.openapi import find_openapi
from ragflow_tests.vectors.rest_server import RestServer

LEASE_SECONDS = 9.0
"""A builder is heard of every 1.5 seconds; tests that must see one alive wait for that."""


class TestEdge(VersionStoreContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> VersionStore:
        return EdgeVersionStore(tmp_path / "collection")


class TestReference(VersionStoreContract):
    @pytest.fixture
    def store(self) -> VersionStore:
        return MemoryVersionStore()


class ServerContract(VersionStoreContract):
    def test_a_reader_outlives_its_version(self, store: VersionStore) -> None:
        pytest.skip("a server has nothing left of a collection that was deleted")


NORMALISED = "local mode divides vectors by their length once more, which changes their last bits"
NO_SNAPSHOTS = "local mode has no snapshots"
LOCAL_MODE_CANNOT = {
    "test_gives_points_back_bit_by_bit": NORMALISED,
    "test_keeps_vectors_at_the_edge_of_unit_length": NORMALISED,
    "test_writing_twice_is_writing_once": NORMALISED,
    "test_an_upsert_replaces_the_whole_point_and_the_last_one_counts": NORMALISED,
    "test_deletes": NORMALISED,
    "test_equal_scores_come_in_order_of_ids": "local mode gives equal vectors scores that differ in their last bits",
    "test_a_clone_holds_the_same_and_answers_the_same": NORMALISED,
    "test_a_clone_with_a_delta_is_as_if_built_from_nothing": NORMALISED,
    "test_a_snapshot_makes_the_same_version_again": NO_SNAPSHOTS,
    "test_a_damaged_snapshot_makes_no_version": NO_SNAPSHOTS,
}


class TestLocalMode(ServerContract):
    """The server engine over the client library's local mode, with no transport in between."""

    @pytest.fixture
    def store(self, request: pytest.FixtureRequest) -> VersionStore:
        if request.node.name in LOCAL_MODE_CANNOT:
            pytest.skip(LOCAL_MODE_CANNOT[request.node.name])
        options = ServerOptions("http://localhost", lease_seconds=LEASE_SECONDS)
        client: Any = LocalQdrant()
        return ServerVersionStore(options, requests=Requests(options, client))


class TestRest(ServerContract):
    """The server engine over HTTP; what it asked for is held against Qdrant's own description."""

    @pytest.fixture
    def store(self, server: RestServer) -> VersionStore:
        options = ServerOptions(server.url, lease_seconds=LEASE_SECONDS)
        return ServerVersionStore(options, requests=Requests(options))

    @pytest.fixture(autouse=True)
    def described(self, server: RestServer) -> Iterator[None]:
        yield
        if described := find_openapi():
            assert [problem for seen in server.seen for problem in described.problems(*seen)] == []


class TestServer(ServerContract):
    """The server engine on a real server, under a prefix of its own; REST, and gRPC if QDRANT_GRPC is set."""

    @pytest.fixture
    def store(self) -> Iterator[VersionStore]:
        if "QDRANT_URL" not in os.environ:
            pytest.skip("QDRANT_URL names no server")
        options = ServerOptions(
            os.environ["QDRANT_URL"],
            prefix=f"ragflow-test-{secrets.token_hex(4)}",
            api_key=os.environ.get("QDRANT_API_KEY"),
            prefer_grpc="QDRANT_GRPC" in os.environ,
            lease_seconds=LEASE_SECONDS,
        )
        requests = Requests(options)
        yield ServerVersionStore(options, requests=requests)
        for name in requests.collections():
            if name.startswith(f"{options.prefix}-"):
                requests.drop(name)
