"""The check on low confidence: counts characters, names the worst pages, and blocks that a page mean would hide."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pytest

from ragflow.model.verdicts import Outcome, Verdict
from ragflow.quality.pages import NAMED, WEAK_BLOCK, low_confidence
from ragflow_tests.quality.builders import NAMES, OPEN

SCHEMA = pa.schema(
    [
        ("document_sha256", pa.string()),
        ("page_index", pa.int32()),
        ("engine", pa.string()),
        ("text", pa.string()),
        ("confidence", pa.float32()),
        ("weakest_block", pa.float32()),
        ("weak_share", pa.float32()),
    ]
)


def page(index: int, letters: int, share: float | None, **changes: Any) -> dict[str, Any]:
    """A page read by OCR; ``letters`` are spread over words and lines, so that spaces would be counted wrongly."""
    text = "\n\n".join(" ".join("ab" for _ in range(5)) for _ in range(letters // 10))
    confidence = None if share is None else 0.9
    return {
        "document_sha256": OPEN,
        "page_index": index,
        "engine": "tesseract",
        "text": text,
        "confidence": confidence,
        "weakest_block": confidence,
        "weak_share": share,
        **changes,
    }


def check(*parts: Sequence[dict[str, Any]], threshold: float = 0.25) -> Verdict:
    tables = [pa.Table.from_pylist(list(rows), schema=SCHEMA) for rows in parts]
    return low_confidence(
        tables, threshold, NAMES, scope="the archive", begins=lambda sha, index: f"{sha[:4]} {index} begins"
    )


@pytest.mark.parametrize(("weak", "outcome"), [(0.5, Outcome.PASS), (0.51, Outcome.FAIL)])
def test_the_share_is_that_of_all_characters(weak: float, outcome: Outcome) -> None:
    found = check([page(0, 100, weak)], [page(1, 100, 0.0)])
    assert (found.outcome, found.threshold) == (outcome, 0.25)
    assert found.figure == pytest.approx(weak / 2, abs=1e-6)
    assert bool(found.remedy) == (outcome is Outcome.FAIL)


def test_text_layers_and_pages_without_words_do_not_count() -> None:
    layer = page(0, 1000, 0.9, engine="text_layer", confidence=0.1, weakest_block=0.1)
    found = check([layer, page(1, 0, None, engine=None), page(2, 100, 0.2)])
    assert found.figure == pytest.approx(0.2, abs=1e-6) and found.rows == ()
    for empty in (check(), check([]), check([layer])):
        assert (empty.outcome, empty.figure, empty.rows) == (Outcome.PASS, 0.0, ())


def test_a_page_mean_does_not_hide_a_bad_block() -> None:
    hidden = page(4, 400, 0.05, weakest_block=WEAK_BLOCK - 0.01)
    poor = page(6, 10, 0.9, confidence=0.3, weakest_block=0.3)
    fine = page(5, 400, 0.05, weakest_block=WEAK_BLOCK)
    found = check([hidden, fine, poor])
    assert found.passed, "named all the same"
    assert [(row["document"], row["page"]) for row in found.rows] == [("inbox/open.pdf", 7), ("inbox/open.pdf", 5)]
    assert "page was read poorly" in found.rows[0]["problem"]
    assert "a block was read poorly" in found.rows[1]["problem"]
    assert found.rows[1]["weakest_block"] == pytest.approx(0.49)
    assert found.rows[1]["weakest_block_begins"] == f"{OPEN[:4]} 4 begins"


def test_the_worst_of_each_kind_are_named_whatever_part_they_stand_in() -> None:
    count = 3 * NAMED
    poor = [page(n, 10, 1.0, confidence=0.5 - n / 100, weakest_block=0.1) for n in range(count)]
    hidden = [page(100 + n, 10, 0.0, weakest_block=0.4 - n / 100) for n in range(count)]
    together = check(poor + hidden)
    assert [row["page"] - 1 for row in together.rows] == [
        *(count - 1 - n for n in range(NAMED)),
        *(100 + count - 1 - n for n in range(NAMED)),
    ]
    assert check(poor[:7], hidden[5:], poor[7:], hidden[:5]).rows == together.rows
    assert check(*([row] for row in poor + hidden)).figure == together.figure == pytest.approx(0.5)
