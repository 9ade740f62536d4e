"""Dagster's entry point: ``defs`` holds everything that the UI, the daemon and the command line load."""

import dagster as dg

from ragflow.defs.assets.chunks import chunks
from ragflow.defs.assets.embeddings import embeddings
from ragflow.defs.assets.ocr_text import ocr_text
from ragflow.defs.assets.raw_pdfs import raw_pdfs
from ragflow.defs.assets.serving_alias import serving_alias
from ragflow.defs.assets.vector_collection import vector_collection
from ragflow.defs.checks.collection import version_sealed
from ragflow.defs.checks.stages import chunks_checks, embeddings_checks, ocr_text_checks, raw_pdfs_checks
from ragflow.defs.jobs import ingest_batch, release, reocr_job, verify_job
from ragflow.defs.maintenance import MAINTENANCE_JOBS
from ragflow.defs.resources import ArchiveResource
from ragflow.defs.schedules import nightly_backup, nightly_verify, weekly_prune
from ragflow.defs.sensors import inbox_sensor, release_sensor, reread_sensor

defs = dg.Definitions(
    assets=[raw_pdfs, ocr_text, chunks, embeddings, vector_collection, serving_alias],
    asset_checks=[raw_pdfs_checks, ocr_text_checks, chunks_checks, embeddings_checks, version_sealed],
    jobs=[ingest_batch, release, verify_job, reocr_job, *MAINTENANCE_JOBS],
    sensors=[inbox_sensor(), reread_sensor(), release_sensor()],
    schedules=[nightly_verify(), nightly_backup(), weekly_prune()],
    resources={"archive": ArchiveResource()},
    executor=dg.in_process_executor,
)
