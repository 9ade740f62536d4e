"""Schedules."""

import dagster as dg

from ragflow.defs.failures import translated
from ragflow.defs.jobs import VERIFY
from ragflow.defs.maintenance import BACKUP, PRUNE
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


def nightly_backup() -> dg.ScheduleDefinition:
    """Return the schedule that backs up the live version, if a place for backups is set."""

    @dg.schedule(
        name="nightly_backup",
        job_name=BACKUP,
        cron_schedule=load_settings().backup.schedule,
        description="Back up the live version every night, and prove that it can be restored.",
    )
    def evaluate(archive: ArchiveResource) -> dg.RunRequest | dg.SkipReason:
        with translated():
            settings = archive.settings()
            live = live_version(settings.workspace())
        if not settings.backup.target:
            return dg.SkipReason("No place for backups is set (backup.target).")
        return dg.SkipReason("Nothing is live yet.") if live is None else dg.RunRequest()

    return evaluate


def weekly_prune() -> dg.ScheduleDefinition:
    """Return the schedule that removes what no kept release needs."""
    return dg.ScheduleDefinition(
        name="weekly_prune",
        job_name=PRUNE,
        cron_schedule=load_settings().prune_schedule,
        description="Remove every week what no kept release needs.",
    )
