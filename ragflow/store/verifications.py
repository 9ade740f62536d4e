"""What the last verification found: one small file, replaced by the next one."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import orjson

from ragflow.store.atomic import write_bytes

FORMAT = "ragflow-verified/1"


@dataclass(frozen=True, slots=True)
class LastVerification:
    """That a version was verified.

    Attributes:
        version: which one.
        verified_at: when it was done, ISO 8601, UTC.
        passed: whether every verdict passed.
        deep: whether everything was recomputed, not only hashed.
    """

    version: str
    verified_at: str
    passed: bool
    deep: bool


@dataclass(frozen=True, slots=True)
class VerificationStore:
    """The file ``path``. It tells people and monitoring when somebody last looked; nothing is proven by it."""

    path: Path

    def find(self) -> LastVerification | None:
        """Return the last verification; None if none is known, or what is there cannot be read."""
        try:
            value = orjson.loads(self.path.read_bytes())
            if value.pop("format") != FORMAT:
                return None
            return LastVerification(**value)
        except (OSError, orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
            return None

    def put(self, last: LastVerification) -> None:
        """Write it in place of the one before."""
        write_bytes(self.path, orjson.dumps({"format": FORMAT, **asdict(last)}, option=orjson.OPT_APPEND_NEWLINE))


def verification_store(home: Path) -> VerificationStore:
    """Return the store of a home folder."""
    return VerificationStore(home / "verified.json")
