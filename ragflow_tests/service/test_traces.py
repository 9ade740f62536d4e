"""``/api/v1/trace`` and ``/api/v1/proofs``: the chain of a hit, and a proof that stands by itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from ragflow.model.fingerprints import sha256_hex
from ragflow.pipeline.proofs import check_proof
from ragflow.pipeline.workspace import Workspace
from ragflow_tests.pipeline.archive import flip, sha_of
from ragflow_tests.service.homes import QUARRY, REPORT, V1, V2, running, settings_of


def hit_of(client: httpx.Client, query: str) -> dict[str, Any]:
    (hit,) = client.get("/api/v1/search", params={"query": query, "top": 1}).json()["hits"]
    found: dict[str, Any] = hit
    return found


def test_every_link_of_a_hit_holds(client: httpx.Client) -> None:
    hit = hit_of(client, "granite quarry")
    found = client.get(hit["links"]["trace"]).json()
    assert found["holds"] and found["present"] and found["version"] == V2
    assert all(link["holds"] and link["recorded"] == link["found"] for link in found["links"])
    assert {link["name"] for link in found["links"]} >= {"vector", "chunk", "words", "document bytes"}
    assert found["payload"]["text"] == QUARRY
    assert " ".join(word["text"] for word in found["words"]) == QUARRY
    assert found["proof_id"] == hit["proof_id"]


def test_a_kept_version_can_be_traced(client: httpx.Client) -> None:
    hit = hit_of(client, "granite quarry")
    assert client.get(f"/api/v1/trace/{hit['point_id']}", params={"version": V1}).json()["version"] == V1
    ferry = hit_of(client, "the ferry sold for guilders")
    assert client.get(f"/api/v1/trace/{ferry['point_id']}").status_code == 200
    assert client.get(f"/api/v1/trace/{ferry['point_id']}", params={"version": V1}).status_code == 404


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("trace/00000000-0000-8000-8000-000000000000", 404),
        ("trace/00000000-0000-8000-8000-000000000000?version=v999999", 404),
        ("trace/nonsense", 422),
        ("trace/00000000-0000-8000-8000-000000000000?version=../../x", 422),
        ("proofs/v000002:00000000-0000-8000-8000-000000000000", 404),
        ("proofs/v999999:00000000-0000-8000-8000-000000000000", 404),
        ("proofs/nonsense", 422),
    ],
)
def test_what_is_not_there(client: httpx.Client, path: str, status: int) -> None:
    answer = client.get(f"/api/v1/{path}")
    assert answer.status_code == status and answer.json()["remedy"]


@pytest.mark.parametrize("query", ["granite quarry", "lighthouse keeper"])
def test_a_proof_stands_by_itself(client: httpx.Client, tmp_path: Path, query: str) -> None:
    hit = hit_of(client, query)
    answer = client.get(hit["links"]["proof"])
    assert answer.headers["content-disposition"].startswith("attachment")
    document = tmp_path / "document.pdf"
    document.write_bytes(client.get(hit["links"]["file"]).content)
    release = client.get("/api/v1/releases/current").json()
    proof = orjson.loads(answer.content)
    links = check_proof(proof, document=document)
    assert len(links) > 8 and all(link.holds for link in links)
    # The release that first let the version through: here, the one that is live.
    assert sha256_hex(proof["release"].encode()) == release["record_sha256"]


def test_a_broken_chain_is_shown_and_proves_nothing(changing: Workspace) -> None:
    settings = settings_of(changing.home.root, requests_per_minute=0)
    with running(settings) as service, service.client() as client:
        hit = hit_of(client, "granite quarry")
        flip(changing.home.blobs.path(sha_of(changing, REPORT)))
        found = client.get(hit["links"]["trace"]).json()
        broken = [link["name"] for link in found["links"] if not link["holds"]]
        assert not found["holds"] and "document bytes" in broken
        proof = client.get(hit["links"]["proof"])
        assert (proof.status_code, proof.json()["type"]) == (503, "urn:ragflow:integrity")
        assert "document bytes" in proof.json()["detail"]
