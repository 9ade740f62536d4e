"""Rendered pages kept on the disk, bounded: what was not asked for longest goes first.

An image is named by a hash over everything that it was made from, so a kept image is never stale; images of one content
lie in one folder, so that they can be removed with it. All of them can be made again: the folder may be deleted.
"""

from __future__ import annotations

import os
import shutil
import threading
from dataclasses import dataclass, field
from pathlib import Path

from ragflow.store.atomic import TEMPORARY_PREFIX, write_bytes
from ragflow.store.blobs import BlobStore

ROOM_LEFT = 0.9
"""Images are removed until the rest takes up this share of the limit, so that it is not done at every new one."""


@dataclass(slots=True)
class PageImageStore:
    """Images under ``root/<first two digits>/<sha256 of the content>/<key>.png``. May be shared by threads, and by
    processes, each of which keeps to the limit by what it knows; a crowd of them may go over it for a while.

    Attributes:
        root: where they lie.
        max_bytes: of all images together; 0: none is kept.
    """

    root: Path
    max_bytes: int
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _bytes: int | None = None
    """What is there, as far as this process knows; None: it has not looked yet."""

    def path(self, sha256: str, key: str) -> Path:
        """Return where an image lies, there or not.

        Args:
            sha256: of the content.
            key: a hash in hexadecimal digits.
        """
        return BlobStore(self.root).path(sha256) / f"{key}.png"

    def find(self, sha256: str, key: str) -> bytes | None:
        """Return an image; None if it is not kept."""
        path = self.path(sha256, key)
        try:
            data = path.read_bytes()
            os.utime(path)
        except FileNotFoundError:
            return None
        return data

    def put(self, sha256: str, key: str, data: bytes) -> None:
        """Keep an image, and remove old ones if there are too many."""
        if len(data) > self.max_bytes:
            return
        write_bytes(self.path(sha256, key), data, durable=False)
        with self._lock:
            self._bytes = self._total() if self._bytes is None else self._bytes + len(data)
            if self._bytes > self.max_bytes:
                self._bytes = self._make_room()

    def remove(self, sha256: str) -> None:
        """Remove all images of a content."""
        folder = BlobStore(self.root).path(sha256)
        if folder.is_dir():
            shutil.rmtree(folder)
        with self._lock:
            self._bytes = None

    def contents(self) -> frozenset[str]:
        """Return the contents of which there are images."""
        return frozenset(path.name for path in self.root.glob("??/*"))

    def _files(self) -> list[tuple[float, int, Path]]:
        """Return (time of last use, bytes, path) of each image, oldest first."""
        found = []
        for path in self.root.glob("??/*/*.png"):
            try:
                status = path.stat()
            except FileNotFoundError:
                continue  # another process was faster
            if not path.name.startswith(TEMPORARY_PREFIX):
                found.append((status.st_mtime, status.st_size, path))
        return sorted(found)

    def _total(self) -> int:
        return sum(size for _, size, _ in self._files())

    def _make_room(self) -> int:
        """Remove the oldest images; return how many bytes are left."""
        files = self._files()
        left = sum(size for _, size, _ in files)
        for _, size, path in files:
            if left <= self.max_bytes * ROOM_LEFT:
                break
            path.unlink(missing_ok=True)
            left -= size
        return left
