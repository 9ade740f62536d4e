"""A small server, and a store on it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ragflow.vectors.server import ServerVersionStore
from ragflow.vectors.server_options import ServerOptions
from ragflow_tests.vectors.machines import machine
from ragflow_tests.vectors.rest_server import RestServer


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RestServer]:
    with RestServer(tmp_path / "server").running() as server:
        yield server


@pytest.fixture
def options(server: RestServer) -> ServerOptions:
    return ServerOptions(server.url, retry_seconds=0.01)


@pytest.fixture
def store(options: ServerOptions) -> ServerVersionStore:
    return machine(options)
