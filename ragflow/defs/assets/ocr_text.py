"""Asset ``ocr_text``."""

import dagster as dg

from ragflow.defs.assets import BATCH_GROUP, OWNERS
from ragflow.defs.assets.raw_pdfs import raw_pdfs
from ragflow.defs.columns import page_text_columns
from ragflow.defs.failures import RETRIES, translated
from ragflow.defs.metadata import stage_result
from ragflow.defs.partitions import document_batches
from ragflow.defs.quarantine import quarantine_metadata
from ragflow.defs.resources import ArchiveResource
from ragflow.pipeline import ocr_text as stage
from ragflow.pipeline.stages import OCR_TEXT


@dg.asset(
    deps=[raw_pdfs],
    partitions_def=document_batches,
    group_name=BATCH_GROUP,
    owners=OWNERS,
    kinds={"python", "onnx", "tesseract", "parquet"},
    code_version=str(stage.CODE_VERSION),
    retry_policy=RETRIES,
    metadata=page_text_columns(),
    description=(
        "The text of every page: from the PDF's own text layer where it can be trusted, else by OCR.\n\n"
        "**Grain:** one row per page of each content that is new in the batch (`page_texts`), with exactly one status:"
        " indexed, blank, or quarantined with a reason; one row per word with box and confidence (`words`)."
    ),
)
def ocr_text(context: dg.AssetExecutionContext, archive: ArchiveResource) -> dg.MaterializeResult:  # type: ignore[type-arg]
    with translated():
        workspace = archive.workspace()
        report = stage.materialize(workspace, context.partition_key)
        kept_out = quarantine_metadata(workspace, OCR_TEXT, context.partition_key)
        return stage_result(workspace, report, "page_texts", kept_out)
