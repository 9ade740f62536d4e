"""``ragflow quarantine``: what was kept out, why, what to do about it, and trying again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from ragflow.cli.archive import batch_answers, batch_lines, release_lines, run_and_release, work_of
from ragflow.cli.console import emit, progress
from ragflow.errors import CheckFailedError, IncompleteError, UsageError
from ragflow.model.reading import REASON_REMEDY, REASON_TEXT, Reason
from ragflow.settings import Settings, load_settings

quarantine = typer.Typer(
    name="quarantine",
    help="What was kept out, why, what to do about it, and trying again.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

ReasonOption = Annotated[Reason | None, typer.Option(help="Only what is there for this reason.")]


@quarantine.command("list")
def list_quarantined(reason: ReasonOption = None) -> None:
    """List every document and page in quarantine, with the reason and what to do."""
    from ragflow.pipeline.quarantine import chosen, quarantined

    entries = [entry.row() for entry in chosen(quarantined(load_settings().workspace()), (), reason)]
    emit({"quarantined": entries}, list_text(entries))


def list_text(entries: Sequence[dict[str, Any]]) -> str:
    """Return what is in quarantine for a person, by reason."""
    if not entries:
        return "Nothing is in quarantine."
    lines: list[str] = []
    for reason, count in Counter(Reason(entry["reason"]) for entry in entries).most_common():
        lines += [f"{reason} ({count}): {REASON_TEXT[reason]}", f"  → {REASON_REMEDY[reason]}"]
        for entry in entries:
            if entry["reason"] == reason:
                tries = f", tried {entry['tries']} times" if entry["tries"] > 1 else ""
                lines.append(f"  {_named(entry)}, since {entry['arrived_at'][:10]}{tries}: {_told(entry['detail'])}")
    return "\n".join(lines)


def _named(entry: dict[str, Any]) -> str:
    return repr(entry["document"]) + ("" if entry["page"] is None else f", page {entry['page']}")


def _told(detail: str) -> str:
    """Return an error's words on one line; some come from the document."""
    return " ".join("".join(c if c.isprintable() else " " for c in detail).split())


@quarantine.command()
def retry(
    documents: Annotated[list[str] | None, typer.Argument(help="Keys of documents, as `list` shows them.")] = None,
    reason: ReasonOption = None,
    everything: Annotated[bool, typer.Option("--all", help="Everything that is in quarantine.")] = False,
    no_release: Annotated[bool, typer.Option(help="Stop before the release.")] = False,
) -> None:
    """Try documents and pages again through Dagster, after their cause was removed, and release.

    Exit code 4: nothing of what was asked for came out of quarantine.
    """
    if not documents and reason is None and not everything:
        raise UsageError("Nothing was named to try again.", remedy="Name documents, or a --reason, or give --all.")
    settings = load_settings()
    with progress():
        answer, exit_code = run_retry(settings, documents or [], reason, publish=not no_release)
    emit(answer, retry_text(answer))
    if exit_code:
        raise typer.Exit(exit_code)


def run_retry(
    settings: Settings, documents: Sequence[str], reason: Reason | None = None, *, publish: bool = True
) -> tuple[dict[str, Any], int]:
    """Do what ``ragflow quarantine retry`` does; return its JSON answer and the exit code.

    Raises:
        NotFoundError: a document that is named has nothing in quarantine.
        IncompleteError: there is a release to make, but other batches are not done. The requests stand.
    """
    from ragflow.pipeline.ingest import pending_batches
    from ragflow.pipeline.quarantine import chosen, quarantined, request_retry, retry_outcome

    workspace = settings.workspace()
    request = request_retry(workspace, chosen(quarantined(workspace), documents, reason))
    others = [batch for batch in pending_batches(workspace) if batch not in request.batches] if request.batches else []
    if others and publish:
        raise IncompleteError(
            f"{len(others)} other batches are not done, so nothing could be released: {', '.join(others[:5])}.",
            remedy="Run `ragflow ingest`: it also tries again what was asked for now.",
        )
    publish = publish and bool(request.batches)
    outcomes, release, exit_code = run_and_release(settings, workspace, request.batches, publish=publish)
    outcome = retry_outcome(workspace, request)
    answer = {
        "asked_for": len(request.asked),
        "released": [entry.row() for entry in outcome.released],
        "stayed": [entry.row() for entry in outcome.stayed],
        "pages_left": {key: [entry.row() for entry in left] for key, left in outcome.pages_left.items()},
        "cannot_be_tried": dict(request.hopeless),
        "notes": dict(request.notes),
        "batches": batch_answers(outcomes),
        "work": work_of(outcomes),
        "release": release,
    }
    if not exit_code and request.asked and not outcome.released:
        exit_code = CheckFailedError.exit_code
    return answer, exit_code


def retry_text(answer: dict[str, Any]) -> str:
    """Return the answer of ``quarantine retry`` for a person."""
    if not answer["asked_for"]:
        return "Nothing of this kind is in quarantine."
    lines = [f"Asked for: {answer['asked_for']}, of which {len(answer['released'])} came out of quarantine"]
    for entry in answer["released"]:
        left = len(answer["pages_left"].get(entry["document"], ())) if entry["page"] is None else 0
        lines.append(f"Out:       {_named(entry)}" + (f"; {left} of its pages are in quarantine" if left else ""))
    for entry in answer["stayed"]:
        lines.append(f"Stayed:    {_named(entry)}: {entry['reason']}: {_told(entry['detail'])}")
        lines.append(f"           → {answer['cannot_be_tried'].get(entry['document']) or entry['what_to_do']}")
    for document, note in answer["notes"].items():
        lines.append(f"Note:      {document!r}: {note}")
    return "\n".join([*lines, *batch_lines(answer["batches"]), *release_lines(answer["release"])])
