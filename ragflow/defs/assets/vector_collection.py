"""Asset ``vector_collection``."""

import dagster as dg

from ragflow.defs.assets import CORPUS_GROUP, OWNERS
from ragflow.defs.assets.embeddings import embeddings
from ragflow.defs.columns import payload_columns
from ragflow.defs.failures import RETRIES, translated
from ragflow.defs.resources import ArchiveResource
from ragflow.pipeline.collection import build_candidate


class BuildConfig(dg.Config):
    """``rebuild``: build from nothing, even if nothing has changed; the way out when a version was damaged."""

    rebuild: bool = False


@dg.asset(
    deps=[embeddings],
    group_name=CORPUS_GROUP,
    owners=OWNERS,
    kinds={"python", "qdrant"},
    code_version="1",
    retry_policy=RETRIES,
    pool="release",
    metadata=payload_columns(),
    description=(
        "The candidate: a clone of the live collection version plus the difference to what the batches say should be"
        " there; from nothing after a change of model, chunker or settings.\n\n**Grain:** one point per chunk of every"
        " document that is there now. It is not searched until the gate has let it through."
    ),
)
def vector_collection(config: BuildConfig, archive: ArchiveResource) -> dg.MaterializeResult:  # type: ignore[type-arg]
    with translated():
        workspace = archive.workspace()
        candidate = build_candidate(workspace, rebuild=config.rebuild)
        record = candidate.record
        return dg.MaterializeResult(
            data_version=dg.DataVersion(record.merkle_root[:16]),
            metadata={
                "dagster/row_count": record.points,
                "version": record.version,
                "base": record.base or "none: built from nothing",
                "live": candidate.live or "none",
                "reused": candidate.reused,
                "upserted": record.upserted,
                "deleted": record.deleted,
                "unchanged": record.unchanged,
                "batches": len(record.batches),
                "merkle_root": record.merkle_root,
                "configuration_fingerprint": record.configuration_fingerprint,
                "size_bytes": workspace.versions().size_bytes(record.version),
            },
        )
