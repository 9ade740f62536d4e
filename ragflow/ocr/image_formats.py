"""What the bytes of an image file say before anything is decoded: its kind, its size, whether it is whole."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from enum import StrEnum
from typing import BinaryIO

_BMP_HEADER_SIZES = frozenset({12, 16, 40, 52, 56, 64, 108, 124})
_PNG_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
_PIECE = 1 << 20


class ImageFormat(StrEnum):
    """Kinds of images that are documents."""

    PNG = "PNG"
    JPEG = "JPEG"
    TIFF = "TIFF"
    WEBP = "WebP"
    BMP = "BMP"


def image_format(start: bytes) -> ImageFormat | None:
    """Return the kind of image that a file with these first bytes (32 or more) is, or None."""
    if start.startswith(b"\x89PNG\r\n\x1a\n"):
        return ImageFormat.PNG
    if start.startswith(b"\xff\xd8\xff"):
        return ImageFormat.JPEG
    if start[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return ImageFormat.TIFF
    if start[:4] == b"RIFF" and start[8:12] == b"WEBP":
        return ImageFormat.WEBP
    # Two letters alone would take any text that begins with them for an image.
    if start[:2] == b"BM" and int.from_bytes(start[14:18], "little") in _BMP_HEADER_SIZES:
        return ImageFormat.BMP
    return None


def webp_size(start: bytes) -> tuple[int, int] | None:
    """Return width and height of a WebP's canvas from its first 30 bytes; None if they are not there."""
    if len(start) < 30:
        return None
    kind = start[12:16]
    if kind == b"VP8X":
        return int.from_bytes(start[24:27], "little") + 1, int.from_bytes(start[27:30], "little") + 1
    if kind == b"VP8L" and start[20] == 0x2F:
        bits = int.from_bytes(start[21:25], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8 " and start[23:26] == b"\x9d\x01\x2a":
        width, height = struct.unpack_from("<HH", start, 26)
        return width & 0x3FFF, height & 0x3FFF
    return None


def png_is_whole(stream: BinaryIO) -> bool:
    """Return whether a PNG's compressed data hold all its rows: a decoder may leave missing ones black.

    Inflates no more than the header promises; the caller has found that to be within limits.
    """
    inflater = zlib.decompressobj()
    missing: int | None = None
    try:
        for kind, piece in _png_chunks(stream):
            if kind == b"IHDR":
                missing = _png_bytes(piece)
                continue
            if missing is None:
                return False
            rest = piece
            while rest and missing > 0:
                missing -= len(inflater.decompress(rest, _PIECE))
                rest = inflater.unconsumed_tail
            while missing > 0 and not inflater.eof and (more := inflater.decompress(b"", _PIECE)):
                missing -= len(more)
            if missing <= 0:
                return True
    except (zlib.error, struct.error, KeyError):
        return False
    return False


def _png_chunks(stream: BinaryIO) -> Iterator[tuple[bytes, bytes]]:
    """Yield the header and the pieces of compressed data, a megabyte at a time."""
    stream.seek(8)
    while len(head := stream.read(8)) == 8:
        length, kind = struct.unpack(">I4s", head)
        if kind not in (b"IHDR", b"IDAT"):
            stream.seek(length + 4, 1)
            continue
        while length:
            piece = stream.read(min(length, _PIECE))
            if not piece:
                return
            length -= len(piece)
            yield kind, piece
        stream.seek(4, 1)


def _png_bytes(header: bytes) -> int:
    """Return how many bytes the rows of a PNG have, each with the number of its filter before it."""
    width, height, depth, colour, _, _, interlaced = struct.unpack(">IIBBBBB", header)
    bits = depth * _PNG_CHANNELS[colour]
    total = 0
    for x, y, across, down in _ADAM7 if interlaced else ((0, 0, 1, 1),):
        columns, rows = -(-(width - x) // across), -(-(height - y) // down)
        if columns > 0 and rows > 0:
            total += rows * (1 + (columns * bits + 7) // 8)
    return int(total)
