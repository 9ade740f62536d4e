"""Who asks, and what they may do: keys and scopes as dependencies of routes.

A key comes as ``Authorization: Bearer rfk_…`` or as ``X-API-Key: rfk_…``. On loopback none is needed unless
``require_key`` is set, or a proxy says that the request comes from elsewhere; one that is given must be good.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any

from fastapi import Depends, Request, Security
from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer
from starlette.types import Scope as AsgiScope

from ragflow.errors import RagflowError, UsageError
from ragflow.model.keys import Key, KeyState, Scope
from ragflow.model.service import ServiceOptions
from ragflow.service.problems import FORBIDDEN, UNAUTHORIZED, UNAVAILABLE, Kind, ProblemError
from ragflow.settings import Settings
from ragflow.store.keys import KeyStore

log = logging.getLogger(__name__)

REALM = 'Bearer realm="ragflow"'
STATE = "caller"
REMEMBERED = 64
"""Addresses and hosts that are not parsed again: on loopback they are the same with every request."""
MISDIRECTED = Kind(
    "misdirected",
    421,
    "This service is for this machine only",
    "Ask for it under 127.0.0.1 or localhost; to serve others, set service.require_key and give out keys.",
)
ABOUT_KEYS = "A key from `ragflow keys add`. Not needed on loopback, unless the service asks for it."
BEARER = HTTPBearer(scheme_name="bearer", description=ABOUT_KEYS, auto_error=False)
HEADER = APIKeyHeader(name="X-API-Key", scheme_name="api_key", description=ABOUT_KEYS, auto_error=False)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sent a request.

    Attributes:
        address: where it came from; empty if that is not known.
        key: the good key that came with it, if any.
        problem: what is to be answered because of the key that was given, or because keys cannot be told.
    """

    address: str
    key: Key | None = None
    problem: ProblemError | None = None

    @property
    def name(self) -> str:
        """What stands for the caller in limits and in the audit log: a key's id, or else an address."""
        return f"key:{self.key.id}" if self.key else f"address:{self.address}"


def key_store(settings: Settings) -> KeyStore:
    """Return the store of an archive's keys."""
    return _key_store(settings.home)


@lru_cache(maxsize=4)
def _key_store(home: Path) -> KeyStore:
    return KeyStore(home / "secrets")


def check_can_serve(options: ServiceOptions, store: KeyStore) -> None:
    """Make sure that a service that others can reach asks for keys that somebody has.

    Raises:
        UsageError: it is bound beyond loopback, and there is no active key.
        IntegrityError: the file of keys is damaged.
    """
    if not options.is_loopback and not store.has_active():
        raise UsageError(
            f"The service would listen on {options.host}, where others reach it, and there is no active key.",
            remedy="Make one with `ragflow keys add NAME`, or serve on 127.0.0.1.",
        )


def identify(scope: AsgiScope) -> Caller:
    """Return who sent a request. What was found is kept with the request; nothing is raised."""
    state = scope.setdefault("state", {})
    if STATE not in state:
        client = scope.get("client")
        state[STATE] = _caller(scope, client[0] if client else "", settings_of(scope))
    caller: Caller = state[STATE]
    return caller


def settings_of(scope: AsgiScope) -> Settings:
    """Return the settings of the service that a request came to."""
    settings: Settings = scope["app"].state.service.settings
    return settings


def _caller(scope: AsgiScope, address: str, settings: Settings) -> Caller:
    given = _tokens(scope)
    if not given:
        return Caller(address)
    if len(given) > 1:
        return Caller(address, problem=_refusal("Two different keys were sent."))
    try:
        key = key_store(settings).find(given.pop())
    except RagflowError as error:
        log.error("keys cannot be checked", extra={"detail": error.message, "remedy": error.remedy})
        told = "The service cannot check keys at the moment."
        return Caller(address, problem=ProblemError(UNAVAILABLE, told, remedy="Tell who runs the service."))
    if key is None:
        return Caller(address, problem=_refusal("The key is not known."))
    state = key.state(datetime.now(UTC))
    if state is not KeyState.ACTIVE:
        return Caller(address, problem=_refusal(f"The key {key.id} is {state}."))
    return Caller(address, key)


def header_values(scope: AsgiScope, name: bytes) -> list[str]:
    """Return the values of a header in the order in which they came; ``name`` in lower case."""
    return [value.decode("latin-1") for given, value in scope["headers"] if given == name]


def _tokens(scope: AsgiScope) -> set[str]:
    """Return the keys that came with a request. Other schemes of Authorization are none of ours."""
    found = {value.strip() for value in header_values(scope, b"x-api-key")}
    for value in header_values(scope, b"authorization"):
        scheme, _, token = value.strip().partition(" ")
        if scheme.lower() == "bearer":
            found.add(token.strip())
    return found


def _refusal(detail: str) -> ProblemError:
    return ProblemError(UNAUTHORIZED, detail, headers={"WWW-Authenticate": f'{REALM}, error="invalid_token"'})


def authorize(scope: AsgiScope, needed: Collection[Scope]) -> Caller:
    """Return who sent a request, if they may have what they ask for.

    Args:
        needed: scopes, all of which the key must have.

    Raises:
        ProblemError: 401 without a good key, 403 for a lacking scope, 421 where no key is asked for but the request
            was meant for another host.
    """
    caller = identify(scope)
    if caller.problem is not None:
        raise caller.problem
    if caller.key is None:
        options = settings_of(scope).service
        if options.asks_for_key or _comes_from_afar(caller.address, header_values(scope, b"x-forwarded-for")):
            raise ProblemError(UNAUTHORIZED, "This needs a key.", headers={"WWW-Authenticate": REALM})
        _check_host(next(iter(header_values(scope, b"host")), ""), options)
        return caller
    lacking = [wanted for wanted in needed if wanted not in caller.key.scopes]
    if lacking:
        named = " and ".join(lacking)
        raise ProblemError(
            FORBIDDEN,
            f"The key {caller.key.id} lacks the scope {named}.",
            remedy=f"Use a key that was made with {' '.join(f'--scope {wanted}' for wanted in lacking)}.",
            headers={"WWW-Authenticate": f'{REALM}, error="insufficient_scope", scope="{" ".join(lacking)}"'},
        )
    return caller


def _comes_from_afar(address: str, forwarded: Sequence[str]) -> bool:
    """Whether a proxy on this machine brings a request from another: nothing is open to everybody by mistake."""
    return _is_remote(address) or any(_is_remote(one) for value in forwarded for one in value.split(","))


@lru_cache(maxsize=REMEMBERED)
def _is_remote(address: str) -> bool:
    try:
        return not ip_address(address.strip()).is_loopback
    except ValueError:
        return False


def _check_host(host: str, options: ServiceOptions) -> None:
    """Refuse a request without a key whose Host is not this machine.

    A web page of an attacker could otherwise have its own host name point to 127.0.0.1, and then read the archive
    with the browser of whoever opened it (DNS rebinding). The same stops a proxy that would open the archive to all.
    """
    if not host or is_local_host(host) or _bare(host) == options.host:
        return
    raise ProblemError(MISDIRECTED, "Without a key, this service answers under names of this machine only.")


@lru_cache(maxsize=REMEMBERED)
def is_local_host(host: str) -> bool:
    """Whether the value of a Host header, with or without a port, names this machine."""
    name = _bare(host).lower().rstrip(".")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False


def _bare(host: str) -> str:
    """Return a host without its port, an IPv6 address without its brackets."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]


def require(scope: Scope) -> Any:
    """Return a dependency of a route: only callers with this scope get through; see :func:`authorize`."""

    async def check(
        request: Request,
        # Taken for the description of the API only; what decides is read from the headers themselves.
        bearer: Annotated[HTTPAuthorizationCredentials | None, Security(BEARER)] = None,
        header: Annotated[str | None, Security(HEADER)] = None,
    ) -> Caller:
        return authorize(request.scope, (scope,))

    return Depends(check)
