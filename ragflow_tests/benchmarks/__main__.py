"""Run benchmarks and print the table."""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from ragflow_tests.benchmarks import (
    bulk,
    embedding,
    load,
    memory,
    ocr,
    reading,
    retrieval,
    scale,
    search,
    text_layer,
    unchanged,
    verify,
)
from ragflow_tests.benchmarks.report import Bench, Figure, as_json, machine, markdown, say

BENCHMARKS: dict[str, Callable[[Bench], Iterator[Figure]]] = {
    module.NAME: module.run
    for module in (reading, ocr, text_layer, embedding, unchanged, verify, bulk, search, retrieval, load, scale, memory)
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 1 if a benchmark could not be run; a missed target is no failure."""
    asked = _parsed(arguments)
    about = machine()
    figures: list[Figure] = []
    failed = False
    with tempfile.TemporaryDirectory(prefix="ragflow-bench-", ignore_cleanup_errors=True) as session:
        kept: dict[str, object] = {}
        for name in dict.fromkeys(asked.names or BENCHMARKS):
            started = time.monotonic()
            folder = Path(session, name)
            folder.mkdir()
            common = Path(session, "common")
            common.mkdir(exist_ok=True)
            try:
                found = list(BENCHMARKS[name](Bench(folder, asked.quick, common, kept)))
                # A few documents cannot meet or miss a target.
                figures += [replace(figure, met=None) for figure in found] if asked.quick else found
            except Exception as error:
                traceback.print_exc()
                last = str(error).strip().splitlines()[-1:] or [""]
                figures.append(Figure(name, "could not be run", f"{type(error).__name__}: {last[0]}", met=False))
                failed = True
            shutil.rmtree(folder, ignore_errors=True)
            say(f"{name}: done in {time.monotonic() - started:.0f} s")
    table = markdown(about, figures, quick=asked.quick)
    if asked.out:
        asked.out.write_text(table)
    if asked.json:
        asked.json.write_text(as_json(about, figures, quick=asked.quick))
    print(table)
    return int(failed)


def _parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m ragflow_tests.benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHMARKS)}; none: all")
    parser.add_argument("--quick", action="store_true", help="a few documents only: prove that the benchmarks run")
    parser.add_argument("--out", type=Path, metavar="FILE", help="also write the table here")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures here, as JSON")
    asked = parser.parse_args(arguments)
    unknown = [name for name in asked.names if name not in BENCHMARKS]
    if unknown:
        parser.error(f"there is no benchmark {unknown[0]}; choose from {', '.join(BENCHMARKS)}")
    return asked


if __name__ == "__main__":
    sys.exit(main())
