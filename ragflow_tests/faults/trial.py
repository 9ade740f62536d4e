"""Put one fault in, try to publish, and say what came of it."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass

from ragflow_tests.faults.catalogue import FAULTS
from ragflow_tests.faults.fault import Fault, Moment
from ragflow_tests.faults.subject import Outcome, PipelineUnderTest, Situation

log = logging.getLogger(__name__)

CRASHED = "crashed"


@dataclass(frozen=True, slots=True)
class Trial:
    """A fault in one of its situations."""

    fault: Fault
    situation: Situation

    @property
    def name(self) -> str:
        first = f" ({Situation.FIRST})" if self.situation is Situation.FIRST else ""
        return self.fault.name + first


TRIALS = tuple(Trial(fault, situation) for fault in FAULTS for situation in fault.situations)


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a trial.

    Attributes:
        before, after: what was served when the fault was in, and after the attempt to publish.
        answers: whether what is served in the end answers; True if nothing is.
    """

    trial: Trial
    outcome: Outcome
    before: str | None
    after: str | None
    answers: bool
    seconds: float

    @property
    def caught(self) -> tuple[str, ...]:
        """Those of the verdicts that should have caught the fault that did."""
        return tuple(name for name in self.trial.fault.caught_by if name in self.outcome.caught_by)

    @property
    def others(self) -> tuple[str, ...]:
        """What else failed."""
        return tuple(name for name in self.outcome.caught_by if name not in self.trial.fault.caught_by)

    @property
    def problems(self) -> tuple[str, ...]:
        """Everything that is not as it should be; empty if the fault was caught as it should be."""
        return tuple(self._problems())

    def _problems(self) -> Sequence[str]:
        fault, outcome, found = self.trial.fault, self.outcome, []
        missing = [name for name in fault.caught_by if name not in outcome.caught_by]
        if missing:
            found.append(f"not noticed by {', '.join(missing)} (failed: {', '.join(outcome.caught_by) or 'nothing'})")
        if outcome.published:
            found.append("it was published")
        if not outcome.before and fault.moment is Moment.BEFORE and self.caught:
            found.append("it was noticed only when it was live")
        if self.after != self.before and not fault.moves_alias:
            found.append(f"{self.after} is served, where {self.before} was")
        if not self.answers:
            found.append(f"{self.after} does not answer")
        place = fault.place_in(self.trial.situation)
        named = {where for name in self.caught for where in outcome.places.get(name, ())}
        if place is not None and self.caught and not _is_named(place, named):
            found.append(f"{place} is not named, but {sorted(named, key=str)}")
        return found


def _is_named(place: tuple[str, int | None], named: set[tuple[str, int | None]]) -> bool:
    return place in named or (place[1] is None and place[0] in {document for document, _ in named})


def run(subject: PipelineUnderTest, trial: Trial) -> Result:
    """Run one trial on a pipeline that was prepared."""
    started = time.monotonic()
    subject.reset(trial.situation)
    subject.inject(trial.fault)
    before = subject.live()
    try:
        outcome = subject.publish()
    except Exception as error:
        # A crash stops a publication, too, but tells nobody what is wrong: it is no verdict that anyone asks for.
        log.exception("crashed", extra={"fault": trial.name})
        outcome = Outcome(subject.live() != before, (CRASHED,), True, f"{type(error).__name__}: {error}")
    after = subject.live()
    answers = after is None or subject.answers()
    return Result(trial, outcome, before, after, answers, round(time.monotonic() - started, 1))
