"""What browsers are told with every answer, and which pages of others may ask."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fastapi import FastAPI, Response
from starlette.testclient import TestClient

from ragflow.errors import UsageError
from ragflow.model.service import ServiceOptions
from ragflow.service import headers, limits, problems
from ragflow.settings import Settings

INTRANET = "https://intranet.example.org"


def client(home: Path, base: str = "http://127.0.0.1", **options: Any) -> TestClient:
    app, service = FastAPI(), ServiceOptions(**options)
    app.state.service = SimpleNamespace(settings=Settings(home=home, service=service))
    problems.install(app)
    limits.install(app, service)
    headers.install(app, service)

    @app.get("/")
    @app.get("/api/v1/search")
    async def search() -> dict[str, str]:
        return {}

    @app.get("/api/v1/file")
    async def file() -> Response:
        return Response(headers={"Cache-Control": "private, max-age=60", "Content-Security-Policy": "sandbox"})

    return TestClient(app, base_url=base, client=("192.0.2.7", 1))


@pytest.mark.parametrize("path", ["/", "/api/v1/search", "/api/v1/nothing"])
def test_every_answer_says_what_a_browser_may_do(tmp_path: Path, path: str) -> None:
    told = client(tmp_path).get(path).headers
    policy = dict(rule.split(" ", 1) for rule in told["Content-Security-Policy"].split("; "))
    assert policy == {
        "default-src": "'self'",
        "img-src": "'self' blob: data:",
        "frame-ancestors": "'none'",
        "base-uri": "'none'",
        "form-action": "'self'",
    }
    assert told["X-Content-Type-Options"] == "nosniff" and told["Referrer-Policy"] == "no-referrer"
    assert told["Cross-Origin-Opener-Policy"] == told["Cross-Origin-Resource-Policy"] == "same-origin"
    assert "camera=()" in told["Permissions-Policy"]
    assert told.get("Cache-Control") == ("no-store" if path.startswith("/api/") else None)
    assert not [name for name in told if name.startswith("access-control")]


def test_what_a_route_says_itself_stays(tmp_path: Path) -> None:
    told = client(tmp_path).get("/api/v1/file").headers
    assert told.get_list("Cache-Control") == ["private, max-age=60"]
    assert told.get_list("Content-Security-Policy") == ["sandbox"]


def test_what_limits_refuse_carries_the_headers_too(tmp_path: Path) -> None:
    asking = client(tmp_path, requests_per_minute=1, burst=1, cors_origins=(INTRANET,))
    assert asking.get("/api/v1/search").status_code == 200
    refused = asking.get("/api/v1/search", headers={"Origin": INTRANET})
    assert refused.status_code == 429 and refused.headers["Cache-Control"] == "no-store"
    assert refused.headers["Access-Control-Allow-Origin"] == INTRANET
    assert "Retry-After" in refused.headers["Access-Control-Expose-Headers"]


def test_browsers_are_held_to_https_only_where_it_is_spoken(tmp_path: Path) -> None:
    assert "Strict-Transport-Security" not in client(tmp_path).get("/").headers
    assert "max-age" in client(tmp_path, "https://127.0.0.1").get("/").headers["Strict-Transport-Security"]
    forwarded = {"X-Forwarded-Proto": "https"}
    assert "Strict-Transport-Security" not in client(tmp_path).get("/", headers=forwarded).headers
    behind = client(tmp_path, trusted_proxies=("192.0.2.7",))
    assert "Strict-Transport-Security" in behind.get("/", headers=forwarded).headers


def test_pages_of_named_origins_may_ask_and_no_others(tmp_path: Path) -> None:
    asking = client(tmp_path, cors_origins=(INTRANET, "http://127.0.0.1:3000"))
    preflight = {
        "Origin": INTRANET,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization, content-type",
    }
    allowed = asking.options("/api/v1/search", headers=preflight)
    assert allowed.status_code == 200 and allowed.headers["Access-Control-Allow-Origin"] == INTRANET
    assert "Access-Control-Allow-Credentials" not in allowed.headers and "Origin" in allowed.headers["Vary"]
    for changes in (
        {"Origin": "https://evil.example"},
        {"Origin": f"{INTRANET}.evil.example"},
        {"Origin": "null"},
        {"Access-Control-Request-Method": "DELETE"},
        {"Access-Control-Request-Headers": "x-other"},
    ):
        assert asking.options("/api/v1/search", headers={**preflight, **changes}).status_code == 400, changes
    other = asking.get("/api/v1/search", headers={"Origin": "https://evil.example"})
    assert "Access-Control-Allow-Origin" not in other.headers
    assert "Access-Control-Allow-Origin" not in client(tmp_path).get("/", headers={"Origin": INTRANET}).headers


@pytest.mark.parametrize(
    "origin", ["*", "null", "https://*.example.org", "intranet.example.org", f"{INTRANET}/", "file:///x", ""]
)
def test_an_origin_is_named_exactly(tmp_path: Path, origin: str) -> None:
    with pytest.raises(UsageError, match="cors_origins") as caught:
        client(tmp_path, cors_origins=(origin,))
    assert caught.value.remedy
