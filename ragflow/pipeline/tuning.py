"""Fit how much each side of a search counts, language by language, to questions with known answers.

Weights are taken from a grid, by mean nDCG@10. What is reported of them is cross-validated: each question is scored
with weights that were fitted without it.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt

from ragflow.errors import BadInputError
from ragflow.model.fusion import OTHER, Fusion
from ragflow.model.questions import Question
from ragflow.model.tuning import Tuning
from ragflow.pipeline.evaluating import DEPTH, figures_of
from ragflow.pipeline.hits import Sides, group_by_text
from ragflow.pipeline.progress import report
from ragflow.pipeline.searching import Searcher
from ragflow.quality.confidence import Estimate, estimate

GRID = tuple(step / 20 for step in range(21))
FOLDS = 5
LEAST_QUESTIONS = 20
"""Fewer in a language say too little: its weight stays."""
NEAR = 0.002
"""Weights whose mean nDCG@10 is this close to the best are as good: the one nearest to what stands is taken."""

Scores = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class TuningReport:
    """What tuning found.

    Attributes:
        before: the weights that stood.
        tuning: the new ones; None if they are no better on questions that they were not fitted on.
        gain: cross-validated nDCG@10 with fitted weights minus that with the weights that stood.
        left: language → number of questions, of languages with too few.
    """

    before: Mapping[str, float]
    tuning: Tuning | None
    gain: Estimate
    questions: Mapping[str, int]
    left: Mapping[str, int]


def tune(searcher: Searcher, questions: Sequence[Question]) -> TuningReport:
    """Fit weights to questions; nothing is stored.

    Raises:
        BadInputError: no language has enough questions.
    """
    vectors = searcher.embed([question.text for question in questions])
    languages: list[str] = []
    scores: Scores = np.zeros((len(questions), len(GRID)))
    for number, (question, vector) in enumerate(zip(questions, vectors, strict=True)):
        sides = searcher.sides(question.text, vector, depth=DEPTH)
        languages.append(_language(sides))
        for place, weight in enumerate(GRID):
            scores[number, place] = figures_of(question, group_by_text(sides.fused(weight))).ndcg
        report("ask questions", number + 1, len(questions))
    return fit(searcher, [question.id for question in questions], languages, scores)


def fit(searcher: Searcher, ids: Sequence[str], languages: Sequence[str], scores: Scores) -> TuningReport:
    """Fit weights to scores, one row per question and one column per weight of the grid."""
    counts = Counter(languages)
    enough = sorted(language for language, count in counts.items() if count >= LEAST_QUESTIONS)
    left = {language: count for language, count in sorted(counts.items()) if language not in enough}
    if not enough:
        raise BadInputError(
            f"There are too few questions to tune with: {dict(counts)}.",
            remedy=f"Give at least {LEAST_QUESTIONS} of a language.",
        )
    before = searcher.fusion
    folds = np.array([_fold(name) for name in ids])
    standing, fitted, weights = [], [], dict(before.dense)
    for language in enough:
        rows = np.array([own == language for own in languages])
        old = _nearest(before.weight(language))
        weights[language] = GRID[_best(scores[rows], old)]
        for fold in range(FOLDS):
            held_out, rest = rows & (folds == fold), rows & (folds != fold)
            if held_out.any() and rest.any():
                standing += scores[held_out, old].tolist()
                fitted += scores[held_out, _best(scores[rest], old)].tolist()
    gain = estimate([new - was for new, was in zip(fitted, standing, strict=True)])
    questions = {language: counts[language] for language in enough}
    if gain.mean <= 0.0:
        return TuningReport(before.to_dict(), None, gain, questions, left)
    tuning = Tuning(
        dense=Fusion(weights).to_dict(),
        model_sha256=searcher.model_sha256,
        version=searcher.version,
        questions=questions,
        ndcg_before=float(np.mean(standing)),
        ndcg_after=float(np.mean(fitted)),
        folds=FOLDS,
        tuned_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    return TuningReport(before.to_dict(), tuning, gain, questions, left)


def _language(sides: Sides) -> str:
    """Return the language that most of the first hits are in."""
    votes = Counter(language or OTHER for language in sides.languages)
    return min(votes, key=lambda language: (-votes[language], language)) if votes else OTHER


def _best(scores: Scores, old: int) -> int:
    """Return the column that is best, or as good as the best and nearest to the old one."""
    means = scores.mean(axis=0)
    good = np.flatnonzero(means >= means.max() - NEAR)
    return int(good[np.argmin(np.abs(good - old))])


def _nearest(weight: float) -> int:
    return int(np.argmin([abs(one - weight) for one in GRID]))


def _fold(name: str) -> int:
    # By its name: a question stays in its fold when others come or go.
    return hashlib.sha256(name.encode()).digest()[0] % FOLDS
