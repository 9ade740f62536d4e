"""The command that forgets documents and proves that they are gone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ragflow.cli.archive import release_lines
from ragflow.cli.console import emit, err, options, progress
from ragflow.errors import CheckFailedError
from ragflow.settings import Settings, load_settings

if TYPE_CHECKING:
    from ragflow.pipeline.forgetting import ForgetReport


def forget(
    documents: Annotated[list[str], typer.Argument(help="Keys of documents, as `ragflow search` shows them.")],
    reason: Annotated[str, typer.Option(help="Why; it stays on record.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would go, and change nothing.")] = False,
    proof: Annotated[Path | None, typer.Option(help="Write the proof of absence to this file.")] = None,
    backup: Annotated[list[Path] | None, typer.Option(help="A folder that the proof lists as a backup.")] = None,
) -> None:
    """Remove all that was made of documents, under every name they have, and prove that nothing is left.

    Exit code 4: something of them was found, or they are still served.
    """
    settings = load_settings()
    with progress():
        answer, problem = run_forget(settings, documents, reason, dry_run=dry_run, proof=proof, backups=backup or [])
    emit(answer, forget_text(answer))
    if problem is not None:
        if not options.json:
            err.print(f"{problem.message} {problem.remedy}", style="red", markup=False)
        raise typer.Exit(problem.exit_code)


def run_forget(
    settings: Settings,
    documents: Sequence[str],
    reason: str = "",
    *,
    dry_run: bool = False,
    proof: Path | None = None,
    backups: Sequence[Path] = (),
) -> tuple[dict[str, Any], CheckFailedError | None]:
    """Do what ``ragflow forget`` does; return its JSON answer, and what is wrong if the documents are not gone.

    Raises:
        NotFoundError: there never was such a document.
    """
    from ragflow.pipeline.forgetting import check_absent
    from ragflow.pipeline.forgetting import forget as remove

    report = remove(settings.workspace(), documents, reason=reason, dry_run=dry_run, proof=proof, backups=backups)
    try:
        check_absent(report)
    except CheckFailedError as error:
        return _answer(report, proof), error
    return _answer(report, proof), None


def _answer(report: ForgetReport, proof: Path | None) -> dict[str, Any]:
    released = report.release
    return {
        "dry_run": report.dry_run,
        "absent": report.absent,
        "contents": [asdict(content) for content in report.contents],
        "in_sources": list(report.in_sources),
        "batches": list(report.batches),
        "work": dict(report.work),
        "release": released and {"version": released.version, "decision": released.decision, "live": released.live},
        "discarded": list(report.discarded),
        "bytes": report.freed,
        "proof_file": str(proof) if proof is not None and report.proof is not None else None,
        "proof": report.proof,
    }


def forget_text(answer: dict[str, Any]) -> str:
    """Return the answer of ``forget`` for a person."""
    word = "Would forget" if answer["dry_run"] else "Forgotten"
    lines = []
    for content in answer["contents"]:
        lines.append(f"{word}: {content['sha256'][:16]}…, {content['size']} bytes, known as")
        for key in content["documents"]:
            lines.append(f"           {key!r}" + ("" if key in content["there_now"] else " (not there any more)"))
    lines += [f"In source: {path}: scans leave it out; delete it yourself" for path in answer["in_sources"]]
    lines.append(f"Batches:   {', '.join(answer['batches'])}: read again without it")
    if answer["discarded"]:
        verb = "would be removed" if answer["dry_run"] else "removed"
        lines.append(f"Versions:  {', '.join(answer['discarded'])} {verb}")
    if answer["release"]:
        lines += release_lines(answer["release"])
    if answer["proof"]:
        lines += _proof_lines(answer["proof"], answer["proof_file"])
    return "\n".join(lines)


def _proof_lines(proof: dict[str, Any], file: str | None) -> list[str]:
    lines = [f"Found:     {found['place']}: {found['what']}" for found in proof["found"]]
    if proof["absent"]:
        files = next(place["looked_at"] for place in proof["places"] if place["place"] == "home folder")
        lines.append(f"Found:     nothing, in {files} files and every point of every version")
    shared = len({found["place"] for found in proof["shared_with_documents_that_stay"]})
    if shared:
        lines.append(f"Shared:    {shared} places have text of it that other documents, which stay, have as well")
    lines += [f"Elsewhere: {held['place']}: {held['what']}" for held in proof["held_elsewhere"]]
    return [*lines, f"Proof:     {file or 'not written (--proof FILE)'}, seal {proof['seal'][:16]}…"]
