"""Put every fault in, and print the table: ``python -m ragflow_tests.faults``."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from ragflow_tests.faults.runner import Runner
from ragflow_tests.faults.table import caught_by, markdown, text, when
from ragflow_tests.faults.trial import TRIALS, Result, Trial


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 1 if a fault is not caught as it should be."""
    asked = _parsed(arguments)
    trials = [trial for trial in TRIALS if not asked.words or any(word in trial.name for word in asked.words)]
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="ragflow-faults-", ignore_cleanup_errors=True) as folder:
        results = run_all(Path(folder), trials)
    seconds = time.monotonic() - started
    sys.stdout.write(markdown(results) if asked.markdown else text(results, seconds))
    return int(any(result.problems for result in results))


def run_all(root: Path, trials: Sequence[Trial]) -> list[Result]:
    """Try faults, and tell on stderr how far it is."""
    results = []
    with Runner(root) as runner:
        for number, future in enumerate(runner.start(trials), start=1):
            result = future.result()
            results.append(result)
            mark = "!" if result.problems else " "
            said = f"{caught_by(result)}, {when(result)}"
            sys.stderr.write(f"{mark} {number}/{len(trials)} {result.trial.name}: {said} ({result.seconds:.1f} s)\n")
    return results


def _parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m ragflow_tests.faults", description=__doc__)
    parser.add_argument("words", nargs="*", metavar="WORDS", help="only faults whose name has one of these; none: all")
    parser.add_argument("--markdown", action="store_true", help="print the document instead of the table")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
