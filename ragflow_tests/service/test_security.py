"""Keys and scopes in front of routes."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import orjson
import pytest
from fastapi import FastAPI, Request
from starlette.testclient import TestClient

from ragflow.errors import UsageError
from ragflow.model.keys import Scope
from ragflow.model.service import ServiceOptions
from ragflow.service import problems
from ragflow.service.security import check_can_serve, identify, is_local_host, key_store, require
from ragflow.service.serving import serve
from ragflow.settings import Settings
from ragflow.store.keys import KeyStore
from ragflow_tests.service.homes import Service, running, settings_of

ELSEWHERE = ServiceOptions(host="0.0.0.0")


def application(home: Path, options: ServiceOptions) -> FastAPI:
    app = FastAPI()
    app.state.service = SimpleNamespace(settings=Settings(home=home, service=options))
    problems.install(app)

    @app.get("/search", dependencies=[require(Scope.SEARCH)])
    async def search(request: Request) -> dict[str, str]:
        return {"caller": identify(request.scope).name}

    @app.get("/both", dependencies=[require(Scope.SEARCH), require(Scope.READ)])
    async def both() -> dict[str, str]:
        return {}

    @app.get("/free")
    async def free() -> dict[str, str]:
        return {}

    return app


def client(home: Path, options: ServiceOptions, host: str = "127.0.0.1:8080", address: str = "127.0.0.1") -> TestClient:
    return TestClient(application(home, options), base_url=f"http://{host}", client=(address, 4711))


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.fixture
def store(tmp_path: Path) -> KeyStore:
    return key_store(Settings(home=tmp_path))


def test_no_key_is_needed_on_loopback_and_one_everywhere_else(tmp_path: Path, store: KeyStore) -> None:
    open_to_me = client(tmp_path, ServiceOptions())
    assert open_to_me.get("/search").json() == {"caller": "address:127.0.0.1"}
    for options in (ELSEWHERE, ServiceOptions(require_key=True)):
        asking = client(tmp_path, options)
        refused = asking.get("/search")
        assert refused.status_code == 401 and refused.headers["WWW-Authenticate"] == 'Bearer realm="ragflow"'
        assert refused.headers["Content-Type"] == "application/problem+json"
        assert refused.json()["type"] == "urn:ragflow:unauthorized" and refused.json()["remedy"]
        assert asking.get("/free").status_code == 200
        key, token = store.add("me", [Scope.SEARCH])
        assert asking.get("/search", headers=bearer(token)).json() == {"caller": f"key:{key.id}"}


def test_a_key_comes_in_either_header(tmp_path: Path, store: KeyStore) -> None:
    key, token = store.add("me", [Scope.SEARCH])
    other, other_token = store.add("you", [Scope.SEARCH])
    asking = client(tmp_path, ELSEWHERE)
    for headers in ({"X-API-Key": token}, bearer(token), {"Authorization": f"bEARER  {token} "}):
        assert asking.get("/search", headers=headers).json() == {"caller": f"key:{key.id}"}
    assert asking.get("/search", headers={"X-API-Key": token, **bearer(token)}).status_code == 200
    both = asking.get("/search", headers={"X-API-Key": other_token, **bearer(token)})
    assert both.status_code == 401 and "Two different keys" in both.json()["detail"]
    assert other.id not in both.text and asking.get("/search", params={"key": token}).status_code == 401
    # Whoever stands in front may have a scheme of its own; that is no key.
    assert asking.get("/search", headers={"Authorization": "Basic Zm9vOmJhcg=="}).status_code == 401
    assert client(tmp_path, ServiceOptions()).get("/search", headers={"Authorization": "Basic Zm8="}).is_success


@pytest.mark.parametrize("options", [ServiceOptions(), ELSEWHERE])
def test_a_key_that_is_given_must_be_good(tmp_path: Path, store: KeyStore, options: ServiceOptions) -> None:
    asking = client(tmp_path, options)
    key, token = store.add("me", [Scope.SEARCH])
    _, other = store.add("you", [Scope.SEARCH])
    wrong = f"{token[:13]}{other[13:]}"
    for given in ("nonsense", "", wrong, f"rfk_aaaaaaaa_{token[13:]}"):
        refused = asking.get("/search", headers=bearer(given))
        assert refused.status_code == 401 and 'error="invalid_token"' in refused.headers["WWW-Authenticate"]
        assert refused.json()["detail"] == "The key is not known."
    assert asking.get("/search", headers=bearer(token)).status_code == 200
    store.revoke(key.id)
    refused = asking.get("/search", headers=bearer(token))
    assert refused.status_code == 401 and refused.json()["detail"] == f"The key {key.id} is revoked."


def test_an_expired_key_is_refused(tmp_path: Path, store: KeyStore) -> None:
    key, token = store.add("visitor", [Scope.SEARCH], days=1)
    asking = client(tmp_path, ELSEWHERE)
    assert asking.get("/search", headers=bearer(token)).status_code == 200
    kept = {**key.to_dict(), "expires_at": key.created_at}
    store.path.write_bytes(orjson.dumps({"format": "ragflow-keys/1", "keys": [kept]}))
    refused = asking.get("/search", headers=bearer(token))
    assert refused.status_code == 401 and refused.json()["detail"] == f"The key {key.id} is expired."


def test_the_lacking_scope_is_named(tmp_path: Path, store: KeyStore) -> None:
    asking = client(tmp_path, ServiceOptions())
    _, metrics = store.add("prometheus", [Scope.METRICS])
    _, search = store.add("me", [Scope.SEARCH])
    _, both = store.add("page", [Scope.SEARCH, Scope.READ])
    refused = asking.get("/search", headers=bearer(metrics))
    assert refused.status_code == 403 and "lacks the scope search" in refused.json()["detail"]
    assert 'error="insufficient_scope", scope="search"' in refused.headers["WWW-Authenticate"]
    assert "--scope search" in refused.json()["remedy"]
    assert "read" in asking.get("/both", headers=bearer(search)).json()["detail"]
    assert asking.get("/both", headers=bearer(both)).status_code == 200


def test_without_a_key_only_names_of_this_machine_are_answered(tmp_path: Path, store: KeyStore) -> None:
    """A host name of an attacker that points to 127.0.0.1 must not open the archive to a browser's visitor."""
    for host in ("127.0.0.1", "localhost:8080", "[::1]:8080", "archive.localhost", "127.8.0.1:1"):
        assert client(tmp_path, ServiceOptions(), host).get("/search").status_code == 200, host
    for host in ("evil.example", "evil.example:8080", "localhost.evil.example", "192.168.1.4:8080", "127.0.0.1.nip.io"):
        refused = client(tmp_path, ServiceOptions(), host).get("/search")
        assert refused.status_code == 421 and refused.json()["type"] == "urn:ragflow:misdirected", host
    _, token = store.add("proxy", [Scope.SEARCH])
    asked = client(tmp_path, ServiceOptions(require_key=True), "archive.example").get("/search", headers=bearer(token))
    assert asked.status_code == 200


def test_a_proxy_on_this_machine_opens_the_archive_to_nobody(tmp_path: Path, store: KeyStore) -> None:
    _, token = store.add("me", [Scope.SEARCH])
    for address in ("192.0.2.7", "2001:db8::1"):
        far = client(tmp_path, ServiceOptions(), address=address)
        assert far.get("/search").status_code == 401
        assert far.get("/search", headers=bearer(token)).status_code == 200
    here = client(tmp_path, ServiceOptions())
    for forwarded in ("192.0.2.7", "127.0.0.1, 192.0.2.7", " 2001:db8::1"):
        assert here.get("/search", headers={"X-Forwarded-For": forwarded}).status_code == 401, forwarded
    for forwarded in ("127.0.0.1", "::1", "unknown", ""):
        assert here.get("/search", headers={"X-Forwarded-For": forwarded}).status_code == 200, forwarded
    for last, status in (("192.0.2.7", 401), ("::1", 200)):
        several = [("X-Forwarded-For", "127.0.0.1"), ("X-Forwarded-For", last)]
        assert here.get("/search", headers=several).status_code == status, last


@pytest.mark.parametrize(("host", "local"), [("LOCALHOST.", True), ("[::1]", True), ("::1", False), ("", False)])
def test_hosts(host: str, local: bool) -> None:
    assert is_local_host(host) is local


def test_keys_that_cannot_be_read_open_nothing(
    tmp_path: Path, store: KeyStore, caplog: pytest.LogCaptureFixture
) -> None:
    _, token = store.add("me", [Scope.SEARCH])
    store.path.chmod(0o644)
    for options in (ServiceOptions(), ELSEWHERE):
        with caplog.at_level(logging.ERROR, logger="ragflow"):
            refused = client(tmp_path, options).get("/search", headers=bearer(token))
        assert refused.status_code == 503 and str(tmp_path) not in refused.text
    told = [record.__dict__ for record in caplog.records if record.name == "ragflow.service.security"]
    assert "chmod 600" in told[0]["remedy"] and token[13:] not in str(told)
    assert client(tmp_path, ServiceOptions()).get("/search").status_code == 200


def test_no_secret_is_told_in_answers_or_logs(
    tmp_path: Path, store: KeyStore, caplog: pytest.LogCaptureFixture
) -> None:
    key, token = store.add("me", [Scope.METRICS])
    with caplog.at_level(logging.DEBUG):
        asking = client(tmp_path, ELSEWHERE)
        answers = [asking.get("/search", headers=bearer(given)) for given in (token, token[:-1], f"x{token}")]
    assert [answer.status_code for answer in answers] == [403, 401, 401]
    told = "".join(str(record.__dict__) for record in caplog.records)
    for text in (told, *(f"{answer.text}{answer.headers}" for answer in answers)):
        assert token[13:-1] not in text and key.secret_sha256 not in text


def test_the_description_of_the_api_names_both_ways(tmp_path: Path) -> None:
    described: dict[str, Any] = application(tmp_path, ServiceOptions()).openapi()
    schemes = described["components"]["securitySchemes"]
    assert (schemes["bearer"]["type"], schemes["bearer"]["scheme"]) == ("http", "bearer")
    assert (schemes["api_key"]["in"], schemes["api_key"]["name"]) == ("header", "X-API-Key")
    assert described["paths"]["/search"]["get"]["security"] == [{"bearer": []}, {"api_key": []}]
    assert "security" not in described["paths"]["/free"]["get"]
    assert "parameters" not in described["paths"]["/search"]["get"]


def test_others_are_not_served_without_a_key(store: KeyStore) -> None:
    check_can_serve(ServiceOptions(), store)
    check_can_serve(ServiceOptions(host="::1", require_key=True), store)
    for host in ("0.0.0.0", "::", "192.168.1.4", "archive.example", ""):
        with pytest.raises(UsageError, match="no active key") as caught:
            check_can_serve(ServiceOptions(host=host), store)
        assert "ragflow keys add" in caught.value.remedy
    key, _ = store.add("me", [Scope.SEARCH])
    check_can_serve(ELSEWHERE, store)
    store.revoke(key.id)
    with pytest.raises(UsageError, match="no active key"):
        check_can_serve(ELSEWHERE, store)


# The service as it is

SCOPES = {
    "/api/v1/search": Scope.SEARCH,
    "/api/v1/documents": Scope.READ,
    "/api/v1/pages": Scope.READ,
    "/api/v1/trace": Scope.READ,
    "/api/v1/proofs": Scope.READ,
    "/api/v1/releases": Scope.READ,
    "/health/detailed": Scope.METRICS,
    "/metrics": Scope.METRICS,
}
OPEN = ("/", "/health", "/openapi.json")


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service that asks for keys; its archive is empty, for who is refused sees nothing of it anyway."""
    with running(settings_of(tmp_path_factory.mktemp("guarded").resolve(), require_key=True)) as found:
        yield found


def test_every_operation_asks_for_its_scope(guarded: Service) -> None:
    """All of them, as the description of the API names them: one that is forgotten here fails."""
    store = key_store(guarded.state.settings)
    tokens = {scope: store.add(scope, [scope])[1] for scope in Scope}
    described = guarded.app.openapi()["paths"]
    assert len(described) >= 10
    with guarded.client() as asking:
        for path, operations in described.items():
            wanted = next((scope for prefix, scope in SCOPES.items() if path.startswith(prefix)), None)
            for method in operations:
                address = path.replace("{", "").replace("}", "")
                if wanted is None:
                    assert path in OPEN and asking.request(method, address).status_code == 200, path
                    continue
                assert asking.request(method, address).status_code == 401, path
                for scope, token in tokens.items():
                    status = asking.request(method, address, headers=bearer(token)).status_code
                    assert (status == 403) == (scope is not wanted) and status != 401, (path, scope)
        for path in OPEN:
            assert asking.get(path).status_code == 200, path


def test_a_running_service_notices_new_and_revoked_keys(guarded: Service) -> None:
    store = key_store(guarded.state.settings)
    with guarded.client() as asking:
        key, token = store.add("me", [Scope.METRICS])
        assert asking.get("/metrics", headers=bearer(token)).status_code == 200
        store.revoke(key.id)
        refused = asking.get("/metrics", headers=bearer(token))
        assert refused.status_code == 401 and "revoked" in refused.json()["detail"]
        assert refused.json()["request_id"] == refused.headers["X-Request-ID"]


def test_serving_others_without_a_key_is_refused_before_anything_listens(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no active key"):
        serve(settings_of(tmp_path, host="0.0.0.0"), lambda address: pytest.fail(f"it listens on {address}"))
