"""Sensors: one makes batches and asks for one run each, one asks for runs of the batches of which something is to be
read again or built anew, one asks for a release when every batch is done."""

import dagster as dg

from ragflow.defs.failures import translated
from ragflow.defs.jobs import INGEST_BATCH, RELEASE
from ragflow.defs.partitions import document_batches
from ragflow.defs.resources import ArchiveResource
from ragflow.model.batches import DOCUMENT_BATCH, fold
from ragflow.pipeline.desired import corpus_fingerprint
from ragflow.pipeline.ingest import pending_batches
from ragflow.pipeline.reindexing import batches_to_reindex
from ragflow.pipeline.release import is_decided
from ragflow.pipeline.rereading import batches_to_reread
from ragflow.pipeline.scanning import ScanLimits, scan, sources_for
from ragflow.settings import load_settings

IN_FLIGHT = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


FAILED = [dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]

PARTITION_TAG = "dagster/partition"

CORPUS_TAG = "ragflow/corpus"
"""On the runs that the release sensor asks for: which state of the archive they are to publish."""

REREADS_TAG = "ragflow/rereads"
"""On the runs that the reread sensor asks for: which requests they are to heed."""

MAX_ATTEMPTS = 3
"""Runs for one state of the archive that fail (a release: end without a decision), before a person is needed."""


def _going_on(instance: dg.DagsterInstance) -> str | None:
    """Return which run keeps a release from starting, for a person; None if none does."""
    for job in (INGEST_BATCH, RELEASE):
        for run in instance.get_runs(filters=dg.RunsFilter(job_name=job, statuses=IN_FLIGHT), limit=1):
            return f"Run {run.run_id[:8]} of {job} is still going on. If its process was killed, terminate it here."
    return None


def inbox_sensor() -> dg.SensorDefinition:
    """Return the sensor that scans the configured sources."""

    @dg.sensor(
        name="inbox_sensor",
        job_name=INGEST_BATCH,
        minimum_interval_seconds=load_settings().sensors.inbox_seconds,
        description="Scans the inbox; new, changed and removed documents become batches, one run each.",
    )
    def evaluate(context: dg.SensorEvaluationContext, archive: ArchiveResource) -> dg.SensorResult | dg.SkipReason:
        with translated():
            settings = archive.settings()
            workspace = settings.workspace()
            limits = ScanLimits(max_hashed_bytes=settings.sensors.max_hashed_bytes, wait=False)
            report = scan(workspace, sources_for(workspace, []), limits)
            # Not only this scan's batches: a tick may have been killed between manifest and partition.
            known = set(context.instance.get_dynamic_partitions(DOCUMENT_BATCH))
            missing = [key for key in workspace.home.manifests.batch_keys() if key not in known]
        if not missing:
            waiting = f" {len(report.deferred)} files are still being written." if report.deferred else ""
            return dg.SkipReason(f"Nothing new: {report.unchanged} documents are as they were.{waiting}")
        return dg.SensorResult(
            dynamic_partitions_requests=[document_batches.build_add_request(missing)],
            run_requests=[dg.RunRequest(run_key=f"{key}:1", partition_key=key) for key in missing],
        )

    return evaluate


def reread_sensor() -> dg.SensorDefinition:
    """Return the sensor that has requests to read again heeded."""

    @dg.sensor(
        name="reread_sensor",
        job_name=INGEST_BATCH,
        minimum_interval_seconds=load_settings().sensors.inbox_seconds,
        description="Asks for one run of each batch of which something is to be read again, or that a reindex has made"
        " stale.",
    )
    def evaluate(context: dg.SensorEvaluationContext, archive: ArchiveResource) -> dg.SensorResult | dg.SkipReason:
        with translated():
            workspace = archive.workspace()
            waiting = {**batches_to_reindex(workspace), **batches_to_reread(workspace)}
        known = set(context.instance.get_dynamic_partitions(DOCUMENT_BATCH))
        asked: list[dg.RunRequest] = []
        held: list[str] = []
        for batch, requests in waiting.items():
            if batch not in known:
                held.append(f"{batch} has no partition yet.")
            elif context.instance.get_runs_count(_runs_of(batch, statuses=IN_FLIGHT)):
                held.append(f"A run of {batch} is still going on.")
            elif context.instance.get_runs_count(_runs_of(batch, requests, statuses=FAILED)) >= MAX_ATTEMPTS:
                held.append(f"{MAX_ATTEMPTS} runs of {batch} failed. See them, then launch {INGEST_BATCH}.")
            else:
                attempt = context.instance.get_runs_count(_runs_of(batch, requests)) + 1
                tags = {REREADS_TAG: requests}
                asked.append(dg.RunRequest(run_key=f"{batch}:{requests}:{attempt}", partition_key=batch, tags=tags))
        if not asked:
            return dg.SkipReason(" ".join(held[:5]) or "Nothing is to be read again or built anew.")
        return dg.SensorResult(run_requests=asked)

    return evaluate


def _runs_of(
    batch: str, requests: str | None = None, *, statuses: list[dg.DagsterRunStatus] | None = None
) -> dg.RunsFilter:
    tags = {PARTITION_TAG: batch} if requests is None else {PARTITION_TAG: batch, REREADS_TAG: requests}
    return dg.RunsFilter(job_name=INGEST_BATCH, tags=tags, statuses=statuses)


def release_sensor() -> dg.SensorDefinition:
    """Return the sensor that asks for a release."""

    @dg.sensor(
        name="release_sensor",
        job_name=RELEASE,
        minimum_interval_seconds=load_settings().sensors.release_seconds,
        description="Asks for a release when every batch is done and the archive differs from what is live.",
    )
    def evaluate(context: dg.SensorEvaluationContext, archive: ArchiveResource) -> dg.RunRequest | dg.SkipReason:
        with translated():
            workspace = archive.workspace()
            manifests = workspace.home.manifests.all()
            if not manifests:
                return dg.SkipReason("There is no document batch yet.")
            going_on = _going_on(context.instance)
            if going_on is not None:
                return dg.SkipReason(going_on)
            pending = pending_batches(workspace)
            if pending:
                return dg.SkipReason(
                    f"{len(pending)} batches are not done: {', '.join(pending[:5])}."
                    f" Launch a backfill of {INGEST_BATCH} for those whose runs failed or whose settings changed."
                )
            fingerprint, _ = corpus_fingerprint(workspace, fold(manifests))
            decided = is_decided(workspace, fingerprint)
            if decided is not None:
                return dg.SkipReason(decided)
        # A run key counts once, whatever became of its run: without the attempt, a release that was killed or met a
        # full disk would never be asked for again.
        tags = {CORPUS_TAG: fingerprint[:32]}
        failed = context.instance.get_runs_count(dg.RunsFilter(job_name=RELEASE, tags=tags, statuses=FAILED))
        if failed >= MAX_ATTEMPTS:
            return dg.SkipReason(f"{failed} release runs failed without a decision. See them, then launch {RELEASE}.")
        runs = context.instance.get_runs_count(dg.RunsFilter(job_name=RELEASE, tags=tags))
        return dg.RunRequest(run_key=f"{fingerprint}:{runs + 1}", tags=tags)

    return evaluate
