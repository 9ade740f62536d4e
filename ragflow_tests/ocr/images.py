"""Small images made for the tests."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import reportlab
from PIL import Image, ImageDraw, ImageFont

ENGLISH = ("The ferry across the lake", "was sold for nine hundred", "guilders in the spring.")
FONT = Path(reportlab.__file__).parent / "fonts" / "Vera.ttf"

Tag = tuple[int, int, int, int]
"""Number, type (3: 16 bits, 4: 32 bits), count, value."""


def letter(lines: Sequence[str] = ENGLISH, width: int = 620, height: int = 877, size: int = 32) -> Image.Image:
    """A grey page, black on white; by default A4 at 75 dpi, with letters large enough to be read at that."""
    page = Image.new("L", (width, height), 255)
    draw = ImageDraw.Draw(page)
    font = ImageFont.truetype(str(FONT), size)
    for number, line in enumerate(lines):
        draw.text((size, size * (2 + 2 * number)), line, fill=0, font=font)
    return page


def ramp(width: int = 64, height: int = 32) -> Image.Image:
    """Black at the top left, white at the bottom right, each pixel brighter than those before it."""
    last = width * height - 1
    return Image.frombytes("L", (width, height), bytes(255 * n // last for n in range(width * height)))


def save(path: Path, image: Image.Image, **options: Any) -> Path:
    image.save(path, **options)
    return path


def png(
    width: int,
    height: int,
    rows: bytes,
    *,
    depth: int = 8,
    colour: int = 0,
    interlaced: int = 0,
    transparent: bytes | None = None,
) -> bytes:
    """A PNG whose header says what it likes. ``rows``: with the number of its filter before each."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlaced)
    parts = [(b"IHDR", header), (b"IDAT", zlib.compress(rows, 9)), (b"IEND", b"")]
    if transparent is not None:
        parts.insert(1, (b"tRNS", transparent))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in parts
    )


def tiff(pages: Sequence[tuple[Sequence[Tag], bytes]], *, after: int | None = None, big_endian: bool = False) -> bytes:
    """A TIFF with each page's directory before its pixels (one strip).

    Args:
        pages: tags, without those for the strip, and pixels.
        after: what the last directory names as the next one; None: there is none.
    """
    order = ">" if big_endian else "<"
    parts = [(b"MM\0*" if big_endian else b"II*\0") + struct.pack(f"{order}I", 8)]
    position = 8
    for number, (tags, pixels) in enumerate(pages):
        entries = sorted([*tags, (273, 4, 1, 0), (279, 4, 1, len(pixels))])
        end = position + 2 + 12 * len(entries) + 4
        body = b"".join(_entry(order, (273, 4, 1, end) if entry[0] == 273 else entry) for entry in entries)
        following = end + len(pixels) if number + 1 < len(pages) else after or 0
        parts += [struct.pack(f"{order}H", len(entries)), body, struct.pack(f"{order}I", following), pixels]
        position = end + len(pixels)
    return b"".join(parts)


def _entry(order: str, tag: Tag) -> bytes:
    number, kind, count, value = tag
    packed = struct.pack(f"{order}H", value) + b"\0\0" if kind == 3 else struct.pack(f"{order}I", value)
    return struct.pack(f"{order}HHI", number, kind, count) + packed


def grey_tags(
    width: int, height: int, *more: Tag, bits: int = 8, compression: int = 1, photometric: int = 1
) -> list[Tag]:
    return [
        (256, 4, 1, width),
        (257, 4, 1, height),
        (258, 3, 1, bits),
        (259, 3, 1, compression),
        (262, 3, 1, photometric),
        (278, 4, 1, height),
        *more,
    ]


def group4(image: Image.Image) -> bytes:
    """The compressed pixels of an image in black and white, one strip (0 is white)."""
    buffer = io.BytesIO()
    image.convert("1").save(buffer, "TIFF", compression="group4", strip_size=1 << 30)
    with Image.open(buffer) as written:
        start, length = written.tag_v2[273][0], written.tag_v2[279][0]  # type: ignore[attr-defined]
        assert written.tag_v2[262] in (0, 1)  # type: ignore[attr-defined]
    return buffer.getvalue()[start : start + length]
