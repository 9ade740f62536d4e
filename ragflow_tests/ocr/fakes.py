"""Engines and pool functions that do nothing, hang, crash or eat memory, on purpose."""

from __future__ import annotations

import inspect
import os
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from ragflow.errors import BadInputError, DependencyMissingError
from ragflow.model.reading import PageReading, PageStatus, Reason
from ragflow.ocr.engine import EngineError
from ragflow.ocr.pdf import PageView


class NullEngine:
    """Passes every page on."""

    name = "null"

    def __init__(self) -> None:
        self.runs = 0

    def read(self, page: PageView) -> PageReading | None:
        return None


class FixedEngine:
    """Reads the same French sentence on every page."""

    name = "fixed"

    def __init__(self) -> None:
        self.runs = 0

    def read(self, page: PageView) -> PageReading | None:
        self.runs += 1
        text = "Les élèves de cette école étudient la géométrie avec beaucoup de plaisir."
        return PageReading(page.page_index, PageStatus.INDEXED, engine=self.name, text=text)


class FailingEngine:
    """Raises the given error on every page."""

    name = "failing"

    def __init__(self, error: Exception) -> None:
        self.runs = 0
        self._error = error

    def read(self, page: PageView) -> PageReading | None:
        raise self._error


class CrashingEngine:
    """Kills its own process."""

    name = "crashing"

    def __init__(self) -> None:
        self.runs = 0

    def read(self, page: PageView) -> PageReading | None:
        os.kill(os.getpid(), signal.SIGKILL)
        return None


class SlowEngine:
    """Sleeps for the given seconds, then passes the page on."""

    name = "slow"

    def __init__(self, seconds: float) -> None:
        self.runs = 0
        self._seconds = seconds

    def read(self, page: PageView) -> PageReading | None:
        time.sleep(self._seconds)
        return None


@dataclass(frozen=True, slots=True)
class Task:
    """What a worker is to do (the name of a deed below), and with which number or folder."""

    deed: str
    number: int = 0
    folder: str = ""


def perform(task: Task) -> int:
    """Run the task's deed in a worker."""
    return {
        "double": _double,
        "exit": _exit,
        "kill": _kill,
        "kill once": _kill_once,
        "hang": _hang,
        "hang with child": _hang_with_child,
        "kill with child": _kill_with_child,
        "eat": _eat,
        "raise ours": _raise_ours,
        "raise other": _raise_other,
        "unpicklable": _unpicklable,
        "limits": _limits,
        "pid": _pid,
        "arrow": _arrow,
        "stop with the lock": _stop_with_the_lock,
    }[task.deed](task)


def _double(task: Task) -> int:
    return 2 * task.number


def _exit(task: Task) -> int:
    os._exit(task.number)


def _kill(task: Task) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return 0


def _kill_once(task: Task) -> int:
    try:
        (Path(task.folder) / f"{task.number}").touch(exist_ok=False)
    except FileExistsError:
        return 2 * task.number
    return _kill(task)


def _hang(task: Task) -> int:
    time.sleep(600)
    return 0


def _child(task: Task) -> None:
    child = subprocess.Popen(["sleep", "600"])
    written = Path(task.folder) / "child.part"
    written.write_text(str(child.pid), encoding="ascii")
    written.rename(Path(task.folder) / "child")


def _hang_with_child(task: Task) -> int:
    _child(task)
    return _hang(task)


def _kill_with_child(task: Task) -> int:
    _child(task)
    return _kill(task)


def _eat(task: Task) -> int:
    kept = [bytearray(16 * 1024 * 1024) for _ in range(task.number)]
    return len(kept)


def _raise_ours(task: Task) -> int:
    raise DependencyMissingError("The thing is missing.", remedy="Get the thing.")


def _raise_other(task: Task) -> int:
    raise ZeroDivisionError("by zero")


def _unpicklable(task: Task) -> int:
    return (number for number in range(3))  # type: ignore[return-value]


def _limits(task: Task) -> int:
    return int(os.environ["OMP_THREAD_LIMIT"])


def _pid(task: Task) -> int:
    time.sleep(0.2)
    return os.getpid()


def _arrow(task: Task) -> int:
    """Load what a reading worker loads, make a table, and return the MiB that count against the limit."""
    from ragflow.model.tables import PAGE_TEXTS
    from ragflow.pipeline import ocr_text

    assert ocr_text.TEXT_LAYER_UNIT and PAGE_TEXTS.empty_table().num_rows == 0
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmData")]
    return int(line.split()[1]) // 1024


def _stop_with_the_lock(task: Task) -> int:
    """Take the lock under which a pool's workers are handed their tasks, and stand still."""
    frame = inspect.currentframe()
    while frame is not None and "channel" not in frame.f_locals:
        frame = frame.f_back
    assert frame is not None
    with frame.f_locals["channel"].lock(timeout=10) as locked:
        assert locked
        os.kill(os.getpid(), signal.SIGSTOP)
    return 0


def errors() -> list[Exception]:
    """One error of each kind that an engine may end with on a bad page."""
    return [
        EngineError("the page is bad"),
        EngineError("too slow", reason=Reason.TIMED_OUT),
        ValueError("a defect"),
        MemoryError(),
    ]


def fatal() -> list[Exception]:
    """Errors that must not be taken for a bad page."""
    return [DependencyMissingError("no program"), BadInputError("something else of ours")]
