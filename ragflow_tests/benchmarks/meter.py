"""A process that runs one command and measures it with everything that the command starts.

    python -m ragflow_tests.benchmarks.meter RESULT.json cpu|memory COMMAND…

CPU seconds are the kernel's own count. A process whose parent ends is handed to this one (it is a *subreaper*), so
when all are gone its count of ended children holds every one of them: fork server, workers, Tesseract.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import subprocess
import sys
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

PR_SET_CHILD_SUBREAPER = 36
SAMPLE_SECONDS = 0.1
MAIN = "main process"
ENDING_SECONDS = 30.0
"""How long the command's processes may outlive it."""


@dataclass(slots=True)
class Peak:
    """The most memory that one process had, in bytes.

    Attributes:
        rss: resident, pages shared with other processes included in full.
        pss: resident, a page shared by n processes counted as an n-th; 0 where the kernel does not tell.
    """

    role: str
    pid: int
    rss: int = 0
    pss: int = 0


def tree_cpu_seconds() -> float:
    """Return the CPU seconds of this process, of all below it that live, and of all that these have waited for."""
    own = psutil.Process()
    total = 0.0
    for process in (own, *own.children(recursive=True)):
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system + times.children_user + times.children_system
    return total


class MemorySampler:
    """Looks at all processes below this one ten times a second, in a thread; a context manager."""

    def __init__(self) -> None:
        self.peaks: dict[tuple[int, float], Peak] = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._sample_until_ended, name="memory-sampler", daemon=True)

    def __enter__(self) -> MemorySampler:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        self._thread.join()

    def _sample_until_ended(self) -> None:
        own = psutil.Process()
        while not self._ended.wait(SAMPLE_SECONDS):
            for process in own.children(recursive=True):
                self._sample(process)

    def _sample(self, process: psutil.Process) -> None:
        try:
            with process.oneshot():
                key = (process.pid, process.create_time())
                peak = self.peaks.setdefault(key, Peak("", process.pid))
                # A process changes its name when it runs another program; the last one counts.
                if process.ppid() == os.getpid() and not peak.role:
                    peak.role = MAIN
                elif peak.role != MAIN:
                    peak.role = role_of(process.cmdline()) or peak.role
                peak.rss = max(peak.rss, process.memory_info().rss)
                peak.pss = max(peak.pss, process.memory_full_info().pss)
        except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
            return


def role_of(command: list[str]) -> str:
    """Return what a process is for that the measured command has started, directly or not."""
    line = " ".join(command)
    if "multiprocessing.forkserver" in line:
        return "reading worker or fork server"  # all workers have the command line of the fork server they come from
    if "multiprocessing.resource_tracker" in line:
        return "resource tracker"
    name = Path(command[0]).name if command else ""
    return "Dagster's capture of logs" if name == "tail" or "/dagster/" in line else name


def become_subreaper() -> None:
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "this kernel knows no subreapers; Linux 3.4 or later is needed")


def wait_for_orphans() -> None:
    """Wait for every process that the command left.

    Raises:
        TimeoutError: one does not end; what it has used could not be counted.
    """
    deadline = time.monotonic() + ENDING_SECONDS
    while True:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            if time.monotonic() > deadline:
                left = [child.pid for child in psutil.Process().children(recursive=True)]
                raise TimeoutError(f"the processes {left} outlive the command that started them")
            time.sleep(0.02)


def main(arguments: list[str]) -> None:
    target, kind, command = Path(arguments[0]), arguments[1], arguments[2:]
    become_subreaper()
    sampler = MemorySampler()
    started = time.monotonic()
    if kind == "memory":
        with sampler:
            exit_code = subprocess.run(command, check=False).returncode
    else:
        exit_code = subprocess.run(command, check=False).returncode
    wall = time.monotonic() - started
    wait_for_orphans()
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    peaks = [asdict(peak) for peak in sampler.peaks.values() if peak.role]
    result = {"exit_code": exit_code, "wall": wall, "cpu": used.ru_utime + used.ru_stime, "peaks": peaks}
    target.write_text(json.dumps(result))


if __name__ == "__main__":
    main(sys.argv[1:])
