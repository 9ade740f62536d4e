"""Jobs. All run in one process: a batch's stages hand over through files, and reading has a pool of its own."""

from typing import Any

import dagster as dg

from ragflow.defs.failures import translated
from ragflow.defs.metadata import rows_table
from ragflow.defs.resources import ArchiveResource
from ragflow.errors import CheckFailedError
from ragflow.pipeline.rereading import request_rereads
from ragflow.pipeline.stages import STAGES
from ragflow.pipeline.verification import verify

INGEST_BATCH = "ingest_batch"
RELEASE = "release"
VERIFY = "verify"
REOCR = "reocr"

ingest_batch = dg.define_asset_job(
    INGEST_BATCH,
    selection=dg.AssetSelection.assets(*STAGES),
    executor_def=dg.in_process_executor,
    description="Take one document batch through all four stages, with their checks. One run per partition.",
)

release = dg.define_asset_job(
    RELEASE,
    selection=dg.AssetSelection.assets("vector_collection", "serving_alias"),
    executor_def=dg.in_process_executor,
    description="Build a candidate from all batches, let the gate judge it, and move the alias if it passes.",
)


@dg.op(description="Recompute the chain of the live version, from stored bytes to points.")
def verify_live(context: dg.OpExecutionContext, archive: ArchiveResource) -> None:
    with translated():
        report = verify(archive.workspace())
    rows = [{"verdict": v.name, "outcome": v.outcome, "summary": v.summary} for v in report.verdicts]
    shown: dict[str, Any] = {
        "version": report.version,
        "points": report.points,
        "verdicts": dg.MetadataValue.md(rows_table(rows)),
    }
    failed = [verdict for verdict in report.verdicts if not verdict.passed]
    if failed:
        raise dg.Failure(
            description=f"Version {report.version} is not what was recorded: " + " ".join(v.summary for v in failed),
            metadata={"remedy": failed[0].remedy, "exit_code": CheckFailedError.exit_code, **shown},
            allow_retries=False,
        )
    context.add_output_metadata(shown)


@dg.job(name=VERIFY, executor_def=dg.in_process_executor, description="Prove that what is served is what was released.")
def verify_job() -> None:
    verify_live()


class ReocrConfig(dg.Config):
    """``below``: confidence under which a page is read again; ``limit``: pages at most, the worst first."""

    below: float = 0.8
    limit: int | None = None


@dg.op(description="Ask for a thorough reading of every page that OCR read with low confidence or not at all.")
def ask_for_rereads(context: dg.OpExecutionContext, config: ReocrConfig, archive: ArchiveResource) -> None:
    with translated():
        request = request_rereads(archive.workspace(), config.below, limit=config.limit)
    context.add_output_metadata(
        {
            "pages": len(request.pages),
            "batches": dg.MetadataValue.md(rows_table([{"batch": batch} for batch in request.batches])),
            "asked_for": dg.MetadataValue.md(rows_table([page.row() for page in request.pages])),
        }
    )


@dg.job(
    name=REOCR,
    executor_def=dg.in_process_executor,
    description="Ask for a thorough reading of badly read pages. `reread_sensor` then takes their batches through"
    " `ingest_batch`, and `release_sensor` publishes what came out. Nothing is asked for twice.",
)
def reocr_job() -> None:
    ask_for_rereads()
