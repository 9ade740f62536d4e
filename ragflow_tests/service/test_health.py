"""``/health``: alive is one thing, well another; each part says what is wrong and what to do."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from ragflow.pipeline.workspace import Workspace
from ragflow.store.verifications import LastVerification, verification_store
from ragflow_tests.service.homes import V1, V2, running, settings_of


def test_alive(client: httpx.Client) -> None:
    answer = client.get("/health")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


def test_all_is_well(client: httpx.Client) -> None:
    answer = client.get("/health/detailed")
    found = answer.json()
    assert answer.status_code == 200 and found["status"] == "ok" and found["version"] == V2
    assert set(found["parts"]) == {"engine", "disk", "memory", "live_age", "verification"}
    assert found["parts"]["disk"]["figure"] > found["parts"]["disk"]["limit"] > 0
    assert found["parts"]["memory"]["figure"] > 50_000_000
    assert 0 <= found["parts"]["live_age"]["figure"] < 1


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ({"disk_free_bytes": 1 << 60}, "disk"),
        ({"memory_limit_bytes": 1}, "memory"),
        ({"live_max_age_days": 1e-9}, "live_age"),
        ({"verify_max_age_hours": 24.0}, "verification"),
    ],
)
def test_one_part_that_is_not_well_degrades_the_service(home: Workspace, options: dict[str, Any], part: str) -> None:
    with running(settings_of(home.home.root, **options)) as service, service.client() as client:
        answer = client.get("/health/detailed")
        parts = answer.json()["parts"]
        assert answer.status_code == 503 and answer.json()["status"] == "degraded"
        assert [name for name, told in parts.items() if not told["ok"]] == [part]
        assert parts[part]["remedy"]
        assert client.get("/health").status_code == 200
        assert client.get("/api/v1/search", params={"query": "quarry"}).status_code == 200, "it serves all the same"


@pytest.mark.parametrize(
    ("version", "passed", "hours", "well"),
    [(V2, True, 1, True), (V2, True, 30, False), (V2, False, 1, False), (V1, True, 1, False)],
)
def test_the_last_verification_counts(
    changing: Workspace, version: str, passed: bool, hours: float, well: bool
) -> None:
    at = (datetime.now(UTC) - timedelta(hours=hours)).isoformat(timespec="seconds")
    verification_store(changing.home.root).put(LastVerification(version, at, passed, False))
    settings = settings_of(changing.home.root, verify_max_age_hours=24.0)
    with running(settings) as service, service.client() as client:
        assert client.get("/health/detailed").json()["parts"]["verification"]["ok"] is well


def test_a_version_that_cannot_be_opened_is_told_and_the_old_one_serves(changing: Workspace) -> None:
    with running(settings_of(changing.home.root)) as service, service.client() as client:
        (changing.home.vectors / "versions" / V1 / "shard" / "edge_config.json").unlink()
        changing.versions().move_alias(V1, expected=V2, moved_at=datetime.now(UTC).isoformat())
        service.state.live.look()
        answer = client.get("/health/detailed")
        engine = answer.json()["parts"]["engine"]
        assert answer.status_code == 503 and not engine["ok"] and V1 in engine["remedy"]
        found = client.get("/api/v1/search", params={"query": "quarry"})
        assert found.status_code == 200 and found.json()["version"] == V2
