"""The list of contents whose bytes are gone on purpose."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from ragflow.errors import IntegrityError
from ragflow.model.reading import Effort
from ragflow.store.forgotten import AbsenceStore, Kind, strike_rereads
from ragflow.store.home import Home
from ragflow.store.rereads import Reread

A, B, C = "a" * 64, "b" * 64, "c" * 64


@pytest.fixture
def store(tmp_path: Path) -> AbsenceStore:
    return AbsenceStore(tmp_path / "forgotten")


def lines(store: AbsenceStore) -> list[str]:
    return (store.root / "contents.jsonl").read_text().splitlines()


def test_nothing_is_absent_at_first(store: AbsenceStore) -> None:
    assert store.all() == () and store.kind_of(A) is None and store.contents(Kind.PRUNED) == frozenset()
    assert store.add([], Kind.PRUNED, "nobody has it") == ()
    assert not store.root.joinpath("contents.jsonl").exists()


def test_the_newest_line_holds(store: AbsenceStore) -> None:
    assert store.add([B, A, B], Kind.PRUNED, "nobody has it") == (A, B)
    assert store.add([A], Kind.RETURNED, "came back") == (A,)
    assert (store.kind_of(A), store.kind_of(B)) == (Kind.RETURNED, Kind.PRUNED)
    assert store.add([A, B, C], Kind.PRUNED, "again") == (A, C), "of B it is known already"
    assert store.contents(Kind.PRUNED) == {A, B, C} and store.contents(Kind.RETURNED) == frozenset()
    assert [(line.number, line.sha256, line.kind) for line in store.all()] == [
        (1, A, "pruned"),
        (2, B, "pruned"),
        (3, A, "returned"),
        (4, A, "pruned"),
        (5, C, "pruned"),
    ]
    assert store.all()[0].why == "nobody has it" and store.all()[0].at <= store.all()[-1].at


def test_what_is_forgotten_stays_forgotten(store: AbsenceStore) -> None:
    store.add([A], Kind.PRUNED, "nobody has it")
    assert store.add([A], Kind.FORGOTTEN, "asked for") == (A,)
    for kind in Kind:
        assert store.add([A], kind, "whatever") == ()
    assert store.kind_of(A) is Kind.FORGOTTEN and len(store.all()) == 2


def swap(found: list[str]) -> list[str]:
    return [found[1], found[0], found[2]]


@pytest.mark.parametrize(
    ("damage", "line"),
    [
        (lambda found: [found[0].replace("pruned", "returned"), *found[1:]], 1),
        (lambda found: [*found[:2], found[2].replace(C, A)], 3),
        (lambda found: found[1:], 1),
        (lambda found: [found[0], found[2]], 2),
        (swap, 1),
        (lambda found: [*found, found[2]], 4),
        (lambda found: [*found[:2], found[2][:40]], 3),
        (lambda found: [*found[:2], json.dumps({**json.loads(found[2]), "format": "other"})], 3),
    ],
)
def test_an_edited_list_is_not_believed(
    store: AbsenceStore, damage: Callable[[list[str]], list[str]], line: int
) -> None:
    store.add([A, B, C], Kind.PRUNED, "nobody has it")
    (store.root / "contents.jsonl").write_text("\n".join(damage(lines(store))) + "\n")
    for ask in (store.all, lambda: store.kind_of(B), lambda: store.add([B], Kind.RETURNED, "x")):
        with pytest.raises(IntegrityError, match=f"Line {line} of .*damaged"):
            ask()


def test_many_writers_lose_no_line(store: AbsenceStore) -> None:
    contents = [f"{number:064x}" for number in range(24)]
    threads = [
        threading.Thread(target=store.add, args=(contents[part::4], Kind.FORGOTTEN, f"thread {part}"))
        for part in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.contents(Kind.FORGOTTEN) == set(contents)
    assert [line.number for line in store.all()] == list(range(1, 25))


def test_pruned_means_that_the_bytes_are_not_there(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.absences.add([A], Kind.PRUNED, "nobody has it")
    home.absences.add([B], Kind.FORGOTTEN, "asked for")
    assert home.is_pruned(A) and not home.is_pruned(B) and not home.is_pruned(C)
    home.blobs.path(A).parent.mkdir(parents=True)
    home.blobs.path(A).write_bytes(b"there again")
    assert not home.is_pruned(A)


def test_requests_for_contents_are_struck_off(tmp_path: Path) -> None:
    home = Home(tmp_path)
    assert strike_rereads(home.rereads, {A}) == 0
    asked = [
        Reread(sha, page, Effort.NORMAL, "a test", "2026-11-21T10:00:00+00:00")
        for sha, page in ((A, 0), (B, 1), (A, 2))
    ]
    home.rereads.add(asked)
    assert strike_rereads(home.rereads, {C}) == 0 and home.rereads.all() == asked
    assert strike_rereads(home.rereads, {A}) == 2 and home.rereads.all() == [asked[1]]
