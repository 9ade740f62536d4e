"""A reader sees the old file or the new one, whatever happens in between."""

from __future__ import annotations

from pathlib import Path

import pytest

from ragflow.store.atomic import TEMPORARY_PREFIX, replacing, write_bytes
from ragflow_tests.store.children import child

KILLED_WHILE_WRITING = """
from ragflow.store.atomic import replacing
with replacing(Path(sys.argv[1]), durable=sys.argv[2] == "durable") as temporary:
    temporary.write_bytes(b"half of the new")
    print("ready", flush=True)
    time.sleep(600)
"""


@pytest.mark.parametrize("durable", [True, False])
def test_a_file_is_written_and_replaced(tmp_path: Path, durable: bool) -> None:
    target = tmp_path / "deep" / "er" / "file.json"
    write_bytes(target, b"one", durable=durable)
    write_bytes(target, b"two", durable=durable)
    assert target.read_bytes() == b"two"
    assert [path.name for path in target.parent.iterdir()] == ["file.json"]


@pytest.mark.parametrize("durable", ["durable", "not durable"])
def test_a_kill_while_writing_leaves_the_old_file(tmp_path: Path, durable: str) -> None:
    target = tmp_path / "file.json"
    target.write_bytes(b"the old")
    with child(KILLED_WHILE_WRITING, target, durable):
        assert target.read_bytes() == b"the old"
    assert target.read_bytes() == b"the old"
    assert all(path.name.startswith(TEMPORARY_PREFIX) for path in tmp_path.iterdir() if path != target)
    write_bytes(target, b"the new")
    assert target.read_bytes() == b"the new"


def test_a_kill_before_the_first_write_leaves_no_file(tmp_path: Path) -> None:
    with child(KILLED_WHILE_WRITING, tmp_path / "file.json", "durable"):
        pass
    assert not (tmp_path / "file.json").exists()


def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "file.json"
    target.write_bytes(b"the old")
    with pytest.raises(ZeroDivisionError), replacing(target) as temporary:
        temporary.write_bytes(b"the new")
        raise ZeroDivisionError
    assert [path.name for path in tmp_path.iterdir()] == ["file.json"]
    assert target.read_bytes() == b"the old"


def test_two_writers_do_not_mix(tmp_path: Path) -> None:
    target = tmp_path / "file.json"
    with replacing(target) as first, replacing(target) as second:
        assert first != second
        first.write_bytes(b"first")
        second.write_bytes(b"second")
    assert target.read_bytes() == b"first", "the inner block ends first, the outer one replaces its file"


def test_a_name_as_long_as_the_file_system_allows_can_be_replaced(tmp_path: Path) -> None:
    target = tmp_path / ("x" * 255)
    write_bytes(target, b"fits")
    assert target.read_bytes() == b"fits"
