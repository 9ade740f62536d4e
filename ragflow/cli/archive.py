"""Commands that work on the archive: ingest, status, releases, promote, rollback, verify."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from ragflow.cli.console import emit, err, options, progress
from ragflow.cli.runs import RunOutcome, add_partitions, open_instance, run_job
from ragflow.errors import CheckFailedError
from ragflow.model.verdicts import Verdict
from ragflow.pipeline.scanning import ScanLimits, ScanReport
from ragflow.pipeline.workspace import Workspace
from ragflow.settings import Settings, load_settings

INGEST_BATCH, RELEASE = "ingest_batch", "release"


def ingest(
    paths: Annotated[list[Path] | None, typer.Argument(help="PDFs, images or folders; none: the inbox.")] = None,
    allow_removals: Annotated[bool, typer.Option(help="Accept that most of a source has vanished.")] = False,
    rebuild: Annotated[
        bool, typer.Option(help="Make damaged tables anew, and build the collection from nothing.")
    ] = False,
    no_release: Annotated[bool, typer.Option(help="Stop before the release.")] = False,
) -> None:
    """Scan, make batches, run them through Dagster, release."""
    settings = load_settings()
    with progress():
        answer, exit_code = run_ingest(
            settings, paths or [], allow_removals=allow_removals, rebuild=rebuild, publish=not no_release
        )
    emit(answer, ingest_text(answer))
    if exit_code:
        raise typer.Exit(exit_code)


def run_ingest(
    settings: Settings,
    paths: Sequence[Path],
    *,
    allow_removals: bool = False,
    rebuild: bool = False,
    publish: bool = True,
) -> tuple[dict[str, Any], int]:
    """Do what ``ragflow ingest`` does; return its JSON answer and the exit code."""
    from ragflow.pipeline.ingest import pending_batches
    from ragflow.pipeline.scanning import scan, sources_for

    workspace = settings.workspace()
    report = scan(workspace, sources_for(workspace, paths), ScanLimits(allow_removals=allow_removals))
    pending = pending_batches(workspace, thorough=rebuild)
    outcomes, release, exit_code = run_and_release(settings, workspace, pending, publish=publish, rebuild=rebuild)
    return _answer(workspace, report, outcomes, release), exit_code


def run_and_release(
    settings: Settings, workspace: Workspace, batches: Sequence[str], *, publish: bool, rebuild: bool = False
) -> tuple[list[RunOutcome], dict[str, Any], int]:
    """Run batches through Dagster, then release what is not released yet.

    Returns:
        The outcome of each batch, the JSON answer on the release, and the exit code.
    """
    outcomes: list[RunOutcome] = []
    release: dict[str, Any] = {"version": None, "decision": "none", "verdicts": []}
    exit_code = 0
    if batches or (publish and (rebuild or _needs_release(workspace))):
        with open_instance(settings) as instance:
            add_partitions(instance, workspace.home.manifests.batch_keys())
            for batch in batches:
                outcomes.append(run_job(instance, INGEST_BATCH, partition=batch))
            exit_code = max((outcome.exit_code for outcome in outcomes), default=0)
            if publish and not exit_code and workspace.home.manifests.batch_keys():
                before = workspace.home.releases.last_hash()[0]
                config = {"ops": {"vector_collection": {"config": {"rebuild": True}}}} if rebuild else None
                outcome = run_job(instance, RELEASE, config=config)
                exit_code = outcome.exit_code
                release = _release_answer(workspace, before, outcome)
    elif publish:
        release = {**release, **_unchanged(workspace)}
        # As long as what was refused waits to go live, every ingest says so: a nightly one must not turn green.
        exit_code = CheckFailedError.exit_code if release["decision"] == "rejected" else 0
    return outcomes, release, exit_code


def _needs_release(workspace: Workspace) -> bool:
    from ragflow.pipeline.release import is_decided

    if not workspace.home.manifests.batch_keys():
        return False
    return is_decided(workspace, _fingerprint(workspace)) is None


def _fingerprint(workspace: Workspace) -> str:
    from ragflow.model.batches import fold
    from ragflow.pipeline.desired import corpus_fingerprint

    fingerprint, _ = corpus_fingerprint(workspace, fold(workspace.home.manifests.all()))
    return fingerprint


def _unchanged(workspace: Workspace) -> dict[str, Any]:
    from ragflow.pipeline.release import live_version

    records = workspace.home.releases.all()
    if not records:
        return {}
    live, last = live_version(workspace), records[-1]
    serving = workspace.home.version_records.find(live) if live else None
    holds_all = serving is not None and serving.corpus_fingerprint == _fingerprint(workspace)
    if holds_all or last.version == live or last.decision != "rejected":
        return {"version": live, "decision": "unchanged"}
    return {"version": last.version, "decision": "rejected", "verdicts": [asdict(v) for v in last.verdicts]}


def _release_answer(workspace: Workspace, before: int, outcome: RunOutcome) -> dict[str, Any]:
    from ragflow.pipeline.release import live_version

    records = workspace.home.releases.all()
    answer: dict[str, Any] = {"run_id": outcome.run_id, "problem": outcome.problem}
    if len(records) > before:
        record = records[-1]
        version = workspace.home.version_records.find(record.version)
        return {
            "version": record.version,
            "decision": record.decision,
            "points": record.points,
            "upserted": version.upserted if version else None,
            "deleted": version.deleted if version else None,
            "verdicts": [asdict(verdict) for verdict in record.verdicts],
            **answer,
        }
    decision = "failed" if outcome.problem else "unchanged"
    return {"version": live_version(workspace), "decision": decision, "verdicts": [], **answer}


def _answer(
    workspace: Workspace, report: ScanReport, outcomes: Sequence[RunOutcome], release: dict[str, Any]
) -> dict[str, Any]:
    from ragflow.pipeline.overview import status

    state = status(workspace)
    return {
        "batches": batch_answers(outcomes),
        "documents": {
            "added": list(report.added),
            "changed": list(report.changed),
            "removed": list(report.removed),
            "unchanged": report.unchanged,
            "deferred": list(report.deferred),
            "forgotten": list(report.forgotten),
            "quarantined": state["quarantined"],
        },
        "ignored": report.ignored,
        "pages": _pages(state["ledger"]),
        "work": {
            "hashed_files": report.hashed_files,
            "hashed_bytes": report.hashed_bytes,
            **work_of(outcomes),
        },
        "release": release,
    }


def batch_answers(outcomes: Sequence[RunOutcome]) -> list[dict[str, Any]]:
    """Return what became of each batch, as JSON values."""
    return [{"key": o.partition, "run_id": o.run_id, "ok": o.problem is None, "problem": o.problem} for o in outcomes]


def work_of(outcomes: Sequence[RunOutcome]) -> dict[str, int]:
    """Return what was really done, summed over the runs."""
    work: Counter[str] = Counter()
    for outcome in outcomes:
        for done in outcome.work.values():
            work.update(done)
    return dict(sorted(work.items()))


def _pages(ledger: dict[str, Any] | None) -> dict[str, Any] | None:
    if ledger is None:
        return None
    return {
        "total": ledger["pages"],
        **{name: ledger[name] for name in ("indexed", "blank", "quarantined", "reasons", "adds_up", "coverage")},
    }


def ingest_text(answer: dict[str, Any]) -> str:
    """Return the answer of ``ingest`` for a person."""
    documents, release = answer["documents"], answer["release"]
    lines = [
        f"Documents: {len(documents['added'])} added, {len(documents['changed'])} changed,"
        f" {len(documents['removed'])} removed, {documents['unchanged']} unchanged"
    ]
    if documents["deferred"]:
        lines.append(f"           {len(documents['deferred'])} still being written: left for the next scan")
    if documents["forgotten"]:
        lines.append(f"Left out:  {len(documents['forgotten'])} files that were forgotten on request")
    if answer["ignored"]:
        kinds = ", ".join(f"{count} {kind}" for kind, count in answer["ignored"].items())
        lines.append(f"Ignored:   {kinds} (neither PDF nor image)")
    lines += batch_lines(answer["batches"])
    if answer["pages"]:
        lines += ledger_lines(answer["pages"])
    if documents["quarantined"]:
        lines.append("Quarantined:")
        for entry in documents["quarantined"]:
            reasons = ", ".join(f"{reason} ({count})" for reason, count in entry["pages"].items())
            lines.append(f"           {entry['document']!r}: {reasons}")
    return "\n".join([*lines, *release_lines(release)])


def batch_lines(batches: Sequence[dict[str, Any]]) -> list[str]:
    """Return what became of each batch, for a person."""
    return [
        f"Batch:     {batch['key']} " + ("done" if batch["ok"] else f"FAILED: {batch['problem']}") for batch in batches
    ]


def release_lines(release: dict[str, Any]) -> list[str]:
    """Return the answer on the release, for a person."""
    lines = [f"Release:   {release['version'] or 'nothing live'}: {release['decision']}"]
    if release.get("problem"):
        lines.append(f"           {release['problem']}")
    return lines


def ledger_lines(pages: dict[str, Any]) -> list[str]:
    """Return the ledger for a person."""
    sign = "" if pages["adds_up"] else "   DOES NOT ADD UP"
    reasons = ", ".join(f"{reason} {count}" for reason, count in pages["reasons"].items())
    return [
        f"Ledger:    {pages['total']} pages in = {pages['indexed']} indexed + {pages['blank']} blank"
        f" + {pages['quarantined']} quarantined{f' ({reasons})' if reasons else ''}{sign}",
    ]


def status() -> None:
    """Show batches, ledger, versions, and what is live."""
    from ragflow.pipeline.overview import status as overview

    state = overview(load_settings().workspace())
    lines = [f"Home:      {state['home']}", f"Live:      {state['live'] or 'nothing'}"]
    if state["ledger"]:
        lines += ledger_lines(_pages(state["ledger"]) or {})
    waiting = [batch for batch in state["batches"] if batch["pending"]]
    lines.append(f"Batches:   {len(state['batches'])}, of which {len(waiting)} have work to do")
    lines += [f"           {batch['key']}: {batch['pending']}" for batch in waiting]
    for version in state["versions"]:
        mark = "  live" if version["live"] else ""
        lines.append(f"Version:   {version['version']} {version['points']} points, {version['built_at']}{mark}")
    emit(state, "\n".join(lines))


def releases() -> None:
    """List every decision: promoted, rejected, rolled back, withdrawn."""
    home = load_settings().workspace().home
    records = home.releases.all()
    lines: list[str] = []
    answers: list[dict[str, Any]] = []
    for record in records:
        failed = [verdict.name for verdict in record.verdicts if not verdict.passed]
        because = f"  because of {', '.join(failed)}" if failed else ""
        lines.append(
            f"{record.number:>4}  {record.decided_at}  {record.version}  {record.decision:<11}"
            f"  {record.points} points  replaced {record.replaced or 'nothing'}{because}"
        )
        if record.reason:
            lines.append(f"      {record.reason}")
        if record.switched_off:
            lines.append(f"      switched off: {', '.join(record.switched_off)}")
        said = home.canaries.find(record.number)
        canaries = None if said is None else [asdict(verdict) for verdict in said.verdicts]
        answers.append({**record.to_dict(), "sha256": home.releases.hash_of(record.number), "canaries": canaries})
    emit(answers, "\n".join(lines) or "Nothing has been released yet.")


def promote(version: Annotated[str, typer.Argument(help="A kept version, see `ragflow releases`.")]) -> None:
    """Let the gate judge a kept version, and make it live if it passes."""
    from ragflow.pipeline.release import judge

    with progress():
        report = judge(load_settings().workspace(), version, explicit=True)
    verdicts = [*report.verdicts, *report.canaries]
    text = f"{report.version}: {report.decision}. Live: {report.live}.\n{verdict_text(verdicts)}".strip()
    answer = {"version": report.version, "decision": report.decision, "live": report.live}
    emit({**answer, "verdicts": _plain(verdicts)}, text)
    if report.decision in ("rejected", "rolled_back", "withdrawn"):
        raise typer.Exit(CheckFailedError.exit_code)


def rollback(version: Annotated[str | None, typer.Argument(help="None: the one before the live one.")] = None) -> None:
    """Make a version live again that was live before: exact, and at once."""
    from ragflow.pipeline.release import rollback as go_back

    with progress():
        report = go_back(load_settings().workspace(), version)
    replaced = report.record.replaced if report.record else None
    emit(
        {"version": report.version, "decision": report.decision, "replaced": replaced},
        f"{report.version} is live again; {replaced} is kept, and goes live only if you promote it.",
    )


def verify(
    version: Annotated[str | None, typer.Option(help="None: the live one.")] = None,
    deep: Annotated[
        bool, typer.Option(help="Recompute every link, and read every stored document again, page by page.")
    ] = False,
    anchor: Annotated[
        str | None, typer.Option(help="SHA-256 of a release record that you noted: it must still be there.")
    ] = None,
) -> None:
    """Prove that what is served is what was released: exit code 4 and the list of breaks if it is not."""
    from ragflow.pipeline.verification import verify as recompute

    with progress():
        report = recompute(load_settings().workspace(), version, deep=deep, anchor=anchor)
    breaks = [{"check": v.name, **row} for v in report.verdicts if not v.passed for row in (v.rows or ({},))]
    emit(
        {
            "version": report.version,
            "passed": report.passed,
            "points": report.points,
            "seconds": report.seconds,
            "breaks": breaks,
            "verdicts": _plain(report.verdicts),
        },
        f"Version {report.version}, {report.points} points, {report.seconds} s\n{verdict_text(report.verdicts)}",
    )
    if not report.passed:
        failed = next(v for v in report.verdicts if not v.passed)
        if not options.json:
            err.print(f"The chain is broken in {len(breaks)} places. {failed.remedy}", style="red", markup=False)
        raise typer.Exit(CheckFailedError.exit_code)


def _plain(verdicts: Sequence[Verdict]) -> list[dict[str, Any]]:
    return [asdict(verdict) for verdict in verdicts]


def verdict_text(verdicts: Sequence[Verdict]) -> str:
    """Return verdicts for a person, with the offenders of those that failed."""
    lines = []
    for verdict in verdicts:
        lines.append(f"  {verdict.outcome.upper():<5} {verdict.name:<20} {verdict.summary}")
        if not verdict.passed:
            for row in verdict.rows:
                lines.append("          " + ", ".join(f"{name} {value}" for name, value in row.items() if value != ""))
            if verdict.remedy:
                lines.append(f"        → {verdict.remedy}")
    return "\n".join(lines)
