"""What a search finds: points, points that share a text, hits, documents."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from ragflow.pipeline.fusing import fuse
from ragflow.vectors.protocols import ScoredPoint

NEXT_HITS = 0.1
"""Share of a document's second hit that counts, and, squared, of its third."""


class SearchMode(StrEnum):
    HYBRID = "hybrid"
    DENSE = "dense"
    SPARSE = "sparse"


@dataclass(frozen=True, slots=True)
class Hit:
    """One answer, and how it leads back to its page.

    Attributes:
        point_id: for ``ragflow trace``.
        score: cosine (dense), BM25 (sparse), a fused score up to 1 (hybrid), or what the reranker says.
        document: key, sha256, title.
        page_number: 1-based.
        boxes: one (left, top, right, bottom) per line, fractions of the displayed page.
        also_in: other documents in which exactly this text stands.
        similar: points of near-identical texts that are not shown by themselves.
        proof_id: version and point, by which the service hands out the proof.
    """

    point_id: str
    score: float
    document: dict[str, Any]
    page_number: int
    text: str
    boxes: list[list[float]]
    confidence: float
    engine: str | None
    language: str
    collection_version: str
    also_in: tuple[str, ...] = field(default=())
    similar: tuple[str, ...] = field(default=())
    proof_id: str = ""


Group = list[ScoredPoint]
"""Points that share one text, best first; of their payloads only :data:`RANKED`."""


@dataclass(frozen=True, slots=True)
class Sides:
    """What both sides of a hybrid search found.

    Attributes:
        dense, sparse: hits, each with the score that this side gives it.
        spreads: standard deviation of the scores of either side, see :class:`ragflow.pipeline.fusing.Spread`.
        usual: mean score of the dense side over the collection.
        languages: of the first hits of either side.
    """

    dense: list[ScoredPoint]
    sparse: list[ScoredPoint]
    spreads: tuple[float, float]
    usual: float
    languages: tuple[str | None, ...]

    def fused(self, weight: float) -> list[ScoredPoint]:
        """Return all hits, best first; ``weight`` is that of the dense side."""
        return fuse(self.dense, self.sparse, weight, self.spreads, self.usual)


def group_by_text(ranked: Iterable[ScoredPoint]) -> list[Group]:
    """Return the points that share one text together, in the order of the best of each."""
    by_text: dict[str | int, Group] = {}
    for point in ranked:
        by_text.setdefault(point.payload.get("text_sha256") or point.id.int, []).append(point)
    return list(by_text.values())


def limited(groups: Iterable[Group], per_document: int) -> Iterator[Group]:
    """Yield the groups but those of documents that have had their share."""
    had: dict[str, int] = {}
    for group in groups:
        key = str(group[0].payload.get("document_key"))
        if had.get(key, 0) < per_document:
            had[key] = had.get(key, 0) + 1
            yield group


def rank_documents(groups: Iterable[Group], usual: float = 0.0) -> list[tuple[str, float]]:
    """Return (document key, score), best first: of each document its best hit, and a little of the next ones.

    A document that answers in several places is a better answer than one that does so in passing. Documents with equal
    scores keep the order in which they were found.

    Args:
        usual: what any point scores; only what a hit has above that counts.
    """
    found: dict[str, list[float]] = {}
    for group in groups:
        for key in dict.fromkeys([group[0].payload["document_key"], *sorted(p.payload["document_key"] for p in group)]):
            found.setdefault(key, []).append(group[0].score)
    ranked = []
    for key, (first, *others) in found.items():
        more = (NEXT_HITS**place * max(score - usual, 0.0) for place, score in enumerate(others[:2], start=1))
        ranked.append((key, first + sum(more)))
    return sorted(ranked, key=lambda item: -item[1])
