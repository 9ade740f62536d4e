"""The checks of the four assets of a document batch: one operation per asset, several checks each."""

import warnings
from collections.abc import Iterator

import dagster as dg

from ragflow.defs.checks.descriptions import DESCRIPTIONS
from ragflow.defs.failures import translated
from ragflow.defs.metadata import check_result
from ragflow.defs.partitions import document_batches
from ragflow.defs.resources import ArchiveResource
from ragflow.pipeline.batch_checks import CHECK_NAMES, NOT_BLOCKING, check_stage
from ragflow.pipeline.stages import CHUNKS, EMBEDDINGS, OCR_TEXT, RAW_PDFS


def _specs(asset: str) -> list[dg.AssetCheckSpec]:
    with warnings.catch_warnings():
        # Partitioned checks are a preview in this version of Dagster; the tested set of versions is pinned.
        warnings.simplefilter("ignore", category=dg.PreviewWarning)
        return [
            dg.AssetCheckSpec(
                name,
                asset=asset,
                description=DESCRIPTIONS[name],
                blocking=name not in NOT_BLOCKING,
                partitions_def=document_batches,
            )
            for name in CHECK_NAMES[asset]
        ]


def _results(archive: ArchiveResource, asset: str, batch: str) -> Iterator[dg.AssetCheckResult]:
    with translated():
        verdicts = check_stage(archive.workspace(), asset, batch)
    for verdict in verdicts:
        yield check_result(verdict, asset, blocking=verdict.name not in NOT_BLOCKING)


@dg.multi_asset_check(name="raw_pdfs_checks", specs=_specs(RAW_PDFS))
def raw_pdfs_checks(context: dg.AssetCheckExecutionContext, archive: ArchiveResource) -> Iterator[dg.AssetCheckResult]:
    yield from _results(archive, RAW_PDFS, context.partition_key)


@dg.multi_asset_check(name="ocr_text_checks", specs=_specs(OCR_TEXT))
def ocr_text_checks(context: dg.AssetCheckExecutionContext, archive: ArchiveResource) -> Iterator[dg.AssetCheckResult]:
    yield from _results(archive, OCR_TEXT, context.partition_key)


@dg.multi_asset_check(name="chunks_checks", specs=_specs(CHUNKS))
def chunks_checks(context: dg.AssetCheckExecutionContext, archive: ArchiveResource) -> Iterator[dg.AssetCheckResult]:
    yield from _results(archive, CHUNKS, context.partition_key)


@dg.multi_asset_check(name="embeddings_checks", specs=_specs(EMBEDDINGS))
def embeddings_checks(
    context: dg.AssetCheckExecutionContext, archive: ArchiveResource
) -> Iterator[dg.AssetCheckResult]:
    yield from _results(archive, EMBEDDINGS, context.partition_key)
