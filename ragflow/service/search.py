"""``/api/v1/search``: the one operation that has to be quick.

One lease on the live version, one vector from the embedder, one call in a thread. The lease is handed over to that
thread: if the request is given up in the middle, the version stays open until the engine is done with it.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Query, Request, Response
from pydantic import StringConstraints

from ragflow.model.keys import Scope
from ragflow.pipeline.hits import Hit, SearchMode
from ragflow.pipeline.searching import Searcher
from ragflow.pipeline.served import ServedVersion, box_of
from ragflow.service import schemas
from ragflow.service.audit import AuditEntry
from ragflow.service.examples import SEARCH, SEARCH_REQUEST
from ragflow.service.metrics import Stopwatch
from ragflow.service.problems import INVALID, MALFORMED, TOO_LARGE, ProblemError
from ragflow.service.responses import answers, json_answer, lease
from ragflow.service.schemas import FIELD, MAX_CONDITIONS, MAX_TOP, Range, SearchRequest
from ragflow.service.security import identify, require
from ragflow.service.state import ServiceState, state_of
from ragflow.store.forgotten import Kind
from ragflow.vectors.protocols import PAYLOAD_INDEXES, AnyOf, Between, Condition

router = APIRouter(prefix="/api/v1", tags=["search"])

CONDITION = rf"^{FIELD[1:-1]}=[\s\S]{{0,2000}}$"


async def searched(state: ServiceState, asked: SearchRequest, caller: str) -> dict[str, Any]:
    """Answer a search as a JSON object, see :class:`ragflow.service.schemas.SearchAnswer`.

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
        vector = None
        if asked.mode is not SearchMode.SPARSE:
            vector = await state.embedder.embed(searcher, asked.query)
            stages["embed"] = watch.seconds

        def work() -> tuple[str | None, list[dict[str, Any]]]:
            with held.pop_all():  # from here on it is this thread that holds the version
                hits = searcher.search_with(
                    asked.query,
                    vector,
                    top=asked.top,
                    mode=asked.mode,
                    where=where,
                    min_score=asked.min_score,
                    per_document=asked.per_document,
                    diversity=asked.diversity,
                    stages=stages,
                )
                # Until the version without them is live, which takes a while.
                forgotten = state.workspace.home.absences.contents(Kind.FORGOTTEN)
                hits = [hit for hit in hits if hit.document["sha256"] not in forgotten]
                words = _words(state, searcher, asked, hits, stages)
                return state.released_at(searcher.version), [_hit(hit, words) for hit in hits]

        released_at, hits = await state.quickly(work)
    state.metrics.stages_done(stages)
    took_ms = round(watch.seconds * 1000, 2)
    if state.audit is not None:
        filters = asked.model_dump(mode="json", by_alias=True)["where"]
        entry = AuditEntry(caller, asked.query, filters, asked.mode, searcher.version, len(hits), took_ms)
        state.audit.record(entry)
    return {
        "query": asked.query,
        "mode": asked.mode,
        "version": searcher.version,
        "released_at": released_at,
        "took_ms": took_ms,
        "hits": hits,
    }


def _words(
    state: ServiceState, searcher: Searcher, asked: SearchRequest, hits: Sequence[Hit], stages: dict[str, float]
) -> Mapping[str, list[Sequence[float]]]:
    """Return point id → boxes of the words that match, if they are asked for."""
    if not asked.words or not hits:
        return {}
    watch = Stopwatch()
    shown = state.shown(searcher.version)
    found = {hit.point_id: _matching(shown, hit, asked.query) for hit in hits}
    stages["words"] = watch.seconds
    return found


def _matching(shown: ServedVersion, hit: Hit, query: str) -> list[Sequence[float]]:
    page = shown.page(hit.document["sha256"], hit.page_number)
    chunk = shown.chunk(page, uuid.UUID(hit.point_id))
    return [box_of(word) for word in shown.matching_words(page, query, chunk)]


def _hit(hit: Hit, words: Mapping[str, list[Sequence[float]]]) -> dict[str, Any]:
    sha256 = hit.document["sha256"]
    page_id = f"{sha256}-{hit.page_number}"
    return {
        "point_id": hit.point_id,
        "score": hit.score,
        "document": hit.document,
        "page_id": page_id,
        "page_number": hit.page_number,
        "text": hit.text,
        "boxes": hit.boxes,
        "words": words.get(hit.point_id, []),
        "confidence": hit.confidence,
        "engine": hit.engine,
        "language": hit.language,
        "collection_version": hit.collection_version,
        "proof_id": hit.proof_id,
        "also_in": hit.also_in,
        "similar": hit.similar,
        "links": {
            "page": f"/api/v1/pages/{page_id}",
            "image": f"/api/v1/pages/{page_id}.png?point={hit.point_id}",
            "document": f"/api/v1/documents/{sha256}",
            "file": f"/api/v1/documents/{sha256}/file",
            "trace": f"/api/v1/trace/{hit.point_id}?version={hit.collection_version}",
            "proof": f"/api/v1/proofs/{hit.proof_id}",
        },
    }


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
            description="`key=value`, may be given several times; the same key again: any of its values.",
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
        where=_read_conditions(where or []),
        min_score=min_score,
        per_document=per_document,
        diversity=diversity,
        words=words,
    )


def _read_conditions(entries: Sequence[str]) -> dict[str, Any]:
    """Read ``key=value``: whole numbers and true/false are such, except in fields that hold names."""
    found: dict[str, Any] = {}
    for entry in entries:
        key, _, text = entry.partition("=")
        value: str | int | bool = text
        if PAYLOAD_INDEXES.get(key) != "keyword":
            if text.isascii() and text.isdigit() and len(text) < 16:
                value = int(text)
            elif text in ("true", "false"):
                value = text == "true"
        found.setdefault(key, []).append(value)
    for key, values in found.items():
        if len(values) == 1:
            found[key] = values[0]
        elif len({type(value) for value in values}) > 1 or isinstance(values[0], bool):
            raise ProblemError(INVALID, f"where: the values of {key} are of different kinds.")
    return found


DESCRIBED = answers(schemas.SearchAnswer, SEARCH, MALFORMED, TOO_LARGE)


@router.get("/search", responses=DESCRIBED, dependencies=[require(Scope.SEARCH)], operation_id="search")
async def search(request: Request, asked: Annotated[SearchRequest, Depends(_from_address)]) -> Response:
    """Search what is live."""
    return json_answer(await searched(state_of(request), asked, identify(request.scope).name))


@router.post("/search", responses=DESCRIBED, dependencies=[require(Scope.SEARCH)], operation_id="search_post")
async def search_post(request: Request, asked: Annotated[SearchRequest, Body(examples=[SEARCH_REQUEST])]) -> Response:
    """Search what is live; conditions may be lists and ranges."""
    return json_answer(await searched(state_of(request), asked, identify(request.scope).name))
