"""One archive, ingested once, for all tests of the pipeline; a copy of it for those that change something."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings

from ragflow.pipeline.workspace import Workspace
from ragflow_tests.pipeline.archive import Archive, make_archive, make_workspace

settings.register_profile("ragflow", deadline=None)
settings.load_profile("ragflow")


@pytest.fixture(scope="session")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Archive:
    """Two batches, released as v000001 and v000002. Tests must leave it as it is."""
    return make_archive(tmp_path_factory.mktemp("pipeline") / "home")


@pytest.fixture
def copied(archive: Archive, tmp_path: Path) -> Archive:
    """A copy to change."""
    return archive.copy(tmp_path / "home")


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """An empty home with an inbox."""
    fresh = make_workspace(tmp_path.resolve() / "fresh")
    fresh.home.inbox.mkdir(parents=True)
    return fresh
