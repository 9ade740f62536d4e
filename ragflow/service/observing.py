"""The outermost layer: gives each request an id, counts it, logs it, and answers for what nobody expected."""

from __future__ import annotations

import logging
import re
import secrets
import time
from typing import Any

from fastapi import FastAPI
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ragflow.service.metrics import UNMATCHED, Metrics
from ragflow.service.problems import INTERNAL, problem_response

log = logging.getLogger(__name__)

HEADER = b"x-request-id"
_USABLE = re.compile(rb"[A-Za-z0-9._-]{8,64}")


class Observing:
    """ASGI middleware. A request id that the client sends is kept, if it looks like one.

    Logged are route, method, status and time; never the query of the address, which may hold what was searched for.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _request_id(scope)
        scope.setdefault("state", {})["request_id"] = request_id
        started, status = time.perf_counter(), 0

        async def observed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), (HEADER, request_id.encode())]
            await send(message)

        self._metrics.in_flight.inc()
        try:
            await self._app(scope, receive, observed)
        except Exception:
            log.exception("a defect", extra={"route": _route(scope), "request_id": request_id})
            self._metrics.errors.labels(_route(scope)).inc()
            if status:
                # The answer is under way: cut it off, so that the client sees that it is not whole.
                raise
            answer = problem_response(scope, INTERNAL, "The service met something that it cannot deal with.")
            await answer(scope, receive, observed)
        finally:
            self._metrics.in_flight.dec()
            seconds = time.perf_counter() - started
            route = _route(scope)
            # A client that went away before it was answered: 499, as proxies write it.
            self._metrics.request_done(route, scope["method"], status or 499, seconds)
            if log.isEnabledFor(logging.DEBUG):
                log.debug("request", extra=_told(scope, route, status or 499, seconds, request_id))


def install(app: FastAPI, metrics: Metrics) -> None:
    """Put this layer around all that were added before."""
    app.add_middleware(Observing, metrics=metrics)


def _request_id(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == HEADER and _USABLE.fullmatch(value):
            return bytes(value).decode()
    return secrets.token_hex(8)


def _route(scope: Scope) -> str:
    """Return the template of the route; an address of which there is none could be anything, and is not told."""
    route = scope.get("route")
    return getattr(route, "path", None) or UNMATCHED


def _told(scope: Scope, route: str, status: int, seconds: float, request_id: str) -> dict[str, Any]:
    return {
        "route": route,
        "method": scope["method"],
        "status": status,
        "milliseconds": round(seconds * 1000, 1),
        "request_id": request_id,
    }
