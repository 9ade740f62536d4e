"""``/api/v1/search``: the one operation that has to be quick.

One lease on the live version, one vector from the embedder, one message to the process that searches. Where that is not
to be had, the search is one call in a thread, to which the lease is handed over: if the request is given up in the
middle, the version stays open until the engine is done with it.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Body, Depends, Query, Request, Response
from pydantic import StringConstraints

from ragflow.model.keys import Scope
from ragflow.pipeline.conditions import read_conditions
from ragflow.pipeline.hits import SearchMode
from ragflow.pipeline.served import box_of
from ragflow.service import schemas
from ragflow.service.audit import AuditEntry
from ragflow.service.examples import SEARCH, SEARCH_REQUEST
from ragflow.service.metrics import Stopwatch
from ragflow.service.problems import MALFORMED, TOO_LARGE
from ragflow.service.responses import answers, json_answer, lease
from ragflow.service.schemas import FIELD, MAX_CONDITIONS, MAX_TOP, Range, SearchRequest
from ragflow.service.search_tasks import Found, SearchTask
from ragflow.service.security import identify, require
from ragflow.service.state import ServiceState, state_of
from ragflow.vectors.protocols import AnyOf, Between, Condition

router = APIRouter(prefix="/api/v1", tags=["search"])

CONDITION = rf"^{FIELD[1:-1]}=[\s\S]{{0,2000}}$"


async def searched(state: ServiceState, asked: SearchRequest, caller: str) -> dict[str, Any]:
    """Answer a search, see :class:`ragflow.service.schemas.SearchAnswer`; ``hits`` is written as JSON already.

    Args:
        caller: what the audit log calls who asks; see :attr:`ragflow.service.security.Caller.name`.

    Raises:
        ProblemError: 503, nothing is live.
        RagflowError: the query or a condition cannot be used, or the engine fails.
    """
    watch = Stopwatch()
    stages: dict[str, float] = {}
    where = conditions_of(asked.where)
    with ExitStack() as held:
        searcher = held.enter_context(lease(state))
        version, vector = searcher.version, None
        if asked.mode is not SearchMode.SPARSE:
            vector = await state.embedder.embed(searcher, asked.query)
            stages["embed"] = watch.seconds
        task = SearchTask(
            asked.query,
            vector,
            asked.top,
            asked.mode,
            where,
            asked.min_score,
            asked.per_document,
            asked.diversity,
        )
        found = await state.find(held, searcher, task)
    if asked.words and found.count:
        found = await state.quickly(partial(_with_words, state, version, asked.query, found))
    state.metrics.stages_done(stages | found.stages)
    took_ms = round(watch.seconds * 1000, 2)
    if state.audit is not None:
        filters = asked.model_dump(mode="json", by_alias=True)["where"]
        state.audit.record(AuditEntry(caller, asked.query, filters, asked.mode, version, found.count, took_ms))
    return {
        "query": asked.query,
        "mode": asked.mode,
        "version": version,
        "released_at": await state.released_at(version),
        "took_ms": took_ms,
        "hits": found.hits,
    }


def _with_words(state: ServiceState, version: str, query: str, found: Found) -> Found:
    """Return what was found with the boxes of the words that match."""
    watch = Stopwatch()
    shown, hits = state.shown(version), orjson.loads(found.hits)
    for hit in hits:
        page = shown.page(hit["document"]["sha256"], hit["page_number"])
        chunk = shown.chunk(page, uuid.UUID(hit["point_id"]))
        hit["words"] = [box_of(word) for word in shown.matching_words(page, query, chunk)]
    return replace(found, hits=orjson.dumps(hits), stages=found.stages | {"words": watch.seconds})


def conditions_of(where: Mapping[str, Any]) -> dict[str, Condition] | None:
    """Return the conditions of a request as the engine takes them; None if there are none."""
    return {name: _condition(value) for name, value in where.items()} or None


def _condition(value: Any) -> Condition:
    if isinstance(value, list):
        return AnyOf(tuple(value))
    if isinstance(value, Range):
        return Between(value.low, value.high)
    plain: str | int | bool = value
    return plain


async def _from_address(
    query: Annotated[schemas.Query, Query(examples=["When was the quarry closed?"])],
    top: Annotated[int, Query(ge=1, le=MAX_TOP)] = 10,
    mode: SearchMode = SearchMode.HYBRID,
    where: Annotated[
        list[Annotated[str, StringConstraints(pattern=CONDITION)]] | None,
        Query(
            max_length=MAX_CONDITIONS,
            description="`key=value` or `key=1..20`, several times if need be; the same key again: any of its values.",
            examples=[["language=en"]],
        ),
    ] = None,
    min_score: Annotated[float | None, Query(allow_inf_nan=False)] = None,
    per_document: Annotated[int | None, Query(ge=1, le=100)] = None,
    diversity: Annotated[float, Query(ge=0, le=1)] = 0.0,
    words: bool = False,
) -> SearchRequest:
    """Return what the query of an address asks for.

    A coroutine although it waits for nothing: plain functions are called in a thread, which costs more than they do.
    """
    return SearchRequest(
        query=query,
        top=top,
        mode=mode,
        where={key: _as_asked(condition) for key, condition in read_conditions(where or []).items()},
        min_score=min_score,
        per_document=per_document,
        diversity=diversity,
        words=words,
    )


def _as_asked(condition: Condition) -> Any:
    """Return a condition as the body of a request has it."""
    if isinstance(condition, AnyOf):
        return list(condition.values)
    return {"from": condition.low, "to": condition.high} if isinstance(condition, Between) else condition


def _answer(found: dict[str, Any]) -> Response:
    return json_answer({**found, "hits": orjson.Fragment(found["hits"])})


DESCRIBED = answers(schemas.SearchAnswer, SEARCH, MALFORMED, TOO_LARGE)


@router.get("/search", responses=DESCRIBED, dependencies=[require(Scope.SEARCH)], operation_id="search")
async def search(request: Request, asked: Annotated[SearchRequest, Depends(_from_address)]) -> Response:
    """Search what is live."""
    return _answer(await searched(state_of(request), asked, identify(request.scope).name))


@router.post("/search", responses=DESCRIBED, dependencies=[require(Scope.SEARCH)], operation_id="search_post")
async def search_post(request: Request, asked: Annotated[SearchRequest, Body(examples=[SEARCH_REQUEST])]) -> Response:
    """Search what is live; conditions may be lists and ranges."""
    return _answer(await searched(state_of(request), asked, identify(request.scope).name))
