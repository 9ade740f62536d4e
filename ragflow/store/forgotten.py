"""Contents whose bytes are not in the store any more, on purpose: an append-only list, each line sealed and chained.

A content is *pruned* when nothing that is kept needs its bytes; they may come back with a later scan, and have then
*returned*. A content that is *forgotten* is to be nowhere, and never comes back. What the newest line says of a content
holds.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import StrEnum
from functools import lru_cache
from pathlib import Path

import orjson

from ragflow.errors import IntegrityError
from ragflow.model.releases import EditedError, sealed, unsealed
from ragflow.store.atomic import write_bytes
from ragflow.store.locks import Lock
from ragflow.store.rereads import FILE as REREADS
from ragflow.store.rereads import RereadStore

FILE = "contents.jsonl"
FORMAT = "ragflow-absence/1"


class Kind(StrEnum):
    """What became of the bytes of a content."""

    PRUNED = "pruned"
    RETURNED = "returned"
    FORGOTTEN = "forgotten"


@dataclass(frozen=True, slots=True)
class Absence:
    """One line of the list.

    Attributes:
        number: 1-based, without gaps.
        sha256: the content.
        kind: what became of it.
        why: for a person.
        at: ISO 8601, UTC.
        previous: seal of the line before; None for the first.
    """

    number: int
    sha256: str
    kind: Kind
    why: str
    at: str
    previous: str | None


@dataclass(frozen=True, slots=True)
class AbsenceStore:
    """The list under ``root``."""

    root: Path

    @property
    def path(self) -> Path:
        """Return the file, there or not; a backup needs it."""
        return self.root / FILE

    def all(self) -> tuple[Absence, ...]:
        """Return every line, oldest first.

        Raises:
            IntegrityError: a line is damaged, was edited or is missing.
        """
        return self._load().lines

    def contents(self, kind: Kind) -> frozenset[str]:
        """Return the contents of which the newest line says this.

        Raises:
            IntegrityError: the list is damaged.
        """
        return frozenset(sha256 for sha256, found in self._load().state.items() if found is kind)

    def kind_of(self, sha256: str) -> Kind | None:
        """Return what the newest line says of a content; None if there is none.

        Raises:
            IntegrityError: the list is damaged.
        """
        return self._load().state.get(sha256)

    def add(self, contents: Iterable[str], kind: Kind, why: str) -> tuple[str, ...]:
        """Append a line for each content of which another kind, or nothing, is known; return these contents, sorted.

        All lines are written or none. What is forgotten stays forgotten.

        Raises:
            IntegrityError: the list is damaged.
        """
        with Lock(self.root / "contents.lock").held():
            loaded = self._load()
            new = sorted(sha256 for sha256 in set(contents) if loaded.state.get(sha256) not in (kind, Kind.FORGOTTEN))
            if not new:
                return ()
            at = datetime.now(UTC).isoformat(timespec="seconds")
            data = self.path.read_bytes() if self.path.exists() else b""
            previous = loaded.seal
            for number, sha256 in enumerate(new, start=len(loaded.lines) + 1):
                absence = Absence(number, sha256, kind, why, at, previous)
                line = sealed({"format": FORMAT, **asdict(absence)})
                previous = line["seal"]
                data += orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)
            write_bytes(self.path, data)
            return tuple(new)

    def _load(self) -> _Loaded:
        try:
            status = self.path.stat()
        except FileNotFoundError:
            return NOTHING
        # Every batch of an archive asks: the file is parsed again only when it was replaced.
        return _parsed(self.path, status.st_ino, status.st_mtime_ns, status.st_size)


@dataclass(frozen=True, slots=True)
class _Loaded:
    lines: tuple[Absence, ...]
    state: dict[str, Kind]
    seal: str | None


NOTHING = _Loaded((), {}, None)


@lru_cache(maxsize=2)
def _parsed(path: Path, inode: int, mtime_ns: int, size: int) -> _Loaded:
    lines: list[Absence] = []
    state: dict[str, Kind] = {}
    seal: str | None = None
    for number, data in enumerate(path.read_bytes().splitlines(), start=1):
        try:
            value = orjson.loads(data)
            fields = unsealed(value, FORMAT)
            absence = Absence(**{**fields, "kind": Kind(fields["kind"])})
            if (absence.number, absence.previous) != (number, seal):
                raise EditedError("it does not follow the line before it")
        except (orjson.JSONDecodeError, KeyError, TypeError, ValueError, AttributeError) as error:
            raise IntegrityError(
                f"Line {number} of {path} is damaged ({error}).", remedy="Restore the file from a backup."
            ) from error
        seal = value["seal"]
        lines.append(absence)
        state[absence.sha256] = absence.kind
    return _Loaded(tuple(lines), state, seal)


def strike_rereads(rereads: RereadStore, contents: Collection[str]) -> int:
    """Take the requests to read some contents again off the list; return how many there were.

    Raises:
        IntegrityError: the list is damaged.
    """
    with Lock(rereads.root / "requests.lock").held():
        requests = rereads.all()
        left = [request for request in requests if request.sha256 not in contents]
        if len(left) < len(requests):
            data = b"".join(orjson.dumps(asdict(request), option=orjson.OPT_APPEND_NEWLINE) for request in left)
            write_bytes(rereads.root / REREADS, data)
        return len(requests) - len(left)
