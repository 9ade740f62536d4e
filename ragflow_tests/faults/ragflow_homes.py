"""Homes for ragflow under test: what works in them, how they are copied, and how their files are damaged."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import orjson

from ragflow.model.merkle import version_root
from ragflow.model.releases import SEAL, sealed
from ragflow.ocr.options import ReadingOptions
from ragflow.pipeline.collection import CandidateReport
from ragflow.pipeline.ingest import MATERIALIZE, pending_batches
from ragflow.pipeline.observed import read_points
from ragflow.pipeline.scanning import ScanLimits, scan, sources_for
from ragflow.pipeline.workspace import BatchOptions, EmbeddingOptions, Workspace
from ragflow.store.home import Home
from ragflow.vectors.files import copy_file
from ragflow_tests.faults.documents import Row


def workspace_at(root: Path) -> Workspace:
    return Workspace(
        home=Home(root.resolve()),
        batching=BatchOptions(settle_seconds=0.0),
        reading=ReadingOptions(engines=("text_layer", "tesseract"), workers=1),
        embedding=EmbeddingOptions(precision="float32", threads=1),
    )


def take_over(folder: Path, inbox: Path) -> None:
    """Have the inbox hold what the folder holds, times included."""
    wanted = {path.name for path in folder.iterdir()}
    for path in inbox.iterdir():
        if path.name not in wanted:
            path.unlink()
    for path in folder.iterdir():
        shutil.copy2(path, inbox / path.name)


def work_off(workspace: Workspace) -> None:
    scan(workspace, sources_for(workspace, []), ScanLimits(wait=False))
    run_pending(workspace)


def run_pending(workspace: Workspace) -> None:
    for batch in pending_batches(workspace):
        for materialize in MATERIALIZE.values():
            materialize(workspace, batch)


def copy_home(source: Path, target: Path) -> None:
    """Copy a home; times and holes are kept."""

    def copy(old: str, new: str) -> None:
        copy_file(Path(old), Path(new))
        shutil.copystat(old, new)

    shutil.copytree(source, target, copy_function=copy, ignore=shutil.ignore_patterns("locks", "views"))


def change_file(path: Path, change: Callable[[bytes], bytes | None]) -> None:
    """Change the bytes of a file; None removes it."""
    data = change(path.read_bytes())
    if data is None:
        path.unlink()
    else:
        path.write_bytes(data)


def edit(path: Path, change: Callable[[Row], Row | None], again: Callable[[Row], Row] | None = None) -> None:
    """Edit a JSON file; None removes it.

    Args:
        again: done to what was edited, to put its seal right.
    """
    edited = change(orjson.loads(path.read_bytes()))
    if edited is None:
        path.unlink()
    else:
        path.write_bytes(orjson.dumps(again(edited) if again else edited, option=orjson.OPT_INDENT_2))


def seal(record: Row) -> Row:
    return sealed({name: value for name, value in record.items() if name != SEAL})


def reseal(workspace: Workspace, candidate: CandidateReport) -> None:
    """Have the record of a candidate say what the candidate holds."""
    record = candidate.record
    with workspace.versions().open(record.version) as reader:
        observed = read_points(reader)
    roots = observed.roots()
    workspace.home.version_records.put(
        replace(record, points=len(observed.hashes), batch_roots=roots, merkle_root=version_root(roots))
    )


def largest(folder: Path) -> Path:
    return max((path for path in folder.rglob("*") if path.is_file()), key=lambda path: path.stat().st_blocks)
