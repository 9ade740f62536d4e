"""The command that has badly read pages read again, with every engine."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

import typer

from ragflow.cli.archive import batch_answers, batch_lines, release_lines, run_and_release, work_of
from ragflow.cli.console import emit, progress
from ragflow.errors import IncompleteError
from ragflow.settings import Settings, load_settings

SHOWN = 10
"""Pages listed for a person; the JSON answer lists all."""


def reocr(
    below: Annotated[float, typer.Option(help="Read pages again whose mean or weakest block is less sure.")] = 0.8,
    limit: Annotated[int | None, typer.Option(help="At most so many pages, the worst first; none: all.")] = None,
    no_release: Annotated[bool, typer.Option(help="Stop before the release.")] = False,
) -> None:
    """Read badly read pages again with every engine, through Dagster, and release; better words stay as they are."""
    settings = load_settings()
    with progress():
        answer, exit_code = run_reocr(settings, below, limit=limit, publish=not no_release)
    emit(answer, reocr_text(answer))
    if exit_code:
        raise typer.Exit(exit_code)


def run_reocr(
    settings: Settings, below: float, *, limit: int | None = None, publish: bool = True
) -> tuple[dict[str, Any], int]:
    """Do what ``ragflow reocr`` does; return its JSON answer and the exit code.

    Raises:
        IncompleteError: there is a release to make, but other batches are not done. The requests stand.
    """
    from ragflow.pipeline.ingest import pending_batches
    from ragflow.pipeline.rereading import request_rereads, reread_outcome

    workspace = settings.workspace()
    request = request_rereads(workspace, below, limit=limit)
    others = [batch for batch in pending_batches(workspace) if batch not in request.batches]
    if others and publish:
        raise IncompleteError(
            f"{len(others)} other batches are not done, so nothing could be released: {', '.join(others[:5])}.",
            remedy=f"Run `ragflow ingest`: it also reads the {len(request.pages)} pages again that were asked for now.",
        )
    outcomes, release, exit_code = run_and_release(settings, workspace, request.batches, publish=publish)
    outcome = asdict(reread_outcome(workspace, request))
    answer = {
        "below": below,
        **outcome,
        "asked_for": [page.row() for page in request.pages],
        "batches": batch_answers(outcomes),
        "work": work_of(outcomes),
        "release": release,
    }
    return answer, exit_code


def reocr_text(answer: dict[str, Any]) -> str:
    """Return the answer of ``reocr`` for a person."""
    if not answer["pages"]:
        lines = [f"Pages:     none was read by OCR with a confidence below {answer['below']:g}, or without a result"]
        return "\n".join([*lines, *release_lines(answer["release"])])
    before, after = (
        "none" if answer[name] is None else f"{answer[name]:.3f}" for name in ("confidence_before", "confidence_after")
    )
    lines = [
        f"Pages:     {answer['read']} of {answer['pages']} read again: {answer['improved']} improved,"
        f" {answer['unchanged']} unchanged",
        f"           mean confidence {before} before, {after} after",
        *(f"           {page['document']!r}, page {page['page']}" for page in answer["asked_for"][:SHOWN]),
    ]
    if answer["pages"] > SHOWN:
        lines.append(f"           and {answer['pages'] - SHOWN} more")
    return "\n".join([*lines, *batch_lines(answer["batches"]), *release_lines(answer["release"])])
