"""A backup of the shared archive, ways to forge one, and processes that are killed while they work on one."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import textwrap
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ragflow.model.backups import BackupFile, BackupManifest, BackupProof, Part, manifest_sha256
from ragflow.model.fingerprints import sha256_hex
from ragflow.model.verdicts import Outcome, Verdict
from ragflow.pipeline.backing_up import back_up
from ragflow.pipeline.verification import verify
from ragflow.pipeline.workspace import Workspace
from ragflow.store.backups import BackupTarget, open_target
from ragflow_tests.pipeline.archive import Archive

NAME = "first"
PROJECT = Path(__file__).parents[2]


def shared_backup(archive: Archive) -> Path:
    """Return where the live version of the shared archive is backed up; tests must leave it as it is."""
    target = archive.home.root.parent / "backups of it"
    if not target.exists():
        back_up(archive.workspace, str(target), name=NAME)
    return target


def copied_backup(archive: Archive, target: Path) -> BackupTarget:
    """Return a copy to change."""
    shutil.copytree(shared_backup(archive), target)
    return open_target(str(target))


def object_path(target: BackupTarget, sha256: str) -> Path:
    assert target.folder is not None
    return target.folder / "objects" / sha256[:2] / sha256


def files_like(manifest: BackupManifest, part: Part, beginning: str = "") -> list[BackupFile]:
    return [file for file in manifest.of(part) if file.path.startswith(beginning)]


def forge(target: BackupTarget, manifest: BackupManifest, *, passed: bool = True) -> BackupManifest:
    """Put a manifest in place under its seal, with a proof that says that it is good."""
    target.put_manifest(manifest)
    verdict = Verdict("backup_complete", Outcome.PASS if passed else Outcome.FAIL, "It was restored elsewhere.")
    target.put_proof(BackupProof(manifest.name, manifest_sha256(manifest.to_json()), "now", 0.0, (verdict,)))
    return manifest


def with_content(target: BackupTarget, manifest: BackupManifest, file: BackupFile, content: bytes) -> BackupManifest:
    """Return the manifest with other bytes in one file, under their right hash; they are in the target."""
    digest = sha256_hex(content)
    target.ensure(digest, len(content), content)
    other = replace(file, sha256=digest, size=len(content), object=digest, stored=len(content))
    return replace(manifest, files=tuple(other if one == file else one for one in manifest.files))


def decisions(workspace: Workspace) -> list[tuple[str, str, str | None]]:
    return [(r.version, str(r.decision), r.replaced) for r in workspace.home.releases.all()]


def snapshot(root: Path) -> dict[str, bytes]:
    """Return every file of a home that says something; locks and views do not."""
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file() and not {"locks", "views", "dagster"} & set(path.relative_to(root).parts)
    }


def is_sound(workspace: Workspace, *, deep: bool = False) -> bool:
    return verify(workspace, deep=deep).passed


def run_killed(code: str, *arguments: str | Path) -> None:
    """Run Python code that is to kill its own process, with ``die_in(owner, name, after=0)`` to say where."""
    script = f"{_DIE}\n{textwrap.dedent(code)}"
    command: Sequence[str] = [sys.executable, "-c", script, *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert ended.returncode == -signal.SIGKILL, ended.stderr


_DIE = '''
import os, signal, sys
from pathlib import Path
from ragflow_tests.pipeline.archive import make_workspace


def die_in(owner, name, after=0, late=False):
    """Kill this process when a function is called for the time that follows `after` others: before it, or behind."""
    real, calls = getattr(owner, name), []

    def deadly(*arguments, **named):
        calls.append(name)
        if len(calls) <= after:
            return real(*arguments, **named)
        if late:
            real(*arguments, **named)
        os.kill(os.getpid(), signal.SIGKILL)

    setattr(owner, name, deadly)
'''
