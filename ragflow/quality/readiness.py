"""Whether a version answers as well as the live one, and whether what is served answers as the candidate did."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ragflow.model.points import Float32Array
from ragflow.model.questions import GOLDEN, KNOWN_ITEM, Kind, Question, RetrievalOptions, Target
from ragflow.model.verdicts import MAX_ROWS, Outcome, Verdict
from ragflow.quality.retrieval import CUT, Figures, Place, Score, mean, score

RETRIEVAL_NAMES = ("golden_queries", "known_items", "latency")
CANARY_NAMES = ("canary_version", "canary_counts", "canary_queries")

FEW = 5
"""With fewer known items than this, a mean below the floor is a warning only."""
CHANCE = 0.5
"""Known items are drawn, not chosen: this much of one question may be lost by chance, however few there are."""
EQUAL = 1e-6
"""Figures that differ by less are equal."""
SLOW = 10.0
"""Times the latency that is a warning: a failure."""


@dataclass(frozen=True, slots=True)
class Answer:
    """How a version answered one question.

    Attributes:
        question: that was asked.
        targets: those of its targets whose documents are in the version.
        found: the places of each hit, best first, see :func:`ragflow.quality.retrieval.score`.
        score: of the hits, against ``targets``.
        milliseconds: from the embedded question to the hits.
    """

    question: Question
    targets: tuple[Target, ...]
    found: tuple[tuple[Place, ...], ...]
    score: Score
    milliseconds: float


@dataclass(frozen=True, slots=True)
class Answers:
    """How a version answered all questions.

    Attributes:
        version: that was asked.
        points: it holds.
        answers: to the questions that it can answer.
        unanswerable: questions none of whose documents is in the version.
        vectors: (kind, id) of a question → its vector, with which it can be asked again exactly.
    """

    version: str
    points: int
    answers: tuple[Answer, ...]
    unanswerable: tuple[Question, ...]
    vectors: Mapping[tuple[Kind, str], Float32Array] = field(default_factory=dict, compare=False, repr=False)

    def of(self, kind: Kind) -> list[Answer]:
        return [answer for answer in self.answers if answer.question.kind == kind]

    def mean(self, kind: Kind) -> Figures | None:
        """Return the mean figures over the questions of a kind that can be answered; None if there are none."""
        return mean([answer.score.figures for answer in self.of(kind)])

    @property
    def p95_ms(self) -> float:
        """The search time that 95 of 100 questions stay within; 0.0 if none was asked."""
        times = sorted(answer.milliseconds for answer in self.answers)
        return times[math.ceil(0.95 * len(times)) - 1] if times else 0.0


class _Pair(NamedTuple):
    """One question, as the live version answers it and as the candidate does."""

    question: Question
    before: Score
    now: Score

    @property
    def lost(self) -> float:
        """By how much the answer got worse; 0 or less if it did not."""
        return max(
            self.before.figures.ndcg - self.now.figures.ndcg, self.before.figures.recall - self.now.figures.recall
        )


class _Bar(NamedTuple):
    """A figure, and the least that it may be."""

    figure: float
    least: float

    @property
    def holds(self) -> bool:
        return self.figure >= self.least - EQUAL


def retrieval_verdicts(
    options: RetrievalOptions,
    candidate: Answers,
    live: Answers | None,
    present: Collection[str] = (),
    added: Collection[str] = (),
) -> list[Verdict]:
    """Hold the answers of a candidate against those of the live version.

    Args:
        live: to the same questions; None if nothing is live, or what is live was made by another embedding model.
        present: keys of the documents that are in the archive now.
        added: keys of those that the candidate has and the live version has not. The known items are compared without
            them: in an archive that grows, every answer has more to compete with.
    """
    return [
        _golden(options, candidate, live, frozenset(present)),
        _known(options, candidate, live, frozenset(added)),
        _latency(options, candidate),
    ]


def _golden(options: RetrievalOptions, candidate: Answers, live: Answers | None, present: frozenset[str]) -> Verdict:
    asked = candidate.of(GOLDEN)
    missing = [question for question in candidate.unanswerable if question.kind == GOLDEN]
    if not asked and not missing:
        return Verdict("golden_queries", Outcome.PASS, "No golden queries are configured (gate.golden_queries).")
    answered_before = {answer.question.id for answer in live.of(GOLDEN)} if live else set()
    lost = [
        question
        for question in missing
        if question.id in answered_before and any(target.document_key in present for target in question.targets)
    ]
    pairs = _pairs(GOLDEN, candidate, live, frozenset())
    bars = _bars(pairs, options.retrieval_tolerance)
    broken = next((bar for bar in bars if not bar.holds), None)
    rows = [_row(question, None, None, "has lost its document") for question in lost]
    rows += _worse(pairs)
    rows += [_row(question, None, None, "is about no document here") for question in missing if question not in lost]
    outcome = Outcome.FAIL if lost or broken else Outcome.WARN if missing else Outcome.PASS
    over = mean([answer.score.figures for answer in asked])
    shown = broken or (bars[0] if bars else None)
    summary = f"{len(asked)} golden queries" + _said(over, pairs)
    if missing:
        summary += f" {len(missing)} cannot be answered: their documents are not in {candidate.version}."
    return Verdict(
        "golden_queries",
        outcome,
        summary,
        figure=_rounded(shown.figure if shown else over.ndcg if over else None),
        threshold=_rounded(shown.least if shown else None),
        remedy={
            Outcome.PASS: "",
            Outcome.WARN: "Correct the documents' names in the golden queries, or bring the documents in.",
            Outcome.FAIL: "Look at the questions named. If the change is meant, correct the golden queries or raise "
            "gate.retrieval_tolerance; if not, undo what was changed in the settings or the archive.",
        }[outcome],
        rows=tuple(rows[:MAX_ROWS]),
    )


def _known(options: RetrievalOptions, candidate: Answers, live: Answers | None, added: frozenset[str]) -> Verdict:
    asked = candidate.of(KNOWN_ITEM)
    over = mean([answer.score.figures for answer in asked])
    if over is None:
        if not options.known_items or not candidate.points:
            return Verdict("known_items", Outcome.PASS, "No known items are asked for.")
        return Verdict(
            "known_items",
            Outcome.WARN,
            "No text of the archive is long and distinct enough to be asked for, so nothing shows that it is found.",
            remedy="Write golden queries (gate.golden_queries).",
        )
    pairs = _pairs(KNOWN_ITEM, candidate, live, added)
    bars = _bars(pairs, max(options.retrieval_tolerance, CHANCE / max(1, len(pairs))))
    usual = live.mean(KNOWN_ITEM) if live else None
    # What is new is held to the floor, too; an archive that was below it already need not get better to go live.
    floor = _Bar(
        over.ndcg,
        min(options.known_items_floor, usual.ndcg - options.retrieval_tolerance)
        if usual
        else options.known_items_floor,
    )
    expected = _Bar(over.ndcg, floor.least if pairs else options.known_items_expected)
    broken = next((bar for bar in bars if not bar.holds), None)
    if broken is None and not floor.holds:
        broken = floor
    outcome = Outcome.PASS
    if broken is not None:
        outcome = Outcome.WARN if broken is floor and len(asked) < FEW else Outcome.FAIL
    elif not expected.holds:
        outcome, broken = Outcome.WARN, expected
    shown = broken or (bars[0] if bars else expected)
    rows = _worse(pairs) or ([] if outcome is Outcome.PASS else _not_first(asked))
    return Verdict(
        "known_items",
        outcome,
        f"{len(asked)} texts of the archive were searched for" + _said(over, pairs),
        figure=_rounded(shown.figure),
        threshold=_rounded(shown.least),
        remedy=""
        if outcome is Outcome.PASS
        else "Search for the questions named, and look at what is found. Run `ragflow ingest --rebuild` if vectors may "
        "be wrong; undo the last change of model or settings if it made things worse.",
        rows=tuple(rows[:MAX_ROWS]),
    )


def _latency(options: RetrievalOptions, candidate: Answers) -> Verdict:
    taken, limit = candidate.p95_ms, options.latency_ms
    outcome = Outcome.FAIL if taken > limit * SLOW else Outcome.WARN if taken > limit else Outcome.PASS
    return Verdict(
        "latency",
        outcome,
        f"95 of 100 searches take at most {taken:.1f} ms ({len(candidate.answers)} were made)."
        if candidate.answers
        else "Nothing was searched for.",
        figure=round(taken, 2),
        threshold=limit * SLOW if outcome is Outcome.FAIL else limit,
        remedy=""
        if outcome is Outcome.PASS
        else "See whether the machine is busy, and promote the version again; lower index_from_points to search large "
        "versions by a graph, or raise gate.latency_ms.",
    )


def _pairs(kind: Kind, candidate: Answers, live: Answers | None, without: frozenset[str]) -> list[_Pair]:
    """Score the questions that both versions can answer, on the targets that both have."""
    before_of = {answer.question.id: answer for answer in live.of(kind)} if live else {}
    pairs = []
    for now in candidate.of(kind):
        before = before_of.get(now.question.id)
        common = tuple(target for target in now.targets if before and target in before.targets)
        if before is None or not common:
            continue
        # A place that is right and that only one of them has must not stand in the way of those that both have.
        others = {target.document_key for target in {*now.targets, *before.targets}.difference(common)}
        left_out = (without | others) - {target.document_key for target in common}
        scores = (score(common, before.found, left_out), score(common, now.found, left_out))
        pairs.append(_Pair(now.question, *scores))
    return pairs


def _bars(pairs: Sequence[_Pair], tolerance: float) -> list[_Bar]:
    """Return mean nDCG and mean recall of the candidate, and how far down they may be; nothing without pairs."""
    before, now = mean([pair.before.figures for pair in pairs]), mean([pair.now.figures for pair in pairs])
    if before is None or now is None:
        return []
    return [_Bar(now.ndcg, before.ndcg - tolerance), _Bar(now.recall, before.recall - tolerance)]


def _said(over: Figures | None, pairs: Sequence[_Pair]) -> str:
    """Return figures as the end of a sentence that tells how many questions there are."""
    text = f": nDCG@{CUT} {over.ndcg:.3f}, recall@{CUT} {over.recall:.3f}." if over else "."
    before, now = mean([pair.before.figures for pair in pairs]), mean([pair.now.figures for pair in pairs])
    if before is None or now is None:
        return text
    return (
        f"{text} On the {len(pairs)} that the live version can answer as well: nDCG@{CUT} {now.ndcg:.3f} "
        f"(live {before.ndcg:.3f}), recall@{CUT} {now.recall:.3f} (live {before.recall:.3f})."
    )


def _worse(pairs: Sequence[_Pair]) -> list[dict[str, Any]]:
    """Return a row for each question that got worse, worst first."""
    worse = sorted((pair for pair in pairs if pair.lost > EQUAL), key=lambda pair: (-pair.lost, pair.question.id))
    return [_row(pair.question, pair.before.rank, pair.now.rank, "is answered worse") for pair in worse]


def _not_first(answers: Sequence[Answer]) -> list[dict[str, Any]]:
    """Return a row for each question whose first hit is wrong, worst first."""
    failed = [answer for answer in answers if answer.score.rank != 1]
    failed.sort(key=lambda answer: (-(answer.score.rank or math.inf), answer.question.id))
    return [_row(answer.question, None, answer.score.rank, "is not found first") for answer in failed]


def _row(question: Question, before: int | None, now: int | None, problem: str) -> dict[str, Any]:
    """Ranks are those of the first right hit, from 1; None: there is none, or the version was not asked."""
    target = question.targets[0]
    return {
        "question": question.text,
        "id": question.id,
        "document": target.document_key,
        "page": target.page_number,
        "rank_before": before,
        "rank_now": now,
        "problem": problem,
    }


def _rounded(figure: float | None) -> float | None:
    return None if figure is None else round(figure, 6)


CANARY_NAMES = ("canary_version", "canary_counts", "canary_queries")
"""Every verdict of the canaries, in order."""


def canary_verdicts(expected: Answers, served: Answers, *, points_expected: int | None = None) -> list[Verdict]:
    """Hold what the alias serves against what the gate let through.

    Args:
        expected: what the candidate answered in the gate.
        served: the answers to the same questions, asked through the alias.
        points_expected: that the record of the version names; None: as many as it had in the gate.
    """
    points = expected.points if points_expected is None else points_expected
    same, complete = expected.version == served.version, points == served.points
    return [
        Verdict(
            "canary_version",
            Outcome.PASS if same else Outcome.FAIL,
            f"The alias serves {served.version}" + ("." if same else f", not {expected.version}."),
            remedy="" if same else "Something else has moved the alias: see `ragflow releases`, then `ragflow verify`.",
        ),
        Verdict(
            "canary_counts",
            Outcome.PASS if complete else Outcome.FAIL,
            f"{served.points} points are served" + ("." if complete else f", not {points}."),
            figure=served.points,
            threshold=points,
            remedy="" if complete else "Run `ragflow verify`, then `ragflow ingest --rebuild`.",
        ),
        _canary_queries(expected, served),
    ]


def _canary_queries(expected: Answers, served: Answers) -> Verdict:
    before, now = _by_question(expected), _by_question(served)
    questions = {(q.kind, q.id): q for q in (*(a.question for a in expected.answers), *expected.unanswerable)}
    rows = []
    for key, question in questions.items():
        old, new = before.get(key), now.get(key)
        if (old is None and new is None) or (old and new and _agree(old, new)):
            continue
        ranks = (old.score.rank if old else None, new.score.rank if new else None)
        rows.append(_row(question, *ranks, "is answered otherwise than in the gate"))
    return Verdict(
        "canary_queries",
        Outcome.FAIL if rows else Outcome.PASS,
        f"{len(rows)} of {len(questions)} questions are answered otherwise through the alias than in the gate."
        if rows
        else f"{len(questions)} questions are answered through the alias as they were in the gate.",
        figure=len(rows),
        threshold=0,
        remedy="Run `ragflow verify`, then `ragflow ingest --rebuild`." if rows else "",
        rows=tuple(rows[:MAX_ROWS]),
    )


def _by_question(answers: Answers) -> Mapping[tuple[Kind, str], Answer]:
    return {(answer.question.kind, answer.question.id): answer for answer in answers.answers}


def _agree(one: Answer, other: Answer) -> bool:
    """Whether the first page of hits is the same: one side that finds rubbish need not cost the right hit its place."""
    return one.found[:CUT] == other.found[:CUT]
