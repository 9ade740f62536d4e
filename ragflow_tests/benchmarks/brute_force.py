"""Search by brute force over clean texts: what the whole pipeline, from PDFs on, has to come near to.

Dense: all-MiniLM-L6-v2 in float32 on the beginning of title and text, as much as it reads. BM25: k1 0.9, b 0.4, over
whole documents. Fused: half of each, after min-max scaling over the collection.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from math import log
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ragflow.embedding.dense import DenseEmbedder
from ragflow.embedding.sparse import SparseEmbedder
from ragflow.embedding.tokenizer import ModelTokenizer
from ragflow.quality.retrieval import ndcg
from ragflow_tests.benchmarks.beir import Collection, part_of, read_collection

K1, B = 0.9, 0.4
Scores = npt.NDArray[np.float64]


def brute_force(*, folder: str, documents: int) -> dict[str, float]:
    """Run in a process of its own; returns mean nDCG@10 by side.

    Args:
        folder: of a collection in BEIR's layout.
        documents: how many of it, see :func:`ragflow_tests.benchmarks.beir.part_of`.
    """
    collection = part_of(read_collection(Path(folder)), documents)
    texts = [f"{title}\n{text}".strip() for title, text in collection.documents.values()]
    dense, sparse = _dense(collection, texts), _bm25(collection, texts)
    sides = {"dense": dense, "sparse": sparse, "fused": (_scaled(dense) + _scaled(sparse)) / 2}
    return {name: _mean_ndcg(collection, scores) for name, scores in sides.items()}


def _dense(collection: Collection, texts: list[str]) -> Scores:
    embedder = DenseEmbedder(precision="float32")
    fitted = [_cut(embedder.tokenizer, text) for text in texts]
    queries = [_cut(embedder.tokenizer, text) for text in collection.queries.values()]
    return (embedder.encode(queries, role="query") @ embedder.encode(fitted).T).astype(np.float64)


def _cut(tokenizer: ModelTokenizer, text: str) -> str:
    room = tokenizer.max_tokens - tokenizer.special_tokens
    (spans,) = tokenizer.spans([text])
    while len(spans) > room or tokenizer.count([text])[0] > tokenizer.max_tokens:
        text = text[: spans[min(room, len(spans) - 1)][0]].rstrip()
        (spans,) = tokenizer.spans([text])
    return text or "."


def _bm25(collection: Collection, texts: list[str]) -> Scores:
    embedder = SparseEmbedder()
    counts = [_counts(embedder, text, collection.language) for text in texts]
    lengths = np.array([sum(words.values()) for words in counts])
    having: dict[int, list[tuple[int, float]]] = defaultdict(list)
    for place, words in enumerate(counts):
        for term, times in words.items():
            having[term].append(
                (place, times * (K1 + 1) / (times + K1 * (1 - B + B * lengths[place] / lengths.mean())))
            )
    scores = np.zeros((len(collection.queries), len(texts)))
    for row, query in enumerate(collection.queries.values()):
        for term, times in _counts(embedder, query, collection.language).items():
            found = having.get(term, [])
            rarity = log(1 + (len(texts) - len(found) + 0.5) / (len(found) + 0.5))
            for place, weight in found:
                scores[row, place] += times * rarity * weight
    return scores


def _counts(embedder: SparseEmbedder, text: str, language: str) -> Mapping[int, float]:
    """Return how often each stemmed word stands in a text."""
    vector = embedder.query(text, (language,))
    return dict(zip(vector.indices.tolist(), vector.values.tolist(), strict=True))


def _scaled(scores: Scores) -> Scores:
    low, high = scores.min(axis=1, keepdims=True), scores.max(axis=1, keepdims=True)
    return (scores - low) / np.maximum(high - low, 1e-9)


def _mean_ndcg(collection: Collection, scores: Any) -> float:
    names = list(collection.documents)
    return float(
        np.mean(
            [
                ndcg([names[place] for place in np.argsort(-row, kind="stable")[:10]], collection.qrels[query])
                for query, row in zip(collection.queries, scores, strict=True)
            ]
        )
    )
