"""Checks on ``ocr_text``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from itertools import accumulate
from typing import Any

import pyarrow as pa

from ragflow.model.fingerprints import sha256_text
from ragflow.model.ledger import Ledger
from ragflow.model.reading import PageStatus
from ragflow.model.verdicts import Outcome, Verdict, verdict
from ragflow.model.words import words_hashes

Names = Mapping[str, str]
"""Content hash → document key, so that a finding names the document and not its hash."""


def place(names: Names, sha256: str, page_index: int) -> dict[str, Any]:
    """Return the columns that say where a finding is."""
    return {"document": names.get(sha256, sha256), "page": page_index + 1}


def pages_accounted(documents: pa.Table, pages: pa.Table, texts: pa.Table, batch: str, names: Names) -> Verdict:
    """Each page of each content at home in the batch has exactly one row with a valid status: the ledger adds up."""
    expected = {
        (row["document_sha256"], row["page_index"])
        for row in pages.select(["document_sha256", "page_index"]).to_pylist()
    }
    for row in documents.to_pylist():
        if row["status"] == "quarantined" and row["document_sha256"] and row["home_batch"] == batch:
            expected.add((row["document_sha256"], 0))
    found: Counter[tuple[str, int]] = Counter()
    failures: list[dict[str, Any]] = []
    for row in texts.select(["document_sha256", "page_index", "status", "reason", "text"]).to_pylist():
        where = (row["document_sha256"], row["page_index"])
        found[where] += 1
        problem = _status_problem(row)
        if problem:
            failures.append({**place(names, *where), "problem": problem})
    failures += [{**place(names, *where), "problem": "has no status"} for where in sorted(expected - found.keys())]
    failures += [
        {**place(names, *where), "problem": "is not a page of the batch"} for where in sorted(found.keys() - expected)
    ]
    failures += [
        {**place(names, *where), "problem": f"has {count} rows"} for where, count in sorted(found.items()) if count > 1
    ]
    return verdict(
        "pages_accounted",
        failures,
        passed=f"All {len(expected)} pages are indexed, blank or quarantined with a reason.",
        failed="The ledger does not add up: {count} pages.",
        remedy=f"Materialize ocr_text for partition {batch} again.",
    )


def _status_problem(row: Mapping[str, Any]) -> str | None:
    status, has_text = row["status"], bool(row["text"].strip())
    if status not in set(PageStatus):
        return f"has the unknown status {status!r}"
    if status == PageStatus.INDEXED and not has_text:
        return "is called indexed but has no text"
    if status != PageStatus.INDEXED and has_text:
        return f"is called {status} but has text"
    if status == PageStatus.QUARANTINED and not row["reason"]:
        return "is quarantined without a reason"
    return None


def texts_intact(texts: pa.Table, words: pa.Table, names: Names) -> Verdict:
    """Page texts and words hash to what was recorded, and each word stands in the text where it says it does."""
    rows = texts.select(
        ["document_sha256", "page_index", "text", "text_sha256", "word_count", "words_sha256"]
    ).to_pylist()
    failures: list[dict[str, Any]] = []
    bounds = [0, *accumulate(row["word_count"] for row in rows)]
    words = words.combine_chunks()
    aligned = bounds[-1] == words.num_rows
    if not aligned:
        failures.append(
            {"document": "", "page": 0, "problem": f"{bounds[-1]} words are expected, {words.num_rows} are there"}
        )
    hashes = words_hashes(words, bounds) if aligned else [row["words_sha256"] for row in rows]
    columns = {name: words.column(name).to_pylist() for name in ("text", "char_start", "char_end")} if aligned else {}
    for number, row in enumerate(rows):
        where = place(names, row["document_sha256"], row["page_index"])
        if sha256_text(row["text"]) != row["text_sha256"]:
            failures.append({**where, "problem": "the page text does not match its hash"})
        if hashes[number] != row["words_sha256"]:
            failures.append({**where, "problem": "the words do not match their hash"})
        elif aligned and _misplaced(row["text"], columns, bounds[number], bounds[number + 1]):
            failures.append({**where, "problem": "a word does not stand in the page text where it says"})
    return verdict(
        "texts_intact",
        failures,
        passed=f"The texts and words of all {len(rows)} pages match their hashes.",
        failed="The text or words of {count} pages were changed.",
        remedy="Materialize ocr_text for this partition again.",
    )


def _misplaced(text: str, columns: Mapping[str, list[Any]], start: int, end: int) -> bool:
    return any(text[columns["char_start"][i] : columns["char_end"][i]] != columns["text"][i] for i in range(start, end))


def coverage(ledger: Ledger, threshold: float, *, scope: str) -> Verdict:
    """The share of pages that are indexed or blank reaches the threshold."""
    share = round(ledger.coverage, 6)
    covered = ledger.indexed + ledger.blank
    ok = ledger.coverage >= threshold
    return Verdict(
        name="coverage",
        outcome=Outcome.PASS if ok else Outcome.FAIL,
        summary=f"{covered} of {ledger.pages} pages of {scope} are indexed or blank: {share:.1%}.",
        figure=share,
        threshold=threshold,
        remedy=""
        if ok
        else "Look at the quarantine reasons, repair or remove the documents concerned, or lower"
        " `gate.coverage` knowingly.",
        rows=tuple({"reason": reason, "pages": count} for reason, count in ledger.reasons.items()),
    )


def ledger_adds_up(ledger: Ledger) -> Verdict:
    """Pages in = indexed + blank + quarantined."""
    missing = ledger.pages - ledger.indexed - ledger.blank - ledger.quarantined
    return Verdict(
        name="ledger",
        outcome=Outcome.PASS if ledger.adds_up else Outcome.FAIL,
        summary=f"{ledger.pages} pages in = {ledger.indexed} indexed + {ledger.blank} blank"
        f" + {ledger.quarantined} quarantined" + ("." if ledger.adds_up else f", which leaves {missing}."),
        figure=abs(missing),
        threshold=0,
        remedy="" if ledger.adds_up else "Materialize ocr_text again for the partitions named by pages_accounted.",
    )
