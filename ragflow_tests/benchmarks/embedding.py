"""Dense embedding against plain sentence-transformers: the same model, texts, CPU and process."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from ragflow_tests.benchmarks.fresh import call
from ragflow_tests.benchmarks.material import chunk_texts
from ragflow_tests.benchmarks.report import Bench, Figure, say

NAME = "embedding"
LEAST_SPEED_UP = 2.5
WARM_UP = 64


def run(bench: Bench) -> Iterator[Figure]:
    texts, repetitions = bench.count(1000, 40), bench.count(3, 1)
    say(f"{NAME}: {repetitions} x {texts} chunks, embedded two ways")
    found = call(measure, bench.folder / "home", texts=texts, repetitions=repetitions).answer
    ours, plain = median(found["ours"]), median(found["plain"])
    applies = found["precision"] == "bfloat16"
    yield Figure(
        NAME,
        f"{texts} chunks ({found['tokens']:.0f} tokens on average), CPU: plain sentence-transformers (float32,"
        f" default batches) / ours ({found['precision']})",
        f"{plain:.2f} s / {ours:.2f} s = {plain / ours:.2f} x ({texts / ours:.0f} chunks/s)",
        plain / ours,
        f"≥ {LEAST_SPEED_UP} x with bfloat16",
        plain / ours >= LEAST_SPEED_UP if applies else None,
    )
    yield Figure(NAME, "smallest cosine between the two vectors of a text", f"{found['cosine']:.6f}", found["cosine"])


def measure(texts: int, repetitions: int) -> dict[str, Any]:
    """Return the seconds of each repetition of both, by turns, and how far the vectors agree."""
    from sentence_transformers import SentenceTransformer

    from ragflow.embedding.dense import DenseEmbedder

    chunks = chunk_texts(texts, Path(os.environ["RAGFLOW_HOME"]))
    ours = DenseEmbedder(device="cpu")
    plain = SentenceTransformer(str(ours.folder), device="cpu")

    def encode_plain(some: list[str]) -> Any:
        return plain.encode(some, normalize_embeddings=True, show_progress_bar=False)

    seconds: dict[str, list[float]] = {"ours": [], "plain": []}
    ours.encode(chunks[:WARM_UP])
    encode_plain(chunks[:WARM_UP])
    for _ in range(repetitions):
        expected = _timed(lambda: encode_plain(chunks), seconds["plain"])
        vectors = _timed(lambda: ours.encode(chunks), seconds["ours"])
    cosines = np.einsum("ij,ij->i", vectors.astype(np.float64), expected.astype(np.float64))
    return {
        **seconds,
        "precision": ours.precision,
        "cosine": float(cosines.min()),
        "tokens": float(np.mean(ours.tokenizer.count(chunks))),
    }


def _timed(work: Callable[[], Any], seconds: list[float]) -> Any:
    started = time.perf_counter()
    result = work()
    seconds.append(time.perf_counter() - started)
    return result
