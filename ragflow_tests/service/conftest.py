"""One archive and one running service for all tests of the service; they must leave both as they are.

``home``      the ingested archive (a workspace): v000001 and v000002, which is live
``changing``  a copy of it, to change
``service``   a real server on a free port, in a thread
``client``    talks to it over TCP
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from ragflow.pipeline.workspace import Workspace
from ragflow_tests.service.homes import Service, copied, make_home, running, settings_of


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """Six documents in two versions. Tests must leave it as it is."""
    return make_home(tmp_path_factory.mktemp("service").resolve() / "home")


@pytest.fixture
def changing(home: Workspace, tmp_path: Path) -> Workspace:
    """A copy of the archive, to change."""
    return copied(home, tmp_path.resolve() / "home")


@pytest.fixture(scope="session")
def service(home: Workspace) -> Iterator[Service]:
    """A service on loopback, with a search process, without keys and without a limit on requests."""
    with running(settings_of(home.home.root, requests_per_minute=0, search_process=True)) as found:
        yield found


@pytest.fixture(scope="session")
def client(service: Service) -> Iterator[httpx.Client]:
    """A client of it."""
    with service.client() as found:
        yield found
