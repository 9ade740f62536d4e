"""One search as a task: what is asked and what is found, so that another process can do it, see ``search_process``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson

from ragflow.model.points import Float32Array
from ragflow.pipeline.hits import Hit, SearchMode
from ragflow.pipeline.searching import Searcher
from ragflow.store.forgotten import AbsenceStore, Kind
from ragflow.vectors.protocols import Condition

WARM_UP_WORDS = "archive"
"""What a new version is asked first; where it holds any text, its own words follow."""


@dataclass(frozen=True, slots=True)
class SearchTask:
    """What is asked; see :meth:`ragflow.pipeline.searching.Searcher.search_with`."""

    query: str
    vector: Float32Array | None
    top: int
    mode: SearchMode
    where: dict[str, Condition] | None = None
    min_score: float | None = None
    per_document: int | None = None
    diversity: float = 0.0


@dataclass(frozen=True, slots=True)
class Found:
    """What was found.

    Attributes:
        hits: a JSON list, as in :class:`ragflow.service.schemas.SearchAnswer`.
        count: how many they are.
        stages: seconds that each stage took.
    """

    hits: bytes
    count: int
    stages: dict[str, float]


def find(searcher: Searcher, absences: AbsenceStore, task: SearchTask) -> Found:
    """Search.

    Raises:
        RagflowError: the query or a condition cannot be used, or the engine fails.
    """
    stages: dict[str, float] = {}
    hits = searcher.search_with(
        task.query,
        task.vector,
        top=task.top,
        mode=task.mode,
        where=task.where,
        min_score=task.min_score,
        per_document=task.per_document,
        diversity=task.diversity,
        stages=stages,
    )
    # Until the version without them is live, which takes a while.
    forgotten = absences.contents(Kind.FORGOTTEN)
    shown = [_told(hit) for hit in hits if hit.document["sha256"] not in forgotten]
    return Found(orjson.dumps(shown, option=orjson.OPT_SERIALIZE_NUMPY), len(shown), stages)


def warm_up(searcher: Searcher, vector: Float32Array) -> None:
    """Ask a version once in each mode, so that files are mapped and words are known before requests come.

    Args:
        vector: of any query, shape (dimension,).
    """
    hits = searcher.search_with(WARM_UP_WORDS, vector, top=1, mode=SearchMode.DENSE)
    words = " ".join(hits[0].text.split()[:8]) if hits else WARM_UP_WORDS
    for mode in (SearchMode.SPARSE, SearchMode.HYBRID):
        searcher.search_with(words, vector, top=1, mode=mode)


def _told(hit: Hit) -> dict[str, Any]:
    sha256 = hit.document["sha256"]
    page_id = f"{sha256}-{hit.page_number}"
    return {
        "point_id": hit.point_id,
        "score": hit.score,
        "document": hit.document,
        "page_id": page_id,
        "page_number": hit.page_number,
        "text": hit.text,
        "boxes": hit.boxes,
        "words": [],
        "confidence": hit.confidence,
        "engine": hit.engine,
        "language": hit.language,
        "collection_version": hit.collection_version,
        "proof_id": hit.proof_id,
        "also_in": hit.also_in,
        "similar": hit.similar,
        "links": {
            "page": f"/api/v1/pages/{page_id}",
            "image": f"/api/v1/pages/{page_id}.png?point={hit.point_id}",
            "document": f"/api/v1/documents/{sha256}",
            "file": f"/api/v1/documents/{sha256}/file",
            "trace": f"/api/v1/trace/{hit.point_id}?version={hit.collection_version}",
            "proof": f"/api/v1/proofs/{hit.proof_id}",
        },
    }
