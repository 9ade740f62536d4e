"""Faults in what a stage gives: the documents, their pages, chunks and vectors."""

from __future__ import annotations

from ragflow_tests.faults import mutations as change
from ragflow_tests.faults import mutations_served as served
from ragflow_tests.faults.documents import GROWTH
from ragflow_tests.faults.fault import BOTH, CHANGED, NEW, SCAN, Fault, Level

SOURCES = (
    Fault(
        "flipped byte in a stored PDF",
        Level.SOURCE,
        "bytes of a new document",
        served.flip_byte,
        ("blobs_intact",),
        (NEW, None),
        situations=BOTH,
    ),
    Fault("stored PDF lost", Level.SOURCE, "bytes of a new document", served.lose, ("blobs_intact",), (NEW, None)),
    Fault(
        "inventory lies: a changed file is called unchanged",
        Level.INVENTORY,
        "cache of the scan",
        change.call_unchanged,
        ("sources_seen",),
        (CHANGED, None),
    ),
    Fault(
        "dropped document",
        Level.DOCUMENTS,
        "a new document and its pages",
        change.drop_document,
        ("documents_complete",),
        (NEW, None),
        situations=BOTH,
    ),
    Fault(
        "page lost when a document is looked at",
        Level.DOCUMENTS,
        "last page of a new document",
        change.lose_last_page,
        ("read_again",),
        (NEW, None),
    ),
    Fault(
        "a title changed in the table",
        Level.DOCUMENTS,
        "title of a new document",
        change.change_title,
        ("read_again",),
        (NEW, None),
    ),
)

PAGES = (
    Fault(
        "dropped page",
        Level.PAGES,
        "page with a text layer",
        change.drop_page,
        ("pages_accounted",),
        (NEW, 1),
        situations=BOTH,
    ),
    Fault("dropped scan", Level.PAGES, "scanned page", change.drop_scanned_page, ("pages_accounted",), (SCAN, 1)),
    Fault("doubled page", Level.PAGES, "page with a text layer", change.double_page, ("pages_accounted",), (NEW, 1)),
    Fault(
        "blanked page text",
        Level.PAGES,
        "page with a text layer",
        change.blank_page,
        ("read_again",),
        (NEW, 1),
        situations=BOTH,
    ),
    Fault("blanked scan", Level.PAGES, "scanned page", change.blank_scanned_page, ("read_again",), (SCAN, 1)),
    Fault("page put aside without need", Level.PAGES, "page with a text layer", change.quarantine_page, ("coverage",)),
    Fault(
        "page text of another document",
        Level.PAGES,
        "text and words of a page",
        change.page_of_another,
        ("read_again",),
        (NEW, 1),
        situations=BOTH,
    ),
    Fault(
        "scan with the text of another document",
        Level.PAGES,
        "text and words of a scanned page",
        change.text_of_another_on_scan,
        ("read_again",),
        (SCAN, 1),
    ),
    Fault(
        "two pages exchanged",
        Level.PAGES,
        "text and words of two pages",
        change.exchange_pages,
        ("read_again",),
        (NEW, 1),
    ),
    Fault(
        "one word changed", Level.PAGES, "text and words of a page", change.change_one_word, ("read_again",), (NEW, 1)
    ),
    Fault(
        "OCR garbage in one region, with high confidence",
        Level.PAGES,
        "a third of a scanned page",
        change.garble_region,
        ("garbled_text",),
        (SCAN, 1),
        situations=BOTH,
    ),
    Fault(
        "a line lost on a scan",
        Level.PAGES,
        "last line of a scanned page",
        change.lose_line,
        ("read_again",),
        (SCAN, 1),
    ),
    Fault(
        "words of a scan called surer than they are",
        Level.PAGES,
        "confidences of a scanned page",
        change.raise_confidence,
        ("read_again",),
        (SCAN, 1),
    ),
    Fault(
        "page in the wrong language",
        Level.PAGES,
        "language of a page",
        change.page_in_wrong_language,
        ("read_again",),
        (NEW, 1),
    ),
    Fault(
        "boxes of words shifted",
        Level.PAGES,
        "page with a text layer",
        change.shift_word_boxes,
        ("read_again",),
        (NEW, 1),
    ),
    Fault(
        "boxes of words shifted on a scan",
        Level.PAGES,
        "scanned page",
        change.shift_scanned_word_boxes,
        ("read_again",),
        (SCAN, 1),
    ),
)

CHUNKS = (
    Fault("dropped chunk", Level.CHUNKS, "a chunk", change.drop_chunk, ("chunks_cover_pages",), (NEW, 1)),
    Fault("doubled chunk", Level.CHUNKS, "a chunk", change.double_chunk, ("chunks_cover_pages",), (NEW, 1)),
    Fault("chunk cut short", Level.CHUNKS, "end of a chunk", change.cut_chunk_short, ("chunks_cover_pages",), (NEW, 1)),
    Fault(
        "chunk longer than the model reads",
        Level.CHUNKS,
        "chunks of a page, as one",
        change.chunk_too_long,
        ("chunks_fit_model",),
        (NEW, GROWTH.second),
    ),
    Fault(
        "chunk filed under another page",
        Level.CHUNKS,
        "page of a chunk",
        change.chunk_on_wrong_page,
        ("chunks_cover_pages",),
        (NEW, 1),
    ),
    Fault(
        "boxes of a chunk shifted",
        Level.CHUNKS,
        "boxes of a chunk",
        change.shift_chunk_boxes,
        ("cut_again",),
        (NEW, 1),
    ),
    Fault(
        "chunk in the wrong language",
        Level.CHUNKS,
        "language of a chunk",
        change.chunk_in_wrong_language,
        ("cut_again",),
        (NEW, 1),
    ),
    Fault(
        "chunk surer than its words",
        Level.CHUNKS,
        "confidence of a chunk",
        change.chunk_too_sure,
        ("cut_again",),
        (SCAN, 1),
    ),
)

VECTORS = (
    Fault(
        "swapped vectors",
        Level.VECTORS,
        "vectors of two texts",
        change.swap_vectors,
        ("vectors_match_texts",),
        situations=BOTH,
    ),
    Fault(
        "swapped dense vectors",
        Level.VECTORS,
        "dense vectors of two texts",
        change.swap_dense_vectors,
        ("vectors_match_texts",),
    ),
    Fault("zero vector", Level.VECTORS, "vector of a text", change.zero_vector, ("vectors_sound",)),
    Fault("NaN in a vector", Level.VECTORS, "vector of a text", change.nan_vector, ("vectors_sound",)),
    Fault(
        "vectors of another model",
        Level.VECTORS,
        "dense vectors of a batch",
        change.vectors_of_another_model,
        ("vectors_match_texts",),
    ),
    Fault("dropped vector", Level.VECTORS, "vector of a text", change.drop_vector, ("embeddings_complete",)),
    Fault(
        "lost sparse vectors",
        Level.VECTORS,
        "sparse vectors of a batch",
        change.lose_sparse,
        ("vectors_match_texts",),
    ),
)
