"""Readers of foreign collections, on real ones: a folder of local mode, shards of Qdrant Edge, exports, servers."""

from __future__ import annotations

import pickle
import sqlite3
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import qdrant_edge
from qdrant_client import QdrantClient, models

from ragflow.errors import (
    BadInputError,
    CheckFailedError,
    NotFoundError,
    RagflowError,
    ServiceUnavailableError,
    UsageError,
)
from ragflow.vectors.foreign import PAGE, DenseLayout, ForeignCollection, ForeignPoint, open_foreign
from ragflow.vectors.foreign_qdrant import ServerCollection
from ragflow_tests.vectors.foreign_server import ForeignServer
from ragflow_tests.vectors.local_qdrant import LocalQdrant

ONE, TWO = uuid.UUID(int=1), uuid.UUID(int=2)


def read(source: str | ForeignCollection, scratch: Path, key: str | None = None) -> list[ForeignPoint]:
    opened = open_foreign(source, api_key=key, scratch=scratch) if isinstance(source, str) else source
    return [point for page in opened.pages() for point in page]


def fill(client: Any) -> None:
    """Make a collection with two dense vectors, one of several rows, and a sparse one."""
    client.create_collection(
        "books",
        vectors_config={
            "title": models.VectorParams(size=3, distance=models.Distance.COSINE),
            "rows": models.VectorParams(
                size=2,
                distance=models.Distance.DOT,
                multivector_config=models.MultiVectorConfig(comparator=models.MultiVectorComparator.MAX_SIM),
            ),
        },
        sparse_vectors_config={"words": models.SparseVectorParams()},
    )
    client.upsert(
        "books",
        [
            models.PointStruct(
                id=7,
                vector={
                    "title": [0.6, 0.8, 0.0],
                    "words": models.SparseVector(indices=[5, 1], values=[1.0, 2.0]),
                    "rows": [[1.0, 0.0], [0.0, 1.0]],
                },
                payload={"text": "sept", "n": None},
            ),
            models.PointStruct(id=str(ONE), vector={"title": [0.0, 0.0, 1.0]}, payload={}),
        ],
    )


def check_books(points: list[ForeignPoint]) -> None:
    seven, one = sorted(points, key=lambda point: str(point.id), reverse=True)
    assert (seven.id, one.id) == (7, ONE)
    assert seven.payload == {"text": "sept", "n": None} and one.payload == {}
    assert np.allclose(seven.dense["title"], [0.6, 0.8, 0.0]) and seven.dense["title"].dtype == np.float32
    assert seven.sparse["words"].indices.tolist() == [1, 5] and seven.sparse["words"].values.tolist() == [2.0, 1.0]
    assert seven.others == {"rows": [[1.0, 0.0], [0.0, 1.0]]}
    assert list(one.dense) == ["title"] and not one.sparse and not one.others


@pytest.fixture
def local(tmp_path: Path) -> Path:
    folder = tmp_path / "local mode"
    client = QdrantClient(path=str(folder))
    fill(client)
    client.close()
    return folder


def test_a_folder_of_local_mode(local: Path, tmp_path: Path) -> None:
    before = {path: path.read_bytes() for path in local.rglob("*") if path.is_file()}
    source = open_foreign(f"qdrant-local:{local}#books", api_key=None, scratch=tmp_path)
    layout = source.layout()
    assert layout.dense == {"title": DenseLayout(3, "Cosine")}
    assert (layout.sparse, layout.others, layout.points) == (("words",), ("rows",), 2)
    check_books(read(source, tmp_path))
    assert before == {path: path.read_bytes() for path in local.rglob("*") if path.is_file()}


def test_local_mode_in_use_is_left_alone(local: Path, tmp_path: Path) -> None:
    client = QdrantClient(path=str(local))
    try:
        with pytest.raises(ServiceUnavailableError, match="is open"):
            read(f"qdrant-local:{local}#books", tmp_path)
    finally:
        client.close()
    assert len(read(f"qdrant-local:{local}#books", tmp_path)) == 2


class _Evil:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


def test_a_pickle_of_local_mode_runs_nothing(local: Path, tmp_path: Path) -> None:
    mark = tmp_path / "it ran"
    with sqlite3.connect(local / "collection" / "books" / "storage.sqlite") as database:
        database.execute("INSERT INTO points VALUES ('x', ?)", (pickle.dumps(_Evil(mark)),))
    with pytest.raises(BadInputError, match="it could run code"):
        read(f"qdrant-local:{local}#books", tmp_path)
    assert not mark.exists()


def test_only_the_latest_row_of_a_point_counts(local: Path, tmp_path: Path) -> None:
    with sqlite3.connect(local / "collection" / "books" / "storage.sqlite") as database:
        later = models.PointStruct(id=str(ONE).upper(), vector={"title": [1.0, 0.0, 0.0]}, payload={"later": True})
        database.execute("INSERT INTO points VALUES ('x', ?)", (pickle.dumps(later),))
    points = {point.id: point for point in read(f"qdrant-local:{local}#books", tmp_path)}
    assert len(points) == 2 and points[ONE].payload == {"later": True}


@pytest.mark.parametrize("damage", ["meta", "database", "row"])
def test_damaged_local_mode(local: Path, tmp_path: Path, damage: str) -> None:
    database = local / "collection" / "books" / "storage.sqlite"
    if damage == "meta":
        (local / "meta.json").write_bytes(b'{"collections"')
    elif damage == "database":
        database.write_bytes(b"no database" * 500)
    else:
        with sqlite3.connect(database) as opened:
            opened.execute("UPDATE points SET point = ?", (b"\x80\x04nothing",))
    source = open_foreign(f"qdrant-local:{local}#books", api_key=None, scratch=tmp_path)
    with pytest.raises(BadInputError, match=str(local)):
        source.layout()
        read(source, tmp_path)


def test_local_mode_names_what_there_is(local: Path, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError) as raised:
        open_foreign(f"qdrant-local:{local}#films", api_key=None, scratch=tmp_path).layout()
    assert "books" in raised.value.remedy
    with pytest.raises(UsageError, match="several collections"):
        open_foreign(str(local), api_key=None, scratch=tmp_path)
    with pytest.raises(UsageError, match="names no collection"):
        open_foreign(f"qdrant-local:{local}", api_key=None, scratch=tmp_path)


def make_shard(folder: Path, points: int = 3, *, log: bool = True) -> qdrant_edge.EdgeShard:
    folder.mkdir()
    config = qdrant_edge.EdgeConfig(
        vectors={"": qdrant_edge.EdgeVectorParams(2, qdrant_edge.Distance.Dot)},
        sparse_vectors={"words": qdrant_edge.EdgeSparseVectorParams()},
        wal_enabled=log,
    )
    shard = qdrant_edge.EdgeShard.create(str(folder), config)
    rows = [
        qdrant_edge.Point(
            number, {"": [number + 1.0, 2.0], "words": qdrant_edge.SparseVector([number], [1.0])}, {"n": number}
        )
        for number in range(points)
    ]
    shard.update(qdrant_edge.UpdateOperation.upsert_points(rows))
    shard.flush()
    return shard


def test_a_shard_is_read_and_left_as_it_is(tmp_path: Path) -> None:
    folder, scratch = tmp_path / "shard", tmp_path / "scratch"
    scratch.mkdir()
    make_shard(folder, PAGE + 5).close()
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    source = open_foreign(str(folder), api_key=None, scratch=scratch)
    layout = source.layout()
    assert layout.dense == {"": DenseLayout(2, "Dot")} and layout.sparse == ("words",)
    pages = list(source.pages())
    assert [len(page) for page in pages] == [PAGE, 5]
    last = pages[1][-1]
    assert last.id == PAGE + 4 and last.payload == {"n": PAGE + 4}
    assert last.dense[""].tolist() == [PAGE + 5.0, 2.0] and last.sparse["words"].indices.tolist() == [PAGE + 4]
    assert before == {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert not any(scratch.iterdir())


def test_a_shard_in_use_is_not_read(tmp_path: Path) -> None:
    shard = make_shard(tmp_path / "shard")
    with pytest.raises(ServiceUnavailableError, match="is open in another process"):
        read(str(tmp_path / "shard"), tmp_path)
    shard.close()
    assert len(read(str(tmp_path / "shard"), tmp_path)) == 3


def test_a_damaged_shard_is_bad_input(tmp_path: Path) -> None:
    folder = tmp_path / "shard"
    make_shard(folder, log=False).close()
    for path in folder.rglob("segment.json"):
        path.write_bytes(b"{")
    with pytest.raises(BadInputError, match="is damaged"):
        read(str(folder), tmp_path)
    (folder / "edge_config.json").write_text("[]")
    with pytest.raises(BadInputError, match=r"edge_config\.json is damaged"):
        open_foreign(str(folder), api_key=None, scratch=tmp_path).layout()


@pytest.mark.parametrize(
    ("source", "error"),
    [("books.csv", UsageError), ("books.parquet.gz", UsageError), ("books.jsonl", NotFoundError), (".", BadInputError)],
)
def test_what_is_no_collection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, error: type[RagflowError]
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error) as raised:
        open_foreign(source, api_key=None, scratch=tmp_path)
    assert raised.value.remedy


def test_a_server_by_its_client() -> None:
    client = LocalQdrant()
    fill(client)
    source = ServerCollection("http://127.0.0.1:6333/books", client=client)  # type: ignore[arg-type]
    layout = source.layout()
    assert layout.dense == {"title": DenseLayout(3, "Cosine")} and layout.others == ("rows",) and layout.points == 2
    check_books([point for page in source.pages() for point in page])


@pytest.fixture
def server() -> Iterator[ForeignServer]:
    with ForeignServer().running() as running:
        yield running


def test_a_server_by_its_address(server: ForeignServer, tmp_path: Path) -> None:
    server.points = [
        {"id": number, "vector": [1.0, float(number)], "payload": {"n": number}} for number in range(PAGE + 2)
    ]
    source = open_foreign(f"{server.url}/my%20books/", api_key=None, scratch=tmp_path)
    assert source.origin == f"{server.url}/my%20books"
    assert source.layout().dense == {"": DenseLayout(2, "Cosine")} and source.layout().points == PAGE + 2
    pages = list(source.pages())
    assert [len(page) for page in pages] == [PAGE, 2] and pages[1][1].payload == {"n": PAGE + 1}
    assert {path for path, _ in server.seen} == {
        "/collections/my%20books",
        "/collections/my%20books/points/count",
        "/collections/my%20books/points/scroll",
    }


def test_a_collection_that_changes_while_it_is_read(server: ForeignServer, tmp_path: Path) -> None:
    server.points = [{"id": number, "vector": [1.0, 0.0], "payload": {}} for number in range(PAGE + 2)]
    pages = open_foreign(f"{server.url}/books", api_key=None, scratch=tmp_path).pages()
    next(pages)
    del server.points[5]
    with pytest.raises(CheckFailedError, match="was written to while it was read"):
        list(pages)


def test_keys(server: ForeignServer, tmp_path: Path) -> None:
    server.key = "right"
    server.points = [{"id": 1, "vector": [1.0, 0.0], "payload": {}}]
    assert len(read(f"{server.url}/books", tmp_path, "right")) == 1
    with pytest.raises(UsageError, match="does not accept the API key") as raised:
        read(f"{server.url}/books", tmp_path, "wrong-and-secret")
    assert "wrong-and-secret" not in str(raised.value)
    with pytest.raises(UsageError, match=r"not sent to qdrant\.example over plain http"):
        open_foreign("http://qdrant.example:6333/books", api_key="right", scratch=tmp_path)


def test_servers_that_are_not_there(server: ForeignServer, tmp_path: Path) -> None:
    server.missing = True
    with pytest.raises(NotFoundError, match="books"):
        open_foreign(f"{server.url}/books", api_key=None, scratch=tmp_path).layout()
    with pytest.raises(UsageError, match="names no collection"):
        open_foreign(server.url, api_key=None, scratch=tmp_path)
    with pytest.raises(ServiceUnavailableError) as raised:
        open_foreign("http://127.0.0.1:9/books", api_key=None, scratch=tmp_path).layout()
    assert raised.value.exit_code == 5
