"""Commands that keep the archive safe: backup and restore."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ragflow.cli.archive import verdict_text
from ragflow.cli.console import emit, progress
from ragflow.errors import CheckFailedError, UsageError
from ragflow.settings import load_settings

if TYPE_CHECKING:
    from ragflow.pipeline.backing_up import BackupEntry, BackupReport
    from ragflow.pipeline.restoring import RestoreReport


def backup(
    target: Annotated[str, typer.Argument(help="A folder, or a bucket: s3://bucket/folder.")],
    version: Annotated[str | None, typer.Option(help="None: the live one.")] = None,
    no_documents: Annotated[bool, typer.Option(help="Leave the documents themselves out.")] = False,
    keep: Annotated[int | None, typer.Option(help="Then keep so many good backups, the newest.")] = None,
    keep_days: Annotated[float | None, typer.Option(help="Then keep good backups younger than this.")] = None,
    name: Annotated[str | None, typer.Option(help="Of the backup; none: time and version.")] = None,
    list_: Annotated[bool, typer.Option("--list", help="Make none; list the backups that there are.")] = False,
) -> None:
    """Back a version up with all that it stands on, and prove it: it is restored elsewhere and compared."""
    from ragflow.model.backups import Retention
    from ragflow.pipeline.backing_up import back_up, list_backups

    if list_:
        if version or no_documents or keep is not None or keep_days is not None or name:
            raise UsageError("--list takes no other options.", remedy="`ragflow backup --list TARGET`")
        entries = list_backups(target)
        emit([asdict(entry) for entry in entries], list_text(entries))
        return
    retention = Retention(keep, keep_days) if keep is not None or keep_days is not None else None
    with progress():
        report = back_up(
            load_settings().workspace(),
            target,
            version=version,
            documents=not no_documents,
            name=name,
            retention=retention,
        )
    emit(asdict(report), backup_text(report))


def restore(
    source: Annotated[str, typer.Argument(help="Where the backups are: a folder, or a bucket.")],
    name: Annotated[str | None, typer.Option(help="Of the backup; none: the newest good one.")] = None,
    home: Annotated[Path | None, typer.Option(help="The home to restore; none: RAGFLOW_HOME.")] = None,
) -> None:
    """Put back what is missing or damaged, and the version; it goes live if nothing else is and the gate allows."""
    from ragflow.pipeline.restoring import restore as put_back

    if home is not None:
        # For this process: the settings of the home are read before and after they have been put back.
        os.environ["RAGFLOW_HOME"] = str(home.expanduser().absolute())
    with progress():
        report = put_back(load_settings().workspace(), source, name=name, settled=lambda: load_settings().workspace())
    emit({**asdict(report), "passed": report.passed}, restore_text(report))
    if not report.passed:
        raise typer.Exit(CheckFailedError.exit_code)


def backup_text(report: BackupReport) -> str:
    """Return what a backup cost for a person."""
    lines = [
        f"Backup:    {report.name} of {report.version}, {report.points} points",
        f"Size:      {report.files} files, {report.size} bytes",
        f"Written:   {report.bytes_written} bytes in {report.objects_written} objects;"
        f" {report.objects_reused} were there already",
        f"Proven:    in {report.seconds} s altogether",
        verdict_text(report.verdicts),
    ]
    if report.removed:
        lines.append(f"Removed:   {', '.join(report.removed)}")
    if report.holding_forgotten:
        lines.append(f"Forgotten: documents that are forgotten here are still in {', '.join(report.holding_forgotten)}")
    if report.swept is not None:
        lines.append(f"Swept:     {report.swept.objects} objects, {report.swept.size} bytes")
    return "\n".join(lines)


def list_text(entries: Sequence[BackupEntry]) -> str:
    """Return the list of backups for a person."""
    lines = []
    for entry in entries:
        if not entry.version:
            lines.append(f"{entry.name}  {entry.state}")
        else:
            documents = "" if entry.documents else "  without documents"
            lines.append(
                f"{entry.name}  {entry.version}  {entry.points} points  {entry.size} bytes  {entry.state}"
                f"  {entry.engine} {entry.engine_version}{documents}"
            )
        lines += [f"    {problem}" for problem in entry.problems]
    return "\n".join(lines)


def restore_text(report: RestoreReport) -> str:
    """Return what a restore did for a person."""
    came = "was there" if report.loaded_from == "kept" else f"loaded from its {report.loaded_from}"
    lines = [
        f"Backup:    {report.name}",
        f"Files:     {report.put} put back, {report.replaced} replaced, {report.intact} intact",
        *(f"           left as it is: {path}" for path in report.left),
        f"Version:   {report.version}, {report.points} points, {came}: {report.decision}",
        f"Live:      {report.live or 'nothing'}",
    ]
    if report.decision == "candidate":
        lines.append(f"           {report.version} would pass the gate: `ragflow promote {report.version}`")
    if report.verdicts:
        lines.append(verdict_text(report.verdicts))
    return "\n".join(lines)
