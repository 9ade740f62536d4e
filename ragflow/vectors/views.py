"""Views: how a reader opens a version without touching it.

Loading a shard rewrites its configuration and repairs bookkeeping that the last writer left behind; closing it flushes
(measured: segment states, flags, trackers and id maps are rewritten, mostly with the same bytes, and not so after a
delta). So every reader gets a private copy of the shard in which only the bulk of the data, which the engine does
not write to without an update, is shared by hard links. What a reader writes stays in its view, and a reader that is
open outlives the removal of its version.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import shutil
import time
from pathlib import Path

from ragflow.vectors.files import copy_file

SWEEP_AFTER_SECONDS = 60.0
_VIEW = re.compile(r"([0-9]+)-[0-9a-f]{16}", re.ASCII)
_BULK = re.compile(
    r"""
    chunk_[0-9]+\.mmap | matrix\.dat     # dense vectors: growing, complete
    | page_[0-9]+\.dat                   # payloads, sparse vectors, values of payload indexes
    | links.*\.bin | inverted_index\.dat # HNSW graph, sparse index
    """,
    re.VERBOSE | re.ASCII,
)


def make_view(views: Path, shard: Path) -> Path:
    """Make a view of ``shard`` in ``views`` and return its folder, ``<process id>-<random>``."""
    view = views / f"{os.getpid()}-{secrets.token_hex(8)}"
    view.mkdir(parents=True)
    try:
        for parent, folders, names in os.walk(shard):
            below = view / Path(parent).relative_to(shard)
            for name in folders:
                (below / name).mkdir()
            for name in names:
                source = Path(parent, name)
                if _BULK.fullmatch(name):
                    _share_file(source, below / name)
                else:
                    copy_file(source, below / name)
    except BaseException:
        remove_view(view)
        raise
    return view


def _share_file(source: Path, target: Path) -> None:
    """Link ``source``; copy it where that is not possible: another file system, or a version of another user."""
    # No symbolic link: the engine counts plain files only when it looks for its pages.
    try:
        target.hardlink_to(source)
    except OSError as error:
        if error.errno not in {errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP}:
            raise
        copy_file(source, target)


def remove_view(view: Path) -> None:
    """Remove a view; the files it shares stay. Someone else may be removing it at the same moment."""
    shutil.rmtree(view, ignore_errors=True)


def sweep_views(views: Path) -> list[Path]:
    """Remove the views that dead processes left, and return them.

    A process is taken as dead if no process has its number and its view is older than a minute. Where several
    containers share the folder, one cannot see the processes of another: give each its own folder for views.
    """
    if not views.is_dir():
        return []
    swept = []
    for view in views.iterdir():
        name = _VIEW.fullmatch(view.name)
        if name is None or _is_alive(int(name[1])):
            continue
        try:
            age = time.time() - view.stat().st_mtime
        except FileNotFoundError:  # another process swept it first
            continue
        if age >= SWEEP_AFTER_SECONDS:
            remove_view(view)
            swept.append(view)
    return swept


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True
