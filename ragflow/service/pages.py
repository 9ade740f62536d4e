"""``/api/v1/pages``: what was read on a page, and the page as an image, with the hit on it marked."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response

from ragflow.model.keys import Scope
from ragflow.model.reading import Word
from ragflow.pipeline.page_images import PageImageError, RenderTask
from ragflow.pipeline.served import ServedPage, ServedVersion, box_of
from ragflow.service import examples
from ragflow.service.metrics import Stopwatch
from ragflow.service.problems import INTEGRITY, NOT_FOUND, Kind, ProblemError
from ragflow.service.responses import answers, is_known, json_answer, live_version
from ragflow.service.schemas import MAX_QUERY, PAGE_ID, PageAnswer
from ragflow.service.security import require
from ragflow.service.state import ServiceState, state_of

router = APIRouter(prefix="/api/v1/pages", tags=["pages"], dependencies=[require(Scope.READ)])

PageId = Annotated[
    str, Path(pattern=PAGE_ID, description="`<sha256>-<page number>`, page numbers from 1.", examples=[examples.PAGE])
]
CANNOT_SHOW = Kind("page-cannot-be-shown", 422, "The page cannot be shown", "Open the document itself instead.")
DESCRIBED = answers(PageAnswer, examples.PAGE_CONTENT, NOT_FOUND, INTEGRITY)
IMAGE = answers(None, None, NOT_FOUND, INTEGRITY, CANNOT_SHOW, media_type="image/png", description="The page.") | {
    304: {"description": "The client has this image."}
}


@router.get("/{page_id}.png", responses=IMAGE, response_class=Response, operation_id="page_image")
async def page_image(
    request: Request,
    page_id: PageId,
    point: Annotated[uuid.UUID | None, Query(description="A hit on this page, whose place is marked.")] = None,
    q: Annotated[
        str | None, Query(max_length=MAX_QUERY, description="A query, whose words are marked.", examples=["quarry"])
    ] = None,
    dpi: Annotated[int, Query(ge=36, le=200, description="Dots per inch; very large pages get fewer.")] = 110,
) -> Response:
    """Return a page as PNG, in grey; the place of a hit is marked lightly, the words of the query strongly."""
    state = state_of(request)
    version = live_version(state)
    task = await state.slowly(lambda: _task(state.shown(version), page_id, point, q, dpi, state))
    etag = f'"{task.key}"'
    headers = {"ETag": etag, "Cache-Control": "private, no-cache"}
    if is_known(request, etag):
        return Response(status_code=304, headers=headers)
    image = await state.slowly(lambda: state.images.find(task.sha256, task.key))
    state.metrics.images.labels("rendered" if image is None else "kept").inc()
    if image is None:
        image = await state.rendering(lambda: _rendered(state, version, task))
    return Response(image, headers=headers, media_type="image/png")


@router.get("/{page_id}", responses=DESCRIBED, operation_id="page")
async def page(request: Request, page_id: PageId) -> Response:
    """Return the text of a page, and its words with their places and how sure each is."""
    state = state_of(request)
    version = live_version(state)
    return json_answer(await state.slowly(lambda: _told(state.shown(version), page_id)))


def _read(shown: ServedVersion, page_id: str) -> ServedPage:
    sha256, _, number = page_id.partition("-")
    return shown.page(sha256, int(number))


def _told(shown: ServedVersion, page_id: str) -> dict[str, Any]:
    found = _read(shown, page_id)
    document = shown.document(found.sha256)
    return {
        "page_id": page_id,
        "version": shown.version,
        "document": {"key": document.keys[0], "sha256": found.sha256, "title": document.title},
        "page_number": found.page_number,
        "status": found.status,
        "reason": found.reason,
        "detail": found.detail,
        "engine": found.engine,
        "language": found.language,
        "confidence": found.confidence,
        "text": found.text,
        "words": [
            {
                "text": word.text,
                "box": box_of(word),
                "confidence": word.confidence,
                "char_start": word.char_start,
                "char_end": word.char_end,
            }
            for word in found.words
        ],
        "links": {
            "document": f"/api/v1/documents/{found.sha256}",
            "image": f"/api/v1/pages/{page_id}.png",
        },
    }


def _task(
    shown: ServedVersion, page_id: str, point: uuid.UUID | None, query: str | None, dpi: int, state: ServiceState
) -> RenderTask:
    """Return what is to be rendered.

    Raises:
        NotFoundError: there is no such page, or the point is not on it.
    """
    found = _read(shown, page_id)
    chunk = shown.chunk(found, point) if point is not None else None
    words: Sequence[Word] = ()
    if query is not None and query.strip():
        words = shown.matching_words(found, query, chunk)
    reading = state.workspace.reading
    return RenderTask(
        sha256=found.sha256,
        path=str(state.workspace.home.blobs.path(found.sha256)),
        page_index=found.page_number - 1,
        dpi=dpi,
        region=chunk.boxes if chunk is not None else (),
        words=tuple(box_of(word) for word in words),
        max_pixels=reading.max_page_pixels,
        passwords_file=reading.passwords_file,
    )


def _rendered(state: ServiceState, version: str, task: RenderTask) -> bytes:
    """Render a page and keep its image.

    Raises:
        ProblemError: 422, the page cannot be rendered.
        NotFoundError, IntegrityError: the bytes of the document are not there, or not what they were.
    """
    state.shown(version).blob(task.sha256)
    watch = Stopwatch()
    try:
        image = state.renderer.render(task)
    except PageImageError as error:
        raise ProblemError(CANNOT_SHOW, error.message, remedy=error.remedy) from error
    state.metrics.stage_done("render", watch.seconds)
    state.images.put(task.sha256, task.key, image)
    return image
