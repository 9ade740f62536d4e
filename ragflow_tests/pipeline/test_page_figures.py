"""The figures of a batch's pages: counts by what a person asks about, and the pages worth a look."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from ragflow.model.tables import PAGE_TEXTS
from ragflow.pipeline.page_figures import NAMED, page_figures

SHA = "a" * 64
NAMES = {SHA: "inbox/a.pdf"}


def page(index: int, **changes: Any) -> dict[str, Any]:
    plain = {name: None for name in PAGE_TEXTS.names}
    return {
        **plain,
        "document_sha256": SHA,
        "page_index": index,
        "status": "indexed",
        "engine": "rapidocr+tesseract",
        "language": "en",
        "word_count": 10,
        "confidence": 0.85,
        "effort": "normal",
        "disagreement": 0.0,
        "reread_regions": 0,
        "weakest_block": 0.65,
        "weak_share": 0.1,
        **changes,
    }


def figures(*pages: dict[str, Any]) -> dict[str, Any]:
    rows = [{**row, "text": "", "text_sha256": "", "words_sha256": "", "headings": []} for row in pages]
    return page_figures(pa.Table.from_pylist(rows, schema=PAGE_TEXTS), NAMES)


NOTHING = {"engine": None, "language": None, "word_count": 0}
UNSURE = {"confidence": None, "weakest_block": None, "weak_share": None, "disagreement": None}


def test_counts_and_means() -> None:
    found = figures(
        page(0, disagreement=0.3, reread_regions=2, effort="thorough"),
        page(1, disagreement=0.1, reread_regions=1, confidence=1.0, weakest_block=0.05, weak_share=0.5),
        page(2, engine="text_layer", confidence=1.0, weakest_block=1.0, weak_share=0.0, disagreement=None),
        page(3, status="blank", **NOTHING, **UNSURE),
        page(4, status="quarantined", reason="no_text_found", **NOTHING, **UNSURE),
    )
    assert (found["pages"], found["indexed"], found["blank"], found["quarantined"]) == (5, 3, 1, 1)
    assert (found["reasons"], found["efforts"]) == ({"no_text_found": 1}, {"normal": 4, "thorough": 1})
    assert found["engines"] == {"rapidocr+tesseract": 2, "text_layer": 1}
    assert found["languages"] == {"en": 3} and found["words"] == 30
    assert found["confidence"] == 0.95
    assert {tenth: count for tenth, count in found["confidence_histogram"].items() if count} == {"0.8": 1, "0.9": 2}
    assert {t: c for t, c in found["weakest_block_histogram"].items() if c} == {"0.0": 1, "0.6": 1}, "OCR pages only"
    assert found["weak_share"] == 0.3
    assert found["disagreement"] == 0.2
    assert list(found["most_disagreement"].items()) == [("inbox/a.pdf, page 1", 0.3), ("inbox/a.pdf, page 2", 0.1)]
    assert found["reread_regions"] == 3


def test_refused_text_layers_are_counted_by_their_cause() -> None:
    found = figures(
        page(0, layer_distrust="hidden text: 90% of the words"),
        page(1, layer_distrust="hidden text: 80% of the words"),
        page(2, layer_distrust="a stamp on a scan"),
        page(3),
    )
    assert found["refused_text_layers"] == {"hidden text": 2, "a stamp on a scan": 1}


def test_only_the_pages_with_most_disagreement_are_named() -> None:
    found = figures(*(page(n, disagreement=n / 100) for n in range(3 * NAMED)))
    assert len(found["most_disagreement"]) == NAMED
    assert next(iter(found["most_disagreement"])) == f"inbox/a.pdf, page {3 * NAMED}"


def test_a_batch_without_pages_has_figures() -> None:
    found = figures()
    assert (found["pages"], found["confidence"], found["disagreement"], found["weak_share"]) == (0, None, None, None)
    assert (found["most_disagreement"], found["weakest_block_histogram"]) == ({}, {})
