"""Asset ``chunks``."""

import dagster as dg

from ragflow.defs.assets import BATCH_GROUP, OWNERS
from ragflow.defs.assets.ocr_text import ocr_text
from ragflow.defs.columns import chunk_columns
from ragflow.defs.failures import RETRIES, translated
from ragflow.defs.metadata import stage_result
from ragflow.defs.partitions import document_batches
from ragflow.defs.resources import ArchiveResource
from ragflow.pipeline import chunks as stage


@dg.asset(
    deps=[ocr_text],
    partitions_def=document_batches,
    group_name=BATCH_GROUP,
    owners=OWNERS,
    kinds={"python", "parquet"},
    code_version=str(stage.CODE_VERSION),
    retry_policy=RETRIES,
    metadata=chunk_columns(),
    description=(
        "Page texts cut into pieces that the embedding model reads whole, along paragraphs and headings.\n\n"
        "**Grain:** one row per chunk; a chunk lies on one page, and the chunks of a page hold every character of it."
    ),
)
def chunks(context: dg.AssetExecutionContext, archive: ArchiveResource) -> dg.MaterializeResult:  # type: ignore[type-arg]
    with translated():
        workspace = archive.workspace()
        return stage_result(workspace, stage.materialize(workspace, context.partition_key), "chunks")
