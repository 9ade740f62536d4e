"""``ragflow models``: the weights of engines that do not bring their own."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from ragflow.cli.console import emit, progress
from ragflow.errors import CheckFailedError, DependencyMissingError, UsageError
from ragflow.ocr.doctr_models import PULL, DoctrModels, Weights, find_models, library_version, problem_of
from ragflow.pipeline.progress import report
from ragflow.settings import Settings, load_settings

ENGINE = "doctr"

models = typer.Typer(
    name="models",
    help="Weights of engines that do not bring their own.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def models_folder(settings: Settings) -> Path:
    """Return the setting ``reading.models``; unless it is set, ``models`` in the home folder."""
    return settings.reading.models or settings.home / "models"


@models.command("pull")
def pull(
    engine: Annotated[str, typer.Argument(help="The engine; there is one that needs weights.")] = ENGINE,
    source: Annotated[
        str | None,
        typer.Option("--from", help="Folder or https address with models.json, or with the files; none: docTR's own."),
    ] = None,
    force: Annotated[bool, typer.Option(help="Fetch even if everything is there.")] = False,
) -> None:
    """Fetch the weights of an engine, once, check them, and record their hashes."""
    if engine != ENGINE:
        raise UsageError(f"No engine {engine!r} needs weights.", remedy=f"Choose from: {ENGINE}.")
    folder = models_folder(load_settings())
    library_version()
    from ragflow.ocr.doctr_pull import pull as fetch

    with progress():
        found, fetched = fetch(folder, source, force=force, progress=report)
    lines = [f"{'Fetched to' if fetched else 'Already in'} {found.folder}:"]
    lines += [f"  {part:<11} {_told(weights)}" for part, weights in _parts(found)]
    emit({"folder": str(found.folder), "fetched": fetched, **_answer(found)}, "\n".join(lines))


@models.command("list")
def list_models() -> None:
    """Show the weights that are there, and whether they are what was fetched."""
    folder = models_folder(load_settings())
    answer: dict[str, Any] = {"models": str(folder), "library": None, "weights": None, "problems": []}
    lines = [f"Models folder {folder}"]
    try:
        answer["library"] = library_version()
        lines.append(f"docTR {answer['library']}")
    except DependencyMissingError as error:
        lines.append(f"docTR is not installed. {error.remedy}")
    try:
        found = find_models(folder)
    except DependencyMissingError as error:
        emit(answer, "\n".join([*lines, f"No weights that can be used: {error.message} Run: {PULL}"]))
        return
    answer["weights"] = _answer(found)
    for part, weights in _parts(found):
        problem = problem_of(found.folder, weights)
        answer["problems"] += [problem] if problem else []
        lines.append(f"  {part:<11} {_told(weights)}{f'  BROKEN: {problem}' if problem else ''}")
    emit(answer, "\n".join(lines))
    if answer["problems"]:
        raise typer.Exit(CheckFailedError.exit_code)


def _parts(found: DoctrModels) -> list[tuple[str, Weights]]:
    return [("detection", found.detection), ("recognition", found.recognition)]


def _told(weights: Weights) -> str:
    return f"{weights.architecture:<24} {weights.size / 1e6:6.1f} MB  {weights.sha256[:16]}…  from {weights.source}"


def _answer(found: DoctrModels) -> dict[str, Any]:
    return {**{part: asdict(weights) for part, weights in _parts(found)}, "vocab": found.vocab}
