"""Asset ``embeddings``."""

import dagster as dg

from ragflow.defs.assets import BATCH_GROUP, OWNERS
from ragflow.defs.assets.chunks import chunks
from ragflow.defs.columns import embedding_columns
from ragflow.defs.failures import RETRIES, translated
from ragflow.defs.metadata import stage_result
from ragflow.defs.partitions import document_batches
from ragflow.defs.resources import ArchiveResource
from ragflow.pipeline import embeddings as stage


@dg.asset(
    deps=[chunks],
    partitions_def=document_batches,
    group_name=BATCH_GROUP,
    owners=OWNERS,
    kinds={"python", "pytorch", "parquet"},
    code_version=str(stage.CODE_VERSION),
    retry_policy=RETRIES,
    metadata=embedding_columns(),
    description=(
        "A dense vector (sentence-transformers) and a sparse one (BM25) for every distinct chunk text.\n\n"
        "**Grain:** one row per distinct text and language of the batch. Texts that an earlier batch has embedded with"
        " the same model are taken from there."
    ),
)
def embeddings(context: dg.AssetExecutionContext, archive: ArchiveResource) -> dg.MaterializeResult:  # type: ignore[type-arg]
    with translated():
        workspace = archive.workspace()
        return stage_result(workspace, stage.materialize(workspace, context.partition_key), "embeddings")
