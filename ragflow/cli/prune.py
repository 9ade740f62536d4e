"""The command that removes what no kept release needs."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

import typer

from ragflow.cli.console import emit, progress
from ragflow.settings import load_settings

UNITS = ("bytes", "kB", "MB", "GB", "TB")


def prune(
    versions: Annotated[int, typer.Option(help="Keep so many of the versions that were promoted, the newest.")] = 3,
    rejected_days: Annotated[int, typer.Option(help="Keep candidates that did not go live for so many days.")] = 14,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would go, and change nothing.")] = False,
) -> None:
    """Remove what no kept release needs: old versions, their tables and documents, and what killed runs left."""
    from ragflow.pipeline.pruning import PruneOptions
    from ragflow.pipeline.pruning import prune as remove

    with progress():
        report = remove(load_settings().workspace(), PruneOptions(versions, rejected_days, dry_run))
    answer = {
        "dry_run": report.dry_run,
        "bytes": report.size,
        "kinds": {kind: {"count": count, "bytes": size} for kind, (count, size) in report.by_kind.items()},
        "freed": [asdict(thing) for thing in report.freed],
        "kept": [asdict(thing) for thing in report.kept],
    }
    emit(answer, prune_text(answer))


def prune_text(answer: dict[str, Any]) -> str:
    """Return the answer of ``prune`` for a person."""
    lines = [f"Kept:      {thing['kind']} {thing['name']}: {thing['why']}" for thing in answer["kept"]]
    word = "Would go: " if answer["dry_run"] else "Removed:  "
    for kind, figures in answer["kinds"].items():
        lines.append(f"{word} {figures['count']} x {kind}, {size_text(figures['bytes'])}")
    if not answer["kinds"]:
        return "\n".join([*lines, "Nothing is there that no kept release needs."])
    return "\n".join([*lines, f"Together:  {size_text(answer['bytes'])}"])


def size_text(size: float) -> str:
    """Return a number of bytes for a person."""
    for unit in UNITS:
        if size < 1000 or unit == UNITS[-1]:
            return f"{size:.0f} {unit}" if unit == UNITS[0] else f"{size:.1f} {unit}"
        size /= 1000
    raise AssertionError("the last unit takes all")
