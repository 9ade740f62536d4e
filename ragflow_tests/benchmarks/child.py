"""The process in which one function of a benchmark runs alone.

python -m ragflow_tests.benchmarks.child MODULE:FUNCTION ARGUMENTS.json ANSWER.json
"""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path


def main(target: str, arguments: Path, answer: Path) -> None:
    module, _, name = target.partition(":")
    function = getattr(importlib.import_module(module), name)
    answer.write_text(json.dumps(function(**json.loads(arguments.read_text()))))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
