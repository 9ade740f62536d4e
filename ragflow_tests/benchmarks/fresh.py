"""Run a command, or a function, as a new process with nothing imported yet, and measure it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ragflow_tests.benchmarks.meter import Peak

SECONDS = 3600
"""A command that takes longer than this has hung."""
LAST_LINES = 15


@dataclass(frozen=True, slots=True)
class Measured:
    """What a process answered, and what it cost.

    Attributes:
        answer: the JSON that it printed or its function returned.
        wall, cpu: seconds, interpreter start and end included; ``cpu`` with all processes that it started.
        peaks: one per process, if memory was asked for.
    """

    answer: Any
    wall: float
    cpu: float
    peaks: tuple[Peak, ...]


def ragflow_command(home: Path, *arguments: str | Path, memory: bool = False) -> Measured:
    """Run ``ragflow … --json`` as a shell does."""
    script = Path(sys.executable).with_name("ragflow")
    program = [str(script)] if script.is_file() else [sys.executable, "-m", "ragflow.cli.main"]
    with tempfile.TemporaryDirectory(dir=home.parent) as folder:
        answer = Path(folder, "answer.json")
        with answer.open("wb") as stdout:
            measured = _measure([*program, *map(str, arguments), "--json"], home, Path(folder), stdout.fileno(), memory)
        return _with_answer(measured, answer)


def call(function: Callable[..., Any], home: Path, **arguments: Any) -> Measured:
    """Call a function that stands at the top level of a module, with arguments and an answer that JSON can hold."""
    with tempfile.TemporaryDirectory(dir=home.parent) as folder:
        given, answer = Path(folder, "arguments.json"), Path(folder, "answer.json")
        given.write_text(json.dumps(arguments, default=str))
        target = f"{function.__module__}:{function.__name__}"
        command = [sys.executable, "-m", "ragflow_tests.benchmarks.child", target, str(given), str(answer)]
        return _with_answer(_measure(command, home, Path(folder), subprocess.DEVNULL, False), answer)


def _with_answer(measured: dict[str, Any], answer: Path) -> Measured:
    peaks = tuple(Peak(**peak) for peak in measured["peaks"])
    return Measured(json.loads(answer.read_text()), measured["wall"], measured["cpu"], peaks)


def _measure(command: Sequence[str], home: Path, folder: Path, stdout: int, memory: bool) -> dict[str, Any]:
    result, log = folder / "measured.json", folder / "stderr.txt"
    kind = "memory" if memory else "cpu"
    with log.open("wb") as stderr:
        meter = subprocess.Popen(
            [sys.executable, "-m", "ragflow_tests.benchmarks.meter", str(result), kind, *command],
            env=environment_of(home),
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            start_new_session=True,
        )
        try:
            exit_code = meter.wait(SECONDS)
        except BaseException:  # also Ctrl-C, which does not reach the new session
            os.killpg(meter.pid, signal.SIGKILL)
            meter.wait()
            raise
    measured: dict[str, Any] = json.loads(result.read_text()) if result.is_file() else {"exit_code": exit_code}
    if exit_code or measured["exit_code"]:
        last = "\n".join(log.read_text(errors="replace").splitlines()[-LAST_LINES:])
        raise RuntimeError(f"{' '.join(command[:4])} ended with exit code {measured['exit_code']}:\n{last}")
    return measured


def environment_of(home: Path) -> dict[str, str]:
    """Return this process's variables without those that configure ragflow or Dagster; the home folder is given.

    Temporary files go beside the home folder, and are removed with it whatever becomes of the process.
    """
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("RAGFLOW_", "DAGSTER_"))}
    return {**plain, "RAGFLOW_HOME": str(home), "TMPDIR": str(home.parent)}
