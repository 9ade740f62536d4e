"""What a scan saw last time: a cache that spares hashing files whose size and time have not changed.

Losing it costs time only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import orjson

from ragflow.store.atomic import write_bytes


class FileMark(NamedTuple):
    """A file as it was when it was hashed: bytes, modification time (ns), hash."""

    size: int
    mtime_ns: int
    sha256: str


@dataclass(frozen=True, slots=True)
class InventoryStore:
    """One file per source: ``root/<source>.json``."""

    root: Path

    def load(self, source: str) -> dict[str, FileMark]:
        """Return path → mark; empty if there is no (readable) inventory."""
        try:
            value = orjson.loads((self.root / f"{source}.json").read_bytes())
            return {path: FileMark(*mark) for path, mark in value.items()}
        except (FileNotFoundError, orjson.JSONDecodeError, TypeError, AttributeError):
            # It is a cache: without it every file is hashed again, which is always right.
            return {}

    def save(self, source: str, marks: Mapping[str, FileMark]) -> None:
        write_bytes(
            self.root / f"{source}.json",
            orjson.dumps({path: list(mark) for path, mark in marks.items()}),
            durable=False,
        )
