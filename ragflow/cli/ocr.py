"""``ragflow ocr``: documents into text files, without an archive."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from ragflow.cli.console import emit, progress
from ragflow.cli.models import models_folder
from ragflow.errors import BadInputError, UsageError
from ragflow.settings import load_settings

MOST_ROWS = 40
"""Rows of the table for a person; beyond, only files with a problem are listed."""
NAME_WIDTH = 48


def ocr(
    paths: Annotated[list[Path], typer.Argument(help="PDFs, images, or folders of them.")],
    out: Annotated[Path, typer.Option(help="Folder for the outputs; made if it is not there.")],
    engines: Annotated[
        str | None, typer.Option(help="Engines in order, parted by commas; none: the settings'.")
    ] = None,
    languages: Annotated[
        str | None, typer.Option(help="Tesseract's language codes, parted by commas; none: the settings'.")
    ] = None,
    force: Annotated[bool, typer.Option(help="Read everything, and replace outputs that are in the way.")] = False,
) -> None:
    """Read documents into text files: OUT/<name>.txt, and .json with words, boxes, confidences and engines.

    Files of a folder keep their sub-folders. Documents that would share a name keep their suffix (a.pdf.txt). Outputs
    made from the same bytes with the same settings are kept; others in the way are an error without --force. Exit
    code 3 if a document or a page could not be read; the others are written all the same.
    """
    from ragflow.pipeline.single_files import read_files

    settings = load_settings()
    workspace = settings.workspace()
    usual = workspace.reading
    reading = replace(
        usual,
        engines=_names(engines, "engines") or usual.engines,
        languages=_names(languages, "languages") or usual.languages,
        models=models_folder(settings),
    )
    begin = time.monotonic()
    with progress():
        report = read_files(replace(workspace, reading=reading), paths, out, force=force)
    answer = _answer(report, out, round(time.monotonic() - begin, 2))
    emit(answer, ocr_text(answer))
    if not all(file.complete for file in report.files):
        raise typer.Exit(BadInputError.exit_code)


def _names(given: str | None, what: str) -> tuple[str, ...]:
    if given is None:
        return ()
    names = tuple(name.strip() for name in given.split(",") if name.strip())
    if not names:
        raise UsageError(f"--{what} names nothing.", remedy="Part several by commas, as in a,b.")
    return names


def _answer(report: Any, out: Path, seconds: float) -> dict[str, Any]:
    pages: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    for file in report.files:
        pages.update(file.pages)
        reasons.update(file.reasons)
    return {
        "out": str(out),
        "documents": {
            "total": len(report.files),
            "written": sum(file.text is not None and not file.kept for file in report.files),
            "kept": sum(file.kept for file in report.files),
            "unreadable": sum(file.problem is not None for file in report.files),
        },
        "pages": {
            "total": pages.total(),
            **{status: pages[status] for status in ("indexed", "blank", "quarantined")},
            "reasons": dict(reasons),
        },
        "engine_runs": report.engine_runs,
        "ignored": report.ignored,
        "seconds": seconds,
        "files": [
            {
                "path": file.path,
                "sha256": file.sha256,
                "text": str(file.text) if file.text else None,
                "json": str(file.json) if file.json else None,
                "kept": file.kept,
                "problem": {"reason": file.problem[0], "detail": file.problem[1]} if file.problem else None,
                "pages": {"total": sum(file.pages.values()), **file.pages},
                "reasons": file.reasons,
                "engines": file.engines,
                "words": file.words,
                "confidence": file.confidence,
            }
            for file in report.files
        ],
    }


def ocr_text(answer: dict[str, Any]) -> str:
    """Return the answer for a person: a table, and what needs attention."""
    files = answer["files"]
    shown = files if len(files) <= MOST_ROWS else [file for file in files if _trouble(file)]
    lines = []
    if shown:
        lines.append(f"{'document':<{NAME_WIDTH}} {'pages':>6} {'blank':>6} {'quar.':>6} {'words':>8} {'conf.':>6}")
    for file in shown:
        name = Path(file["path"]).name
        name = name if len(name) <= NAME_WIDTH else f"…{name[1 - NAME_WIDTH :]}"
        if file["problem"]:
            lines.append(f"{name:<{NAME_WIDTH}} {file['problem']['reason']}: {file['problem']['detail']}")
            continue
        pages = file["pages"]
        confidence = "-" if file["confidence"] is None else f"{file['confidence']:.3f}"
        trouble = "".join(f"  {reason} {count}" for reason, count in file["reasons"].items())
        lines.append(
            f"{name:<{NAME_WIDTH}} {pages['total']:>6} {pages.get('blank', 0):>6} {pages.get('quarantined', 0):>6}"
            f" {file['words']:>8} {confidence:>6}{trouble}{'  kept' if file['kept'] else ''}"
        )
    documents, pages = answer["documents"], answer["pages"]
    lines.append(
        f"{documents['total']} documents: {documents['written']} written to {answer['out']}, {documents['kept']} kept,"
        f" {documents['unreadable']} unreadable"
    )
    lines.append(
        f"{pages['total']} pages: {pages['indexed']} with text, {pages['blank']} blank,"
        f" {pages['quarantined']} could not be read"
    )
    if answer["ignored"]:
        lines.append("Passed over: " + ", ".join(f"{count} {kind}" for kind, count in answer["ignored"].items()))
    return "\n".join(lines)


def _trouble(file: dict[str, Any]) -> bool:
    return bool(file["problem"] or file["reasons"])
