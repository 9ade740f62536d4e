"""What a benchmark returns, and how all of it is printed."""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

MEGABYTE = 1_000_000


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table.

    Attributes:
        what: what was measured.
        shown: the figure as a person reads it.
        value: the figure alone; None if it is not one number.
        target: as a person reads it; empty if there is none.
        met: None if there is no target, or if the target does not apply here.
    """

    benchmark: str
    what: str
    shown: str
    value: float | None = None
    target: str = ""
    met: bool | None = None


@dataclass(slots=True)
class Bench:
    """What every benchmark is given.

    Attributes:
        folder: temporary; removed when the benchmark ends.
        quick: shrink every count, to prove that the code runs.
        session: temporary; removed when all benchmarks have ended.
        kept: results that one benchmark leaves for another.
    """

    folder: Path
    quick: bool
    session: Path
    kept: dict[str, Any] = field(default_factory=dict)

    def count(self, full: int, quick: int) -> int:
        return quick if self.quick else full


def say(text: str) -> None:
    """Tell on stderr what goes on."""
    print(f"[{datetime.now():%H:%M:%S}] {text}", file=sys.stderr, flush=True)


def machine() -> dict[str, Any]:
    """Return what the figures depend on besides the code; to be asked before anything is measured."""
    names = [line.partition(":")[2].strip() for line in _cpu_info() if line.startswith("model name")]
    return {
        "cpu": names[0] if names else platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        "date": datetime.now().astimezone().isoformat(timespec="minutes"),
        "load_average": [round(value, 2) for value in os.getloadavg()],
    }


def _cpu_info() -> list[str]:
    try:
        return Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return []


def markdown(about: dict[str, Any], figures: Sequence[Figure], *, quick: bool) -> str:
    """Return the header line and the table."""
    load = ", ".join(f"{value:.2f}" for value in about["load_average"])
    lines = [
        f"{about['cpu']}, {about['cores']} cores, Python {about['python']}, {about['date']}, load at start {load}",
        "",
    ]
    if quick:
        lines += [
            "Quick run, with few documents: it proves that the benchmarks run; the figures mean nothing.",
            "",
        ]
    lines += ["| benchmark | what was measured | figure | target | met |", "|---|---|---|---|---|"]
    for figure in figures:
        met = "" if figure.met is None else "yes" if figure.met else "**no**"
        cells = (figure.benchmark, figure.what, figure.shown, figure.target, met)
        lines.append(f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |")
    return "\n".join(lines) + "\n"


def as_json(about: dict[str, Any], figures: Sequence[Figure], *, quick: bool) -> str:
    rows = [asdict(figure) for figure in figures]
    return json.dumps({**about, "quick": quick, "figures": rows}, ensure_ascii=False, indent=2) + "\n"
