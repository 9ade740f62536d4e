"""Requests to read again: append-only, in order, whole or not at all."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from ragflow.errors import IntegrityError
from ragflow.model.reading import Effort
from ragflow.store.home import Home
from ragflow.store.rereads import Reread, RereadStore

AT = "2026-11-21T10:00:00+00:00"
PAGE = Reread("a" * 64, 3, Effort.THOROUGH, "reocr", AT)
WHOLE = Reread("b" * 64, None, Effort.NORMAL, "a new password: “é”", AT)


@pytest.fixture
def store(tmp_path: Path) -> RereadStore:
    return Home(tmp_path).rereads


def test_nothing_was_asked_for(store: RereadStore) -> None:
    store.add([])
    assert (store.all(), store.of([PAGE.sha256])) == ([], {})
    assert not store.root.exists()


def test_requests_come_back_as_they_were_oldest_first(store: RereadStore) -> None:
    store.add([PAGE, WHOLE])
    store.add([PAGE])
    assert store.all() == [PAGE, WHOLE, PAGE]
    assert RereadStore(store.root).all() == store.all()
    assert store.of([PAGE.sha256, "c" * 64]) == {PAGE.sha256: [PAGE, PAGE]}
    assert isinstance(store.all()[0].effort, Effort)


def test_what_a_caller_does_to_an_answer_stays_with_the_caller(store: RereadStore) -> None:
    store.add([PAGE])
    store.all().clear()
    store.of([PAGE.sha256])[PAGE.sha256].clear()
    assert store.of([PAGE.sha256]) == {PAGE.sha256: [PAGE]} and store.all() == [PAGE]


def test_requests_made_at_the_same_time_are_all_kept(store: RereadStore) -> None:
    threads = [threading.Thread(target=lambda: store.add([PAGE, WHOLE])) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.all() == [PAGE, WHOLE] * 8


@pytest.mark.parametrize("line", [b"{torn", b"[]", b'{"sha256": "a"}', b'{"effort": "heroic"}'])
def test_a_damaged_line_is_named_and_nothing_is_added_to_it(store: RereadStore, line: bytes) -> None:
    store.add([PAGE])
    path = store.root / "requests.jsonl"
    path.write_bytes(path.read_bytes() + line + b"\n")
    before = path.read_bytes()
    for act in (store.all, lambda: store.add([WHOLE])):
        with pytest.raises(IntegrityError, match=r"Line 2 of .*requests\.jsonl") as caught:
            act()
        assert caught.value.remedy
    assert path.read_bytes() == before
