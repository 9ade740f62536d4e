from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from ragflow.errors import IntegrityError
from ragflow.vectors.files import (
    allocated_bytes,
    check_inventory,
    copy_file,
    copy_tree,
    data_extents,
    take_inventory,
    write_json,
)

MEGABYTE = 1 << 20


def make_sparse_file(path: Path) -> None:
    with path.open("wb") as file:
        file.seek(3 * MEGABYTE)
        file.write(os.urandom(70_000))
        file.seek(20 * MEGABYTE)
        file.write(b"end")
        file.truncate(64 * MEGABYTE)


def test_copies_are_equal_and_keep_their_holes(tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "below" / "empty").mkdir(parents=True)
    make_sparse_file(source / "below" / "holes")
    (source / "nothing").touch()
    (source / "only-hole").touch()
    os.truncate(source / "only-hole", MEGABYTE)
    (source / "plain").write_bytes(os.urandom(3 * MEGABYTE + 17))
    copy_tree(source, tmp_path / "copy")
    assert (tmp_path / "copy" / "below" / "empty").is_dir()
    for name in ("below/holes", "nothing", "only-hole", "plain"):
        assert (tmp_path / "copy" / name).read_bytes() == (source / name).read_bytes()
    assert allocated_bytes(tmp_path / "copy") <= allocated_bytes(source) + 64 * 1024
    if allocated_bytes(source) < 10 * MEGABYTE:  # the file system has holes
        with (source / "below" / "holes").open("rb") as file:
            assert sum(end - start for start, end in data_extents(file.fileno(), 64 * MEGABYTE)) < MEGABYTE


def test_copies_where_the_kernel_cannot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_sparse_file(tmp_path / "source")

    def refuse(*_: int) -> int:
        raise OSError(errno.EXDEV, "not here")

    monkeypatch.setattr(os, "copy_file_range", refuse)
    copy_file(tmp_path / "source", tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == (tmp_path / "source").read_bytes()
    assert (tmp_path / "copy").stat().st_blocks <= (tmp_path / "source").stat().st_blocks + 128


def test_a_copy_never_overwrites(tmp_path: Path) -> None:
    for name in ("source", "target"):
        (tmp_path / name).write_text(name)
    with pytest.raises(FileExistsError):
        copy_file(tmp_path / "source", tmp_path / "target")
    assert (tmp_path / "target").read_text() == "target"


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "record.json"
    write_json(path, {"b": 1, "a": "é"})
    assert path.read_bytes() == '{"a":"é","b":1}\n'.encode()

    def fail(_: int) -> None:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="full"):
        write_json(path, {"new": True})
    assert path.read_bytes() == '{"a":"é","b":1}\n'.encode()
    assert [entry.name for entry in tmp_path.iterdir()] == ["record.json"]


def test_an_inventory_sees_what_changed(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    file = tmp_path / "below" / "file"
    file.write_bytes(b"contents")
    inventory = take_inventory(tmp_path)
    assert list(inventory) == ["below/file"]
    (tmp_path / "other").write_bytes(b"does not matter")
    check_inventory(tmp_path, inventory, deep=True)

    os.utime(file, (1, 1))
    check_inventory(tmp_path, inventory)
    file.write_bytes(b"contentz")
    with pytest.raises(IntegrityError, match="other contents"):
        check_inventory(tmp_path, inventory)
    os.utime(file, ns=(inventory["below/file"].modified_ns,) * 2)
    check_inventory(tmp_path, inventory)
    with pytest.raises(IntegrityError, match="other contents"):
        check_inventory(tmp_path, inventory, deep=True)
