"""Measure how well a version is searched: every mode, with how sure the figures are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ragflow.errors import BadInputError
from ragflow.model.points import Float32Array
from ragflow.model.questions import Question
from ragflow.pipeline.hits import Group, SearchMode, rank_documents
from ragflow.pipeline.progress import report
from ragflow.pipeline.searching import Searcher
from ragflow.quality.confidence import Estimate, estimate
from ragflow.quality.retrieval import Figures, Place, figures, score

DEPTH = 500
"""Points taken from each side: documents have several, and recall is counted up to rank 100."""
DEEP = 100
"""Rank up to which the second recall is counted."""


@dataclass(frozen=True, slots=True)
class ModeFigures:
    """How one mode answered all questions: the mean of each figure, and how sure it is."""

    ndcg: Estimate
    recall: Estimate
    deep_recall: Estimate
    reciprocal_rank: Estimate


@dataclass(frozen=True, slots=True)
class Evaluation:
    """All modes over the same questions.

    Attributes:
        modes: in the order dense, sparse, hybrid.
        better_single: the mode with the higher nDCG of the two that stand alone.
        hybrid_gain: nDCG of the hybrid search minus that of the better single one, question by question.
    """

    version: str
    questions: int
    modes: Mapping[SearchMode, ModeFigures]
    better_single: SearchMode
    hybrid_gain: Estimate


def evaluate(searcher: Searcher, questions: Sequence[Question]) -> Evaluation:
    """Ask every question in every mode.

    Raises:
        BadInputError: there are no questions.
    """
    if not questions:
        raise BadInputError("There are no questions to evaluate with.", remedy="Give --queries and --qrels.")
    vectors = searcher.embed([question.text for question in questions])
    scored: dict[SearchMode, list[tuple[Figures, float]]] = {mode: [] for mode in _ORDER}
    for number, (question, vector) in enumerate(zip(questions, vectors, strict=True), start=1):
        for mode in _ORDER:
            groups = searcher.groups(question.text, _vector_for(mode, vector), depth=DEPTH, mode=mode)
            usual = searcher.usual(vector, mode)
            deep = figures_of(question, groups, usual, DEEP).recall
            scored[mode].append((figures_of(question, groups, usual), deep))
        report("ask questions", number, len(questions))
    by_mode = {mode: _summed(found) for mode, found in scored.items()}
    single = max((SearchMode.DENSE, SearchMode.SPARSE), key=lambda mode: by_mode[mode].ndcg.mean)
    gains = [h.ndcg - s.ndcg for (h, _), (s, _) in zip(scored[SearchMode.HYBRID], scored[single], strict=True)]
    return Evaluation(searcher.version, len(questions), by_mode, single, estimate(gains))


_ORDER = (SearchMode.DENSE, SearchMode.SPARSE, SearchMode.HYBRID)


def _vector_for(mode: SearchMode, vector: Float32Array) -> Float32Array | None:
    return None if mode is SearchMode.SPARSE else vector


def _summed(found: Sequence[tuple[Figures, float]]) -> ModeFigures:
    return ModeFigures(
        ndcg=estimate([one.ndcg for one, _ in found]),
        recall=estimate([one.recall for one, _ in found]),
        deep_recall=estimate([deep for _, deep in found]),
        reciprocal_rank=estimate([one.reciprocal_rank for one, _ in found]),
    )


def figures_of(question: Question, groups: Sequence[Group], usual: float = 0.0, cut: int = 10) -> Figures:
    """Return how well hits answer a question: pages are ranked if it asks for pages, documents otherwise.

    Args:
        usual: see :func:`ragflow.pipeline.hits.rank_documents`.
        cut: ranks that count.
    """
    if any(target.page_number is not None for target in question.targets):
        found: list[list[Place]] = [
            sorted({(str(point.payload["document_key"]), int(point.payload["page_number"])) for point in group})
            for group in groups
        ]
        return score(question.targets, found).figures
    grades = {target.document_key: target.grade for target in question.targets}
    return figures([key for key, _ in rank_documents(groups, usual)], grades, cut)
