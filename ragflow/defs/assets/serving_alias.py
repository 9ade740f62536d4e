"""Asset ``serving_alias``: the gate, then the one atomic move."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict

import dagster as dg

from ragflow.defs.assets import CORPUS_GROUP, OWNERS
from ragflow.defs.assets.vector_collection import vector_collection
from ragflow.defs.checks.descriptions import gate_description
from ragflow.defs.failures import RETRIES, translated
from ragflow.defs.metadata import check_result, rows_table, table
from ragflow.defs.resources import ArchiveResource
from ragflow.model.releases import Decision
from ragflow.model.verdicts import Outcome, Verdict
from ragflow.pipeline.examination import VERDICT_NAMES
from ragflow.pipeline.release import ReleaseReport, release
from ragflow.quality.readiness import CANARY_NAMES

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
        for name in (*VERDICT_NAMES, *CANARY_NAMES)
    ],
    description=(
        "What is searched. The gate reads the candidate and everything it was made from again and recomputes it; only"
        " if every verdict allows, the alias moves, in one step. Canaries then ask through it what the gate has"
        " asked: if they are answered otherwise, it goes back by itself. A refused candidate stays for inspection.\n\n"
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
    if report.decision in (Decision.REJECTED, Decision.ROLLED_BACK, Decision.WITHDRAWN):
        # The canaries of a candidate that never went live were not asked: the view keeps what they said last.
        yield from (result for result in results if report.canaries or result.check_name not in CANARY_NAMES)
        raise _refusal(report)
    yield _result(archive, report, results)


def _refusal(report: ReleaseReport) -> dg.Failure:
    """Return the failure that tells of a candidate that is not live."""
    if report.decision == Decision.REJECTED:
        said, failed = f"The gate refused {report.version}", report.verdicts
    else:
        said = f"{report.version} failed its canaries and was taken back, {report.live or 'nothing'} is live"
        failed = report.canaries
    failed = tuple(verdict for verdict in failed if not verdict.passed)
    return dg.Failure(
        description=f"{said}: " + " ".join(verdict.summary for verdict in failed),
        metadata={"remedy": failed[0].remedy, "exit_code": 4, "version": report.version, "live": report.live or "none"},
        allow_retries=False,
    )


def _verdicts(archive: ArchiveResource, report: ReleaseReport) -> list[Verdict]:
    """Return one verdict per check: what the gate said, or, for a version that is live already, said when it let it go
    live.

    Dagster wants a result for every check, and for no other: a verdict that was not reached (the points cannot be
    recomputed from tables that are gone, say) is shown as a warning.
    """
    said, canaries = report.verdicts, report.canaries
    if not said:
        home = archive.workspace().home
        judged = [r for r in home.releases.all() if r.version == report.version and r.decision == Decision.PROMOTED]
        if judged:
            said = judged[-1].verdicts
            asked = home.canaries.find(judged[-1].number)
            canaries = asked.verdicts if asked is not None else ()
    by_name = {verdict.name: verdict for verdict in (*said, *canaries)}
    unasked = "This was not asked when the version was judged, or is switched off by the settings (`gate.off`)."
    return [by_name.get(name) or Verdict(name, Outcome.WARN, unasked) for name in (*VERDICT_NAMES, *CANARY_NAMES)]


def _rejected(archive: ArchiveResource) -> list[dict[str, str]]:
    """Return the candidates that were refused and are kept for inspection."""
    workspace = archive.workspace()
    kept = set(workspace.versions().versions())
    return [
        {
            "version": record.version,
            "refused": record.decided_at,
            "because": ", ".join(verdict.name for verdict in record.verdicts if not verdict.passed),
        }
        for record in workspace.home.releases.all()
        if record.decision == Decision.REJECTED and record.version in kept
    ]


def _result(
    archive: ArchiveResource, report: ReleaseReport, results: Sequence[dg.AssetCheckResult]
) -> dg.MaterializeResult:  # type: ignore[type-arg]
    ledger = report.ledger
    rejected = _rejected(archive)
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
            "switched_off": ", ".join(archive.workspace().gate.off) or "nothing",
            "rejected_candidates": dg.MetadataValue.md(rows_table(rejected) if rejected else "none"),
        },
    )
