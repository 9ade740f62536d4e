"""Where backups lie: objects under their hashes, manifests and proofs under seals, and who may remove what."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path

import orjson
import pytest

from ragflow.errors import (
    BadInputError,
    CheckFailedError,
    DependencyMissingError,
    IntegrityError,
    NotFoundError,
    UsageError,
)
from ragflow.model.backups import BackupFile, BackupManifest, BackupProof, BackupState, Part, manifest_sha256
from ragflow.model.fingerprints import canonical_json, sha256_hex
from ragflow.model.releases import sealed
from ragflow.model.verdicts import Outcome, Verdict
from ragflow.store.backups import BackupTarget, open_target
from ragflow.store.remote import open_remote

CONTENT = b"the bytes of a document"
HASH = sha256_hex(CONTENT)
DEAD = 2**22 + 1
"""More than the largest number of a process."""


@pytest.fixture(params=["folder", "bucket"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[BackupTarget]:
    if request.param == "folder":
        yield open_target(str(tmp_path / "target"))
        return
    address = f"memory://{tmp_path.name}"
    yield open_target(address)
    files = open_remote(address)
    for path in files.find(""):
        files.remove(path)


def put(target: BackupTarget, path: str, data: bytes) -> None:
    open_remote(target.address).write(path, data)


def paths(target: BackupTarget) -> set[str]:
    return set(open_remote(target.address).find(""))


def file_of(content: bytes, path: str = "blobs/ab/abcd") -> BackupFile:
    digest = sha256_hex(content)
    return BackupFile(Part.HOME, path, digest, len(content), digest, len(content))


def manifest_of(name: str, *contents: bytes, created_at: str = "2026-01-01T00:00:00+00:00") -> BackupManifest:
    return BackupManifest(
        name=name,
        created_at=created_at,
        made_by="0",
        version="v000001",
        points=0,
        merkle_root=sha256_hex(b""),
        engine="engine",
        engine_version="1",
        collection={"dimension": 4},
        documents=True,
        files=tuple(file_of(content, f"blobs/{number}") for number, content in enumerate(contents)),
    )


def store(target: BackupTarget, name: str, *contents: bytes, good: bool = True) -> BackupManifest:
    for content in contents:
        target.ensure(sha256_hex(content), len(content), content)
    manifest = manifest_of(name, *contents)
    target.put_manifest(manifest)
    outcome = Outcome.PASS if good else Outcome.FAIL
    target.put_proof(
        BackupProof(name, manifest_sha256(manifest.to_json()), "now", 0.0, (Verdict("backup_points", outcome, ""),))
    )
    return manifest


def test_an_object_is_written_once_and_anew_if_it_is_damaged(target: BackupTarget, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(CONTENT)
    assert target.problem_of(HASH, len(CONTENT)) == f"object {HASH} is missing"
    assert target.ensure(HASH, len(CONTENT), source)
    assert not target.ensure(HASH, len(CONTENT), tmp_path / "not even looked at")
    assert target.problem_of(HASH, len(CONTENT)) is None
    for damage in (b"the bytes of A document", CONTENT[:-1], b""):
        put(target, f"objects/{HASH[:2]}/{HASH}", damage)
        assert "has other bytes" in str(target.problem_of(HASH, len(CONTENT)))
        with pytest.raises(IntegrityError, match=HASH):
            target.fetch(HASH, BytesIO())
        assert target.ensure(HASH, len(CONTENT), CONTENT)
        assert target.problem_of(HASH, len(CONTENT)) is None
    found = BytesIO()
    target.fetch(HASH, found)
    assert found.getvalue() == CONTENT
    assert target.objects() == {HASH: len(CONTENT)}


def test_a_source_with_other_bytes_is_refused_and_leaves_nothing(target: BackupTarget, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"the bytes of another one")
    with pytest.raises(IntegrityError, match=str(source)):
        target.ensure(HASH, len(CONTENT), source)
    with pytest.raises(IntegrityError, match="cannot be read"):
        target.ensure(HASH, len(CONTENT), tmp_path / "missing")
    assert paths(target) == set()


def test_manifest_and_proof_come_back_and_tell_the_state(target: BackupTarget) -> None:
    manifest = store(target, "first", CONTENT)
    store(target, "second", CONTENT, good=False)
    target.put_manifest(manifest_of("third"))
    assert target.names() == ["first", "second", "third"]
    assert target.manifest("first") == manifest
    states = [target.state(name) for name in target.names()]
    assert states == [BackupState.GOOD, BackupState.BAD, BackupState.UNPROVEN]
    with pytest.raises(NotFoundError, match=r"fourth.*first, second, third"):
        target.manifest("fourth")


def test_an_edited_manifest_is_bad(target: BackupTarget) -> None:
    manifest = store(target, "first", CONTENT)
    value = orjson.loads(manifest.to_json())
    put(target, "backups/first/manifest.json", canonical_json({**value, "points": 7}))
    with pytest.raises(IntegrityError, match=r"first was edited"):
        target.manifest("first")
    assert target.state("first") is BackupState.BAD
    put(target, "backups/first/manifest.json", replace(manifest, points=7).to_json())
    assert target.manifest("first").points == 7, "sealed anew by a forger"
    assert target.state("first") is BackupState.BAD, "but the proof speaks of another"
    put(target, "backups/first/manifest.json", b"{")
    with pytest.raises(IntegrityError, match=r"first is damaged"):
        target.manifest("first")
    put(target, "backups/first/manifest.json", replace(manifest, name="other").to_json())
    with pytest.raises(IntegrityError, match=r"is that of backup other"):
        target.manifest("first")


def test_an_edited_proof_is_bad(target: BackupTarget) -> None:
    store(target, "first", CONTENT, good=False)
    data = open_remote(target.address).read("backups/first/proof.json")
    assert data is not None
    value = orjson.loads(data)
    value["verdicts"][0]["outcome"] = "pass"
    put(target, "backups/first/proof.json", canonical_json(value))
    with pytest.raises(IntegrityError, match="proof of backup first"):
        target.proof("first")
    assert target.state("first") is BackupState.BAD


@pytest.mark.parametrize(
    "path", ["../outside", "/etc/passwd", "tables/../../x", "secrets/passwords.key", "vectors/alias.json", ".", ""]
)
def test_no_manifest_leads_out_of_the_home_or_to_its_secrets(target: BackupTarget, path: str) -> None:
    value = orjson.loads(manifest_of("first", CONTENT).to_json())
    value["files"][0]["path"] = path
    del value["seal"]
    put(target, "backups/first/manifest.json", canonical_json(sealed(value)))
    with pytest.raises(IntegrityError, match="no path"):
        target.manifest("first")


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".hidden", "x" * 101, "a b"])
def test_names_that_are_no_names(target: BackupTarget, name: str) -> None:
    with pytest.raises(UsageError), target.writing(name):
        pass


def test_a_sweep_removes_what_no_manifest_names(target: BackupTarget) -> None:
    store(target, "first", b"shared", b"of the first")
    store(target, "second", b"shared", b"of the second")
    target.ensure(HASH, len(CONTENT), CONTENT)
    put(target, "objects/ab/.tmp-1234-half", b"half an object")
    target.remove("second")
    swept = target.sweep()
    assert swept is not None
    assert (swept.objects, swept.size) == (3, len(b"of the second") + len(CONTENT) + len(b"half an object"))
    assert set(target.objects()) == {sha256_hex(b"shared"), sha256_hex(b"of the first")}
    assert paths(target) >= {"backups/first/manifest.json", "backups/first/proof.json"}
    assert not any("second" in path or "sweeping" in path for path in paths(target))


def test_nothing_is_swept_while_a_backup_is_written(target: BackupTarget) -> None:
    store(target, "first", b"of the first")
    with target.writing("second"):
        target.ensure(HASH, len(CONTENT), CONTENT)
        assert target.being_written() == ["second"]
        assert target.sweep() is None
        assert HASH in target.objects()
        with pytest.raises(CheckFailedError, match="second"), target.writing("second"):
            pass
    assert target.being_written() == []
    swept = target.sweep()
    assert swept is not None and swept.objects == 1


def mark(host: str, pid: int, age: timedelta) -> bytes:
    return orjson.dumps({"host": host, "pid": pid, "at": (datetime.now(UTC) - age).isoformat()})


def test_marks_that_were_left_behind_are_passed_over(target: BackupTarget) -> None:
    here, day = socket.gethostname(), timedelta(days=1)
    for left in (mark(here, DEAD, timedelta()), mark("elsewhere", 1, 4 * day), b"{", b"[]"):
        put(target, "backups/killed/writing.json", left)
        assert target.being_written() == []
        assert target.sweep() is not None
        assert paths(target) == set()
    put(target, "backups/killed/writing.json", mark("elsewhere", DEAD, 2 * day))
    assert target.being_written() == ["killed"]
    assert target.sweep() is None
    assert target.sweep(patience=day) is not None


def test_a_backup_waits_for_a_sweep(target: BackupTarget) -> None:
    put(target, "sweeping.json", mark("elsewhere", 1, timedelta()))
    with pytest.raises(Exception, match="sweeping"), target.writing("first", seconds=0.5):
        pytest.fail("it did not wait")
    assert target.sweep() is None
    put(target, "sweeping.json", mark(socket.gethostname(), DEAD, timedelta()))
    with target.writing("first"):
        pass


def test_a_good_backup_is_not_written_over(target: BackupTarget) -> None:
    store(target, "first", CONTENT)
    with pytest.raises(UsageError, match="first"), target.writing("first"):
        pass
    store(target, "second", CONTENT, good=False)
    with target.writing("second"):
        assert target.state("second") is BackupState.UNPROVEN


def test_addresses_that_cannot_be_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for address in ("s3://key:secret@bucket/x", "s3://bucket/x?secret=1", "zip://a::s3://b", "", "s3://"):
        with pytest.raises(UsageError) as caught:
            open_target(address)
        assert "secret" not in str(caught.value)
    with pytest.raises(UsageError, match="nowhere"):
        open_target("nowhere://bucket/x")
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(BadInputError, match="not a folder"):
        open_target(str(tmp_path / "file"))
    with pytest.raises(NotFoundError, match="no backups"):
        open_target(str(tmp_path / "nothing"), existing=True)
    monkeypatch.setitem(sys.modules, "s3fs", None)
    with pytest.raises(DependencyMissingError, match=r"ragflow-archive\[s3\]"):
        open_target("s3://bucket/x")
