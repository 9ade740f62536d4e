"""Asset ``serving_alias``: the gate, then the one atomic move."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict

import dagster as dg

from ragflow.defs.assets import CORPUS_GROUP, OWNERS
from ragflow.defs.assets.vector_collection import vector_collection
from ragflow.defs.checks.descriptions import gate_description
from ragflow.defs.failures import RETRIES, translated
from ragflow.defs.metadata import check_result, table
from ragflow.defs.resources import ArchiveResource
from ragflow.model.releases import Decision
from ragflow.model.verdicts import Outcome, Verdict
from ragflow.pipeline.examination import VERDICT_NAMES
from ragflow.pipeline.release import ReleaseReport, release

SERVING_ALIAS = "serving_alias"


@dg.asset(
    name=SERVING_ALIAS,
    deps=[vector_collection],
    group_name=CORPUS_GROUP,
    owners=OWNERS,
    kinds={"python", "qdrant"},
    code_version="1",
    retry_policy=RETRIES,
    pool="release",
    check_specs=[
        dg.AssetCheckSpec(name, asset=SERVING_ALIAS, description=gate_description(name), blocking=True)
        for name in VERDICT_NAMES
    ],
    description=(
        "What is searched. The gate reads the candidate and everything it was made from again and recomputes it; only"
        " if every verdict allows, the alias moves, in one step. A refused candidate stays for inspection.\n\n"
        "**Grain:** one alias."
    ),
)
def serving_alias(
    archive: ArchiveResource,
) -> Iterator[dg.AssetCheckResult | dg.MaterializeResult]:  # type: ignore[type-arg]
    with translated():
        report = release(archive.workspace())
        verdicts = _verdicts(archive, report)
    results = [check_result(verdict, SERVING_ALIAS, blocking=True) for verdict in verdicts]
    if report.decision == Decision.REJECTED:
        yield from results
        failed = [verdict for verdict in report.verdicts if not verdict.passed]
        raise dg.Failure(
            description=f"The gate refused {report.version}: " + " ".join(verdict.summary for verdict in failed),
            metadata={"remedy": failed[0].remedy, "exit_code": 4, "version": report.version},
            allow_retries=False,
        )
    yield _result(report, results)


def _verdicts(archive: ArchiveResource, report: ReleaseReport) -> list[Verdict]:
    """Return one verdict per check: what the gate said, or, for a version that is live already, said when it let it go
    live.

    Dagster wants a result for every check, and for no other: a verdict that was not reached (the points cannot be
    recomputed from tables that are gone, say) is shown as a warning.
    """
    said = report.verdicts
    if not said:
        records = archive.workspace().home.releases.all()
        said = next((r.verdicts for r in reversed(records) if r.version == report.version and len(r.verdicts) > 1), ())
    by_name = {verdict.name: verdict for verdict in said}
    unasked = "The gate did not come to this check when it judged this version: `ragflow verify` does."
    return [by_name.get(name) or Verdict(name, Outcome.WARN, unasked) for name in VERDICT_NAMES]


def _result(report: ReleaseReport, results: Sequence[dg.AssetCheckResult]) -> dg.MaterializeResult:  # type: ignore[type-arg]
    ledger = report.ledger
    counts = {name: count for name, count in asdict(ledger).items() if isinstance(count, int)}
    return dg.MaterializeResult(
        data_version=dg.DataVersion(report.live or "none"),
        check_results=results,
        metadata={
            "live": report.live or "none",
            "decision": str(report.decision),
            "coverage": round(ledger.coverage, 4),
            "ledger": dg.MetadataValue.md(table(counts)),
            "quarantine_reasons": dg.MetadataValue.md(table(ledger.reasons) if ledger.reasons else "none"),
            "engines": dg.MetadataValue.md(table(ledger.engines) if ledger.engines else "none"),
            "release_record": report.record.number if report.record else "none written",
        },
    )
