"""Versions as folders, whatever engine fills them: names, locks, completion, and the alias.

::

    root/versions/<version>/shard/         what the engine wrote
    root/versions/<version>/complete.json  written last; without it the version is not complete
    root/alias.json                        which version is live
    root/locks/                            held while a version is built or removed, and while the alias moves
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import orjson
from filelock import BaseFileLock, FileLock, Timeout

from ragflow.errors import CheckFailedError, IntegrityError, NotFoundError, ServiceUnavailableError, UsageError
from ragflow.store.atomic import sync
from ragflow.vectors.files import (
    FileStamp,
    allocated_bytes,
    check_inventory,
    copy_tree,
    files_below,
    sync_tree,
    write_json,
)
from ragflow.vectors.protocols import DISTANCE, LIVE_ALIAS, AliasRecord, CollectionSettings

COMPLETE = "complete.json"
SHARD = "shard"
COMPLETE_FORMAT = "ragflow-collection/1"
ALIAS_FORMAT = "ragflow-alias/1"
ALIAS_LOCK_SECONDS = 30.0
_VERSION = re.compile(r"v[0-9]{6}", re.ASCII)


def check_version_name(version: str) -> str:
    """Return ``version`` if it is ``v`` and six digits; it can then stand in a path. Otherwise raise UsageError."""
    if not _VERSION.fullmatch(version):
        raise UsageError(f"{version!r} is not the name of a collection version.", remedy="They look like v000001.")
    return version


def check_live(live: str | None, expected: str | None) -> None:
    """Raise CheckFailedError unless what is live (None: nothing) is what the caller expects."""
    if live != expected:
        raise CheckFailedError(
            f"The alias {LIVE_ALIAS} is at {live or 'no version'}, not at {expected or 'no version'}: "
            "it was moved in the meantime.",
            remedy="Look at the releases and decide again.",
        )


@dataclass(frozen=True, slots=True)
class Completion:
    """What ``complete.json`` says.

    Attributes:
        settings: with which the version was built.
        points: how many it holds.
        optimized: whether its engine had nothing left to do.
        engine, engine_version: what wrote it.
        files: below ``shard/``: relative path → stamp.
    """

    settings: CollectionSettings
    points: int
    optimized: bool
    engine: str
    engine_version: str
    files: dict[str, FileStamp]

    def to_dict(self) -> dict[str, Any]:
        files = {name: list(stamp) for name, stamp in self.files.items()}
        parts = {**asdict(self), "settings": self.settings.to_dict(), "files": files}
        return {"format": COMPLETE_FORMAT, "distance": DISTANCE, **parts}

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> Completion:
        """Raise KeyError, TypeError or ValueError if ``value`` is no such record."""
        if (value["format"], value["distance"]) != (COMPLETE_FORMAT, DISTANCE):
            raise ValueError(f"unknown format {value['format']!r}, {value['distance']!r}")
        return cls(
            settings=CollectionSettings(**value["settings"]),
            points=int(value["points"]),
            optimized=bool(value["optimized"]),
            engine=str(value["engine"]),
            engine_version=str(value["engine_version"]),
            files={str(name): FileStamp(*stamp) for name, stamp in value["files"].items()},
        )


def read_completion(path: Path) -> Completion:
    """Read a record of completion.

    Raises:
        FileNotFoundError: it is not there.
        IntegrityError: it is damaged.
    """
    content = path.read_bytes()
    try:
        return Completion.from_dict(orjson.loads(content))
    except (KeyError, TypeError, ValueError, AttributeError, UsageError) as error:
        raise IntegrityError(f"{path} is damaged: {error}.", remedy="Restore it from a backup.") from error


def read_saved(folder: Path, engine: str) -> Completion:
    """Return the record of a snapshot, of which every file is as it was saved.

    Raises:
        IntegrityError: ``folder`` holds no snapshot, a damaged one, or one of another engine than ``engine``.
    """
    try:
        completion = read_completion(folder / COMPLETE)
    except FileNotFoundError as error:
        raise IntegrityError(
            f"There is no whole snapshot of a collection version in {folder}: {COMPLETE} is missing.",
            remedy="Name the folder that a snapshot was saved to, or take another backup.",
        ) from error
    if completion.engine != engine:
        raise IntegrityError(
            f"The snapshot in {folder} was made by {completion.engine}; this archive keeps its vectors in {engine}.",
            remedy=f"Restore it into an archive that uses {completion.engine}, or reindex.",
        )
    check_inventory(folder / SHARD, completion.files, deep=True)
    return completion


def check_vacant(folder: Path) -> None:
    """Raise UsageError if there is something in ``folder``; it may be missing."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} is not an empty folder.", remedy="Name a folder that is empty or not there yet.")


class VersionFolders:
    """The folders of one collection's versions."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()
        self._versions = self.root / "versions"
        self._alias = self.root / "alias.json"

    def folder(self, version: str) -> Path:
        """Return the folder of a version, whether or not it is there."""
        return self._versions / check_version_name(version)

    def shard(self, version: str) -> Path:
        """Return the folder that the engine fills."""
        return self.folder(version) / SHARD

    def versions(self) -> list[str]:
        """Return the complete versions, in ascending order."""
        if not self._versions.is_dir():
            return []
        return sorted(
            path.name
            for path in self._versions.iterdir()
            if _VERSION.fullmatch(path.name) and (path / COMPLETE).is_file()
        )

    def completion(self, version: str) -> Completion:
        """Return what is known about a complete version.

        Raises:
            NotFoundError: it is not complete; the message lists those that are.
            IntegrityError: its record is damaged.
        """
        path = self.folder(version) / COMPLETE
        try:
            return read_completion(path)
        except FileNotFoundError as error:
            there = self.versions()
            raise NotFoundError(
                f"There is no complete collection version {version} in {self._versions}.",
                remedy=f"Complete versions: {', '.join(there)}." if there else "No version is complete yet: ingest.",
            ) from error

    def complete(self, version: str, completion: Completion) -> None:
        """Mark a version as complete; everything it stands on must be on the disk by now."""
        write_json(self.folder(version) / COMPLETE, completion.to_dict())

    def check_files(self, version: str, *, deep: bool = False) -> Completion:
        """Hold a version's files against its record, see :func:`ragflow.vectors.files.check_inventory`."""
        completion = self.completion(version)
        check_inventory(self.shard(version), completion.files, deep=deep)
        return completion

    def start(self, version: str) -> BaseFileLock:
        """Make an empty folder for a candidate and return the lock that is held while it is built.

        Raises:
            UsageError: the version is complete already.
            CheckFailedError: it is being built right now.
        """
        folder = self.folder(version)
        lock = self._claim(version)
        try:
            if (folder / COMPLETE).exists():
                raise UsageError(
                    f"Collection version {version} is complete; complete versions never change.",
                    remedy="Take the next number.",
                )
            if folder.exists():
                shutil.rmtree(folder)
            folder.mkdir(parents=True)
            sync(self._versions)
        except BaseException:
            lock.release()
            raise
        return lock

    def discard(self, version: str) -> None:
        """Remove a version, complete or not; see :meth:`ragflow.vectors.protocols.VersionStore.discard`."""
        folder = self.folder(version)
        if not folder.exists():
            self.completion(version)  # raises, and lists the versions there are
        lock = self._claim(version)
        try:
            with self._alias_locked():
                record = self.alias()
                if record is not None and record.version == version:
                    raise CheckFailedError(
                        f"Collection version {version} is live and cannot be removed.",
                        remedy="Promote another version, or roll back, first.",
                    )
                # From here on the version is not complete: a kill in the middle of the removal leaves a mere wreck.
                (folder / COMPLETE).unlink(missing_ok=True)
            if folder.exists():
                sync(folder)
                shutil.rmtree(folder)
        finally:
            lock.release()

    def remove(self, version: str) -> None:
        """Remove the folder of a candidate whose lock the caller holds."""
        shutil.rmtree(self.folder(version), ignore_errors=True)

    def save(self, version: str, folder: Path) -> list[str]:
        """Copy a complete version; see :meth:`ragflow.vectors.protocols.VersionStore.save_snapshot`."""
        completion = self.check_files(version, deep=True)
        check_vacant(folder)
        copy_tree(self.shard(version), folder / SHARD)
        # Held against the record once more: what counts is what arrived.
        check_inventory(folder / SHARD, completion.files, deep=True)
        sync_tree(folder)
        write_json(folder / COMPLETE, completion.to_dict())
        return [path.relative_to(folder).as_posix() for path in files_below(folder)]

    def size_bytes(self, version: str) -> int:
        """Return the bytes allocated for a complete version."""
        self.completion(version)
        return allocated_bytes(self.folder(version))

    def alias(self) -> AliasRecord | None:
        """Return where the alias points; None if it was never set.

        Raises:
            IntegrityError: the alias file is damaged.
        """
        try:
            value = orjson.loads(self._alias.read_bytes())
            if value.pop("format") != ALIAS_FORMAT:
                raise ValueError("unknown format")
            record = AliasRecord(**value)
            check_version_name(record.version)
        except FileNotFoundError:
            return None
        except (KeyError, TypeError, ValueError, AttributeError, UsageError) as error:
            raise IntegrityError(
                f"{self._alias} is damaged: {error}.",
                remedy="The release records say which version was promoted last; restore the file from a backup.",
            ) from error
        return record

    def move_alias(self, version: str, *, expected: str | None, moved_at: str) -> AliasRecord:
        """Compare and set; see :meth:`ragflow.vectors.protocols.VersionStore.move_alias`."""
        with self._alias_locked():
            self.completion(version)
            record = self.alias()
            current = record.version if record else None
            check_live(current, expected)
            if record is None or record.version != version:
                record = AliasRecord(alias=LIVE_ALIAS, version=version, previous=current, moved_at=moved_at)
                write_json(self._alias, {"format": ALIAS_FORMAT, **asdict(record)})
            return record

    def drop_alias(self, *, expected: str) -> None:
        """Compare and remove; see :meth:`ragflow.vectors.protocols.VersionStore.drop_alias`."""
        with self._alias_locked():
            record = self.alias()
            check_live(record.version if record else None, expected)
            self._alias.unlink()
            sync(self.root)

    def _lock(self, name: str) -> BaseFileLock:
        folder = self.root / "locks"
        folder.mkdir(parents=True, exist_ok=True)
        # A lock of the kernel: it goes when its process goes, however that ends. Threads share a writer's lock.
        return FileLock(folder / name, thread_local=False, fallback_to_soft=False)

    def _claim(self, version: str) -> BaseFileLock:
        """Return the lock of a version, held."""
        lock = self._lock(f"{version}.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout as error:
            raise CheckFailedError(
                f"Collection version {version} is being built or removed by another run.",
                remedy="Wait until that run has ended, or cancel it.",
            ) from error
        return lock

    @contextmanager
    def _alias_locked(self) -> Iterator[None]:
        lock = self._lock("alias.lock")
        try:
            lock.acquire(timeout=ALIAS_LOCK_SECONDS)
        except Timeout as error:
            raise ServiceUnavailableError(
                f"The lock on {self._alias} has been held for {ALIAS_LOCK_SECONDS:.0f} s.", remedy="Try again."
            ) from error
        try:
            yield
        finally:
            lock.release()
