"""An ingest with a stopwatch on each of its parts. Runs in a process of its own: it replaces functions of the package.

Seconds of a part are its own: what it called that has a stopwatch itself is not in them. CPU seconds are those of all
processes. Heavy libraries are imported where they are first used, and count there.
"""

from __future__ import annotations

import functools
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ragflow_tests.benchmarks.meter import tree_cpu_seconds

PARTS: tuple[tuple[str, str, str], ...] = (
    ("scan and hash", "ragflow.pipeline.scanning", "scan"),
    ("find pending batches", "ragflow.pipeline.ingest", "pending_batches"),
    ("raw_pdfs", "ragflow.pipeline.raw_pdfs", "materialize"),
    ("ocr_text", "ragflow.pipeline.ocr_text", "materialize"),
    ("chunks", "ragflow.pipeline.chunks", "materialize"),
    ("embeddings, apart from encoding", "ragflow.pipeline.embeddings", "materialize"),
    ("checks of the batches", "ragflow.pipeline.batch_checks", "check_stage"),
    ("build candidate", "ragflow.pipeline.collection", "build_candidate"),
    ("read the candidate back (check)", "ragflow.pipeline.sealing", "read_and_check_seal"),
    ("gate", "ragflow.pipeline.examination", "examine"),
    ("status for the answer", "ragflow.pipeline.overview", "status"),
    ("Dagster", "ragflow.cli.runs", "open_instance"),
    ("Dagster", "ragflow.cli.runs", "add_partitions"),
    ("Dagster", "ragflow.cli.runs", "run_job"),
)
"""Name of the part, module, function."""

WHOLE = "comparing precisions (check)"
METHODS: tuple[tuple[str, str, str, str], ...] = (
    ("dense encoding", "ragflow.embedding.dense", "DenseEmbedder", "encode"),
    ("sparse encoding", "ragflow.embedding.sparse", "SparseEmbedder", "encode"),
    (WHOLE, "ragflow.embedding.dense", "DenseEmbedder", "cosine_to_float32"),
)
IMPORTS, REST = "import Dagster and the definitions", "the rest of the process"


@dataclass(slots=True)
class Part:
    """Seconds that a part took by itself."""

    wall: float = 0.0
    cpu: float = 0.0
    calls: int = 0


@dataclass(slots=True)
class Stopwatch:
    """Measures nested calls in one thread."""

    parts: dict[str, Part] = field(default_factory=dict)
    _inner: list[list[float]] = field(default_factory=list)
    _names: list[str] = field(default_factory=list)

    @contextmanager
    def running(self, name: str) -> Iterator[None]:
        if self._names and self._names[-1] == WHOLE:  # what it calls belongs to it
            yield
            return
        cpu, wall = tree_cpu_seconds(), time.perf_counter()
        self._inner.append([0.0, 0.0])
        self._names.append(name)
        try:
            yield
        finally:
            self._names.pop()
            inner_wall, inner_cpu = self._inner.pop()
            total_wall, total_cpu = time.perf_counter() - wall, tree_cpu_seconds() - cpu
            part = self.parts.setdefault(name, Part())
            part.wall += total_wall - inner_wall
            part.cpu += total_cpu - inner_cpu
            part.calls += 1
            if self._inner:
                self._inner[-1][0] += total_wall
                self._inner[-1][1] += total_cpu

    def wrapped(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def measured(*args: Any, **kwargs: Any) -> Any:
            with self.running(name):
                return function(*args, **kwargs)

        return measured


def put_on(stopwatch: Stopwatch) -> None:
    """Replace each measured function wherever a module of the package holds it."""
    ours = [module for name, module in sys.modules.items() if name.startswith("ragflow.")]
    for part, module_name, name in PARTS:
        original = getattr(sys.modules[module_name], name)
        replacement = stopwatch.wrapped(part, original)
        for module in ours:
            for attribute, value in list(vars(module).items()):
                if value is original:
                    setattr(module, attribute, replacement)
                elif isinstance(value, dict):
                    value.update({key: replacement for key, entry in value.items() if entry is original})
    for part, module_name, owner_name, name in METHODS:
        owner = getattr(sys.modules[module_name], owner_name)
        setattr(owner, name, stopwatch.wrapped(part, getattr(owner, name)))


def profiled_ingest(folder: str) -> dict[str, Any]:
    """Do what ``ragflow ingest FOLDER`` does, in the home folder that RAGFLOW_HOME names.

    Returns:
        ``answer``: as the command prints it; ``parts``: name → wall, cpu, calls; ``total``: wall, cpu of the whole.
    """
    started, stopwatch = time.perf_counter(), Stopwatch()
    with stopwatch.running(IMPORTS):
        import ragflow.cli.main
        import ragflow.definitions
        import ragflow.pipeline.overview  # noqa: F401
    put_on(stopwatch)
    from ragflow.cli import archive
    from ragflow.settings import load_settings

    with stopwatch.running(REST):
        answer, exit_code = archive.run_ingest(load_settings(), [Path(folder)])
    if exit_code:
        raise RuntimeError(f"the ingest ended with exit code {exit_code}: {answer['release']}")
    return {
        "answer": answer,
        "total": {"wall": time.perf_counter() - started, "cpu": tree_cpu_seconds()},
        "parts": {
            name: {"wall": part.wall, "cpu": part.cpu, "calls": part.calls} for name, part in stopwatch.parts.items()
        },
    }
