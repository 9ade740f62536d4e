"""Reports and verdicts as Dagster shows them."""

from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg

from ragflow.model.verdicts import Outcome, Verdict
from ragflow.pipeline.release import without_quotations
from ragflow.pipeline.stages import StageReport
from ragflow.pipeline.workspace import Workspace

Metadata = dict[str, dg.MetadataValue[Any]]
TABLE_ROWS = 20
"""Rows of a table shown in the UI; the verdict itself keeps more."""


def stage_result(
    workspace: Workspace, report: StageReport, rows_of: str, more: Metadata | None = None
) -> dg.MaterializeResult[Any]:
    """Return what a stage reports to Dagster.

    Args:
        rows_of: the table whose rows are the asset's rows.
        more: metadata that do not stand in the record.
    """
    record = report.record
    folder = workspace.home.tables.folder(record.asset, record.batch)
    figures: Metadata = {}
    for name, value in record.figures.items():
        if isinstance(value, dict):
            if value:
                figures[name] = dg.MetadataValue.md(bars(value) if name.endswith("histogram") else table(value))
        elif value is not None:
            figures[name] = _value(value)
    return dg.MaterializeResult(
        data_version=dg.DataVersion(record.output_sha256[:16]),
        metadata={
            "dagster/row_count": record.files[rows_of].rows,
            "dagster/uri": folder.as_uri(),
            **figures,
            **(more or {}),
            **{f"done_{name}": count for name, count in report.work.items()},
            # After the figures, whose names are the stage's own.
            "reused": report.reused,
            "fingerprint": record.fingerprint,
            "table_bytes": sum(file.size for file in record.files.values()),
            "tables": dg.MetadataValue.path(str(folder)),
            "manifest": dg.MetadataValue.path(str(workspace.home.manifests.root / f"{record.batch}.json")),
        },
    )


def _value(value: Any) -> dg.MetadataValue[Any]:
    if isinstance(value, bool):
        return dg.MetadataValue.bool(value)
    if isinstance(value, int):
        return dg.MetadataValue.int(value)
    if isinstance(value, float):
        return dg.MetadataValue.float(value)
    return dg.MetadataValue.text(str(value))


def table(counts: Mapping[str, Any]) -> str:
    """Return a markdown table of names and counts."""
    lines = [f"| {_cell(name)} | {_cell(count)} |" for name, count in counts.items()]
    return "\n".join(["| | |", "|---|---|", *lines])


def bars(counts: Mapping[str, int]) -> str:
    """Return a histogram as a markdown table with bars."""
    most = max(counts.values(), default=0) or 1
    lines = [f"| {name} | {'█' * round(20 * count / most)} {count} |" for name, count in counts.items()]
    return "\n".join(["| from | pages |", "|---|---|", *lines])


def rows_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return flat objects as a markdown table."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    lines = [f"| {' | '.join(columns)} |", f"|{'---|' * len(columns)}"]
    for row in rows[:TABLE_ROWS]:
        lines.append(f"| {' | '.join(_cell(row.get(name, '')) for name in columns)} |")
    return "\n".join(lines)


def _cell(value: Any) -> str:
    """Return a value as text that cannot break out of its cell: it may be a name from outside."""
    return " ".join(str(value).replace("|", "\\|").split())


def verdict_metadata(verdict: Verdict) -> Metadata:
    """Return a verdict's figures and its table; its summary is the check result's description.

    Documents are not quoted: Dagster keeps its events, also those about a document that is to be forgotten.
    """
    (verdict,) = without_quotations([verdict])
    metadata: Metadata = {}
    if verdict.figure is not None:
        metadata["figure"] = _value(verdict.figure)
    if verdict.threshold is not None:
        metadata["threshold"] = _value(verdict.threshold)
    if verdict.remedy and not verdict.passed:
        metadata["what_to_do"] = dg.MetadataValue.text(verdict.remedy)
    if verdict.rows:
        metadata["rows"] = dg.MetadataValue.md(rows_table(verdict.rows))
    return metadata


def check_result(verdict: Verdict, asset: str, *, blocking: bool) -> dg.AssetCheckResult:
    """Return a verdict as an asset check's result; one that does not block is shown as a warning."""
    severity = dg.AssetCheckSeverity.ERROR if blocking else dg.AssetCheckSeverity.WARN
    if verdict.outcome is Outcome.WARN:
        severity = dg.AssetCheckSeverity.WARN
    return dg.AssetCheckResult(
        asset_key=asset,
        check_name=verdict.name,
        passed=verdict.outcome is Outcome.PASS,
        severity=severity,
        description=verdict.summary,
        metadata=verdict_metadata(verdict),
    )
