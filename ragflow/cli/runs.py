"""Run Dagster jobs in this process, recorded in the instance that the UI shows.

Dagster is imported inside functions: commands that do not need it start without it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ragflow.settings import Settings, dagster_environment

if TYPE_CHECKING:
    from dagster import DagsterInstance, ExecuteInProcessResult

DEFECT, CHECK_SAID_NO = 1, 4
BY, PROCESS = "ragflow/by", "ragflow/process"
"""Tags of a run that this command line executes: who, and in which process."""


@dataclass(frozen=True, slots=True)
class RunOutcome:
    """How a run ended.

    Attributes:
        run_id: to find it in the UI.
        partition: the batch; None for a job without partitions.
        problem: what went wrong, with what to do; None if nothing did.
        exit_code: for the command line.
        work: asset → what it really did, from its metadata.
    """

    run_id: str
    partition: str | None
    problem: str | None
    exit_code: int
    work: dict[str, dict[str, int]] = field(default_factory=dict)


@contextmanager
def open_instance(settings: Settings) -> Iterator[DagsterInstance]:
    """Open the Dagster instance under the home folder (or the one that DAGSTER_HOME names)."""
    environment = dagster_environment(settings)
    environment["DAGSTER_HOME"] = os.environ.get("DAGSTER_HOME") or environment["DAGSTER_HOME"]
    os.environ.update(environment)
    import dagster as dg

    with dg.DagsterInstance.from_config(environment["DAGSTER_HOME"]) as instance:
        _end_killed_runs(instance)
        yield instance


def _end_killed_runs(instance: DagsterInstance) -> None:
    """Mark runs as failed whose command line was killed: they would hold their place in the queue for a day."""
    import dagster as dg

    started = dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED], tags={BY: "command line"})
    for run in instance.get_runs(filters=started):
        if not Path(f"/proc/{run.tags.get(PROCESS)}").exists():
            instance.report_run_failed(
                run, "The process of this run was killed; `ragflow ingest` goes on where it was."
            )


def add_partitions(instance: DagsterInstance, keys: Sequence[str]) -> None:
    """Add the partitions of batches whose manifests are written."""
    from ragflow.model.batches import DOCUMENT_BATCH

    known = set(instance.get_dynamic_partitions(DOCUMENT_BATCH))
    missing = [key for key in keys if key not in known]
    if missing:
        instance.add_dynamic_partitions(DOCUMENT_BATCH, missing)


def run_job(
    instance: DagsterInstance, job: str, *, partition: str | None = None, config: dict[str, Any] | None = None
) -> RunOutcome:
    """Run a job to its end in this process."""
    from ragflow.definitions import defs

    result = defs.resolve_job_def(job).execute_in_process(
        instance=instance,
        partition_key=partition,
        run_config={**(config or {}), "loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        raise_on_error=False,
        tags={BY: "command line", PROCESS: str(os.getpid())},
    )
    problem, exit_code = (None, 0) if result.success else _failure(result)
    return RunOutcome(result.run_id, partition, problem, exit_code, _work(result))


def _failure(result: ExecuteInProcessResult) -> tuple[str, int]:
    """Say why a run failed: refused by a check, by an error of ours, or by a defect."""
    refused = [
        evaluation.description or evaluation.check_name
        for evaluation in result.get_asset_check_evaluations()
        if not evaluation.passed and evaluation.severity.value == "ERROR"
    ]
    for event in result.all_events:
        if not event.is_step_failure:
            continue
        data = event.step_failure_data
        if data.user_failure_data is not None:
            metadata = data.user_failure_data.metadata
            code = metadata.get("exit_code")
            return data.user_failure_data.description or "failed", int(str(code.value)) if code else DEFECT
        if refused:
            break
        return (data.error.message.strip().splitlines()[-1] if data.error else "failed"), DEFECT
    return " ".join(refused) or "The run failed; see the UI.", CHECK_SAID_NO if refused else DEFECT


def _work(result: ExecuteInProcessResult) -> dict[str, dict[str, int]]:
    work: dict[str, dict[str, int]] = {}
    for event in result.get_asset_materialization_events():
        metadata = event.materialization.metadata
        work[event.materialization.asset_key.to_user_string()] = {
            name.removeprefix("done_"): int(str(value.value))
            for name, value in metadata.items()
            if name.startswith("done_")
        }
    return work
