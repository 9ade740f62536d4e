"""Manifests, their chain, and the fold that gives the desired state."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragflow.errors import IntegrityError
from ragflow.model.batches import BatchManifest, Change, DocumentChange, SourceRoot, check_chain, fold
from ragflow_tests.model.strategies import CONTENTS, KEYS, ROOTS, History, histories


@given(histories)
def test_fold_gives_what_a_plain_dictionary_gives(history: History) -> None:
    corpus = fold(history.manifests)
    assert {key: (state.sha256, state.reason) for key, state in corpus.documents.items()} == history.documents
    assert dict(corpus.homes) == history.first_batch
    assert corpus.batch_keys == tuple(manifest.key for manifest in history.manifests)


@given(histories, st.data())
def test_any_order_and_repetition_of_the_manifests_gives_the_same_corpus(history: History, data: st.DataObject) -> None:
    more = data.draw(st.lists(st.sampled_from(history.manifests)))
    shuffled = data.draw(st.permutations([*history.manifests, *more]))
    assert fold(shuffled) == fold(history.manifests)


@given(histories)
def test_each_state_names_the_batch_that_brought_it(history: History) -> None:
    by_key = {manifest.key: manifest for manifest in history.manifests}
    for key, state in fold(history.manifests).documents.items():
        (change,) = [change for change in by_key[state.batch_key].documents if change.key == key]
        assert (change.sha256, change.size, change.reason) == (state.sha256, state.size, state.reason)
        later = history.manifests[by_key[state.batch_key].sequence :]
        assert not any(change.key == key for manifest in later for change in manifest.documents)


@given(histories)
def test_homes_part_the_contents_among_the_batches(history: History) -> None:
    corpus = fold(history.manifests)
    parts = [corpus.contents_of(key) for key in corpus.batch_keys]
    assert sorted(itertools.chain(*parts)) == sorted(corpus.homes)
    for key, part in zip(corpus.batch_keys, parts, strict=True):
        assert all(corpus.homes[sha] == key for sha in part)
        assert list(part) == sorted(part)


def test_a_removed_content_keeps_its_home() -> None:
    """Its tables are still there, so bringing it back, even under another name, reads nothing again."""
    first = manifest(1, [DocumentChange(KEYS[0], Change.ADDED, CONTENTS[0], 1)])
    second = manifest(2, [DocumentChange(KEYS[0], Change.REMOVED, None)], first)
    third = manifest(3, [DocumentChange(KEYS[1], Change.ADDED, CONTENTS[0], 1)], second)
    corpus = fold([first, second, third])
    assert corpus.homes == {CONTENTS[0]: first.key}
    assert corpus.documents.keys() == {KEYS[1]}


def manifest(sequence: int, changes: list[DocumentChange], previous: BatchManifest | None = None) -> BatchManifest:
    return BatchManifest.create(
        sequence=sequence,
        created_at="2026-11-20T10:00:00+00:00",
        previous=previous.sha256 if previous else None,
        sources=ROOTS,
        documents=changes,
    )


@given(histories)
def test_a_manifest_survives_its_json(history: History) -> None:
    for one in history.manifests:
        again = BatchManifest.from_json(orjson.loads(one.to_json()))
        assert again == one
        assert again.to_json() == one.to_json()
        assert again.sha256 == one.sha256


@given(histories, st.data())
def test_the_key_depends_on_the_content_only(history: History, data: st.DataObject) -> None:
    one = history.manifests[-1]
    again = BatchManifest.create(
        sequence=one.sequence,
        created_at=one.created_at,
        previous=one.previous,
        sources=data.draw(st.permutations(one.sources)),
        documents=data.draw(st.permutations(one.documents)),
    )
    assert again == one
    day, number, digest = one.key.split("-")
    assert (day, number) == (one.created_at[:10].replace("-", ""), f"{one.sequence:04d}")
    assert len(digest) == 8


EDITS: list[tuple[str, Any]] = [
    ("sequence", 7),
    ("created_at", "2026-11-20T10:00:01+00:00"),
    ("previous", "0" * 64),
    ("sources", []),
    ("documents", []),
]


@pytest.mark.parametrize(("name", "value"), EDITS)
def test_an_edited_field_is_refused(name: str, value: Any) -> None:
    stored = orjson.loads(manifest(1, [DocumentChange(KEYS[0], Change.ADDED, CONTENTS[0], 9)]).to_json())
    stored[name] = value
    with pytest.raises(IntegrityError, match=r"was edited.*backup"):
        BatchManifest.from_json(stored)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("key", KEYS[1]),
        ("change", "changed"),
        ("sha256", CONTENTS[1]),
        ("size", 10),
        ("reason", "unreadable"),
        ("detail", "no"),
    ],
)
def test_an_edited_document_is_refused(name: str, value: Any) -> None:
    stored = orjson.loads(manifest(1, [DocumentChange(KEYS[0], Change.ADDED, CONTENTS[0], 9)]).to_json())
    stored["documents"][0][name] = value
    with pytest.raises(IntegrityError, match="was edited"):
        BatchManifest.from_json(stored)


@pytest.mark.parametrize(
    "damage",
    [
        {"format": "ragflow-manifest/9"},
        {"documents": [{"key": KEYS[0]}]},
        {"documents": [{"key": KEYS[0], "change": "eaten", "sha256": None}]},
        {"documents": 5},
        {"sources": [{"name": "inbox"}]},
        {"sequence": "one"},
    ],
)
def test_a_damaged_manifest_is_refused_and_named(damage: dict[str, Any]) -> None:
    whole = manifest(1, [DocumentChange(KEYS[0], Change.ADDED, CONTENTS[0], 9)])
    with pytest.raises(IntegrityError, match=whole.key):
        BatchManifest.from_json({**orjson.loads(whole.to_json()), **damage})


@given(histories, st.data())
def test_a_whole_chain_passes_in_any_order(history: History, data: st.DataObject) -> None:
    check_chain(history.manifests)
    check_chain(data.draw(st.permutations(history.manifests)))


@given(histories.filter(lambda history: len(history.manifests) > 1), st.data())
def test_a_missing_batch_is_found(history: History, data: st.DataObject) -> None:
    """The last one is missed by whatever names it: a version's record, or the batch after it."""
    gone = data.draw(st.integers(0, len(history.manifests) - 2))
    with pytest.raises(IntegrityError, match=f"number {gone + 1} is missing"):
        check_chain([m for m in history.manifests if m.sequence != gone + 1])


@given(histories.filter(lambda history: len(history.manifests) > 1), st.data())
def test_a_batch_edited_with_its_key_put_right_is_found(history: History, data: st.DataObject) -> None:
    chain = list(history.manifests)
    edited = data.draw(st.integers(0, len(chain) - 2))
    old = chain[edited]
    chain[edited] = BatchManifest.create(
        sequence=old.sequence,
        created_at=old.created_at,
        previous=old.previous,
        sources=old.sources,
        documents=[replace(change, size=change.size + 1) for change in old.documents],
    )
    with pytest.raises(IntegrityError, match=f"{chain[edited + 1].key} does not follow"):
        check_chain(chain)


@given(histories.filter(lambda history: len(history.manifests) > 1), st.data())
def test_batches_that_changed_places_are_found(history: History, data: st.DataObject) -> None:
    chain = list(history.manifests)
    place = data.draw(st.integers(0, len(chain) - 2))
    first, second = chain[place], chain[place + 1]
    chain[place : place + 2] = [replace(second, sequence=first.sequence), replace(first, sequence=second.sequence)]
    with pytest.raises(IntegrityError):
        check_chain(chain)


def test_two_batches_with_one_number_are_found() -> None:
    first = manifest(1, [DocumentChange(KEYS[0], Change.ADDED, CONTENTS[0], 1)])
    second = manifest(1, [DocumentChange(KEYS[1], Change.ADDED, CONTENTS[0], 1)])
    with pytest.raises(IntegrityError):
        check_chain([first, second])


def test_an_empty_chain_is_a_chain() -> None:
    check_chain([])
    assert fold([]).documents == {}


def test_sources_are_part_of_the_manifest() -> None:
    here = manifest(1, [])
    there = BatchManifest.create(
        sequence=1,
        created_at=here.created_at,
        previous=None,
        sources=[SourceRoot("inbox", "folder", "/elsewhere")],
        documents=[],
    )
    assert here.key != there.key
