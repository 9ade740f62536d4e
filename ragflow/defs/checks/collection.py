"""The check of ``vector_collection``."""

import dagster as dg

from ragflow.defs.checks.descriptions import DESCRIPTIONS
from ragflow.defs.failures import translated
from ragflow.defs.metadata import check_result
from ragflow.defs.resources import ArchiveResource
from ragflow.pipeline.collection import build_candidate
from ragflow.pipeline.sealing import read_and_check_seal


@dg.asset_check(
    name="version_sealed",
    asset="vector_collection",
    blocking=True,
    description=DESCRIPTIONS["version_sealed"],
)
def version_sealed(archive: ArchiveResource) -> dg.AssetCheckResult:
    with translated():
        workspace = archive.workspace()
        verdict = read_and_check_seal(workspace, build_candidate(workspace).record)
    return check_result(verdict, "vector_collection", blocking=True)
