"""Content-addressed store of document bytes: a file's name is the SHA-256 of its content."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from ragflow.errors import BadInputError, IntegrityError, NotFoundError
from ragflow.store.atomic import TEMPORARY_PREFIX, replacing

PIECE = 1 << 20
"""Bytes read at a time."""


def hash_file(path: Path) -> str:
    """Return the SHA-256 of the file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


class WrongContentError(BadInputError):
    """The bytes that were handed in are not those that were asked for."""


@dataclass(frozen=True, slots=True)
class BlobStore:
    """Blobs under ``root/<first two digits>/<sha256>``."""

    root: Path

    def path(self, sha256: str) -> Path:
        """Return where the blob lies, whether or not it is there."""
        if len(sha256) != 64 or not all(digit in "0123456789abcdef" for digit in sha256):
            raise NotFoundError(f"{sha256!r} is not a SHA-256.")
        return self.root / sha256[:2] / sha256

    def has(self, sha256: str) -> bool:
        return self.path(sha256).is_file()

    def add(self, stream: BinaryIO, expected: str) -> None:
        """Store the bytes of ``stream`` if their SHA-256 is ``expected``, and read them back to be sure.

        Call :meth:`sync` before anything is recorded that counts on the blob.

        Raises:
            WrongContentError: the stream holds other bytes; nothing is stored.
            IntegrityError: what was written does not read back as what was meant.
        """
        target = self.path(expected)
        with replacing(target, durable=False) as temporary:
            digest = hashlib.sha256()
            with temporary.open("wb") as out:
                while piece := stream.read(PIECE):
                    digest.update(piece)
                    out.write(piece)
            if digest.hexdigest() != expected:
                raise WrongContentError(f"The bytes have the hash {digest.hexdigest()}, not {expected}.")
            if hash_file(temporary) != expected:
                raise IntegrityError(
                    f"Blob {expected} was written but does not read back as written.",
                    remedy="Check the disk; nothing was stored.",
                )

    def sync(self) -> None:
        """Wait until all blobs are on the disk: one call for many blobs costs less than one each."""
        os.sync()

    def verify(self, sha256: str) -> str | None:
        """Return None if the blob is intact, otherwise what is wrong with it, for a person."""
        path = self.path(sha256)
        if not path.is_file():
            return "the stored bytes are missing"
        found = hash_file(path)
        return None if found == sha256 else f"the stored bytes have the hash {found[:12]}… instead of {sha256[:12]}…"

    def __iter__(self) -> Iterator[str]:
        """Yield the hash of every blob."""
        for path in sorted(self.root.glob("??/*")):
            if not path.name.startswith(TEMPORARY_PREFIX):
                yield path.name
