"""A backup is whole, costs what has changed, and is called good only if it restores."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from ragflow.errors import CheckFailedError, IntegrityError, NotFoundError, UsageError
from ragflow.model.backups import ROWS_PER_FILE, BackupFile, BackupManifest, BackupState, Part, Retention
from ragflow.model.questions import GOLDEN, Question, Target
from ragflow.model.verdicts import Outcome
from ragflow.pipeline import backing_up, backup_proof
from ragflow.pipeline.backing_up import back_up, list_backups, retain
from ragflow.pipeline.backup_proof import prove
from ragflow.pipeline.restoring import choose
from ragflow.quality.readiness import Answer, Answers, score
from ragflow.store.backups import BackupTarget, open_target
from ragflow_tests.pipeline.archive import (
    LATER,
    Archive,
    flip,
    ingest,
    put,
    sha_of,
    table_path,
)
from ragflow_tests.pipeline.backups import (
    NAME,
    copied_backup,
    files_like,
    forge,
    object_path,
    run_killed,
    shared_backup,
    with_content,
)


@pytest.fixture
def target(archive: Archive, tmp_path: Path) -> BackupTarget:
    """A copy of a good backup, to change."""
    return copied_backup(archive, tmp_path / "target")


def test_a_backup_holds_everything_and_no_secrets(archive: Archive) -> None:
    target = open_target(str(shared_backup(archive)))
    manifest = target.manifest(NAME)
    assert target.state(NAME) is BackupState.GOOD
    paths = {file.path for file in manifest.of(Part.HOME)}
    records = {"releases/000001.json", "releases/000002.json", "releases/canaries/000002.json"}
    assert records | {"releases/versions/v000001.json", "releases/versions/v000002.json"} <= paths
    assert {f"manifests/{batch}.json" for batch in (archive.first, archive.second)} <= paths
    table = table_path(archive.workspace, "chunks", archive.first, "chunks")
    assert table.relative_to(archive.home.root).as_posix() in paths
    assert len([path for path in paths if "/record-" in path]) == 4 * 2
    assert {sha_of(archive.workspace, key) for key in (LATER, "inbox/minutes.pdf")} < {
        Path(path).name for path in paths if path.startswith("blobs/")
    }
    assert not {path.split("/")[0] for path in paths} & {"secrets", "locks", "dagster", "vectors", "inbox"}
    assert sum(file.rows or 0 for file in manifest.of(Part.POINTS)) == manifest.points == 10
    assert manifest.of(Part.SNAPSHOT)
    assert (manifest.engine, manifest.engine_version) == ("qdrant-edge-py", archive.workspace.versions().engine_version)
    assert {file.object for file in manifest.files} == set(target.objects())
    assert all(target.problem_of(file.object, file.stored) is None for file in manifest.files)
    proof = target.proof(NAME)
    assert proof is not None
    assert [(verdict.name, verdict.outcome) for verdict in proof.verdicts] == [
        ("backup_complete", Outcome.PASS),
        ("backup_points", Outcome.PASS),
        ("backup_snapshot", Outcome.PASS),
        ("backup_queries", Outcome.PASS),
    ]


def test_points_are_paged_by_batch(archive: Archive, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    target = open_target(str(shared_backup(archive)))
    files = files_like(target.manifest(NAME), Part.POINTS)
    assert [(file.path, file.rows) for file in files] == [
        (f"{archive.first}/0000.parquet", 8),
        (f"{archive.second}/0000.parquet", 2),
    ]
    table = pq.read_table(object_path(target, files[0].object), partitioning=None)
    assert table.column("id").to_pylist() == sorted(table.column("id").to_pylist())
    assert ROWS_PER_FILE == 50_000
    monkeypatch.setattr("ragflow.pipeline.backup_versions.ROWS_PER_FILE", 3)
    monkeypatch.setattr("ragflow.pipeline.backup_versions.ROWS_AT_ONCE", 2)
    report = back_up(archive.workspace, str(tmp_path / "pages"), name="pages")
    paged = open_target(report.target).manifest("pages").of(Part.POINTS)
    assert [(Path(file.path).name, file.rows) for file in paged] == [
        *((f"000{number}.parquet", rows) for number, rows in enumerate((3, 3, 2))),
        ("0000.parquet", 2),
    ]


def test_the_next_backup_writes_only_what_changed(copied: Archive, target: BackupTarget) -> None:
    before = set(target.objects())
    again = back_up(copied.workspace, target.address, name="again")
    assert (again.bytes_written, again.objects_written, again.objects_reused) == (0, 0, len(before))
    put(copied.workspace, "new.pdf", "The new bridge was opened by the mayor on a rainy Sunday.")
    assert ingest(copied.workspace).decision == "promoted"
    more = back_up(copied.workspace, target.address, name="more")
    added = {name: size for name, size in target.objects().items() if name not in before}
    assert (more.objects_written, more.bytes_written) == (len(added), sum(added.values()))
    files = target.manifest("more").files
    new = {file.path for file in files if file.object in added}
    third = copied.home.manifests.batch_keys()[-1]
    assert {f"manifests/{third}.json", f"{third}/0000.parquet", "releases/000003.json"} <= new
    old = [path for path in new if copied.first in path or copied.second in path or path.endswith("000002.json")]
    assert not old, "what earlier batches brought is there already"
    assert [entry.state for entry in list_backups(target.address)] == [BackupState.GOOD] * 3
    assert [entry.name for entry in list_backups(target.address)] == ["more", "again", NAME]
    assert list_backups(target.address)[0].version == "v000003"


def test_an_older_version_can_be_backed_up(archive: Archive, tmp_path: Path) -> None:
    report = back_up(archive.workspace, str(tmp_path / "t"), version="v000001", documents=False)
    manifest = open_target(report.target).manifest(report.name)
    assert (manifest.version, manifest.points, manifest.documents) == ("v000001", 8, False)
    paths = {file.path for file in manifest.of(Part.HOME)}
    assert not [path for path in paths if path.startswith("blobs/") or archive.second in path]
    assert report.name.endswith("-v000001")


def test_a_damaged_object_is_written_anew(archive: Archive, target: BackupTarget) -> None:
    manifest = target.manifest(NAME)
    damaged = files_like(manifest, Part.HOME, "blobs/")[0], files_like(manifest, Part.POINTS)[0]
    flip(object_path(target, damaged[0].object))
    object_path(target, damaged[1].object).unlink()
    report = back_up(archive.workspace, target.address)
    assert report.objects_written == 2
    assert all(target.problem_of(file.object, file.stored) is None for file in damaged), "the older one is whole again"


def damage_blob(archive: Archive) -> str:
    path = archive.home.blobs.path(sha_of(archive.workspace, LATER))
    flip(path)
    return str(path)


def lose_blob(archive: Archive) -> str:
    archive.home.blobs.path(sha_of(archive.workspace, LATER)).unlink()
    return LATER


def damage_table(archive: Archive) -> str:
    path = table_path(archive.workspace, "ocr_text", archive.first, "words")
    flip(path)
    return str(path)


def damage_version(archive: Archive) -> str:
    shard = archive.home.vectors / "versions" / "v000002" / "shard"
    flip(max(shard.rglob("*.dat"), key=lambda path: path.stat().st_size))
    return "v000002"


@pytest.mark.parametrize("damage", [damage_blob, lose_blob, damage_table, damage_version])
def test_a_damaged_home_gives_no_backup(copied: Archive, tmp_path: Path, damage: object) -> None:
    named = damage(copied)  # type: ignore[operator]
    with pytest.raises(IntegrityError) as caught:
        back_up(copied.workspace, str(tmp_path / "t"))
    assert named in caught.value.message
    assert open_target(str(tmp_path / "t")).names() == []
    assert not [*(tmp_path / "t" / "backups").glob("*/*")], "no mark stays behind"


def test_what_cannot_be_backed_up_or_to_there(archive: Archive, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="v000009"):
        back_up(archive.workspace, str(tmp_path / "t"), version="v000009")
    with pytest.raises(UsageError, match="lies in the home"):
        back_up(archive.workspace, str(archive.home.root / "backups"))
    with pytest.raises(UsageError, match="first"):
        back_up(archive.workspace, str(shared_backup(archive)), name=NAME)
    for wrong in ((0, None), (None, 0.0)):
        with pytest.raises(UsageError):
            Retention(*wrong)


def test_a_snapshot_that_does_not_restore_makes_a_bad_backup(
    copied: Archive, target: BackupTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine hands out a file that is not the version's: every hash in the backup is right, and it is worthless."""
    real = backing_up.export_snapshot

    def careless(*arguments: object) -> Iterator[tuple[BackupFile, Path]]:
        for file, packed in real(*arguments):  # type: ignore[arg-type]
            if file.path.endswith("complete.json"):
                continue
            yield file, packed

    monkeypatch.setattr(backing_up, "export_snapshot", careless)
    with pytest.raises(CheckFailedError, match=r"careless of v000002 .* is bad.*backup_snapshot") as caught:
        back_up(copied.workspace, target.address, name="careless", retention=Retention(count=1))
    assert caught.value.exit_code == 4
    assert target.state("careless") is BackupState.BAD
    assert target.state(NAME) is BackupState.GOOD, "retention has not been asked"
    assert choose(target, None).name == NAME
    with pytest.raises(CheckFailedError, match="careless is bad"):
        choose(target, "careless")
    (bad, good) = list_backups(target.address)
    assert (bad.name, bad.state, good.state) == ("careless", BackupState.BAD, BackupState.GOOD) and bad.problems
    monkeypatch.undo()
    report = back_up(copied.workspace, target.address, name="careless")
    assert target.state("careless") is BackupState.GOOD, "a bad one may be made again under its name"
    assert report.objects_written == 0


def failed(archive: Archive, target: BackupTarget, manifest: BackupManifest) -> dict[str, str]:
    verdicts = prove(archive.workspace, target, manifest)
    return {verdict.name: verdict.summary for verdict in verdicts if not verdict.passed}


def test_forged_snapshots_and_points_are_found_by_restoring_them(archive: Archive, target: BackupTarget) -> None:
    manifest = target.manifest(NAME)
    assert failed(archive, target, manifest) == {}
    bulk = max(files_like(manifest, Part.SNAPSHOT), key=lambda file: file.size)
    forged = with_content(target, manifest, bulk, b"\1" * bulk.size)
    first, second = files_like(manifest, Part.POINTS)
    page = object_path(target, second.object)
    table = pq.read_table(page, partitioning=None)
    other = page.with_name("forged")
    payloads = [text.replace("ferry", "barge") for text in table.column("payload").to_pylist()]
    pq.write_table(table.set_column(4, table.schema.field(4), [payloads]).cast(table.schema), other)
    forged = with_content(target, forged, second, other.read_bytes())
    assert failed(archive, target, forged).keys() == {"backup_points", "backup_snapshot", "backup_queries"}
    twice = replace(second, object=first.object, sha256=first.sha256, stored=first.stored, size=first.size)
    files = tuple(twice if file == second else file for file in manifest.files)
    found = failed(archive, target, replace(manifest, files=files))
    assert found.keys() == {"backup_points"} and "8 points are there" not in found["backup_points"]


@pytest.mark.parametrize(
    "beginning",
    ["tables/chunks/", "blobs/", "manifests/", "releases/000001", "releases/versions/v000002", "tables/raw_pdfs/"],
)
def test_a_backup_that_leaves_something_out_is_not_complete(
    archive: Archive, target: BackupTarget, beginning: str
) -> None:
    manifest = target.manifest(NAME)
    left_out = files_like(manifest, Part.HOME, beginning)[0]
    found = failed(archive, target, replace(manifest, files=tuple(f for f in manifest.files if f != left_out)))
    assert found.keys() == {"backup_complete"}


def test_missing_and_damaged_objects_are_named(archive: Archive, target: BackupTarget) -> None:
    manifest = target.manifest(NAME)
    table, points = files_like(manifest, Part.HOME, "tables/")[0], files_like(manifest, Part.POINTS)[0]
    flip(object_path(target, table.object))
    object_path(target, points.object).unlink()
    (verdict,) = prove(archive.workspace, target, manifest)
    assert (verdict.name, verdict.outcome) == ("backup_complete", Outcome.FAIL)
    assert {row["file"] for row in verdict.rows} == {f"home/{table.path}", f"points/{points.path}"}


def test_other_answers_are_told() -> None:
    def answers(*found: str) -> Answers:
        question = Question("q", "what", (Target("a", 1),), GOLDEN)
        places = tuple(((key, 1),) for key in found)
        return Answers(
            "v000001", 3, (Answer(question, question.targets, places, score(question.targets, places), 1.0),), ()
        )

    original = answers("a", "b", "c", "d")
    same = backup_proof._queries(original, {"points": answers("a", "b", "c", "d")}, True, "")
    assert (same.outcome, same.figure) == (Outcome.PASS, 1.0)
    turned = backup_proof._queries(original, {"points": original, "snapshot": answers("b", "a", "c", "d")}, True, "")
    assert (turned.outcome, turned.figure) == (Outcome.FAIL, 0.5)
    assert [(row["restored_from"], row["same"]) for row in turned.rows] == [("snapshot", 0.5)]
    fewer = backup_proof._queries(original, {"points": answers("a", "b", "c")}, True, "")
    assert fewer.outcome is Outcome.FAIL
    keys = [str(number) for number in range(10)]
    nearly = {"points": answers(*keys[:8], "x", "y")}
    assert backup_proof._queries(answers(*keys), nearly, False, "").outcome is Outcome.FAIL
    assert backup_proof._queries(answers(), {}, True, "").outcome is Outcome.FAIL
    assert backup_proof._queries(None, {}, True, "another model").outcome is Outcome.WARN


def aged(target: BackupTarget, name: str, days: float, *, good: bool = True) -> None:
    """Store a backup that was made some days ago, with an object of its own."""
    at = datetime.now(UTC) - timedelta(days=days)
    manifest = replace(target.manifest(NAME), name=name, created_at=at.isoformat(timespec="microseconds"))
    file = files_like(manifest, Part.HOME, "releases/canaries/")[0]
    forge(target, with_content(target, manifest, file, name.encode()), passed=good)


@pytest.mark.parametrize(
    ("retention", "kept"),
    [
        (Retention(count=1), {NAME}),
        (Retention(count=2), {NAME, "day1"}),
        (Retention(days=5), {NAME, "day1", "day3"}),
        (Retention(days=0.001), {NAME}),
        (Retention(count=4, days=2), {NAME, "day1", "day3", "day9"}),
        (Retention(count=2, days=5), {NAME, "day1", "day3"}),
        (Retention(), {NAME, "day1", "day3", "day9", "bad2"}),
    ],
)
def test_retention(target: BackupTarget, retention: Retention, kept: set[str]) -> None:
    for days in (1, 3, 9):
        aged(target, f"day{days}", days)
    aged(target, "bad2", 2, good=False)
    removed, swept = retain(target, retention)
    assert set(target.names()) == kept
    assert set(removed) == {"day1", "day3", "day9", "bad2"} - kept
    assert swept is not None and swept.objects == len(removed)
    assert {file.object for name in kept for file in target.manifest(name).files} == set(target.objects())


def test_retention_never_takes_the_last_good_one(target: BackupTarget) -> None:
    aged(target, "old", 90)
    for days in (1, 2):
        aged(target, f"bad{days}", days, good=False)
    target.remove(NAME)
    assert retain(target, Retention(count=1, days=7))[0] == ()
    assert set(target.names()) == {"old", "bad1", "bad2"}, "bad ones go when a good one has come after them"


KILLED = """
from ragflow.pipeline import backing_up
from ragflow.store.backups import BackupTarget
{where}
backing_up.back_up(make_workspace(Path(sys.argv[1])), sys.argv[2], name="killed")
"""


@pytest.mark.parametrize(
    ("where", "state"),
    [
        ("die_in(BackupTarget, 'ensure', after=30)", None),
        ("die_in(BackupTarget, 'put_manifest')", None),
        ("die_in(backing_up, 'prove')", BackupState.UNPROVEN),
    ],
)
def test_a_killed_backup_leaves_the_others_whole_and_is_taken_up(
    archive: Archive, tmp_path: Path, where: str, state: BackupState | None
) -> None:
    """Killed among its objects, before its manifest, and before its proof; an older version is backed up already."""
    target = open_target(str(tmp_path / "t"))
    back_up(archive.workspace, target.address, version="v000001", name="older")
    before = target.objects()
    run_killed(KILLED.format(where=where), archive.home.root, target.address)
    assert target.names() == (["older"] if state is None else ["killed", "older"])
    assert target.state("older") is BackupState.GOOD
    assert all(target.problem_of(name, size) is None for name, size in before.items())
    if state is not None:
        assert target.state("killed") is state
        with pytest.raises(CheckFailedError, match="never proven"):
            choose(target, "killed")
    assert choose(target, None).name == "older"
    there = set(target.objects()) - before.keys()
    report = back_up(archive.workspace, target.address, name="killed")
    assert target.state("killed") is BackupState.GOOD
    assert there and report.objects_reused >= len(there)
    assert set(target.objects()) >= there
