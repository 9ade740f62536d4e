"""``/api/v1/documents``: what is known of a document, its bytes, and what must not be shown."""

from __future__ import annotations

import httpx
import pytest

from ragflow.model.fingerprints import sha256_hex
from ragflow.pipeline.workspace import Workspace
from ragflow.store.forgotten import Kind
from ragflow_tests.pipeline.archive import flip, sha_of
from ragflow_tests.service.homes import BROKEN, LATER, MINUTES, REPORT, SCAN, TWIN, V2, running, settings_of

DOCUMENTS = "/api/v1/documents"


@pytest.fixture
def report(home: Workspace) -> str:
    return f"{DOCUMENTS}/{sha_of(home, REPORT)}"


@pytest.fixture
def stored(home: Workspace) -> bytes:
    return home.home.blobs.path(sha_of(home, REPORT)).read_bytes()


def test_what_is_known_of_a_document(client: httpx.Client, home: Workspace, report: str, stored: bytes) -> None:
    found = client.get(report).json()
    assert found["keys"] == sorted([TWIN, REPORT]) and found["title"] == "Report" and found["version"] == V2
    assert found["batch"] == home.home.manifests.batch_keys()[0] and found["bytes"] == len(stored)
    assert [page["status"] for page in found["pages"]] == ["indexed", "blank", "indexed", "indexed"]
    assert [page["page_number"] for page in found["pages"]] == [1, 2, 3, 4]
    assert found["pages"][0]["words"] == 15 and found["pages"][0]["confidence"] == 1.0
    assert found["pages"][0]["page_id"] == f"{found['sha256']}-1"


def test_a_document_by_its_key(client: httpx.Client, home: Workspace) -> None:
    found = client.get(DOCUMENTS, params={"key": MINUTES}).json()
    assert found["sha256"] == sha_of(home, MINUTES) and found["title"] == "Séance"
    assert client.get(DOCUMENTS, params={"key": "inbox/none.pdf"}).status_code == 404
    assert client.get(DOCUMENTS).status_code == 422


def test_a_document_that_cannot_be_opened_is_told_of_and_only_saved(client: httpx.Client, home: Workspace) -> None:
    sha256 = sha_of(home, BROKEN)
    (page,) = client.get(f"{DOCUMENTS}/{sha256}").json()["pages"]
    assert (page["status"], page["reason"]) == ("quarantined", "damaged")
    assert client.get(f"{DOCUMENTS}/{sha256}/file").status_code == 200


@pytest.mark.parametrize("sha256", ["0" * 64, "f" * 64])
def test_a_content_that_is_not_there_is_not_found(client: httpx.Client, sha256: str) -> None:
    for path in (sha256, f"{sha256}/file"):
        answer = client.get(f"{DOCUMENTS}/{path}")
        assert (answer.status_code, answer.json()["type"]) == (404, "urn:ragflow:not-found")


@pytest.mark.parametrize("sha256", ["abc", "..%2F..%2Fragflow.toml", "A" * 64, "0" * 63 + "g"])
def test_what_is_no_hash_never_reaches_the_disk(client: httpx.Client, sha256: str) -> None:
    assert client.get(f"{DOCUMENTS}/{sha256}/file").status_code in (404, 422)


def test_the_file_is_what_came_in(client: httpx.Client, home: Workspace, report: str, stored: bytes) -> None:
    answer = client.get(f"{report}/file")
    assert answer.content == stored and answer.headers["content-type"] == "application/pdf"
    sha256 = sha_of(home, REPORT)
    assert sha256_hex(answer.content) == sha256 and answer.headers["etag"] == f'"{sha256}"'
    assert answer.headers["content-security-policy"].startswith("sandbox")
    assert answer.headers["content-disposition"] == "inline; filename*=utf-8''a%20twin.pdf"
    minutes = client.get(f"{DOCUMENTS}/{sha_of(home, MINUTES)}/file")
    assert minutes.headers["content-disposition"] == "inline; filename*=utf-8''s%C3%A9ance%20d%27%C3%A9t%C3%A9.pdf"
    assert client.get(f"{report}/file", headers={"if-none-match": f'"{sha256}"'}).status_code == 304


def test_parts_of_the_file(client: httpx.Client, report: str, stored: bytes) -> None:
    def part(header: str, **more: str) -> httpx.Response:
        return client.get(f"{report}/file", headers={"range": header, **more})

    first = part("bytes=0-9")
    assert (first.status_code, first.content) == (206, stored[:10])
    assert first.headers["content-range"] == f"bytes 0-9/{len(stored)}"
    assert part("bytes=-7").content == stored[-7:]
    assert part(f"bytes={len(stored) - 5}-").content == stored[-5:]
    outside = part(f"bytes={len(stored)}-")
    assert outside.status_code == 416 and outside.headers["content-range"] == f"bytes */{len(stored)}"
    assert outside.headers["content-type"] == "application/problem+json"
    for senseless in ("bytes=9-2", "bytes=", "lines=1-2", "bytes=0-1,4-5", "bytes=-", "bytes=one-two"):
        assert part(senseless).content == stored, senseless
    etag = first.headers["etag"]
    assert part("bytes=0-9", **{"if-range": etag}).status_code == 206
    assert part("bytes=0-9", **{"if-range": '"another"'}).content == stored


def test_only_what_the_live_version_holds_is_shown(changing: Workspace) -> None:
    """Damaged, pruned, forgotten, and gone with a later version: each is refused in its own way."""
    blobs, absences = changing.home.blobs, changing.home.absences
    report, minutes, scan, later = (sha_of(changing, key) for key in (REPORT, MINUTES, SCAN, LATER))
    settings = settings_of(changing.home.root, requests_per_minute=0)
    with running(settings) as service, service.client() as client:
        image = f"/api/v1/pages/{scan}-1.png"
        assert client.get(image).status_code == 200 and service.state.images.contents() == {scan}
        flip(blobs.path(report))
        damaged = client.get(f"{DOCUMENTS}/{report}/file")
        assert (damaged.status_code, damaged.json()["type"]) == (503, "urn:ragflow:integrity")
        blobs.path(minutes).unlink()
        assert client.get(f"{DOCUMENTS}/{minutes}/file").status_code == 404
        assert client.get(f"{DOCUMENTS}/{minutes}").status_code == 200, "its text is still there"
        (hit,) = client.get("/api/v1/search", params={"query": "lighthouse keeper lamp", "top": 1}).json()["hits"]
        absences.add([scan], Kind.FORGOTTEN, "on request")
        for name, path in hit["links"].items():
            assert client.get(path).status_code == 404, name
        assert client.get(image).status_code == 404, "also what was rendered before"
        again = client.get("/api/v1/search", params={"query": "lighthouse keeper lamp"}).json()["hits"]
        assert again and hit["point_id"] not in {found["point_id"] for found in again}
        assert client.get(f"{DOCUMENTS}/{later}/file").status_code == 200
    with running(settings) as service, service.client() as client:
        assert client.get(f"{DOCUMENTS}/{later}").status_code == 200
        assert scan not in service.state.images.contents(), "its images are removed, too"
