"""Examples for the description of the API: one of everything, made up, and consistent with each other."""

from __future__ import annotations

from typing import Any

from ragflow.service.problems import Kind

SHA = "9f2c1b7ae0a14c3f5d68e2b90c7d4f1a3e5b6c7d8091a2b3c4d5e6f708192a3b"
POINT = "3f2a8c51-7d0e-8b64-9a13-5c2e7f908d41"
VERSION_NAME = "v000012"
PAGE = f"{SHA}-3"
QUERY = "When was the quarry closed?"
TEXT = "The granite quarry above the river was closed after the flood carried away its crane."
BOX = [0.1176, 0.0944, 0.8742, 0.1127]
WORD_BOX = [0.2301, 0.0944, 0.2987, 0.1127]
KEY = "inbox/reports/1936.pdf"

SEARCH_REQUEST: dict[str, Any] = {"query": QUERY, "top": 5, "where": {"language": "en", "page_number": {"to": 20}}}
LINKS = {
    "page": f"/api/v1/pages/{PAGE}",
    "image": f"/api/v1/pages/{PAGE}.png?point={POINT}",
    "document": f"/api/v1/documents/{SHA}",
    "file": f"/api/v1/documents/{SHA}/file",
    "trace": f"/api/v1/trace/{POINT}?version={VERSION_NAME}",
    "proof": f"/api/v1/proofs/{VERSION_NAME}:{POINT}",
}
DOCUMENT_NAME = {"key": KEY, "sha256": SHA, "title": "Annual report 1936"}
HIT: dict[str, Any] = {
    "point_id": POINT,
    "score": 0.914,
    "document": DOCUMENT_NAME,
    "page_id": PAGE,
    "page_number": 3,
    "text": TEXT,
    "boxes": [BOX],
    "words": [WORD_BOX],
    "confidence": 0.982,
    "engine": "tesseract",
    "language": "en",
    "collection_version": VERSION_NAME,
    "proof_id": f"{VERSION_NAME}:{POINT}",
    "also_in": [],
    "similar": [],
    "links": LINKS,
}
SEARCH: dict[str, Any] = {
    "query": QUERY,
    "mode": "hybrid",
    "version": VERSION_NAME,
    "released_at": "2026-03-04T05:06:07+00:00",
    "took_ms": 8.4,
    "hits": [HIT],
}
PAGE_LINE = {
    "page_id": PAGE,
    "page_number": 3,
    "status": "indexed",
    "reason": None,
    "engine": "tesseract",
    "language": "en",
    "confidence": 0.982,
    "words": 15,
}
DOCUMENT: dict[str, Any] = {
    "sha256": SHA,
    "version": VERSION_NAME,
    "keys": [KEY],
    "title": "Annual report 1936",
    "batch": "20260304-0007-1f2e3d4c",
    "bytes": 482113,
    "pages": [PAGE_LINE],
    "links": {"file": LINKS["file"]},
}
PAGE_CONTENT: dict[str, Any] = {
    "page_id": PAGE,
    "version": VERSION_NAME,
    "document": DOCUMENT_NAME,
    "page_number": 3,
    "status": "indexed",
    "reason": None,
    "detail": None,
    "engine": "tesseract",
    "language": "en",
    "confidence": 0.982,
    "text": TEXT,
    "words": [{"text": "quarry", "box": WORD_BOX, "confidence": 0.97, "char_start": 12, "char_end": 18}],
    "links": {"document": LINKS["document"], "image": f"/api/v1/pages/{PAGE}.png"},
}
TRACE: dict[str, Any] = {
    "point_id": POINT,
    "version": VERSION_NAME,
    "holds": True,
    "present": True,
    "links": [{"name": "document bytes", "recorded": SHA, "found": SHA, "holds": True}],
    "payload": {"document_key": KEY, "document_sha256": SHA, "page_number": 3, "text": TEXT},
    "words": [{"text": "quarry", "box": WORD_BOX, "confidence": 0.97}],
    "proof_id": f"{VERSION_NAME}:{POINT}",
}
PROOF: dict[str, Any] = {"format": "ragflow-proof/1", "made_at": "2026-03-05T08:00:00+00:00", "point": {"id": POINT}}
_VERDICT = {
    "name": "coverage",
    "outcome": "pass",
    "figure": 0.998,
    "threshold": 0.95,
    "message": "99.8% of the pages are indexed or blank.",
}
RELEASE: dict[str, Any] = {
    "version": VERSION_NAME,
    "number": 14,
    "decision": "promoted",
    "decided_at": "2026-03-04T05:06:07+00:00",
    "replaced": "v000013",
    "points": 48211,
    "documents": 1204,
    "ledger": {"documents": 1204, "pages": 9120, "indexed": 8951, "blank": 151, "quarantined": 18},
    "verdicts": [_VERDICT],
    "canaries": [{**_VERDICT, "name": "canary_queries", "figure": 20, "threshold": 20}],
    "configuration": {"model": "all-MiniLM-L6-v2", "target_tokens": 200},
    "switched_off": [],
    "record_sha256": "5d41402abc4b2a76b9719d911017c592ae1f0b4e6f0d9a3c2b1e8f7a6c5d4e3f",
    "verification": {
        "verified_at": "2026-03-05T03:00:41+00:00",
        "version": VERSION_NAME,
        "passed": True,
        "deep": False,
    },
}
_PART = {"ok": True, "figure": 7.5, "limit": None, "remedy": ""}
HEALTH: dict[str, Any] = {
    "status": "ok",
    "version": VERSION_NAME,
    "parts": {
        "engine": {**_PART, "limit": "an answer"},
        "disk": {**_PART, "figure": 81230405632, "limit": 536870912},
        "memory": {**_PART, "figure": 912261120},
        "live_age": {**_PART, "figure": 1.2},
        "verification": {**_PART, "figure": 2.1},
    },
}
ALIVE: dict[str, Any] = {"status": "ok"}

DETAILS = {
    "malformed": "The body is not JSON.",
    "unauthorized": "This needs a key.",
    "forbidden": "The key a1b2c3 lacks the scope search.",
    "not-found": f"Version {VERSION_NAME} has no point {POINT}.",
    "range-not-satisfiable": "The file has 482113 bytes.",
    "too-large": "A body may have 65536 bytes.",
    "invalid": "body.top: Input should be less than or equal to 100.",
    "too-many-requests": "More than 100 requests at once, or 600 a minute.",
    "nothing-live": "Nothing is live.",
    "unavailable": "The reading workers hung while they started.",
    "overloaded": "200 requests are being worked on.",
    "integrity": f"Document {SHA}: the stored bytes are missing.",
    "timeout": "There was no answer within 30 seconds.",
}


def problem_example(kind: Kind) -> dict[str, Any]:
    """Return a problem of a kind, as an answer has it."""
    return {
        "type": kind.type,
        "title": kind.title,
        "status": kind.status,
        "detail": DETAILS.get(kind.slug, kind.title),
        "instance": "/api/v1/search",
        "remedy": kind.remedy,
        "request_id": "5f0c9a1e7b3d2468",
    }
