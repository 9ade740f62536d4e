"""Parquet tables with a record of their hashes."""

from __future__ import annotations

from pathlib import Path

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ragflow.errors import IncompleteError, IntegrityError
from ragflow.store.tables import TableRecord, TableStore
from ragflow_tests.store.children import child

ASSET, BATCH = "chunks", "20261120-0001-abcdef01"


@pytest.fixture
def tables(tmp_path: Path) -> TableStore:
    return TableStore(tmp_path / "tables")


def write(tables: TableStore, *values: int, fingerprint: str = "f1") -> TableRecord:
    return tables.write(
        ASSET,
        BATCH,
        fingerprint=fingerprint,
        tables={"numbers": pa.table({"n": list(values)}), "names": pa.table({"s": ["a", "b"]})},
        figures={"rows": len(values)},
    )


def path_of(tables: TableStore, record: TableRecord, name: str = "numbers") -> Path:
    return tables.folder(ASSET, BATCH) / record.files[name].file


def flip(path: Path, place: int) -> None:
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)


def test_tables_come_back_with_their_record(tables: TableStore) -> None:
    written = write(tables, 3, 1, 2)
    record = tables.get(ASSET, BATCH)
    assert record == written
    assert tables.read(record, "numbers").column("n").to_pylist() == [3, 1, 2]
    assert (record.files["numbers"].rows, record.figures) == (3, {"rows": 3})
    assert record.files["numbers"].size == path_of(tables, record).stat().st_size
    assert tables.damage(record) == {}
    assert tables.batches(ASSET) == (BATCH,)
    assert tables.current(ASSET, BATCH, "f1") == record


def test_columns_and_rows_can_be_chosen(tables: TableStore) -> None:
    record = write(tables, 3, 1, 2)
    assert tables.rows(record, "numbers", [("n", ">=", 2)]).column("n").to_pylist() == [3, 2]
    assert tables.read(record, "names", columns=["s"]).column_names == ["s"]


def test_without_a_record_there_is_no_table(tables: TableStore) -> None:
    assert tables.find(ASSET, BATCH) is None
    assert tables.current(ASSET, BATCH, "f1") is None
    assert tables.batches(ASSET) == ()
    with pytest.raises(IncompleteError, match=f"{ASSET} is missing for batch {BATCH}") as caught:
        tables.get(ASSET, BATCH)
    assert caught.value.remedy


def test_the_hash_of_the_output_depends_on_the_contents_only(tables: TableStore, tmp_path: Path) -> None:
    first = write(tables, 1, 2)
    again = write(TableStore(tmp_path / "other"), 1, 2, fingerprint="f2")
    assert first.output_sha256 == again.output_sha256
    assert write(tables, 1, 3).output_sha256 != first.output_sha256


KILLED = """
import pyarrow as pa
from ragflow.store import tables
real = tables.write_bytes

def stop(path, data, **options):
    print("ready", flush=True)
    time.sleep(600)

tables.write_bytes = stop
tables.TableStore(Path(sys.argv[1])).write(
    sys.argv[2], sys.argv[3], fingerprint="f2", tables={"numbers": pa.table({"n": [9]})}, figures={}
)
"""


def test_a_kill_before_the_record_leaves_the_old_tables(tables: TableStore) -> None:
    old = write(tables, 1, 2)
    with child(KILLED, tables.root, ASSET, BATCH):
        pass
    record = tables.get(ASSET, BATCH)
    assert record == old
    assert tables.damage(record) == {}
    assert tables.read(record, "numbers").column("n").to_pylist() == [1, 2]
    assert len(list(tables.folder(ASSET, BATCH).glob("numbers-*.parquet"))) == 2, "the killed one got as far as this"
    write(tables, 5)
    assert len(list(tables.folder(ASSET, BATCH).glob("numbers-*.parquet"))) == 1, "and is swept by the next"


def test_a_kill_before_the_first_record_leaves_no_table(tables: TableStore) -> None:
    with child(KILLED, tables.root, ASSET, BATCH):
        pass
    assert tables.find(ASSET, BATCH) is None


def test_another_fingerprint_is_not_current(tables: TableStore) -> None:
    write(tables, 1)
    assert tables.current(ASSET, BATCH, "f2") is None


@pytest.mark.parametrize("place", [0, 4, -5, -1])
@pytest.mark.parametrize("name", ["numbers", "names"])
def test_one_flipped_bit_is_found(tables: TableStore, name: str, place: int) -> None:
    record = write(tables, 1, 2, 3)
    flip(path_of(tables, record, name), place)
    assert tables.damage(record) == {name: "the file's bytes no longer match the recorded hash"}
    assert tables.current(ASSET, BATCH, "f1") is None


def test_a_missing_file_is_found(tables: TableStore) -> None:
    record = write(tables, 1)
    path_of(tables, record).unlink()
    assert tables.damage(record) == {"numbers": "the file is missing"}
    assert tables.current(ASSET, BATCH, "f1") is None
    with pytest.raises(IntegrityError, match=BATCH) as caught:
        tables.read(record, "numbers")
    assert f"Materialize {ASSET}" in caught.value.remedy


@pytest.mark.parametrize("content", [b"", b"not parquet", b"PAR1PAR1"])
def test_a_file_that_is_no_parquet_is_an_integrity_error(tables: TableStore, content: bytes) -> None:
    record = write(tables, 1)
    path_of(tables, record).write_bytes(content)
    with pytest.raises(IntegrityError, match=f"numbers of {ASSET} for batch {BATCH}"):
        tables.read(record, "numbers")


def test_a_column_that_is_gone_is_an_integrity_error(tables: TableStore) -> None:
    record = write(tables, 1)
    pq.write_table(pa.table({"other": [1]}), path_of(tables, record))
    with pytest.raises(IntegrityError):
        tables.read(record, "numbers", columns=["n"])
    with pytest.raises(IntegrityError):
        tables.rows(record, "numbers", [("n", "==", 1)])


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"null", b"{}", b'{"files": []}', b'{"files": {"a": {"file": "x"}}}', b"\xff\xfe"]
)
def test_a_damaged_record_is_named_with_its_file(tables: TableStore, content: bytes) -> None:
    write(tables, 1)
    path = tables.folder(ASSET, BATCH) / "record.json"
    path.write_bytes(content)
    with pytest.raises(IntegrityError, match=f"record of {ASSET} for batch {BATCH}") as caught:
        tables.find(ASSET, BATCH)
    assert str(path) in caught.value.remedy


def test_a_record_with_an_unknown_field_is_damaged(tables: TableStore) -> None:
    write(tables, 1)
    path = tables.folder(ASSET, BATCH) / "record.json"
    path.write_bytes(orjson.dumps({**orjson.loads(path.read_bytes()), "extra": 1}))
    with pytest.raises(IntegrityError):
        tables.find(ASSET, BATCH)


def test_writing_again_sweeps_what_no_longer_counts(tables: TableStore) -> None:
    old = write(tables, 1, 2)
    partial = tables.partial(ASSET, BATCH, "f1" * 10)
    partial.mkdir(parents=True)
    (partial / "unit.arrow").write_bytes(b"work in progress")
    new = write(tables, 1, 2, 3, fingerprint="f2")
    names = {path.name for path in tables.folder(ASSET, BATCH).iterdir()}
    assert names == {"record.json", *(file.file for file in new.files.values())}
    assert old.files["numbers"].file not in names
    assert old.files["names"].file == new.files["names"].file, "equal contents, equal name"


def test_a_reader_with_an_open_file_is_not_disturbed(tables: TableStore) -> None:
    record = write(tables, *range(1000))
    with pq.ParquetFile(path_of(tables, record)) as reader:
        write(tables, 5, fingerprint="f2")
        assert not path_of(tables, record).exists()
        assert reader.read().column("n").to_pylist() == list(range(1000))
    with pytest.raises(IntegrityError):
        tables.read(record, "numbers")
    assert tables.read(tables.get(ASSET, BATCH), "numbers").column("n").to_pylist() == [5]


def test_an_error_while_writing_leaves_the_old_tables(tables: TableStore) -> None:
    old = write(tables, 1)
    with pytest.raises(TypeError):
        tables.write(ASSET, BATCH, fingerprint="f2", tables={"numbers": pa.table({"n": [2]})}, figures={"x": object()})
    assert tables.current(ASSET, BATCH, "f1") == old
    assert not list(tables.folder(ASSET, BATCH).glob(".tmp-*"))
