"""A release that is killed at any step leaves the old version live or the new one, whole; the next release finishes."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from ragflow.pipeline.release import live_version, release
from ragflow.pipeline.verification import verify
from ragflow.pipeline.workspace import Workspace
from ragflow_tests.e2e.kill_points import GATE, release_killed_at
from ragflow_tests.e2e.launcher import Launcher, Running
from ragflow_tests.pipeline.archive import (
    LAVOIR,
    ORCHARD,
    QUARRY,
    WINDMILL,
    Archive,
    ingest,
    make_workspace,
    put,
    run_pending,
    scan_inbox,
)

TARGET = f"{release_killed_at.__module__}:{release_killed_at.__name__}"
AT_ONCE = 2


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Archive:
    """A live version, and a batch that adds, changes and removes, about to be released."""
    workspace = make_workspace(tmp_path_factory.mktemp("kill").resolve() / "home", gate=GATE)
    put(workspace, "a.pdf", QUARRY)
    put(workspace, "b.pdf", ORCHARD)
    assert ingest(workspace).decision == "promoted"
    put(workspace, "a.pdf", WINDMILL)
    put(workspace, "c.pdf", LAVOIR, language="fr")
    (workspace.home.inbox / "b.pdf").unlink()
    scan_inbox(workspace)
    run_pending(workspace)
    first, second = workspace.home.manifests.batch_keys()
    return Archive(workspace, first, second)


def start(launcher: Launcher, ready: Archive, folder: Path, step: int) -> tuple[Workspace, Running]:
    root = folder / f"{step:03d}"
    copied = ready.copy(root)
    running = launcher.start(root, str(root), str(step), str(folder / f"steps-{step}"), target=TARGET)
    return copied.workspace, running


def test_a_release_that_is_killed_at_any_step_is_all_or_nothing(
    launcher: Launcher, ready: Archive, tmp_path: Path
) -> None:
    _, whole = start(launcher, ready, tmp_path, 1_000_000)
    assert whole.result().exit_code == 0, whole.result().stderr
    steps = int((tmp_path / "steps-1000000").read_text())
    assert steps > 40
    lives: list[str] = []
    # Every third step, and each of the last: from the gate's end over record and alias to the canaries.
    chosen = [step for step in range(1, steps + 1) if step % 3 == 1 or step > steps - 16]
    for first in range(0, len(chosen), AT_ONCE):
        numbers = chosen[first : first + AT_ONCE]
        running = {number: start(launcher, ready, tmp_path, number) for number in numbers}
        for number, (workspace, process) in running.items():
            assert process.result().exit_code == -signal.SIGKILL, f"step {number}: {process.result().stderr}"
            live = live_version(workspace)
            assert live in ("v000001", "v000002"), f"step {number}"
            lives.append(str(live))
            report = verify(workspace)
            assert report.passed or _only_unfinished(workspace, live), f"step {number}: {report.verdicts}"
            if number % 4 == 0 or number > steps - 8:
                release(workspace)
                assert live_version(workspace) is not None and verify(workspace).passed, f"step {number}"
                served = workspace.home.version_records.find(str(live_version(workspace)))
                assert served is not None and len(served.batches) == 2, "what was about to be released is live"
    assert set(lives) == {"v000001", "v000002"} and lives == sorted(lives), "once it has gone live it stays so"


def _only_unfinished(workspace: Workspace, live: str | None) -> bool:
    """Between the record and the alias, the records are one step ahead: the next release does what they say."""
    newest = workspace.home.releases.all()[-1]
    return newest.replaced == live and newest.version == "v000002"
