"""What goes into chunking and what comes out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from ragflow.errors import UsageError
from ragflow.model.reading import Word

CODE_VERSION = 1
"""Goes up whenever the same page and the same options would give other chunks."""

SMALLEST_MAX_TOKENS = 16
"""Below this a single character (bytes, compatibility forms) might not fit beside the special tokens."""

CHARACTERS_PER_TOKEN = 16
"""A chunk has at most ``CHARACTERS_PER_TOKEN * max_tokens`` characters. Written language needs 1 to 6 a token; the
bound is for text that a tokenizer reads as nothing or as one unknown token, however long it is."""

Box = tuple[float, float, float, float]
"""Left, top, right, bottom; fractions of the displayed page."""


class TokenCounter(Protocol):
    """What chunking has to know about a tokenizer. Implementations are pure and may be shared by threads.

    Attributes:
        special_tokens: tokens that the model adds to every text.
        max_tokens: what the model reads, special tokens included.
    """

    special_tokens: int
    max_tokens: int

    def spans(self, texts: Sequence[str]) -> list[list[tuple[int, int]]]:
        """Return, for each text, the (start, end) characters of its tokens, ascending, without special tokens."""
        ...

    def count(self, texts: Sequence[str]) -> list[int]:
        """Return how many tokens each text costs when it stands alone, special tokens included."""
        ...


@dataclass(frozen=True, slots=True)
class ChunkOptions:
    """How long chunks are, in tokens of the embedding model.

    Attributes:
        max_tokens: never exceeded; special tokens included.
        target_tokens: blocks are packed up to this; special tokens included.
        min_tokens: a shorter piece (special tokens not counted) joins a neighbour where ``max_tokens`` allows.

    Raises:
        UsageError: the three do not fit each other.
    """

    max_tokens: int = 256
    target_tokens: int = 200
    min_tokens: int = 32

    def __post_init__(self) -> None:
        if self.max_tokens < SMALLEST_MAX_TOKENS:
            raise UsageError(
                f"Chunks of at most {self.max_tokens} tokens are too short.",
                remedy=f"Set max_tokens to {SMALLEST_MAX_TOKENS} or more.",
            )
        if not 1 <= self.target_tokens <= self.max_tokens:
            raise UsageError(
                f"The target of {self.target_tokens} tokens does not fit a maximum of {self.max_tokens}.",
                remedy="Set target_tokens between 1 and max_tokens.",
            )
        if not 0 <= self.min_tokens <= self.target_tokens:
            raise UsageError(
                f"The minimum of {self.min_tokens} tokens does not fit a target of {self.target_tokens}.",
                remedy="Set min_tokens between 0 and target_tokens.",
            )

    @property
    def max_characters(self) -> int:
        """Upper bound of a chunk's length in characters."""
        return CHARACTERS_PER_TOKEN * self.max_tokens


def fingerprint_parts(options: ChunkOptions) -> dict[str, Any]:
    """Return what decides the chunks of a page besides its text and the tokenizer."""
    return {"chunker": CODE_VERSION, **asdict(options)}


@dataclass(frozen=True, slots=True)
class PageText:
    """The text of one page, as :class:`ragflow.model.reading.PageReading` has it.

    Attributes:
        document_sha256: content hash of the document.
        page_index: 0-based.
        text: blocks parted by an empty line, lines by a newline, words by a space.
        words: in reading order; may be empty (then chunks have no boxes).
        headings: numbers of the blocks that are headings: ``Word.block``; counted in the text if there are no words.
        language: ISO 639-1 code, or None.
    """

    document_sha256: str
    page_index: int
    text: str
    words: tuple[Word, ...] = ()
    headings: tuple[int, ...] = ()
    language: str | None = None


@dataclass(frozen=True, slots=True)
class Chunk:
    """One chunk; it lies on one page.

    Attributes:
        page_index: 0-based.
        char_start, char_end: where it stands in the page text.
        text: ``page.text[char_start:char_end]``, without white space at either end.
        token_count: what the tokenizer gives for ``text`` alone, special tokens included.
        line_boxes: for each line that the chunk touches, the box around the chunk's words on it; reading order.
        confidence: mean over the chunk's words, weighted by their length; 1.0 if there are no words.
    """

    page_index: int
    char_start: int
    char_end: int
    text: str
    token_count: int
    line_boxes: tuple[Box, ...]
    confidence: float
