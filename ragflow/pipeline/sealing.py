"""The seals: what a version holds against its record, its record against the release record, releases one by one."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ragflow.errors import IntegrityError, NotFoundError
from ragflow.model.batches import BatchManifest, Corpus, check_chain
from ragflow.model.merkle import version_root
from ragflow.model.releases import IN_BOTH, ReleaseRecord, VersionRecord
from ragflow.model.verdicts import Outcome, Verdict, verdict
from ragflow.pipeline.observed import Observed, observe
from ragflow.pipeline.progress import report
from ragflow.pipeline.stages import RAW_PDFS, STAGES
from ragflow.pipeline.workspace import Workspace
from ragflow.quality.documents import is_missing_by_design

HASHING_THREADS = 4


def version_sealed(
    record: VersionRecord, release: ReleaseRecord | None, observed: Observed | None, damage: IntegrityError | None
) -> Verdict:
    """The version is what its record says, and its record what the release says that made it live.

    Args:
        release: the newest one of this version; None if it has never been judged.
        observed: what the version holds; None if nothing can be read of it.
        damage: why the version does not open as it should, if so.
    """
    rows: list[dict[str, Any]] = []
    if damage is not None:
        rows.append({"problem": damage.message})
    if release is not None:
        edited = [name for name in IN_BOTH if getattr(release, name) != getattr(record, name)]
        rows += [{"problem": f"the record of {record.version} has another {name} than its release"} for name in edited]
    if record.batch_roots and version_root(record.batch_roots) != record.merkle_root:
        rows.append({"problem": f"the roots of the batches in the record of {record.version} do not give its own"})
    roots = observed.roots() if observed is not None else {}
    if observed is not None and (roots != dict(record.batch_roots) or len(observed.hashes) != record.points):
        wrong = sorted(
            batch for batch in {*roots, *record.batch_roots} if roots.get(batch) != record.batch_roots.get(batch)
        )
        problem = "the points of this batch are not those that were sealed"
        rows += [{"batch": batch, "problem": problem} for batch in wrong]
        if len(observed.hashes) != record.points:
            rows.append({"problem": f"{len(observed.hashes)} points are there, {record.points} were sealed"})
    root = version_root(roots)
    return verdict(
        "version_sealed",
        rows,
        passed=f"The Merkle root over {record.points} points in {len(roots)} batches is {root[:16]}…, as recorded.",
        failed=damage.message if damage is not None else "The version is not what was sealed: {count} things differ.",
        remedy="Run `ragflow rollback`, or `ragflow ingest --rebuild` to build and prove a new version.",
        figure=None if observed is None else len(observed.hashes),
        threshold=record.points,
    )


def read_and_check_seal(workspace: Workspace, record: VersionRecord) -> Verdict:
    """Read a version, and hold it against its record and its release."""
    observed, damage = observe(workspace, record.version)
    return version_sealed(record, newest_release(workspace, record.version), observed, damage)


def newest_release(workspace: Workspace, version: str) -> ReleaseRecord | None:
    """Return the newest decision about a version; None if there is none, or the records are damaged, which
    :func:`releases_chained` tells."""
    try:
        records = workspace.home.releases.all()
    except IntegrityError:
        return None
    return next((record for record in reversed(records) if record.version == version), None)


def read_manifests(workspace: Workspace, record: VersionRecord) -> tuple[list[BatchManifest], list[Verdict]]:
    """Return the manifests that a version was built from, and the verdicts on them."""
    try:
        every = workspace.home.manifests.all()
        check_chain(every)
        missing = set(record.batches) - {manifest.key for manifest in every}
        if missing:
            raise IntegrityError(
                f"The manifests of {sorted(missing)} are missing.", remedy="Restore them from a backup."
            )
    except IntegrityError as error:
        readable = [manifest for key in record.batches if (manifest := _readable(workspace, key)) is not None]
        return readable, [_broken("manifests_chained", error)]
    summary = f"The chain of {len(every)} batches is unbroken."
    verdicts = [
        Verdict("manifests_chained", Outcome.PASS, summary, figure=0, threshold=0),
        batches_complete(every, record),
    ]
    return [manifest for manifest in every if manifest.key in record.batches], verdicts


def _readable(workspace: Workspace, key: str) -> BatchManifest | None:
    try:
        return workspace.home.manifests.get(key)
    except (IntegrityError, NotFoundError):
        # Already reported as a broken chain; the other batches are still worth checking.
        return None


def releases_chained(workspace: Workspace, live: str | None) -> Verdict:
    """The release records are an unbroken chain, and the last that moved the alias says what is live."""
    try:
        records = workspace.home.releases.all()
    except IntegrityError as error:
        return _broken("releases_chained", error)
    problems = _edited_since(workspace, records)
    if problems:
        remedy = "Restore the release records from a backup."
        return verdict("releases_chained", problems, passed="", failed=problems[0]["problem"] + ".", remedy=remedy)
    moved = next((record for record in reversed(records) if record.moved_alias), None)
    said = moved.live_after if moved else None
    if said != live:
        problem = f"{live or 'nothing'} is live, but the last release record says {said or 'nothing'}"
        return Verdict(
            "releases_chained",
            Outcome.FAIL,
            f"{problem}.",
            figure=1,
            threshold=0,
            remedy=f"Run `ragflow rollback {said}` or `ragflow promote {live}` to make a proven version live.",
            rows=({"problem": problem},),
        )
    return Verdict(
        "releases_chained",
        Outcome.PASS,
        f"{len(records)} release records form an unbroken chain.",
        figure=0,
        threshold=0,
    )


def _edited_since(workspace: Workspace, records: Sequence[ReleaseRecord]) -> list[dict[str, Any]]:
    """Return the promotions that are not those of which the canaries were asked: their records repeat its hash."""
    problems = []
    for record in records:
        try:
            said = workspace.home.canaries.find(record.number)
        except IntegrityError as error:
            problems.append({"problem": error.message.removesuffix(".")})
            continue
        if said is not None and said.release_sha256 != workspace.home.releases.hash_of(record.number):
            problems.append({"problem": f"release record {record.number} was edited after its canaries were asked"})
    return problems


def _broken(name: str, error: IntegrityError) -> Verdict:
    rows = ({"problem": error.message},)
    return Verdict(name, Outcome.FAIL, error.message, figure=1, threshold=0, remedy=error.remedy, rows=rows)


def batches_complete(manifests: Sequence[BatchManifest], record: VersionRecord) -> Verdict:
    """The version was built from every batch that there was when it was built; later ones do not matter."""
    newest = max((m.sequence for m in manifests if m.key in record.batches), default=0)
    missing = [
        manifest
        for manifest in manifests
        if manifest.key not in record.batches and (manifest.sequence < newest or manifest.created_at < record.built_at)
    ]
    return verdict(
        "batches_complete",
        [{"batch": manifest.key, "problem": f"{len(manifest.documents)} changes are left out"} for manifest in missing],
        passed=f"The version was built from all {len(record.batches)} batches that there were.",
        failed="{count} batches were left out of the version.",
        remedy="Run `ragflow ingest --rebuild`.",
        figure=len(missing),
        threshold=0,
    )


def tables_intact(workspace: Workspace, batches: Sequence[str]) -> Verdict:
    """The tables are those that the version was built from, byte for byte.

    Args:
        workspace: with the tables of the version, see :meth:`ragflow.pipeline.workspace.Workspace.at`.
    """
    tables = workspace.home.tables
    failures: list[dict[str, Any]] = []
    files = 0
    with ThreadPoolExecutor(HASHING_THREADS) as threads:
        records = []
        for asset in STAGES:
            for batch in batches:
                try:
                    records.append(tables.get(asset, batch))
                except IntegrityError as error:
                    failures.append({"batch": batch, "asset": asset, "problem": error.message})
        for number, (record, damage) in enumerate(zip(records, threads.map(tables.damage, records), strict=True)):
            report("hash tables", number + 1, len(records))
            files += len(record.files)
            failures += [
                {"batch": record.batch, "asset": record.asset, "table": name, "problem": problem}
                for name, problem in damage.items()
            ]
    return verdict(
        "tables_intact",
        failures,
        passed=f"All {files} tables of {len(batches)} batches are those that the version was built from.",
        failed="{count} tables are not those that the version was built from.",
        remedy="Restore them from a backup, or run `ragflow ingest --rebuild`.",
        figure=len(failures),
        threshold=0,
    )


def blobs_intact(workspace: Workspace, corpus: Corpus) -> Verdict:
    """The stored bytes of every document that is in the version hash to their names."""
    names = {state.sha256: key for key, state in sorted(corpus.documents.items(), reverse=True) if state.sha256}
    hashes = sorted(names)
    failures: list[dict[str, Any]] = []
    with ThreadPoolExecutor(HASHING_THREADS) as threads:
        for number, problem in enumerate(threads.map(workspace.home.blobs.verify, hashes)):
            report("hash documents", number + 1, len(hashes))
            sha256 = hashes[number]
            if problem is not None and not _never_stored(workspace, corpus.homes[sha256], sha256):
                failures.append({"document": names[sha256], "problem": problem})
    return verdict(
        "blobs_intact",
        failures,
        passed=f"The bytes of all {len(hashes)} stored documents match their hashes.",
        failed="The stored bytes of {count} documents are damaged.",
        remedy="Restore the named documents from a backup, or put the right files back into the source and"
        " materialize raw_pdfs again.",
        figure=len(failures),
        threshold=0,
    )


def _never_stored(workspace: Workspace, batch: str, sha256: str) -> bool:
    """Whether the ledger tells why the bytes of a content are not there."""
    tables = workspace.home.tables
    try:
        rows = tables.rows(tables.get(RAW_PDFS, batch), "documents", [("document_sha256", "==", sha256)]).to_pylist()
    except IntegrityError:
        return False
    return bool(rows) and all(is_missing_by_design(row["reason"]) for row in rows)
