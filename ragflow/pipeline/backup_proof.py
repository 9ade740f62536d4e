"""Prove a backup: read it back, restore its version elsewhere from the points and from the snapshot, and compare.

- ``backup_complete``  every object is there and hashes to its name; nothing that the version needs is left out
- ``backup_points``    the version made of the points has the Merkle roots that its release record seals
- ``backup_snapshot``  so has the version made of the engine's snapshot
- ``backup_queries``   both answer questions as the original does
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ragflow.errors import DependencyMissingError, IntegrityError, NotFoundError, RagflowError, UsageError
from ragflow.model.backups import BackupFile, BackupManifest, Part
from ragflow.model.batches import check_chain, fold
from ragflow.model.releases import ReleaseRecord, VersionRecord
from ragflow.model.verdicts import Outcome, Verdict, verdict
from ragflow.pipeline.asking import draw_questions
from ragflow.pipeline.backup_sources import missing_by_design, relative, version_manifests
from ragflow.pipeline.backup_versions import fetch_file, load_points, load_snapshot, scratch_name
from ragflow.pipeline.observed import read_points
from ragflow.pipeline.progress import report
from ragflow.pipeline.retrieval_quality import ask
from ragflow.pipeline.sealing import newest_release, version_sealed
from ragflow.pipeline.stages import RAW_PDFS, STAGES
from ragflow.pipeline.workspace import Workspace
from ragflow.quality.readiness import Answers
from ragflow.store.backups import BackupTarget
from ragflow.store.home import Home
from ragflow.vectors.protocols import CollectionSettings

log = logging.getLogger(__name__)

READING_THREADS = 4
FIRST_HITS = 10
"""Hits of a question that are compared."""
SAME_WITH_GRAPH = 0.95
"""Share of the first hits that must be the same where search is approximate: a graph is never built twice alike."""

Loading = Callable[[BackupTarget, BackupManifest, Any, str], None]


def prove(
    workspace: Workspace, target: BackupTarget, manifest: BackupManifest, read_back: Collection[str] = ()
) -> tuple[Verdict, ...]:
    """Return the verdicts on a backup.

    Args:
        workspace: with the home that was backed up, whose version is asked the same questions.
        read_back: objects that have been read and found right a moment ago.
    """
    with TemporaryDirectory(prefix="ragflow-proof-") as folder:
        root = Path(folder)
        complete = is_complete(workspace, target, manifest, root / "records", read_back)
        if not complete.passed:
            return (complete,)
        scratch = Home(root / "records")
        record = scratch.version_records.find(manifest.version)
        assert record is not None, "it is complete"
        sealed = _Sealed(record, newest_release(replace(workspace, home=scratch), record.version))
        try:
            questions = draw_questions(workspace, manifest.version)
            before: Answers | None = ask(workspace, questions, manifest.version)
            why = ""
        except (UsageError, DependencyMissingError) as error:
            # A version of another model can be restored, but not asked.
            before, why = None, error.message
        proven = _Proven(workspace, target, manifest, sealed, before, root)
        verdicts = [complete, proven.loaded("backup_points", "points", load_points)]
        if manifest.of(Part.SNAPSHOT):
            verdicts.append(proven.loaded("backup_snapshot", "snapshot", load_snapshot))
        return (*verdicts, _queries(before, proven.answers, _is_exact(manifest), why))


def is_complete(
    workspace: Workspace,
    target: BackupTarget,
    manifest: BackupManifest,
    root: Path,
    read_back: Collection[str] = (),
) -> Verdict:
    """Every object of a backup is intact, and what its version needs is among its files.

    Args:
        root: an empty or missing folder, into which the records and manifests are put.
    """
    rows = damaged_objects(target, manifest.files, read_back)
    if not rows:
        try:
            put_records(target, manifest, root)
            rows = _left_out(workspace, target, manifest, Home(root))
        except (IntegrityError, NotFoundError) as error:
            rows = [{"problem": error.message}]
    return verdict(
        "backup_complete",
        rows,
        passed=f"All {len(manifest.files)} files are there and hash to what was recorded.",
        failed="{count} files are missing or damaged"
        + (f", the first: {rows[0].get('file', '')} {rows[0]['problem']}." if rows else "."),
        remedy="Run `ragflow backup` again: it writes what is damaged or missing anew.",
        threshold=0,
    )


def damaged_objects(
    target: BackupTarget, files: Sequence[BackupFile], read_back: Collection[str] = ()
) -> list[dict[str, Any]]:
    """Read every object that files consist of; return a row for each that is missing or damaged."""
    distinct = list({file.object: file for file in files if file.object not in read_back}.values())
    rows = []
    with ThreadPoolExecutor(READING_THREADS) as threads:
        problems = threads.map(lambda file: target.problem_of(file.object, file.stored), distinct)
        for number, (file, problem) in enumerate(zip(distinct, problems, strict=True), start=1):
            report("read backup", number, len(distinct))
            if problem is not None:
                rows.append({"file": f"{file.part}/{file.path}", "problem": problem})
    return rows


def put_records(target: BackupTarget, manifest: BackupManifest, root: Path) -> None:
    """Write the small files of a backup, which say what else there must be, below ``root``."""
    for file in manifest.of(Part.HOME):
        if file.path.endswith((".json", ".jsonl")):
            fetch_file(target, file, root / file.path)


def _left_out(workspace: Workspace, target: BackupTarget, manifest: BackupManifest, home: Home) -> list[dict[str, Any]]:
    """Return what the version needs and the backup does not have, going by the records in the backup.

    Raises:
        IntegrityError: the records in the backup are damaged, or no chain.
    """
    record = home.version_records.find(manifest.version)
    if record is None or (record.points, record.merkle_root) != (manifest.points, manifest.merkle_root):
        return [{"problem": f"the record of {manifest.version} is missing, or is not that of the backup's points"}]
    home.releases.all()
    manifests = version_manifests(home, record)
    check_chain(manifests)
    there = {file.path: file.sha256 for file in manifest.of(Part.HOME)}
    wanted = _wanted_tables(home, record)
    corpus = fold(manifests)
    if manifest.documents:
        contents = {state.sha256 for state in corpus.documents.values() if state.sha256}
        wanted |= {relative(home, home.blobs.path(sha256)): sha256 for sha256 in contents}
    rows = [
        {"file": path, "problem": "is not in the backup"}
        for path, sha256 in sorted(wanted.items())
        if there.get(path) != sha256 and not path.startswith("blobs/")
    ]
    for path, sha256 in sorted(wanted.items()):
        if path.startswith("blobs/") and path not in there:
            _put_documents_table(target, manifest, home, record, corpus.homes[sha256])
            if not missing_by_design(replace(workspace, home=replace(home, pins=record.tables)), corpus, sha256):
                rows.append({"file": path, "problem": "is not in the backup"})
    if sum(file.rows or 0 for file in manifest.of(Part.POINTS)) != record.points:
        rows.append({"problem": f"the files of points do not have {record.points} rows"})
    return rows


def _wanted_tables(home: Home, record: VersionRecord) -> dict[str, str]:
    """Return path → hash of the tables that a version was built from, going by their records."""
    tables = replace(home, pins=record.tables).tables
    wanted = {}
    for asset in STAGES:
        for batch in record.batches:
            kept = tables.get(asset, batch)
            for file in kept.files.values():
                wanted[relative(home, tables.folder(asset, batch) / file.file)] = file.sha256
    return wanted


def _put_documents_table(
    target: BackupTarget, manifest: BackupManifest, home: Home, record: VersionRecord, batch: str
) -> None:
    tables = replace(home, pins=record.tables).tables
    path = tables.folder(RAW_PDFS, batch) / tables.get(RAW_PDFS, batch).files["documents"].file
    for file in manifest.of(Part.HOME):
        if file.path == relative(home, path) and not path.exists():
            fetch_file(target, file, path)


@dataclass(frozen=True, slots=True)
class _Sealed:
    """What a version must be, by the records in the backup."""

    record: VersionRecord
    release: ReleaseRecord | None


class _Proven:
    """Restores the version in scratch homes; ``answers`` has what each of them answered."""

    def __init__(
        self,
        workspace: Workspace,
        target: BackupTarget,
        manifest: BackupManifest,
        sealed: _Sealed,
        before: Answers | None,
        root: Path,
    ) -> None:
        self._workspace = workspace
        self._target = target
        self._manifest = manifest
        self._sealed = sealed
        self._before = before
        self._root = root
        self.answers: dict[str, Answers] = {}

    def loaded(self, name: str, what: str, load: Loading) -> Verdict:
        """Restore the version from its points or its snapshot, and hold it against what was sealed."""
        workspace = replace(self._workspace, home=Home(self._root / what))
        record = self._sealed.record
        try:
            with self._undisturbed(workspace), _scratch(workspace, self._target, self._manifest, load) as version:
                with workspace.versions().open(version) as reader:
                    observed = read_points(reader)
                found = version_sealed(record, self._sealed.release, observed, None)
                if self._before is not None and found.passed:
                    asked = [answer.question for answer in self._before.answers]
                    self.answers[what] = ask(workspace, asked, version)
        except RagflowError as error:
            rows = ({"problem": error.message},)
            log.error("a backup does not restore", extra={"backup": self._manifest.name, "problem": error.message})
            return Verdict(name, Outcome.FAIL, error.message, 0, record.points, "Take another backup.", rows)
        if not found.passed:
            return replace(found, name=name, remedy="Take another backup.")
        return Verdict(
            name,
            Outcome.PASS,
            f"Restored from the {what}, {len(observed.hashes)} points have the Merkle root {record.merkle_root[:16]}….",
            figure=len(observed.hashes),
            threshold=record.points,
        )

    def _undisturbed(self, scratch: Workspace) -> AbstractContextManager[None]:
        """Where all versions live on one server, whatever the home, keep others from taking the same free name."""
        shared = self._manifest.version in scratch.versions().versions()
        return self._workspace.home.lock("release").held() if shared else nullcontext()


@contextmanager
def _scratch(workspace: Workspace, target: BackupTarget, manifest: BackupManifest, load: Loading) -> Iterator[str]:
    """Give a restored version in a home of its own, and remove it."""
    store = workspace.versions()
    version = scratch_name(store, manifest.version)
    load(target, manifest, store, version)
    try:
        yield version
    finally:
        store.discard(version)


def _is_exact(manifest: BackupManifest) -> bool:
    settings = CollectionSettings(**manifest.collection)
    return manifest.points < settings.index_from_points and settings.quantization == "none"


def _queries(before: Answers | None, after: dict[str, Answers], exact: bool, why: str) -> Verdict:
    """The restored versions answer as the original does."""
    if before is None or not before.answers:
        return Verdict(
            "backup_queries",
            Outcome.WARN,
            f"Nothing was asked: {why or 'there are no questions that the version can answer'}.",
            remedy="Write golden queries, or leave `known_items` on.",
        )
    rows: list[dict[str, Any]] = []
    least = 1.0
    for what, answers in sorted(after.items()):
        threshold = SAME_WITH_GRAPH if what == "points" and not exact else 1.0
        shares = []
        for old, new in zip(before.answers, answers.answers, strict=True):
            first, then = old.found[:FIRST_HITS], new.found[:FIRST_HITS]
            shares.append(sum(a == b for a, b in zip(first, then, strict=False)) / max(len(first), len(then), 1))
            if shares[-1] < 1.0:
                rows.append({"restored_from": what, "question": old.question.text, "same": round(shares[-1], 3)})
        share = sum(shares) / len(shares)
        least = min(least, share)
        if share >= threshold:
            rows = [row for row in rows if row["restored_from"] != what]
    if not after:
        rows.append({"problem": "no restored version could be asked"})
    return verdict(
        "backup_queries",
        rows,
        passed=f"{len(before.answers)} questions find the same in what was restored as in the original.",
        failed="{count} questions find something else in what was restored.",
        remedy="Take another backup; if it comes again, run `ragflow verify --deep`.",
        figure=round(least, 4),
        threshold=1.0 if exact else SAME_WITH_GRAPH,
    )
