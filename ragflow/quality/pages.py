"""Checks on ``ocr_text``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from itertools import accumulate
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ragflow.model.fingerprints import sha256_text
from ragflow.model.ledger import Ledger
from ragflow.model.reading import PageStatus
from ragflow.model.verdicts import Outcome, Verdict, verdict
from ragflow.model.words import LOW_CONFIDENCE, words_hashes
from ragflow.ocr.options import TEXT_LAYER

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


WEAK_BLOCK = 0.5
"""A block below this mean confidence is named, however good the rest of its page is."""
NAMED = 10
"""Weak pages named by a check, and as many weak blocks on pages that are fine as a whole."""
WEAK_COLUMNS = ("document_sha256", "page_index", "confidence", "weakest_block", "weak_share")

BlockText = Callable[[str, int], str]
"""Content hash, page index → how the weakest block of the page begins."""


def low_confidence(
    parts: Iterable[pa.Table], threshold: float, names: Names, *, scope: str, begins: BlockText
) -> Verdict:
    """Of the characters read by OCR, the share in words below :data:`LOW_CONFIDENCE` stays within the threshold.

    Args:
        parts: rows of ``page_texts``, table by table; pages with a text layer are passed over.
        begins: asked for the pages that are named.
    """
    weak = total = 0.0
    pages: list[dict[str, Any]] = []
    blocks: list[dict[str, Any]] = []
    for table in parts:
        read = table.filter(pc.and_kleene(pc.is_valid(table["weak_share"]), pc.not_equal(table["engine"], TEXT_LAYER)))
        letters = pc.utf8_length(pc.replace_substring_regex(read["text"], "[ \n]+", "")).to_pylist()
        for row, count in zip(read.select(WEAK_COLUMNS).to_pylist(), letters, strict=True):
            weak += row["weak_share"] * count
            total += count
            if row["confidence"] < LOW_CONFIDENCE or row["weak_share"] > threshold:
                pages.append(row)
            elif row["weakest_block"] < WEAK_BLOCK:
                blocks.append(row)
        # Bounds the memory: the worst of an archive are among the worst of its parts.
        pages = sorted(pages, key=lambda row: (row["confidence"], -row["weak_share"]))[:NAMED]
        blocks = sorted(blocks, key=lambda row: float(row["weakest_block"]))[:NAMED]
    share = weak / total if total else 0.0
    ok = share <= threshold
    named = [("the page was read poorly", row) for row in pages]
    named += [("a block was read poorly, the page as a whole was not", row) for row in blocks]
    return Verdict(
        name="low_confidence",
        outcome=Outcome.PASS if ok else Outcome.FAIL,
        summary=f"{share:.1%} of the characters that OCR read in {scope} stand in words below a confidence of"
        f" {LOW_CONFIDENCE}."
        + (f" Named: weak pages {len(pages)}, weak blocks on other pages {len(blocks)}." if named else ""),
        figure=round(share, 6),
        threshold=threshold,
        remedy=""
        if ok
        else "Run `ragflow reocr`, scan the named pages again, remove the documents concerned, or raise"
        " `gate.low_confidence` knowingly.",
        rows=tuple(
            {
                **place(names, row["document_sha256"], row["page_index"]),
                "problem": problem,
                **{column: round(row[column], 4) for column in ("confidence", "weakest_block", "weak_share")},
                "weakest_block_begins": begins(row["document_sha256"], row["page_index"]),
            }
            for problem, row in named
        ),
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
