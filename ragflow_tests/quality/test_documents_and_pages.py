"""Checks on raw_pdfs and ocr_text: right tables pass, each kind of damage is named by document and page."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest

from ragflow.model.fingerprints import sha256_text
from ragflow.model.ledger import Ledger
from ragflow.model.verdicts import Outcome, Verdict
from ragflow.quality.documents import (
    blobs_intact,
    documents_complete,
    is_missing_by_design,
    tables_intact,
)
from ragflow.quality.pages import coverage, ledger_adds_up, pages_accounted, texts_intact
from ragflow_tests.quality import builders
from ragflow_tests.quality.builders import BATCH, GONE, LOCKED, MANIFEST, NAMES, OPEN, changed, doubled, dropped

Change = Callable[[pa.Table], pa.Table]


def rows(verdict: Verdict) -> list[tuple[Any, ...]]:
    """Return (document, page, problem) of each offender of a failed verdict."""
    assert verdict.outcome is Outcome.FAIL
    assert verdict.remedy
    assert verdict.figure == len(verdict.rows) > 0
    return [(row["document"], row.get("page"), row["problem"]) for row in verdict.rows]


def test_right_tables_pass() -> None:
    found = [
        documents_complete(MANIFEST, builders.documents(), builders.pages()),
        pages_accounted(builders.documents(), builders.pages(), builders.texts(), BATCH, NAMES),
        texts_intact(builders.texts(), builders.words(), NAMES),
    ]
    assert [(verdict.outcome, verdict.rows) for verdict in found] == [(Outcome.PASS, ())] * 3


@pytest.mark.parametrize(
    ("damage", "key", "problem"),
    [
        (lambda t: dropped(t, 0), "inbox/open.pdf", "has no row"),
        (lambda t: dropped(t, 2), "inbox/unreadable.pdf", "has no row"),
        (lambda t: doubled(t, 1), "inbox/locked.pdf", "has 2 rows"),
        (lambda t: changed(t, 0, document_sha256=GONE), "inbox/open.pdf", "another hash"),
        (lambda t: changed(t, 2, document_sha256=GONE), "inbox/unreadable.pdf", "another hash"),
        (lambda t: changed(t, 0, page_count=5), "inbox/open.pdf", "has 5 pages, but 4 page rows"),
        (lambda t: changed(t, 0, page_count=None), "inbox/open.pdf", "has None pages, but 4 page rows"),
    ],
)
def test_documents_that_do_not_fit_the_manifest_are_named(damage: Change, key: str, problem: str) -> None:
    found = rows(documents_complete(MANIFEST, damage(builders.documents()), builders.pages()))
    assert [(document, problem in said) for document, _, said in found] == [(key, True)]


def test_a_document_of_another_manifest_is_named() -> None:
    strange = changed(doubled(builders.documents(), 0), 3, document_key="inbox/strange.pdf")
    assert rows(documents_complete(MANIFEST, strange, builders.pages())) == [
        ("inbox/strange.pdf", None, "is not in the manifest")
    ]


@pytest.mark.parametrize("damage", [lambda t: dropped(t, 2), lambda t: doubled(t, 2), lambda t: t.slice(0, 0)])
def test_page_rows_that_are_missing_or_doubled_are_named(damage: Change) -> None:
    ((document, _, problem),) = rows(documents_complete(MANIFEST, builders.documents(), damage(builders.pages())))
    assert (document, "page rows" in problem) == ("inbox/open.pdf", True)


@pytest.mark.parametrize(
    ("damage", "place", "problem"),
    [
        (lambda t: dropped(t, 2), ("inbox/open.pdf", 3), "has no status"),
        (lambda t: dropped(t, 1), ("inbox/open.pdf", 2), "has no status"),
        (lambda t: dropped(t, 4), ("inbox/locked.pdf", 1), "has no status"),
        (lambda t: doubled(t, 0), ("inbox/open.pdf", 1), "has 2 rows"),
        (lambda t: changed(t, 0, text=""), ("inbox/open.pdf", 1), "indexed but has no text"),
        (lambda t: changed(t, 0, text=" \n "), ("inbox/open.pdf", 1), "indexed but has no text"),
        (lambda t: changed(t, 1, text="x"), ("inbox/open.pdf", 2), "called blank but has text"),
        (lambda t: changed(t, 3, text="x"), ("inbox/open.pdf", 4), "called quarantined but has text"),
        (lambda t: changed(t, 3, reason=None), ("inbox/open.pdf", 4), "without a reason"),
        (lambda t: changed(t, 0, status="eaten"), ("inbox/open.pdf", 1), "unknown status 'eaten'"),
    ],
)
def test_pages_without_exactly_one_status_are_named(damage: Change, place: tuple[str, int], problem: str) -> None:
    found = rows(pages_accounted(builders.documents(), builders.pages(), damage(builders.texts()), BATCH, NAMES))
    assert [(document, page, problem in said) for document, page, said in found] == [(*place, True)]


def test_a_page_that_nobody_knows_is_named() -> None:
    found = rows(
        pages_accounted(
            builders.documents(), builders.pages(), changed(builders.texts(), 1, page_index=9), BATCH, NAMES
        )
    )
    assert found == [
        ("inbox/open.pdf", 2, "has no status"),
        ("inbox/open.pdf", 10, "is not a page of the batch"),
    ]
    stranger = changed(doubled(builders.texts(), 1), 5, document_sha256=GONE)
    ((document, page, _),) = rows(pages_accounted(builders.documents(), builders.pages(), stranger, BATCH, NAMES))
    assert (document, page) == (GONE, 2), "a content without a name is called by its hash"


def test_a_content_at_home_elsewhere_is_not_expected_here() -> None:
    elsewhere = changed(builders.documents(), 1, home_batch="20261101-0000-00000000")
    texts = dropped(builders.texts(), 4)
    assert pages_accounted(elsewhere, builders.pages(), texts, BATCH, NAMES).passed


@pytest.mark.parametrize(("column", "value"), [("text", "The mill stands."), ("text_sha256", sha256_text("other"))])
def test_a_changed_text_is_named(column: str, value: str) -> None:
    found = rows(texts_intact(changed(builders.texts(), 2, **{column: value}), builders.words(), NAMES))
    assert ("inbox/open.pdf", 3, "the page text does not match its hash") in found
    assert {page for _, page, _ in found} == {3}


def test_swapped_texts_are_named() -> None:
    texts = builders.texts().to_pylist()
    swapped = changed(changed(builders.texts(), 0, text=texts[2]["text"]), 2, text=texts[0]["text"])
    assert {page for _, page, _ in rows(texts_intact(swapped, builders.words(), NAMES))} == {1, 3}


def test_swapped_texts_with_their_hashes_are_named_by_their_words() -> None:
    texts = builders.texts().to_pylist()
    swapped = builders.texts()
    for row, other in ((0, 2), (2, 0)):
        swapped = changed(swapped, row, **{name: texts[other][name] for name in ("text", "text_sha256")})
    assert rows(texts_intact(swapped, builders.words(), NAMES)) == [
        ("inbox/open.pdf", page, "a word does not stand in the page text where it says") for page in (1, 3)
    ]


@pytest.mark.parametrize(
    ("column", "value"), [("text", "Mill"), ("left", 0.5), ("confidence", 0.1), ("char_end", 2), ("block", 3)]
)
def test_a_changed_word_is_named_by_its_page(column: str, value: Any) -> None:
    last = builders.words().num_rows - 1
    found = rows(texts_intact(builders.texts(), changed(builders.words(), last, **{column: value}), NAMES))
    assert found == [("inbox/open.pdf", 3, "the words do not match their hash")]


@pytest.mark.parametrize("damage", [lambda t: dropped(t, 3), lambda t: doubled(t, 3)])
def test_missing_and_doubled_words_are_found(damage: Change) -> None:
    found = texts_intact(builders.texts(), damage(builders.words()), NAMES)
    assert found.outcome is Outcome.FAIL
    assert "words are expected" in found.rows[0]["problem"]


def test_words_that_changed_pages_are_found() -> None:
    table = builders.words()
    backwards = table.take(pa.array(range(table.num_rows))[::-1])
    assert {page for _, page, _ in rows(texts_intact(builders.texts(), backwards, NAMES))} == {1, 3}


def test_blobs_and_table_files_are_named() -> None:
    assert blobs_intact([], 3).passed
    ((document, _, problem),) = rows(blobs_intact([("inbox/a.pdf", "is missing")], 3))
    assert (document, problem) == ("inbox/a.pdf", "is missing")
    assert tables_intact({}, "chunks", BATCH).passed
    found = tables_intact({"chunks": "the file is missing"}, "chunks", BATCH)
    assert found.rows == ({"batch": BATCH, "asset": "chunks", "table": "chunks", "problem": "the file is missing"},)
    assert BATCH in found.remedy


def test_some_documents_have_no_bytes_by_design() -> None:
    assert is_missing_by_design("source_changed")
    assert not is_missing_by_design("encrypted")
    assert not is_missing_by_design(None)


@pytest.mark.parametrize(("indexed", "outcome"), [(95, Outcome.PASS), (94, Outcome.FAIL)])
def test_coverage_holds_the_share_against_the_threshold(indexed: int, outcome: Outcome) -> None:
    ledger = Ledger(
        documents=1, pages=100, indexed=indexed - 5, blank=5, quarantined=100 - indexed, reasons={"damaged": 5}
    )
    found = coverage(ledger, 0.95, scope="the archive")
    assert (found.outcome, found.figure, found.threshold) == (outcome, indexed / 100, 0.95)
    assert found.rows == ({"reason": "damaged", "pages": 5},)
    assert bool(found.remedy) == (outcome is Outcome.FAIL)


@pytest.mark.parametrize(("indexed", "missing"), [(3, 0), (2, 1), (5, 2)])
def test_a_ledger_that_does_not_add_up_fails(indexed: int, missing: int) -> None:
    found = ledger_adds_up(Ledger(pages=5, indexed=indexed, blank=1, quarantined=1))
    assert (found.passed, found.figure, bool(found.remedy)) == (missing == 0, missing, missing != 0)


def test_unused_names_are_not_needed() -> None:
    found = rows(texts_intact(changed(builders.texts(), 0, text="x"), builders.words(), {LOCKED: "inbox/locked.pdf"}))
    assert {document for document, _, _ in found} == {OPEN}
