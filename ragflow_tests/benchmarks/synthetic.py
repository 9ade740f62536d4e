"""A collection of any size, made up: written straight into a version store, without documents behind it.

What decides how long a search takes is as in an archive: English words by Zipf's law, chunks of about 200 tokens, BM25
weights as the embedder gives them, dense vectors scattered around the vectors of real texts (one per topic), payloads
with every field and a box per line. What is not: nothing leads back to pages, and dense neighbours mean little.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ragflow.embedding.model_folder import read_json
from ragflow.embedding.sparse import SparseEmbedder
from ragflow.embedding.tokenizer import transformer_folder
from ragflow.model.points import Float32Array, Point, SparseVector, point_id
from ragflow.pipeline.workspace import Workspace
from ragflow.vectors.protocols import CollectionInfo, CollectionSettings

TOPICS = 200
TOPIC_WORDS = 40
TOPIC_SHARE = 0.3
WORDS_PER_CHUNK, WORDS_PER_LINE = (110, 190), 13
CHUNKS_PER_PAGE, PAGES_PER_DOCUMENT = 3, 4
SPREAD = 0.9
"""Length of the random part of a vector, against 1 for its topic: chunks of one topic have a cosine of about 0.55."""
BATCH = 2_000


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Words, the commonest first, with their BM25 term (0: a stop word, which has none).

    Attributes:
        shares: how often each occurs, as running sums up to 1.
        topics: words of each topic, shape (topics, words of a topic).
        centres: vector of each topic, unit length.
    """

    words: list[str]
    terms: npt.NDArray[np.uint32]
    shares: npt.NDArray[np.float64]
    topics: npt.NDArray[np.int64]
    centres: Float32Array


def vocabulary(workspace: Workspace) -> Vocabulary:
    """Return the whole English words that the model's tokenizer knows, which lists them by how common they are."""
    folder = workspace.dense().folder
    path = next(p for p in (transformer_folder(folder) / "tokenizer.json", folder / "tokenizer.json") if p.is_file())
    known = sorted(read_json(path)["model"]["vocab"].items(), key=lambda entry: entry[1])
    words = [word for word, _ in known if word.isascii() and word.isalpha() and len(word) > 2]
    vectors = workspace.sparse().encode(words, ["en"] * len(words))
    terms = np.array([vector.indices[0] if vector.indices.size else 0 for vector in vectors], dtype=np.uint32)
    weights = 1.0 / np.arange(2, len(words) + 2)
    rng = np.random.default_rng(0)
    topics = rng.integers(300, len(words), size=(TOPICS, TOPIC_WORDS))
    centres = workspace.dense().encode([" ".join(words[word] for word in topic) for topic in topics])
    return Vocabulary(words, terms, np.cumsum(weights) / weights.sum(), topics, centres)


def build(workspace: Workspace, version: str, points: int, *, seed: int = 0) -> CollectionInfo:
    """Write a version with so many points; the same seed gives the same ones."""
    vocab = vocabulary(workspace)
    settings = CollectionSettings(workspace.dense().dimension, index_from_points=workspace.index_from_points)
    with workspace.versions().create(version, settings) as writer:
        for batch in _batches(vocab, workspace.sparse(), points, seed):
            writer.upsert(batch)
        return writer.finish()


def queries(workspace: Workspace, wanted: int, *, seed: int = 1) -> list[str]:
    """Return questions of 3 to 9 words, as they stand in chunks of one topic each."""
    vocab, rng = vocabulary(workspace), np.random.default_rng(seed)
    return [
        " ".join(vocab.words[word] for word in _words(vocab, rng, int(rng.integers(TOPICS)), int(rng.integers(3, 10))))
        for _ in range(wanted)
    ]


def _batches(vocab: Vocabulary, sparse: SparseEmbedder, points: int, seed: int) -> Iterator[list[Point]]:
    for first in range(0, points, BATCH):
        rng = np.random.default_rng((seed, first))
        numbers = range(first, min(points, first + BATCH))
        topics = rng.integers(0, TOPICS, len(numbers))
        noise = rng.standard_normal((len(numbers), vocab.centres.shape[1]))
        noise *= SPREAD / np.linalg.norm(noise, axis=1, keepdims=True)
        dense = vocab.centres[topics].astype(np.float64) + noise
        dense = (dense / np.linalg.norm(dense, axis=1, keepdims=True)).astype(np.float32)
        yield [
            _point(vocab, sparse, rng, number, int(topic), row)
            for number, topic, row in zip(numbers, topics, dense, strict=True)
        ]


def _words(vocab: Vocabulary, rng: np.random.Generator, topic: int, count: int) -> npt.NDArray[np.int64]:
    common = np.searchsorted(vocab.shares, rng.random(count)).clip(max=len(vocab.words) - 1)
    own = vocab.topics[topic][rng.integers(0, TOPIC_WORDS, count)]
    return np.where(rng.random(count) < TOPIC_SHARE, own, common)


def _point(
    vocab: Vocabulary, sparse: SparseEmbedder, rng: np.random.Generator, number: int, topic: int, dense: Float32Array
) -> Point:
    words = _words(vocab, rng, topic, int(rng.integers(*WORDS_PER_CHUNK)))
    terms, counts = np.unique(vocab.terms[words], return_counts=True)
    terms, counts = terms[terms > 0], counts[terms > 0].astype(np.float64)
    length = counts.sum() / sparse.avg_len
    weights = counts * (sparse.k + 1) / (counts + sparse.k * (1 - sparse.b + sparse.b * length))
    named = [vocab.words[word] for word in words]
    lines = [" ".join(named[start : start + WORDS_PER_LINE]) for start in range(0, len(named), WORDS_PER_LINE)]
    payload = _payload(number, "\n".join(lines), len(lines))
    key, page, chunk = payload["document_key"], payload["page_index"], payload["chunk_index"]
    identifier = point_id(key, page, chunk, payload["text_sha256"])
    return Point(identifier, dense, SparseVector(terms, weights.astype(np.float32)), payload)


def _payload(number: int, text: str, lines: int) -> dict[str, Any]:
    page, chunk = divmod(number, CHUNKS_PER_PAGE)
    document, page_index = divmod(page, PAGES_PER_DOCUMENT)
    digest = hashlib.sha256(text.encode()).hexdigest()
    left = random.Random(number).uniform(0.08, 0.12)
    tops = [0.08 + 0.3 * chunk + 0.018 * line for line in range(lines)]
    return {
        "document_key": f"papers/paper-{document:07d}.pdf",
        "document_sha256": hashlib.sha256(b"%d" % document).hexdigest(),
        "source": "papers",
        "title": f"Paper {document}",
        "page_index": page_index,
        "page_number": page_index + 1,
        "chunk_index": chunk,
        "char_start": chunk * 1000,
        "char_end": chunk * 1000 + len(text),
        "text": text,
        "text_sha256": digest,
        "page_text_sha256": hashlib.sha256(b"text %d" % page).hexdigest(),
        "words_sha256": hashlib.sha256(b"words %d" % page).hexdigest(),
        "raster_sha256": None,
        "raster_dpi": None,
        "vector_sha256": hashlib.sha256(b"vector %d" % number).hexdigest(),
        "language": "fr" if document % 3 == 0 else "en",
        "boxes": [[round(edge, 5) for edge in (left, top, 0.88, top + 0.015)] for top in tops],
        "confidence": 0.98,
        "engine": "text_layer" if document % 4 else "tesseract",
        "batch": f"20260101-{document // 200:04d}-00000000",
    }
