"""A release that kills its own process at the n-th step: run in a child of the launcher, see ``test_kill_points``."""

from __future__ import annotations

import importlib
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ragflow.pipeline.workspace import GateOptions

STEPS: tuple[tuple[str, str], ...] = (
    ("ragflow.store.atomic", "put_in_place"),
    ("ragflow.vectors.folders", "write_json"),
    ("ragflow.vectors.edge", "copy_tree"),
    ("ragflow.vectors.edge", "sync_tree"),
    ("ragflow.vectors.edge", "EdgeWriter.upsert"),
    ("ragflow.vectors.edge", "EdgeWriter.delete"),
    ("ragflow.vectors.edge", "EdgeWriter.finish"),
    ("ragflow.vectors.folders", "VersionFolders.move_alias"),
    ("ragflow.store.tables", "TableStore.keep"),
    ("ragflow.pipeline.examination", "check_batches"),
    ("ragflow.pipeline.examination", "observe"),
    ("ragflow.pipeline.examination", "ask_candidate"),
    ("ragflow.pipeline.release", "examine"),
    ("ragflow.pipeline.release", "ask_canaries"),
)
"""Functions before and after which the process may be killed. ``put_in_place`` is looked at wherever it is used."""

GATE = GateOptions(off=("read_again", "garbled_text", "vectors_match_texts"))
"""They start processes or models of their own and write nothing."""


def release_killed_at(arguments: list[str]) -> None:
    """Release, and die at the step with this number, from 1; if there are fewer, write how many there were.

    Args:
        arguments: home folder, step, file for the number of steps.
    """
    home, step, told = arguments
    seen = 0

    def passed() -> None:
        nonlocal seen
        seen += 1
        if seen == int(step):
            os.kill(os.getpid(), signal.SIGKILL)

    for module, name in STEPS:
        _wrap(module, name, passed)
    from ragflow.pipeline.release import release
    from ragflow_tests.pipeline.archive import make_workspace

    release(make_workspace(Path(home), gate=GATE))
    Path(told).write_text(str(seen))


def _wrap(module: str, name: str, passed: Callable[[], None]) -> None:
    owner: Any = importlib.import_module(module)
    *path, last = name.split(".")
    for part in path:
        owner = getattr(owner, part)
    original = getattr(owner, last)

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        passed()
        result = original(*args, **kwargs)
        passed()
        return result

    setattr(owner, last, wrapped)
