"""Search a version, as a rule the live one: dense, sparse, or both fused."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from types import TracebackType
from typing import Any, Self

import numpy as np

from ragflow.embedding.reranker import Reranker
from ragflow.errors import DependencyMissingError, NotFoundError, RagflowError, UsageError
from ragflow.model.fusion import Fusion
from ragflow.model.points import Float32Array, Point, SparseVector
from ragflow.model.releases import VersionRecord
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
DEEPER = 4
"""How many times deeper is searched where so many points share a text that hits are missing."""
DIVERSE_POOL = 3
"""Hits that diversity chooses from, for each that is wanted."""

Scale = Callable[[float], float]
"""Makes what a hit shows of the score that it was ranked by."""


class Searcher:
    """A view on one version. Use it as a context manager; threads may share it.

    Args:
        version: to be searched; None: the one that the alias names now, and it stays that one if the alias moves.
        fusion: how much each side counts; None: as the version was proven with.
        at_once: open the version now, not with the first search.

    Attributes:
        model_sha256: hash of the model that queries are embedded with: under one hash, a text has one vector.

    Raises:
        NotFoundError: there is no such version, or nothing is live.
        DependencyMissingError: the model that the version was built with is not there any more.
    """

    def __init__(
        self,
        workspace: Workspace,
        version: str | None = None,
        *,
        fusion: Fusion | None = None,
        at_once: bool = True,
    ) -> None:
        if version is None:
            alias = workspace.versions().alias()
            if alias is None:
                raise NotFoundError("Nothing is live yet.", remedy="Run `ragflow ingest` first.")
            version = alias.version
        self.version = version
        record = workspace.home.version_records.find(version)
        self._workspace, self.model_sha256 = _as_built(workspace, version, record)
        self.fusion = fusion or (Fusion(record.fusion) if record is not None and record.fusion else Fusion())
        self._lock = threading.Lock()
        self._spread: Spread | None = None
        self._opening = threading.Lock()
        self._opened: CollectionReader | None = None
        self._closed = False
        if at_once:
            self.open()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def open(self) -> CollectionReader:
        """Open the version, if it is not open yet, and return its reader.

        Raises:
            NotFoundError: there is no such version.
            IntegrityError: it is damaged.
            UsageError: this is closed.
        """
        with self._opening:
            if self._closed:
                raise UsageError(f"The view on {self.version} is closed.", remedy="Open it again.")
            if self._opened is None:
                self._opened = self._workspace.versions().open(self.version)
            return self._opened

    @property
    def _reader(self) -> CollectionReader:
        return self._opened or self.open()

    def close(self) -> None:
        """Give the view back; a second call does nothing."""
        with self._opening:
            self._closed = True
            if self._opened is not None:
                self._opened.close()

    def count(self) -> int:
        """Return the number of points in the version."""
        return self._reader.count()

    def holds(self, document_key: str) -> bool:
        """Whether the version has a point of this document."""
        dimension = self._workspace.versions().settings(self.version).dimension
        anywhere = np.full(dimension, dimension**-0.5, dtype=np.float32)
        return bool(self._reader.search_dense(anywhere, 1, {"document_key": document_key}, ()))

    def read_ahead(self) -> None:
        """Read what rankings need of every point, if that is not too much: for whoever is to search often."""
        self._spread_of_scores()
        self._reader.read_ahead(RANKED)

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
        reranker = self._workspace.reranker()
        # A reranker puts scores of its own in the place of standard deviations.
        scale: Scale = shown if mode is SearchMode.HYBRID and reranker is None else float
        depth, pool = max(DEPTH, top * 2), top * DIVERSE_POOL
        while True:
            groups = self.groups(query, vector, depth=depth, mode=mode, where=where, stages=stages)
            points = sum(map(len, groups))
            if reranker is not None:
                with _timed(stages, "rerank"):
                    groups = self._reranked(reranker, query, groups)
            wanted = groups
            if min_score is not None:
                wanted = [group for group in wanted if scale(group[0].score) >= min_score]
            if per_document is not None:
                wanted = list(limited(wanted, per_document))
            complete = len(wanted) < len(groups) or points < depth
            with _timed(stages, "payload"):
                if diversity:
                    complete = complete and len(wanted) <= pool
                    wanted = self._diverse(wanted[:pool], diversity, scale)
                hits = self._hits(wanted, top, scale)
            # Where points of one text took the places of others, those are found further down.
            if complete or len(hits) == top:
                return hits
            depth, pool = depth * DEEPER, pool * DEEPER

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
            return rank_documents(self._reranked(reranker, query, groups))[:top]
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
        # By number: an id is hashed and compared in Python, a number is not.
        by_meaning, by_words = ({point.id.int: point for point in side} for side in (dense, sparse))
        only_words = [point.id for number, point in by_words.items() if number not in by_meaning]
        only_meaning = [point.id for number, point in by_meaning.items() if number not in by_words]
        with _timed(stages, "dense"):
            if only_words:
                found = self._reader.search_dense(vector, len(only_words), None, (), only_words)
                dense = dense + [ScoredPoint(p.id, p.score, by_words[p.id.int].payload) for p in found]
        with _timed(stages, "sparse"):
            # A side that had not as many hits as were asked for has no others.
            if only_meaning and len(sparse) == depth:
                found = self._reader.search_sparse(terms, len(only_meaning), None, (), only_meaning)
                sparse = sparse + [ScoredPoint(p.id, p.score, by_meaning[p.id.int].payload) for p in found]
        spread = self._spread_of_scores()
        usual, deviation = spread.of_dense(vector)
        return Sides(dense, sparse, (deviation, spread.of_sparse(terms)), usual, languages)

    def texts(self, groups: Sequence[Group]) -> list[str]:
        """Return the text of each group, in order."""
        payloads = self._payloads(groups)
        return [str(payloads[group[0].id].get("text", "")) for group in groups]

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
        scores = reranker.score(query, self.texts(asked))
        scored = [[point._replace(score=score) for point in g] for g, score in zip(asked, scores, strict=True)]
        scored.sort(key=lambda group: (-group[0].score, group[0].id))
        # What was not asked about keeps its order below what was.
        floor = min((group[0].score for group in scored), default=0.0)
        return scored + [[point._replace(score=min(floor, 0.0)) for point in group] for group in rest]

    def _diverse(self, groups: list[Group], diversity: float, scale: Scale) -> list[Group]:
        if not groups:
            return []
        points = {point.id: point for point in self._reader.retrieve([group[0].id for group in groups])}
        vectors = np.stack([points[group[0].id].dense for group in groups])
        scores = [scale(group[0].score) for group in groups]
        return [groups[place] for place in diverse(scores, vectors, len(groups), diversity)]

    def _hits(self, groups: Sequence[Group], top: int, scale: Scale) -> list[Hit]:
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
        return [self._hit(group, scale(group[0].score), payload, folded) for group, payload, _, folded in kept]

    def _payloads(self, groups: Iterable[Group]) -> dict[uuid.UUID, Mapping[str, Any]]:
        found: list[Point] = self._reader.retrieve([group[0].id for group in groups], with_vectors=False)
        return {point.id: point.payload for point in found}

    def _hit(self, group: Group, score: float, payload: Mapping[str, Any], folded: Sequence[str]) -> Hit:
        others = {point.payload["document_key"] for point in group} - {payload["document_key"]}
        identifier = str(group[0].id)
        return Hit(
            point_id=identifier,
            score=round(score, 6),
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
            proof_id=f"{self.version}:{identifier}",
        )


def _check_query(query: str) -> None:
    if not query.strip():
        raise UsageError("The query is empty.", remedy="Give at least one word.")


def _needed(vector: Float32Array | None) -> Float32Array:
    if vector is None:
        raise UsageError("A search by meaning needs the query's vector.", remedy="Embed the query first.")
    return vector


@contextmanager
def _timed(stages: dict[str, float], name: str) -> Iterator[None]:
    started = time.perf_counter()
    try:
        yield
    finally:
        stages[name] = stages.get(name, 0.0) + time.perf_counter() - started


def _as_built(workspace: Workspace, version: str, record: VersionRecord | None) -> tuple[Workspace, str]:
    """Return the workspace with the model of a version, and its hash: the settings may name another one by now."""
    if record is None or not record.configuration:
        return workspace, workspace.model_fingerprint()
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
    return then, found
