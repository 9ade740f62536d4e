"""Ask a version questions whose answers are known.

The gate asks the candidate and the live version; canaries ask whatever the alias names.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from typing import Any

from ragflow.model.batches import fold
from ragflow.model.points import Float32Array
from ragflow.model.questions import KNOWN_ITEM, Kind, Question
from ragflow.model.releases import VersionRecord
from ragflow.pipeline.hits import Group
from ragflow.pipeline.progress import report
from ragflow.pipeline.questions import answers_as_well
from ragflow.pipeline.searching import Searcher
from ragflow.pipeline.workspace import Workspace
from ragflow.quality.readiness import Answer, Answers
from ragflow.quality.retrieval import CUT, Place, score

log = logging.getLogger(__name__)


def ask(
    workspace: Workspace,
    questions: Sequence[Question],
    version: str | None = None,
    known: Mapping[tuple[Kind, str], Float32Array] | None = None,
) -> Answers:
    """Ask a version all questions, as people search: both kinds of vectors, fused.

    Args:
        version: None: whatever the alias names.
        known: vectors of questions that were asked before. Embedded again, a question may get another in the last
            digits, and its hits another order: to tell whether a version still answers the same, it is asked the same.

    Raises:
        NotFoundError: there is no such version, or nothing is live.
        IntegrityError: the version is damaged.
        UsageError: the version was made by a model whose vectors have another length.
    """
    with Searcher(workspace, version) as searcher:
        documents = {target.document_key for question in questions for target in question.targets}
        here = {key for key in sorted(documents) if searcher.holds(key)}
        answerable = [q for q in questions if any(target.document_key in here for target in q.targets)]
        vectors = _vectors(searcher, answerable, known or {})
        if answerable:
            searcher.groups(answerable[0].text, vectors[0])  # what is loaded with the first search is not its time
        answers = []
        for number, (question, vector) in enumerate(zip(answerable, vectors, strict=True), start=1):
            started = time.perf_counter()
            groups = searcher.groups(question.text, vector)
            milliseconds = round((time.perf_counter() - started) * 1000, 3)
            found = tuple(tuple(sorted({_place(point.payload) for point in group})) for group in groups)
            targets = tuple(target for target in question.targets if target.document_key in here)
            if question.kind == KNOWN_ITEM:
                found = _with_equals(searcher, question, groups, found)
            answers.append(Answer(question, targets, found, score(targets, found), milliseconds))
            report("ask questions", number, len(answerable))
        asked = set(answerable)
        return Answers(
            version=searcher.version,
            points=searcher.count(),
            answers=tuple(answers),
            unanswerable=tuple(question for question in questions if question not in asked),
            vectors={(q.kind, q.id): vector for q, vector in zip(answerable, vectors, strict=True)},
        )


def _with_equals(
    searcher: Searcher, question: Question, groups: Sequence[Group], found: tuple[tuple[Place, ...], ...]
) -> tuple[tuple[Place, ...], ...]:
    """Return the places that were found for a known item; what answers it as well stands for the page it is of."""
    right = {(target.document_key, target.page_number or 0) for target in question.targets}
    before = next((rank for rank, places in enumerate(found) if right & {*places}), len(found))
    texts = searcher.texts(groups[: min(before, CUT)])
    equal = next((rank for rank, text in enumerate(texts) if answers_as_well(text, question)), None)
    if equal is None:
        return found
    return (*found[:equal], tuple(sorted({*found[equal], *right})), *found[equal + 1 :])


def _vectors(
    searcher: Searcher, questions: Sequence[Question], known: Mapping[tuple[Kind, str], Float32Array]
) -> list[Float32Array]:
    new = [question for question in questions if (question.kind, question.id) not in known]
    made = dict(zip(((q.kind, q.id) for q in new), searcher.embed([q.text for q in new]), strict=True))
    vectors = {**known, **made}
    return [vectors[question.kind, question.id] for question in questions]


def _place(payload: Mapping[str, Any]) -> Place:
    """Say where a hit stands; a payload that was tampered with stands nowhere, and other checks name it."""
    page = payload.get("page_number")
    return str(payload.get("document_key")), page if isinstance(page, int) else 0


def documents_in(workspace: Workspace, record: VersionRecord) -> frozenset[str]:
    """Return the keys of the documents that a version was built for.

    Raises:
        IntegrityError: a manifest is damaged.
    """
    corpus = fold(manifest for manifest in workspace.home.manifests.all() if manifest.key in record.batches)
    return frozenset(key for key, state in corpus.documents.items() if state.sha256 is not None)
