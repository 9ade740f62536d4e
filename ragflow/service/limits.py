"""What one request, one caller and all of them together may take: rate, size, number at once, time.

Each limit is an ASGI middleware of its own; a request meets them in this order, from the cheapest to the dearest:
rate, body, number at once, time. All of them answer with problems. Before there is a request, :class:`GuardedProtocol`
bounds how slowly one may come.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Any

from fastapi import FastAPI
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware
from uvicorn.protocols.http.h11_impl import H11Protocol

from ragflow.errors import UsageError
from ragflow.model.service import ServiceOptions
from ragflow.service.problems import OVERLOADED, TIMEOUT, TOO_LARGE, TOO_MANY, Kind, problem_response
from ragflow.service.security import REMEMBERED, Caller, header_values, identify

log = logging.getLogger(__name__)

ALIVE = "/health"
UNCOUNTED, STATIC = (ALIVE, "/"), "/static/"
"""Not counted against the rate: a page is a score of small files, and whoever reloads it must not be locked out."""
"""Whoever watches the service must learn that it is alive when it has most to do."""
POLICY = b"requests"
MAX_BUCKETS = 10_000
SLOW = Kind("request-timeout", 408, "The request came too slowly", "Send the body at once.")
HEAD_SECONDS = 10.0
"""How long the head of a request may take to come."""
LEAST = {"requests_per_minute": 0, "burst": 1, "max_body_bytes": 1, "timeout_seconds": 0.01, "max_concurrent": 1}
CLOSING = {"Connection": "close"}
"""What is left of a refused body is not read."""


def install(app: FastAPI, options: ServiceOptions) -> None:
    """Put the limits around an application. Headers and observation go around them: install those later.

    Raises:
        UsageError: an option cannot be used.
    """
    for name, least in LEAST.items():
        value = getattr(options, name)
        if not least <= value < math.inf:
            raise UsageError(f"service.{name} is {value}.", remedy=f"Set it to {least} or more.")
    app.add_middleware(TimeLimit, seconds=options.timeout_seconds)
    app.add_middleware(ConcurrencyLimit, most=options.max_concurrent)
    app.add_middleware(BodyLimit, most=options.max_body_bytes, seconds=options.timeout_seconds)
    if options.requests_per_minute:
        app.add_middleware(RateLimit, buckets=Buckets(options.requests_per_minute, options.burst))
    if options.trusted_proxies:
        app.add_middleware(ProxyHeadersMiddleware, trusted_hosts=_proxies(options.trusted_proxies))


def _proxies(given: tuple[str, ...]) -> list[str]:
    for proxy in given:
        try:
            ip_network(proxy, strict=False)
        except ValueError as error:
            # Names and "*" would be matched with what anybody can write into a header.
            raise UsageError(
                f"service.trusted_proxies: {proxy!r} is no address.",
                remedy="Give the addresses or networks of your proxies, such as 10.0.0.5 or 10.0.0.0/24.",
            ) from error
    return [str(ip_network(proxy, strict=False)) if "/" in proxy else proxy for proxy in given]


@dataclass(frozen=True, slots=True)
class Taken:
    """What a bucket said.

    Attributes:
        left: requests that may come at once now.
        wait: seconds until the next one may; 0: this one could.
        full: seconds until ``burst`` requests may come at once again.
    """

    left: int
    wait: float
    full: float


class Buckets:
    """A token bucket for each caller; those not seen for longest are forgotten first.

    Args:
        per_minute: tokens that a bucket gains in a minute.
        burst: tokens that it holds; it is full at first.
        most: buckets kept.
        clock: returns seconds that never go back.
    """

    def __init__(
        self,
        per_minute: int,
        burst: int,
        *,
        most: int = MAX_BUCKETS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.burst = max(1, burst)
        self.rate = per_minute / 60
        self._most = most
        self._clock = clock
        self._kept: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def take(self, caller: str) -> Taken:
        """Take one token of a caller, if there is one."""
        now = self._clock()
        tokens, then = self._kept.pop(caller, (float(self.burst), now))
        tokens = min(self.burst, tokens + (now - then) * self.rate)
        granted = tokens >= 1
        tokens -= granted
        self._kept[caller] = (tokens, now)
        if len(self._kept) > self._most:
            self._kept.popitem(last=False)
        wait = 0.0 if granted else (1 - tokens) / self.rate
        return Taken(int(tokens), wait, (self.burst - tokens) / self.rate)


class RateLimit:
    """Answers 429 to a caller that has used up what it may send; tells all others how much is left.

    The headers are those of the IETF's draft on rate limits: ``RateLimit-Policy`` and ``RateLimit``.
    """

    def __init__(self, app: ASGIApp, buckets: Buckets) -> None:
        self._app = app
        self._buckets = buckets
        window = math.ceil(buckets.burst / buckets.rate)
        self._policy = b'"%b";q=%d;w=%d' % (POLICY, buckets.burst, window)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in UNCOUNTED or scope["path"].startswith(STATIC):
            await self._app(scope, receive, send)
            return
        taken = self._buckets.take(rated_name(identify(scope)))
        told = (
            (b"ratelimit-policy", self._policy),
            (b"ratelimit", b'"%b";r=%d;t=%d' % (POLICY, taken.left, math.ceil(taken.full))),
        )

        async def telling(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *told]
            await send(message)

        if not taken.wait:
            await self._app(scope, receive, telling)
            return
        seconds = math.ceil(taken.wait)
        detail = f"More than {self._buckets.burst} requests at once, or {self._buckets.rate * 60:.0f} a minute."
        answer = problem_response(scope, TOO_MANY, detail, headers={"Retry-After": str(seconds)})
        await answer(scope, receive, telling)


def rated_name(caller: Caller) -> str:
    """Return under which name the requests of a caller are counted.

    Who has an IPv6 address has 2^64 of them: they are counted together.
    """
    return caller.name if caller.key is not None else f"address:{_rated_address(caller.address)}"


@lru_cache(maxsize=REMEMBERED)
def _rated_address(told: str) -> str:
    try:
        address = ip_address(told.partition("%")[0])
    except ValueError:
        return told
    if isinstance(address, IPv6Address):
        return str(address.ipv4_mapped or ip_network((address, 64), strict=False))
    return told


class BodyLimit:
    """Reads the body before anything is done with it: 413 if it is too large, 408 if it does not come.

    A slow sender thus holds no place among the requests that are worked on. A body is kept in memory, up to the limit.
    """

    def __init__(self, app: ASGIApp, most: int, seconds: float) -> None:
        self._app = app
        self._most = most
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not _has_body(scope):
            await self._app(scope, receive, send)
            return
        declared = next(iter(header_values(scope, b"content-length")), "")
        if declared.isdecimal() and int(declared) > self._most:
            await self._too_large(scope, receive, send)
            return
        body = bytearray()
        try:
            async with asyncio.timeout(self._seconds):
                while True:
                    message = await receive()
                    if message["type"] != "http.request":
                        return  # It has hung up: there is nobody to answer.
                    body += message.get("body", b"")
                    if len(body) > self._most:
                        await self._too_large(scope, receive, send)
                        return
                    if not message.get("more_body", False):
                        break
        except TimeoutError:
            detail = f"The body did not come within {self._seconds:g} seconds."
            await problem_response(scope, SLOW, detail, headers=CLOSING)(scope, receive, send)
            return
        whole: Message | None = {"type": "http.request", "body": bytes(body), "more_body": False}

        async def replayed() -> Message:
            nonlocal whole
            if whole is None:
                return await receive()
            message, whole = whole, None
            return message

        await self._app(scope, replayed, send)

    async def _too_large(self, scope: Scope, receive: Receive, send: Send) -> None:
        detail = f"A body may have {self._most} bytes."
        await problem_response(scope, TOO_LARGE, detail, headers=CLOSING)(scope, receive, send)


def _has_body(scope: Scope) -> bool:
    """Whether a body comes with a request: in HTTP/1.1 one of two headers says so, or there is none."""
    return any(name in (b"content-length", b"transfer-encoding") for name, _ in scope["headers"])


class ConcurrencyLimit:
    """Answers 503 when so many requests are worked on that one more would only make all of them late."""

    def __init__(self, app: ASGIApp, most: int) -> None:
        self._app = app
        self._most = most
        self._now = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] == ALIVE:
            await self._app(scope, receive, send)
            return
        if self._now >= self._most:
            detail = f"{self._most} requests are being worked on."
            await problem_response(scope, OVERLOADED, detail, headers={"Retry-After": "1"})(scope, receive, send)
            return
        self._now += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._now -= 1


class TimeLimit:
    """Gives up on a request whose answer has not begun in time (504), or whose next piece nobody takes.

    The task of the request is cancelled; what it has started in a thread goes on to its end, unheard.
    """

    def __init__(self, app: ASGIApp, seconds: float) -> None:
        self._app = app
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = False

        async def timed(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)
            if not deadline.expired():
                deadline.reschedule(asyncio.get_running_loop().time() + self._seconds)

        try:
            async with asyncio.timeout(self._seconds) as deadline:
                await self._app(scope, receive, timed)
        except TimeoutError:
            if not deadline.expired():
                raise
        if not deadline.expired():
            return
        log.warning("a request was given up", extra={"path": scope["path"], "begun": begun, **_request_id(scope)})
        if not begun:
            detail = f"There was no answer within {self._seconds:g} seconds."
            await problem_response(scope, TIMEOUT, detail)(scope, receive, send)


def _request_id(scope: Scope) -> dict[str, Any]:
    return {"request_id": scope.get("state", {}).get("request_id", "")}


class GuardedProtocol(H11Protocol):
    """uvicorn's HTTP/1.1, which hangs up on whoever takes too long over the head of a request.

    uvicorn itself bounds how large a head may be and how long a connection may be silent between two requests, but not
    how slowly a head may come: a few hundred clients that send a byte now and then would hold all connections.
    """

    _head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the time of the first head."""
        super().connection_made(transport)
        self._head_timer = self.loop.call_later(HEAD_SECONDS, self._hang_up)

    def data_received(self, data: bytes) -> None:
        """Stop the time when a head is whole, start it when the next one begins."""
        super().data_received(data)
        if self.cycle is not None and not self.cycle.response_complete:
            self._stop_timer()
        elif self._head_timer is None:
            self._head_timer = self.loop.call_later(HEAD_SECONDS, self._hang_up)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the time."""
        self._stop_timer()
        super().connection_lost(exc)

    def _stop_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _hang_up(self) -> None:
        self._head_timer = None
        log.debug("a request came too slowly")
        if not self.transport.is_closing():
            self.transport.close()
