"""Prove what is served: a hundred thousand points, hashed and held against their release, and recomputed in full."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ragflow.embedding.dense import DenseEmbedder, Role
from ragflow.model.points import Float32Array
from ragflow.pipeline.ingest import MATERIALIZE, pending_batches
from ragflow.pipeline.release import release
from ragflow.pipeline.scanning import ScanLimits, scan, sources_for
from ragflow.pipeline.verification import verify
from ragflow.pipeline.workspace import GateOptions, Workspace
from ragflow.sample import make_text_archive
from ragflow.settings import load_settings
from ragflow_tests.benchmarks.fresh import call
from ragflow_tests.benchmarks.material import settle
from ragflow_tests.benchmarks.report import Bench, Figure, say

NAME = "verify"
TARGET_TOKENS = 32
"""Short chunks: many points from few pages."""
POINTS_PER_DOCUMENT = 8
MOST_SECONDS = 30.0
OFF = ("known_items", "golden_queries", "latency", "vectors_match_texts", "canaries")
"""What would look at the vectors: here they are drawn by lot, which hashes do not care about."""


def run(bench: Bench) -> Iterator[Figure]:
    points = bench.count(100_000, 1_000)
    home = bench.folder / "home"
    built = call(build_home, home, folder=bench.folder / "papers", documents=points // POINTS_PER_DOCUMENT + 1).answer
    say(f"{NAME}: {built['points']} points in {built['batches']} batches")
    for deep, what in ((False, "every hash"), (True, "every link, every page read again")):
        measured = call(verify_home, home, deep=deep)
        seconds = measured.answer["seconds"]
        yield Figure(
            NAME,
            f"`ragflow verify{' --deep' if deep else ''}` of {built['points']} points ({what})",
            f"{seconds:.1f} s ({measured.cpu:.1f} CPU s with the start of Python)",
            seconds,
            "" if deep else f"seconds, ≤ {MOST_SECONDS:.0f}",
            None if deep else seconds <= MOST_SECONDS,
        )


def build_home(*, folder: str, documents: int) -> dict[str, Any]:
    """Run in a process of its own: take generated documents up to a live version."""
    make_text_archive(Path(folder), documents)
    settle(Path(folder))
    workspace = _workspace()
    scan(workspace, sources_for(workspace, [Path(folder)]), ScanLimits(wait=False))
    batches = pending_batches(workspace)
    for batch in batches:
        for materialize in MATERIALIZE.values():
            materialize(workspace, batch)
    report = release(workspace)
    assert report.decision == "promoted", [v.summary for v in report.verdicts if not v.passed]
    assert report.record is not None
    return {"points": report.record.points, "batches": len(batches)}


def verify_home(*, deep: bool) -> dict[str, Any]:
    """Run in a process of its own."""
    report = verify(_workspace(), deep=deep)
    assert report.passed, [verdict.summary for verdict in report.verdicts if not verdict.passed]
    return {"seconds": report.seconds}


class _Lots(DenseEmbedder):
    """Gives vectors drawn by lot: what is measured is not the model."""

    def encode(
        self, texts: Sequence[str], on_progress: Callable[[int], None] | None = None, *, role: Role = "document"
    ) -> Float32Array:
        drawn = np.random.default_rng(len(texts)).standard_normal((len(texts), self.dimension)).astype(np.float32)
        return np.asarray(drawn / np.linalg.norm(drawn, axis=1, keepdims=True), dtype=np.float32)


class _LotsWorkspace(Workspace):
    __slots__ = ()

    def dense(self) -> DenseEmbedder:
        return _Lots(self.embedding.model, "float32")


def _workspace() -> Workspace:
    plain = replace(load_settings().workspace(), target_tokens=TARGET_TOKENS, gate=GateOptions(off=OFF))
    return _LotsWorkspace(**{name: getattr(plain, name) for name in Workspace.__slots__})
