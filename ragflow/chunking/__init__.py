"""Text with layout → chunks that fit the embedding model.

- ``records``   what goes in and out: :class:`TokenCounter`, :class:`ChunkOptions`, :class:`PageText`, :class:`Chunk`
- ``cutting``   where a text may be cut: sentence ends, lines, words, characters
- ``chunker``   :func:`chunk_pages`: pack blocks into chunks, then check each with the real tokenizer

No model is loaded here: whoever calls hands in a :class:`TokenCounter`.
"""

from __future__ import annotations

from ragflow.chunking.chunker import chunk_pages
from ragflow.chunking.records import (
    CODE_VERSION,
    Box,
    Chunk,
    ChunkOptions,
    PageText,
    TokenCounter,
    fingerprint_parts,
)

__all__ = [
    "CODE_VERSION",
    "Box",
    "Chunk",
    "ChunkOptions",
    "PageText",
    "TokenCounter",
    "chunk_pages",
    "fingerprint_parts",
]
