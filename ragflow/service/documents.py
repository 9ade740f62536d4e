"""``/api/v1/documents``: what is known of a document, and its bytes."""

from __future__ import annotations

import re
from dataclasses import asdict
from pathlib import Path as FilePath
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Path, Query, Request, Response
from starlette.responses import FileResponse

from ragflow.model.keys import Scope
from ragflow.ocr.document import HEADER_BYTES, is_pdf
from ragflow.ocr.image_formats import image_format
from ragflow.pipeline.served import ServedDocument
from ragflow.service import examples
from ragflow.service.problems import INTEGRITY, NOT_FOUND, RANGE, ProblemError
from ragflow.service.responses import Responses, answers, is_known, json_answer, live_version, problem_answers
from ragflow.service.schemas import SHA256, DocumentAnswer
from ragflow.service.security import require
from ragflow.service.state import ServiceState, state_of

router = APIRouter(prefix="/api/v1/documents", tags=["documents"], dependencies=[require(Scope.READ)])

Sha256 = Annotated[str, Path(pattern=SHA256, description="SHA-256 of the content.", examples=[examples.SHA])]
DESCRIBED = answers(DocumentAnswer, examples.DOCUMENT, NOT_FOUND, INTEGRITY)
PARTS: Responses = {
    200: {
        "description": "The bytes.",
        "content": {"application/pdf": {}, "image/*": {}, "application/octet-stream": {}},
    },
    206: {"description": "A part of the bytes.", "content": {"application/pdf": {}, "image/*": {}}},
    304: {"description": "The client has these bytes."},
}
FILE = DESCRIBED | problem_answers(RANGE) | PARTS

OCTETS = "application/octet-stream"
ONE_RANGE = re.compile(r"bytes=(?:([0-9]{1,18})-([0-9]{0,18})|-([0-9]{1,18}))")
SANDBOX = "sandbox"
"""Whatever a document holds, a browser runs no script of it in the service's name."""


@router.get("", responses=DESCRIBED, operation_id="document_by_key")
async def document_by_key(
    request: Request,
    key: Annotated[str, Query(min_length=1, max_length=4096, examples=[examples.KEY])],
) -> Response:
    """Return what is known of the document with this key."""
    state = state_of(request)
    version = live_version(state)

    def work() -> dict[str, Any]:
        shown = state.shown(version)
        return _told(version, shown.document(shown.content_of(key)))

    return json_answer(await state.slowly(work))


@router.get("/{sha256}", responses=DESCRIBED, operation_id="document")
async def document(request: Request, sha256: Sha256) -> Response:
    """Return what is known of a content: its names, and what became of each page."""
    state = state_of(request)
    version = live_version(state)
    return json_answer(await state.slowly(lambda: _told(version, state.shown(version).document(sha256))))


@router.get("/{sha256}/file", responses=FILE, response_class=Response, operation_id="document_file")
async def document_file(request: Request, sha256: Sha256) -> Response:
    """Return the bytes as they came in; parts of them with ``Range``."""
    state = state_of(request)
    version = live_version(state)
    path, media_type, name = await state.slowly(lambda: _file(state, version, sha256))
    etag = f'"{sha256}"'
    headers = {
        "ETag": etag,
        # Who may no longer see it must be asked for the key again; the browser then keeps what it has.
        "Cache-Control": "private, no-cache",
        "Content-Disposition": _disposition(name, media_type),
        "Content-Security-Policy": SANDBOX,
    }
    if is_known(request, etag):
        return Response(status_code=304, headers=headers)
    _check_range(request, FilePath(path).stat().st_size, etag)
    return FileResponse(path, headers=headers, media_type=media_type)


def _told(version: str, found: ServedDocument) -> dict[str, Any]:
    return {
        "sha256": found.sha256,
        "version": version,
        "keys": found.keys,
        "title": found.title,
        "batch": found.batch,
        "bytes": found.size,
        "pages": [{"page_id": f"{found.sha256}-{line.page_number}", **asdict(line)} for line in found.pages],
        "links": {"file": f"/api/v1/documents/{found.sha256}/file"},
    }


def _file(state: ServiceState, version: str, sha256: str) -> tuple[str, str, str]:
    """Return path, media type and name of a content's bytes."""
    shown = state.shown(version)
    path = shown.blob(sha256)
    with FilePath(path).open("rb") as stream:
        start = stream.read(HEADER_BYTES)
    found = image_format(start)
    media_type = "application/pdf" if is_pdf(start) else f"image/{found.value.lower()}" if found else OCTETS
    return path, media_type, shown.document(sha256).keys[0].rsplit("/", 1)[-1]


def _disposition(name: str, media_type: str) -> str:
    """Show what a browser can show; what is neither a PDF nor an image is only ever saved."""
    kind = "attachment" if media_type == OCTETS else "inline"
    plain = name.encode("utf-8", "replace").decode()
    return f"{kind}; filename*=utf-8''{quote(plain, safe='')}"


def _check_range(request: Request, size: int, etag: str) -> None:
    """Leave a range in the request only if it is one that can be answered with a part.

    What is no range, several at once, and one of another file's bytes are left out: the whole file is the answer.

    Raises:
        ProblemError: 416, there are no such bytes.
    """
    given = request.headers.get("range")
    if given is None:
        return
    parts = ONE_RANGE.fullmatch(given.strip())
    condition = request.headers.get("if-range")
    backwards = parts is not None and parts[1] and parts[2] and int(parts[2]) < int(parts[1])
    if parts is None or backwards or condition not in (None, etag):
        request.scope["headers"] = [entry for entry in request.scope["headers"] if entry[0] != b"range"]
        return
    outside = int(parts[1]) >= size if parts[1] else int(parts[3]) == 0 or size == 0
    if outside:
        raise ProblemError(RANGE, f"The file has {size} bytes.", headers={"Content-Range": f"bytes */{size}"})
