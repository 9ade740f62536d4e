"""Files under one address: a folder of this machine, or a bucket behind fsspec."""

from __future__ import annotations

import hashlib
import os
import posixpath
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

from ragflow.errors import (
    BadInputError,
    DependencyMissingError,
    IntegrityError,
    RagflowError,
    ServiceUnavailableError,
    UsageError,
)
from ragflow.store.atomic import replacing
from ragflow.store.blobs import PIECE

BUCKETS = frozenset({"s3", "s3a", "gs", "gcs", "abfs", "az", "oci", "oss"})
"""What fsspec calls the file systems of object stores."""
DEFECTS = (AttributeError, NameError, TypeError)
"""Errors that no network raises."""


@dataclass(frozen=True, slots=True)
class RemoteFiles:
    """Files below ``root``; every path is relative to it, with slashes.

    Every method raises ServiceUnavailableError if the file system cannot be reached or refuses.

    Attributes:
        system: an fsspec file system.
        root: a path in it.
        address: what the user called it.
    """

    system: Any
    root: str
    address: str

    @property
    def folder(self) -> Path | None:
        """The folder, if it is one on this machine."""
        return Path(self.root) if "file" in self._protocols else None

    @property
    def _is_bucket(self) -> bool:
        """Whether there are no folders, so that making one would mean to make a bucket."""
        return not BUCKETS.isdisjoint(self._protocols)

    @property
    def _protocols(self) -> tuple[str, ...]:
        protocol = self.system.protocol
        return (protocol,) if isinstance(protocol, str) else tuple(protocol)

    def find(self, folder: str) -> dict[str, int]:
        """Return every file below a folder, and its bytes."""
        with self._reached():
            self.system.invalidate_cache()
            try:
                found = self.system.find(self._full(folder), detail=True)
            except FileNotFoundError:
                return {}
            start = len(self._full(""))
            return {str(path)[start:]: int(entry["size"] or 0) for path, entry in found.items()}

    def size(self, path: str) -> int | None:
        """Return the bytes of a file; None if there is none."""
        with self._reached():
            self.system.invalidate_cache()
            try:
                return int(self.system.info(self._full(path))["size"])
            except FileNotFoundError:
                return None

    def hash(self, path: str) -> str:
        """Return the SHA-256 of a file, read anew.

        Raises:
            FileNotFoundError: there is none.
        """
        digest = hashlib.sha256()
        for piece in self.pieces(path):
            digest.update(piece)
        return digest.hexdigest()

    def pieces(self, path: str) -> Iterator[bytes]:
        """Yield the content of a file; raises as :meth:`hash`."""
        with self._reached(), self._open(path) as stream:
            while piece := stream.read(PIECE):
                yield piece

    def read(self, path: str) -> bytes | None:
        """Return the content of a small file; None if there is none."""
        try:
            return b"".join(self.pieces(path))
        except FileNotFoundError:
            return None

    def write(self, path: str, source: Path | bytes, *, durable: bool = True) -> None:
        """Write a file, replacing what is there: in one step in a folder or a bucket.

        Args:
            durable: wait until it is on the disk. False: :meth:`sync` is called later.
        """
        with self._reached():
            if self.folder is not None:
                _write_file(Path(self._full(path)), source, durable)
                return
            if not self._is_bucket:
                self.system.makedirs(posixpath.dirname(self._full(path)), exist_ok=True)
            try:
                if isinstance(source, bytes):
                    self.system.pipe_file(self._full(path), source)
                else:
                    self.system.put_file(os.fspath(source), self._full(path))
            except FileNotFoundError as error:
                raise BadInputError(
                    f"{self.address} cannot be written to: {error}.", remedy="Make the bucket first, or name another."
                ) from error

    def sync(self) -> None:
        """Wait until everything that was written to a folder is on the disk; what a bucket has taken is safe."""
        if self.folder is not None:
            os.sync()

    def put(self, path: str, data: bytes) -> None:
        """Write a small file and read it back.

        Raises:
            IntegrityError: it does not read back as written.
        """
        self.write(path, data)
        if self.read(path) != data:
            raise IntegrityError(
                f"{path} was written to {self.address} and does not read back as written.",
                remedy="Check the disk or the network.",
            )

    def remove(self, path: str) -> None:
        """Remove a file; one that is not there is ignored."""
        with self._reached():
            try:
                self.system.rm_file(self._full(path))
            except FileNotFoundError:
                return

    def remove_folder(self, path: str) -> None:
        """Remove a folder with all that is in it; in a bucket there are none."""
        if self.folder is not None and Path(self._full(path)).is_dir():
            with self._reached():
                self.system.rm(self._full(path), recursive=True)

    def _full(self, path: str) -> str:
        return f"{self.root.rstrip('/')}/{path}"

    def _open(self, path: str) -> BinaryIO:
        return cast(BinaryIO, self.system.open(self._full(path), "rb"))

    @contextmanager
    def _reached(self) -> Iterator[None]:
        """Turn what a file system raises into an error of ours; a missing file stays one."""
        try:
            yield
        except (RagflowError, FileNotFoundError, *DEFECTS):
            raise
        except Exception as error:
            raise ServiceUnavailableError(
                f"{self.address} cannot be worked on: {type(error).__name__}: {error}.",
                remedy="Check the address, the room there, the network, and the credentials in the environment.",
            ) from error


def open_remote(address: str) -> RemoteFiles:
    """Return what lies at an address: a folder, or a URL; nothing has to be there yet.

    Raises:
        UsageError: the address cannot be used, or holds credentials.
        BadInputError: it is a file.
        DependencyMissingError: the package for such addresses is not installed.
    """
    from fsspec.core import url_to_fs

    scheme, sign, rest = address.partition("://")
    if sign and ("@" in rest.split("/", 1)[0] or "::" in address or "?" in address):
        raise UsageError(
            "An address of backups holds no credentials and no options.",
            remedy="Give s3://bucket/folder; credentials come from the environment (for S3: AWS_ACCESS_KEY_ID,"
            " AWS_SECRET_ACCESS_KEY, AWS_ENDPOINT_URL).",
        )
    if not address or (sign and not rest.strip("/")):
        raise UsageError("The address of the backups is empty.", remedy="Give a folder, or s3://bucket/folder.")
    try:
        path = address if sign else os.fspath(Path(address).expanduser().absolute())
        system, root = url_to_fs(path, use_listings_cache=False)
    except ImportError as error:
        wanted = "pip install 'ragflow-archive[s3]'" if scheme in ("s3", "s3a") else f"what fsspec needs for {scheme}"
        raise DependencyMissingError(
            f"{address} cannot be reached: {error}.", remedy=f"Install it ({wanted}), or use a folder."
        ) from error
    except ValueError as error:
        raise UsageError(
            f"{address} is no address of backups: {error}.", remedy="Give a folder, or s3://bucket/folder."
        ) from error
    files = RemoteFiles(system, root, address)
    if files.folder is not None and files.folder.exists() and not files.folder.is_dir():
        raise BadInputError(f"{address} is not a folder.", remedy="Name a folder.")
    return files


def _write_file(path: Path, source: Path | bytes, durable: bool) -> None:
    with replacing(path, durable=durable) as temporary, temporary.open("wb") as out:
        if isinstance(source, bytes):
            out.write(source)
            return
        with source.open("rb") as stream:
            while piece := stream.read(PIECE):
                out.write(piece)
