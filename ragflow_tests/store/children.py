"""Processes that are killed at an awkward moment."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

READY = "ready"


@contextmanager
def child(code: str, *arguments: str | Path) -> Iterator[subprocess.Popen[str]]:
    """Run Python code in a process of its own until it has said that it is ready; kill it at the end of the block."""
    script = f"import sys, time\nfrom pathlib import Path\n{textwrap.dedent(code)}"
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    process = subprocess.Popen(
        [sys.executable, "-c", script, *map(str, arguments)], stdout=subprocess.PIPE, text=True, env=environment
    )
    assert process.stdout is not None
    try:
        if process.stdout.readline().strip() != READY:
            pytest.fail("the child process ended before it was ready")
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
