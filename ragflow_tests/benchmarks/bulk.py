"""Thousands of one-page documents, from a folder to a live version, against embedding their chunks alone."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ragflow.pipeline.stages import CHUNKS
from ragflow.sample import make_text_archive
from ragflow.store.home import Home
from ragflow_tests.benchmarks.fresh import Measured, call
from ragflow_tests.benchmarks.material import settle
from ragflow_tests.benchmarks.parts import profiled_ingest
from ragflow_tests.benchmarks.report import Bench, Figure, say

NAME = "bulk"
MOST_CPU, LEAST_DOCUMENTS_PER_MINUTE = 1.5, 1680.0
INGEST = "bulk ingest"


def documents_of(bench: Bench) -> int:
    return bench.count(5000, 40)


def ingested(bench: Bench) -> tuple[Path, Measured]:
    """Return the home folder of the bulk archive and what its ingest cost; the first call makes both."""
    home = bench.session / "bulk"
    if INGEST not in bench.kept:
        documents = documents_of(bench)
        folder = bench.session / "papers"
        say(f"writing {documents} one-page documents")
        make_text_archive(folder, documents)
        settle(folder)
        say(f"ingesting {documents} documents")
        bench.kept[INGEST] = call(profiled_ingest, home, folder=folder)
    return home, bench.kept[INGEST]


def run(bench: Bench) -> Iterator[Figure]:
    home, whole = ingested(bench)
    documents = documents_of(bench)
    answer = whole.answer["answer"]
    texts = bench.folder / "texts.json"
    chunks = call(write_texts, home, target=texts).answer
    say(f"{NAME}: embedding {chunks} chunks alone")
    alone = call(embed_alone, home, texts=texts)
    rate, ratio = 60 * documents / whole.wall, whole.cpu / alone.cpu
    yield Figure(
        NAME,
        f"{documents} one-page PDFs with a text layer, folder to live version ({answer['release']['version']}"
        f" {answer['release']['decision']}, {answer['release']['points']} points), a fresh process",
        f"{whole.wall:.1f} s = {rate:.0f} documents/minute",
        rate,
        f"≥ {LEAST_DOCUMENTS_PER_MINUTE:.0f}",
        rate >= LEAST_DOCUMENTS_PER_MINUTE,
    )
    yield Figure(
        NAME,
        f"CPU time of all processes: the ingest / embedding the same {chunks} chunks alone, both with model load",
        f"{whole.cpu:.1f} s / {alone.cpu:.1f} s = {ratio:.2f} x (wall {whole.wall:.1f} s / {alone.wall:.1f} s)",
        ratio,
        f"≤ {MOST_CPU} x",
        ratio <= MOST_CPU,
    )
    yield from parts(whole)


def parts(whole: Measured) -> Iterator[Figure]:
    """Yield where the ingest's time went, largest first; what no stopwatch ran for is the process's start and end."""
    measured: dict[str, dict[str, float]] = whole.answer["parts"]
    unseen = {name: getattr(whole, name) - sum(part[name] for part in measured.values()) for name in ("wall", "cpu")}
    every = {**measured, "start and end of the processes": {**unseen, "calls": 1}}
    for name, part in sorted(every.items(), key=lambda entry: -entry[1]["cpu"]):
        yield Figure(
            NAME,
            f"of which: {name} ({part['calls']:.0f} x)",
            f"{part['cpu']:.1f} s CPU ({part['cpu'] / whole.cpu:.1%}), {part['wall']:.1f} s wall",
            part["cpu"],
        )


def write_texts(target: str) -> int:
    """Write the distinct chunk texts of the archive as JSON; return how many there are."""
    tables = Home(Path(os.environ["RAGFLOW_HOME"])).tables
    found: dict[str, None] = {}
    for batch in tables.batches(CHUNKS):
        table = tables.read(tables.get(CHUNKS, batch), "chunks", columns=["text"])
        found.update(dict.fromkeys(table.column("text").to_pylist()))
    Path(target).write_text(json.dumps(list(found)))
    return len(found)


def embed_alone(texts: str) -> Any:
    from ragflow.embedding.dense import DenseEmbedder

    return list(DenseEmbedder().encode(json.loads(Path(texts).read_text())).shape)
