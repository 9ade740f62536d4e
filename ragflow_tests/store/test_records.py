"""Release records, version records, manifests, inventory: what is damaged is said, with its file."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from ragflow.errors import IntegrityError, NotFoundError
from ragflow.model.batches import BatchManifest, Change, DocumentChange, check_chain
from ragflow.model.ledger import Ledger
from ragflow.model.releases import Decision, ReleaseRecord, VersionRecord
from ragflow.store.home import Home
from ragflow.store.inventory import FileMark, InventoryStore
from ragflow.store.records import ReleaseStore

VERSION = VersionRecord(
    version="v000001",
    base=None,
    built_at="2026-11-20T10:00:00+00:00",
    dimension=384,
    configuration_fingerprint="a" * 64,
    corpus_fingerprint="b" * 64,
    batches={"20261120-0001-abcdef01": "c" * 64},
    points=2,
    merkle_root="d" * 64,
    upserted=2,
    deleted=0,
    unchanged=0,
)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def append(releases: ReleaseStore, decision: Decision = Decision.PROMOTED) -> ReleaseRecord:
    number, previous = releases.last_hash()
    record = ReleaseRecord(
        number=number + 1,
        version=f"v{number + 1:06d}",
        decision=decision,
        decided_at="2026-11-20T10:00:00+00:00",
        replaced=None,
        previous=previous,
        configuration_fingerprint="a" * 64,
        corpus_fingerprint="b" * 64,
        batches={},
        points=number,
        merkle_root="d" * 64,
        ledger=Ledger(),
        verdicts=(),
    )
    releases.append(record)
    return record


@pytest.fixture
def three(home: Home) -> ReleaseStore:
    for decision in (Decision.PROMOTED, Decision.REJECTED, Decision.ROLLED_BACK):
        append(home.releases, decision)
    return home.releases


def test_records_form_a_chain(three: ReleaseStore) -> None:
    records = three.all()
    assert [record.number for record in records] == [1, 2, 3]
    assert [record.decision for record in records] == ["promoted", "rejected", "rolled_back"]
    assert records[0].previous is None
    assert len({record.previous for record in records}) == 3


def test_an_empty_chain(home: Home) -> None:
    assert (home.releases.all(), home.releases.last_hash()) == ((), (0, None))


@pytest.mark.parametrize("number", [1, 2])
def test_an_edited_record_is_found(three: ReleaseStore, number: int) -> None:
    path = three.root / f"{number:06d}.json"
    path.write_bytes(orjson.dumps({**orjson.loads(path.read_bytes()), "points": 999}))
    with pytest.raises(IntegrityError, match=f"record {number} was edited") as caught:
        three.all()
    assert caught.value.remedy


@pytest.mark.parametrize("number", [1, 2])
def test_a_missing_record_is_found(three: ReleaseStore, number: int) -> None:
    (three.root / f"{number:06d}.json").unlink()
    with pytest.raises(IntegrityError, match=f"record {number} is missing"):
        three.all()


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"{}", b'{"number": 2}'])
def test_a_damaged_record_is_found(three: ReleaseStore, content: bytes) -> None:
    path = three.root / "000002.json"
    path.write_bytes(content)
    with pytest.raises(IntegrityError, match=str(path)):
        three.all()


def test_a_record_that_was_renamed_is_found(three: ReleaseStore) -> None:
    (three.root / "000003.json").rename(three.root / "000004.json")
    with pytest.raises(IntegrityError, match="record 3 is missing"):
        three.all()


def test_version_records_are_kept_beside_the_releases_without_mixing(home: Home) -> None:
    append(home.releases)
    home.version_records.put(VERSION)
    home.version_records.put(replace(VERSION, version="v000002", base="v000001"))
    assert home.version_records.find("v000001") == VERSION
    assert [record.version for record in home.version_records.all()] == ["v000001", "v000002"]
    assert len(home.releases.all()) == 1
    assert home.version_records.find("v000009") is None


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b"null"])
def test_a_damaged_version_record_is_named(home: Home, content: bytes) -> None:
    home.version_records.put(VERSION)
    (home.version_records.root / "v000001.json").write_bytes(content)
    with pytest.raises(IntegrityError, match="record of version v000001 is damaged"):
        home.version_records.find("v000001")


def manifests(home: Home, count: int) -> list[BatchManifest]:
    made: list[BatchManifest] = []
    for number in range(1, count + 1):
        made.append(
            BatchManifest.create(
                sequence=number,
                created_at="2026-11-20T10:00:00+00:00",
                previous=made[-1].sha256 if made else None,
                sources=(),
                documents=[DocumentChange(f"inbox/{number}.pdf", Change.ADDED, "a" * 64, 1)],
            )
        )
        home.manifests.append(made[-1])
    return made


def test_manifests_come_back_in_the_order_of_their_numbers(home: Home) -> None:
    made = manifests(home, 11)
    (home.manifests.root / ".tmp-abc-20261120-0012-00000000.json").write_bytes(b"half")
    assert list(home.manifests.all()) == made
    check_chain(home.manifests.all())


def test_a_manifest_that_is_not_there_is_not_found(home: Home) -> None:
    assert home.manifests.all() == ()
    for key in ("20261120-0001-abcdef01", "../releases/000001", ""):
        with pytest.raises(NotFoundError, match="no document batch"):
            home.manifests.get(key)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"{}", b'"text"'])
def test_a_damaged_manifest_is_named(home: Home, content: bytes) -> None:
    (manifest,) = manifests(home, 1)
    (home.manifests.root / f"{manifest.key}.json").write_bytes(content)
    with pytest.raises(IntegrityError) as caught:
        home.manifests.all()
    assert caught.value.exit_code == 4


def test_a_manifest_under_another_name_is_refused(home: Home) -> None:
    first, second = manifests(home, 2)
    (home.manifests.root / f"{second.key}.json").write_bytes(first.to_json())
    with pytest.raises(IntegrityError, match=f"holds the batch {first.key}"):
        home.manifests.get(second.key)


@pytest.mark.parametrize("name", ["notes", "20261120", "a-b-c", "20261120-0001-abcdef01 (copy)"])
def test_a_stray_file_among_the_manifests_is_named(home: Home, name: str) -> None:
    manifests(home, 1)
    (home.manifests.root / f"{name}.json").write_bytes(b"{}")
    with pytest.raises(IntegrityError, match=rf"{re.escape(name)}\.json is not named like a manifest"):
        home.manifests.all()


MARKS = {"a b/é\n#.pdf": FileMark(1, 2**62, "a" * 64), "b.pdf": FileMark(0, -5, "b" * 64)}


def test_the_inventory_comes_back(tmp_path: Path) -> None:
    inventory = InventoryStore(tmp_path / "inventory")
    assert inventory.load("inbox") == {}
    inventory.save("inbox", MARKS)
    assert inventory.load("inbox") == MARKS
    assert inventory.load("other") == {}


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"7", b'{"a": 5}', b'{"a": [1, 2]}', b"\xff"])
def test_a_damaged_inventory_is_an_empty_one(tmp_path: Path, content: bytes) -> None:
    inventory = InventoryStore(tmp_path)
    (tmp_path / "inbox.json").write_bytes(content)
    assert inventory.load("inbox") == {}
