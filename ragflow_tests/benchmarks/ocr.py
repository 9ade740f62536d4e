"""OCR: how the reading stage scales over workers, and what it costs beyond Tesseract itself."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from ragflow.ocr.options import ReadingOptions
from ragflow.ocr.pdf import PdfFile
from ragflow.ocr.tesseract import POOR_CONFIDENCE, UPRIGHT
from ragflow.pipeline import ocr_text, raw_pdfs
from ragflow.pipeline.scanning import scan, sources_for
from ragflow.pipeline.stages import OCR_TEXT
from ragflow.pipeline.workspace import Workspace
from ragflow.store.home import Home
from ragflow_tests.benchmarks.fresh import call
from ragflow_tests.benchmarks.material import write_scans
from ragflow_tests.benchmarks.meter import tree_cpu_seconds
from ragflow_tests.benchmarks.report import Bench, Figure, say

NAME = "ocr"
PARALLEL = 2
LEAST_SPEED_UP, MOST_OVERHEAD = 1.8, 0.10
PAGES_EACH = ocr_text.OCR_UNIT


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds of one repetition; ``cpu`` over all processes."""

    wall: float
    cpu: float


def run(bench: Bench) -> Iterator[Figure]:
    """Measure in a process of its own: bare Tesseract, the stage with two workers and with one, by turns."""
    documents, repetitions = bench.count(10, 2), bench.count(3, 1)
    pages = documents * PAGES_EACH
    say(f"{NAME}: {repetitions} x {pages} scanned pages, read three ways")
    measured = call(
        measure, bench.folder / "home", folder=bench.folder, documents=documents, repetitions=repetitions
    ).answer
    wall = {name: median(cost[0] for cost in costs) for name, costs in measured["costs"].items()}
    cpu = {name: median(cost[1] for cost in costs) for name, costs in measured["costs"].items()}
    speed_up = wall["stage_1"] / wall["stage_2"]
    doubled = f"; {measured['read_twice']} pages were read twice" if measured["read_twice"] else ""
    yield Figure(
        NAME,
        f"stage ocr_text, {pages} scanned pages (A4, 200 dpi): wall time, 1 worker / 2 workers",
        f"{wall['stage_1']:.1f} s / {wall['stage_2']:.1f} s = {speed_up:.2f} x"
        f" ({60 * pages / wall['stage_2']:.0f} pages/minute)",
        speed_up,
        f"≥ {LEAST_SPEED_UP} x",
        speed_up >= LEAST_SPEED_UP,
    )
    for name, seconds in (("CPU", cpu), ("wall", wall)):
        overhead = seconds["stage_2"] / seconds["bare"] - 1
        yield Figure(
            NAME,
            f"the stage with 2 workers over bare Tesseract, 2 at a time, on the same pixels: {name} time{doubled}",
            f"{seconds['stage_2']:.1f} s / {seconds['bare']:.1f} s: {overhead:+.1%}",
            overhead,
            f"≤ {MOST_OVERHEAD:+.0%}",
            overhead <= MOST_OVERHEAD,
        )


def measure(folder: str, documents: int, repetitions: int) -> dict[str, Any]:
    """Return the seconds of each repetition, and how many pages the stage gave to Tesseract twice."""
    root = Path(folder)
    write_scans(root / "scans", documents, PAGES_EACH)
    write_scans(root / "warm-up", PARALLEL * 2, 1)
    images = render(root / "scans", root / "images")
    for workers in (1, PARALLEL):
        run_stage(root / f"warm-{workers}", root / "warm-up", workers)
    costs: dict[str, list[tuple[float, float]]] = {"bare": [], "stage_2": [], "stage_1": []}
    read_twice = 0
    for number in range(repetitions):
        bare = timed(lambda: read_bare(images))
        two, read_twice = run_stage(root / f"home-{number}-2", root / "scans", PARALLEL)
        one, _ = run_stage(root / f"home-{number}-1", root / "scans", 1)
        for name, cost in (("bare", bare), ("stage_2", two), ("stage_1", one)):
            costs[name].append((cost.wall, cost.cpu))
    return {"costs": costs, "read_twice": read_twice}


def timed(work: Callable[[], object]) -> Cost:
    cpu, started = tree_cpu_seconds(), time.perf_counter()
    work()
    return Cost(time.perf_counter() - started, tree_cpu_seconds() - cpu)


def run_stage(home: Path, folder: Path, workers: int) -> tuple[Cost, int]:
    """Take documents through ``ocr_text`` in a new home; what comes before the stage is not measured.

    Returns:
        The cost, and the number of pages so poorly read that the stage tried them again in any orientation.
    """
    workspace = Workspace(home=Home(home), reading=ReadingOptions(workers=workers))
    batches = scan(workspace, sources_for(workspace, [folder])).batches
    for batch in batches:
        raw_pdfs.materialize(workspace, batch)
    cost = timed(lambda: [ocr_text.materialize(workspace, batch) for batch in batches])
    records = [workspace.home.tables.get(OCR_TEXT, batch) for batch in batches]
    found = [
        confidence
        for record in records
        for confidence in workspace.home.tables.read(record, "page_texts").column("confidence").to_pylist()
    ]
    return cost, sum(confidence is None or confidence < POOR_CONFIDENCE for confidence in found)


def render(folder: Path, target: Path) -> list[Path]:
    """Write every page as the stage's own renderer gives it to Tesseract."""
    target.mkdir()
    options = ReadingOptions()
    images = []
    for path in sorted(folder.glob("*.pdf")):
        with PdfFile(path, ()) as file:
            for index in range(file.page_count):
                with file.page(index, options.max_page_pixels) as page:
                    raster = page.render(options.dpi)
                    image = target / f"{path.stem}-{index}.pgm"
                    header = f"P5\n{raster.width} {raster.height}\n255\n".encode()
                    image.write_bytes(header + bytes(raster.grey_bytes))
                    images.append(image)
    return images


def read_bare(images: list[Path]) -> None:
    """Run the Tesseract program on each image, two at a time, with what the stage tells it."""
    options = ReadingOptions()
    settings = ["-l", "+".join(options.languages), "--psm", str(UPRIGHT), "--dpi", str(options.dpi), "tsv"]
    environment = {**os.environ, "OMP_THREAD_LIMIT": "1"}

    def read(image: Path) -> None:
        command = ["tesseract", str(image), str(image.with_suffix("")), *settings]
        subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    with ThreadPoolExecutor(PARALLEL) as threads:
        list(threads.map(read, images))
