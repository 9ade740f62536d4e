"""``ragflow evaluate`` and ``ragflow tune``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ragflow_tests.e2e.homes import REPORT, Archive
from ragflow_tests.e2e.launcher import Launcher

QUESTIONS = 24
"""Enough of one language to tune with."""


@pytest.fixture
def judged(tmp_path: Path) -> tuple[Path, Path]:
    queries, qrels = tmp_path / "queries.jsonl", tmp_path / "qrels.tsv"
    asked = [{"_id": f"q{n}", "text": f"granite quarry flood crane {n}"} for n in range(QUESTIONS)]
    asked.append({"_id": "unjudged", "text": "windmill"})
    queries.write_text("\n".join(json.dumps(query) for query in asked))
    lines = [f"q{n}\t{REPORT}\t1" for n in range(QUESTIONS)]
    qrels.write_text("\n".join(["query-id\tcorpus-id\tscore", *lines, "q0\tnowhere.pdf\t1"]))
    return queries, qrels


def test_every_mode_is_measured(launcher: Launcher, archive: Archive, judged: tuple[Path, Path]) -> None:
    arguments = ("--queries", judged[0], "--qrels", judged[1])
    done = launcher.run(archive.root, "evaluate", *arguments, "--json")
    assert done.exit_code == 0, done.stderr
    found = done.json
    assert (found["version"], found["questions"], list(found["modes"])) == (
        "v000001",
        QUESTIONS,
        ["dense", "sparse", "hybrid"],
    )
    assert (found["unknown_documents"], found["unjudged_queries"]) == (1, 1)
    for figures in found["modes"].values():
        assert set(figures) == {"ndcg", "recall", "deep_recall", "reciprocal_rank"}
        assert all(0 <= one["low"] <= one["mean"] <= one["high"] <= 1 for one in figures.values())
    sparse = found["modes"]["sparse"]
    assert sparse["reciprocal_rank"]["mean"] == 1.0
    assert sparse["recall"]["mean"] == pytest.approx((QUESTIONS - 0.5) / QUESTIONS), "half of one answer is not there"
    told = launcher.run(archive.root, "evaluate", *arguments)
    assert "hybrid over " in told.stdout and "nowhere.pdf" in told.stdout


def test_tuning_stores_nothing_that_is_no_better(
    launcher: Launcher, copied: Archive, judged: tuple[Path, Path]
) -> None:
    arguments = ("--queries", judged[0], "--qrels", judged[1])
    done = launcher.run(copied.root, "tune", *arguments, "--json")
    assert done.exit_code == 0, done.stderr
    assert (done.json["stored"], done.json["questions"]) == (False, {"en": QUESTIONS})
    assert done.json["weights"] == done.json["before"]
    assert not (copied.home.root / "tuning.json").exists()
    reset = launcher.run(copied.root, "tune", "--reset", "--json")
    assert reset.json["weights"]["en"] > reset.json["weights"]["fr"]


@pytest.mark.parametrize(
    ("arguments", "exit_code", "said"),
    [
        (("evaluate", "--queries", "q.jsonl"), 2, "belong together"),
        (("evaluate",), 3, "golden"),
        (("evaluate", "--queries", "nowhere.jsonl", "--qrels", "nowhere.tsv"), 3, "nowhere"),
        (("tune",), 3, "golden"),
    ],
)
def test_what_is_missing_is_said(
    launcher: Launcher, archive: Archive, arguments: tuple[str, ...], exit_code: int, said: str
) -> None:
    done = launcher.run(archive.root, *arguments)
    assert done.exit_code == exit_code
    assert said in done.stderr
