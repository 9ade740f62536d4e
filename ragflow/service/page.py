"""The search page for people: static files of the package, served as they are.

Nothing is built and nothing comes from elsewhere: ``page/`` holds one HTML file, one style sheet and a few ES modules.
All of them are read once, when the router is made; an ETag over their bytes tells a browser that its copy still holds.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib.resources import files

from fastapi import APIRouter, HTTPException, Request, Response

MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml; charset=utf-8",
}
"""Types by suffix; a file of another suffix in the folder is not served."""
INDEX = "index.html"
# The modules name each other without a version, so a browser asks each time whether its copies still hold.
CACHING = "no-cache"


@dataclass(frozen=True, slots=True)
class PageFile:
    """A file as it is sent: its bytes, media type and strong ETag."""

    content: bytes
    media_type: str
    etag: str


def page_files() -> dict[str, PageFile]:
    """Read the files of the page: name → file."""
    found = {}
    for entry in files("ragflow.service").joinpath("page").iterdir():
        suffix = entry.name[entry.name.rfind(".") :]
        if entry.is_file() and suffix in MEDIA_TYPES:
            content = entry.read_bytes()
            etag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
            found[entry.name] = PageFile(content, MEDIA_TYPES[suffix], etag)
    return found


def router() -> APIRouter:
    """Return the routes of the page: ``/`` and ``/static/{name}``. They need no key and tell nothing of the archive."""
    served = page_files()
    routes = APIRouter(include_in_schema=False)

    @routes.api_route("/", methods=["GET", "HEAD"])
    def index(request: Request) -> Response:
        return _answer(request, served[INDEX])

    @routes.api_route("/static/{name}", methods=["GET", "HEAD"])
    def static(request: Request, name: str) -> Response:
        file = served.get(name)
        if file is None or name == INDEX:
            raise HTTPException(404, detail=f"The page has no file {name!r}.")
        return _answer(request, file)

    return routes


def _answer(request: Request, file: PageFile) -> Response:
    """Return the file, or 304 if the browser has it; the server leaves the body of an answer to HEAD out."""
    headers = {"ETag": file.etag, "Cache-Control": CACHING}
    known = {tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")}
    if file.etag in known or "*" in known:
        return Response(status_code=304, headers=headers)
    return Response(file.content, media_type=file.media_type, headers=headers)
