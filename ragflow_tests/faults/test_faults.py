"""Every fault of the catalogue is caught as it should be, and the document says so."""

from __future__ import annotations

from pathlib import Path

import pytest

import ragflow
from ragflow_tests.faults.runner import Runner
from ragflow_tests.faults.subject import Situation
from ragflow_tests.faults.table import markdown
from ragflow_tests.faults.trial import TRIALS, Trial

DOCUMENT = Path(ragflow.__file__).parents[1] / "docs" / "faults.md"


@pytest.mark.parametrize("trial", TRIALS, ids=[trial.name for trial in TRIALS])
def test_a_fault_is_caught(runner: Runner, trial: Trial) -> None:
    result = runner.result(trial)
    assert not result.problems, result.outcome.message


@pytest.mark.parametrize("situation", Situation)
def test_without_a_fault_the_new_batch_is_published(runner: Runner, situation: Situation) -> None:
    """Otherwise all the rest would mean nothing."""
    found = runner.untouched(situation)
    assert (found.outcome.published, found.outcome.caught_by) == (True, ()), found.outcome.message
    assert found.after != found.before
    assert found.answers


def test_the_document_says_what_happens(runner: Runner) -> None:
    results = [future.result() for future in runner.start(TRIALS)]
    assert DOCUMENT.read_text() == markdown(results)
