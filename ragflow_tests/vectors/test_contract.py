"""The contract, on every engine."""

from __future__ import annotations

from pathlib import Path

import pytest

from ragflow.vectors.edge import EdgeVersionStore
from ragflow.vectors.protocols import VersionStore
from ragflow_tests.vectors.contract import VersionStoreContract
from ragflow_tests.vectors.memory import MemoryVersionStore


class TestEdge(VersionStoreContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> VersionStore:
        return EdgeVersionStore(tmp_path / "collection")


class TestReference(VersionStoreContract):
    @pytest.fixture
    def store(self) -> VersionStore:
        return MemoryVersionStore()
