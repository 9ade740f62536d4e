"""Asset ``raw_pdfs``."""

import dagster as dg

from ragflow.defs.assets import BATCH_GROUP, OWNERS
from ragflow.defs.columns import document_columns
from ragflow.defs.failures import RETRIES, translated
from ragflow.defs.metadata import stage_result
from ragflow.defs.partitions import document_batches
from ragflow.defs.resources import ArchiveResource
from ragflow.pipeline import raw_pdfs as stage


@dg.asset(
    partitions_def=document_batches,
    group_name=BATCH_GROUP,
    owners=OWNERS,
    kinds={"python", "pdf", "parquet"},
    code_version=str(stage.CODE_VERSION),
    retry_policy=RETRIES,
    metadata=document_columns(),
    description=(
        "The bytes of every document of the batch, stored under their SHA-256 and read back, and what each PDF says"
        " about itself.\n\n**Grain:** one row per document that the batch adds or changes (`documents`); one row per"
        " page of each content that is new (`pages`). A PDF that cannot be opened is quarantined with a reason."
    ),
)
def raw_pdfs(context: dg.AssetExecutionContext, archive: ArchiveResource) -> dg.MaterializeResult:  # type: ignore[type-arg]
    with translated():
        workspace = archive.workspace()
        return stage_result(workspace, stage.materialize(workspace, context.partition_key), "documents")
