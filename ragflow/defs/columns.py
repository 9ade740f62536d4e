"""What the columns of each asset mean, as Dagster shows them: name, type, whether empty values are allowed, meaning."""

from collections.abc import Iterable, Mapping
from typing import Any

import dagster as dg
import pyarrow as pa

from ragflow.model.tables import CHUNKS, DOCUMENTS, PAGE_TEXTS, embeddings_schema

DEFAULT_DIMENSION = 384
"""Shown in the UI only; the tables take the dimension of the configured model."""

SHARED = {
    "document_sha256": "SHA-256 of the document's bytes: the identity of its content.",
    "page_index": "0-based position of the page in the document; people are shown page_number, which is one more.",
    "reason": "Why it is in quarantine; empty if it is not.",
    "detail": "The reason in words.",
    "text_sha256": "SHA-256 of the text in UTF-8.",
    "vector_sha256": "SHA-256 over the dense and the sparse vector.",
    "words_sha256": "SHA-256 over the words with their boxes and confidences.",
    "chunk_index": "0-based position of the chunk in its document.",
    "char_start": "Where the chunk begins in the text of its page, in characters.",
    "char_end": "Where the chunk ends in the text of its page, in characters, exclusive.",
    "engine": "What read the page: text_layer or an OCR engine.",
}

DOCUMENT_COLUMNS = {
    "document_key": "Source and path inside the source: the identity of the document.",
    "document_sha256": "SHA-256 of the bytes; empty if they could not be read.",
    "size": "Bytes.",
    "home_batch": "The batch that brought this content first, and holds its pages.",
    "page_count": "Pages as the document says; empty if it cannot be opened.",
    "status": "readable or quarantined.",
    "encrypted": "Whether the document is encrypted, with or without a password.",
    "damaged": "Whether the document had to be repaired to be read, or breaks off.",
    "producer": "The program that wrote the PDF, by its own account.",
    "title": "The title in the PDF's information.",
    "language": "The language that the PDF declares.",
}

PAGE_TEXT_COLUMNS = {
    "status": "indexed, blank or quarantined: every page has exactly one.",
    "language": "ISO 639-1, found in the text; empty if it cannot be told.",
    "text": "The text in reading order; empty unless the page is indexed.",
    "word_count": "Rows of this page in the table of words.",
    "headings": "Numbers of the blocks that are headings.",
    "confidence": "Mean over the words, weighted by their length, 0.0 to 1.0; empty unless the page is indexed.",
    "raster_sha256": "SHA-256 of the pixels that OCR saw; empty for a text layer.",
    "raster_dpi": "Pixels per inch of that raster.",
    "reading_fingerprint": "Of the options by which the page was read; while it holds, the page is not read again.",
    "inspection_sha256": "SHA-256 of the page's row in pages; empty for a document that does not open.",
    "effort": "How hard it was asked to be read: normal or thorough.",
    "layer_distrust": "Why the text that the PDF carries was not believed; empty if it was, or if there is none.",
    "orientation": "Clockwise turn, in degrees, that brought the displayed page upright.",
    "skew": "Degrees by which the lines rise to the right, before they were set straight.",
    "disagreement": "Share of the characters that two engines read otherwise; empty if no two read the same place.",
    "reread_regions": "Regions that were read a second time because the first reading was unsure.",
    "weakest_block": "Lowest mean confidence of a block of 20 characters or more.",
    "weak_share": "Share of the characters that stand in words below a confidence of 0.6.",
}

CHUNK_COLUMNS = {
    "text": "The page's text from char_start to char_end.",
    "token_count": "Tokens of the embedding model, special tokens included.",
    "language": "ISO 639-1; und if it is not known.",
    "line_boxes": "One box per line: left, top, right, bottom as fractions of the page, from its top left.",
    "confidence": "Mean over the words, weighted by their length, 0.0 to 1.0.",
}

EMBEDDING_COLUMNS = {
    "text_sha256": "SHA-256 of the chunk's text.",
    "language": "Decides the stemmer of the sparse vector.",
    "dense": "float32, of unit length.",
    "sparse_indices": "Terms of the sparse vector (BM25), ascending.",
    "sparse_values": "Weight of each term.",
    "precision": "The arithmetic in which the dense vector was computed.",
    "reused_from": "The batch from which the vector was taken; empty if it was computed.",
}

PAYLOAD: tuple[tuple[str, str, str], ...] = (
    ("document_key", "string", DOCUMENT_COLUMNS["document_key"]),
    ("document_sha256", "string", SHARED["document_sha256"]),
    ("source", "string", "The source of the document."),
    ("title", "string", "The document's title, or its file name."),
    ("page_index", "int", "0-based."),
    ("page_number", "int", "1-based."),
    ("chunk_index", "int", SHARED["chunk_index"]),
    ("char_start", "int", SHARED["char_start"]),
    ("char_end", "int", SHARED["char_end"]),
    ("text", "string", "The chunk's text."),
    ("text_sha256", "string", "SHA-256 of the chunk's text."),
    ("page_text_sha256", "string", "SHA-256 of the page's text."),
    ("words_sha256", "string", SHARED["words_sha256"]),
    ("raster_sha256", "string?", "SHA-256 of the pixels that the engines saw; none for a text layer."),
    ("raster_dpi", "int?", "Resolution of these pixels."),
    ("vector_sha256", "string", SHARED["vector_sha256"]),
    ("language", "string", CHUNK_COLUMNS["language"]),
    ("boxes", "list<list<float>[4]>", CHUNK_COLUMNS["line_boxes"]),
    ("confidence", "float", CHUNK_COLUMNS["confidence"]),
    ("engine", "string", SHARED["engine"]),
    ("batch", "string", "The batch that holds the page."),
)
"""The payload of a point: name, type (with a question mark if it may be empty), meaning."""

ColumnMetadata = dict[str, dg.MetadataValue[Any]]


def _of_table(schema: pa.Schema, descriptions: Mapping[str, str]) -> ColumnMetadata:
    known = {**SHARED, **descriptions}
    return _shown(
        dg.TableColumn(
            name=field.name,
            type=str(field.type),
            description=known[field.name],
            constraints=dg.TableColumnConstraints(nullable=field.nullable),
        )
        for field in schema
    )


def _shown(columns: Iterable[dg.TableColumn]) -> ColumnMetadata:
    return {"dagster/column_schema": dg.MetadataValue.table_schema(dg.TableSchema(columns=list(columns)))}


def document_columns() -> ColumnMetadata:
    return _of_table(DOCUMENTS, DOCUMENT_COLUMNS)


def page_text_columns() -> ColumnMetadata:
    return _of_table(PAGE_TEXTS, PAGE_TEXT_COLUMNS)


def chunk_columns() -> ColumnMetadata:
    return _of_table(CHUNKS, CHUNK_COLUMNS)


def embedding_columns() -> ColumnMetadata:
    return _of_table(embeddings_schema(DEFAULT_DIMENSION), EMBEDDING_COLUMNS)


def payload_columns() -> ColumnMetadata:
    return _shown(
        dg.TableColumn(
            name=name,
            type=kind.rstrip("?"),
            description=meaning,
            constraints=dg.TableColumnConstraints(nullable=kind.endswith("?")),
        )
        for name, kind, meaning in PAYLOAD
    )
