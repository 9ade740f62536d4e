"""What every engine must do with points: give them back as they were, and find them."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from ragflow.errors import BadInputError, UsageError
from ragflow.model.points import Point
from ragflow.vectors.checking import UNIT_TOLERANCE
from ragflow.vectors.protocols import (
    AnyOf,
    Between,
    CollectionReader,
    CollectionSettings,
    CollectionWriter,
    Condition,
    VersionStore,
)
from ragflow_tests.vectors.builders import (
    DIMENSION,
    hashes,
    identifier,
    make_point,
    make_points,
    sparse,
    unit_vectors,
)

SETTINGS = CollectionSettings(dimension=DIMENSION)
PAYLOADS: list[dict[str, Any]] = [
    {"text": "Où? Ça… “œ” \N{ZERO WIDTH JOINER} \N{GRINNING FACE} \x00 \x7f", "ключ": "名前", "a.b": 1, "": "empty"},
    {"boxes": [[0.1, 0.2, 0.30000000000000004, 1.0], []], "deep": {"a": [{"b": None}], "c": {}}},
    {"none": None, "true": True, "false": False, "zero": 0, "float": 1.0, "minus": -0.0},
    {"largest": 2**64 - 1, "long": 2**63 - 1, "smallest": -(2**63), "beyond": 2**53 + 1},
    {"tiny": 5e-324, "huge": 1.7976931348623157e308, "third": 1 / 3},
    {},
]


def build(store: VersionStore, version: str, points: list[Point], settings: CollectionSettings = SETTINGS) -> None:
    with store.create(version, settings) as writer:
        writer.upsert(points)
        writer.finish()


def everything(source: CollectionReader | CollectionWriter, batch: int = 2048) -> list[Point]:
    return [point for points in source.scroll(batch) for point in points]


class PointsContract:
    """What is written, what is found; see :class:`VersionStoreContract`."""

    def test_gives_points_back_bit_by_bit(self, store: VersionStore) -> None:
        dense = unit_vectors(len(PAYLOADS), seed=5)
        weights: list[dict[int, float]] = [{0: 1e-30, 2**32 - 1: 3.4e38}, {7: 0.1, 3: 0.7}, {}, {1: -2.5}, {2: 0.0}, {}]
        points = [make_point(i, dense[i], weights[i], payload) for i, payload in enumerate(PAYLOADS)]
        build(store, "v000001", points)
        with store.open("v000001") as reader:
            found = everything(reader)
            assert hashes(found) == hashes(points)
            assert {point.id: point.payload for point in found} == {point.id: point.payload for point in points}
            for point in found:
                assert point.dense.dtype == np.float32 and point.dense.shape == (DIMENSION,)
                assert point.sparse.indices.dtype == np.uint32 and point.sparse.values.dtype == np.float32
            assert hashes(reader.retrieve([point.id for point in points])) == hashes(points)

    def test_keeps_vectors_at_the_edge_of_unit_length(self, store: VersionStore) -> None:
        stretch = (1 + np.linspace(-4e-7, 4e-7, 600)).astype(np.float32)[:, None]
        stretched = (unit_vectors(600, seed=9) * stretch).astype(np.float32)
        deviation = np.abs((stretched.astype(np.float64) ** 2).sum(axis=1) - 1.0)
        allowed = stretched[deviation <= UNIT_TOLERANCE]
        assert deviation[deviation <= UNIT_TOLERANCE].max() > 0.95 * UNIT_TOLERANCE and 300 < len(allowed) < 600
        points = [make_point(i, vector, {}, {}) for i, vector in enumerate(allowed)]
        build(store, "v000001", points)
        with store.open("v000001") as reader:
            assert hashes(everything(reader)) == hashes(points)

    def test_scrolls_in_order_of_ids_whatever_the_batch(self, store: VersionStore) -> None:
        points = make_points(57)
        build(store, "v000001", points)
        with store.open("v000001") as reader:
            for batch in (1, 19, 56, 57, 58):
                batches = list(reader.scroll(batch))
                assert {len(part) for part in batches[:-1]} <= {batch}
                assert [point.id for part in batches for point in part] == sorted(point.id for point in points)
            with pytest.raises(UsageError):
                reader.scroll(0)

    def test_an_empty_version_is_a_version(self, store: VersionStore) -> None:
        build(store, "v000001", [])
        with store.open("v000001") as reader:
            assert (reader.count(), everything(reader), reader.retrieve([identifier(1)])) == (0, [], [])
            assert reader.search_dense(unit_vectors(1)[0], 3) == []
            assert reader.search_sparse(sparse({1: 1.0}), 3) == []

    def test_writing_twice_is_writing_once(self, store: VersionStore) -> None:
        points = make_points(30)
        with store.create("v000001", SETTINGS) as writer:
            writer.upsert(points)
            writer.upsert(points)
            writer.upsert([*points, *points])
            assert writer.count() == 30
            writer.finish()
        with store.open("v000001") as reader:
            assert hashes(everything(reader)) == hashes(points)

    def test_an_upsert_replaces_the_whole_point_and_the_last_one_counts(self, store: VersionStore) -> None:
        first, second = make_points(2)
        with store.create("v000001", SETTINGS) as writer:
            writer.upsert([first])
            bare = Point(first.id, second.dense, sparse({}), {"only": "this"})
            writer.upsert([second, Point(first.id, first.dense, first.sparse, {"older": 1}), bare])
            assert hashes(everything(writer)) == hashes([bare, second])
            writer.finish()
        with store.open("v000001") as reader:
            assert hashes(everything(reader)) == hashes([bare, second])
            assert reader.search_sparse(first.sparse, 5) == []

    def test_deletes(self, store: VersionStore) -> None:
        points = make_points(20)
        with store.create("v000001", SETTINGS) as writer:
            writer.upsert(points)
            writer.delete([point.id for point in points[:7]])
            writer.delete([points[0].id, identifier(999)])
            writer.delete([])
            writer.finish()
        with store.open("v000001") as reader:
            assert reader.count() == 13
            assert hashes(everything(reader)) == hashes(points[7:])
            assert points[0].id not in {hit.id for hit in reader.search_dense(points[0].dense, 20)}
            assert reader.search_sparse(points[0].sparse, 20) == []

    def test_retrieves_in_the_given_order(self, store: VersionStore) -> None:
        points = make_points(5)
        build(store, "v000001", points)
        with store.open("v000001") as reader:
            wanted = [points[3].id, identifier(999), points[1].id, points[3].id]
            assert [point.id for point in reader.retrieve(wanted)] == [points[3].id, points[1].id]
            (bare,) = reader.retrieve([points[2].id], with_vectors=False)
            assert (bare.dense.size, bare.sparse.indices.size, bare.sparse.values.size) == (0, 0, 0)
            assert bare.payload == points[2].payload

    def test_dense_search_is_brute_force(self, store: VersionStore) -> None:
        points = make_points(500)
        build(store, "v000001", points)
        matrix = np.stack([point.dense for point in points]).astype(np.float64)
        with store.open("v000001") as reader:
            for query in unit_vectors(10, seed=77) * np.float32(3.0):
                scores = matrix @ (query.astype(np.float64) / np.linalg.norm(query.astype(np.float64)))
                order = np.argsort(-scores)[:20]
                hits = reader.search_dense(query, 20)
                assert [hit.id for hit in hits] == [points[i].id for i in order]
                assert [hit.score for hit in hits] == pytest.approx(scores[order].tolist(), abs=1e-5)
                assert hits[0].payload == points[order[0]].payload

    def test_sparse_search_is_bm25_with_idf_of_the_whole_collection(self, store: VersionStore) -> None:
        weights: list[dict[int, float]] = [{1: 2.0}, {1: 1.0, 2: 1.5}, {2: 0.5, 3: 1.0}, {4: 1.0}, {}, {5: 1.0}, {1: 9}]
        dense = unit_vectors(len(weights))
        with store.create("v000001", SETTINGS) as writer:
            writer.upsert([make_point(i, dense[i], {1: 1.0, 3: 2.0}, {}) for i in range(len(weights))])
            writer.upsert([make_point(i, dense[i], w, {"odd": i % 2}) for i, w in enumerate(weights)])
            writer.delete([identifier(6)])
            writer.finish()
        # Six points are left, one of them without terms; what was overwritten or deleted counts no more.
        idf = {term: math.log((6 - count + 0.5) / (count + 0.5) + 1) for term, count in {1: 2, 2: 2}.items()}
        expected = {0: 2.0 * idf[1], 1: idf[1] + 1.5 * idf[2] * 0.5, 2: 0.5 * idf[2] * 0.5}
        with store.open("v000001") as reader:
            hits = reader.search_sparse(sparse({1: 1.0, 2: 0.5, 8: 1.0}), 10)
            assert [hit.id for hit in hits] == [identifier(i) for i in sorted(expected, key=lambda i: -expected[i])]
            assert [hit.score for hit in hits] == pytest.approx(sorted(expected.values(), reverse=True), rel=1e-5)
            (odd,) = reader.search_sparse(sparse({1: 1.0, 2: 0.5}), 10, {"odd": 1})
            assert odd.id == identifier(1) and odd.score == pytest.approx(expected[1], rel=1e-5)
            assert len(reader.search_sparse(sparse({1: 1.0, 2: 0.5}), 2)) == 2
            assert reader.search_sparse(sparse({8: 1.0}), 10) == reader.search_sparse(sparse({}), 10) == []

    def test_equal_scores_come_in_order_of_ids(self, store: VersionStore) -> None:
        vector = unit_vectors(1)[0]
        build(store, "v000001", [make_point(i, vector, {1: 1.0}, {}) for i in range(30)])
        with store.open("v000001") as reader:
            for hits in (reader.search_dense(vector, 30), reader.search_sparse(sparse({1: 1.0}), 30)):
                assert len(hits) == 30
                assert all(one.id < other.id for one, other in pairwise(hits))

    def test_filters(self, store: VersionStore) -> None:
        conditions: list[dict[str, Condition]] = [
            {"document_key": "inbox/3.pdf"},
            {"language": "en"},
            {"page_number": 2},
            {"language": "fr", "page_number": 5, "source": "inbox"},
            {"draft": True},
            {"draft": False, "language": "en"},
            {"text": "Ligne n° 7: œuvre"},
            {"tags": "ça"},
            {"with.dot": 4},
            {"a key": "x"},
            {"one": 1},
            {"one": True},
            {"engine": "doctr"},
            {"nowhere": "x"},
            {"language": AnyOf(("fr", "de"))},
            {"page_number": AnyOf((1, 4, 99)), "language": "en"},
            {"page_number": Between(2, 4)},
            {"page_number": Between(low=5)},
            {"confidence": Between(high=0.5)},
            {"tags": AnyOf(("ça", "nothing"))},
        ]
        points = [
            Point(
                point.id,
                point.dense,
                sparse({1: 1.0}),
                {
                    **point.payload,
                    "tags": ["x", "ça"] if i % 4 == 0 else ["x"],
                    "with.dot": i,
                    "with": {"dot": 4},
                    "a key": "x" if i < 9 else "y",
                    "one": 1 if i % 2 else True,
                    "confidence": i / 60,
                },
            )
            for i, point in enumerate(make_points(60))
        ]
        build(store, "v000001", points)

        def meets(point: Point, name: str, value: object) -> bool:
            held: Any = point.payload.get(name)
            if isinstance(value, AnyOf):
                return any(meets(point, name, one) for one in value.values)
            if isinstance(value, Between):
                return (value.low is None or held >= value.low) and (value.high is None or held <= value.high)
            return (type(held) is type(value) and held == value) or (isinstance(held, list) and value in held)

        with store.open("v000001") as reader:
            for where in conditions:
                expected = {point.id for point in points if all(meets(point, *item) for item in where.items())}
                assert bool(expected) == (not set(where) & {"engine", "nowhere"})
                assert {hit.id for hit in reader.search_dense(points[0].dense, 60, where)} == expected, where
                assert {hit.id for hit in reader.search_sparse(sparse({1: 1.0}), 60, where)} == expected, where

    def test_a_search_gives_the_fields_that_are_wanted(self, store: VersionStore) -> None:
        points = make_points(5)
        build(store, "v000001", points)
        wanted = ("document_key", "page_number", "nowhere")
        expected = {p.id: {name: p.payload[name] for name in wanted if name in p.payload} for p in points}
        with store.open("v000001") as reader:
            for hits in (
                reader.search_dense(points[0].dense, 5, None, wanted),
                reader.search_dense(points[0].dense, 5, {"document_key": points[0].payload["document_key"]}, wanted),
                reader.search_sparse(points[0].sparse, 5, None, wanted),
            ):
                assert hits and all(hit.payload == expected[hit.id] for hit in hits)
            assert [hit.payload for hit in reader.search_dense(points[0].dense, 5, None, ())] == [{}] * 5

    def test_reading_ahead_changes_nothing_that_is_found(self, store: VersionStore) -> None:
        points = make_points(30)
        build(store, "v000001", points)
        wanted = ("document_key", "page_number")
        with store.open("v000001") as plain, store.open("v000001") as prepared:
            prepared.read_ahead(wanted)
            prepared.read_ahead(("nowhere",))
            for fields in (wanted, ("nowhere",), ("text",), None):
                before, after = (
                    [(hit.id, hit.payload) for hit in reader.search_dense(points[0].dense, 30, None, fields)]
                    for reader in (plain, prepared)
                )
                assert after == before and len(before) == 30
        with pytest.raises(UsageError):
            prepared.read_ahead(wanted)

    def test_points_that_are_known_are_scored_as_they_would_be_among_all(self, store: VersionStore) -> None:
        points = make_points(40)
        build(store, "v000001", points)
        known = [points[number].id for number in (3, 11, 27)]
        with store.open("v000001") as reader:
            for search, query in (
                (reader.search_dense, points[5].dense),
                (reader.search_sparse, points[5].sparse),
            ):
                every = search(query, 40)  # type: ignore[operator]
                some = search(query, 40, None, None, known)  # type: ignore[operator]
                assert some == [hit for hit in every if hit.id in known]
                where = {"language": points[3].payload["language"]}
                both = search(query, 40, where, None, known)  # type: ignore[operator]
                assert both == [hit for hit in some if hit.payload["language"] == where["language"]]
                assert search(query, 40, None, None, ()) == []  # type: ignore[operator]

    def test_refuses_queries_that_make_no_sense(self, store: VersionStore) -> None:
        build(store, "v000001", make_points(3))
        query = unit_vectors(1)[0]
        with store.open("v000001") as reader:
            for vector in (query[:-1], query * 0, query * np.float32("nan"), np.stack([query, query])):
                with pytest.raises(UsageError):
                    reader.search_dense(vector, 3)
            wrong: list[dict[str, Any]] = [
                {"": "x"},
                {'a"b': 1},
                {"page_number": 2**63},
                {"page_number": 1.5},
                {"text": None},
                {"text": AnyOf(())},
                {"text": AnyOf(("a", 1))},  # type: ignore[arg-type]
                {"page_number": Between()},
                {"page_number": Between(low=math.nan)},
            ]
            for where in wrong:
                with pytest.raises(UsageError):
                    reader.search_dense(query, 3, where)
            with pytest.raises(UsageError):
                reader.search_sparse(sparse({1: 1.0}), 0)

    def test_refuses_points_it_could_not_give_back(self, store: VersionStore) -> None:
        good = make_points(1)[0]
        with store.create("v000001", SETTINGS) as writer:
            with pytest.raises(BadInputError, match=str(good.id)):
                writer.upsert([Point(good.id, good.dense, good.sparse, {"pages": [{"count": 2**64}]})])
            with pytest.raises(BadInputError, match=str(good.id)):
                writer.upsert([Point(good.id, good.dense * np.float32(1.001), good.sparse, {})])
            assert writer.count() == 0
