"""Run ``ragflow`` commands as processes without paying for the imports each time.

Importing Dagster, torch and Great Expectations takes ten seconds. A *launcher* process does it once and then forks:
each command is a process of its own, with its own environment, session, stdout, stderr and exit code. What must not
be taken on trust (the first ingest, the second, the killed one) is started afresh, see :func:`run_afresh`.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

SECONDS = 180.0
"""A command that takes longer than this has hung."""
COMMAND = "ragflow.cli.main:main"
PRELOADED = ("ragflow.cli.main", "ragflow.definitions", "great_expectations", "sentence_transformers", "qdrant_edge")


@dataclass(frozen=True, slots=True)
class Result:
    """How a command ended."""

    exit_code: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        """The answer; fails unless stdout is exactly one JSON document."""
        return json.loads(self.stdout)

    @property
    def error_lines(self) -> list[str]:
        """The lines on stderr that are no log lines."""
        return [line for line in self.stderr.splitlines() if line.strip() and not line.startswith("{")]


def environment_of(home: Path, extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return this process's variables, but none that configure ragflow or Dagster, except those given."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("RAGFLOW_", "DAGSTER_"))}
    return {**plain, "RAGFLOW_HOME": str(home), **(extra or {})}


def command_line(arguments: Sequence[str | Path]) -> list[str]:
    return [sys.executable, "-m", "ragflow.cli.main", *map(str, arguments)]


def run_afresh(home: Path, *arguments: str | Path, env: Mapping[str, str] | None = None) -> Result:
    """Run a command the way a shell does."""
    done = subprocess.run(
        command_line(arguments),
        env=environment_of(home, env),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=SECONDS,
        check=False,
    )
    return Result(done.returncode, done.stdout.decode(), done.stderr.decode())


@dataclass(slots=True)
class Running:
    """A command that was started; :meth:`result` waits for it."""

    pid: int
    folder: Path
    launcher: Launcher

    def result(self) -> Result:
        exit_code = self.launcher.wait_for(self.pid)
        out, err = ((self.folder / name).read_bytes().decode() for name in ("stdout", "stderr"))
        return Result(exit_code, out, err)


@dataclass(slots=True)
class Launcher:
    """The other end of the launcher process, which starts with the first command."""

    process: subprocess.Popen[bytes] | None = None
    folder: tempfile.TemporaryDirectory[str] = field(default_factory=tempfile.TemporaryDirectory)
    started: int = 0

    def start(
        self,
        home: Path,
        *arguments: str | Path,
        env: Mapping[str, str] | None = None,
        target: str = COMMAND,
    ) -> Running:
        """Start a command, or another function ``module:name`` that takes a list of strings."""
        self.started += 1
        folder = Path(self.folder.name, str(self.started))
        folder.mkdir()
        order = {
            "target": target,
            "arguments": [str(argument) for argument in arguments],
            "environment": environment_of(home, env),
            "folder": str(folder),
        }
        return Running(self._ask(order)["pid"], folder, self)

    def run(self, home: Path, *arguments: str | Path, env: Mapping[str, str] | None = None) -> Result:
        return self.start(home, *arguments, env=env).result()

    def run_together(self, homes: Mapping[str, Path], *arguments: str) -> dict[str, Result]:
        """Run the same command on several homes at the same time."""
        running = {name: self.start(home, *arguments) for name, home in homes.items()}
        return {name: command.result() for name, command in running.items()}

    def wait_for(self, pid: int) -> int:
        try:
            return int(self._ask({"wait": pid})["exit_code"])
        except TimeoutError:
            os.killpg(pid, signal.SIGKILL)
            raise

    def _ask(self, order: Mapping[str, Any]) -> dict[str, Any]:
        if self.process is None:
            self.process = subprocess.Popen(
                [sys.executable, "-m", __name__], stdin=subprocess.PIPE, stdout=subprocess.PIPE
            )
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(json.dumps(order).encode() + b"\n")
        self.process.stdin.flush()
        if not select.select([self.process.stdout], [], [], SECONDS)[0]:
            raise TimeoutError(f"no answer within {SECONDS} s to {order}")
        answer: dict[str, Any] = json.loads(self.process.stdout.readline())
        return answer

    def stop(self) -> None:
        if self.process is not None:
            self.process.communicate()  # the end of its stdin is its end
            self.process = None
        self.folder.cleanup()


def _serve() -> None:
    """Be the launcher process: one order a line on stdin, one answer a line on stdout."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    for name in PRELOADED:
        importlib.import_module(name)
    gc.freeze()
    for line in sys.stdin:
        order = json.loads(line)
        if "wait" in order:
            _, status = os.waitpid(order["wait"], 0)
            answers.write(json.dumps({"exit_code": os.waitstatus_to_exitcode(status)}) + "\n")
            continue
        pid = os.fork()
        if pid == 0:
            answers.close()
            _become(order)
        answers.write(json.dumps({"pid": pid}) + "\n")


def _become(order: Mapping[str, Any]) -> NoReturn:
    os.setsid()
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    for descriptor, path, mode in (
        (0, os.devnull, os.O_RDONLY),
        (1, f"{order['folder']}/stdout", flags),
        (2, f"{order['folder']}/stderr", flags),
    ):
        opened = os.open(path, mode)
        os.dup2(opened, descriptor)
        os.close(opened)
    os.environ.clear()
    os.environ.update(order["environment"])
    module, _, name = order["target"].partition(":")
    exit_code = 0
    try:
        getattr(importlib.import_module(module), name)(order["arguments"])
    except SystemExit as ended:
        exit_code = int(ended.code or 0)
    except BaseException:
        traceback.print_exc()
        exit_code = 1
    # Everything that is done at the end of a process, but for taking apart all that was imported: that takes a second.
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(exit_code)


if __name__ == "__main__":
    _serve()
