"""The difference between what should stand in a collection and what does."""

from __future__ import annotations

import uuid
from collections.abc import Mapping

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ragflow.model.batches import BatchManifest, fold
from ragflow.model.fingerprints import sha256_text
from ragflow.model.merkle import merkle_root
from ragflow.model.points import Delta, SparseVector, diff, point_id, point_sha256, vector_sha256
from ragflow_tests.model.strategies import CONTENTS, KEYS, History, histories

ids = st.integers(0, 9).map(lambda number: uuid.UUID(int=number))
Points = dict[uuid.UUID, bytes]
points: st.SearchStrategy[Points] = st.dictionaries(ids, st.sampled_from([b"x", b"y", b"z"]))


def apply(delta: Delta, desired: Mapping[uuid.UUID, bytes], observed: Mapping[uuid.UUID, bytes]) -> Points:
    left = {key: digest for key, digest in observed.items() if key not in set(delta.deletes)}
    return {**left, **{key: desired[key] for key in delta.upserts}}


@given(points, points)
def test_applying_the_difference_gives_what_is_desired_and_a_second_one_is_empty(
    desired: Points, observed: Points
) -> None:
    delta = diff(desired, observed)
    after = apply(delta, desired, observed)
    assert after == desired
    again = diff(desired, after)
    assert again.is_empty
    assert again == Delta((), (), len(desired))


@given(points, points)
def test_the_difference_counts_and_touches_only_what_differs(desired: Points, observed: Points) -> None:
    delta = diff(desired, observed)
    assert delta.unchanged == len(desired.items() & observed.items())
    assert set(delta.upserts) == {key for key in desired if observed.get(key) != desired[key]}
    assert set(delta.deletes) == observed.keys() - desired.keys()
    assert list(delta.upserts) == sorted(delta.upserts)
    assert list(delta.deletes) == sorted(delta.deletes)
    assert delta.is_empty == (desired == observed)


def points_of(manifests: list[BatchManifest] | tuple[BatchManifest, ...]) -> Points:
    """What a collection of documents with two chunks each should hold: the pipeline in small."""
    desired = {}
    for key, state in fold(manifests).documents.items():
        for chunk in range(2) if state.sha256 else ():
            text = sha256_text(f"{state.sha256} {chunk}")
            desired[point_id(key, 0, chunk, text)] = sha256_text(f"{key} {text} {state.batch_key}").encode()
    return desired


@given(histories, st.data())
def test_any_order_and_repetition_of_batches_ends_in_the_same_collection(history: History, data: st.DataObject) -> None:
    arrivals = data.draw(
        st.lists(st.sampled_from(history.manifests)).flatmap(lambda more: st.permutations([*history.manifests, *more]))
    )
    collection: Points = {}
    seen: list[BatchManifest] = []
    for manifest in arrivals:
        seen.append(manifest)
        desired = points_of(seen)
        collection = apply(diff(desired, collection), desired, collection)
    in_one_go = points_of(history.manifests)
    assert collection == in_one_go
    assert merkle_root(collection[key] for key in sorted(collection)) == merkle_root(
        in_one_go[key] for key in sorted(in_one_go)
    )
    assert diff(in_one_go, collection).is_empty


places = st.tuples(st.sampled_from(KEYS), st.integers(0, 3), st.integers(0, 3), st.sampled_from(CONTENTS))


@given(st.lists(places, unique=True, min_size=2))
def test_each_place_has_its_own_id_and_always_the_same(found: list[tuple[str, int, int, str]]) -> None:
    identifiers = [point_id(*place) for place in found]
    assert len(set(identifiers)) == len(found)
    assert identifiers == [point_id(*place) for place in found]
    assert {(one.version, one.variant) for one in identifiers} == {(8, uuid.RFC_4122)}


def vectors(*indices: int) -> SparseVector:
    return SparseVector(
        np.array(indices, dtype=np.uint32), np.array([index / 8 for index in indices], dtype=np.float32)
    )


def test_the_hash_of_a_vector_sees_every_number_but_not_the_order_of_the_terms() -> None:
    dense = np.array([0.6, 0.8], dtype=np.float32)
    base = vector_sha256(dense, vectors(3, 1, 2))
    assert base == vector_sha256(dense, vectors(1, 2, 3))
    nudged = np.nextafter(dense, np.float32(1), dtype=np.float32)
    others = {
        vector_sha256(nudged, vectors(1, 2, 3)),
        vector_sha256(dense[::-1], vectors(1, 2, 3)),
        vector_sha256(dense, vectors(1, 2)),
        vector_sha256(dense, vectors(1, 2, 4)),
        vector_sha256(dense, SparseVector(vectors(1, 2, 3).indices, vectors(1, 2, 4).values)),
    }
    assert len(others | {base}) == 6


def test_the_hash_of_a_point_sees_id_vector_and_payload() -> None:
    one, other = uuid.UUID(int=1), uuid.UUID(int=2)
    vector, another = CONTENTS[:2]
    hashes = {
        point_sha256(one, vector, {"page": 1}),
        point_sha256(other, vector, {"page": 1}),
        point_sha256(one, another, {"page": 1}),
        point_sha256(one, vector, {"page": 2}),
        point_sha256(one, vector, {"page": "1"}),
        point_sha256(one, vector, {}),
    }
    assert len(hashes) == 6
    assert point_sha256(one, vector, {"a": 1, "b": 2}) == point_sha256(one, vector, {"b": 2, "a": 1})
