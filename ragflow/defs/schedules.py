"""Schedules."""

import dagster as dg

from ragflow.defs.failures import translated
from ragflow.defs.jobs import VERIFY
from ragflow.defs.resources import ArchiveResource
from ragflow.pipeline.release import live_version
from ragflow.settings import load_settings


def nightly_verify() -> dg.ScheduleDefinition:
    """Return the schedule that verifies the live version; its time is a setting."""

    @dg.schedule(
        name="nightly_verify",
        job_name=VERIFY,
        cron_schedule=load_settings().verify_schedule,
        description="Prove every night that what is served is what was released.",
    )
    def evaluate(archive: ArchiveResource) -> dg.RunRequest | dg.SkipReason:
        with translated():
            live = live_version(archive.workspace())
        return dg.SkipReason("Nothing is live yet.") if live is None else dg.RunRequest()

    return evaluate
