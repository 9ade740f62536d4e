"""Blocks of text, and the plain notation in which the sample texts are written.

In the notation, blocks are parted by empty lines, pages by a line of three hyphens; a block that begins with ``#`` is a
heading, one with ``##`` a subheading. Apostrophes and dashes are typed plainly and set as a printer would.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

_PAGE_BREAK = re.compile(r"^---$", re.MULTILINE)
_BLOCK_BREAK = re.compile(r"\n[ \t]*\n")
_WHITE_SPACE = re.compile(r"[ \t\n]+")  # leaves no-break spaces alone
_FRENCH_SPACE = re.compile(r" (?=[:;?!»])|(?<=«) ")


class BlockKind(StrEnum):
    """How a block is set."""

    HEADING = "heading"
    SUBHEADING = "subheading"
    PARAGRAPH = "paragraph"


@dataclass(frozen=True, slots=True)
class Block:
    """A heading or a paragraph."""

    kind: BlockKind
    text: str


def parse_pages(text: str, language: str) -> tuple[tuple[Block, ...], ...]:
    """Read the notation.

    Args:
        language: ``fr`` sets no-break spaces before high punctuation marks.

    Returns:
        One tuple of blocks per page.
    """
    return tuple(_parse_page(typographic(page, language)) for page in _PAGE_BREAK.split(text))


def typographic(text: str, language: str) -> str:
    """Turn typed apostrophes and dashes into printed ones, and set French no-break spaces."""
    text = text.replace("'", "\N{RIGHT SINGLE QUOTATION MARK}").replace(" - ", " \N{EN DASH} ")
    return _FRENCH_SPACE.sub("\N{NO-BREAK SPACE}", text) if language == "fr" else text


def _parse_page(page: str) -> tuple[Block, ...]:
    return tuple(_parse_block(block.strip()) for block in _BLOCK_BREAK.split(page) if block.strip())


def _parse_block(block: str) -> Block:
    block = _WHITE_SPACE.sub(" ", block)
    if block.startswith("## "):
        return Block(BlockKind.SUBHEADING, block[3:])
    if block.startswith("# "):
        return Block(BlockKind.HEADING, block[2:])
    return Block(BlockKind.PARAGRAPH, block)
