"""Jobs that keep an archive for years: back up, restore, prune, forget, adopt, reindex.

Each does what the command of the same name does, so that it can be scheduled, seen and alerted on.
"""

from dataclasses import asdict
from typing import Any

import dagster as dg

from ragflow.defs.failures import RETRIES, translated
from ragflow.defs.metadata import rows_table, table
from ragflow.defs.resources import ArchiveResource
from ragflow.errors import CheckFailedError, UsageError
from ragflow.model.verdicts import Verdict
from ragflow.pipeline.adopting import AdoptOptions, adopt
from ragflow.pipeline.backing_up import back_up
from ragflow.pipeline.forgetting import check_absent, forget
from ragflow.pipeline.pruning import PruneOptions, prune
from ragflow.pipeline.reindexing import request_reindex
from ragflow.pipeline.restoring import restore

BACKUP, RESTORE, PRUNE, FORGET, ADOPT, REINDEX = "backup", "restore", "prune", "forget", "adopt", "reindex"


def _verdict_rows(verdicts: tuple[Verdict, ...]) -> dg.MarkdownMetadataValue:
    rows = [{"verdict": v.name, "outcome": v.outcome, "summary": v.summary} for v in verdicts]
    return dg.MetadataValue.md(rows_table(rows) if rows else "none")


class BackupConfig(dg.Config):
    """``target``: a folder or the URL of a bucket; empty: what the settings name (``backup.target``)."""

    target: str = ""
    documents: bool = True


@dg.op(retry_policy=RETRIES, description="Write a backup of the live version, and prove that it can be restored.")
def write_backup(context: dg.OpExecutionContext, config: BackupConfig, archive: ArchiveResource) -> None:
    with translated():
        settings = archive.settings()
        target = config.target or settings.backup.target
        if not target:
            raise UsageError("No place for backups is named.", remedy="Set backup.target, or give the run a target.")
        report = back_up(
            settings.workspace(), target, documents=config.documents, retention=settings.backup.retention()
        )
    context.add_output_metadata(
        {
            "backup": report.name,
            "target": report.target,
            "version": report.version,
            "points": report.points,
            "size": report.size,
            "bytes_written": report.bytes_written,
            "objects_reused": report.objects_reused,
            "verdicts": _verdict_rows(report.verdicts),
            "removed": ", ".join(report.removed) or "none",
        }
    )


class RestoreConfig(dg.Config):
    """``name``: of the backup; empty: the newest good one."""

    source: str
    name: str = ""


@dg.op(description="Put back what is missing or damaged, and have the gate judge the version.")
def put_back(context: dg.OpExecutionContext, config: RestoreConfig, archive: ArchiveResource) -> None:
    with translated():
        report = restore(
            archive.workspace(), config.source, name=config.name or None, settled=lambda: archive.workspace()
        )
    shown: dict[str, Any] = {
        "backup": report.name,
        "version": report.version,
        "decision": report.decision,
        "live": report.live or "none",
        "files_put_back": report.put,
        "files_replaced": report.replaced,
        "verdicts": _verdict_rows(report.verdicts),
    }
    if report.decision in ("rejected", "refused", "rolled_back", "withdrawn"):
        raise dg.Failure(
            description=f"{report.version} was put back, and the gate refused it.",
            metadata={"exit_code": CheckFailedError.exit_code, **shown},
            allow_retries=False,
        )
    context.add_output_metadata(shown)


class PruneConfig(dg.Config):
    """``versions``: how many promoted ones are kept; ``rejected_days``: for how long refused candidates are."""

    versions: int = 3
    rejected_days: int = 14
    dry_run: bool = False


@dg.op(description="Remove what no kept release needs, and say what that frees.")
def remove_what_is_not_needed(context: dg.OpExecutionContext, config: PruneConfig, archive: ArchiveResource) -> None:
    with translated():
        options = PruneOptions(config.versions, config.rejected_days, config.dry_run)
        report = prune(archive.workspace(), options)
    freed = [{"kind": kind, "things": count, "bytes": size} for kind, (count, size) in report.by_kind.items()]
    context.add_output_metadata(
        {
            "freed_bytes": report.size,
            "freed": dg.MetadataValue.md(rows_table(freed) if freed else "nothing"),
            "kept": dg.MetadataValue.md(rows_table([asdict(kept) for kept in report.kept]) if report.kept else "none"),
        }
    )


class ForgetConfig(dg.Config):
    """``documents``: keys, see ``ragflow status``; ``reason`` stays on record."""

    documents: list[str]
    reason: str = ""
    dry_run: bool = True


@dg.op(description="Remove documents from everything that was made of them, and prove that they are gone.")
def forget_documents(context: dg.OpExecutionContext, config: ForgetConfig, archive: ArchiveResource) -> None:
    with translated():
        report = forget(archive.workspace(), config.documents, reason=config.reason, dry_run=config.dry_run)
        if not config.dry_run:
            check_absent(report)
    context.add_output_metadata(
        {
            "dry_run": report.dry_run,
            "contents": dg.MetadataValue.md(
                rows_table([{"sha256": c.sha256, "documents": ", ".join(c.documents)} for c in report.contents])
            ),
            "versions_removed": ", ".join(report.discarded) or "none",
            "freed_bytes": report.freed,
            "work": dg.MetadataValue.md(table(report.work) if report.work else "none"),
            "absent": report.absent,
        }
    )


class AdoptConfig(dg.Config):
    """``collections``: as for ``ragflow adopt``."""

    collections: list[str]
    name: str = ""
    dry_run: bool = True


@dg.op(description="Take over collections that other tools filled; they never go live under the archive's alias.")
def adopt_collections(context: dg.OpExecutionContext, config: AdoptConfig, archive: ArchiveResource) -> None:
    with translated():
        options = AdoptOptions(name=config.name, dry_run=config.dry_run)
        key = archive.settings().vectors.api_key
        report = adopt(archive.workspace(), config.collections, options, api_key=key)
    context.add_output_metadata({"report": dg.MetadataValue.json(report.to_dict())})


@dg.op(description="Ask for a reindex with the settings as they are now.")
def ask_for_reindex(context: dg.OpExecutionContext, archive: ArchiveResource) -> None:
    with translated():
        plan = request_reindex(archive.workspace())
    changes = [{"setting": name, "was": old, "is": new} for name, (old, new) in plan.changes.items()]
    context.add_output_metadata(
        {
            "needed": plan.is_needed,
            "changes": dg.MetadataValue.md(rows_table(changes) if changes else "none"),
            "stale_batches": dg.MetadataValue.md(table(plan.stale) if plan.stale else "none"),
            "pages_to_read": plan.pages_to_read,
            "embeddings": plan.embeddings,
            "seconds": plan.seconds,
            "points": plan.points,
            "size_after": plan.size_after,
        }
    )


@dg.job(name=BACKUP, executor_def=dg.in_process_executor, description="Back up the live version, with proof.")
def backup_job() -> None:
    write_backup()


@dg.job(name=RESTORE, executor_def=dg.in_process_executor, description="Restore a backup; the gate decides.")
def restore_job() -> None:
    put_back()


@dg.job(name=PRUNE, executor_def=dg.in_process_executor, description="Remove what no kept release needs.")
def prune_job() -> None:
    remove_what_is_not_needed()


@dg.job(name=FORGET, executor_def=dg.in_process_executor, description="Forget documents, with proof of absence.")
def forget_job() -> None:
    forget_documents()


@dg.job(name=ADOPT, executor_def=dg.in_process_executor, description="Take over collections of other tools.")
def adopt_job() -> None:
    adopt_collections()


@dg.job(
    name=REINDEX,
    executor_def=dg.in_process_executor,
    description="Ask for a reindex with the settings as they are. `reread_sensor` then takes the stale batches through"
    " `ingest_batch`, and `release_sensor` publishes; the old version serves until the new one has passed the gate.",
)
def reindex_job() -> None:
    ask_for_reindex()


MAINTENANCE_JOBS = [backup_job, restore_job, prune_job, forget_job, adopt_job, reindex_job]
