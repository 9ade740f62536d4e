"""Measuring and tuning the search of a real archive."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from ragflow.errors import BadInputError, IntegrityError
from ragflow.model.fusion import OTHER, Fusion
from ragflow.model.questions import GOLDEN, Question, Target
from ragflow.model.releases import Decision
from ragflow.pipeline.collection import build_candidate
from ragflow.pipeline.evaluating import evaluate, figures_of
from ragflow.pipeline.hits import SearchMode
from ragflow.pipeline.release import release, rollback
from ragflow.pipeline.searching import Searcher
from ragflow.pipeline.tuning import FOLDS, GRID, LEAST_QUESTIONS, fit, tune
from ragflow.pipeline.verification import verify
from ragflow_tests.pipeline.archive import MINUTES, REPORT, TWIN, Archive

QUARRY = Question("quarry", "granite quarry flood", (Target(REPORT, None), Target(TWIN, None)), GOLDEN)
LAVOIR = Question("lavoir", "lavoir toiture", (Target(MINUTES, 1),), GOLDEN)
NOWHERE = Question("nowhere", "granite quarry flood", (Target("inbox/gone.pdf", None),), GOLDEN)


@pytest.fixture(scope="module")
def searcher(archive: Archive) -> Iterator[Searcher]:
    with Searcher(archive.workspace) as opened:
        yield opened


def test_every_mode_is_measured_on_the_same_questions(searcher: Searcher) -> None:
    found = evaluate(searcher, [QUARRY, LAVOIR, NOWHERE])
    assert (found.version, found.questions, list(found.modes)) == (
        "v000002",
        3,
        [SearchMode.DENSE, SearchMode.SPARSE, SearchMode.HYBRID],
    )
    sparse = found.modes[SearchMode.SPARSE]
    assert sparse.ndcg.mean == pytest.approx(2 / 3), "two answered perfectly, one cannot be answered"
    assert (sparse.recall.mean, sparse.reciprocal_rank.mean) == pytest.approx((2 / 3, 2 / 3))
    assert sparse.ndcg.low < sparse.ndcg.mean < sparse.ndcg.high
    best = found.modes[found.better_single].ndcg.mean
    assert found.hybrid_gain.mean == pytest.approx(found.modes[SearchMode.HYBRID].ndcg.mean - best)
    with pytest.raises(BadInputError):
        evaluate(searcher, [])


def test_pages_are_ranked_where_pages_are_asked_for(searcher: Searcher) -> None:
    groups = searcher.groups(LAVOIR.text, None, mode=SearchMode.SPARSE)
    assert figures_of(LAVOIR, groups).ndcg == 1.0
    wrong = Question("wrong", LAVOIR.text, (Target(MINUTES, 99),), GOLDEN)
    assert figures_of(wrong, groups).ndcg == 0.0


def scores(best: int, count: int = 40) -> np.ndarray:
    """Return one row per question, in which one weight of the grid answers best, the others ever worse."""
    distance = np.abs(np.arange(len(GRID)) - best)
    return np.tile(1.0 - distance / len(GRID), (count, 1))


def test_the_weight_that_answers_best_is_found_for_each_language(searcher: Searcher) -> None:
    table = np.concatenate([scores(4), scores(16), scores(0, 3)])
    languages = ["fr"] * 40 + ["en"] * 40 + ["de"] * 3
    report = fit(searcher, [str(number) for number in range(83)], languages, table)
    assert report.tuning is not None
    assert {name: report.tuning.dense[name] for name in ("en", "fr")} == {"en": GRID[16], "fr": GRID[4]}
    assert (report.questions, report.left) == ({"en": 40, "fr": 40}, {"de": 3})
    assert report.tuning.ndcg_after == pytest.approx(1.0)
    assert report.gain.mean == pytest.approx(1.0 - report.tuning.ndcg_before)
    assert (report.tuning.folds, report.tuning.model_sha256) == (FOLDS, searcher.model_sha256)


def test_weights_stay_if_others_are_no_better_on_questions_they_were_not_fitted_on(searcher: Searcher) -> None:
    chance = np.random.default_rng(3).permuted(scores(10), axis=1)
    flat = np.full_like(chance, 0.5)
    assert fit(searcher, [str(n) for n in range(40)], ["en"] * 40, flat).tuning is None
    with pytest.raises(BadInputError, match="too few"):
        fit(searcher, ["1"], ["en"], scores(3, 1))


def test_tuned_weights_go_live_by_the_gate_and_back_by_a_rollback(searcher: Searcher, copied: Archive) -> None:
    workspace = copied.workspace
    questions = [Question(f"q{n}", QUARRY.text, QUARRY.targets, GOLDEN) for n in range(LEAST_QUESTIONS)]
    before = workspace.fusion()
    found = tune(searcher, questions)
    assert set(found.questions) == {"en"}
    assert found.tuning is None, "they are answered perfectly already"
    languages = ["en"] * 40
    fitted = fit(searcher, [str(n) for n in range(40)], languages, scores(1)).tuning
    assert fitted is not None
    workspace.home.tuning.put(fitted)
    assert workspace.fusion().weight("en") == GRID[1] != before.weight("en")
    candidate = build_candidate(workspace)
    assert (candidate.reused, candidate.record.upserted, candidate.record.deleted) == (False, 0, 0)
    report = release(workspace)
    assert (report.decision, report.version) == (Decision.PROMOTED, "v000003")
    assert report.record is not None and report.record.fusion == fitted.dense
    with Searcher(workspace) as live:
        assert live.fusion == Fusion(fitted.dense)
    assert verify(workspace).passed
    rollback(workspace)
    with Searcher(workspace) as live:
        assert live.fusion == before


def test_weights_of_another_model_are_not_used(copied: Archive, searcher: Searcher) -> None:
    workspace = copied.workspace
    fitted = fit(searcher, [str(n) for n in range(40)], ["en"] * 40, scores(1)).tuning
    assert fitted is not None
    standing = workspace.fusion()
    workspace.home.tuning.put(replace(fitted, model_sha256="0" * 64))
    assert workspace.fusion() == standing


def test_a_damaged_record_of_tuning_is_said_with_what_to_do(copied: Archive) -> None:
    home = copied.workspace.home
    home.tuning.path.write_text('{"format": "ragflow-tuning/1"}')
    with pytest.raises(IntegrityError, match=r"tuning\.json") as caught:
        copied.workspace.fusion()
    assert "ragflow tune" in caught.value.remedy
    home.tuning.remove()
    assert copied.workspace.fusion().weight("fr") < copied.workspace.fusion().weight("en")


@pytest.mark.parametrize("wrong", [{"en": 1.1}, {"en": float("nan")}, {"": 0.5}])
def test_weights_are_shares(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="weight"):
        Fusion(wrong)


def test_a_language_without_a_weight_has_that_of_all_others() -> None:
    fusion = Fusion({"en": 0.6, OTHER: 0.3})
    assert [fusion.weight(language) for language in ("en", "de", None)] == [0.6, 0.3, 0.3]
    assert fusion.mean(["en", "de"]) == pytest.approx(0.45)
    assert fusion.mean([]) == 0.3
