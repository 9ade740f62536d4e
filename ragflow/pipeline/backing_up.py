"""Back a collection version up, with everything that it stands on; what is not proven is not called a backup.

Objects come first, then the manifest, then the proof. A backup that was killed on the way leaves the others as they
were, and the next one finds the objects that it had written.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import ragflow
from ragflow.errors import CheckFailedError, IntegrityError, NotFoundError, UsageError
from ragflow.model.backups import (
    BackupFile,
    BackupManifest,
    BackupProof,
    BackupState,
    Retention,
    check_backup_name,
    manifest_sha256,
)
from ragflow.model.releases import VersionRecord
from ragflow.model.verdicts import Verdict
from ragflow.pipeline.backup_proof import prove
from ragflow.pipeline.backup_sources import Source, home_sources, points_file
from ragflow.pipeline.backup_versions import export_points, export_snapshot
from ragflow.pipeline.examination import find_version
from ragflow.pipeline.observed import Observed, read_points
from ragflow.pipeline.progress import report
from ragflow.pipeline.release import live_version
from ragflow.pipeline.sealing import newest_release, version_sealed
from ragflow.pipeline.workspace import Workspace
from ragflow.store.backups import BackupTarget, Swept, newest_first, open_target
from ragflow.store.forgotten import Kind

log = logging.getLogger(__name__)

COPYING_THREADS = 4


@dataclass(frozen=True, slots=True)
class BackupReport:
    """What a backup cost, and what came of proving it.

    Attributes:
        target, name: where it is.
        version, points: what was backed up.
        files: in the manifest.
        size: bytes that are stored for it, shared with other backups or not.
        bytes_written, objects_written: that were not there yet.
        objects_reused: that were.
        verdicts: of the proof; all passed.
        removed: backups that retention removed.
        swept: objects that were removed with them; None if nothing was to be swept, or a backup was being written.
        holding_forgotten: other backups of the target that hold documents which have been forgotten here.
    """

    target: str
    name: str
    version: str
    points: int
    files: int
    size: int
    bytes_written: int
    objects_written: int
    objects_reused: int
    verdicts: tuple[Verdict, ...]
    removed: tuple[str, ...]
    swept: Swept | None
    holding_forgotten: tuple[str, ...]
    seconds: float


@dataclass(frozen=True, slots=True)
class BackupEntry:
    """One line of a list of backups; of one whose manifest is damaged, only name and state are known."""

    name: str
    state: BackupState
    version: str = ""
    points: int = 0
    size: int = 0
    created_at: str = ""
    engine: str = ""
    engine_version: str = ""
    documents: bool = False
    problems: tuple[str, ...] = ()


def back_up(
    workspace: Workspace,
    target: str,
    *,
    version: str | None = None,
    documents: bool = True,
    name: str | None = None,
    retention: Retention | None = None,
) -> BackupReport:
    """Back a version up and prove that it can be restored; then remove what retention lets go.

    Args:
        target: a folder, or the URL of a bucket.
        version: None: the live one.
        documents: the documents themselves as well; without them only a home that still has them can be restored.
        name: of the backup; None: made of the time and the version.
        retention: None: every backup is kept.

    Raises:
        NotFoundError: nothing is live, or there is no such version.
        IntegrityError: something that belongs to the version is missing or damaged: there is no new backup then.
        CheckFailedError: the backup could not be proven, and is marked as bad.
        UsageError: the target or the name cannot be used.
    """
    started = time.monotonic()
    place = open_target(target)
    _check_outside(workspace, place)
    version = version or live_version(workspace)
    if version is None:
        raise NotFoundError("Nothing is live yet.", remedy="Run `ragflow ingest` first, or name a version.")
    now = datetime.now(UTC)
    name = check_backup_name(name or f"{now:%Y%m%dT%H%M%S%fZ}-{version}")
    with place.writing(name):
        copier = _Copier(place)
        manifest = _write(workspace, copier, name, version, now, documents)
        proof = _prove(workspace, copier, manifest)
    if not proof.passed:
        failed = [verdict for verdict in proof.verdicts if not verdict.passed]
        raise CheckFailedError(
            f"Backup {name} of {version} in {place.address} is bad, and marked so: "
            + " ".join(f"{verdict.name}: {verdict.summary}" for verdict in failed),
            remedy=failed[0].remedy or "Run it again.",
        )
    removed, swept = retain(place, retention) if retention is not None else ((), None)
    log.info("backed up", extra={"backup": name, "version": version, "bytes_written": copier.bytes_written})
    return BackupReport(
        target=place.address,
        name=name,
        version=version,
        points=manifest.points,
        files=len(manifest.files),
        size=manifest.size,
        bytes_written=copier.bytes_written,
        objects_written=copier.objects_written,
        objects_reused=len(copier.read_back) - copier.objects_written,
        verdicts=proof.verdicts,
        removed=removed,
        swept=swept,
        holding_forgotten=_holding(place, workspace.home.absences.contents(Kind.FORGOTTEN)),
        seconds=round(time.monotonic() - started, 2),
    )


def _holding(place: BackupTarget, forgotten: frozenset[str]) -> tuple[str, ...]:
    """Return the backups that hold one of these contents."""
    found = []
    for name in place.names() if forgotten else ():
        with suppress(IntegrityError):  # of a damaged manifest nothing can be told; the list shows it as bad
            if any(file.sha256 in forgotten for file in place.manifest(name).files):
                found.append(name)
    return tuple(found)


def list_backups(target: str) -> list[BackupEntry]:
    """Return all backups of a target, the newest first; those whose manifest is damaged last.

    Raises:
        NotFoundError: there are none.
    """
    place = open_target(target, existing=True)
    manifests, damaged = [], []
    for name in place.names():
        try:
            manifests.append(place.manifest(name))
        except IntegrityError as error:
            damaged.append(BackupEntry(name, BackupState.BAD, problems=(error.message,)))
    return [*(_entry(place, manifest) for manifest in newest_first(manifests)), *damaged]


def _entry(place: BackupTarget, manifest: BackupManifest) -> BackupEntry:
    problems: tuple[str, ...] = ()
    try:
        proof = place.proof(manifest.name)
        problems = tuple(v.summary for v in proof.verdicts if not v.passed) if proof else ()
    except IntegrityError as error:
        problems = (error.message,)
    return BackupEntry(
        name=manifest.name,
        state=place.state(manifest.name),
        version=manifest.version,
        points=manifest.points,
        size=manifest.size,
        created_at=manifest.created_at,
        engine=manifest.engine,
        engine_version=manifest.engine_version,
        documents=manifest.documents,
        problems=problems,
    )


def _check_outside(workspace: Workspace, place: BackupTarget) -> None:
    if place.folder is not None and place.folder.resolve().is_relative_to(workspace.home.root.resolve()):
        raise UsageError(
            f"{place.address} lies in the home folder: it would be lost with it.",
            remedy="Back up to another folder, best on another disk.",
        )


@dataclass(slots=True)
class _Copier:
    """Stores objects and counts what it wrote.

    Attributes:
        read_back: hashes of all objects that were read and found right, whoever wrote them.
    """

    place: BackupTarget
    read_back: set[str] = field(default_factory=set)
    bytes_written: int = 0
    objects_written: int = 0

    def store(self, file: BackupFile, content: Path | bytes) -> BackupFile:
        """Store what a file consists of.

        Raises:
            IntegrityError: it has other bytes than were recorded.
        """
        if file.object not in self.read_back:
            self._count(file, self.place.ensure(file.object, file.stored, content))
        return file

    def store_all(self, sources: Iterable[Source]) -> list[BackupFile]:
        """Store many files, several at a time."""
        sources = list(sources)
        distinct = list({s.file.object: s for s in sources if s.file.object not in self.read_back}.values())
        with _threads() as threads:
            written = threads.map(lambda s: self.place.ensure(s.file.object, s.file.stored, s.content), distinct)
            for number, (source, new) in enumerate(zip(distinct, written, strict=True), start=1):
                self._count(source.file, new)
                report("back up files", number, len(distinct))
        return [source.file for source in sources]

    def _count(self, file: BackupFile, written: bool) -> None:
        self.read_back.add(file.object)
        self.objects_written += written
        self.bytes_written += file.stored if written else 0


@contextmanager
def _threads() -> Iterator[ThreadPoolExecutor]:
    """A pool that, on an error, does not go on with what has not been begun."""
    pool = ThreadPoolExecutor(COPYING_THREADS)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def _write(
    workspace: Workspace, copier: _Copier, name: str, version: str, now: datetime, documents: bool
) -> BackupManifest:
    """Store every object of a backup, then its manifest."""
    with workspace.home.lock("release").held():
        record = find_version(workspace, version)
        sources = home_sources(workspace, record, documents=documents)
    store = workspace.versions()
    settings = store.settings(version)
    # The engine's copy comes first: from then on it does not matter if the version is pruned.
    files = _snapshot(workspace, copier, version)
    with store.open(version) as reader, TemporaryDirectory(prefix="ragflow-backup-") as folder:
        observed = read_points(reader)
        _check_sealed(workspace, record, observed)
        for path, at, rows in export_points(reader, observed, settings.dimension, Path(folder)):
            source = points_file(path, at, rows)
            files.append(copier.store(source.file, source.content))
            at.unlink()
    files += copier.store_all(sources)
    manifest = BackupManifest(
        name=name,
        created_at=now.isoformat(timespec="microseconds"),
        made_by=ragflow.__version__,
        version=version,
        points=record.points,
        merkle_root=record.merkle_root,
        engine=store.engine,
        engine_version=store.engine_version,
        collection=settings.to_dict(),
        documents=documents,
        files=tuple(sorted(files, key=lambda file: (file.part, file.path))),
    )
    copier.place.put_manifest(manifest)
    return manifest


def _snapshot(workspace: Workspace, copier: _Copier, version: str) -> list[BackupFile]:
    with TemporaryDirectory(prefix="ragflow-backup-") as folder:
        return [
            copier.store(file, packed) for file, packed in export_snapshot(workspace.versions(), version, Path(folder))
        ]


def _check_sealed(workspace: Workspace, record: VersionRecord, observed: Observed) -> None:
    sealed = version_sealed(record, newest_release(workspace, record.version), observed, None)
    if not sealed.passed:
        raise IntegrityError(
            f"Version {record.version} is not what was recorded, so it is not backed up: {sealed.summary}",
            remedy=sealed.remedy,
        )


def _prove(workspace: Workspace, copier: _Copier, manifest: BackupManifest) -> BackupProof:
    """Prove a backup from what lies in the target, and store what came of it."""
    started = time.monotonic()
    place = copier.place
    written = place.manifest(manifest.name)
    verdicts = prove(workspace, place, written, frozenset(copier.read_back))
    proof = BackupProof(
        name=manifest.name,
        manifest_sha256=manifest_sha256(written.to_json()),
        proven_at=datetime.now(UTC).isoformat(timespec="seconds"),
        seconds=round(time.monotonic() - started, 2),
        verdicts=verdicts,
    )
    place.put_proof(proof)
    return proof


def retain(place: BackupTarget, retention: Retention) -> tuple[tuple[str, ...], Swept | None]:
    """Remove the backups that retention lets go, then the objects that no manifest names."""
    let_go = _let_go(place, retention)
    for name in let_go:
        place.remove(name)
        log.info("backup removed", extra={"backup": name})
    return let_go, place.sweep()


def _let_go(place: BackupTarget, retention: Retention) -> tuple[str, ...]:
    """Return the backups that retention removes: good ones that are too many and too old, and bad or unproven ones that
    a good one has come after. The newest good one is never among them."""
    if retention.count is None and retention.days is None:
        return ()
    writing = set(place.being_written())
    readable, damaged = [], []
    for name in place.names():
        try:
            readable.append(place.manifest(name))
        except IntegrityError:
            damaged.append(name)
    ordered = newest_first(readable)
    good = [manifest for manifest in ordered if place.state(manifest.name) is BackupState.GOOD]
    if not good:
        return ()
    oldest_kept = datetime.now(UTC) - timedelta(days=retention.days) if retention.days is not None else None
    gone = [
        manifest.name
        for rank, manifest in enumerate(good, start=1)
        if rank > max(retention.count or 1, 1)
        and (oldest_kept is None or datetime.fromisoformat(manifest.created_at) < oldest_kept)
    ]
    names = {manifest.name for manifest in good}
    gone += [
        manifest.name
        for manifest in ordered
        if manifest.name not in names and manifest.created_at < good[0].created_at and manifest.name not in writing
    ]
    return tuple(sorted([*gone, *(name for name in damaged if name not in writing)]))
