"""Atomic writes: a reader sees the old file or the new one, never a half, even after a power cut."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

TEMPORARY_PREFIX = ".tmp-"


def sync(path: Path) -> None:
    """Have the kernel put a file, or the names in a folder, onto the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def temporary_beside(path: Path) -> Path:
    """Return an unused temporary path in the folder of ``path``; the folder is made if it is missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.with_name(f"{TEMPORARY_PREFIX}{secrets.token_hex(6)}-{path.name[-80:]}")


def put_in_place(temporary: Path, path: Path, *, durable: bool = True) -> None:
    """Move a finished temporary file to ``path``, replacing what is there.

    Args:
        durable: wait until the bytes are on the disk. False for what can be made again.
    """
    if durable:
        sync(temporary)
    temporary.replace(path)
    if durable:
        sync(path.parent)


@contextmanager
def replacing(path: Path, *, durable: bool = True) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; on success it takes the place of ``path``, on error it is removed."""
    temporary = temporary_beside(path)
    try:
        yield temporary
        put_in_place(temporary, path, durable=durable)
    finally:
        temporary.unlink(missing_ok=True)


def write_bytes(path: Path, data: bytes, *, durable: bool = True) -> None:
    """Write ``data`` to ``path`` atomically."""
    with replacing(path, durable=durable) as temporary:
        temporary.write_bytes(data)
