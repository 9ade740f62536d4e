"""What every source offers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Protocol

from ragflow.model.batches import SourceRoot
from ragflow.model.reading import Reason


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file that a source lists.

    Attributes:
        path: inside the source, parted by ``/``; with the source's name it is the document key.
        size: bytes.
        mtime_ns: modification time, nanoseconds since 1970.
        reason, detail: why its bytes cannot be taken; None if they can.
        ignored: the file is not a document (its kind is in ``detail``).
    """

    path: str
    size: int = 0
    mtime_ns: int = 0
    reason: Reason | None = None
    detail: str | None = None
    ignored: bool = False


class Source(Protocol):
    """A place that documents come from. Used by one thread at a time; never writes to the source."""

    @property
    def root(self) -> SourceRoot:
        """Name, kind and location, as they stand in manifests."""
        ...

    def scan(self) -> Iterator[FoundFile]:
        """List every file in scope, in a stable order.

        Raises:
            BadInputError: the source itself cannot be read (a folder that is not there, say). It must never be
                taken for an empty one.
        """
        ...

    def covers(self, path: str) -> bool:
        """Whether a scan would list ``path`` if it existed: only then does its absence mean that it was removed."""
        ...

    def open(self, path: str) -> BinaryIO:
        """Open a listed file for reading.

        Raises:
            BadInputError: it is not there, cannot be read, or leads out of the source.
        """
        ...

    def stat(self, path: str) -> tuple[int, int]:
        """Return the size (bytes) and modification time (ns) of a listed file as they are now.

        Raises:
            BadInputError: as for :meth:`open`.
        """
        ...
