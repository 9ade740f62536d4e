"""Release records (append-only, chained by hash) and the record of each collection version."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import orjson

from ragflow.errors import IntegrityError
from ragflow.model.fingerprints import sha256_hex
from ragflow.model.releases import ReleaseRecord, VersionRecord
from ragflow.store.atomic import write_bytes


@dataclass(frozen=True, slots=True)
class ReleaseStore:
    """Release records under ``root/<number>.json``."""

    root: Path

    def _paths(self) -> list[Path]:
        return sorted(path for path in self.root.glob("[0-9]*.json"))

    def __iter__(self) -> Iterator[ReleaseRecord]:
        """Yield all records, oldest first, checking that each follows the one before.

        Raises:
            IntegrityError: a record is missing, damaged or was edited.
        """
        previous: str | None = None
        for number, path in enumerate(self._paths(), start=1):
            data = path.read_bytes()
            try:
                record = ReleaseRecord.from_dict(orjson.loads(data))
            except (orjson.JSONDecodeError, KeyError, TypeError, ValueError, AttributeError) as error:
                raise IntegrityError(
                    f"Release record {path} is damaged ({error}).", remedy="Restore it from a backup."
                ) from error
            if record.number != number or path.name != self._name(number):
                raise IntegrityError(f"Release record {number} is missing.", remedy="Restore it from a backup.")
            if record.previous != previous:
                raise IntegrityError(
                    f"Release record {number - 1} was edited after it was written.", remedy="Restore it from a backup."
                )
            previous = sha256_hex(data)
            yield record

    def all(self) -> tuple[ReleaseRecord, ...]:
        return tuple(self)

    def last_hash(self) -> tuple[int, str | None]:
        """Return the number and the hash of the newest record; (0, None) if there is none."""
        paths = self._paths()
        return (int(paths[-1].stem), sha256_hex(paths[-1].read_bytes())) if paths else (0, None)

    def append(self, record: ReleaseRecord) -> None:
        """Write a record atomically. The caller holds the release lock and took number and hash from last_hash()."""
        write_bytes(self.root / self._name(record.number), orjson.dumps(record.to_dict(), option=orjson.OPT_INDENT_2))

    @staticmethod
    def _name(number: int) -> str:
        return f"{number:06d}.json"


@dataclass(frozen=True, slots=True)
class VersionRecordStore:
    """Version records under ``root/<version>.json``."""

    root: Path

    def find(self, version: str) -> VersionRecord | None:
        try:
            return VersionRecord(**orjson.loads((self.root / f"{Path(version).name}.json").read_bytes()))
        except FileNotFoundError:
            return None
        except (orjson.JSONDecodeError, TypeError) as error:
            raise IntegrityError(
                f"The record of version {version} is damaged ({error}).", remedy="Restore it from a backup."
            ) from error

    def all(self) -> tuple[VersionRecord, ...]:
        found = (self.find(path.stem) for path in sorted(self.root.glob("v*.json")))
        return tuple(record for record in found if record is not None)

    def put(self, record: VersionRecord) -> None:
        write_bytes(self.root / f"{record.version}.json", orjson.dumps(asdict(record), option=orjson.OPT_INDENT_2))
