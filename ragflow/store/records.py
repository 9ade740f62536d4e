"""Release records (append-only, sealed, chained by hash), canary records, and the record of each version."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import orjson

from ragflow.errors import IntegrityError, NotFoundError
from ragflow.model.fingerprints import sha256_hex
from ragflow.model.releases import CanaryRecord, EditedError, ReleaseRecord, VersionRecord
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
            except EditedError as error:
                raise _edited(number) from error
            except (orjson.JSONDecodeError, KeyError, TypeError, ValueError, AttributeError) as error:
                raise IntegrityError(
                    f"Release record {path} is damaged ({error}).", remedy="Restore it from a backup."
                ) from error
            if record.number != number or path.name != self._name(number):
                raise IntegrityError(f"Release record {number} is missing.", remedy="Restore it from a backup.")
            if record.previous != previous:
                raise _edited(number - 1)
            previous = sha256_hex(data)
            yield record

    def all(self) -> tuple[ReleaseRecord, ...]:
        return tuple(self)

    def hash_of(self, number: int) -> str:
        """Return the SHA-256 of a record's file, which the next record repeats.

        Raises:
            NotFoundError: there is no such record.
        """
        try:
            return sha256_hex((self.root / self._name(number)).read_bytes())
        except FileNotFoundError as error:
            raise NotFoundError(f"There is no release record {number}.", remedy="See `ragflow releases`.") from error

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


def _edited(number: int) -> IntegrityError:
    return IntegrityError(
        f"Release record {number} was edited after it was written.", remedy="Restore it from a backup."
    )


@dataclass(frozen=True, slots=True)
class CanaryStore:
    """What the canaries said of each promotion, under ``root/<number of the release record>.json``."""

    root: Path

    def find(self, release: int) -> CanaryRecord | None:
        """Return the record; None if the canaries have not been asked.

        Raises:
            IntegrityError: it is damaged or was edited.
        """
        path = self.root / f"{release:06d}.json"
        try:
            return CanaryRecord.from_dict(orjson.loads(path.read_bytes()))
        except FileNotFoundError:
            return None
        except (orjson.JSONDecodeError, KeyError, TypeError, ValueError, AttributeError) as error:
            raise IntegrityError(
                f"The canary record {path} is damaged ({error}).",
                remedy="Delete it: the next release asks the canaries again.",
            ) from error

    def versions(self) -> frozenset[str]:
        """Return the versions that were live long enough for canaries to be asked."""
        found = (self.find(int(path.stem)) for path in self.root.glob("[0-9]*.json"))
        return frozenset(record.version for record in found if record is not None)

    def put(self, record: CanaryRecord) -> None:
        data = orjson.dumps(record.to_dict(), option=orjson.OPT_INDENT_2)
        write_bytes(self.root / f"{record.release:06d}.json", data)


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

    def remove(self, version: str) -> None:
        """Remove the record of a version that is no longer kept."""
        (self.root / f"{Path(version).name}.json").unlink(missing_ok=True)

    def put(self, record: VersionRecord) -> None:
        write_bytes(self.root / f"{record.version}.json", orjson.dumps(asdict(record), option=orjson.OPT_INDENT_2))
