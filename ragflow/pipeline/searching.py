"""Search a version, as a rule the live one: dense, sparse, or both fused."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from types import TracebackType
from typing import Any, Self

import numpy as np

from ragflow.errors import DependencyMissingError, NotFoundError, RagflowError, UsageError
from ragflow.model.points import Float32Array
from ragflow.pipeline.workspace import Workspace
from ragflow.vectors.protocols import CollectionReader, ScoredPoint

SPARSE_LANGUAGES = ("en", "fr")
"""A query is stemmed under each of these: a few words are too little to tell their language."""
DEPTH = 100
"""Hits taken from each side before fusion."""


class SearchMode(StrEnum):
    HYBRID = "hybrid"
    DENSE = "dense"
    SPARSE = "sparse"


@dataclass(frozen=True, slots=True)
class Hit:
    """One answer, and how it leads back to its page.

    Attributes:
        point_id: for ``ragflow trace``.
        score: cosine (dense), BM25 (sparse), or a fused score between 0 and 1 (hybrid).
        document: key, sha256, title.
        page_number: 1-based.
        boxes: one (left, top, right, bottom) per line, fractions of the displayed page.
        also_in: other documents in which exactly this text stands.
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


class Searcher:
    """A view on one version. Use it as a context manager.

    Args:
        version: to be searched; None: the one that the alias names now, and it stays that one if the alias moves.

    Raises:
        NotFoundError: there is no such version, or nothing is live.
        DependencyMissingError: the model that the version was built with is not there any more.
    """

    def __init__(self, workspace: Workspace, version: str | None = None) -> None:
        if version is None:
            alias = workspace.versions().alias()
            if alias is None:
                raise NotFoundError("Nothing is live yet.", remedy="Run `ragflow ingest` first.")
            version = alias.version
        self.version = version
        self._workspace = _as_built(workspace, version)
        self._reader: CollectionReader = workspace.versions().open(version)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._reader.close()

    def count(self) -> int:
        """Return the number of points in the version."""
        return self._reader.count()

    def holds(self, document_key: str) -> bool:
        """Whether the version has a point of this document."""
        dimension = self._workspace.versions().settings(self.version).dimension
        anywhere = np.full(dimension, dimension**-0.5, dtype=np.float32)
        return bool(self._reader.search_dense(anywhere, 1, {"document_key": document_key}))

    def search(
        self,
        query: str,
        *,
        top: int = 10,
        mode: SearchMode = SearchMode.HYBRID,
        where: Mapping[str, str | int | bool] | None = None,
        min_score: float | None = None,
    ) -> list[Hit]:
        """Return the best hits, best first; the same text in several documents is one hit.

        Raises:
            UsageError: an empty query, or ``top`` below 1.
        """
        vectors = self.embed([query]) if mode is not SearchMode.SPARSE else None
        return self.search_with(
            query, vectors[0] if vectors is not None else None, top=top, mode=mode, where=where, min_score=min_score
        )

    def embed(self, queries: Sequence[str]) -> Float32Array:
        """Embed queries, shape (n, dimension); one longer than what the model reads is cut at a word."""
        return self._workspace.dense().encode([self._fit(query) for query in queries], role="query")

    def _fit(self, query: str) -> str:
        tokenizer = self._workspace.tokenizer()
        (spans,) = tokenizer.spans([query])
        room = tokenizer.max_tokens - tokenizer.special_tokens
        # Cutting may change how the last word is tokenised, hence the second look.
        while len(spans) > room or tokenizer.count([query])[0] > tokenizer.max_tokens:
            query = query[: spans[min(room, len(spans) - 1)][0]].rstrip()
            (spans,) = tokenizer.spans([query])
        return query

    def search_with(
        self,
        query: str,
        vector: Float32Array | None,
        *,
        top: int,
        mode: SearchMode,
        where: Mapping[str, str | int | bool] | None = None,
        min_score: float | None = None,
    ) -> list[Hit]:
        """As :meth:`search`, with the query's vector computed before (many queries are embedded faster together)."""
        if top < 1:
            raise UsageError(f"{top} hits were asked for.", remedy="Ask for at least one.")
        groups = self.groups(query, vector, depth=max(DEPTH, top * 2), mode=mode, where=where, min_score=min_score)
        return [self._hit(group) for group in groups[:top]]

    def groups(
        self,
        query: str,
        vector: Float32Array | None,
        *,
        depth: int = DEPTH,
        mode: SearchMode = SearchMode.HYBRID,
        where: Mapping[str, str | int | bool] | None = None,
        min_score: float | None = None,
    ) -> list[list[ScoredPoint]]:
        """Return what :meth:`search_with` makes hits of, best first: the points that share one text, best first.

        Args:
            depth: points taken from each side before fusion.
        """
        if not query.strip():
            raise UsageError("The query is empty.", remedy="Give at least one word.")
        dense = self._reader.search_dense(vector, depth, where) if vector is not None else []
        sparse: list[ScoredPoint] = []
        if mode is not SearchMode.DENSE:
            terms = self._workspace.sparse().query(query, SPARSE_LANGUAGES)
            sparse = self._reader.search_sparse(terms, depth, where)
        ranked = fuse(dense, sparse) if mode is SearchMode.HYBRID else (dense or sparse)
        if min_score is not None:
            ranked = [hit for hit in ranked if hit.score >= min_score]
        by_text: dict[str, list[ScoredPoint]] = {}
        for point in ranked:
            by_text.setdefault(str(point.payload.get("text_sha256") or point.id), []).append(point)
        return list(by_text.values())

    def _hit(self, group: Sequence[ScoredPoint]) -> Hit:
        best = group[0]
        payload = best.payload
        others = {point.payload["document_key"] for point in group} - {payload["document_key"]}
        return Hit(
            point_id=str(best.id),
            score=round(float(best.score), 6),
            document={
                "key": payload["document_key"],
                "sha256": payload["document_sha256"],
                "title": payload["title"],
            },
            page_number=payload["page_number"],
            text=payload["text"],
            boxes=payload["boxes"],
            confidence=payload["confidence"],
            engine=payload["engine"],
            language=payload["language"],
            collection_version=self.version,
            also_in=tuple(sorted(others)),
        )


def _as_built(workspace: Workspace, version: str) -> Workspace:
    """Return the workspace with the model of a version: the settings may name another one by now."""
    record = workspace.home.version_records.find(version)
    if record is None or not record.configuration:
        return workspace
    then, wanted = workspace.at(record), record.configuration["model_sha256"]
    try:
        found = then.model_fingerprint()
    except RagflowError as error:
        found = error.message
    if found != wanted:
        raise DependencyMissingError(
            f"{version} was built with the model {then.embedding.model}, which is not there as it was.",
            remedy="Put the model back where it was, or run `ragflow reindex`.",
        )
    return then


def fuse(dense: Sequence[ScoredPoint], sparse: Sequence[ScoredPoint], weight: float = 0.5) -> list[ScoredPoint]:
    """Fuse two rankings by min-max scaling: each side's scores become 0 to 1, and are added with their weights.

    A point that one side did not return counts as that side's lowest. On clean text this beats rank fusion on four of
    five test collections, because it keeps how far a hit is ahead.
    """
    scores: dict[Any, float] = {}
    points: dict[Any, ScoredPoint] = {}
    for ranking, share in ((dense, weight), (sparse, 1.0 - weight)):
        if not ranking:
            continue
        high, low = ranking[0].score, ranking[-1].score
        for point in ranking:
            scaled = (point.score - low) / (high - low) if high > low else 1.0
            scores[point.id] = scores.get(point.id, 0.0) + share * scaled
            points[point.id] = point
    order = sorted(scores, key=lambda identifier: (-scores[identifier], identifier))
    return [points[identifier]._replace(score=scores[identifier]) for identifier in order]


def rank_documents(hits: Iterable[Hit]) -> list[tuple[str, float]]:
    """Return (document key, score) in the order of each document's best hit, its doubles right behind it."""
    best: dict[str, float] = {}
    for hit in hits:
        for key in (hit.document["key"], *hit.also_in):
            best.setdefault(key, hit.score)
    return list(best.items())
