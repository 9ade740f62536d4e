"""The command that builds the collection anew after a change of model, chunk length or collection settings."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

import typer

from ragflow.cli.archive import batch_answers, batch_lines, release_lines, run_and_release, work_of
from ragflow.cli.console import emit, progress
from ragflow.settings import Settings, load_settings

MEBI = 1024 * 1024


def reindex(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would change, and what it costs.")] = False,
) -> None:
    """Build a version with the settings as they are now; the old one serves until the new one has passed the gate."""
    settings = load_settings()
    with progress():
        answer, exit_code = run_reindex(settings, dry_run=dry_run)
    emit(answer, reindex_text(answer))
    if exit_code:
        raise typer.Exit(exit_code)


def run_reindex(settings: Settings, *, dry_run: bool) -> tuple[dict[str, Any], int]:
    """Do what ``ragflow reindex`` does; return its JSON answer and the exit code."""
    from ragflow.pipeline.ingest import pending_batches
    from ragflow.pipeline.reindexing import compare, plan_reindex
    from ragflow.pipeline.release import live_version

    workspace = settings.workspace()
    plan = plan_reindex(workspace)
    answer: dict[str, Any] = {"plan": {**asdict(plan), "is_needed": plan.is_needed}, "dry_run": dry_run}
    if dry_run or not plan.is_needed:
        return answer, 0
    outcomes, release, exit_code = run_and_release(settings, workspace, pending_batches(workspace), publish=True)
    answer |= {"batches": batch_answers(outcomes), "work": work_of(outcomes), "release": release}
    live = live_version(workspace)
    if live is not None and live != plan.live:
        before, after = compare(workspace, plan.live, live)
        answer["before"], answer["after"] = asdict(before), asdict(after)
    return answer, exit_code


def reindex_text(answer: dict[str, Any]) -> str:
    """Return the answer of ``reindex`` for a person."""
    plan = answer["plan"]
    if not plan["is_needed"]:
        return f"Nothing to do: {plan['live']} was built with the settings as they are."
    lines = [f"Live:      {plan['live']}"]
    lines += [f"Change:    {name}: {_short(old)} → {_short(new)}" for name, (old, new) in plan["changes"].items()]
    lines += [f"Stale:     {stage} of {count} batches" for stage, count in plan["stale"].items()]
    lines += [
        f"Cost:      at most {plan['pages_to_read']} of {plan['pages']} pages read again, about {plan['embeddings']}"
        f" texts embedded in {plan['seconds']:.0f} s",
        f"Effect:    about {plan['points']} points, {plan['size_after'] / MEBI:.1f} MiB beside the"
        f" {plan['size_bytes'] / MEBI:.1f} MiB of the live version",
    ]
    if answer["dry_run"]:
        return "\n".join([*lines, "Nothing was done (--dry-run)."])
    lines += [*batch_lines(answer["batches"]), *release_lines(answer["release"])]
    for name in ("before", "after"):
        if name in answer:
            lines.append(_version_line(name, answer[name]))
    return "\n".join(lines)


def _version_line(name: str, figures: dict[str, Any]) -> str:
    quality = (
        f"nDCG@10 {figures['ndcg']:.3f}, recall@10 {figures['recall']:.3f}, p95 {figures['latency_ms']:.1f} ms"
        if figures["ndcg"] is not None
        else "no questions"
    )
    return (
        f"{name.capitalize() + ':':<10} {figures['version']}: {figures['points']} points,"
        f" {figures['size_bytes'] / MEBI:.1f} MiB, {quality} ({figures['model']})"
    )


def _short(value: Any) -> str:
    return f"{value[:12]}…" if isinstance(value, str) and len(value) > 40 else str(value)
