"""A folder of PDFs and images as a source."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from ragflow.errors import BadInputError
from ragflow.model.batches import SourceRoot
from ragflow.model.fingerprints import sha256_text
from ragflow.model.reading import Reason
from ragflow.sources.protocol import FoundFile

KIND = "folder"
DOCUMENT_SUFFIXES = frozenset({".pdf", ".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp", ".bmp"})
"""In lower case. What a file really is, its first bytes say when it is opened."""


def source_name(folder: Path) -> str:
    """Return a name for a folder that stays the same as long as it stays where it is."""
    plain = re.sub(r"[^\w.-]+", "-", folder.name).strip("-.") or "folder"
    return f"{plain}-{sha256_text(str(folder))[:6]}"


@dataclass(frozen=True, slots=True)
class FolderSource:
    """All PDFs and images below a folder.

    Hidden files and folders (a leading dot) are passed over, other kinds of files are listed as ignored. A link to a
    file inside the folder is a document; one that leads out of it is quarantined; linked folders are not entered.

    Attributes:
        name: first part of the document keys.
        location: absolute path, without links.
        scope: paths inside the folder (files or sub-folders) that the scan is limited to; empty: everything.
    """

    name: str
    location: Path
    scope: Sequence[PurePosixPath] = field(default=())

    @property
    def root(self) -> SourceRoot:
        return SourceRoot(name=self.name, kind=KIND, location=str(self.location))

    def covers(self, path: str) -> bool:
        candidate = PurePosixPath(path)
        return not self.scope or any(candidate.is_relative_to(limit) for limit in self.scope)

    def scan(self) -> Iterator[FoundFile]:
        if not self.location.is_dir():
            raise BadInputError(
                f"The folder {self.location} is not there.",
                remedy="Mount or restore it, or remove the source from the configuration; nothing was changed.",
            )
        # Scopes may overlap, and two names that are not UTF-8 may be written alike: a key stands for one document.
        seen: set[str] = set()
        for limit in self.scope or (PurePosixPath(),):
            for file in self._below(self.location / limit):
                if file.path not in seen:
                    seen.add(file.path)
                    yield file

    def _below(self, start: Path) -> Iterator[FoundFile]:
        if start.is_dir():
            yield from self._walk(start)
        elif os.path.lexists(start):
            yield self._describe(os.fspath(start))

    def _walk(self, folder: Path) -> Iterator[FoundFile]:
        problems: list[FoundFile] = []

        def note(error: OSError) -> None:
            if Path(error.filename) == self.location:
                raise BadInputError(
                    f"The folder {self.location} cannot be listed: {error.strerror}.",
                    remedy="Check its permissions and its disk; nothing was changed.",
                ) from error
            problems.append(
                FoundFile(
                    path=self._key(os.fspath(error.filename)),
                    reason=Reason.UNREADABLE,
                    detail=f"the folder cannot be listed: {error.strerror}",
                )
            )

        for current, folders, files in os.walk(folder, onerror=note):
            for name in list(folders):
                if name.startswith(".") or os.path.islink(os.path.join(current, name)):  # noqa: PTH114, PTH118
                    folders.remove(name)
                    if not name.startswith("."):
                        linked = os.path.join(current, name)  # noqa: PTH118
                        yield FoundFile(path=self._key(linked), ignored=True, detail="linked folder")
            folders.sort()
            for name in sorted(files):
                if not name.startswith("."):
                    yield self._describe(os.path.join(current, name))  # noqa: PTH118
        yield from problems

    def _key(self, absolute: str) -> str:
        relative = os.path.relpath(absolute, self.location)
        return os.fsencode(relative).decode("utf-8", "backslashreplace")

    def _describe(self, absolute: str) -> FoundFile:
        path = self._key(absolute)
        suffix = PurePosixPath(path).suffix.lower()
        if suffix not in DOCUMENT_SUFFIXES:
            return FoundFile(path=path, ignored=True, detail=suffix or "no suffix")
        try:
            os.fspath(absolute).encode("utf-8")
        except UnicodeEncodeError:
            return FoundFile(
                path=path, reason=Reason.UNREADABLE, detail="the file's name is not valid UTF-8: rename the file"
            )
        try:
            size, mtime_ns = self.stat(path)
        except BadInputError as error:
            reason = Reason.OUTSIDE_SOURCE if isinstance(error, OutsideSourceError) else Reason.UNREADABLE
            return FoundFile(path=path, reason=reason, detail=error.message)
        return FoundFile(path=path, size=size, mtime_ns=mtime_ns)

    def stat(self, path: str) -> tuple[int, int]:
        with self.open(path) as stream:
            status = os.fstat(stream.fileno())
        return status.st_size, status.st_mtime_ns

    def open(self, path: str) -> BinaryIO:
        absolute = self.location / path
        try:
            # O_NONBLOCK: opening a named pipe must not wait for its writer.
            descriptor = os.open(absolute, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            raise BadInputError(
                f"{absolute} cannot be read: {error.strerror}.", remedy="Check that it is there, and its permissions."
            ) from error
        stream = os.fdopen(descriptor, "rb")
        # What was really opened decides, not the name that was asked for: links may change in between.
        real = Path(f"/proc/self/fd/{descriptor}").readlink()
        if not real.is_relative_to(self.location):
            stream.close()
            raise OutsideSourceError(
                f"{absolute} is a link that leads out of {self.location}.", remedy="Put the file itself there."
            )
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            stream.close()
            raise BadInputError(f"{absolute} is not a regular file.", remedy="Remove it from the folder.")
        return stream


class OutsideSourceError(BadInputError):
    """A path inside a source leads out of it."""
