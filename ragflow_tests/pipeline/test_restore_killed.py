"""A restore that is killed leaves what is live as it was, and the next one finishes it."""

from __future__ import annotations

from pathlib import Path

import pytest

from ragflow.pipeline.backing_up import back_up
from ragflow.pipeline.release import live_version
from ragflow.pipeline.restoring import restore
from ragflow.pipeline.verification import verify
from ragflow.pipeline.workspace import Workspace
from ragflow_tests.pipeline.archive import Archive, make_workspace
from ragflow_tests.pipeline.backups import decisions, is_sound, run_killed, shared_backup


@pytest.fixture
def source(archive: Archive) -> str:
    return str(shared_backup(archive))


@pytest.fixture
def empty(tmp_path: Path) -> Workspace:
    return make_workspace(tmp_path.resolve() / "empty")


KILLED = """
from ragflow.pipeline import release, restoring
from ragflow.store.records import ReleaseStore
from ragflow.vectors.edge import EdgeVersionStore
{where}
restoring.restore(make_workspace(Path(sys.argv[1])), sys.argv[2])
"""
KILLS = [
    "die_in(restoring._Restore, '_put', after=10)",
    "die_in(EdgeVersionStore, 'load_snapshot')",
    "die_in(EdgeVersionStore, 'load_snapshot', late=True)",
    "die_in(ReleaseStore, 'append', late=True)",
    "die_in(restoring._Restore, '_put', after=30)",
    "die_in(restoring, 'judge')",
    "die_in(release, '_move')",
]
"""Among the documents; before and behind the version; when the withdrawal stands, but not yet what it follows; in the
middle of that; before the gate; and before the alias moves."""


@pytest.mark.parametrize("where", KILLS)
def test_a_killed_restore_into_an_empty_home_is_finished_by_the_next(source: str, empty: Workspace, where: str) -> None:
    run_killed(KILLED.format(where=where), empty.home.root, source)
    assert live_version(empty) is None
    report = restore(empty, source)
    assert (report.passed, report.live) == (True, "v000002")
    assert is_sound(empty)
    assert decisions(empty)[-1][:2] == ("v000002", "promoted")


DAMAGED_KILLS = [
    "die_in(restoring._Restore, '_put', late=True)",
    "die_in(EdgeVersionStore, 'load_snapshot', late=True)",
    "die_in(restoring._Restore, '_put', after=1)",
    "die_in(restoring, 'examine')",
]


@pytest.mark.parametrize("where", DAMAGED_KILLS)
def test_a_killed_restore_leaves_the_live_version_live(copied: Archive, tmp_path: Path, where: str) -> None:
    """The live version is sound all the time; an older one, with tables that the live one stands on, comes back."""
    workspace = copied.workspace
    source = back_up(workspace, str(tmp_path / "t"), version="v000001").target
    workspace.versions().discard("v000001")
    workspace.home.version_records.remove("v000001")
    (workspace.home.canaries.root / "000001.json").unlink()
    for record in (path for path in workspace.home.tables.root.glob(f"*/{copied.first}/record.json")):
        record.unlink()
    assert is_sound(workspace), "what it stands on is kept beside the records that are lost"
    run_killed(KILLED.format(where=where), workspace.home.root, source)
    assert live_version(workspace) == "v000002" and is_sound(workspace)
    report = restore(workspace, source)
    assert (report.version, report.decision, report.live) == ("v000001", "candidate", "v000002")
    assert is_sound(workspace) and verify(workspace, "v000001").passed
