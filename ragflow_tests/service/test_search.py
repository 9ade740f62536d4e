"""``/api/v1/search``: what it finds, what may be asked, and what is answered to what may not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from ragflow.pipeline.searching import Searcher
from ragflow.pipeline.stages import OCR_TEXT
from ragflow.pipeline.workspace import Workspace
from ragflow_tests.service.homes import (
    LIGHTHOUSE,
    MINUTES,
    QUARRY,
    REPORT,
    SCAN,
    TWIN,
    V2,
    running,
    settings_of,
)

SEARCH = "/api/v1/search"


def asked(client: httpx.Client, query: str, **options: Any) -> dict[str, Any]:
    answer = client.post(SEARCH, json={"query": query, **options})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def keys(answer: dict[str, Any]) -> list[str]:
    return [hit["document"]["key"] for hit in answer["hits"]]


def word_boxes(home: Workspace, sha256: str, page_number: int, *texts: str) -> list[list[float]]:
    """Return the boxes of some words of a page, from the table itself."""
    tables = home.home.tables
    for batch in tables.batches(OCR_TEXT):
        place = [("document_sha256", "==", sha256), ("page_index", "==", page_number - 1)]
        rows = tables.rows(tables.get(OCR_TEXT, batch), "words", place).to_pylist()
        found = [row for row in rows if row["text"].strip(".,") in texts]
        if found:
            return [[row[edge] for edge in ("left", "top", "right", "bottom")] for row in found]
    return []


def test_a_hit_is_what_the_pipeline_finds(client: httpx.Client, home: Workspace) -> None:
    answer = asked(client, "the granite quarry", top=3)
    with Searcher(home) as searcher:
        expected = searcher.search("the granite quarry", top=3)
    assert [hit["point_id"] for hit in answer["hits"]] == [hit.point_id for hit in expected]
    assert [hit["score"] for hit in answer["hits"]] == pytest.approx([hit.score for hit in expected], abs=1e-5)
    first = answer["hits"][0]
    assert (first["text"], first["page_number"], first["engine"]) == (QUARRY, 1, "text_layer")
    assert {first["document"]["key"], *first["also_in"]} == {REPORT, TWIN}
    assert first["page_id"] == f"{first['document']['sha256']}-1"
    assert first["proof_id"] == f"{V2}:{first['point_id']}"
    assert (answer["version"], answer["mode"]) == (V2, "hybrid")
    assert answer["released_at"] == list(home.home.releases)[-1].decided_at


def test_every_link_of_a_hit_leads_somewhere(client: httpx.Client) -> None:
    (hit,) = asked(client, "lighthouse keeper", top=1)["hits"]
    assert hit["document"]["key"] == SCAN and hit["text"].startswith(LIGHTHOUSE[:20])
    for name, link in hit["links"].items():
        assert client.get(link).status_code == 200, name


def test_get_and_post_answer_alike(client: httpx.Client) -> None:
    options = {"top": 4, "mode": "dense", "min_score": 0.1, "per_document": 2, "diversity": 0.3, "words": True}
    posted = asked(client, "une école froide", where={"language": "fr"}, **options)
    got = client.get(SEARCH, params={"query": "une école froide", "where": "language=fr", **options}).json()
    assert keys(got) == [MINUTES, MINUTES]
    assert {**got, "took_ms": 0} == {**posted, "took_ms": 0}


@pytest.mark.parametrize("mode", ["hybrid", "dense", "sparse"])
def test_each_mode_answers(client: httpx.Client, mode: str) -> None:
    answer = asked(client, "barley windmill", mode=mode, top=1)
    assert answer["mode"] == mode and "windmill" in answer["hits"][0]["text"]


def test_conditions_narrow_the_hits(client: httpx.Client) -> None:
    everything = asked(client, "the", mode="dense", top=100)
    assert len({hit["language"] for hit in everything["hits"]}) == 2
    french = asked(client, "the", mode="dense", where={"language": "fr"})
    assert keys(french) == [MINUTES, MINUTES]
    later = asked(client, "the", mode="dense", where={"page_number": {"from": 3}, "source": "inbox"})
    assert {hit["page_number"] for hit in later["hits"]} == {3, 4}
    both = asked(client, "the", mode="dense", where={"document_key": [SCAN, MINUTES]})
    assert set(keys(both)) == {SCAN, MINUTES}
    again = client.get(
        SEARCH,
        params=[("query", "the"), ("mode", "dense"), *(("where", f"document_key={key}") for key in (SCAN, MINUTES))],
    )
    assert keys(again.json()) == keys(both)
    ranged = client.get(SEARCH, params={"query": "the", "mode": "dense", "where": "page_number=3.."}).json()
    assert [hit["page_number"] for hit in ranged["hits"]] == [
        hit["page_number"] for hit in asked(client, "the", mode="dense", where={"page_number": {"from": 3}})["hits"]
    ]
    third = client.get(SEARCH, params={"query": "the", "mode": "dense", "where": "page_number=3"}).json()
    assert {hit["page_number"] for hit in third["hits"]} == {3}
    assert asked(client, "the", where={"no_such_field": "x"})["hits"] == []


def test_limits_on_hits(client: httpx.Client) -> None:
    once = asked(client, "the", mode="dense", top=100, per_document=1)
    assert len(keys(once)) == len(set(keys(once))) > 2
    scores = [hit["score"] for hit in asked(client, "river", mode="dense", top=100)["hits"]]
    middle = sorted(scores)[len(scores) // 2] - 1e-5  # scores are rounded
    kept = asked(client, "river", mode="dense", top=100, min_score=middle)["hits"]
    assert len(kept) == sum(score >= middle for score in scores) < len(scores)


def test_the_words_that_match_are_marked_with_their_boxes(client: httpx.Client, home: Workspace) -> None:
    (hit,) = asked(client, "closing the quarries, and cranes", top=1, words=True)["hits"]
    expected = word_boxes(home, hit["document"]["sha256"], 1, "quarry", "closed", "crane")
    assert len(expected) == 3 and hit["words"] == expected
    (hit,) = asked(client, "les toitures d'un lavoir", top=1, words=True)["hits"]
    assert hit["words"] == word_boxes(home, hit["document"]["sha256"], 1, "toiture", "lavoir")
    assert asked(client, "quarry", top=1)["hits"][0]["words"] == [], "they cost time, and were not asked for"


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"query": ""},
        {"query": " \t\n"},
        {"query": "x" * 2001},
        {"query": "x", "top": 0},
        {"query": "x", "top": 101},
        {"query": "x", "mode": "magic"},
        {"query": "x", "diversity": 1.5},
        {"query": "x", "per_document": 0},
        {"query": "x", "unknown": 1},
        {"query": "x", "where": {"a b": 1}},
        {"query": "x", "where": {"language": []}},
        {"query": "x", "where": {"language": ["fr", 1]}},
        {"query": "x", "where": {"page_number": {"from": "one"}}},
        {"query": "x", "where": {str(number): 1 for number in range(20)}},
    ],
)
def test_what_cannot_be_asked_is_refused_by_name(client: httpx.Client, body: dict[str, Any]) -> None:
    answer = client.post(SEARCH, json=body)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["type"] == "urn:ragflow:invalid" and problem["errors"] and problem["detail"]
    assert problem["instance"] == SEARCH and problem["request_id"] == answer.headers["x-request-id"]


@pytest.mark.parametrize("query", ["top=0", "where=language", "where=page_number=1&where=page_number=one", "mode=x"])
def test_addresses_that_cannot_be_asked_are_refused(client: httpx.Client, query: str) -> None:
    assert client.get(f"{SEARCH}?query=x&{query}").status_code == 422


def test_a_body_that_is_no_json_is_malformed(client: httpx.Client) -> None:
    answer = client.post(SEARCH, content=b'{"query": ', headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["type"]) == (400, "urn:ragflow:malformed")
    surrogate = client.post(SEARCH, content=b'{"query": "\\ud800"}', headers={"content-type": "application/json"})
    assert surrogate.status_code in (400, 422)


def test_a_problem_never_quotes_the_query(client: httpx.Client) -> None:
    answer = client.post(SEARCH, json={"query": "salaries of 1933", "top": 0})
    assert answer.status_code == 422 and "salaries" not in answer.text


def test_a_request_id_is_kept_if_it_looks_like_one(client: httpx.Client) -> None:
    assert client.get("/health", headers={"x-request-id": "abc-123.def"}).headers["x-request-id"] == "abc-123.def"
    assert client.get("/health", headers={"x-request-id": "a b\tc" * 9}).headers["x-request-id"] != "a b\tc" * 9


def test_nothing_live_is_said_and_the_rest_still_answers(tmp_path: Path) -> None:
    with running(settings_of(tmp_path)) as empty, empty.client() as client:
        answer = client.get(SEARCH, params={"query": "anything"})
        assert (answer.status_code, answer.json()["type"]) == (503, "urn:ragflow:nothing-live")
        assert int(answer.headers["retry-after"]) > 0 and "ragflow ingest" in answer.json()["remedy"]
        assert client.get("/api/v1/releases/current").status_code == 503
        assert client.get("/health").status_code == 200
        assert client.get("/").status_code == 200
        detailed = client.get("/health/detailed")
        assert detailed.status_code == 503 and not detailed.json()["parts"]["engine"]["ok"]
        assert "ragflow_points 0.0" in client.get("/metrics").text


def test_searches_are_written_down_only_where_that_is_wanted(home: Workspace, tmp_path: Path) -> None:
    audit = tmp_path / "audit.jsonl"
    settings = settings_of(home.home.root, audit_log=str(audit), requests_per_minute=0)
    with running(settings) as noting, noting.client() as client:
        asked(client, "pear orchards", where={"page_number": {"from": 1}}, top=2)
        client.get(SEARCH, params={"query": "x", "top": 0})
    lines = [json.loads(line) for line in audit.read_text().splitlines()]
    assert [line["query"] for line in lines] == ["pear orchards"]
    assert lines[0]["version"] == V2 and lines[0]["hits"] == 2 and lines[0]["caller"].startswith("address:127.")
    assert lines[0]["filters"]["page_number"]["from"] == 1
