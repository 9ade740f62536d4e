from __future__ import annotations

import uuid
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from ragflow.errors import BadInputError, UsageError
from ragflow.model.points import Point, SparseVector
from ragflow.vectors.checking import MAX_PAYLOAD_DEPTH, check_points
from ragflow.vectors.protocols import CollectionSettings
from ragflow_tests.vectors.builders import DIMENSION, make_points

GOOD = make_points(3)
GOOD_PARTS = (GOOD[0].dense, GOOD[0].sparse, GOOD[0].payload)


def nested(depth: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(depth):
        value = {"in": value}
    return value


def test_returns_the_dense_vectors_of_good_points() -> None:
    assert np.array_equal(check_points(GOOD, DIMENSION), np.stack([point.dense for point in GOOD]))
    assert check_points([], DIMENSION).shape == (0, DIMENSION)
    check_points([replace(GOOD[0], payload=nested(MAX_PAYLOAD_DEPTH - 1))], DIMENSION)


@pytest.mark.parametrize(
    ("payload", "place"),
    [
        ({"a": [0, {"b": float("nan")}]}, r"a\[1\]\.b"),
        ({"a": float("inf")}, "a is not a finite number"),
        ({"a": 2**64}, "64 bits"),
        ({"a": -(2**63) - 1}, "64 bits"),
        ({"a": "\ud800"}, "surrogate"),
        ({"\udfff": 1}, "surrogate"),
        ({"a": (1, 2)}, "tuple"),
        ({"a": uuid.UUID(int=1)}, "UUID"),
        ({"a": np.float32(0.5)}, "float32"),
        ({"a": b"x"}, "bytes"),
        ({1: 2}, "not a text"),
        (nested(MAX_PAYLOAD_DEPTH + 1), "nested"),
    ],
)
def test_refuses_payloads_that_json_cannot_hold(payload: dict[str, Any], place: str) -> None:
    with pytest.raises(BadInputError, match=place):
        check_points([*GOOD, replace(GOOD[0], payload=payload)], DIMENSION)


def vectors(indices: list[int], values: list[float], kind: type[np.generic] = np.uint32) -> SparseVector:
    return SparseVector(np.array(indices, dtype=kind), np.array(values, dtype=np.float32))


@pytest.mark.parametrize(
    "wrong",
    [
        replace(GOOD[0], dense=GOOD[0].dense * np.float32(1 + 1e-6)),
        replace(GOOD[0], dense=GOOD[0].dense * np.float32("nan")),
        replace(GOOD[0], dense=GOOD[0].dense * 0),
        replace(GOOD[0], dense=GOOD[0].dense.astype(np.float64)),
        replace(GOOD[0], dense=GOOD[0].dense[1:]),
        replace(GOOD[0], sparse=vectors([2, 1], [1.0, 1.0])),
        replace(GOOD[0], sparse=vectors([2, 2], [1.0, 1.0])),
        replace(GOOD[0], sparse=vectors([2], [1.0, 1.0])),
        replace(GOOD[0], sparse=vectors([2], [float("inf")])),
        replace(GOOD[0], sparse=vectors([2], [1.0], np.int64)),
        Point("00000000-0000-0000-0000-000000000001", *GOOD_PARTS),  # type: ignore[arg-type]
    ],
)
def test_refuses_vectors_that_would_be_changed(wrong: Point) -> None:
    with pytest.raises(BadInputError, match=str(wrong.id)):
        check_points([*GOOD, wrong], DIMENSION)


@pytest.mark.parametrize(
    "values", [{"dimension": 0}, {"dimension": 70_000}, {"hnsw_m": 1}, {"index_from_points": 0}, {"hnsw_m": True}]
)
def test_settings_have_limits(values: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=next(iter(values))):
        CollectionSettings(**{"dimension": 4, **values})


def test_every_setting_is_in_the_fingerprint() -> None:
    parts = CollectionSettings(dimension=4).fingerprint_parts()
    assert set(parts) == {"dimension", "hnsw_m", "hnsw_ef_construct", "index_from_points", "distance"}
    assert CollectionSettings(dimension=4, hnsw_m=17).fingerprint_parts() != parts


def test_later_settings_leave_older_archives_as_they_are() -> None:
    older = {"dimension": 16, "hnsw_m": 16, "hnsw_ef_construct": 100, "index_from_points": 50_000}
    settings = CollectionSettings(16)
    assert settings.to_dict() == older
    assert settings.fingerprint_parts() == {**older, "distance": "cosine"}
    assert list(settings.fingerprint_parts()) == [*older, "distance"]
    for name, value in {"quantization": "int8", "shards": 2, "replicas": 2, "text_index": True}.items():
        changed = replace(settings, **{name: value})
        assert changed.to_dict() == {**older, name: value}
        assert CollectionSettings(**changed.to_dict()) == changed


@pytest.mark.parametrize("wrong", [{"quantization": "int4"}, {"shards": 0}, {"replicas": 1.0}, {"text_index": 1}])
def test_refuses_settings_that_make_no_sense(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=next(iter(wrong))):
        CollectionSettings(16, **wrong)
