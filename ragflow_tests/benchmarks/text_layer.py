"""Born-digital pages: inspection, reading and chunking, in one process on one core."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from ragflow.chunking import PageText, chunk_pages
from ragflow.ocr import reader
from ragflow.ocr.inspection import inspect_document
from ragflow.pipeline.workspace import Workspace
from ragflow.store.home import Home
from ragflow_tests.benchmarks.fresh import call
from ragflow_tests.benchmarks.material import write_reports
from ragflow_tests.benchmarks.report import Bench, Figure, say

NAME = "text_layer"
WORDS = 400
PAGES_EACH = 20
LEAST_PAGES_PER_SECOND = 40.0
STEPS = ("inspect", "read", "chunk")


def run(bench: Bench) -> Iterator[Figure]:
    documents, repetitions = bench.count(20, 2), bench.count(3, 1)
    pages = documents * PAGES_EACH
    say(f"{NAME}: {repetitions} x {pages} born-digital pages")
    folder = bench.folder / "reports"
    write_reports(folder, documents, PAGES_EACH, words=WORDS)
    repeated = call(measure, bench.folder / "home", folder=folder, repetitions=repetitions).answer
    total = median(sum(seconds) for seconds in repeated)
    steps = [median(seconds[step] for seconds in repeated) for step in range(len(STEPS))]
    shares = ", ".join(f"{name} {1000 * seconds / pages:.1f}" for name, seconds in zip(STEPS, steps, strict=True))
    yield Figure(
        NAME,
        f"{pages} pages of {WORDS} words in {documents} PDFs: inspect, read, chunk, in one process on one core",
        f"{pages / total:.0f} pages/s ({shares} ms a page)",
        pages / total,
        f"≥ {LEAST_PAGES_PER_SECOND:.0f} pages/s",
        pages / total >= LEAST_PAGES_PER_SECOND,
    )


def measure(folder: str, repetitions: int) -> list[tuple[float, ...]]:
    """Return the seconds of each step, for each repetition. Pins this process to one core."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    workspace = Workspace(home=Home(Path(os.environ["RAGFLOW_HOME"])))
    paths = sorted(Path(folder).glob("*.pdf"))
    go_through(workspace, paths[:1])  # loads the tokenizer and the language model
    return [go_through(workspace, paths) for _ in range(repetitions)]


def go_through(workspace: Workspace, paths: list[Path]) -> tuple[float, ...]:
    """Return the seconds of each of :data:`STEPS`."""
    seconds = [0.0] * len(STEPS)
    for path in paths:
        marks = [time.perf_counter()]
        inspection = inspect_document(path, workspace.reading)
        marks.append(time.perf_counter())
        reading = reader.read_unit(path, range(len(inspection.pages)), workspace.reading)
        marks.append(time.perf_counter())
        pages = [
            PageText(path.name, page.page_index, page.text, page.words, page.headings, page.language)
            for page in reading.pages
        ]
        chunks = list(chunk_pages(pages, workspace.tokenizer(), workspace.chunk_options()))
        marks.append(time.perf_counter())
        if len(pages) != inspection.page_count or not all(chunks):
            raise ValueError(f"{path.name} was not read completely")
        for step in range(len(STEPS)):
            seconds[step] += marks[step + 1] - marks[step]
    return tuple(seconds)
