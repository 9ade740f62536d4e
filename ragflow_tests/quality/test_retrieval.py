"""nDCG, recall and reciprocal rank, worked out by hand and by their definition."""

from __future__ import annotations

from itertools import permutations
from math import log2

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragflow.model.questions import Target
from ragflow.quality.retrieval import Figures, figures, first_rank, mean, ndcg, recall, reciprocal_rank, score

GRADES = {"a": 3.0, "b": 2.0, "c": 1.0}
BEST = 3 / log2(2) + 2 / log2(3) + 1 / log2(4)

NDCG: list[tuple[str, float]] = [
    ("abc", 1.0),
    ("cba", (1 + 2 / log2(3) + 3 / 2) / BEST),
    ("xaybzc", (3 / log2(3) + 2 / log2(5) + 1 / log2(7)) / BEST),
    ("xaxbxc", (3 / log2(3) + 2 / log2(4) + 1 / log2(5)) / BEST),
    ("xyz", 0.0),
    ("", 0.0),
    ("aaabc", 1.0),
    ("xxab", (3 / log2(3) + 2 / 2) / BEST),
    ("0123456789a", 0.0),
    ("012345678a", 3 / log2(11) / BEST),
]


@pytest.mark.parametrize(("ranked", "expected"), NDCG)
def test_the_gain_of_a_ranking(ranked: str, expected: float) -> None:
    assert ndcg(list(ranked), GRADES) == pytest.approx(expected, abs=1e-12)


def test_the_gain_with_figures_written_out() -> None:
    assert ndcg(["x", "a"], {"a": 1.0}) == pytest.approx(0.630929753571457, abs=1e-12)
    assert ndcg(["a", "x", "b"], {"a": 1.0, "b": 1.0}) == pytest.approx(1.5 / 1.630929753571457, abs=1e-12)
    assert ndcg(["b", "a"], {"a": 2.0, "b": 1.0}) == pytest.approx(2.261859507142915 / 2.630929753571457, abs=1e-12)


def test_only_as_many_right_names_as_fit_make_the_best_order() -> None:
    grades = {str(number): 1.0 for number in range(12)}
    assert ndcg([str(number) for number in range(10)], grades, 10) == 1.0
    assert ndcg(["a"], {"a": 1.0, "b": 1.0}, 1) == 1.0
    assert recall([str(number) for number in range(10)], grades, 10) == pytest.approx(10 / 12)


@pytest.mark.parametrize(
    ("ranked", "k", "expected"), [("abc", 10, 1.0), ("axyzc", 4, 1 / 3), ("xyz", 10, 0.0), ("aaab", 2, 2 / 3)]
)
def test_the_share_that_is_found(ranked: str, k: int, expected: float) -> None:
    assert recall(list(ranked), GRADES, k) == pytest.approx(expected)


@pytest.mark.parametrize(("ranked", "rank"), [("abc", 1), ("xxyc", 3), ("xyz", None), ("", None)])
def test_the_first_right_name(ranked: str, rank: int | None) -> None:
    assert first_rank(list(ranked), GRADES) == rank
    assert reciprocal_rank(list(ranked), GRADES) == (1 / rank if rank else 0.0)


def test_grades_of_nothing_are_wrong() -> None:
    grades = {"a": 0.0, "b": -1.0}
    assert figures(["a", "b"], grades) == Figures(0.0, 0.0, 0.0)
    assert figures(["a"], {}) == Figures(0.0, 0.0, 0.0)
    assert figures(["a", "c"], {**grades, "c": 1.0}) == figures(["x", "c"], {"c": 1.0})


graded = st.dictionaries(st.sampled_from("abcdef"), st.integers(1, 4).map(float), min_size=1)


@given(graded, st.lists(st.sampled_from("abcdefxyz"), max_size=12), st.integers(1, 6))
def test_a_ranking_is_at_most_as_good_as_the_best_order(grades: dict[str, float], ranked: list[str], k: int) -> None:
    found = figures(ranked, grades, k)
    assert 0.0 <= found.ndcg <= 1.0 + 1e-12
    assert 0.0 <= found.recall <= 1.0
    assert found == figures(list(dict.fromkeys(ranked)), grades, k), "what comes again counts once"
    best = max(ndcg(order, grades, k) for order in permutations(grades))
    assert best == pytest.approx(1.0)


def test_means_count_every_question_the_same() -> None:
    assert mean([]) is None
    assert mean([Figures(1.0, 0.5, 1.0), Figures(0.5, 0.0, 0.25)]) == Figures(0.75, 0.25, 0.625)


A3, B1 = Target("a", 3), Target("b", 1)


def test_hits_are_ranked_by_page_where_a_page_is_asked_for() -> None:
    found = [[("a", 1)], [("a", 1)], [("a", 3)]]
    assert score([A3], found).rank == 2, "two hits of one page are one rank"
    assert score([A3], found).figures.ndcg == pytest.approx(1 / log2(3))
    assert score([Target("a", None)], found).rank == 1
    assert score([Target("c", None)], [[("a", 1)], [("a", 2)], [("b", 1)], [("c", 9)]]).rank == 3


def test_a_hit_counts_in_every_document_that_has_its_text() -> None:
    assert score([B1], [[("a", 3), ("b", 1)]]).rank == 1
    both = score([A3, B1], [[("a", 3), ("b", 1)], [("x", 1)]])
    assert (both.rank, both.figures.ndcg, both.figures.recall) == (1, 1.0, 1.0)
    assert score([B1], [[("x", 1), ("y", 1), ("z", 1)], [("b", 1)]]).rank == 2, "doubles take one rank together"


def test_the_same_page_number_of_another_document_is_wrong() -> None:
    assert score([A3], [[("b", 3)], [("a", 2)]]).rank is None
    assert score([Target("a", 31)], [[("a", 3)]]).rank is None


def test_grades_count() -> None:
    targets = [Target("a", 1, 1.0), Target("b", None, 3.0)]
    assert score(targets, [[("b", 7)], [("a", 1)]]).figures.ndcg == 1.0
    assert score(targets, [[("a", 1)], [("b", 7)]]).figures.ndcg < 1.0


def test_documents_that_are_left_out_take_no_rank() -> None:
    found = [[("new", 1)], [("new", 2), ("x", 1)], [("a", 3)]]
    assert score([A3], found).rank == 3
    assert score([A3], found, {"new"}).rank == 2
    assert score([A3], found, {"new", "x"}).rank == 1
