"""Search a version, as a rule the live one: dense, sparse, or both fused."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from types import TracebackType
from typing import Any, Self

import numpy as np

from ragflow.embedding.reranker import Reranker
from ragflow.errors import DependencyMissingError, NotFoundError, RagflowError, UsageError
from ragflow.model.fusion import Fusion
from ragflow.model.points import Float32Array, Point, SparseVector
from ragflow.pipeline.fusing import SAMPLE, Spread, shown
from ragflow.pipeline.hits import Group, Hit, SearchMode, Sides, group_by_text, limited, rank_documents
from ragflow.pipeline.variety import Likeness, diverse
from ragflow.pipeline.workspace import Workspace
from ragflow.vectors.protocols import CollectionReader, ScoredPoint, Where

SPARSE_LANGUAGES = ("en", "fr")
"""A query is stemmed under those of these that it may be written in."""
DEPTH = 100
"""Hits taken from each side before fusion."""
VOTERS = 10
"""Hits of each side whose languages say how much each side counts."""
RANKED = ("document_key", "language", "page_number", "text_sha256")
"""Fields of the payload that a ranking needs."""
SPARE = 2
"""Hits fetched beyond those that are wanted, in place of near-identical ones that are folded."""
DOCUMENT_DEPTH = 5
"""Points taken from each side per document asked for: one with many good chunks must not crowd out the others."""
DIVERSE_POOL = 3
"""Hits that diversity chooses from, for each that is wanted."""


class Searcher:
    """A view on one version. Use it as a context manager; threads may share it.

    Args:
        version: to be searched; None: the one that the alias names now, and it stays that one if the alias moves.
        fusion: how much each side counts; None: as the version was proven with.

    Raises:
        NotFoundError: there is no such version, or nothing is live.
        DependencyMissingError: the model that the version was built with is not there any more.
    """

    def __init__(self, workspace: Workspace, version: str | None = None, *, fusion: Fusion | None = None) -> None:
        if version is None:
            alias = workspace.versions().alias()
            if alias is None:
                raise NotFoundError("Nothing is live yet.", remedy="Run `ragflow ingest` first.")
            version = alias.version
        self.version = version
        record = workspace.home.version_records.find(version)
        self._workspace = _as_built(workspace, version)
        self.fusion = fusion or (Fusion(record.fusion) if record is not None and record.fusion else Fusion())
        self._reader: CollectionReader = workspace.versions().open(version)
        self.model_sha256 = self._workspace.model_fingerprint()
        """Hash of the model that queries are embedded with: under one hash, a text has one vector."""
        self._lock = threading.Lock()
        self._spread: Spread | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the view back; a second call does nothing."""
        self._reader.close()

    def count(self) -> int:
        """Return the number of points in the version."""
        return self._reader.count()

    def holds(self, document_key: str) -> bool:
        """Whether the version has a point of this document."""
        dimension = self._workspace.versions().settings(self.version).dimension
        anywhere = np.full(dimension, dimension**-0.5, dtype=np.float32)
        return bool(self._reader.search_dense(anywhere, 1, {"document_key": document_key}, ()))

    def search(
        self,
        query: str,
        *,
        top: int = 10,
        mode: SearchMode = SearchMode.HYBRID,
        where: Where | None = None,
        min_score: float | None = None,
        per_document: int | None = None,
        diversity: float = 0.0,
    ) -> list[Hit]:
        """Return the best hits, best first; the same text in several documents is one hit.

        Args:
            min_score: hits below are left out.
            per_document: at most so many hits of one document.
            diversity: 0.0 to 1.0: how much hits that are unlike those before are preferred.

        Raises:
            UsageError: an empty query, or an argument out of range.
        """
        vectors = self.embed([query]) if mode is not SearchMode.SPARSE else None
        return self.search_with(
            query,
            vectors[0] if vectors is not None else None,
            top=top,
            mode=mode,
            where=where,
            min_score=min_score,
            per_document=per_document,
            diversity=diversity,
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
        mode: SearchMode = SearchMode.HYBRID,
        where: Where | None = None,
        min_score: float | None = None,
        per_document: int | None = None,
        diversity: float = 0.0,
        stages: dict[str, float] | None = None,
    ) -> list[Hit]:
        """As :meth:`search`, with the query's vector computed before (many queries are embedded faster together).

        Args:
            stages: takes the seconds that each stage took.
        """
        if top < 1:
            raise UsageError(f"{top} hits were asked for.", remedy="Ask for at least one.")
        if per_document is not None and per_document < 1:
            raise UsageError(f"{per_document} hits of a document were asked for.", remedy="Ask for at least one.")
        if not 0.0 <= diversity <= 1.0:
            raise UsageError(f"A diversity of {diversity} is not possible.", remedy="It goes from 0 to 1.")
        stages = {} if stages is None else stages
        groups = self.groups(query, vector, depth=max(DEPTH, top * 2), mode=mode, where=where, stages=stages)
        groups = _as_shown(groups, mode)
        reranker = self._workspace.reranker()
        if reranker is not None:
            with _timed(stages, "rerank"):
                groups = self._reranked(reranker, query, groups)
        if min_score is not None:
            groups = [group for group in groups if group[0].score >= min_score]
        if per_document is not None:
            groups = list(limited(groups, per_document))
        with _timed(stages, "payload"):
            if diversity:
                groups = self._diverse(groups[: top * DIVERSE_POOL], top, diversity)
            return self._hits(groups, top)

    def documents(
        self,
        query: str,
        vector: Float32Array | None,
        *,
        top: int,
        mode: SearchMode = SearchMode.HYBRID,
        where: Where | None = None,
    ) -> list[tuple[str, float]]:
        """Return (document key, score) of the best documents, in the order of each one's best hit."""
        depth = max(DEPTH, top * DOCUMENT_DEPTH)
        groups = self.groups(query, vector, depth=depth, mode=mode, where=where)
        reranker = self._workspace.reranker()
        if reranker is not None:
            groups = self._reranked(reranker, query, groups)
        ranked = rank_documents(groups, self.usual(vector, mode))[:top]
        return [(key, shown(score)) for key, score in ranked] if mode is SearchMode.HYBRID else ranked

    def groups(
        self,
        query: str,
        vector: Float32Array | None,
        *,
        depth: int = DEPTH,
        mode: SearchMode = SearchMode.HYBRID,
        where: Where | None = None,
        stages: dict[str, float] | None = None,
    ) -> list[Group]:
        """Return what :meth:`search_with` makes hits of, best first, before any reranking.

        Scores of a hybrid search are in standard deviations here, see :func:`ragflow.pipeline.fusing.fuse`.

        Args:
            depth: points taken from each side before fusion.
        """
        _check_query(query)
        stages = {} if stages is None else stages
        if mode is SearchMode.HYBRID:
            sides = self.sides(query, _needed(vector), depth=depth, where=where, stages=stages)
            with _timed(stages, "fuse"):
                return group_by_text(sides.fused(self.fusion.mean(sides.languages)))
        if mode is SearchMode.DENSE:
            with _timed(stages, "dense"):
                return group_by_text(self._reader.search_dense(_needed(vector), depth, where, RANKED))
        with _timed(stages, "sparse"):
            return group_by_text(self._reader.search_sparse(self._terms(query), depth, where, RANKED))

    def sides(
        self,
        query: str,
        vector: Float32Array,
        *,
        depth: int = DEPTH,
        where: Where | None = None,
        stages: dict[str, float] | None = None,
    ) -> Sides:
        """Return what both sides of a hybrid search find, each hit scored by both; arguments as of :meth:`groups`."""
        stages = {} if stages is None else stages
        with _timed(stages, "sparse"):
            terms = self._terms(query)
            sparse = self._reader.search_sparse(terms, depth, where, RANKED)
        with _timed(stages, "dense"):
            dense = self._reader.search_dense(vector, depth, where, RANKED)
        languages = tuple(point.payload.get("language") for point in (*dense[:VOTERS], *sparse[:VOTERS]))
        # What one side alone has found, the other scores as well, or it would count for nothing there.
        by_meaning, by_words = ({point.id: point.payload for point in side} for side in (dense, sparse))
        with _timed(stages, "dense"):
            if missing := by_words.keys() - by_meaning.keys():
                found = self._reader.search_dense(vector, len(missing), None, (), missing)
                dense = dense + [ScoredPoint(point.id, point.score, by_words[point.id]) for point in found]
        with _timed(stages, "sparse"):
            # A side that had not as many hits as were asked for has no others.
            if (missing := by_meaning.keys() - by_words.keys()) and len(sparse) == depth:
                found = self._reader.search_sparse(terms, len(missing), None, (), missing)
                sparse = sparse + [ScoredPoint(point.id, point.score, by_meaning[point.id]) for point in found]
        spread = self._spread_of_scores()
        usual, deviation = spread.of_dense(vector)
        return Sides(dense, sparse, (deviation, spread.of_sparse(terms)), usual, languages)

    def _terms(self, query: str) -> SparseVector:
        words = self._workspace.sparse()
        return words.query(query, words.languages_of(query, SPARSE_LANGUAGES))

    def usual(self, vector: Float32Array | None, mode: SearchMode) -> float:
        """Return what any point scores in this mode."""
        if mode is not SearchMode.DENSE or vector is None:
            return 0.0
        return self._spread_of_scores().of_dense(vector)[0]

    def _spread_of_scores(self) -> Spread:
        with self._lock:
            if self._spread is None:
                self._spread = Spread(next(self._reader.scroll(SAMPLE), []))
            return self._spread

    def _reranked(self, reranker: Reranker, query: str, groups: list[Group]) -> list[Group]:
        """Return the groups with the first ones put in the reranker's order; those it was not asked about follow."""
        asked, rest = groups[: reranker.depth], groups[reranker.depth :]
        payloads = self._payloads(asked)
        scores = reranker.score(query, [str(payloads[group[0].id].get("text", "")) for group in asked])
        scored = [[point._replace(score=score) for point in g] for g, score in zip(asked, scores, strict=True)]
        scored.sort(key=lambda group: (-group[0].score, group[0].id))
        # What was not asked about keeps its order below what was.
        floor = min((group[0].score for group in scored), default=0.0)
        return scored + [[point._replace(score=min(floor, 0.0)) for point in group] for group in rest]

    def _diverse(self, groups: list[Group], top: int, diversity: float) -> list[Group]:
        if not groups:
            return []
        points = {point.id: point for point in self._reader.retrieve([group[0].id for group in groups])}
        vectors = np.stack([points[group[0].id].dense for group in groups])
        return [groups[place] for place in diverse([group[0].score for group in groups], vectors, top, diversity)]

    def _hits(self, groups: Sequence[Group], top: int) -> list[Hit]:
        """Return the hits of the first groups, near-identical texts folded into the better one."""
        kept: list[tuple[Group, Mapping[str, Any], Likeness, list[str]]] = []
        waiting = iter(groups)
        while len(kept) < top:
            # A few more than are wanted: what is folded needs no second look into the collection.
            block = list(islice(waiting, top - len(kept) + SPARE))
            if not block:
                break
            payloads = self._payloads(block)
            for group in block:
                payload = payloads[group[0].id]
                text = Likeness(str(payload.get("text", "")))
                same = next((folded for _, _, known, folded in kept if text.is_nearly(known)), None)
                if same is not None:
                    same.extend(str(point.id) for point in group)
                elif len(kept) < top:
                    kept.append((group, payload, text, []))
        return [self._hit(group, payload, folded) for group, payload, _, folded in kept]

    def _payloads(self, groups: Iterable[Group]) -> dict[uuid.UUID, Mapping[str, Any]]:
        found: list[Point] = self._reader.retrieve([group[0].id for group in groups], with_vectors=False)
        return {point.id: point.payload for point in found}

    def _hit(self, group: Group, payload: Mapping[str, Any], folded: Sequence[str]) -> Hit:
        others = {point.payload["document_key"] for point in group} - {payload["document_key"]}
        return Hit(
            point_id=str(group[0].id),
            score=round(float(group[0].score), 6),
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
            similar=tuple(folded),
            proof_id=f"{self.version}:{group[0].id}",
        )


def _check_query(query: str) -> None:
    if not query.strip():
        raise UsageError("The query is empty.", remedy="Give at least one word.")


def _needed(vector: Float32Array | None) -> Float32Array:
    if vector is None:
        raise UsageError("A search by meaning needs the query's vector.", remedy="Embed the query first.")
    return vector


def _as_shown(groups: list[Group], mode: SearchMode) -> list[Group]:
    if mode is not SearchMode.HYBRID:
        return groups
    return [[ScoredPoint(point.id, shown(point.score), point.payload) for point in group] for group in groups]


@contextmanager
def _timed(stages: dict[str, float], name: str) -> Iterator[None]:
    started = time.perf_counter()
    try:
        yield
    finally:
        stages[name] = stages.get(name, 0.0) + time.perf_counter() - started


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
