"""``/metrics``: figures that add up, under labels that no client can invent."""

from __future__ import annotations

import httpx
from prometheus_client.parser import text_string_to_metric_families

from ragflow.pipeline.workspace import Workspace
from ragflow_tests.service.homes import V2

Figures = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def figures(client: httpx.Client) -> Figures:
    answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def counted(found: Figures, name: str, **labels: str) -> float:
    return found.get((name, tuple(sorted(labels.items()))), 0.0)


def test_requests_are_counted_by_route_and_status(client: httpx.Client) -> None:
    before = figures(client)
    for _ in range(3):
        client.get("/api/v1/search", params={"query": "quarry"})
    client.get("/api/v1/search", params={"query": "quarry", "top": 0})
    client.get(f"/api/v1/documents/{'0' * 64}")
    after = figures(client)

    def more(name: str, **labels: str) -> float:
        return counted(after, name, **labels) - counted(before, name, **labels)

    assert more("ragflow_requests_total", route="/api/v1/search", method="GET", status="200") == 3
    assert more("ragflow_requests_total", route="/api/v1/search", method="GET", status="422") == 1
    assert more("ragflow_requests_total", route="/api/v1/documents/{sha256}", method="GET", status="404") == 1
    assert more("ragflow_request_seconds_count", route="/api/v1/search") == 4
    for stage in ("embed", "dense", "sparse", "fuse", "payload"):
        assert more("ragflow_stage_seconds_count", stage=stage) == 3, stage
    assert more("ragflow_query_embeddings_total", source="kept") >= 2
    assert counted(after, "ragflow_requests_in_flight") == 1, "this very request"


def test_no_address_and_no_query_ever_becomes_a_label(client: httpx.Client) -> None:
    for path in ("/invented", "/api/v1/pages/invented.png", "/static/invented.js", "/api/v1/search/invented"):
        client.get(path, params={"query": "invented"})
    client.request("PROPFIND", "/health")
    text = client.get("/metrics").text
    assert "invented" not in text and "PROPFIND" not in text
    assert 'route="unmatched"' in text and 'method="other"' in text


def test_what_serves_is_told(client: httpx.Client, home: Workspace) -> None:
    found = figures(client)
    record = list(home.home.releases)[-1]
    live = [dict(labels) for (name, labels), value in found.items() if name == "ragflow_live_version" and value]
    assert live == [{"version": V2}]
    assert counted(found, "ragflow_points") == record.points
    pages = {
        state: counted(found, "ragflow_ledger_pages", state=state) for state in ("indexed", "blank", "quarantined")
    }
    assert pages == {"indexed": 11, "blank": 2, "quarantined": 1}
    assert counted(found, "ragflow_live_version_decided_timestamp_seconds") > 1.7e9
