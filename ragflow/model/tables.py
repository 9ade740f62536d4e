"""The Arrow schema of every table, with the grain of a row.

Tables are stored per asset and batch. All but ``documents`` are keyed by content (``document_sha256``), not by
document key: the same bytes under two names are read, chunked and embedded once, in the batch that brought them
first (their *home*, see :class:`ragflow.model.batches.Corpus`).
"""

from __future__ import annotations

import pyarrow as pa

SHA256 = pa.string()

DOCUMENTS = pa.schema(
    [
        pa.field("document_key", pa.string(), nullable=False),
        pa.field("document_sha256", SHA256),
        pa.field("size", pa.int64(), nullable=False),
        pa.field("home_batch", pa.string()),
        pa.field("page_count", pa.int32()),
        pa.field("status", pa.string(), nullable=False),
        pa.field("reason", pa.string()),
        pa.field("detail", pa.string()),
        pa.field("encrypted", pa.bool_(), nullable=False),
        pa.field("damaged", pa.bool_(), nullable=False),
        pa.field("producer", pa.string()),
        pa.field("title", pa.string()),
        pa.field("language", pa.string()),
    ]
)
"""One row per document that the batch adds or changes. ``status``: ``readable`` or ``quarantined``."""

PAGES = pa.schema(
    [
        pa.field("document_sha256", SHA256, nullable=False),
        pa.field("page_index", pa.int32(), nullable=False),
        pa.field("width_pt", pa.float32(), nullable=False),
        pa.field("height_pt", pa.float32(), nullable=False),
        pa.field("rotation", pa.int16(), nullable=False),
        pa.field("has_text_layer", pa.bool_(), nullable=False),
        pa.field("reason", pa.string()),
        pa.field("detail", pa.string()),
    ]
)
"""One row per page of each content whose home is the batch. ``reason`` is set if the page itself cannot be opened."""

PAGE_TEXTS = pa.schema(
    [
        pa.field("document_sha256", SHA256, nullable=False),
        pa.field("page_index", pa.int32(), nullable=False),
        pa.field("status", pa.string(), nullable=False),
        pa.field("reason", pa.string()),
        pa.field("detail", pa.string()),
        pa.field("engine", pa.string()),
        pa.field("language", pa.string()),
        pa.field("text", pa.string(), nullable=False),
        pa.field("text_sha256", SHA256, nullable=False),
        pa.field("word_count", pa.int32(), nullable=False),
        pa.field("words_sha256", SHA256, nullable=False),
        pa.field("headings", pa.list_(pa.int32()), nullable=False),
        pa.field("confidence", pa.float32()),
        pa.field("raster_sha256", SHA256),
        pa.field("raster_dpi", pa.int32()),
        pa.field("reading_fingerprint", SHA256, nullable=False),
        pa.field("inspection_sha256", SHA256),
        pa.field("effort", pa.string(), nullable=False),
        pa.field("layer_distrust", pa.string()),
        pa.field("orientation", pa.int16(), nullable=False),
        pa.field("skew", pa.float32(), nullable=False),
        pa.field("disagreement", pa.float32()),
        pa.field("reread_regions", pa.int32(), nullable=False),
        pa.field("weakest_block", pa.float32()),
        pa.field("weak_share", pa.float32()),
    ]
)
"""One row per page of each content whose home is the batch; a document that cannot be opened has one row, page 0.

``confidence`` is the mean over the page's words, weighted by their length; ``weakest_block`` and ``weak_share`` are
explained at :class:`ragflow.model.words.Confidence`; all three are None for a page without words.
``reading_fingerprint`` is that of the route by which the page was read, and ``inspection_sha256`` the hash of its row
in ``pages``: a page for which both still hold need not be read again. ``effort`` is what was asked for; the words may
be those of an earlier, normal reading that came out better.
"""

OPINIONS = pa.list_(
    pa.struct(
        [
            pa.field("engine", pa.string(), nullable=False),
            pa.field("text", pa.string(), nullable=False),
            pa.field("confidence", pa.float32(), nullable=False),
        ]
    )
)

WORDS = pa.schema(
    [
        pa.field("document_sha256", SHA256, nullable=False),
        pa.field("page_index", pa.int32(), nullable=False),
        pa.field("word_index", pa.int32(), nullable=False),
        pa.field("text", pa.string(), nullable=False),
        pa.field("left", pa.float32(), nullable=False),
        pa.field("top", pa.float32(), nullable=False),
        pa.field("right", pa.float32(), nullable=False),
        pa.field("bottom", pa.float32(), nullable=False),
        pa.field("confidence", pa.float32(), nullable=False),
        pa.field("block", pa.int32(), nullable=False),
        pa.field("line", pa.int32(), nullable=False),
        pa.field("char_start", pa.int32(), nullable=False),
        pa.field("char_end", pa.int32(), nullable=False),
        pa.field("opinions", OPINIONS),
    ]
)
"""One row per word of an indexed page, in reading order. Boxes as in :mod:`ragflow.model.reading`.

``opinions``: what each engine that read the word's place said; None for the words of a text layer.
"""

REREADS = pa.schema(
    [
        pa.field("sha256", SHA256, nullable=False),
        pa.field("page_index", pa.int32()),
        pa.field("effort", pa.string(), nullable=False),
        pa.field("why", pa.string(), nullable=False),
        pa.field("at", pa.string(), nullable=False),
    ]
)
"""One row per request to read again that the batch has heeded (see :mod:`ragflow.store.rereads`); written if there is
one. ``page_index`` is None for a whole document."""

BOX = pa.list_(pa.float32(), 4)

CHUNKS = pa.schema(
    [
        pa.field("document_sha256", SHA256, nullable=False),
        pa.field("chunk_index", pa.int32(), nullable=False),
        pa.field("page_index", pa.int32(), nullable=False),
        pa.field("char_start", pa.int32(), nullable=False),
        pa.field("char_end", pa.int32(), nullable=False),
        pa.field("text", pa.string(), nullable=False),
        pa.field("text_sha256", SHA256, nullable=False),
        pa.field("token_count", pa.int32(), nullable=False),
        pa.field("language", pa.string(), nullable=False),
        pa.field("line_boxes", pa.list_(BOX), nullable=False),
        pa.field("confidence", pa.float32(), nullable=False),
    ]
)
"""One row per chunk, in the order of the document. A chunk lies on one page: ``text`` is
``page text[char_start:char_end]``. ``token_count`` includes the model's special tokens."""


def embeddings_schema(dimension: int) -> pa.Schema:
    """One row per distinct (chunk text, language) of the batch.

    Args:
        dimension: length of the dense vectors, which are float32 of unit length.
    """
    return pa.schema(
        [
            pa.field("text_sha256", SHA256, nullable=False),
            pa.field("language", pa.string(), nullable=False),
            pa.field("dense", pa.list_(pa.float32(), dimension), nullable=False),
            pa.field("sparse_indices", pa.list_(pa.uint32()), nullable=False),
            pa.field("sparse_values", pa.list_(pa.float32()), nullable=False),
            pa.field("vector_sha256", SHA256, nullable=False),
            pa.field("precision", pa.string(), nullable=False),
            pa.field("reused_from", pa.string()),
        ]
    )
