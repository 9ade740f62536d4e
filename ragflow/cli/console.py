"""Output: one JSON document or text on stdout; progress and logs on stderr."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from ragflow.pipeline.progress import listening

DAGSTER_FIELD = "dagster_meta"
"""What Dagster adds to a record that is logged inside a run."""
PLAIN_FIELDS = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName", DAGSTER_FIELD}


@dataclass(slots=True)
class Options:
    """What the user asked of every command."""

    json: bool = False
    debug: bool = False
    quiet: bool = False


options = Options()
out = Console(soft_wrap=True, highlight=False)
err = Console(stderr=True, soft_wrap=True, highlight=False)


class JsonFormatter(logging.Formatter):
    """One JSON object per line: time, level, logger, message, and whatever was given as ``extra``."""

    def format(self, record: logging.LogRecord) -> str:
        in_run = getattr(record, DAGSTER_FIELD, {})
        fields = {name: value for name, value in record.__dict__.items() if name not in PLAIN_FIELDS}
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": in_run.get("orig_message") or record.getMessage(),
            **fields,
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str, ensure_ascii=False)


def set_up_logs() -> None:
    """Send our own logs to stderr as JSON lines; those of libraries only from warnings on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    handler.addFilter(lambda record: record.name.startswith("ragflow") or record.levelno >= logging.WARNING)
    logging.basicConfig(level=logging.ERROR, handlers=[handler], force=True)
    ours = logging.getLogger("ragflow")
    # On a terminal the progress bar tells what goes on.
    ours.setLevel(logging.DEBUG if options.debug else logging.WARNING if sys.stderr.isatty() else logging.INFO)


def emit(value: Any, text: str) -> None:
    """Print the answer: ``value`` as JSON with ``--json``, else ``text``."""
    if options.json:
        sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=2, default=str) + "\n")
    else:
        out.print(text, markup=False)


@contextmanager
def progress() -> Iterator[None]:
    """Show what the pipeline reports as bars, if stderr is a terminal."""
    if options.quiet or not err.is_terminal:
        yield
        return
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=err,
        transient=True,
    ) as bars:
        tasks: dict[str, Any] = {}

        def show(work: str, done: int, total: int) -> None:
            if work not in tasks:
                tasks[work] = bars.add_task(work, total=total)
            bars.update(tasks[work], completed=done, total=total)
            if done >= total:
                bars.remove_task(tasks.pop(work))

        with listening(show):
            yield
