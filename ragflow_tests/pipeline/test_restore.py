"""A backup comes back: into an empty home, into one that has lost something, and never over what is live."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from ragflow.errors import BadInputError, CheckFailedError, IntegrityError, NotFoundError
from ragflow.model.backups import Part
from ragflow.model.fingerprints import canonical_json
from ragflow.model.reading import Effort
from ragflow.pipeline.backing_up import back_up
from ragflow.pipeline.hits import Hit
from ragflow.pipeline.release import judge, live_version
from ragflow.pipeline.restoring import restore
from ragflow.pipeline.searching import Searcher
from ragflow.pipeline.verification import verify
from ragflow.pipeline.workspace import Workspace
from ragflow.store.backups import BackupTarget
from ragflow.store.forgotten import Kind
from ragflow.store.rereads import Reread
from ragflow_tests.pipeline.archive import (
    LATER,
    Archive,
    flip,
    ingest,
    make_workspace,
    put,
    run_pending,
    scan_inbox,
    sha_of,
    table_path,
)
from ragflow_tests.pipeline.backups import (
    NAME,
    copied_backup,
    decisions,
    files_like,
    forge,
    is_sound,
    object_path,
    shared_backup,
    snapshot,
    with_content,
)

QUERIES = ("granite quarry", "toiture du lavoir", "ferry across the lake", "WINDMILL")


@pytest.fixture
def source(archive: Archive) -> str:
    return str(shared_backup(archive))


@pytest.fixture
def target(archive: Archive, tmp_path: Path) -> BackupTarget:
    """A copy of the backup, to change."""
    return copied_backup(archive, tmp_path / "target")


@pytest.fixture
def empty(tmp_path: Path) -> Workspace:
    return make_workspace(tmp_path.resolve() / "empty")


def hits(workspace: Workspace) -> list[list[Hit]]:
    with Searcher(workspace) as searcher:
        return [searcher.search(query) for query in QUERIES]


def test_an_empty_home_gets_everything_back(archive: Archive, source: str, empty: Workspace) -> None:
    report = restore(empty, source)
    assert (report.name, report.version, report.loaded_from) == (NAME, "v000002", "snapshot")
    assert (report.decision, report.live, report.passed) == ("promoted", "v000002", True)
    assert (report.replaced, report.intact, report.left) == (0, 0, ())
    assert verify(empty, deep=True).passed
    assert hits(empty) == hits(archive.workspace)
    assert decisions(empty)[:2] == decisions(archive.workspace)
    assert decisions(empty)[2:] == [("v000002", "withdrawn", "v000002"), ("v000002", "promoted", None)]
    assert NAME in empty.home.releases.all()[2].reason
    for number in (1, 2):
        assert empty.home.releases.hash_of(number) == archive.home.releases.hash_of(number)
    assert not empty.home.passwords_key.exists()
    before = snapshot(empty.home.root)
    again = restore(empty, source)
    assert (again.decision, again.put, again.replaced, again.loaded_from) == ("unchanged", 0, 0, "kept")
    assert snapshot(empty.home.root) == before, "a second run changes nothing"


def test_a_restored_home_goes_on(source: str, empty: Workspace, tmp_path: Path) -> None:
    """Documents are added, released and backed up after a restore; names of versions are not used again."""
    restore(empty, source)
    put(empty, "new.pdf", "The new bridge was opened by the mayor on a rainy Sunday.")
    scan_inbox(empty, allow_removals=True)
    run_pending(empty)
    report = ingest(empty)
    assert (report.decision, report.live) == ("promoted", "v000003")
    assert back_up(empty, str(tmp_path / "next")).version == "v000003"
    assert restore(empty, source).decision == "candidate", "the older one stands beside what is live"
    assert live_version(empty) == "v000003" and is_sound(empty)


def test_what_was_lost_or_damaged_comes_back(copied: Archive, source: str) -> None:
    home, workspace = copied.home, copied.workspace
    before = snapshot(home.root)
    flip(home.blobs.path(sha_of(workspace, LATER)))
    home.blobs.path(sha_of(workspace, "inbox/report.pdf")).unlink()
    flip(table_path(workspace, "chunks", copied.first, "chunks"))
    shutil.rmtree(home.tables.folder("embeddings", copied.second))
    (home.tables.folder("raw_pdfs", copied.first) / "record.json").write_bytes(b"[")
    (home.manifests.root / f"{copied.first}.json").write_bytes(b"{}")
    (home.manifests.root / f"{copied.second}.json").unlink()
    edited = home.releases.root / "000001.json"
    edited.write_bytes(edited.read_bytes().replace(b'"points": 8', b'"points": 9'))
    (home.releases.root / "000002.json").unlink()
    flip(home.canaries.root / "000002.json")
    record = home.version_records.find("v000002")
    assert record is not None
    home.version_records.put(replace(record, merkle_root=record.merkle_root[::-1]))
    assert edited.read_bytes() != before["releases/000001.json"]
    report = restore(workspace, source)
    assert (report.decision, report.live, report.left) == ("unchanged", "v000002", ())
    assert report.replaced == 7 and report.put >= 5
    after = snapshot(home.root)
    assert {name for name in before if after.get(name) != before[name]} == set()
    assert is_sound(workspace)


def test_what_a_person_changed_is_left(copied: Archive, tmp_path: Path, empty: Workspace) -> None:
    settings, golden = (copied.home.root / name for name in ("ragflow.toml", "golden.jsonl"))
    settings.write_text("# of the backup")
    golden.write_text("")
    source = back_up(copied.workspace, str(tmp_path / "t")).target
    settings.write_text("# mine")
    golden.unlink()
    report = restore(copied.workspace, source)
    assert (report.left, report.put, settings.read_text()) == (("ragflow.toml",), 1, "# mine")
    assert golden.read_text() == ""
    asked: list[str] = []

    def settled() -> Workspace:
        asked.append((empty.home.root / "ragflow.toml").read_text())
        return empty

    assert restore(empty, source, settled=settled).decision == "promoted"
    assert asked == ["# of the backup"], "the settings are read once they are there, before the gate judges"


def test_lists_that_only_grow(copied: Archive, tmp_path: Path, empty: Workspace) -> None:
    home = copied.home
    reread = Reread(sha_of(copied.workspace, LATER), 0, Effort.THOROUGH, "a reader asked", "2026-01-01T00:00:00+00:00")
    home.rereads.add([reread])
    home.absences.add(["ab" * 32], Kind.PRUNED, "nothing needs it")
    source = back_up(copied.workspace, str(tmp_path / "t")).target
    assert restore(copied.workspace, source).left == ()
    kept = snapshot(home.root)
    home.rereads.add([replace(reread, page_index=None)])
    home.absences.add(["cd" * 32], Kind.PRUNED, "nor this")
    report = restore(copied.workspace, source)
    assert (report.left, report.put, report.replaced) == ((), 0, 0)
    assert (len(home.rereads.all()), len(home.absences.all())) == (2, 2), "what came later stays"
    (home.rereads.root / "requests.jsonl").write_bytes(b"")
    home.absences.path.unlink()
    assert restore(copied.workspace, source).replaced == 1
    assert snapshot(home.root) == kept


def test_what_was_forgotten_does_not_come_back(copied: Archive, source: str, tmp_path: Path) -> None:
    sha256 = sha_of(copied.workspace, LATER)
    copied.home.absences.add([sha256], Kind.FORGOTTEN, "the family asked")
    copied.home.blobs.path(sha256).unlink()
    before = snapshot(copied.home.root)
    with pytest.raises(CheckFailedError, match="forgotten here"):
        restore(copied.workspace, source)
    assert snapshot(copied.home.root) == before
    shutil.copytree(source, tmp_path / "t")
    report = back_up(copied.workspace, str(tmp_path / "t"), version="v000001", documents=False)
    assert report.holding_forgotten == (NAME,)


def test_a_pruned_version_comes_back_beside_the_live_one(copied: Archive, tmp_path: Path) -> None:
    workspace = copied.workspace
    source = back_up(workspace, str(tmp_path / "t"), version="v000001").target
    workspace.versions().discard("v000001")
    workspace.home.version_records.remove("v000001")
    before = decisions(workspace)
    report = restore(workspace, source)
    assert (report.version, report.decision, report.live) == ("v000001", "candidate", "v000002")
    assert report.verdicts and report.loaded_from == "snapshot"
    assert (live_version(workspace), decisions(workspace)) == ("v000002", before)
    assert is_sound(workspace) and verify(workspace, "v000001").passed
    assert judge(workspace, "v000001", explicit=True).decision == "promoted"


def test_a_version_that_would_not_pass_is_refused_and_what_is_live_stays(copied: Archive, tmp_path: Path) -> None:
    workspace = copied.workspace
    source = back_up(workspace, str(tmp_path / "t"), version="v000001", documents=False).target
    workspace.versions().discard("v000001")
    strict = replace(workspace, gate=replace(workspace.gate, coverage=1.1))
    report = restore(strict, source)
    assert (report.decision, report.passed, report.live) == ("refused", False, "v000002")
    assert "coverage" in {verdict.name for verdict in report.verdicts if not verdict.passed}
    assert live_version(workspace) == "v000002" and is_sound(workspace)


def test_a_damaged_live_version_is_replaced_by_its_own_content_under_another_name(copied: Archive, source: str) -> None:
    workspace = copied.workspace
    expected = hits(workspace)
    shard = workspace.home.vectors / "versions" / "v000002" / "shard"
    flip(max(shard.rglob("*.dat"), key=lambda path: path.stat().st_size))
    report = restore(workspace, source)
    assert (report.version, report.decision, report.live) == ("v000003", "promoted", "v000003")
    now = [[replace(hit, collection_version="v000002", proof_id="") for hit in found] for found in hits(workspace)]
    assert now == [[replace(hit, proof_id="") for hit in found] for found in expected]
    assert is_sound(workspace)
    assert decisions(workspace)[-1] == ("v000003", "promoted", "v000002")


def test_an_older_home_gets_the_newer_version_beside_its_own(tmp_path: Path) -> None:
    root = tmp_path.resolve()
    newer = make_workspace(root / "newer")
    put(newer, "one.pdf", "The granite quarry above the river was closed after the flood carried away its crane.")
    assert ingest(newer).live == "v000001"
    shutil.copytree(newer.home.root, root / "older", ignore=shutil.ignore_patterns("locks", "views"))
    put(newer, "two.pdf", "The windmill on the northern ridge grinds barley for three villages.")
    assert ingest(newer).live == "v000002"
    back_up(newer, str(root / "t"))
    older = make_workspace(root / "older")
    report = restore(older, str(root / "t"))
    assert (report.version, report.decision, report.live) == ("v000002", "candidate", "v000001")
    assert len(older.home.manifests.all()) == 2 and is_sound(older)
    assert judge(older, "v000002", explicit=True).decision == "promoted"
    assert is_sound(older, deep=True)
    assert hits(older) == hits(newer)


def test_another_archive_is_refused(archive: Archive, source: str, workspace: Workspace) -> None:
    put(workspace, "other.pdf", "Nothing of this stands in the other archive, not even the ferry.")
    assert ingest(workspace).decision == "promoted"
    before = snapshot(workspace.home.root)
    with pytest.raises(BadInputError, match="holds another archive"):
        restore(workspace, source)
    assert snapshot(workspace.home.root) == before
    shutil.rmtree(workspace.home.manifests.root)
    with pytest.raises(BadInputError, match="gone another way"):
        restore(workspace, source)
    shutil.rmtree(workspace.home.releases.root)
    with pytest.raises(BadInputError, match="not of the backup"):
        restore(workspace, source)


def test_a_version_that_nobody_knows_is_not_removed(archive: Archive, source: str, empty: Workspace) -> None:
    shutil.copytree(archive.home.vectors, empty.home.vectors, ignore=shutil.ignore_patterns("views", "alias.json"))
    shutil.rmtree(empty.home.vectors / "versions" / "v000001")
    flip(max((empty.home.vectors / "versions").rglob("*.dat"), key=lambda path: path.stat().st_size))
    before = snapshot(empty.home.root)
    with pytest.raises(BadInputError, match=r"v000002 that .* knows nothing about"):
        restore(empty, source)
    assert snapshot(empty.home.root) == before


def test_another_history_of_the_same_archive_is_refused(copied: Archive, tmp_path: Path) -> None:
    other = copied.copy(tmp_path.resolve() / "other")
    put(copied.workspace, "here.pdf", "What was added here, and only here.")
    assert ingest(copied.workspace).live == "v000003"
    source = back_up(copied.workspace, str(tmp_path / "t")).target
    assert judge(other.workspace, "v000001", explicit=True).decision == "promoted"
    with pytest.raises(BadInputError, match="gone another way"):
        restore(other.workspace, source)
    assert live_version(other.workspace) == "v000001" and is_sound(other.workspace)


PLACES = [
    (Part.HOME, "blobs/"),
    (Part.HOME, "tables/ocr_text/"),
    (Part.HOME, "releases/"),
    (Part.POINTS, ""),
    (Part.SNAPSHOT, ""),
]


@pytest.mark.parametrize(("part", "beginning"), PLACES)
@pytest.mark.parametrize("damage", [flip, Path.unlink])
def test_a_damaged_object_is_named_and_nothing_is_restored(
    target: BackupTarget, empty: Workspace, part: Part, beginning: str, damage: Callable[[Path], None]
) -> None:
    file = files_like(target.manifest(NAME), part, beginning)[0]
    damage(object_path(target, file.object))
    with pytest.raises(IntegrityError) as caught:
        restore(empty, target.address)
    assert f"{part}/{file.path}" in caught.value.message and file.object in caught.value.message
    assert caught.value.exit_code == 4
    assert snapshot(empty.home.root) == {}


def test_an_edited_manifest_or_proof_is_refused(target: BackupTarget, empty: Workspace) -> None:
    assert target.folder is not None
    path = target.folder / "backups" / NAME / "manifest.json"
    whole = path.read_bytes()
    path.write_bytes(canonical_json({**orjson.loads(whole), "version": "v000001"}))
    with pytest.raises(IntegrityError, match="edited"):
        restore(empty, target.address, name=NAME)
    with pytest.raises(CheckFailedError, match=r"No backup in .* is good"):
        restore(empty, target.address)
    path.write_bytes(whole)
    target.put_manifest(replace(target.manifest(NAME), made_by="somebody"))
    with pytest.raises(IntegrityError, match="another manifest"):
        restore(empty, target.address, name=NAME)
    path.write_bytes(whole)
    (path.parent / "proof.json").unlink()
    with pytest.raises(CheckFailedError, match="never proven"):
        restore(empty, target.address, name=NAME)
    with pytest.raises(NotFoundError, match="There are: first"):
        restore(empty, target.address, name="second")
    assert snapshot(empty.home.root) == {}


def test_a_bad_backup_is_not_restored(target: BackupTarget, empty: Workspace) -> None:
    forge(target, target.manifest(NAME), passed=False)
    for name in (NAME, None):
        with pytest.raises(CheckFailedError, match=r"is bad|is good"):
            restore(empty, target.address, name=name)


def test_forged_points_do_not_become_a_version(target: BackupTarget, empty: Workspace) -> None:
    """Everything is sealed anew by the forger but the release records, which he cannot."""
    manifest = target.manifest(NAME)
    first, second = files_like(manifest, Part.POINTS)
    twice = replace(second, object=first.object, sha256=first.sha256, stored=first.stored, size=first.size)
    files = tuple(twice if file == second else file for file in manifest.files if file.part is not Part.SNAPSHOT)
    forge(target, replace(manifest, files=files))
    with pytest.raises(IntegrityError, match="not what its record seals"):
        restore(empty, target.address)
    assert empty.versions().versions() == [] and live_version(empty) is None


def test_another_engine_takes_the_points(archive: Archive, target: BackupTarget, empty: Workspace) -> None:
    forge(target, replace(target.manifest(NAME), engine_version="0.0.1"))
    report = restore(empty, target.address)
    assert (report.loaded_from, report.decision) == ("points", "promoted")
    assert hits(empty) == hits(archive.workspace)
    assert is_sound(empty)


def test_a_snapshot_that_does_not_load_is_no_obstacle(target: BackupTarget, empty: Workspace) -> None:
    manifest = target.manifest(NAME)
    bulk = max(files_like(manifest, Part.SNAPSHOT), key=lambda file: file.size)
    forge(target, with_content(target, manifest, bulk, b"\1" * 100))
    report = restore(empty, target.address)
    assert (report.loaded_from, report.decision) == ("points", "promoted")


def test_without_documents_an_empty_home_does_not_go_live(archive: Archive, empty: Workspace, tmp_path: Path) -> None:
    source = back_up(archive.workspace, str(tmp_path / "t"), documents=False).target
    report = restore(empty, source)
    assert (report.decision, report.live, report.passed) == ("rejected", None, False)
    assert "blobs_intact" in {verdict.name for verdict in report.verdicts if not verdict.passed}
    for path in archive.home.blobs:
        with archive.home.blobs.path(path).open("rb") as stream:
            empty.home.blobs.add(stream, path)
    again = restore(empty, source)
    assert (again.decision, again.live) == ("promoted", "v000002")
    assert is_sound(empty)
