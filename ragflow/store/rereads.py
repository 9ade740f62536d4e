"""Requests to read something again: append-only, oldest first.

They lie as JSON lines in one file, which is replaced as a whole, so that a reader sees a request whole or not at all.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path

import orjson

from ragflow.errors import IntegrityError
from ragflow.model.reading import Effort
from ragflow.store.atomic import write_bytes
from ragflow.store.locks import Lock

FILE = "requests.jsonl"


@dataclass(frozen=True, slots=True)
class Reread:
    """One request.

    Attributes:
        sha256: the content concerned.
        page_index: 0-based; None for the whole document, from inspection on.
        effort: how hard to read. Of all requests for a page, the highest effort holds.
        why: who asked, and for what reason; for a person.
        at: ISO 8601, UTC.
    """

    sha256: str
    page_index: int | None
    effort: Effort
    why: str
    at: str


@dataclass(frozen=True, slots=True)
class RereadStore:
    """Requests under ``root``."""

    root: Path

    @property
    def _path(self) -> Path:
        return self.root / FILE

    def all(self) -> list[Reread]:
        """Return every request, oldest first.

        Raises:
            IntegrityError: the file is damaged.
        """
        return list(self._load().requests)

    def of(self, contents: Collection[str]) -> dict[str, list[Reread]]:
        """Return content hash → its requests, oldest first; contents without any are left out.

        Raises:
            IntegrityError: the file is damaged.
        """
        by_content = self._load().by_content
        return {sha256: list(by_content[sha256]) for sha256 in sorted(contents) if sha256 in by_content}

    def add(self, requests: Iterable[Reread]) -> None:
        """Append requests, all of them or none; several processes may do so at the same time.

        Raises:
            IntegrityError: the file is damaged.
        """
        lines = b"".join(orjson.dumps(asdict(request), option=orjson.OPT_APPEND_NEWLINE) for request in requests)
        if not lines:
            return
        with Lock(self.root / "requests.lock").held():
            self._load()
            earlier = self._path.read_bytes() if self._path.exists() else b""
            write_bytes(self._path, earlier + lines)

    def _load(self) -> _Requests:
        try:
            status = self._path.stat()
        except FileNotFoundError:
            return NO_REQUESTS
        # Each batch of an archive asks for its requests: the file is parsed again only when it was replaced.
        return _parsed(self._path, status.st_ino, status.st_mtime_ns, status.st_size)


@dataclass(frozen=True, slots=True)
class _Requests:
    requests: tuple[Reread, ...]
    by_content: dict[str, list[Reread]]


NO_REQUESTS = _Requests((), {})


@lru_cache(maxsize=2)
def _parsed(path: Path, inode: int, mtime_ns: int, size: int) -> _Requests:
    requests = []
    for number, line in enumerate(path.read_bytes().splitlines(), start=1):
        try:
            value = orjson.loads(line)
            requests.append(Reread(**{**value, "effort": Effort(value["effort"])}))
        except (orjson.JSONDecodeError, TypeError, KeyError, ValueError) as error:
            raise IntegrityError(
                f"Line {number} of {path} is damaged ({error}).",
                remedy="Delete the line: the pages that it asks for are then not read again.",
            ) from error
    by_content: dict[str, list[Reread]] = {}
    for request in requests:
        by_content.setdefault(request.sha256, []).append(request)
    return _Requests(tuple(requests), by_content)
