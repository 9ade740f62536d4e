from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ragflow_tests.e2e.homes import Archive, shared_archive, shared_launcher
from ragflow_tests.e2e.launcher import Launcher


@pytest.fixture(scope="session")
def launcher() -> Iterator[Launcher]:
    yield shared_launcher()
    shared_launcher().stop()
    shared_launcher.cache_clear()


@pytest.fixture(scope="session")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Archive:
    """Ingested once for all tests, which must leave it as it is."""
    return shared_archive(tmp_path_factory.getbasetemp())


@pytest.fixture
def copied(archive: Archive, tmp_path: Path) -> Archive:
    """A copy to change."""
    return archive.copy(tmp_path / "home")
