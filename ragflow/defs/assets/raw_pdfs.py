"""Asset ``raw_pdfs``."""

import dagster as dg

from ragflow.defs.assets import BATCH_GROUP, OWNERS
from ragflow.defs.columns import document_columns
from ragflow.defs.failures import RETRIES, translated
from ragflow.defs.metadata import stage_result
from ragflow.defs.partitions import document_batches
from ragflow.defs.quarantine import quarantine_metadata
from ragflow.defs.resources import ArchiveResource
from ragflow.pipeline import raw_pdfs as stage
from ragflow.pipeline.stages import RAW_PDFS


@dg.asset(
    partitions_def=document_batches,
    group_name=BATCH_GROUP,
    owners=OWNERS,
    kinds={"python", "pdf", "parquet"},
    code_version=str(stage.CODE_VERSION),
    retry_policy=RETRIES,
    metadata=document_columns(),
    description=(
        "The bytes of every document of the batch, stored under their SHA-256 and read back, and what each PDF or"
        " image says about itself.\n\n**Grain:** one row per document that the batch adds or changes (`documents`); one"
        " row per page of each content that is new (`pages`). A document that cannot be opened is quarantined with a"
        " reason."
    ),
)
def raw_pdfs(context: dg.AssetExecutionContext, archive: ArchiveResource) -> dg.MaterializeResult:  # type: ignore[type-arg]
    with translated():
        workspace = archive.workspace()
        report = stage.materialize(workspace, context.partition_key)
        kept_out = quarantine_metadata(workspace, RAW_PDFS, context.partition_key)
        return stage_result(workspace, report, "documents", kept_out)
