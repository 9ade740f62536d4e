"""Headers that every answer carries: what a browser may do with it, who may read it, whether it may be kept."""

from __future__ import annotations

import re
from collections.abc import Sequence

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ragflow.errors import UsageError
from ragflow.model.service import ServiceOptions

CONTENT_SECURITY = (
    "default-src 'self'; img-src 'self' blob: data:; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
)
"""Scripts and styles come from the service's own files only, never from within a page or from elsewhere."""
ALWAYS = {
    "Content-Security-Policy": CONTENT_SECURITY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
TRANSPORT_SECURITY = "max-age=31536000"
KEPT_NOWHERE = ("/api/", "/mcp", "/metrics", "/health")
"""Answers under these paths are kept in no cache, unless their route says otherwise."""

ORIGIN = re.compile(r"https?://([a-z0-9-]+(\.[a-z0-9-]+)*|\[[0-9a-f:.]+\])(:[0-9]{1,5})?")
METHODS = ("GET", "HEAD", "POST")
REQUEST_HEADERS = (
    "Authorization",
    "Content-Type",
    "If-None-Match",
    "MCP-Method",
    "MCP-Name",
    "MCP-Protocol-Version",
    "Range",
    "X-API-Key",
    "X-Request-ID",
)
ANSWER_HEADERS = (
    "Content-Disposition",
    "Content-Range",
    "ETag",
    "RateLimit",
    "RateLimit-Policy",
    "Retry-After",
    "WWW-Authenticate",
    "X-Request-ID",
)
PREFLIGHT_SECONDS = 600


def install(app: FastAPI, options: ServiceOptions) -> None:
    """Put the headers around an application and its limits, which must be installed before.

    Raises:
        UsageError: an entry of ``cors_origins`` is no origin.
    """
    if options.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=_origins(options.cors_origins),
            allow_methods=METHODS,
            allow_headers=REQUEST_HEADERS,
            expose_headers=ANSWER_HEADERS,
            # Keys come in headers that a page must set itself; there are no cookies to be sent along unasked.
            allow_credentials=False,
            max_age=PREFLIGHT_SECONDS,
        )
    app.add_middleware(SecurityHeaders)


def _origins(given: Sequence[str]) -> list[str]:
    for origin in given:
        if not ORIGIN.fullmatch(origin):
            raise UsageError(
                f"service.cors_origins: {origin!r} is no origin.",
                remedy="Name each origin as browsers send it, such as https://intranet.example.org; `*` is not taken.",
            )
    return list(given)


class SecurityHeaders:
    """Adds the headers of this module to every answer that does not set them itself."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._always = [_raw(name, value) for name, value in ALWAYS.items()]
        self._not_kept = _raw("Cache-Control", "no-store")
        self._https = _raw("Strict-Transport-Security", TRANSPORT_SECURITY)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def adding(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = message.get("headers", ())
                named = {name.lower() for name, _ in given}
                more = [*self._always]
                if scope["path"].startswith(KEPT_NOWHERE):
                    more.append(self._not_kept)
                # Known now only: a proxy that is believed says by which scheme it was asked.
                if scope["scheme"] == "https":
                    more.append(self._https)
                message["headers"] = [*given, *(entry for entry in more if entry[0] not in named)]
            await send(message)

        await self._app(scope, receive, adding)


def _raw(name: str, value: str) -> tuple[bytes, bytes]:
    return name.lower().encode(), value.encode()
