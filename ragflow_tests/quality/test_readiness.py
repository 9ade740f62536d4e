"""What the gate and the canaries make of answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from ragflow.model.questions import GOLDEN, KNOWN_ITEM, Kind, Question, RetrievalOptions, Target
from ragflow.model.verdicts import MAX_ROWS, Outcome, Verdict
from ragflow.quality.readiness import (
    CANARY_NAMES,
    RETRIEVAL_NAMES,
    Answer,
    Answers,
    canary_verdicts,
    retrieval_verdicts,
)
from ragflow.quality.retrieval import score

OPTIONS = RetrievalOptions()


def question(number: int, kind: Kind = KNOWN_ITEM, document: str = "") -> Question:
    return Question(f"q{number:03}", f"words {number}", (Target(document or f"doc{number}", 1),), kind)


def answer(asked: Question, rank: int | None, milliseconds: float = 5.0, above: str = "other") -> Answer:
    """Return an answer whose first right hit has this rank; other documents stand above it."""
    found = tuple(((f"{above}{place}", 1),) for place in range((rank or 12) - 1))
    if rank is not None:
        target = asked.targets[0]
        found += (((target.document_key, target.page_number or 1),),)
    return Answer(asked, asked.targets, found, score(asked.targets, found), milliseconds)


def answers(
    ranks: Sequence[int | None], kind: Kind = KNOWN_ITEM, *, version: str = "v000002", missing: Sequence[Question] = ()
) -> Answers:
    given = tuple(answer(question(number, kind), rank) for number, rank in enumerate(ranks))
    return Answers(version, 100, given, tuple(missing))


def judged(name: str, candidate: Answers, live: Answers | None = None, *more: frozenset[str]) -> Verdict:
    verdicts = retrieval_verdicts(OPTIONS, candidate, live, *more)
    assert tuple(verdict.name for verdict in verdicts) == RETRIEVAL_NAMES
    for verdict in verdicts:
        assert (verdict.remedy == "") == (verdict.outcome is Outcome.PASS)
        assert verdict.summary
    return next(verdict for verdict in verdicts if verdict.name == name)


@pytest.mark.parametrize(
    ("ranks", "outcome"),
    [
        ([1] * 20, Outcome.PASS),
        ([1] * 12 + [2] * 8, Outcome.PASS),
        ([2] * 20, Outcome.WARN),
        ([5] * 20, Outcome.FAIL),
        ([None] * 20, Outcome.FAIL),
        ([None] * 4, Outcome.WARN),
    ],
)
def test_without_a_live_version_the_floor_holds(ranks: list[int | None], outcome: Outcome) -> None:
    verdict = judged("known_items", answers(ranks))
    assert verdict.outcome is outcome
    assert verdict.figure is not None and verdict.threshold is not None
    assert (verdict.figure >= verdict.threshold) == (outcome is Outcome.PASS)
    assert bool(verdict.rows) == (outcome is not Outcome.PASS)


@pytest.mark.parametrize("kind", [KNOWN_ITEM, GOLDEN])
@pytest.mark.parametrize(
    ("before", "now", "passes"),
    [
        ([1] * 20, [1] * 20, True),
        ([3] * 20, [3] * 20, True),
        ([2] * 20, [1] * 20, True),
        ([1] * 20, [1] * 18 + [2, 2], True),
        ([1] * 20, [1] * 17 + [2] * 3, False),
        ([1] * 20, [2] * 20, False),
        ([10] * 20, [11] * 20, False),
        ([None] * 20, [None] * 20, True),
    ],
)
def test_a_candidate_may_not_be_worse_than_what_is_live(
    kind: Kind, before: list[int | None], now: list[int | None], passes: bool
) -> None:
    name = "golden_queries" if kind == GOLDEN else "known_items"
    verdict = judged(name, answers(now, kind), answers(before, kind, version="v000001"))
    assert verdict.passed == passes
    assert verdict.figure is not None and verdict.threshold is not None
    assert (verdict.figure >= verdict.threshold) == passes
    assert len(verdict.rows) == sum(old != new and new != 1 for old, new in zip(before, now, strict=True))


def test_recall_alone_can_fail_a_candidate() -> None:
    """From rank 10 to rank 11: nDCG falls by 0.29, recall by 1; of one question in ten it is recall that is too low."""
    verdict = judged("golden_queries", answers([1] * 9 + [None], GOLDEN), answers([1] * 9 + [10], GOLDEN))
    assert verdict.outcome is Outcome.FAIL
    assert (verdict.figure, verdict.threshold) == (0.9, 0.95)


def test_the_tolerance_itself_is_tolerated() -> None:
    ranks: list[int | None] = [1] * 20
    options = replace(OPTIONS, retrieval_tolerance=0.05)
    worse = answers([1] * 19 + [None], GOLDEN)
    assert retrieval_verdicts(options, worse, answers(ranks, GOLDEN))[0].passed
    assert not retrieval_verdicts(replace(options, retrieval_tolerance=0.049), worse, answers(ranks, GOLDEN))[0].passed


def test_those_that_got_worse_are_named_worst_first() -> None:
    verdict = judged("known_items", answers([1, 4, None, 2, 1]), answers([1, 1, 1, 1, 2]))
    assert [(row["id"], row["rank_before"], row["rank_now"]) for row in verdict.rows] == [
        ("q002", 1, None),
        ("q001", 1, 4),
        ("q003", 1, 2),
    ]
    assert verdict.rows[0] == {
        "question": "words 2",
        "id": "q002",
        "document": "doc2",
        "page": 1,
        "rank_before": 1,
        "rank_now": None,
        "problem": "is answered worse",
    }


def test_rows_are_as_many_as_a_record_takes() -> None:
    assert len(judged("known_items", answers([2] * 80), answers([1] * 80)).rows) == MAX_ROWS


def test_of_few_known_items_one_may_slip() -> None:
    """A single rank of four questions is more than the tolerance, and is chance; golden queries were chosen."""
    now, before = [1, 1, 1, 2], [1, 1, 1, 1]
    assert judged("known_items", answers(now), answers(before)).outcome is Outcome.PASS
    assert judged("golden_queries", answers(now, GOLDEN), answers(before, GOLDEN)).outcome is Outcome.FAIL
    assert judged("known_items", answers([1, 1, 2, 3]), answers(before)).outcome is Outcome.FAIL


def test_what_only_the_candidate_can_answer_is_held_to_the_floor() -> None:
    live = Answers("v000001", 10, answers([1] * 5).answers, tuple(question(n) for n in range(5, 20)))
    assert judged("known_items", answers([1] * 20), live).outcome is Outcome.PASS
    verdict = judged("known_items", answers([1] * 5 + [None] * 15), live)
    assert (verdict.outcome, verdict.figure, verdict.threshold) == (Outcome.FAIL, 0.25, 0.5)
    assert verdict.rows


def test_an_archive_that_was_below_the_floor_may_stay_as_it_is() -> None:
    assert judged("known_items", answers([9] * 20), answers([9] * 20)).outcome is Outcome.PASS
    assert judged("known_items", answers([9] * 20), None).outcome is Outcome.FAIL


def test_new_documents_do_not_make_old_ones_worse() -> None:
    asked = [question(number) for number in range(20)]
    live = Answers("v000001", 20, tuple(answer(one, 1) for one in asked), ())
    crowded = Answers("v000002", 200, tuple(answer(one, 3, above="new") for one in asked), ())
    assert judged("known_items", crowded, live).outcome is Outcome.FAIL
    added = frozenset({"new0", "new1"})
    assert judged("known_items", crowded, live, frozenset(), added).outcome is Outcome.PASS
    assert judged("known_items", crowded, live, frozenset(), frozenset({"new0"})).outcome is Outcome.FAIL


def test_right_places_that_only_one_version_has_are_not_compared() -> None:
    both = Question("q", "words", (Target("old", 1), Target("new", 1)), GOLDEN)
    before = Answer(both, both.targets[:1], ((("old", 1),),), score(both.targets[:1], [[("old", 1)]]), 1.0)
    found = ((("new", 1),), (("old", 1),))
    live = Answers("v000001", 1, (before,), ())
    for targets, hits in ((both.targets, found), (both.targets, found[1:])):
        candidate = Answers("v000002", 2, (Answer(both, targets, hits, score(targets, hits), 1.0),), ())
        assert judged("golden_queries", candidate, live).outcome is Outcome.PASS
    gone = Answers("v000002", 2, (Answer(both, both.targets, found[:1], score(both.targets, found[:1]), 1.0),), ())
    assert judged("golden_queries", gone, live).outcome is Outcome.FAIL


def test_without_questions_nothing_is_said_to_be_proven() -> None:
    nothing = Answers("v000002", 0, (), ())
    assert [verdict.outcome for verdict in retrieval_verdicts(OPTIONS, nothing, None)] == [Outcome.PASS] * 3
    assert judged("golden_queries", nothing).summary == "No golden queries are configured (gate.golden_queries)."
    unproven = replace(nothing, points=100)
    assert judged("known_items", unproven).outcome is Outcome.WARN
    assert retrieval_verdicts(replace(OPTIONS, known_items=0), unproven, None)[1].outcome is Outcome.PASS


def test_a_golden_query_whose_document_is_missing() -> None:
    missing = question(7, GOLDEN, "doc7")
    candidate = answers([1, 1], GOLDEN, missing=[missing])
    verdict = judged("golden_queries", candidate)
    assert verdict.outcome is Outcome.WARN
    assert verdict.figure == 1.0, "it is not counted as answered wrongly"
    assert [row["id"] for row in verdict.rows] == ["q007"]
    never = answers([1, 1], GOLDEN, missing=[missing])
    present = frozenset({"doc7"})
    assert judged("golden_queries", candidate, never, present).outcome is Outcome.WARN
    could = replace(never, answers=(*never.answers, answer(missing, 4)), unanswerable=())
    assert judged("golden_queries", candidate, could).outcome is Outcome.WARN, "it was removed from the archive"
    lost = judged("golden_queries", candidate, could, present)
    assert lost.outcome is Outcome.FAIL
    assert lost.rows[0]["problem"] == "has lost its document"


@pytest.mark.parametrize(
    ("milliseconds", "outcome", "threshold"),
    [(250.0, Outcome.PASS, 250.0), (251.0, Outcome.WARN, 250.0), (2501.0, Outcome.FAIL, 2500.0)],
)
def test_slow_answers(milliseconds: float, outcome: Outcome, threshold: float) -> None:
    fast = answers([1] * 18)
    slow = tuple(answer(question(number), 1, milliseconds) for number in range(18, 20))
    verdict = judged("latency", replace(fast, answers=(*slow, *fast.answers)))
    assert (verdict.outcome, verdict.figure, verdict.threshold) == (outcome, milliseconds, threshold)


def test_the_slowest_twentieth_does_not_count() -> None:
    fast = answers([1] * 19)
    assert replace(fast, answers=(answer(question(19), 1, 9e9), *fast.answers)).p95_ms == 5.0
    assert replace(fast, answers=()).p95_ms == 0.0
    assert judged("latency", replace(fast, answers=())).threshold == OPTIONS.latency_ms


def canaries(expected: Answers, served: Answers, points: int | None = None) -> dict[str, Verdict]:
    verdicts = canary_verdicts(expected, served, points_expected=points)
    assert tuple(verdict.name for verdict in verdicts) == CANARY_NAMES
    assert all((verdict.remedy == "") == verdict.passed for verdict in verdicts)
    return {verdict.name: verdict for verdict in verdicts if not verdict.passed}


def test_canaries_want_what_the_gate_let_through() -> None:
    expected = answers([1, 2, None], missing=[question(9, GOLDEN)])
    slower = replace(expected, answers=tuple(replace(one, milliseconds=1e6) for one in expected.answers))
    assert canaries(expected, expected) == {}
    assert canaries(expected, slower) == {}
    assert canaries(expected, expected, 100) == {}
    assert canaries(expected, expected, 101).keys() == {"canary_counts"}
    assert canaries(expected, replace(expected, points=99)).keys() == {"canary_counts"}
    assert canaries(expected, replace(expected, version="v000003")).keys() == {"canary_version"}


def test_canaries_name_what_is_answered_otherwise() -> None:
    expected = answers([1, 2, None, 1], missing=[question(9, GOLDEN)])
    found = canaries(expected, answers([1, 3, None, 1], missing=[question(9, GOLDEN)]))
    (row,) = found["canary_queries"].rows
    assert (row["id"], row["rank_before"], row["rank_now"]) == ("q001", 2, 3)
    assert canaries(expected, answers([2, 2, None, 1])).keys() == {"canary_queries"}
    fewer = canaries(expected, answers([1, 2, None], missing=[question(3)]))
    assert [row["id"] for row in fewer["canary_queries"].rows] == ["q003"]
    more = replace(expected, answers=(*expected.answers, answer(question(9, GOLDEN), 1)), unanswerable=())
    assert [row["id"] for row in canaries(expected, more)["canary_queries"].rows] == ["q009"]
