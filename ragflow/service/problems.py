"""Errors as answers: ``application/problem+json`` (RFC 9457), with what to do about it.

Every error of the service has the same shape. The ``type`` names the kind of problem and never changes; ``detail`` is
for a person; ``request_id`` stands in the log of the service as well.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import orjson
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import Scope

from ragflow.errors import BadInputError, IntegrityError, NotFoundError, RagflowError, UsageError

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
TYPE_PREFIX = "urn:ragflow:"
RETRY_SECONDS = 2
"""After how long a client is told to try again where nothing better is known."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of problem: the end of its ``type``, its status, its title, and what to do if nothing better is known."""

    slug: str
    status: int
    title: str
    remedy: str = ""

    @property
    def type(self) -> str:
        return f"{TYPE_PREFIX}{self.slug}"


MALFORMED = Kind("malformed", 400, "The request cannot be read", "Send what /openapi.json describes.")
UNAUTHORIZED = Kind("unauthorized", 401, "A key is needed", "Send a valid key: `Authorization: Bearer rfk_…`.")
FORBIDDEN = Kind("forbidden", 403, "The key does not allow this", "Use a key with the scope that is named.")
NOT_FOUND = Kind("not-found", 404, "Not found", "See /openapi.json for what there is.")
METHOD_NOT_ALLOWED = Kind("method-not-allowed", 405, "This method is not allowed here", "See the header Allow.")
RANGE = Kind("range-not-satisfiable", 416, "The range is outside of the file", "Ask for a part that is there.")
TOO_LARGE = Kind("too-large", 413, "The request is too large", "Send less.")
INVALID = Kind("invalid", 422, "A value cannot be used", "Correct what `errors` or `detail` names.")
TOO_MANY = Kind("too-many-requests", 429, "Too many requests", "Wait as long as Retry-After says.")
INTERNAL = Kind("internal", 500, "A defect of the service", "Report the request_id to who runs the service.")
NOTHING_LIVE = Kind("nothing-live", 503, "Nothing is live", "Run `ragflow ingest` first.")
UNAVAILABLE = Kind("unavailable", 503, "Not available now", "Try again in a moment.")
OVERLOADED = Kind("overloaded", 503, "Too much to do", "Try again in a moment.")
INTEGRITY = Kind("integrity", 503, "Stored data are not what was recorded", "Run `ragflow verify`.")
TIMEOUT = Kind("timeout", 504, "It took too long", "Ask for less, or try again.")

KINDS = (
    MALFORMED,
    UNAUTHORIZED,
    FORBIDDEN,
    NOT_FOUND,
    METHOD_NOT_ALLOWED,
    TOO_LARGE,
    RANGE,
    INVALID,
    TOO_MANY,
    INTERNAL,
    NOTHING_LIVE,
    UNAVAILABLE,
    OVERLOADED,
    INTEGRITY,
    TIMEOUT,
)
_BY_STATUS = {kind.status: kind for kind in reversed(KINDS)}


class ProblemError(Exception):
    """Raised anywhere in an operation: the request is answered with this problem.

    Args:
        kind: one of this module's kinds.
        detail: what happened, for a person. Never a secret, never the text of a query.
        remedy: what to do; empty: what the kind says.
        headers: of the answer (WWW-Authenticate, Retry-After).
    """

    def __init__(self, kind: Kind, detail: str, *, remedy: str = "", headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.kind = kind
        self.detail = detail
        self.remedy = remedy
        self.headers = dict(headers or {})


def problem_response(
    scope: Scope,
    kind: Kind,
    detail: str,
    *,
    remedy: str = "",
    headers: Mapping[str, str] | None = None,
    errors: Sequence[Mapping[str, Any]] = (),
) -> Response:
    """Return a problem as an answer; for middlewares, too: ``await problem_response(scope, …)(scope, receive, send)``.

    Args:
        scope: of the request.
        errors: for 422: one entry per wrong value, ``loc`` and ``msg``.
    """
    body: dict[str, Any] = {
        "type": kind.type,
        "title": kind.title,
        "status": kind.status,
        "detail": detail,
        "instance": scope.get("path", ""),
        "remedy": remedy or kind.remedy,
        "request_id": scope.get("state", {}).get("request_id", ""),
    }
    if errors:
        body["errors"] = list(errors)
    given = dict(headers or {})
    if kind.status in (429, 503):
        given.setdefault("Retry-After", str(RETRY_SECONDS))
    return Response(orjson.dumps(body), kind.status, given, media_type=MEDIA_TYPE)


def kind_of(error: RagflowError) -> Kind:
    """Return the kind of problem that an error of the layers below is."""
    if isinstance(error, NotFoundError):
        return NOT_FOUND
    if isinstance(error, UsageError | BadInputError):
        return INVALID
    if isinstance(error, IntegrityError):
        return INTEGRITY
    return UNAVAILABLE if error.transient or error.exit_code in (4, 5) else INTERNAL


def install(app: FastAPI) -> None:
    """Answer every error of the application with a problem; what nobody expected is left to ``observing``."""

    async def own(request: Request, error: Exception) -> Response:
        assert isinstance(error, ProblemError)
        return problem_response(request.scope, error.kind, error.detail, remedy=error.remedy, headers=error.headers)

    async def below(request: Request, error: Exception) -> Response:
        assert isinstance(error, RagflowError)
        kind = kind_of(error)
        if kind.status >= 500:
            log.error("a request failed", extra={"problem": kind.slug, "detail": error.message, **_where(request)})
        return problem_response(request.scope, kind, error.message, remedy=error.remedy)

    async def invalid(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        # The values themselves are left out: one of them may be a query.
        found = [
            {"loc": [str(part) for part in entry["loc"]], "msg": str(entry["msg"])} for entry in error.errors()[:20]
        ]
        if any(entry["type"] == "json_invalid" for entry in error.errors()):
            return problem_response(request.scope, MALFORMED, "The body is not JSON.", errors=found)
        first = found[0]
        detail = f"{'.'.join(first['loc'])}: {first['msg']}."
        return problem_response(request.scope, INVALID, detail, errors=found)

    async def http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        kind = _BY_STATUS.get(error.status_code)
        if kind is None or kind.status != error.status_code:
            kind = MALFORMED if error.status_code < 500 else INTERNAL
        standard = error.detail == HTTPStatus(kind.status).phrase
        detail = _standard_detail(request, kind) if standard else str(error.detail)
        return problem_response(request.scope, kind, detail, headers=error.headers)

    app.add_exception_handler(ProblemError, own)
    app.add_exception_handler(RagflowError, below)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, http)


def _standard_detail(request: Request, kind: Kind) -> str:
    if kind is NOT_FOUND:
        return "There is nothing under this address."
    if kind is METHOD_NOT_ALLOWED:
        return f"{request.method} is not possible here."
    return kind.title


def _where(request: Request) -> dict[str, Any]:
    return {"path": request.url.path, "request_id": request.scope.get("state", {}).get("request_id", "")}
