"""The tools of assistants, asked by the protocol's own client over TCP."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from httpx2 import AsyncClient
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.types import CallToolResult, TextContent

from ragflow.model.keys import Scope
from ragflow.model.service import ServiceOptions
from ragflow.pipeline.workspace import Workspace
from ragflow.service.assistants import transport_security
from ragflow.service.security import key_store
from ragflow_tests.service.homes import LATER, REPORT, Service, running, settings_of

INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": {"name": "test", "version": "1"},
    },
}
ACCEPT = {"Accept": "application/json, text/event-stream"}
QUESTION = "Where was the ferry sold?"


def asked(service: Service, work: Callable[[Client], Awaitable[Any]], token: str = "", mode: str = "auto") -> Any:
    """Do some work with a client of the protocol."""

    async def run() -> Any:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        async with AsyncClient(headers=headers, timeout=60) as http:
            transport = streamable_http_client(f"{service.address}/mcp", http_client=http)
            async with Client(transport, mode=mode) as client:
                return await work(client)

    return asyncio.run(run())


def call(service: Service, tool: str, arguments: dict[str, Any], **options: Any) -> CallToolResult:
    result: CallToolResult = asked(service, lambda client: client.call_tool(tool, arguments), **options)
    return result


def told(result: CallToolResult) -> dict[str, Any]:
    """Return the structured answer, which the text repeats for clients that know no structure."""
    assert not result.is_error, result.content
    assert isinstance(result.content[0], TextContent)
    value: dict[str, Any] = result.structured_content or {}
    assert json.loads(result.content[0].text) == value
    return value


def complaint(result: CallToolResult) -> str:
    assert result.is_error and isinstance(result.content[0], TextContent)
    return result.content[0].text


@pytest.fixture(scope="module")
def guarded(home: Workspace) -> Iterator[Service]:
    """A service that asks for keys; its archive is the same, its keys lie in it."""
    store = key_store(settings_of(home.home.root))
    with running(settings_of(home.home.root, require_key=True, requests_per_minute=60, burst=30)) as found:
        yield found
    for path in (store.path, store.path.with_name("keys.lock")):
        path.unlink(missing_ok=True)


@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_an_assistant_finds_reads_and_checks(service: Service, mode: str) -> None:
    found = told(call(service, "search", {"query": QUESTION, "top": 3}, mode=mode))
    hit = found["hits"][0]
    assert (hit["document"], hit["title"], hit["page_number"]) == (LATER, "Later", 1) and "miller" in hit["text"]
    assert hit["proof_id"] == f"{found['version']}:{hit['point_id']}" and len(found["hits"]) == 3
    page = told(call(service, "read_page", {"page_id": hit["page_id"]}, mode=mode))
    assert hit["text"] in page["text"] and (page["document"], page["status"]) == (LATER, "indexed")
    traced = told(call(service, "trace", {"point_id": hit["point_id"]}, mode=mode))
    assert traced["holds"] and traced["present"] and traced["broken"] == []
    assert "document bytes" in traced["checked"] and traced["proof_id"] == hit["proof_id"]


def test_the_tools_give_what_the_api_gives(service: Service, client: httpx.Client) -> None:
    where = {"language": ["en", "fr"], "page_number": {"to": 1}}
    request = {"query": QUESTION, "top": 5, "mode": "sparse", "where": where, "per_document": 1}
    direct = client.post("/api/v1/search", json=request).json()
    found = told(call(service, "search", request))
    assert direct["hits"] and found["version"] == direct["version"]
    assert [hit["proof_id"] for hit in found["hits"]] == [hit["proof_id"] for hit in direct["hits"]]
    assert [hit["text"] for hit in found["hits"]] == [hit["text"] for hit in direct["hits"]]
    assert {hit["page_number"] for hit in found["hits"]} == {1}
    page_id = direct["hits"][0]["page_id"]
    assert (
        told(call(service, "read_page", {"page_id": page_id}))["text"]
        == (client.get(f"/api/v1/pages/{page_id}").json()["text"])
    )


def test_what_an_assistant_is_told_of_the_tools(service: Service) -> None:
    tools = {tool.name: tool for tool in asked(service, lambda client: client.list_tools()).tools}
    assert set(tools) == {"search", "read_page", "trace"}
    for tool in tools.values():
        assert tool.description and tool.output_schema and tool.annotations and tool.annotations.read_only_hint
    for name in ("search", "read_page"):
        for word in ("document", "page_number", "proof_id"):
            assert word in str(tools[name].description)
    assert set(tools["search"].input_schema["properties"]) == {"query", "top", "mode", "where", "per_document"}
    instructions: str = asked(service, lambda client: _instructions(client))
    assert "proof_id" in instructions and "cite" in instructions


async def _instructions(client: Client) -> str:
    return client.instructions or ""


def test_errors_say_what_to_do(service: Service) -> None:
    missing = call(service, "read_page", {"page_id": f"{'0' * 64}-1"})
    assert "0000" in complaint(missing) and "Traceback" not in complaint(missing)
    unknown = call(service, "trace", {"point_id": "00000000-0000-8000-8000-000000000000"})
    assert "has no point" in complaint(unknown) and "point_id" in complaint(unknown)
    for arguments in (
        {"query": " "},
        {"query": "q", "top": 0},
        {"query": "q", "mode": "psychic"},
        {"query": "q" * 2001},
        {"query": "q", "where": {"a b": "c"}},
        {},
    ):
        assert "search" in complaint(call(service, "search", arguments)), arguments
    assert "where" in complaint(call(service, "search", {"query": "q", "where": {"page_number": 1.5}}))


def test_a_key_needs_both_scopes(guarded: Service) -> None:
    store = key_store(guarded.state.settings)
    with guarded.client(headers=ACCEPT) as client:
        refused = client.post("/mcp", json=INITIALIZE)
        assert refused.status_code == 401 and refused.headers["Content-Type"] == "application/problem+json"
        for scope, lacking in ((Scope.SEARCH, "read"), (Scope.READ, "search")):
            _, token = store.add("half", [scope])
            refused = client.post("/mcp", json=INITIALIZE, headers={"X-API-Key": token})
            assert refused.status_code == 403 and f"lacks the scope {lacking}" in refused.json()["detail"]
    key, token = store.add("assistant", [Scope.SEARCH, Scope.READ])
    assert told(call(guarded, "search", {"query": QUESTION}, token=token))["hits"]
    store.revoke(key.id)
    with guarded.client(headers=ACCEPT) as client:
        assert client.post("/mcp", json=INITIALIZE, headers={"X-API-Key": token}).status_code == 401


def test_limits_and_headers_hold_for_assistants_too(service: Service, guarded: Service) -> None:
    with service.client(headers=ACCEPT) as client:
        begun = client.post("/mcp", json=INITIALIZE)
        assert begun.status_code == 200 and begun.headers["Content-Type"] == "application/json"
        assert begun.headers["Cache-Control"] == "no-store" and begun.headers["X-Request-ID"]
        assert "mcp-session-id" not in begun.headers
        large = client.post("/mcp", json={**INITIALIZE, "padding": "x" * 100_000})
        assert large.status_code == 413 and large.json()["type"] == "urn:ragflow:too-large"
        for method in ("GET", "DELETE"):
            refused = client.request(method, "/mcp")
            assert refused.status_code == 405 and refused.headers["Allow"] == "POST"
    with guarded.client(headers=ACCEPT) as client:
        statuses = [client.post("/mcp", json=INITIALIZE).status_code for _ in range(40)]
        assert statuses[0] == 401 and statuses[-1] == 429


def test_only_names_of_this_machine_without_a_key(service: Service, guarded: Service) -> None:
    with service.client(headers=ACCEPT) as client:
        assert client.post("/mcp", json=INITIALIZE, headers={"Host": "evil.example"}).status_code == 421
        assert client.post("/mcp", json=INITIALIZE, headers={"Origin": "https://evil.example"}).status_code == 403
        assert client.post("/mcp", json=INITIALIZE, headers={"Origin": service.address}).status_code == 200
        assert client.post("/mcp", json=INITIALIZE, headers={"Host": "localhost"}).status_code == 200
    _, token = key_store(guarded.state.settings).add("proxied", [Scope.SEARCH, Scope.READ])
    named = {"Host": "archive.example", "X-API-Key": token}
    with guarded.client(headers=ACCEPT) as client:
        assert client.post("/mcp", json=INITIALIZE, headers=named).status_code == 200


def test_hosts_that_are_answered() -> None:
    open_to_me = transport_security(ServiceOptions(host="::1", cors_origins=("http://127.0.0.9:3000",)))
    assert {"[::1]:*", "localhost", "127.0.0.1:*"} <= set(open_to_me.allowed_hosts)
    assert "http://127.0.0.9:3000" in open_to_me.allowed_origins
    for options in (ServiceOptions(host="0.0.0.0"), ServiceOptions(require_key=True)):
        assert not transport_security(options).enable_dns_rebinding_protection


def test_searches_of_assistants_are_audited(home: Workspace, tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    with running(settings_of(home.home.root, audit_log=str(path))) as audited:
        hits = told(call(audited, "search", {"query": QUESTION, "where": {"language": "en"}}))["hits"]
        audited.client().get("/api/v1/search", params={"query": REPORT, "top": 2, "mode": "sparse"})
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [(line["query"], line["filters"], line["mode"]) for line in lines] == [
        (QUESTION, {"language": "en"}, "hybrid"),
        (REPORT, {}, "sparse"),
    ]
    assert lines[0]["hits"] == len(hits) and {line["caller"] for line in lines} == {"address:127.0.0.1"}
