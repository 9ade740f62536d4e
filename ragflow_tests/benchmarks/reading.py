"""Reading: how right the words and their order are, against each engine alone, and what it costs.

Needs the development corpora: set RAGFLOW_CORPORA to the folder that holds ocr/INDEX.csv. The models that put readings
together were fitted on these very pages; ``calibrate`` prints what they do on pages they were not fitted on.
"""

from __future__ import annotations

import csv
import os
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import mean
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from ragflow.ocr.options import ReadingOptions
from ragflow.ocr.reader import read_unit
from ragflow.pipeline.reading_output import printed_text
from ragflow_tests.benchmarks.meter import tree_cpu_seconds
from ragflow_tests.benchmarks.report import Bench, Figure, say

NAME = "reading"
MOST_CPU = 1.5
TIMED_PAGES = 60
TARGETS = {
    "forms_en": (0.93, None),
    "receipts_en": (0.97, None),
    "typewritten_fr": (0.95, 0.08),
    "print_en": (0.99, 0.03),
}
"""Set → least F1 of the words, most character error rate."""


class Truth(NamedTuple):
    """A page image with its true text."""

    image: Path
    group: str
    text: str


class Score(NamedTuple):
    """How a text compares with the truth.

    Attributes:
        f1: of the words as a bag, case folded.
        cer: edit distance over the length of the truth, 1.0 at the most.
        reordered: the same, with our lines in the order that suits the truth best.
    """

    f1: float
    cer: float
    reordered: float


def run(bench: Bench) -> Iterator[Figure]:
    corpora = os.environ.get("RAGFLOW_CORPORA")
    if not corpora:
        yield Figure(NAME, "words and order on page images with known text", "RAGFLOW_CORPORA is not set")
        return
    os.environ["OMP_THREAD_LIMIT"] = "1"  # as in a reading worker, so that CPU seconds compare
    pages = read_index(Path(corpora) / "ocr")
    if bench.quick:
        pages = pages[:: len(pages) // 4]
    timed = pages[:: max(1, len(pages) // TIMED_PAGES)][:TIMED_PAGES]
    say(f"{NAME}: {len(timed)} pages with RapidOCR as its library comes, then with all engines")
    library, library_cpu = with_library(timed)
    hybrid, hybrid_cpu = with_options(timed, ReadingOptions())
    ratio = hybrid_cpu / library_cpu
    yield Figure(
        NAME,
        f"{len(timed)} pages, one process: CPU of the default engines / RapidOCR's own library",
        f"{hybrid_cpu:.0f} s / {library_cpu:.0f} s = {ratio:.2f}",
        ratio,
        f"≤ {MOST_CPU}",
        ratio <= MOST_CPU,
    )
    rest = [page for page in pages if page not in timed]
    say(f"{NAME}: the other {len(rest)} pages, then all with Tesseract alone")
    hybrid.update(with_options(rest, ReadingOptions())[0])
    library.update(with_library(rest)[0])
    tesseract, _ = with_options(pages, ReadingOptions(engines=("tesseract",)))
    for group, (least, most) in TARGETS.items():
        members = [page for page in pages if page.group == group]
        if members:
            yield from figures(group, members, hybrid, {"Tesseract": tesseract, "RapidOCR": library}, least, most)


def figures(
    group: str,
    pages: Sequence[Truth],
    ours: dict[Path, str],
    alone: dict[str, dict[Path, str]],
    least: float,
    most: float | None,
) -> Iterator[Figure]:
    mine = [score(ours[page.image], page.text) for page in pages]
    others = {name: [score(texts[page.image], page.text) for page in pages] for name, texts in alone.items()}
    ceiling = mean(
        best_of([ours[page.image], *(texts[page.image] for texts in alone.values())], page) for page in pages
    )
    f1 = mean(one.f1 for one in mine)
    shown = ", ".join(f"{name} {mean(one.f1 for one in scores):.3f}" for name, scores in others.items())
    yield Figure(
        NAME,
        f"{group}, {len(pages)} pages: F1 of the words",
        f"{f1:.3f} ({shown}; every word that any reading has: {ceiling:.3f})",
        f1,
        f"≥ {least}",
        f1 >= least and all(f1 >= mean(one.f1 for one in scores) for scores in others.values()),
    )
    cer = mean(one.cer for one in mine)
    shown = ", ".join(f"{name} {mean(one.cer for one in scores):.3f}" for name, scores in others.items())
    yield Figure(
        NAME,
        f"{group}: character error rate",
        f"{cer:.3f} ({shown}; ours with its lines in the order of the truth: {mean(o.reordered for o in mine):.3f})",
        cer,
        f"≤ {most}" if most else "≤ the better of both",
        cer <= (most or 1.0) and all(cer <= mean(one.cer for one in scores) for scores in others.values()),
    )


def read_index(folder: Path) -> list[Truth]:
    with (folder / "INDEX.csv").open() as stream:
        return [
            Truth(folder / row["image"], row["set"], (folder / row["truth"]).read_text())
            for row in csv.DictReader(stream)
        ]


def with_options(pages: Sequence[Truth], options: ReadingOptions) -> tuple[dict[Path, str], float]:
    """Return the text of each page, and the CPU seconds of all."""
    return timed_texts(pages, lambda path: printed_text(read_unit(path, [0], options).pages[0]))


def with_library(pages: Sequence[Truth]) -> tuple[dict[Path, str], float]:
    """Read with RapidOCR's own library on one thread, as it comes otherwise."""
    from rapidocr import RapidOCR

    one = {
        "EngineConfig.onnxruntime.intra_op_num_threads": 1,
        "EngineConfig.onnxruntime.inter_op_num_threads": 1,
        "Global.log_level": "error",
    }
    engine: Any = RapidOCR(params=one)

    def read(path: Path) -> str:
        with Image.open(path) as image:
            found = engine(np.asarray(image.convert("RGB")))
        return "\n".join(found.txts or ())

    return timed_texts(pages, read)


def timed_texts(pages: Sequence[Truth], read: Callable[[Path], str]) -> tuple[dict[Path, str], float]:
    if pages:
        read(pages[0].image)  # models are loaded once, whatever the number of pages
    before = tree_cpu_seconds()
    texts = {page.image: read(page.image) for page in pages}
    return texts, tree_cpu_seconds() - before


def words(text: str) -> Counter[str]:
    return Counter(re.findall(r"\w+", unicodedata.normalize("NFC", text).casefold()))


def flat(text: str) -> str:
    collapsed = re.sub(r"\s+", " ", unicodedata.normalize("NFC", text)).strip()
    return re.sub(r" ([;:!?»,.])", r"\1", collapsed)


def score(text: str, truth: str) -> Score:
    from rapidfuzz.distance import Levenshtein

    said, true = words(text), words(truth)
    hits = sum((said & true).values())
    f1 = 2 * hits / max(1, sum(said.values()) + sum(true.values()))
    target = flat(truth)
    rates = [
        min(1.0, Levenshtein.distance(flat(candidate), target) / max(1, len(target)))
        for candidate in (text, in_order_of(text, truth))
    ]
    return Score(f1, rates[0], min(rates))


def in_order_of(text: str, truth: str) -> str:
    """Return the lines of a text in the order in which the truth has the lines most like them."""
    from rapidfuzz.fuzz import ratio

    wanted = [line for line in truth.splitlines() if line.strip()]
    lines = [line for line in text.splitlines() if line.strip()]
    places: dict[str, list[int]] = defaultdict(list)
    for number, line in enumerate(lines):
        best = max(range(len(wanted)), key=lambda index: ratio(line, wanted[index])) if wanted else 0
        places[f"{best:06d}"].append(number)
    return "\n".join(lines[number] for place in sorted(places) for number in places[place])


def best_of(texts: Sequence[str], page: Truth) -> float:
    """Return F1 if every word that any reading has right were taken from it, and ours were right to be silent else."""
    true = words(page.text)
    found: Counter[str] = Counter()
    for text in texts:
        found |= words(text) & true
    return 2 * sum(found.values()) / max(1, sum(found.values()) + sum(true.values()))
