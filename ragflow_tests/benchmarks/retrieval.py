"""How well searching finds: test collections as PDFs, through the whole pipeline, against brute force on clean text.

Needs the development corpora: set RAGFLOW_CORPORA to the folder that holds retrieval/. One PDF per document, ingested
and searched by the command line; run files are scored here. Weights are those of the model: nothing is tuned.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

import orjson

from ragflow.pipeline.hits import SearchMode
from ragflow.quality.confidence import estimate
from ragflow.quality.retrieval import ndcg
from ragflow_tests.benchmarks.beir import Collection, part_of, read_collection, write_pdfs
from ragflow_tests.benchmarks.brute_force import brute_force
from ragflow_tests.benchmarks.fresh import call, ragflow_command
from ragflow_tests.benchmarks.report import Bench, Figure, say

NAME = "retrieval"
SCANNED = "cranfield_en"
SCANS = 400
"""Documents of :data:`SCANNED` that are scanned: all of them would be read for the better part of an hour."""
BELOW_SINGLE, BELOW_CLEAN, BELOW_CLEAN_SCANNED = 0.005, 0.01, 0.03
"""How far hybrid search may fall below the better single mode, and below brute force on the clean text."""


def run(bench: Bench) -> Iterator[Figure]:
    corpora = os.environ.get("RAGFLOW_CORPORA")
    if not corpora:
        yield Figure(NAME, "test collections as PDFs", "left out: RAGFLOW_CORPORA is not set")
        return
    folders = sorted(path.parent for path in Path(corpora, "retrieval").glob("*/corpus.jsonl"))
    for folder in folders[:1] if bench.quick else folders:
        whole = read_collection(folder)
        yield _measured(bench, folder, part_of(whole, bench.count(len(whole.documents), 40)), scanned=False)
    scans = part_of(read_collection(Path(corpora, "retrieval", SCANNED)), bench.count(SCANS, 4))
    yield _measured(bench, Path(corpora, "retrieval", SCANNED), scans, scanned=True)


def _measured(bench: Bench, folder: Path, collection: Collection, *, scanned: bool) -> Figure:
    kind = "scans" if scanned else "PDFs"
    name = f"{collection.name}-{kind}"
    papers, home, queries = (bench.folder / f"{name}-{part}" for part in ("papers", "home", "queries.jsonl"))
    write_pdfs(collection, papers, scanned=scanned)
    queries.write_bytes(b"\n".join(orjson.dumps({"_id": q, "text": t}) for q, t in collection.queries.items()))
    taken = ragflow_command(home, "ingest", papers)
    assert taken.answer["release"]["decision"] == "promoted", taken.answer
    say(f"{NAME}: {name}: {len(collection.documents)} documents in {taken.wall:.0f} s")
    found: dict[str, dict[str, float]] = {}
    for mode in SearchMode:
        answers = bench.folder / f"{name}-{mode}.trec"
        ragflow_command(home, "search", "--queries", queries, "--run", answers, "--mode", mode.value, "--top", "100")
        found[mode] = _scores(collection, answers)
    means = {mode: estimate(list(scores.values())).mean for mode, scores in found.items()}
    clean = call(brute_force, home, folder=folder, documents=len(collection.documents)).answer
    hybrid, single = means[SearchMode.HYBRID], max(means[SearchMode.DENSE], means[SearchMode.SPARSE])
    allowed = BELOW_CLEAN_SCANNED if scanned else BELOW_CLEAN
    interval = estimate(list(found[SearchMode.HYBRID].values()))
    return Figure(
        NAME,
        f"{collection.name}, {len(collection.documents)} {kind}, {len(collection.queries)} queries: nDCG@10 dense, "
        "sparse, **hybrid** (95 % interval); brute force on the clean text: dense, BM25, fused",
        f"{means[SearchMode.DENSE]:.3f}, {means[SearchMode.SPARSE]:.3f}, **{hybrid:.3f}** "
        f"({interval.low:.3f}-{interval.high:.3f}); {clean['dense']:.3f}, {clean['sparse']:.3f}, {clean['fused']:.3f}",
        hybrid,
        f"≥ better single - {BELOW_SINGLE}, ≥ clean - {allowed}",
        hybrid >= single - BELOW_SINGLE and hybrid >= clean["fused"] - allowed,
    )


def _scores(collection: Collection, run_file: Path) -> Mapping[str, float]:
    """Return nDCG@10 of every query; one that the run lacks counts as 0."""
    ranked: dict[str, list[str]] = defaultdict(list)
    for line in run_file.read_text().splitlines():
        query, _, document, *_ = line.split()
        ranked[query].append(PurePosixPath(document).stem)
    return {query: ndcg(ranked[query], collection.qrels[query]) for query in collection.queries}
