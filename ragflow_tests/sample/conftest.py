from __future__ import annotations

import pytest

from ragflow.sample import SampleArchive, make_archive


@pytest.fixture(scope="session")
def archive(tmp_path_factory: pytest.TempPathFactory) -> SampleArchive:
    """One archive for all tests that only read it."""
    return make_archive(tmp_path_factory.mktemp("sample"))
