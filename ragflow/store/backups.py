"""Where backups lie: a folder, or a bucket behind fsspec.

::

    objects/ab/<sha256>           what files consist of, shared by all backups
    backups/<name>/writing.json   there while the backup is being written or proven
    backups/<name>/manifest.json  written last: without it there is no backup
    backups/<name>/proof.json     what came of restoring it elsewhere
    sweeping.json                 there while objects that no manifest names are being removed

Sweeping and writing exclude each other without any lock of the file system, which buckets do not have: each puts its
mark down before it looks for the other's. A mark that a killed process has left is passed over: at once on the machine
that made it, elsewhere when it is older than :data:`PATIENCE`.
"""

from __future__ import annotations

import hashlib
import logging
import os
import posixpath
import socket
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import BinaryIO

import orjson
import psutil

from ragflow.errors import CheckFailedError, IntegrityError, NotFoundError, ServiceUnavailableError, UsageError
from ragflow.model.backups import (
    BackupManifest,
    BackupProof,
    BackupState,
    check_backup_name,
    is_backup_name,
    manifest_sha256,
)
from ragflow.model.fingerprints import sha256_hex
from ragflow.store.atomic import TEMPORARY_PREFIX
from ragflow.store.blobs import hash_file
from ragflow.store.remote import RemoteFiles, open_remote

log = logging.getLogger(__name__)

MANIFEST, PROOF, WRITING = "manifest.json", "proof.json", "writing.json"
SWEEPING = "sweeping.json"
PATIENCE = timedelta(days=3)
"""How old a mark must be to be taken for one that was left behind."""


@dataclass(frozen=True, slots=True)
class Swept:
    """What was removed because no manifest names it."""

    objects: int
    size: int


class BackupTarget:
    """All backups under one address."""

    def __init__(self, files: RemoteFiles) -> None:
        self._files = files

    @property
    def address(self) -> str:
        return self._files.address

    @property
    def folder(self) -> Path | None:
        """The folder, if the target is one on this machine."""
        return self._files.folder

    # Objects.

    def ensure(self, sha256: str, size: int, source: Path | bytes) -> bool:
        """Have an object with these bytes; what is there already is read, and written again only if it is damaged.

        Returns:
            True if it was written.

        Raises:
            IntegrityError: the source is missing or has other bytes, or what was written does not read back.
        """
        path = _object(sha256)
        if self._files.size(path) == size and self._files.hash(path) == sha256:
            return False
        _check_source(source, sha256)
        self._files.write(path, source, durable=False)
        if self._files.hash(path) != sha256:
            raise IntegrityError(
                f"Object {sha256} was written to {self.address} and does not read back as written.",
                remedy="Check the disk or the network, then run it again.",
            )
        return True

    def problem_of(self, sha256: str, size: int) -> str | None:
        """Read an object and return what is wrong with it, for a person; None if it is intact."""
        path = _object(sha256)
        there = self._files.size(path)
        if there is None:
            return f"object {sha256} is missing"
        if there != size or self._files.hash(path) != sha256:
            return f"object {sha256} has other bytes than it is named for"
        return None

    def fetch(self, sha256: str, stream: BinaryIO) -> None:
        """Copy an object into ``stream``.

        Raises:
            IntegrityError: it is missing or damaged; ``stream`` then holds what there was.
        """
        digest = hashlib.sha256()
        try:
            for piece in self._files.pieces(_object(sha256)):
                digest.update(piece)
                stream.write(piece)
        except FileNotFoundError as error:
            raise _damaged_object(sha256, "is missing", self.address) from error
        if digest.hexdigest() != sha256:
            raise _damaged_object(sha256, "has other bytes than it is named for", self.address)

    def objects(self) -> dict[str, int]:
        """Return the hash of every object, and its bytes."""
        found = {posixpath.basename(path): size for path, size in self._files.find("objects").items()}
        return {name: size for name, size in found.items() if not name.startswith(TEMPORARY_PREFIX)}

    # Backups.

    def names(self) -> list[str]:
        """Return the names of all backups that have a manifest, sorted."""
        return sorted(name for name, files in self._folders().items() if MANIFEST in files)

    def manifest(self, name: str) -> BackupManifest:
        """Read the manifest of a backup.

        Raises:
            NotFoundError: there is no such backup.
            IntegrityError: it is damaged or was edited.
        """
        return BackupManifest.from_json(self._manifest_bytes(name), name)

    def proof(self, name: str) -> BackupProof | None:
        """Read the proof of a backup; None if it has not been proven.

        Raises:
            IntegrityError: it is damaged, or was made of another manifest.
        """
        data = self._files.read(f"backups/{check_backup_name(name)}/{PROOF}")
        if data is None:
            return None
        proof = BackupProof.from_json(data, name)
        if proof.name != name or proof.manifest_sha256 != manifest_sha256(self._manifest_bytes(name)):
            raise IntegrityError(
                f"The proof of backup {name} speaks of another manifest.", remedy="Restore another backup."
            )
        return proof

    def state(self, name: str) -> BackupState:
        """Say what is known about a backup; one whose manifest or proof is damaged is bad."""
        try:
            self.manifest(name)
            proof = self.proof(name)
        except IntegrityError:
            return BackupState.BAD
        if proof is None:
            return BackupState.UNPROVEN
        return BackupState.GOOD if proof.passed else BackupState.BAD

    def _manifest_bytes(self, name: str) -> bytes:
        data = self._files.read(f"backups/{check_backup_name(name)}/{MANIFEST}")
        if data is None:
            there = self.names()
            raise NotFoundError(
                f"There is no backup {name} in {self.address}.",
                remedy=f"There are: {', '.join(there)}." if there else "There is none at all: check the address.",
            )
        return data

    def put_manifest(self, manifest: BackupManifest) -> None:
        """Write the manifest, which makes the backup one, and read it back; its objects are on the disk by then."""
        self._files.sync()
        self._files.put(f"backups/{manifest.name}/{MANIFEST}", manifest.to_json())

    def put_proof(self, proof: BackupProof) -> None:
        self._files.put(f"backups/{proof.name}/{PROOF}", proof.to_json())

    def remove(self, name: str) -> None:
        """Remove a backup, its manifest first; its objects stay until :meth:`sweep`."""
        folder = f"backups/{check_backup_name(name)}"
        for file in (MANIFEST, PROOF, WRITING):
            self._files.remove(f"{folder}/{file}")
        self._files.remove_folder(folder)

    # Writing and sweeping.

    @contextmanager
    def writing(self, name: str, seconds: float = 3600.0) -> Iterator[None]:
        """Announce that a backup is being written: nothing is swept meanwhile. Wait until a sweep has ended.

        Raises:
            UsageError: there is a backup of this name, and it is not a bad or an unproven one.
            CheckFailedError: another process is writing a backup of this name.
        """
        path = f"backups/{check_backup_name(name)}/{WRITING}"
        if self._is_fresh(path):
            raise CheckFailedError(
                f"Another process is writing backup {name} to {self.address}.",
                remedy=f"Wait until it has ended; if it was killed, take another name, or remove {path} there.",
            )
        if name in self.names() and self.state(name) is BackupState.GOOD:
            raise UsageError(f"There is a backup {name} in {self.address}.", remedy="Take another name.")
        self._files.remove(f"backups/{name}/{PROOF}")
        self._files.put(path, _mark())
        try:
            end = time.monotonic() + seconds
            while self._is_fresh(SWEEPING):
                if time.monotonic() > end:
                    raise ServiceUnavailableError(
                        f"Another process has been sweeping {self.address} for more than {seconds:.0f} seconds.",
                        remedy=f"If it was killed, remove {SWEEPING} there.",
                    )
                time.sleep(0.2)
            yield
        finally:
            self._files.remove(path)
            if name not in self.names():
                self._files.remove_folder(f"backups/{name}")

    def being_written(self, patience: timedelta = PATIENCE) -> list[str]:
        """Return the backups that a process is writing now, as far as marks tell."""
        return [
            name
            for name, files in sorted(self._folders().items())
            if WRITING in files and self._is_fresh(f"backups/{name}/{WRITING}", patience)
        ]

    def sweep(self, patience: timedelta = PATIENCE) -> Swept | None:
        """Remove the objects that no manifest names, and what is left of backups that never came to be.

        Returns:
            None if another process is writing a backup (whose manifest is still to come) or sweeping: nothing is
            removed then.

        Raises:
            IntegrityError: a manifest cannot be read: which objects it names is not known.
        """
        if self._is_fresh(SWEEPING, patience):
            return None
        self._files.put(SWEEPING, _mark())
        try:
            if self.being_written(patience):
                return None
            folders = self._folders()
            named = {
                file.object
                for name, files in folders.items()
                if MANIFEST in files
                for file in self.manifest(name).files
            }
            for name, files in folders.items():
                if MANIFEST not in files:
                    self.remove(name)
            return self._sweep_objects(named)
        finally:
            self._files.remove(SWEEPING)

    def _sweep_objects(self, named: set[str]) -> Swept:
        count = freed = 0
        for path, size in self._files.find("objects").items():
            # Half-written files go as well: nobody is writing.
            if posixpath.basename(path) not in named:
                self._files.remove(path)
                count, freed = count + 1, freed + size
        log.info("objects swept", extra={"objects": count, "bytes": freed})
        return Swept(count, freed)

    def _folders(self) -> dict[str, set[str]]:
        """Return the folder of each backup, with the names of its files."""
        folders: dict[str, set[str]] = {}
        for path in self._files.find("backups"):
            parts = path.split("/")
            if len(parts) == 3 and is_backup_name(parts[1]):
                folders.setdefault(parts[1], set()).add(parts[2])
        return folders

    def _is_fresh(self, path: str, patience: timedelta = PATIENCE) -> bool:
        """Whether there is a mark of a process that may still be there."""
        data = self._files.read(path)
        if data is None:
            return False
        try:
            mark = orjson.loads(data)
            if mark["host"] == socket.gethostname() and not psutil.pid_exists(mark["pid"]):
                return False
            return datetime.now(UTC) - datetime.fromisoformat(mark["at"]) < patience
        except (ValueError, KeyError, TypeError):
            # Not a mark of ours, or half of one: whoever wrote it is gone.
            return False


def open_target(address: str, *, existing: bool = False) -> BackupTarget:
    """Return the target with this address: a folder, or the URL of a bucket.

    Args:
        existing: there must be backups in it.

    Raises:
        UsageError, BadInputError, DependencyMissingError: see :func:`ragflow.store.remote.open_remote`.
        NotFoundError: there are no backups there.
    """
    target = BackupTarget(open_remote(address))
    if existing and not target.names():
        raise NotFoundError(f"There are no backups in {address}.", remedy="Check the address.")
    return target


def newest_first(manifests: Iterable[BackupManifest]) -> list[BackupManifest]:
    """Return manifests in order of when they were made, the newest first."""
    return sorted(manifests, key=lambda manifest: (manifest.created_at, manifest.name), reverse=True)


def _check_source(source: Path | bytes, sha256: str) -> None:
    if isinstance(source, bytes):
        found = sha256_hex(source)
    else:
        try:
            found = hash_file(source)
        except OSError as error:
            raise IntegrityError(
                f"{source} cannot be read: {error.strerror}.",
                remedy="Run `ragflow verify` to see what else is damaged.",
            ) from error
    if found != sha256:
        raise IntegrityError(
            f"{source if isinstance(source, Path) else 'What is to be stored'} does not have the bytes that were"
            f" recorded: their hash is {found[:12]}… instead of {sha256[:12]}….",
            remedy="Run `ragflow verify` to see what else is damaged; restore the file from an earlier backup.",
        )


def _object(sha256: str) -> str:
    return f"objects/{sha256[:2]}/{sha256}"


def _mark() -> bytes:
    return orjson.dumps({"at": datetime.now(UTC).isoformat(), "host": socket.gethostname(), "pid": os.getpid()})


def _damaged_object(sha256: str, problem: str, address: str) -> IntegrityError:
    return IntegrityError(
        f"Object {sha256} in {address} {problem}.",
        remedy="Restore another backup; if the home is still there, run `ragflow backup` again: it writes the object"
        " anew.",
    )
