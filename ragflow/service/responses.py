"""What operations share: JSON answers, validators of caches, the description of answers, the lease on what is live."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import orjson
from fastapi import Request, Response
from pydantic import BaseModel

from ragflow.errors import NotFoundError, ServiceUnavailableError
from ragflow.pipeline.searching import Searcher
from ragflow.service.examples import problem_example
from ragflow.service.problems import (
    FORBIDDEN,
    INVALID,
    MEDIA_TYPE,
    NOTHING_LIVE,
    OVERLOADED,
    TIMEOUT,
    TOO_MANY,
    UNAUTHORIZED,
    UNAVAILABLE,
    Kind,
    ProblemError,
)
from ragflow.service.schemas import ProblemAnswer
from ragflow.service.state import ServiceState

ALWAYS_POSSIBLE = (UNAUTHORIZED, FORBIDDEN, INVALID, TOO_MANY, NOTHING_LIVE, UNAVAILABLE, OVERLOADED, TIMEOUT)
Responses = dict[int | str, dict[str, Any]]


def json_answer(value: Any, *, headers: Mapping[str, str] | None = None, status: int = 200) -> Response:
    """Return a JSON answer; ``value`` may hold dataclasses and floats of numpy."""
    data = orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY)
    return Response(data, status, dict(headers or {}), media_type="application/json")


def is_known(request: Request, etag: str) -> bool:
    """Whether the client says that it has the answer with this ETag (with its quotation marks) already."""
    given = {tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")}
    return etag in given or "*" in given


@contextmanager
def lease(state: ServiceState) -> Iterator[Searcher]:
    """Give out the live version; see :meth:`ragflow.service.live.LiveCollection.lease`.

    Raises:
        ProblemError: 503, nothing is live or what is cannot be opened.
    """
    with ExitStack() as stack:
        try:
            searcher = stack.enter_context(state.live.lease())
        except NotFoundError as error:
            raise ProblemError(NOTHING_LIVE, error.message, remedy=error.remedy) from error
        except ServiceUnavailableError as error:
            raise ProblemError(UNAVAILABLE, error.message, remedy=error.remedy) from error
        yield searcher


def live_version(state: ServiceState) -> str:
    """Return the version that serves.

    Raises:
        ProblemError: as for :func:`lease`.
    """
    with lease(state) as searcher:
        return searcher.version


def answers(
    model: type[BaseModel] | None,
    example: Any,
    *problems: Kind,
    media_type: str = "application/json",
    description: str = "What was asked for.",
) -> Responses:
    """Describe the answers of an operation for ``/openapi.json``.

    Args:
        model: of a JSON answer; None: bytes of ``media_type``.
        example: of a JSON answer.
        problems: those that only this operation has; those that all have are added.
    """
    content: dict[str, Any] = {"example": example} if model is not None else {"schema": _BYTES}
    told: Responses = {200: {"description": description, "content": {media_type: content}}}
    if model is not None:
        told[200]["model"] = model
    return told | problem_answers(*problems, *ALWAYS_POSSIBLE)


def problem_answers(*kinds: Kind) -> Responses:
    """Describe problems, each with an example; kinds with the same status are told together."""
    told: Responses = {}
    for kind in kinds:
        entry = told.setdefault(
            kind.status,
            {
                "description": kind.title,
                "content": {
                    MEDIA_TYPE: {"schema": {"$ref": f"#/components/schemas/{ProblemAnswer.__name__}"}, "examples": {}}
                },
            },
        )
        entry["content"][MEDIA_TYPE]["examples"][kind.slug] = {"value": problem_example(kind)}
    return told


_BYTES = {"type": "string", "format": "binary"}
