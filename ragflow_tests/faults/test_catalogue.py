"""The faults themselves: each changes something, leaves its input alone, and asks for a verdict that there is."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from ragflow.model.backups import BACKUP_VERDICTS
from ragflow.pipeline.examination import VERDICT_NAMES
from ragflow.quality.readiness import CANARY_NAMES
from ragflow_tests.faults.catalogue import FAULTS
from ragflow_tests.faults.documents import GROWTH, STATES, Row
from ragflow_tests.faults.fault import Fault, Level, Moment
from ragflow_tests.faults.mutations import NothingToChangeError
from ragflow_tests.faults.subject import REFUSED, Outcome, Situation
from ragflow_tests.faults.table import markdown, text
from ragflow_tests.faults.trial import TRIALS, Result, Trial

NEW, SCAN, OTHER = GROWTH.new, GROWTH.scan, GROWTH.other
ROWS = (Level.INVENTORY, Level.DOCUMENTS, Level.PAGES, Level.CHUNKS, Level.VECTORS, Level.POINTS)


def word(number: int, letters: str) -> Row:
    start = number * 6
    box = [0.1, 0.1 * number, 0.2, 0.1 * number + 0.05]
    return {
        "text": f"{letters}{number}",
        "box": box,
        "confidence": 0.8,
        "line": number,
        "start": start,
        "end": start + 5,
    }


def page(document: str, number: int = 1) -> Row:
    letters = f"{document[:3]}{number}"
    words = [word(place, letters) for place in range(4)]
    text = " ".join(one["text"] for one in words)
    return {
        "document": document, "page": number, "status": "indexed", "text": text, "words": words, "language": "en",
        "reason": None,
    }  # fmt: skip


def chunk(document: str, page: int, number: int) -> Row:
    start = number * 30
    return {
        "document": document, "page": page, "number": number, "start": start, "end": start + 29,
        "text": "some words that are in a chunk", "tokens": 9, "language": "en", "boxes": [[0.1, 0.1, 0.9, 0.2]],
        "confidence": 0.9,
    }  # fmt: skip


def point(identifier: str, document: str, page: int = 1) -> Row:
    payload = {
        "document": document, "page": page, "text": identifier, "title": "A title", "boxes": [[0.1, 0.1, 0.9, 0.2]],
        "provenance": {"sha256": identifier},
    }  # fmt: skip
    return {
        "id": identifier,
        "dense": [float(len(identifier)), 0.5],
        "sparse": {len(identifier): 1.0},
        "payload": payload,
    }


def rows_of(level: Level) -> list[Row]:
    changed, removed = str(GROWTH.changed), str(GROWTH.removed)
    return {
        Level.INVENTORY: [{"document": changed, "seen": [1, 1], "is": [2, 2]}],
        Level.DOCUMENTS: [{"document": NEW, "title": "A title", "pages": [{"page_index": 0}, {"page_index": 1}]}],
        Level.PAGES: [page(NEW), page(NEW, GROWTH.second), page(SCAN), page(OTHER)],
        Level.CHUNKS: [chunk(NEW, 1, 0), chunk(NEW, 2, 1), chunk(NEW, 2, 2), chunk(SCAN, 1, 0)],
        Level.VECTORS: [
            {"text": "a", "dense": [0.6, 0.8], "sparse": {1: 1.0}},
            {"text": "b", "dense": [0.8, 0.6], "sparse": {2: 1.0}},
        ],
        Level.POINTS: [point("a", NEW), point("bb", SCAN), point("ccc", changed, 2), point("dddd", OTHER)],
    }[level] + ([point("eeeee", removed)] if level is Level.POINTS else [])


def earlier(level: Level) -> Sequence[Row]:
    return [point("old", str(GROWTH.changed), 2), point("gone", str(GROWTH.removed))] if level is Level.POINTS else []


OF_ROWS = [fault for fault in FAULTS if fault.level in ROWS]


@pytest.mark.parametrize("fault", OF_ROWS, ids=[fault.name for fault in OF_ROWS])
def test_a_mutation_changes_something_and_leaves_its_input(fault: Fault) -> None:
    rows = rows_of(fault.level)
    before = copy.deepcopy(rows)
    texts = {(NEW, GROWTH.second): " ".join(["words"] * 60)}
    changed = fault.change(rows, replace(GROWTH, earlier=earlier(fault.level), texts=texts))
    assert rows == before
    assert repr(changed) != repr(before)


@pytest.mark.parametrize("fault", OF_ROWS, ids=[fault.name for fault in OF_ROWS])
def test_a_mutation_that_finds_nothing_to_change_says_so(fault: Fault) -> None:
    with pytest.raises((NothingToChangeError, ValueError, IndexError)):
        changed = fault.change([], replace(GROWTH, earlier=[]))
        if changed == []:
            raise NothingToChangeError


def test_noise_is_no_word_and_of_the_same_length() -> None:
    (garbled,) = [fault for fault in FAULTS if fault.name.startswith("OCR garbage")]
    rows = rows_of(Level.PAGES)
    (after,) = [row for row in garbled.change(rows, GROWTH) if row["document"] == SCAN]
    (before,) = [row for row in rows if row["document"] == SCAN]
    assert len(after["text"]) == len(before["text"])
    assert after["text"] != before["text"]
    for one in after["words"]:
        assert after["text"][one["start"] : one["end"]] == one["text"]


def test_a_swap_gives_each_text_the_vectors_of_the_other() -> None:
    (swap,) = [fault for fault in FAULTS if fault.name == "swapped vectors"]
    one, two = swap.change(rows_of(Level.VECTORS), GROWTH)
    assert (one["text"], one["dense"], one["sparse"]) == ("a", [0.8, 0.6], {2: 1.0})
    assert (two["text"], two["dense"], two["sparse"]) == ("b", [0.6, 0.8], {1: 1.0})


def test_vectors_of_another_model_stay_of_unit_length() -> None:
    (other,) = [fault for fault in FAULTS if fault.name == "vectors of another model"]
    for row in other.change(rows_of(Level.VECTORS), GROWTH):
        assert math.isclose(sum(value**2 for value in row["dense"]), 1.0)


def test_names_are_unique_and_every_level_is_tried() -> None:
    names = [trial.name for trial in TRIALS]
    assert len(set(names)) == len(names)
    assert {fault.level for fault in FAULTS} == set(Level)


@pytest.mark.parametrize("fault", FAULTS, ids=[fault.name for fault in FAULTS])
def test_a_fault_asks_for_verdicts_that_there_are(fault: Fault) -> None:
    known = {
        Moment.BEFORE: {*VERDICT_NAMES, *BACKUP_VERDICTS, REFUSED},
        Moment.LIVE: {*CANARY_NAMES, REFUSED},
    }[fault.moment]
    assert fault.caught_by
    assert set(fault.caught_by) <= known
    assert fault.place is None or any(fault.place[0] in state for state in STATES)


def result(outcome: Outcome, **changes: Any) -> Result:
    """What came of the first fault of the catalogue, which must be caught by `blobs_intact`, with its document."""
    fields = {"before": "v1", "after": "v1", "answers": True, "seconds": 1.0}
    return Result(Trial(FAULTS[0], Situation.GROWTH), outcome, **{**fields, **changes})


CAUGHT = Outcome(False, ("blobs_intact",), True, "Damaged.", {"blobs_intact": frozenset({(NEW, None)})})


def test_what_was_caught_has_no_problems() -> None:
    assert result(CAUGHT).problems == ()


@pytest.mark.parametrize(
    ("outcome", "changes", "problem"),
    [
        (replace(CAUGHT, caught_by=("ledger",)), {}, "not noticed by blobs_intact (failed: ledger)"),
        (replace(CAUGHT, published=True), {}, "it was published"),
        (replace(CAUGHT, before=False), {}, "noticed only when it was live"),
        (replace(CAUGHT, places={}), {}, "is not named"),
        (CAUGHT, {"after": "v2"}, "v2 is served, where v1 was"),
        (CAUGHT, {"answers": False}, "does not answer"),
    ],
)
def test_everything_that_is_wrong_is_a_problem(outcome: Outcome, changes: dict[str, Any], problem: str) -> None:
    found = result(outcome, **changes)
    (said,) = found.problems
    assert problem in said
    assert problem in text([found], 1.0)


def test_the_document_does_not_depend_on_the_machine() -> None:
    slow = result(replace(CAUGHT, caught_by=("blobs_intact", "latency")), seconds=99.0)
    assert markdown([result(CAUGHT)]) == markdown([slow])
    assert "**nothing**" in markdown([result(replace(CAUGHT, caught_by=()))])
