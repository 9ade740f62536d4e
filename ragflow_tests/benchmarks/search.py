"""Latency of searches in the bulk archive."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from ragflow.pipeline.hits import SearchMode
from ragflow.pipeline.searching import Searcher
from ragflow.pipeline.stages import CHUNKS
from ragflow.pipeline.workspace import Workspace
from ragflow.store.home import Home
from ragflow_tests.benchmarks.bulk import ingested
from ragflow_tests.benchmarks.fresh import call
from ragflow_tests.benchmarks.report import Bench, Figure, say

NAME = "search"
QUERY_WORDS = 8
TOP = 10
MODES = (SearchMode.DENSE, SearchMode.SPARSE, SearchMode.HYBRID)


def run(bench: Bench) -> Iterator[Figure]:
    home, whole = ingested(bench)
    queries, repetitions = bench.count(100, 10), bench.count(3, 1)
    say(f"{NAME}: {repetitions} x {queries} queries in each mode")
    found = call(measure, home, queries=queries, repetitions=repetitions).answer
    points = whole.answer["answer"]["release"]["points"]
    for mode in MODES:
        with_query, without = (1000 * median(found[kind][mode]) for kind in ("with_query", "without"))
        what, shown = "query embedded as well / before", f"{with_query:.1f} ms / {without:.1f} ms"
        if mode is SearchMode.SPARSE:
            what, shown = "its query needs no model", f"{without:.1f} ms"
        yield Figure(NAME, f"{mode.value}, best {TOP} of {points} points, median latency: {what}", shown, with_query)
    yield Figure(NAME, "opening the live version, first time / again", " / ".join(f"{s:.2f} s" for s in found["open"]))


def measure(queries: int, repetitions: int) -> dict[str, Any]:
    """Return the seconds of every search: kind → mode → seconds; and of opening the live version twice."""
    workspace = Workspace(home=Home(Path(os.environ["RAGFLOW_HOME"])))
    asked = questions(workspace, queries)
    opened: list[float] = []
    for _ in range(2):
        _timed(lambda: Searcher(workspace).__exit__(None, None, None), opened)
    seconds: dict[str, dict[str, list[float]]] = {
        kind: {mode.value: [] for mode in MODES} for kind in ("with_query", "without")
    }
    with Searcher(workspace) as searcher:
        vectors = searcher.embed(asked)
        for mode in MODES:
            searcher.search(asked[0], mode=mode, top=TOP)  # loads what is loaded with the first search
        for _ in range(repetitions):
            for query, vector in zip(asked, vectors, strict=True):
                for mode in MODES:
                    given = None if mode is SearchMode.SPARSE else vector
                    whole = partial(searcher.search, query, mode=mode, top=TOP)
                    rest = partial(searcher.search_with, query, given, mode=mode, top=TOP)
                    _timed(whole, seconds["with_query"][mode.value])
                    _timed(rest, seconds["without"][mode.value])
    return {**seconds, "open": opened}


def questions(workspace: Workspace, wanted: int) -> list[str]:
    """Return some words in a row from as many chunks, always the same ones."""
    tables = workspace.home.tables
    texts: list[str] = []
    for batch in tables.batches(CHUNKS):
        table = tables.read(tables.get(CHUNKS, batch), "chunks", columns=["text"])
        texts += table.column("text").to_pylist()
    choice = random.Random(0)
    asked = []
    for text in choice.sample(texts, min(wanted, len(texts))):
        words = text.split()
        start = choice.randrange(max(1, len(words) - QUERY_WORDS))
        asked.append(" ".join(words[start : start + QUERY_WORDS]))
    return asked


def _timed(work: Callable[[], object], seconds: list[float]) -> None:
    started = time.perf_counter()
    work()
    seconds.append(time.perf_counter() - started)
