"""The hash of a page's words; verdicts; release records as JSON."""

from __future__ import annotations

import orjson
import pytest

from ragflow.model.ledger import Ledger
from ragflow.model.reading import REASON_TEXT, Reason, Word
from ragflow.model.releases import Decision, ReleaseRecord
from ragflow.model.tables import WORDS
from ragflow.model.verdicts import MAX_ROWS, Outcome, Verdict, verdict
from ragflow.model.words import NO_WORDS, words_hashes, words_sha256, words_table

WORD = Word("Kréta", 0.1, 0.2, 0.3, 0.4, 0.9, 1, 2, 0, 5)
SECOND = Word("mill", 0.4, 0.2, 0.5, 0.4, 0.8, 1, 2, 6, 10)


def hash_of(*words: Word) -> str:
    return words_sha256(words_table("f" * 64, 0, words))


def test_words_fill_their_table() -> None:
    table = words_table("f" * 64, 3, [WORD, SECOND])
    assert table.schema.equals(WORDS)
    assert table.column("word_index").to_pylist() == [0, 1]
    assert table.column("page_index").to_pylist() == [3, 3]
    assert table.column("text").to_pylist() == ["Kréta", "mill"]


@pytest.mark.parametrize("name", Word._fields)
def test_the_hash_of_the_words_sees_every_field(name: str) -> None:
    old = getattr(WORD, name)
    changed = WORD._replace(**{name: old + ("x" if name == "text" else 1)})
    assert hash_of(changed, SECOND) != hash_of(WORD, SECOND)


def test_the_hash_of_the_words_sees_order_and_boundaries() -> None:
    assert hash_of(WORD, SECOND) != hash_of(SECOND, WORD)
    assert hash_of(WORD._replace(text="ab"), SECOND._replace(text="c")) != hash_of(
        WORD._replace(text="a"), SECOND._replace(text="bc")
    )
    assert hash_of() == NO_WORDS


def test_hashing_pages_together_gives_what_hashing_them_alone_gives() -> None:
    pages = [[WORD, SECOND], [], [SECOND], [WORD]]
    table = words_table("f" * 64, 0, [word for page in pages for word in page])
    assert words_hashes(table, [0, 2, 2, 3, 4]) == [hash_of(*page) for page in pages]
    assert words_hashes(table.slice(2), [0, 1, 2]) == [hash_of(SECOND), hash_of(WORD)], "slices have an offset"


def test_every_reason_is_said_in_words() -> None:
    assert REASON_TEXT.keys() == set(Reason)


def test_a_verdict_counts_all_offenders_and_keeps_some() -> None:
    found = verdict("x", ({"page": n} for n in range(MAX_ROWS + 3)), passed="fine", failed="{count} pages", remedy="do")
    assert (found.outcome, found.figure, found.threshold, len(found.rows)) == (Outcome.FAIL, MAX_ROWS + 3, 0, MAX_ROWS)
    assert (found.summary, found.remedy, found.passed) == (f"{MAX_ROWS + 3} pages", "do", False)
    fine = verdict("x", [], passed="fine", failed="", remedy="do")
    assert (fine.outcome, fine.remedy, fine.rows, fine.passed) == (Outcome.PASS, "", (), True)
    assert Verdict("x", Outcome.WARN, "hm").passed, "a warning does not stop a release"


def test_a_release_record_survives_its_json() -> None:
    record = ReleaseRecord(
        number=3,
        version="v000002",
        decision=Decision.REJECTED,
        decided_at="2026-11-20T10:00:00+00:00",
        replaced="v000001",
        previous="a" * 64,
        configuration_fingerprint="b" * 64,
        corpus_fingerprint="c" * 64,
        batches={"20261120-0001-abcdef01": "d" * 64},
        points=12,
        merkle_root="e" * 64,
        ledger=Ledger(documents=1, pages=1, quarantined=1, reasons={"damaged": 1}),
        verdicts=(Verdict("coverage", Outcome.FAIL, "no", 0.5, 0.95, "repair", ({"reason": "damaged", "pages": 1},)),),
    )
    assert ReleaseRecord.from_dict(orjson.loads(orjson.dumps(record.to_dict()))) == record
