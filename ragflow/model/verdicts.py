"""Verdicts: what a check says, with its figure, its threshold and what to do."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Outcome(StrEnum):
    """How a check ended."""

    PASS = "pass"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The result of one check.

    Attributes:
        name: snake case, the name of the asset check that shows it.
        outcome: pass, warn or fail.
        summary: one sentence for a person.
        figure: what was measured; None where the check is not about a number.
        threshold: what ``figure`` was held against.
        remedy: what to do if the check did not pass.
        rows: a small table (list of flat objects): offenders, or figures by kind.
    """

    name: str
    outcome: Outcome
    summary: str
    figure: float | int | None = None
    threshold: float | int | None = None
    remedy: str = ""
    rows: tuple[dict[str, Any], ...] = field(default=())

    @property
    def passed(self) -> bool:
        return self.outcome is not Outcome.FAIL


MAX_ROWS = 50
"""Rows kept in a verdict's table: enough to act on, small enough for a record."""


def verdict(
    name: str,
    failures: Iterable[dict[str, Any]],
    *,
    passed: str,
    failed: str,
    remedy: str = "",
    figure: float | int | None = None,
    threshold: float | int | None = None,
) -> Verdict:
    """Make a verdict that passes if there are no failures.

    Args:
        failures: one flat object per offender; all are counted, the first :data:`MAX_ROWS` are kept.
        passed, failed: the summary in either case; ``{count}`` in ``failed`` is the number of offenders.
    """
    offenders = list(failures)
    if not offenders:
        return Verdict(name, Outcome.PASS, passed, figure=figure, threshold=threshold)
    return Verdict(
        name,
        Outcome.FAIL,
        failed.format(count=len(offenders)),
        figure=len(offenders) if figure is None else figure,
        threshold=0 if threshold is None else threshold,
        remedy=remedy,
        rows=tuple(offenders[:MAX_ROWS]),
    )
