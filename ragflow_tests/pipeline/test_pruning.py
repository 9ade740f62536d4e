"""Pruning: what is kept is whole, what goes is told, and a kill at any point costs nothing that is needed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from ragflow.errors import IntegrityError, NotFoundError, UsageError
from ragflow.model.batches import fold
from ragflow.ocr.options import TrustThresholds
from ragflow.pipeline.collection import build_candidate
from ragflow.pipeline.ingest import pending_batches
from ragflow.pipeline.ocr_text import expected_fingerprint
from ragflow.pipeline.pruning import Freed, PruneOptions, PruneReport, prune
from ragflow.pipeline.release import live_version, release, rollback
from ragflow.pipeline.verification import verify
from ragflow.pipeline.workspace import Workspace
from ragflow.store.blobs import hash_file
from ragflow.store.forgotten import Kind
from ragflow.store.home import Home
from ragflow_tests.pipeline.archive import (
    ORCHARD,
    QUARRY,
    WINDMILL,
    Archive,
    failed,
    flip,
    ingest,
    make_archive,
    make_workspace,
    put,
    run_batch,
    run_pending,
    scan_inbox,
    settle,
    sha_of,
)

ALL = PruneOptions(versions=1, rejected_days=0)
DAY = 24 * 3600.0


def snapshot(root: Path) -> dict[str, tuple[int, str]]:
    """Return path → size and hash of every file below a home, locks apart."""
    paths = (path for path in root.rglob("*") if path.is_file() and not path.is_symlink())
    return {
        path.relative_to(root).as_posix(): (path.stat().st_size, hash_file(path))
        for path in paths
        if path.suffix != ".lock"
    }


CHILD = """
import os, signal, sys
from importlib import import_module
from pathlib import Path
from ragflow_tests.pipeline.archive import make_workspace

root, action, target, when, count = sys.argv[1:]
module, _, name = target.partition(":")
owner = import_module(module)
*outer, last = name.split(".")
for part in outer:
    owner = getattr(owner, part)
original, calls = getattr(owner, last), 0

def dying(*arguments, **named):
    global calls
    calls += 1
    if calls == int(count) and when == "before":
        os.kill(os.getpid(), signal.SIGKILL)
    result = original(*arguments, **named)
    if calls == int(count):
        os.kill(os.getpid(), signal.SIGKILL)
    return result

setattr(owner, last, dying)
workspace = make_workspace(Path(root))
what, *rest = action.split()
if what == "prune":
    from ragflow.pipeline.pruning import PruneOptions, prune
    prune(workspace, PruneOptions(versions=1, rejected_days=0))
else:
    from ragflow.pipeline.forgetting import forget
    forget(workspace, rest)
"""


def killed(home: Path, action: str, point: str) -> None:
    """Run ``prune`` or ``forget KEY`` in a process that dies at a point: ``module:name before|after COUNT``."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-c", CHILD, str(home), action, *point.split()]
    done = subprocess.run(command, env=environment, capture_output=True, timeout=300, check=False)
    assert done.returncode == -signal.SIGKILL, f"it was to die at {point}: {done.stderr.decode()[-2000:]}"


@dataclass(frozen=True, slots=True)
class Long:
    """An archive with a history.

    Attributes:
        gone: content of a document that only the oldest two versions have.
        rejected: a candidate that the gate refused.
        blob: a file with the bytes of ``gone`` that no test prunes.
    """

    workspace: Workspace
    gone: str
    rejected: str
    blob: Path

    @property
    def home(self) -> Home:
        return self.workspace.home


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Long:
    """v1 and v2 of the archive; v3 with another document; v4 rejected; v5 with other chunks; v6, live, as before."""
    # Not a copy: its sources must not have what was taken out.
    workspace = make_archive(tmp_path_factory.mktemp("pruning") / "home").workspace
    gone = sha_of(workspace, "inbox/later.pdf")
    (workspace.home.inbox / "later.pdf").unlink()
    put(workspace, "essay.pdf", [QUARRY, ORCHARD, WINDMILL, *(f"{QUARRY} {number}" for number in range(14))])
    assert ingest(workspace).version == "v000003"
    put(workspace, "more.pdf", "The bell of the chapel was cast in a field behind the brewery.")
    strict = replace(workspace, gate=replace(workspace.gate, served_coverage=1.1))
    assert ingest(strict).decision == "rejected"
    shorter = replace(workspace, target_tokens=40)
    assert ingest(shorter).version == "v000005"
    assert ingest(workspace).version == "v000006"
    return Long(workspace, gone, "v000004", workspace.home.blobs.path(gone))


@pytest.fixture
def long(template: Long, tmp_path: Path) -> Long:
    fresh = Archive(template.workspace, "", "").copy(tmp_path.resolve() / "home")
    return replace(template, workspace=fresh.workspace)


def kinds(report: PruneReport) -> dict[str, int]:
    return {kind: count for kind, (count, _) in report.by_kind.items()}


def whole(workspace: Workspace) -> None:
    """Every kept version is, and can be gone back to if it was live before."""
    assert live_version(workspace) in workspace.versions().versions()
    for version in workspace.versions().versions():
        assert failed(verify(workspace, version).verdicts) == {}, version
    assert pending_batches(workspace) == [], "nothing is out of date for what was pruned"


def test_a_young_archive_has_nothing_to_prune(archive: Archive, tmp_path: Path) -> None:
    copy = archive.copy(tmp_path / "home")
    before = snapshot(copy.home.root)
    report = prune(copy.workspace)
    assert report.freed == () and report.size == 0 and snapshot(copy.home.root) == before
    assert {(kept.name, kept.why) for kept in report.kept} == {
        ("v000001", "is what a rollback would go to"),
        ("v000002", "is live"),
    }


def test_versions_and_what_they_alone_stand_on_go(long: Long) -> None:
    report = prune(long.workspace, ALL)
    assert long.workspace.versions().versions() == ["v000005", "v000006"]
    assert [record.version for record in long.home.version_records.all()] == ["v000005", "v000006"]
    assert {kept.name: kept.why for kept in report.kept} == {
        "v000005": "is what a rollback would go to",
        "v000006": "is live",
    }
    assert [thing.name for thing in report.freed if thing.kind == "version"] == [
        "v000001",
        "v000002",
        "v000003",
        "v000004",
    ]
    assert [thing.name for thing in report.freed if thing.kind == "document bytes"] == [long.gone]
    assert report.size > 0 and all(thing.size >= 0 for thing in report.freed)
    assert not long.home.blobs.has(long.gone) and long.home.absences.kind_of(long.gone) is Kind.PRUNED
    whole(long.workspace)
    assert failed(verify(long.workspace, deep=True).verdicts) == {}
    assert rollback(long.workspace).live == "v000005"
    whole(long.workspace)


def test_generations_go_with_the_last_version_that_stands_on_them(long: Long) -> None:
    batch = long.home.manifests.batch_keys()[2]

    def outputs(asset: str) -> set[str]:
        return {record.output_sha256 for record in long.home.tables.kept(asset, batch)}

    third, fifth = (long.home.version_records.find(version) for version in ("v000003", "v000005"))
    assert third is not None and fifth is not None
    assert outputs("chunks") == {third.tables["chunks"][batch], fifth.tables["chunks"][batch]}
    assert "table generation" not in prune(long.workspace, ALL).by_kind, "a rollback would go to v5"
    assert outputs("chunks") == {third.tables["chunks"][batch], fifth.tables["chunks"][batch]}
    one_more(long.workspace)
    report = prune(long.workspace, ALL)
    assert outputs("chunks") == {third.tables["chunks"][batch]}, "of which v6 and v7 are made, too"
    gone = [thing for thing in report.freed if thing.kind == "table generation"]
    assert {thing.name.split("/")[0] for thing in gone} == {"chunks", "embeddings"}
    assert all(thing.size > 0 for thing in gone)
    assert len(list(long.home.tables.folder("chunks", batch).glob("chunks-*.parquet"))) == 1
    whole(long.workspace)


def one_more(workspace: Workspace) -> None:
    put(workspace, "one more.pdf", "One more page, on the price of candles.")
    assert ingest(workspace).decision == "promoted"


def test_the_second_time_there_is_nothing_left_to_do(long: Long) -> None:
    prune(long.workspace, ALL)
    before = snapshot(long.home.root)
    report = prune(long.workspace, ALL)
    assert report.freed == () and snapshot(long.home.root) == before


def test_a_dry_run_says_the_same_and_changes_no_byte(long: Long) -> None:
    before = snapshot(long.home.root)
    locks = sorted(path.name for path in long.home.root.rglob("*.lock"))
    said = prune(long.workspace, replace(ALL, dry_run=True))
    assert snapshot(long.home.root) == before
    assert sorted(path.name for path in long.home.root.rglob("*.lock")) == locks
    done = prune(long.workspace, ALL)
    assert (said.freed, said.kept) == (done.freed, done.kept) and said.dry_run and not done.dry_run


def test_young_candidates_stay_for_a_look(long: Long) -> None:
    report = prune(long.workspace, PruneOptions(versions=1, rejected_days=14))
    assert long.rejected in long.workspace.versions().versions()
    (why,) = [kept.why for kept in report.kept if kept.name == long.rejected]
    assert why == "did not go live, and is younger than 14 days"
    whole(long.workspace)


def test_the_newest_promoted_are_kept(long: Long) -> None:
    prune(long.workspace, PruneOptions(versions=3, rejected_days=0))
    assert long.workspace.versions().versions() == ["v000003", "v000005", "v000006"]
    assert rollback(long.workspace, "v000003").live == "v000003"


def test_the_number_of_a_pruned_candidate_is_not_given_again(copied: Archive) -> None:
    workspace = copied.workspace
    put(workspace, "new.pdf", "A page that waits for its day.")
    assert ingest(replace(workspace, gate=replace(workspace.gate, served_coverage=1.1))).decision == "rejected"
    prune(workspace, ALL)
    assert workspace.versions().versions() == ["v000001", "v000002"]
    assert release(workspace).version == "v000004", "v000003 was rejected, and stays so"
    assert live_version(workspace) == "v000004"
    prune(workspace, ALL)
    assert {record.version for record in copied.home.version_records.all()} == set(workspace.versions().versions())


def test_a_pruned_version_cannot_be_gone_back_to(long: Long) -> None:
    prune(long.workspace, ALL)
    with pytest.raises(NotFoundError, match="v000002 is not kept"):
        rollback(long.workspace, "v000002")
    with pytest.raises(NotFoundError):
        verify(long.workspace, "v000002")


def test_bytes_that_come_back_are_stored_again_and_must_stay_then(long: Long) -> None:
    workspace = long.workspace
    prune(workspace, ALL)
    shutil.copy(long.blob, long.home.inbox / "again.pdf")
    settle(long.home.inbox / "again.pdf", 90.0)
    assert ingest(workspace).decision == "promoted"
    assert long.home.blobs.has(long.gone) and long.home.absences.kind_of(long.gone) is Kind.RETURNED
    assert failed(verify(workspace, deep=True).verdicts) == {}
    long.home.blobs.path(long.gone).unlink()
    assert failed(verify(workspace).verdicts).keys() == {"blobs_intact"}
    put(workspace, "other.pdf", "One more page.")
    refused = ingest(workspace)
    assert refused.decision == "rejected" and "blobs_intact" in failed(refused.verdicts)


def test_the_gate_lets_the_next_release_through(long: Long) -> None:
    prune(long.workspace, ALL)
    put(long.workspace, "new.pdf", "The vicar keeps bees behind the vestry.")
    assert ingest(long.workspace).decision == "promoted"
    whole(long.workspace)


def test_what_was_found_in_pruned_bytes_stands_when_a_batch_is_run_again(long: Long) -> None:
    prune(long.workspace, ALL)
    home = fold(long.home.manifests.all()).homes[long.gone]
    tables = long.home.tables

    def rows(asset: str, table: str) -> list[dict[str, object]]:
        return [row for row in tables.read(tables.get(asset, home), table).to_pylist() if long.gone in row.values()]

    before = rows("raw_pdfs", "documents"), rows("ocr_text", "page_texts")
    changed = replace(
        long.workspace,
        reading=replace(long.workspace.reading, max_pages=77, trust=TrustThresholds(max_mojibake=0.02)),
    )
    assert home in pending_batches(changed)
    reports = run_batch(changed, home)
    assert not reports["raw_pdfs"].reused and reports["raw_pdfs"].work["documents_inspected"] == 0
    assert before[0] and rows("raw_pdfs", "documents") == before[0]
    for old, new in zip(before[1], rows("ocr_text", "page_texts"), strict=True):
        assert {name: (old[name], new[name]) for name in old if old[name] != new[name]} == {}
    run_pending(changed)
    assert release(changed).decision in ("promoted", "unchanged")


def test_a_blob_that_is_lost_without_a_mark_is_still_missed(long: Long) -> None:
    prune(long.workspace, ALL)
    long.home.blobs.path(sha_of(long.workspace, "inbox/minutes.pdf")).unlink()
    assert failed(verify(long.workspace).verdicts).keys() == {"blobs_intact"}
    put(long.workspace, "new.pdf", ORCHARD)
    assert "blobs_intact" in failed(ingest(long.workspace).verdicts)


def age(path: Path, days: float) -> Path:
    for found in sorted([path, *path.rglob("*")], reverse=True):
        past = time.time() - days * DAY
        os.utime(found, (past, past), follow_symlinks=False)
    return path


def folder(path: Path) -> Path:
    path.mkdir(parents=True)
    (path / "file").write_bytes(b"bytes")
    return path


def test_what_dead_processes_left_goes_and_what_may_be_alive_stays(copied: Archive) -> None:
    home, workspace = copied.home, copied.workspace
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    views, versions = home.vectors / "views", home.vectors / "versions"
    raw = home.tables.get("raw_pdfs", copied.first)
    expected = home.tables.partial("ocr_text", copied.first, expected_fingerprint(workspace, raw))
    chunks = home.tables.folder("chunks", copied.first)
    gone = [
        age(folder(views / f"{dead.pid}-{'0' * 16}"), 1),
        age(folder(versions / "v000007"), 2),
        age(folder(home.tables.partial("ocr_text", copied.first, "a" * 64)), 2),
        age(home.manifests.root / ".tmp-abc-old.json", 2) if touch(home.manifests.root / ".tmp-abc-old.json") else None,
        chunks / "chunks-000000000000.parquet",
        age(touch(home.inventory.root / "old-source.json"), 2),
        age(touch(home.blobs.root / "aa" / ("a" * 64)), 2),
    ]
    touch(chunks / "chunks-000000000000.parquet")
    stays = [
        age(folder(views / f"{os.getpid()}-{'1' * 16}"), 3),
        folder(views / f"{dead.pid}-{'2' * 16}"),
        folder(versions / "v000008"),
        age(folder(expected), 5),
        folder(home.tables.partial("ocr_text", copied.second, "b" * 64)),
        touch(home.releases.root / ".tmp-abc-new.json"),
        age(touch(home.inbox / ".tmp-mine.pdf"), 9),
        touch(home.inventory.root / "new-source.json"),
        touch(home.blobs.root / "bb" / ("b" * 64)),
    ]
    report = prune(workspace)
    assert [path for path in gone if path is None or path.exists()] == []
    assert [path for path in stays if not path.exists()] == []
    assert kinds(report) == {
        "unfinished version": 1,
        "table without a record": 1,
        "partial result": 1,
        "view": 1,
        "temporary": 1,
        "inventory": 1,
        "document bytes": 1,
    }
    told = {(kept.kind, kept.why) for kept in report.kept if kept.kind != "version"}
    assert told == {
        ("unfinished version", "may be going on: it is younger than a day"),
        ("partial result", "the next run goes on from it"),
        ("partial result", "is younger than a day"),
    }
    assert home.absences.all() == (), "what no manifest names needs no mark"


def touch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"bytes")
    return path


def test_tables_that_somebody_works_on_are_left_alone(long: Long) -> None:
    batch = long.home.manifests.batch_keys()[2]
    one_more(long.workspace)
    before = long.home.tables.kept("chunks", batch)
    with long.home.lock(f"chunks-{batch}").held():
        report = prune(long.workspace, ALL)
    assert long.home.tables.kept("chunks", batch) == before
    assert [kept.name for kept in report.kept if kept.kind == "table"] == [f"chunks/{batch}"]
    prune(long.workspace, ALL)
    assert len(long.home.tables.kept("chunks", batch)) < len(before)


def test_a_candidate_that_waits_for_the_gate_is_kept(copied: Archive) -> None:
    put(copied.workspace, "new.pdf", "A page that waits.")
    scan_inbox(copied.workspace)
    run_pending(copied.workspace)
    candidate = build_candidate(copied.workspace)
    report = prune(copied.workspace)
    assert report.freed == () and release(copied.workspace).version == candidate.record.version


def test_a_release_that_was_killed_is_finished_first(copied: Archive) -> None:
    put(copied.workspace, "new.pdf", "A page that goes live late.")
    scan_inbox(copied.workspace)
    run_pending(copied.workspace)
    release(copied.workspace)
    copied.workspace.versions().move_alias("v000002", expected="v000003", moved_at="2026-11-21T10:00:00+00:00")
    said = prune(copied.workspace, replace(ALL, versions=0, dry_run=True))
    assert {kept.name: kept.why for kept in said.kept} == {
        "v000001": "is what a rollback would go to",
        "v000002": "is live",
        "v000003": "is about to be live",
    }
    prune(copied.workspace, replace(ALL, versions=0))
    assert live_version(copied.workspace) == "v000003"
    assert copied.workspace.versions().versions() == ["v000002", "v000003"]
    whole(copied.workspace)


def test_with_damaged_records_nothing_is_removed(long: Long) -> None:
    flip(long.home.releases.root / "000002.json")
    before = snapshot(long.home.root)
    with pytest.raises(IntegrityError):
        prune(long.workspace, ALL)
    assert snapshot(long.home.root) == before


@pytest.mark.parametrize("options", [{"versions": -1}, {"rejected_days": -1}])
def test_numbers_below_zero_are_refused(options: dict[str, int]) -> None:
    with pytest.raises(UsageError):
        PruneOptions(**options)


POINTS = [
    "ragflow.vectors.folders:sync after 1",
    "ragflow.vectors.folders:VersionFolders.discard after 2",
    "ragflow.store.records:VersionRecordStore.remove before 1",
    "ragflow.store.tables:TableStore.release before 1",
    "ragflow.store.forgotten:AbsenceStore.add after 1",
    "ragflow.pipeline.pruning:_Pruning._remains before 1",
]


def test_a_kill_leaves_whole_what_is_kept_and_the_next_time_finishes(long: Long, tmp_path: Path) -> None:
    one_more(long.workspace)
    straight = Archive(long.workspace, "", "").copy(tmp_path / "straight")
    prune(straight.workspace, ALL)
    wanted = snapshot(straight.home.root).keys() | {"verified.json"}
    for number, point in enumerate(POINTS):
        home = Archive(long.workspace, "", "").copy(tmp_path.resolve() / str(number)).workspace.home
        workspace = make_workspace(home.root)
        killed(home.root, "prune", point)
        assert live_version(workspace) == "v000007"
        for version in ("v000006", "v000007"):
            assert failed(verify(workspace, version).verdicts) == {}, point
        left: tuple[Freed, ...] = prune(workspace, ALL).freed
        assert left or point == POINTS[-1], "the kill came before the end"
        assert snapshot(home.root).keys() == wanted, point
        whole(workspace)
        assert rollback(workspace).live == "v000006"
