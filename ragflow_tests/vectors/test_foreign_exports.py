"""Exports of other tools: Parquet, and JSON lines, whole and broken."""

from __future__ import annotations

import gzip
import json
import uuid
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ragflow.errors import BadInputError
from ragflow.vectors.foreign import DenseLayout, ForeignCollection, ForeignPoint, open_foreign

ONE, TWO = uuid.UUID(int=1), uuid.UUID(int=2)


def read(source: str | ForeignCollection, scratch: Path) -> list[ForeignPoint]:
    opened = open_foreign(source, api_key=None, scratch=scratch) if isinstance(source, str) else source
    return [point for page in opened.pages() for point in page]


LINES = [
    {"id": 3, "vector": [1, 2.5], "payload": {"text": "trois"}},
    {"id": str(ONE).upper(), "embedding": [0.0, 1.0], "content": "one", "page": 4},
    {
        "id": "doc-1",
        "vector": {"a": [1.0], "w": {"indices": [2, 1], "values": [3, 4]}},
        "payload": '{"x": [1]}',
        "score": 9.5,
    },
    {"id": 4, "vector": None, "sparse": {"indices": [9], "values": [1.0]}, "payload": None},
]


def write_lines(path: Path, lines: list[Any] | None = None) -> Path:
    data = "\n".join(json.dumps(line) for line in lines or LINES).encode() + b"\n"
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(data))
    elif path.suffix == ".zst":
        with pa.CompressedOutputStream(str(path), "zstd") as file:
            file.write(data)
    else:
        path.write_bytes(data)
    return path


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz", "a.jsonl.zst", "A.NDJSON"])
def test_json_lines(tmp_path: Path, name: str) -> None:
    source = open_foreign(str(write_lines(tmp_path / name)), api_key=None, scratch=tmp_path)
    assert source.layout().dense == {"": DenseLayout(2)}
    three, one, text, four = read(source, tmp_path)
    assert (three.id, three.payload, three.dense[""].tolist()) == (3, {"text": "trois"}, [1.0, 2.5])
    assert (one.id, one.payload, one.dense[""].tolist()) == (ONE, {"content": "one", "page": 4}, [0.0, 1.0])
    assert (text.id, text.payload, text.place) == ("doc-1", {"x": [1]}, "line 3")
    assert text.dense["a"].tolist() == [1.0] and text.sparse["w"].values.tolist() == [4.0, 3.0]
    assert not four.dense and four.sparse["sparse"].indices.tolist() == [9] and four.payload == {}
    assert source.ignored == {"score": 1}


def test_numbers_that_are_none(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"id": 1, "vector": [NaN, 1.0]}\n\n{"id": 2, "vector": [null, 1e300]}\n')
    nan, large = read(str(path), tmp_path)
    assert np.isnan(nan.dense[""][0]) and np.isnan(large.dense[""][0]) and np.isinf(large.dense[""][1])
    assert large.place == "line 3"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"id": 1, "vector": [1.0', "line 2, is not JSON"),
        ("[1, 2]", "line 2, is not a JSON object"),
        ('{"vector": [1.0, 2.0]}', "line 2 has no id"),
        ('{"id": "", "vector": [1.0, 2.0]}', "line 2 has no id"),
        ('{"id": -5}', "line 2 has the id -5"),
        ('{"id": 1.5}', "line 2 has the id 1.5"),
        ('{"id": true}', "line 2 has the id True"),
        ('{"id": 1, "vector": ["a"]}', "line 2 is not a list of numbers"),
        ('{"id": 1, "vector": "abc"}', "line 2 is a str, not a list"),
        ('{"id": 1, "payload": "{"}', "line 2 is not JSON"),
        ('{"id": 1, "payload": [1]}', "line 2 is not a JSON object"),
        ('{"id": 1, "sparse": {"indices": [1, 1], "values": [1, 2]}}', "line 2 has an index twice"),
        ('{"id": 1, "sparse": {"indices": [1], "values": [1, 2]}}', "line 2 has indices"),
        ('{"id": 1, "sparse": {"indices": [-1], "values": [1]}}', "line 2 has an index twice, or one outside"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, line: str, said: str) -> None:
    path = tmp_path / "books.jsonl"
    path.write_text(f'{{"id": 9, "vector": [1.0, 2.0]}}\n{line}\n')
    with pytest.raises(BadInputError, match=said) as raised:
        read(str(path), tmp_path)
    assert "books.jsonl" in raised.value.message and raised.value.exit_code == 3


@pytest.mark.parametrize("name", ["a.jsonl.gz", "a.jsonl.zst"])
def test_a_compressed_file_that_was_cut_off(tmp_path: Path, name: str) -> None:
    path = write_lines(tmp_path / name)
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(BadInputError, match="cannot be read after line"):
        read(str(path), tmp_path)


def test_parquet(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    fixed = pa.FixedSizeListArray.from_arrays(pa.array([1.0, 0.0, 0.5, float("nan")], pa.float64()), 2)
    payload = [{"text": "a", "n": 1}, {"text": "b", "n": None}]
    pq.write_table(pa.table({"id": ["x", str(TWO)], "vector": fixed, "payload": payload}), path)
    source = open_foreign(str(path), api_key=None, scratch=tmp_path)
    assert source.layout().points == 2 and source.layout().dense == {"": DenseLayout(2)}
    first, second = read(source, tmp_path)
    assert (first.id, second.id, second.place) == ("x", TWO, "row 1")
    assert first.payload == payload[0] and second.payload == payload[1]
    assert first.dense[""].tolist() == [1.0, 0.0] and np.isnan(second.dense[""][1])


def test_parquet_with_names_and_flat_fields(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    vectors = [{"a": [1.0, 2.0], "w": {"indices": [4], "values": [0.5]}}, {"a": None, "w": None}]
    table = pa.table({"id": [1, 2], "vectors": vectors, "page_content": ["x", "y"], "__index_level_0__": [0, 1]})
    pq.write_table(table, path)
    first, second = read(str(path), tmp_path)
    assert first.dense["a"].tolist() == [1.0, 2.0] and first.sparse["w"].indices.tolist() == [4]
    assert not second.dense and not second.sparse
    assert [first.payload, second.payload] == [{"page_content": "x"}, {"page_content": "y"}]


@pytest.mark.parametrize("kept", [0.4, 0.98])
def test_a_parquet_file_that_was_cut_off(tmp_path: Path, kept: float) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"id": list(range(500)), "vector": [[float(n), 1.0] for n in range(500)]}), path)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * kept)])
    with pytest.raises(BadInputError, match=r"a\.parquet is not a whole Parquet file"):
        read(str(path), tmp_path)


def test_a_parquet_file_with_a_damaged_page(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    numbers = np.random.default_rng(0).normal(size=(4_000, 4)).astype("f4")
    table = pa.table({"id": list(range(4_000)), "vector": list(numbers)})
    pq.write_table(table, path, compression="zstd", use_dictionary=False, row_group_size=1_000)
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 2_000] = bytes(2_000)
    path.write_bytes(data)
    with pytest.raises(BadInputError, match=r"a.parquet cannot be read from row [12]000 on"):
        read(str(path), tmp_path)


def test_a_parquet_file_without_ids(tmp_path: Path) -> None:
    pq.write_table(pa.table({"key": [1]}), tmp_path / "a.parquet")
    with pytest.raises(BadInputError, match="no column id, but key"):
        read(str(tmp_path / "a.parquet"), tmp_path)
