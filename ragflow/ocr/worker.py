"""What a worker process of the pool starts with: limits, and a promise not to outlive its parent."""

from __future__ import annotations

import multiprocessing
import os
import resource
import shutil
import signal
import tempfile
import threading
from multiprocessing.connection import wait
from pathlib import Path

import psutil

ENVIRONMENT = {
    "OMP_THREAD_LIMIT": "1",  # one page per core is faster than one page on all cores
    "ARROW_DEFAULT_MEMORY_POOL": "system",  # Arrow's own sets a gigabyte aside, which counts against the limit
}
"""What a worker and the programs it runs need; read by libraries when they are loaded."""


def start_worker(memory_mb: int, folder: str) -> None:
    """Prepare this process for its tasks. Runs once, in the worker.

    The worker leads a process group of its own, so that a program it runs (Tesseract) can be ended with it. When the
    parent process ends, for whatever reason, a thread removes the folder and ends that group. The kernel's own signal
    for a dead parent would kill the worker alone, and leave the program it runs.

    Args:
        memory_mb: limit on private memory, in MiB, for the worker and for each program it runs.
        folder: the pool's folder; the worker notes its process id there, and temporary files go there.
    """
    os.setsid()
    (Path(folder) / f"{os.getpid()}.worker").touch()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # ends the process even while it is inside PDFium
    tempfile.tempdir = folder
    os.environ.update(ENVIRONMENT)
    # Before the limit is set: a thread that finds no memory to start in would be waited for without end.
    threading.Thread(target=_end_with_parent, args=(folder,), name="end-with-parent", daemon=True).start()
    limit = memory_mb * 1024 * 1024
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (limit if hard < 0 else min(limit, hard), hard))
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))


def _end_with_parent(folder: str) -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        shutil.rmtree(folder, ignore_errors=True)
        os.killpg(0, signal.SIGKILL)


def end_remains(folder: Path, *, all_workers: bool) -> None:
    """End what dead workers left running. Called in the parent.

    Args:
        folder: as given to :func:`start_worker`.
        all_workers: also end workers that still live.
    """
    for note in folder.glob("*.worker"):
        leader = int(note.stem)
        if not all_workers and _lives(leader):
            continue
        for process in psutil.process_iter():
            if _session(process.pid) == leader:
                _kill(process.pid)
        note.unlink(missing_ok=True)


def _lives(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _session(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except (ProcessLookupError, PermissionError):
        return None


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
