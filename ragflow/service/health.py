"""Is the service alive, is it well, and what are its figures: ``/health``, ``/health/detailed``, ``/metrics``."""

from __future__ import annotations

import logging
import shutil
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter, Request, Response

from ragflow.errors import RagflowError
from ragflow.model.keys import Scope
from ragflow.pipeline.hits import SearchMode
from ragflow.service import examples
from ragflow.service.metrics import CONTENT_TYPE, Stopwatch
from ragflow.service.problems import ProblemError
from ragflow.service.responses import Responses, answers, json_answer, lease
from ragflow.service.schemas import AliveAnswer, HealthAnswer
from ragflow.service.search_tasks import SearchTask
from ragflow.service.security import require
from ragflow.service.state import ServiceState, state_of
from ragflow.store.verifications import verification_store

log = logging.getLogger(__name__)

router = APIRouter(tags=["health"])

PROBE = "archive"
ALIVE: Responses = {200: answers(AliveAnswer, examples.ALIVE)[200]}
DETAILED = answers(HealthAnswer, examples.HEALTH)
DETAILED[503]["description"] = "Not all is well."
DETAILED[503]["model"] = HealthAnswer
FIGURES = DETAILED | {200: {"description": "Figures.", "content": {"text/plain": {"schema": {"type": "string"}}}}}


@router.get("/health", responses=ALIVE, operation_id="health")
async def health() -> Response:
    """Say that the service is alive. Asks nothing of anything else."""
    return json_answer({"status": "ok"})


@router.get(
    "/health/detailed", responses=DETAILED, dependencies=[require(Scope.METRICS)], operation_id="health_detailed"
)
async def health_detailed(request: Request) -> Response:
    """Say whether all is well: 503 if not, with what to do about each part that is not."""
    state = state_of(request)
    parts = {"engine": await _engine(state), **await state.slowly(lambda: _parts(state))}
    well = all(part["ok"] for part in parts.values())
    answer = {"status": "ok" if well else "degraded", "version": state.live.version, "parts": parts}
    return json_answer(answer, status=200 if well else 503)


@router.get(
    "/metrics",
    responses=FIGURES,
    dependencies=[require(Scope.METRICS)],
    response_class=Response,
    operation_id="metrics",
)
async def metrics(request: Request) -> Response:
    """Return the service's figures in Prometheus' text format."""
    state = state_of(request)
    return Response(await state.slowly(lambda: _figures(state)), headers={"Content-Type": CONTENT_TYPE})


async def _engine(state: ServiceState) -> dict[str, Any]:
    """Ask the engine something, in all ways in which it is searched."""
    watch = Stopwatch()
    try:
        with ExitStack() as held:
            searcher = held.enter_context(lease(state))
            task = SearchTask(PROBE, await state.embedder.embed(searcher, PROBE), 1, SearchMode.HYBRID)
            await state.find(held, searcher, task)
    except ProblemError as error:
        return _part(False, None, "an answer", f"{error.detail} {error.remedy}".strip())
    except RagflowError as error:
        log.error("the engine does not answer", extra={"detail": error.message})
        return _part(False, None, "an answer", f"{error.message} {error.remedy}".strip())
    problem = state.live.problem
    return _part(problem is None, round(watch.seconds * 1000, 2), "an answer", problem or "")


def _parts(state: ServiceState) -> dict[str, Any]:
    options = state.options
    free = shutil.disk_usage(state.workspace.home.root).free
    resident = state.resident_bytes()
    few = options.memory_limit_bytes
    return {
        "disk": _part(free >= options.disk_free_bytes, free, options.disk_free_bytes, "Make room on the disk."),
        "memory": _part(not few or resident <= few, resident, few or None, "Restart the service, or raise the limit."),
        "live_age": _live_age(state),
        "verification": _verification(state),
    }


def _live_age(state: ServiceState) -> dict[str, Any]:
    """Tell the age of the live version in days."""
    limit, version = state.options.live_max_age_days, state.live.version
    release = state.release(version) if version is not None else None
    if release is None:
        return _part(not limit, None, limit or None, "Release a version with `ragflow ingest`.")
    days = _hours_since(release.decided_at) / 24
    return _part(not limit or days <= limit, round(days, 3), limit or None, "See whether new documents come in.")


def _verification(state: ServiceState) -> dict[str, Any]:
    """Tell the hours since what is live was verified."""
    limit, version = state.options.verify_max_age_hours, state.live.version
    last = verification_store(state.workspace.home.root).find()
    remedy = "Run `ragflow verify`."
    if last is None or last.version != version:
        return _part(not limit, None, limit or None, remedy)
    hours = _hours_since(last.verified_at)
    if not last.passed:
        return _part(False, round(hours, 3), limit or None, "The last verification failed: run `ragflow verify`.")
    return _part(not limit or hours <= limit, round(hours, 3), limit or None, remedy)


def _hours_since(moment: str) -> float:
    return (datetime.now(UTC) - datetime.fromisoformat(moment)).total_seconds() / 3600


def _part(ok: bool, figure: float | None, limit: float | str | None, remedy: str) -> dict[str, Any]:
    return {"ok": ok, "figure": figure, "limit": limit, "remedy": "" if ok else remedy}


def _figures(state: ServiceState) -> bytes:
    state.note_live()
    return state.metrics.text()
