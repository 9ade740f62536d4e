"""The pages of a TIFF: where each is described, and whether the list of them is sound."""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from PIL import TiffImagePlugin

MAX_DIRECTORIES = 100_000
"""Entries of a TIFF's list of pages that are followed."""

_NEW_SUBFILE_TYPE = 254
_REDUCED, _MASK = 1, 4
_LEADING_ENTRIES = 8
"""Entries are sorted by their tags, and that of the subfile type is the least in use."""


class TooManyDirectoriesError(Exception):
    """A TIFF's list of pages does not end within reason."""


@dataclass(frozen=True, slots=True)
class TiffDirectories:
    """Where the pages of a TIFF are described.

    Attributes:
        offsets: of each page's directory, in the order of the pages.
        problem: how the list breaks off or leads back into itself; None if it ends as it should.
    """

    offsets: tuple[int, ...]
    problem: str | None = None


def tiff_directories(stream: BinaryIO) -> TiffDirectories:
    """Follow the list of directories of a TIFF or BigTIFF, once round at most.

    Smaller versions of a page, and masks for one, are no pages of their own; they are left out unless there is
    nothing else.

    Raises:
        TooManyDirectoriesError: the list has more than 100,000 entries.
        OSError: the file cannot be read.
    """
    size = stream.seek(0, 2)
    stream.seek(0)
    header = stream.read(16).ljust(16, b"\0")
    order = "<" if header[:2] == b"II" else ">"
    big = struct.unpack(f"{order}H", header[2:4])[0] == 43
    count_format, entry_size, offset_format = (f"{order}Q", 20, f"{order}Q") if big else (f"{order}H", 12, f"{order}I")
    start = 8 if big else 4
    offset = struct.unpack_from(offset_format, header, start)[0]
    seen: dict[int, bool] = {}
    problem = None
    while offset:
        if offset in seen:
            problem = "its list of pages leads back into itself"
            break
        if len(seen) >= MAX_DIRECTORIES:
            raise TooManyDirectoriesError
        found = _directory(stream, offset, size, count_format, entry_size, offset_format)
        if found is None:
            problem = "its list of pages leads beyond its end"
            break
        entries, following = found
        seen[offset] = _is_page(entries, order, entry_size)
        offset = following
    pages = tuple(position for position, is_page in seen.items() if is_page)
    return TiffDirectories(pages or tuple(seen), problem)


def _directory(
    stream: BinaryIO, offset: int, size: int, count_format: str, entry_size: int, offset_format: str
) -> tuple[bytes, int] | None:
    """Return the first entries of a directory and the offset of the next one; None if it is not all there."""
    counter = struct.calcsize(count_format)
    if offset + counter > size:
        return None
    stream.seek(offset)
    (count,) = struct.unpack(count_format, stream.read(counter))
    link = offset + counter + count * entry_size
    if link + struct.calcsize(offset_format) > size:
        return None
    entries = stream.read(min(count, _LEADING_ENTRIES) * entry_size)
    stream.seek(link)
    return entries, struct.unpack(offset_format, stream.read(struct.calcsize(offset_format)))[0]


def _is_page(entries: bytes, order: str, entry_size: int) -> bool:
    for start in range(0, len(entries), entry_size):
        tag, kind = struct.unpack_from(f"{order}HH", entries, start)
        if tag == _NEW_SUBFILE_TYPE:
            value_at = start + (12 if entry_size == 20 else 8)
            value = struct.unpack_from(f"{order}H" if kind == 3 else f"{order}I", entries, value_at)[0]
            return not value & (_REDUCED | _MASK)
    return True


class AtDirectory(io.BufferedReader):
    """A TIFF that seems to begin with a given directory.

    So each page stands for itself: it opens whatever is wrong with those before it, and without a walk over them.
    """

    def __init__(self, path: Path, offset: int) -> None:
        super().__init__(path.open("rb", buffering=0))
        header = bytearray(super().read(16))
        super().seek(0)
        order = "<" if header[:2] == b"II" else ">"
        if struct.unpack(f"{order}H", header[2:4])[0] == 43:
            struct.pack_into(f"{order}Q", header, 8, offset)
        else:
            del header[8:]
            struct.pack_into(f"{order}I", header, 4, offset)
        self._header = bytes(header)

    def read(self, size: int | None = -1, /) -> bytes:
        start = self.tell()
        data = super().read(size)
        if start >= len(self._header):
            return data
        return self._header[start : start + len(data)] + data[len(self._header) - start :]


def lacks_pixels(picture: TiffImagePlugin.TiffImageFile) -> bool:
    """Return whether the page names fewer strips or tiles than it consists of: Pillow leaves the others black."""
    tags = picture.tag_v2
    width, height = tags[TiffImagePlugin.IMAGEWIDTH], tags[TiffImagePlugin.IMAGELENGTH]
    if TiffImagePlugin.STRIPOFFSETS in tags:
        named = tags[TiffImagePlugin.STRIPOFFSETS]
        across, down = width, tags.get(TiffImagePlugin.ROWSPERSTRIP, height)
    else:
        named = tags.get(TiffImagePlugin.TILEOFFSETS, ())
        across, down = tags.get(TiffImagePlugin.TILEWIDTH, width), tags.get(TiffImagePlugin.TILELENGTH, height)
    planes = 1
    if tags.get(TiffImagePlugin.PLANAR_CONFIGURATION, 1) == 2:
        planes = tags.get(TiffImagePlugin.SAMPLESPERPIXEL, 1)
    return bool(len(named) < -(-width // max(1, across)) * -(-height // max(1, down)) * planes)
