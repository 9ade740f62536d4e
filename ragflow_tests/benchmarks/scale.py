"""Search in large collections, which are made up (see ``synthetic``): latency of each mode, and memory.

One process, one search at a time, with the query's vector given; the engine decides between exact search and a graph
by the default of ``index_from_points``. Building a million points and their graph takes most of the time.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import psutil

from ragflow.pipeline.hits import SearchMode
from ragflow.pipeline.searching import Searcher
from ragflow.pipeline.workspace import EmbeddingOptions, Workspace
from ragflow.store.home import Home
from ragflow_tests.benchmarks.fresh import call
from ragflow_tests.benchmarks.report import Bench, Figure, say
from ragflow_tests.benchmarks.synthetic import build, queries

NAME = "scale"
VERSION = "v000001"
SIZES, QUICK_SIZES = (100_000, 1_000_000), (1_500,)
TOP = 10
MODES = (SearchMode.DENSE, SearchMode.SPARSE, SearchMode.HYBRID)
PERCENTILES = (50, 95, 99)
BYTES_EACH = 12_000
"""Disk that a point takes while its version is built, for what is merged exists twice."""
MEGABYTE = 1_000_000


def run(bench: Bench) -> Iterator[Figure]:
    for points in QUICK_SIZES if bench.quick else SIZES:
        free = shutil.disk_usage(bench.folder).free
        if free < points * BYTES_EACH:
            yield Figure(NAME, f"{points:,} chunks", f"left out: {free / 1e9:.0f} GB of disk are free")
            continue
        home = bench.folder / f"home-{points}"
        say(f"{NAME}: building a collection of {points:,} chunks")
        built = call(build_version, home, points=points)
        asked, warm = bench.count(500, 10), bench.count(100, 2)
        say(f"{NAME}: {asked} searches in each mode")
        found = call(measure, home, asked=asked, warm=warm).answer
        shutil.rmtree(home)
        yield from _figures(points, built.answer, built.wall, found)


def _figures(points: int, built: dict[str, int], seconds: float, found: dict[str, Any]) -> Iterator[Figure]:
    how = "by the graph" if built["indexed"] >= points else "exact"
    for mode in MODES:
        times = found["times"][mode]
        shown = " / ".join(f"{percentile(times, share):.1f}" for share in PERCENTILES)
        which = f", dense {how}" if mode is not SearchMode.SPARSE else ""
        yield Figure(
            NAME,
            f"{points:,} chunks, {mode.value}, best {TOP}, p50 / p95 / p99, vector given{which}",
            f"{shown} ms",
            percentile(times, 95),
        )
    yield Figure(
        NAME,
        f"{points:,} chunks: resident memory of the process, model loaded, after all searches",
        f"{found['rss'] / MEGABYTE:.0f} MB, of which {found['own'] / MEGABYTE:.0f} MB its own (the rest are mapped"
        f" files, which the system takes back when it needs room); before the collection was opened"
        f" {found['before'] / MEGABYTE:.0f} MB",
        found["rss"] / MEGABYTE,
    )
    yield Figure(
        NAME,
        f"{points:,} chunks: building it / opening it",
        f"{seconds:.0f} s, {built['bytes'] / MEGABYTE:.0f} MB on disk / {found['open']:.2f} s",
        seconds,
    )


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value that ``share`` percent of the values do not go above."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * int(share) // 100) - 1)]


def workspace_of() -> Workspace:
    """Return the workspace of this process's home, with one thread for the model, as the service has it."""
    return Workspace(Home(Path(os.environ["RAGFLOW_HOME"])), embedding=EmbeddingOptions(threads=1))


def build_version(points: int) -> dict[str, int]:
    workspace = workspace_of()
    info = build(workspace, VERSION, points)
    size = workspace.versions().size_bytes(VERSION)
    # Dense and sparse vectors count together, and the sparse ones always have an index.
    return {"points": info.points, "indexed": info.indexed - info.points, "bytes": size}


def measure(asked: int, warm: int) -> dict[str, Any]:
    """Return milliseconds of every search by mode, bytes of memory, and the seconds that opening took."""
    workspace = workspace_of()
    texts = queries(workspace, asked + warm)
    vectors = workspace.dense().encode(texts, role="query")
    before = psutil.Process().memory_info().rss
    started = time.perf_counter()
    with Searcher(workspace, VERSION) as searcher:
        opened = time.perf_counter() - started
        times: dict[str, list[float]] = {mode.value: [] for mode in MODES}
        for number, (query, vector) in enumerate(zip(texts, vectors, strict=True)):
            for mode in MODES:
                given = None if mode is SearchMode.SPARSE else vector
                started = time.perf_counter()
                searcher.search_with(query, given, top=TOP, mode=mode)
                if number >= warm:
                    times[mode.value].append(1000 * (time.perf_counter() - started))
        memory = psutil.Process().memory_info()
    return {"times": times, "rss": memory.rss, "own": memory.rss - memory.shared, "before": before, "open": opened}
