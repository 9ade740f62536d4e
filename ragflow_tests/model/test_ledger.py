"""Pages in = indexed + blank + quarantined."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ragflow.model.ledger import Ledger, LedgerLine, tally
from ragflow.model.reading import PageStatus, Reason

Status = tuple[str, str | None, str | None, str | None]
statuses: st.SearchStrategy[Status] = st.one_of(
    st.tuples(
        st.just(str(PageStatus.INDEXED)),
        st.none(),
        st.sampled_from(["text_layer", "tesseract", None]),
        st.sampled_from(["en", "fr", None]),
    ),
    st.just((str(PageStatus.BLANK), None, None, None)),
    st.tuples(st.just(str(PageStatus.QUARANTINED)), st.sampled_from([str(r) for r in Reason]), st.none(), st.none()),
)
documents = st.lists(st.lists(statuses, min_size=1, max_size=5), max_size=5)


def line(number: int, expected: int, found: list[Status]) -> LedgerLine:
    return LedgerLine(f"inbox/{number}.pdf", expected, openable=True, statuses=tuple(found))


@given(documents)
def test_the_ledger_adds_up_when_each_page_has_one_status(found: list[list[Status]]) -> None:
    ledger = tally(line(number, len(pages), pages) for number, pages in enumerate(found))
    every = [status for pages in found for status in pages]
    assert ledger.adds_up
    assert ledger.documents == len(found)
    assert ledger.pages == len(every)
    assert ledger.indexed == sum(status[0] == "indexed" for status in every)
    assert ledger.blank == sum(status[0] == "blank" for status in every)
    assert sum(ledger.reasons.values()) == ledger.quarantined == sum(status[0] == "quarantined" for status in every)
    assert sum(ledger.engines.values()) == sum(ledger.languages.values()) == ledger.indexed
    assert (
        ledger.coverage == (1.0 if not every else 1 - ledger.quarantined / len(every))
        or abs(ledger.coverage - (1 - ledger.quarantined / len(every))) < 1e-12
    )


@given(documents.filter(bool), st.data())
def test_the_ledger_does_not_add_up_when_a_page_has_none_or_two(found: list[list[Status]], data: st.DataObject) -> None:
    number = data.draw(st.integers(0, len(found) - 1))
    lines = [line(n, len(pages), pages) for n, pages in enumerate(found)]
    without = line(number, len(found[number]), found[number][1:])
    twice = line(number, len(found[number]), [*found[number], found[number][0]])
    assert not tally([*lines[:number], without, *lines[number + 1 :]]).adds_up
    assert not tally([*lines[:number], twice, *lines[number + 1 :]]).adds_up


def test_a_page_with_an_unknown_status_is_not_lost_silently() -> None:
    assert not tally([line(0, 1, [("eaten", None, None, None)])]).adds_up


def test_a_document_that_cannot_be_opened_is_one_quarantined_page() -> None:
    closed = LedgerLine("inbox/x.pdf", 1, openable=False, statuses=(("quarantined", "encrypted", None, None),))
    ledger = tally([closed, line(1, 1, [("indexed", None, "text_layer", "en")])])
    assert ledger == Ledger(
        documents=2,
        documents_quarantined=1,
        pages=2,
        indexed=1,
        quarantined=1,
        reasons={"encrypted": 1},
        engines={"text_layer": 1},
        languages={"en": 1},
    )
    assert (ledger.adds_up, ledger.coverage) == (True, 0.5)


def test_an_empty_archive_is_covered() -> None:
    assert (tally([]), tally([]).coverage, tally([]).adds_up) == (Ledger(), 1.0, True)
