"""What ``ragflow ocr`` writes: ``<name>.txt`` and ``<name>.json`` per document, and how the two are named.

``.txt``: pages parted by a form feed, blocks by an empty line, lines as they stand on the page, so that a word parted
at the end of a line stays parted; a page that has no text is there, and empty.

``.json``: one document; ``pages`` hold blocks, lines and words. Boxes are ``[left, top, right, bottom]``, fractions of
the displayed page, origin top left.
"""

from __future__ import annotations

import hashlib
import os
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby, pairwise
from pathlib import Path, PurePosixPath
from typing import Any

import orjson

from ragflow.model.fingerprints import sha256_text
from ragflow.model.reading import REASON_TEXT, PageReading, Word
from ragflow.store.atomic import replacing

FORMAT = "ragflow-ocr/1"
"""Goes up whenever the JSON changes its shape."""

PAGE_BREAK = "\f"
MAX_NAME = 240
"""Bytes of an output's name without its ending; file systems take 255 with it."""


def shown(name: str) -> str:
    r"""Return a name that can be printed and written anywhere: bytes that are no UTF-8 and control characters as
    ``\x..``."""
    text = os.fsencode(name).decode("utf-8", "backslashreplace")
    return "".join(
        character
        if unicodedata.category(character) not in ("Cc", "Zl", "Zp")
        else character.encode("unicode_escape").decode()
        for character in text
    )


def output_names(wanted: Sequence[PurePosixPath]) -> list[PurePosixPath]:
    """Return for each input (a relative path) the path of its outputs below the folder, without ``.txt``.

    The name is the input's without its suffix. Inputs that would share it keep their suffix (``a.pdf.txt``,
    ``a.png.txt``), and get a number if that is not enough (``a.pdf-2.txt``). The same inputs in the same order get the
    same names. No part of a result leads upwards.
    """
    folders = [tuple(_component(part) for part in path.parts[:-1] if part not in ("..", "/", ".")) for path in wanted]
    plain = [PurePosixPath(*folder, _component(path.stem)) for folder, path in zip(folders, wanted, strict=True)]
    shared = {name for name, count in Counter(plain).items() if count > 1}
    taken = {name for name in plain if name not in shared}
    names: list[PurePosixPath] = []
    for folder, path, name in zip(folders, wanted, plain, strict=True):
        chosen, number = name, 1
        if name in shared:
            full = chosen = PurePosixPath(*folder, _component(path.name))
            while chosen in taken:
                number += 1
                chosen = full.with_name(f"{full.name}-{number}")
            taken.add(chosen)
        names.append(chosen)
    return names


def _component(part: str) -> str:
    """Return one part of a path as it is written: short enough, and neither empty nor a way upwards."""
    part = shown(part)
    if part in ("", ".", ".."):
        part = f"_{part}"
    raw = part.encode()
    if len(raw) <= MAX_NAME:
        return part
    return f"{raw[: MAX_NAME - 20].decode('utf-8', 'ignore')}-{hashlib.sha256(raw).hexdigest()[:12]}"


def printed_text(reading: PageReading) -> str:
    """Return the page's text with its lines as they are printed.

    The text for search joins a word that is parted at the end of a line; here it keeps its hyphen.
    """
    if not reading.words:
        return reading.text
    parts = [reading.words[0].text]
    for before, word in pairwise(reading.words):
        if before.line == word.line:
            parts.append(" ")
        elif before.block != word.block:
            parts.append("\n\n")
        else:
            parts.append("-\n" if before.char_end == word.char_start else "\n")
        parts.append(word.text)
    return "".join(parts)


def page_json(reading: PageReading) -> bytes:
    """Return one page as JSON, on one line."""
    letters = sum(len(word.text) for word in reading.words)
    confidence = sum(word.confidence * len(word.text) for word in reading.words) / letters if letters else None
    return orjson.dumps(
        {
            "page_number": reading.page_index + 1,
            "status": reading.status,
            "reason": reading.reason,
            "detail": reading.detail or (REASON_TEXT[reading.reason] if reading.reason else None),
            "engine": reading.engine,
            "language": reading.language,
            "confidence": _rounded(confidence),
            "effort": reading.effort,
            "layer_distrust": reading.layer_distrust,
            "orientation": reading.orientation,
            "skew": round(reading.skew, 3),
            "disagreement": _rounded(reading.disagreement),
            "reread_regions": reading.reread_regions,
            "left_out": reading.left_out,
            "raster": {"sha256": reading.raster_sha256, "dpi": reading.raster_dpi} if reading.raster_sha256 else None,
            "text": reading.text,
            "blocks": _blocks(reading),
        }
    )


def _blocks(reading: PageReading) -> list[dict[str, Any]]:
    opinions = reading.opinions or ((),) * len(reading.words)
    rows = list(zip(reading.words, opinions, strict=True))
    blocks: list[dict[str, Any]] = []
    for block, in_block in groupby(rows, key=lambda row: row[0].block):
        members = list(in_block)
        lines = []
        for line, in_line in groupby(members, key=lambda row: row[0].line):
            words = [
                {
                    "text": word.text,
                    "bbox": _box([word]),
                    "confidence": _rounded(word.confidence),
                    "char_start": word.char_start,
                    "char_end": word.char_end,
                    "opinions": [
                        {"engine": said.engine, "text": said.text, "confidence": _rounded(said.confidence)}
                        for said in heard
                    ],
                }
                for word, heard in in_line
            ]
            boxes = [word for word, _ in members if word.line == line]
            lines.append({"line": line, "bbox": _box(boxes), "words": words})
        blocks.append(
            {
                "block": block,
                "heading": block in reading.headings,
                "bbox": _box([word for word, _ in members]),
                "lines": lines,
            }
        )
    return blocks


def _box(words: Iterable[Word]) -> list[float]:
    words = list(words)
    return [
        round(min(word.left for word in words), 6),
        round(min(word.top for word in words), 6),
        round(max(word.right for word in words), 6),
        round(max(word.bottom for word in words), 6),
    ]


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def document_text(pages: Iterable[str]) -> str:
    """Return the text of a document: pages parted by form feeds, each line ended by a newline."""
    return PAGE_BREAK.join(f"{page}\n" if page else "" for page in pages)


def text_path(base: Path) -> Path:
    return base.with_name(f"{base.name}.txt")


def json_path(base: Path) -> Path:
    return base.with_name(f"{base.name}.json")


def write_outputs(base: Path, header: Mapping[str, Any], pages: Iterable[bytes], text: str) -> None:
    """Write both files. The JSON comes first and holds the text's hash: a text without it was not made here.

    Args:
        header: what goes before the pages.
        pages: each as JSON, see :func:`page_json`.

    Raises:
        OSError: the disk is full, say.
    """
    raw = text.encode("utf-8")
    head = orjson.dumps({"format": FORMAT, **header, "text_sha256": sha256_text(text)})
    with replacing(json_path(base), durable=False) as temporary, temporary.open("wb") as stream:
        stream.write(head[:-1] + b',"pages":[')
        for number, page in enumerate(pages):
            stream.write((b",\n" if number else b"\n") + page)
        stream.write(b"\n]}\n")
    with replacing(text_path(base), durable=False) as temporary:
        temporary.write_bytes(raw)


def written_header(base: Path) -> dict[str, Any] | None:
    """Return what an earlier run wrote before the pages; None if there is no such file, or it is not from here."""
    try:
        found = orjson.loads(json_path(base).read_bytes())
    except (OSError, orjson.JSONDecodeError):
        return None
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        return None
    whole = isinstance(found.get("document"), dict) and isinstance(found.get("summary"), dict)
    return found if whole else None


def text_is_as_written(base: Path, header: Mapping[str, Any]) -> bool:
    """Whether the text beside the JSON is the one that the JSON was written with."""
    try:
        text = text_path(base).read_bytes()
    except OSError:
        return False
    return hashlib.sha256(text).hexdigest() == header.get("text_sha256")
