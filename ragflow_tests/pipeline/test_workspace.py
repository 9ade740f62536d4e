"""The engines that a workspace shares."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

from ragflow.ocr.inspection import inspect_document
from ragflow.ocr.options import ReadingOptions
from ragflow.pipeline.inspections import InspectTask, inspect_task
from ragflow.pipeline.workspace import Workspace
from ragflow.sample import write_text_pdf
from ragflow.store.home import Home


def _use_the_pool(home: str, pdf: str) -> None:
    workspace = Workspace(home=Home(Path(home)))
    task = InspectTask("0" * 64, pdf, ReadingOptions())
    ((_, found),) = workspace.pool().map(inspect_task, [task], seconds=lambda _: 60.0)
    assert found == inspect_document(Path(pdf), ReadingOptions())


def test_a_child_process_that_used_the_pool_ends(tmp_path: Path) -> None:
    """Dagster launches runs as multiprocessing children: they skip atexit, and wait for their own children."""
    pdf = tmp_path / "a.pdf"
    write_text_pdf(pdf, [["A short page."]])
    child = multiprocessing.get_context("spawn").Process(target=_use_the_pool, args=(str(tmp_path), str(pdf)))
    child.start()
    child.join(60)
    ended = child.exitcode
    child.kill()
    assert ended == 0
