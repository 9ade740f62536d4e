"""The application: every part of the service, put together."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from anyio.to_thread import run_sync
from fastapi import APIRouter, FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute

import ragflow
from ragflow.service import (
    assistants,
    documents,
    headers,
    health,
    limits,
    observing,
    page,
    pages,
    problems,
    releases,
    search,
    traces,
)
from ragflow.service.schemas import ProblemAnswer
from ragflow.service.state import ServiceState
from ragflow.settings import Settings

log = logging.getLogger(__name__)

TITLE = "ragflow"
DESCRIPTION = (
    "Search an archive of documents, and follow each hit back to its page, its stored bytes and the release that"
    " published it. Errors are `application/problem+json`."
)


def routers() -> tuple[APIRouter, ...]:
    """Return the routers of the API and of the page."""
    return (
        search.router,
        documents.router,
        pages.router,
        traces.router,
        releases.router,
        health.router,
        page.router(),
    )


def create_app(settings: Settings) -> FastAPI:
    """Return the service of an archive. Nothing is opened before it is started.

    Raises:
        UsageError: an option cannot be used.
    """
    state = ServiceState.of(settings)

    @asynccontextmanager
    async def running(app: FastAPI) -> AsyncIterator[None]:
        await run_sync(state.start, asyncio.get_running_loop())
        try:
            yield
        finally:
            await state.close()

    # No pages of documentation: the usual ones load their scripts from elsewhere.
    app = FastAPI(
        title=TITLE,
        description=DESCRIPTION,
        version=ragflow.__version__,
        lifespan=running,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.service = state
    parts = routers()
    for router in parts:
        # As they are: a router that is included matches each request twice.
        app.router.routes.extend(router.routes)
    assistants.mount(app, state)
    problems.install(app)
    # The later a layer is installed, the further out it lies.
    limits.install(app, settings.service)
    headers.install(app, settings.service)
    observing.install(app, state.metrics)
    app.openapi = lambda: _described(app, parts)  # type: ignore[method-assign]
    return app


def _described(app: FastAPI, described_by: Sequence[APIRouter]) -> dict[str, Any]:
    """Return the description of the API, made once."""
    if app.openapi_schema is None:
        described = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
        schemas = described["components"]["schemas"]
        for name in ("HTTPValidationError", "ValidationError"):
            schemas.pop(name, None)  # FastAPI's own shape of an error, which no answer has
        schemas[ProblemAnswer.__name__] = ProblemAnswer.model_json_schema()
        for router in described_by:
            _put_examples_back(described["paths"], router)
        app.openapi_schema = described
    return app.openapi_schema


def _put_examples_back(paths: dict[str, Any], router: APIRouter) -> None:
    """Put in the examples of answers as they are: FastAPI leaves out of them what is null."""
    for route in router.routes:
        if not isinstance(route, APIRoute) or not route.include_in_schema:
            continue
        for method in route.methods or ():
            told = paths[route.path][method.lower()]["responses"]
            for status, entry in route.responses.items():
                for media_type, content in entry.get("content", {}).items():
                    if "example" in content:
                        told[str(status)]["content"][media_type]["example"] = content["example"]
