"""Durable writes, copies that keep holes, and inventories of a folder's files."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from ragflow.errors import IntegrityError
from ragflow.model.fingerprints import canonical_json
from ragflow.store.atomic import sync, write_bytes
from ragflow.store.blobs import hash_file

FICLONE = 0x40049409
"""The ioctl with which Linux file systems that can (Btrfs, XFS) make a copy that shares its blocks."""
BLOCK = 1 << 20
_NOT_HERE = {errno.EOPNOTSUPP, errno.ENOTTY, errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EPERM}


class FileStamp(NamedTuple):
    """What a file was like when its version was completed: bytes, modification time (ns), SHA-256."""

    size: int
    modified_ns: int
    sha256: str


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` so that after a crash at any moment either the old or the new file is there, whole."""
    write_bytes(path, canonical_json(value) + b"\n")


def sync_tree(folder: Path) -> None:
    """Have the kernel put every file and folder below ``folder``, and itself, onto the disk."""
    for parent, _, names in os.walk(folder, topdown=False):
        for name in names:
            sync(Path(parent, name))
        sync(Path(parent))


def files_below(folder: Path) -> Iterator[Path]:
    """Yield every file below ``folder``, in order of its path."""
    for parent, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            yield Path(parent, name)


def allocated_bytes(folder: Path) -> int:
    """Return the bytes that the file system has allocated for the files below ``folder``; holes do not count."""
    return sum(path.stat().st_blocks * 512 for path in files_below(folder))


def take_inventory(folder: Path) -> dict[str, FileStamp]:
    """Return the stamp of every file below ``folder``; keys are relative paths with slashes."""
    inventory = {}
    for path in files_below(folder):
        state = path.stat()
        inventory[path.relative_to(folder).as_posix()] = FileStamp(state.st_size, state.st_mtime_ns, hash_file(path))
    return inventory


def check_inventory(folder: Path, inventory: dict[str, FileStamp], *, deep: bool = False) -> None:
    """Hold the files below ``folder`` against their inventory; files that are not in it do not matter.

    A file of the right size and modification time is taken as unchanged, unless ``deep``; one whose time differs (a
    copy, a restored backup, an edit) is hashed.

    Raises:
        IntegrityError: names the first file that is missing or differs.
    """
    for name, stamp in inventory.items():
        path = folder / name
        try:
            state = path.stat()
        except FileNotFoundError as error:
            raise _damaged(path, "is missing") from error
        if state.st_size != stamp.size:
            raise _damaged(path, f"has {state.st_size} bytes instead of {stamp.size}")
        if (deep or state.st_mtime_ns != stamp.modified_ns) and hash_file(path) != stamp.sha256:
            raise _damaged(path, "has other contents than when the version was completed")


def _damaged(path: Path, problem: str) -> IntegrityError:
    return IntegrityError(
        f"The collection file {path} {problem}.",
        remedy="Restore this version from a backup, or roll back to another version and reindex.",
    )


def copy_tree(source: Path, target: Path) -> None:
    """Copy a folder of plain files and folders to ``target``, which must not exist; holes stay holes."""
    target.mkdir(parents=True)
    for parent, folders, names in os.walk(source):
        below = target / Path(parent).relative_to(source)
        for name in folders:
            (below / name).mkdir()
        for name in names:
            copy_file(Path(parent, name), below / name)


def copy_file(source: Path, target: Path) -> None:
    """Copy one file to ``target``, which must not exist: sharing blocks if possible, else only its data."""
    with source.open("rb", buffering=0) as reading, target.open("xb", buffering=0) as writing:
        try:
            fcntl.ioctl(writing.fileno(), FICLONE, reading.fileno())
            return
        except OSError as error:
            if error.errno not in _NOT_HERE:
                raise
        size = os.fstat(reading.fileno()).st_size
        os.ftruncate(writing.fileno(), size)
        for start, end in data_extents(reading.fileno(), size):
            _copy_range(reading.fileno(), writing.fileno(), start, end)


def data_extents(descriptor: int, size: int) -> Iterator[tuple[int, int]]:
    """Yield (start, end) of the parts of a file that hold data, in order; a file system without holes yields one."""
    position = 0
    while position < size:
        try:
            start = os.lseek(descriptor, position, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:  # only a hole is left
                return
            raise
        position = os.lseek(descriptor, start, os.SEEK_HOLE)
        yield start, position


def _copy_range(source: int, target: int, start: int, end: int) -> None:
    in_kernel = True
    while start < end:
        copied = 0
        if in_kernel:
            try:
                copied = os.copy_file_range(source, target, end - start, start, start)
            except OSError as error:
                if error.errno not in _NOT_HERE:
                    raise
            in_kernel = copied > 0
        if not copied:
            block = os.pread(source, min(BLOCK, end - start), start)
            if not block:
                raise OSError(errno.EIO, "a file became shorter while it was copied")
            copied = os.pwrite(target, block, start)
        start += copied
