"""Archives: an empty one, and one that has been released once. Stages really run; the pages have a text layer."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from ragflow_tests.defs.archive import Archive, opened

FERRY = "The ferry to Marsh End leaves the quay at twenty past six in the morning, tide and weather permitting."
KILN = "The lime kiln at Gallows Down was let to Mr Aldous Penrose for eleven years at forty pounds a year."
BELL = "The new bell of the chapel was cast from the brass of three ships and weighs nine hundred pounds."


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Archive]:
    """An archive in which nothing has happened yet."""
    with opened(tmp_path / "home", monkeypatch) as archive:
        yield archive


@pytest.fixture(scope="session")
def released_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive of two documents, two batches, and one version that is live; to be copied, not to be used."""
    home = tmp_path_factory.mktemp("released") / "home"
    with pytest.MonkeyPatch.context() as patch, opened(home, patch) as archive:
        archive.drop("ferry", FERRY, FERRY.replace("morning", "evening"))
        archive.drop("kiln", KILN)
        assert len(archive.ingest()) == 2
        assert archive.run("release").success
        assert archive.live() == "v000001"
    return home


@pytest.fixture(scope="session")
def ready_home(released_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The released archive with a third batch, which has been through all stages; to be copied, not to be used."""
    home = copied(released_home, tmp_path_factory.mktemp("ready") / "home")
    with pytest.MonkeyPatch.context() as patch, opened(home, patch) as archive:
        archive.drop("bell", BELL)
        assert len(archive.ingest()) == 1
    return home


def copied(template: Path, home: Path) -> Path:
    # The engine's files are mostly holes, which shutil would fill.
    subprocess.run(["cp", "-a", "--sparse=always", template, home], check=True)
    return home


@pytest.fixture
def released(released_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Archive]:
    """A copy of the archive that has been released once."""
    with opened(copied(released_home, tmp_path / "home"), monkeypatch) as archive:
        yield archive


@pytest.fixture
def ready(ready_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Archive]:
    """A copy of the archive that has something new to release."""
    with opened(copied(ready_home, tmp_path / "home"), monkeypatch) as archive:
        yield archive
