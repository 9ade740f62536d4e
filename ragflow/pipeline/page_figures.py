"""Figures over the pages of a batch, as they are kept in its record and shown in the UI."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from ragflow.model.reading import PageStatus
from ragflow.ocr.options import TEXT_LAYER

NAMED = 10
"""Pages named in a figure."""
COLUMNS = [
    "document_sha256",
    "page_index",
    "status",
    "reason",
    "engine",
    "language",
    "word_count",
    "confidence",
    "effort",
    "layer_distrust",
    "disagreement",
    "reread_regions",
    "weakest_block",
    "weak_share",
]


def page_figures(texts: pa.Table, names: Mapping[str, str]) -> dict[str, Any]:
    """Return counts and means over the rows of ``page_texts``.

    Args:
        names: content hash → document key.
    """
    rows = texts.select(COLUMNS).to_pylist()
    statuses = Counter(row["status"] for row in rows)
    confidences = [row["confidence"] for row in rows if row["confidence"] is not None]
    by_ocr = [row for row in rows if row["weak_share"] is not None and row["engine"] != TEXT_LAYER]
    blocks = [row["weakest_block"] for row in by_ocr]
    disagreements = [row for row in rows if row["disagreement"] is not None]
    most = sorted(disagreements, key=lambda row: (-row["disagreement"], row["document_sha256"], row["page_index"]))
    return {
        "pages": len(rows),
        "indexed": statuses[PageStatus.INDEXED],
        "blank": statuses[PageStatus.BLANK],
        "quarantined": statuses[PageStatus.QUARANTINED],
        "reasons": _counts(row["reason"] for row in rows),
        "engines": _counts(row["engine"] for row in rows),
        "languages": _counts(row["language"] for row in rows),
        "efforts": _counts(row["effort"] for row in rows),
        "words": sum(row["word_count"] for row in rows),
        "confidence": _mean(confidences),
        "confidence_histogram": _tenths(confidences),
        "weakest_block_histogram": _tenths(blocks) if blocks else {},
        "weak_share": _mean([row["weak_share"] for row in by_ocr]),
        "disagreement": _mean([row["disagreement"] for row in disagreements]),
        "most_disagreement": {
            f"{names.get(row['document_sha256'], row['document_sha256'])}, page {row['page_index'] + 1}": round(
                row["disagreement"], 4
            )
            for row in most[:NAMED]
            if row["disagreement"] > 0
        },
        "reread_regions": sum(row["reread_regions"] for row in rows),
        # The cause stands before the colon; what follows is about this page.
        "refused_text_layers": _counts(row["layer_distrust"].split(":")[0] for row in rows if row["layer_distrust"]),
    }


def _counts(values: Any) -> dict[str, int]:
    return dict(Counter(value for value in values if value).most_common())


def _mean(values: list[float]) -> float | None:
    return round(sum(values) / len(values), 4) if values else None


def _tenths(values: list[float]) -> dict[str, int]:
    histogram = Counter(min(int(value * 10), 9) for value in values)
    return {f"{tenth / 10:.1f}": histogram[tenth] for tenth in range(10)}
