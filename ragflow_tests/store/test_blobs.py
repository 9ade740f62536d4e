"""Content-addressed bytes."""

from __future__ import annotations

import io
from pathlib import Path
from typing import BinaryIO, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragflow.errors import NotFoundError
from ragflow.model.fingerprints import sha256_hex
from ragflow.store.blobs import PIECE, BlobStore, WrongContentError
from ragflow_tests.store.children import child

DATA = b"%PDF-1.7 some bytes"
SHA = sha256_hex(DATA)


@pytest.fixture
def blobs(tmp_path: Path) -> BlobStore:
    return BlobStore(tmp_path / "blobs")


def files(blobs: BlobStore) -> list[Path]:
    return [path for path in blobs.root.rglob("*") if path.is_file()]


def test_stored_bytes_come_back(blobs: BlobStore) -> None:
    blobs.add(io.BytesIO(DATA), SHA)
    blobs.sync()
    assert blobs.path(SHA).read_bytes() == DATA
    assert (blobs.has(SHA), blobs.verify(SHA), list(blobs)) == (True, None, [SHA])


def test_storing_twice_is_storing_once(blobs: BlobStore) -> None:
    blobs.add(io.BytesIO(DATA), SHA)
    blobs.add(io.BytesIO(DATA), SHA)
    assert files(blobs) == [blobs.path(SHA)]


@settings(max_examples=20)
@given(size=st.sampled_from([0, 1, PIECE - 1, PIECE, PIECE + 1, 2 * PIECE]))
def test_every_size_is_stored_whole(tmp_path_factory: pytest.TempPathFactory, size: int) -> None:
    blobs = BlobStore(tmp_path_factory.mktemp("blobs"))
    data = bytes(size)
    blobs.add(io.BytesIO(data), sha256_hex(data))
    assert blobs.path(sha256_hex(data)).stat().st_size == size


def test_other_bytes_than_expected_store_nothing(blobs: BlobStore) -> None:
    with pytest.raises(WrongContentError, match=SHA):
        blobs.add(io.BytesIO(DATA + b"!"), SHA)
    assert not blobs.has(SHA)
    assert files(blobs) == []


def test_other_bytes_than_expected_do_not_replace_the_right_ones(blobs: BlobStore) -> None:
    blobs.add(io.BytesIO(DATA), SHA)
    with pytest.raises(WrongContentError):
        blobs.add(io.BytesIO(b"wrong"), SHA)
    assert blobs.verify(SHA) is None


class Torn(io.BytesIO):
    """A disk that fails in the middle."""

    def read(self, size: int | None = -1, /) -> bytes:
        piece = super().read(8)
        if not piece:
            raise OSError(5, "Input/output error")
        return piece


def test_a_read_error_stores_nothing(blobs: BlobStore) -> None:
    with pytest.raises(OSError, match="Input/output"):
        blobs.add(cast("BinaryIO", Torn(DATA)), SHA)
    assert files(blobs) == []


def test_a_kill_while_storing_leaves_no_blob(blobs: BlobStore) -> None:
    code = """
    from ragflow.store.blobs import BlobStore

    class Slow:
        pieces = [b"%PDF"]

        def read(self, size):
            if self.pieces:
                return self.pieces.pop()
            print("ready", flush=True)
            time.sleep(600)

    BlobStore(Path(sys.argv[1])).add(Slow(), sys.argv[2])
    """
    with child(code, blobs.root, SHA):
        pass
    assert not blobs.has(SHA)
    assert list(blobs) == [], "what the killed process left behind is no blob"
    blobs.add(io.BytesIO(DATA), SHA)
    assert blobs.verify(SHA) is None


def test_damage_is_named(blobs: BlobStore) -> None:
    assert blobs.verify(SHA) == "the stored bytes are missing"
    blobs.add(io.BytesIO(DATA), SHA)
    blobs.path(SHA).write_bytes(DATA[:-1] + b"?")
    problem = blobs.verify(SHA)
    assert problem is not None
    assert SHA[:12] in problem
    assert sha256_hex(DATA[:-1] + b"?")[:12] in problem


@pytest.mark.parametrize("name", ["", "abc", "../../etc/passwd", SHA.upper(), SHA[:-1] + "/", SHA + "0"])
def test_only_a_hash_is_a_name(blobs: BlobStore, name: str) -> None:
    with pytest.raises(NotFoundError, match="is not a SHA-256"):
        blobs.path(name)
