"""Remove what no kept release needs: versions, generations of tables, document bytes, and what dead processes left.

What is kept decides everything: first the versions, then the tables and the bytes that these and the archive as it is
now stand on. What goes is marked first and removed then, so that a kill at any moment leaves whole what is kept; the
next time sweeps up the rest.
"""

from __future__ import annotations

import logging
import os
import shutil
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ragflow.errors import (
    CheckFailedError,
    IntegrityError,
    NotFoundError,
    RagflowError,
    ServiceUnavailableError,
    UsageError,
)
from ragflow.model.batches import BatchManifest, fold
from ragflow.model.releases import Decision, ReleaseRecord
from ragflow.pipeline import ocr_text
from ragflow.pipeline.release import finish_interrupted, version_before
from ragflow.pipeline.stages import OCR_TEXT, RAW_PDFS, STAGES
from ragflow.pipeline.workspace import Workspace
from ragflow.store.atomic import TEMPORARY_PREFIX
from ragflow.store.forgotten import Kind
from ragflow.store.home import Home
from ragflow.store.tables import KEPT, PARTIAL, RECORD, Pins, TableRecord
from ragflow.vectors.files import allocated_bytes
from ragflow.vectors.views import SWEEP_AFTER_SECONDS, remove_view

log = logging.getLogger(__name__)

UNFINISHED_SECONDS = 24 * 3600.0
"""Unfinished work that is younger may be going on."""
OWN_FOLDERS = ("manifests", "inventory", "blobs", "tables", "rereads", "releases", "forgotten", "secrets", "vectors")
"""Where atomic writes leave temporaries; sources and Dagster's storage are none of our business."""


@dataclass(frozen=True, slots=True)
class PruneOptions:
    """How much is kept.

    Attributes:
        versions: how many of the versions that were promoted, the newest first; what is live, and what a rollback
            would go to, is kept besides.
        rejected_days: for how long a candidate that did not go live is kept for a look.
        dry_run: say what would go, and change nothing.
    """

    versions: int = 3
    rejected_days: int = 14
    dry_run: bool = False

    def __post_init__(self) -> None:
        if self.versions < 0 or self.rejected_days < 0:
            raise UsageError(
                f"{min(self.versions, self.rejected_days)} cannot be kept.", remedy="Name 0 or a larger number."
            )


@dataclass(frozen=True, slots=True)
class Freed:
    """A thing that went (or would go). ``size``: bytes that the file system gives back, about."""

    kind: str
    name: str
    size: int


@dataclass(frozen=True, slots=True)
class Kept:
    """A thing that stays, and why."""

    kind: str
    name: str
    why: str


@dataclass(frozen=True, slots=True)
class PruneReport:
    """What went, and what is kept.

    Attributes:
        dry_run: whether it only would have gone.
        freed: one entry for each thing.
        kept: versions, and what else might have been expected to go.
    """

    dry_run: bool
    freed: tuple[Freed, ...]
    kept: tuple[Kept, ...]

    @property
    def by_kind(self) -> dict[str, tuple[int, int]]:
        """Return kind → (how many, bytes)."""
        sums: dict[str, tuple[int, int]] = {}
        for thing in self.freed:
            count, size = sums.get(thing.kind, (0, 0))
            sums[thing.kind] = (count + 1, size + thing.size)
        return sums

    @property
    def size(self) -> int:
        """Return the bytes of everything that went."""
        return sum(thing.size for thing in self.freed)


def prune(workspace: Workspace, options: PruneOptions | None = None) -> PruneReport:
    """Remove what no kept release needs. A second time, there is nothing left to do.

    Raises:
        IntegrityError: release records, manifests or the alias are damaged: what is needed cannot be told, and
            nothing is removed.
    """
    options = options or PruneOptions()
    with nullcontext() if options.dry_run else workspace.home.lock("release").held():
        if not options.dry_run:
            finish_interrupted(workspace)
        report = _Pruning(workspace, options).report()
    log.info("pruned", extra={"dry_run": options.dry_run, "things": len(report.freed), "bytes": report.size})
    return report


def kept_versions(workspace: Workspace, options: PruneOptions) -> dict[str, str]:
    """Return the complete versions that are kept → why, for a person.

    Raises:
        IntegrityError: the release records or the alias are damaged.
    """
    records = workspace.home.releases.all()
    complete = workspace.versions().versions()
    reasons: dict[str, str] = {}

    def keep(version: str | None, why: str) -> None:
        if version in complete:
            reasons.setdefault(str(version), why)

    alias = workspace.versions().alias()
    live = alias.version if alias else None
    keep(live, "is live")
    # A release that was killed between its record and the alias is finished by whoever comes next.
    keep(next((r.live_after for r in reversed(records) if r.moved_alias), None), "is about to be live")
    try:
        keep(version_before(workspace, records, live), "is what a rollback would go to")
    except NotFoundError:
        log.debug("there is nothing that a rollback would go to")
    promoted = dict.fromkeys(r.version for r in reversed(records) if r.decision is Decision.PROMOTED)
    for version in [version for version in promoted if version in complete][: options.versions]:
        keep(version, f"is one of the {options.versions} newest that were promoted")
    since = datetime.now(UTC) - timedelta(days=options.rejected_days)
    for version in complete:
        at = _candidate_since(workspace, records, version)
        if version not in promoted and at is not None and at > since:
            keep(version, f"did not go live, and is younger than {options.rejected_days} days")
    return reasons


def _candidate_since(workspace: Workspace, records: Sequence[ReleaseRecord], version: str) -> datetime | None:
    """Return when a candidate was last judged, or built if it never was; None if nothing is known of it."""
    judged = next((r.decided_at for r in reversed(records) if r.version == version), None)
    record = workspace.home.version_records.find(version)
    at = judged or (record.built_at if record else None)
    return datetime.fromisoformat(at) if at else None


@dataclass(slots=True)
class _Pruning:
    """One pass; reads everything that decides before it removes anything."""

    workspace: Workspace
    options: PruneOptions
    freed: list[Freed] = field(default_factory=list)
    kept: list[Kept] = field(default_factory=list)

    def report(self) -> PruneReport:
        home = self.workspace.home
        reasons = kept_versions(self.workspace, self.options)
        self.kept += [Kept("version", version, why) for version, why in sorted(reasons.items())]
        records = [r for r in map(home.version_records.find, sorted(reasons)) if r is not None]
        needed = {sha for r in records for sha in _there(home.manifests.get(batch) for batch in r.batches)}
        self._versions(frozenset(reasons))
        swept = list(sweep_tables(self.workspace, [r.tables for r in records], dry_run=self.options.dry_run))
        self.freed += [thing for thing in swept if isinstance(thing, Freed)]
        self.kept += [thing for thing in swept if isinstance(thing, Kept)]
        self._blobs(needed)
        self._remains()
        return PruneReport(self.options.dry_run, tuple(self.freed), tuple(self.kept))

    def _versions(self, kept: frozenset[str]) -> None:
        home, versions = self.workspace.home, self.workspace.versions()
        folders = home.vectors / "versions"
        recorded = {record.version for record in home.version_records.all()}
        for version in sorted(set(versions.versions()) - kept):
            if version not in recorded and _age(folders / version) < UNFINISHED_SECONDS:
                self.kept.append(Kept("version", version, "was built a moment ago"))
            else:
                self._discard("version", version, versions.size_bytes(version))
        for version in unfinished_versions(self.workspace):
            # What has a record was complete once: it is the remains of a removal.
            if version not in recorded and _age(folders / version) < UNFINISHED_SECONDS:
                self.kept.append(Kept("unfinished version", version, "may be going on: it is younger than a day"))
            else:
                self._discard("unfinished version", version, allocated_bytes(folders / version))
        gone = {thing.name for thing in self.freed if thing.kind == "version"}
        for version in spare_records(self.workspace, gone=gone):
            path = home.version_records.root / f"{version}.json"
            self.freed.append(Freed("version record", version, path.stat().st_size))
            if not self.options.dry_run:
                home.version_records.remove(version)

    def _discard(self, kind: str, version: str, size: int) -> None:
        try:
            if not self.options.dry_run:
                self.workspace.versions().discard(version)
        except CheckFailedError as error:
            self.kept.append(Kept(kind, version, error.message))
        else:
            self.freed.append(Freed(kind, version, size))

    def _blobs(self, needed: set[str]) -> None:
        """Remove the bytes that neither a kept version nor the archive of now has.

        That they are gone on purpose is written down first: the tables of their home batch still name them.
        """
        home = self.workspace.home
        lock: AbstractContextManager[None] = home.lock("scan").held() if not self.options.dry_run else nullcontext()
        with lock:  # a document that comes back now is scanned when its bytes are gone, and is stored again
            manifests = home.manifests.all()
            needed |= _there(manifests)
            named = {change.sha256 for manifest in manifests for change in manifest.documents}
            spare = [sha256 for sha256 in home.blobs if len(sha256) == 64 and sha256 not in needed]
            spare = [s for s in spare if s in named or _age(home.blobs.path(s)) >= UNFINISHED_SECONDS]
            if not self.options.dry_run:
                why = "no kept version has it, and no document that is there now"
                home.absences.add([sha256 for sha256 in spare if sha256 in named], Kind.PRUNED, why)
            for sha256 in spare:
                self._unlink("document bytes", sha256, home.blobs.path(sha256))

    def _remains(self) -> None:
        """Remove what dead processes left, and caches of sources that have no document any more."""
        home = self.workspace.home
        for view in dead_views(home.vectors / "views", SWEEP_AFTER_SECONDS):
            self.freed.append(Freed("view", view.name, allocated_bytes(view)))
            if not self.options.dry_run:
                remove_view(view)
        sources = {key.split("/", 1)[0] for key in fold(home.manifests.all()).documents}
        caches = [path for path in home.inventory.root.glob("*.json") if path.stem not in sources]
        for kind, paths in (("temporary", temporaries(home)), ("inventory", caches)):
            for path in sorted(paths):
                if _age(path) >= UNFINISHED_SECONDS:
                    self._unlink(kind, path.relative_to(home.root).as_posix(), path)

    def _unlink(self, kind: str, name: str, path: Path) -> None:
        self.freed.append(Freed(kind, name, path.stat().st_size))
        if not self.options.dry_run:
            path.unlink(missing_ok=True)


def _there(manifests: Iterable[BatchManifest]) -> set[str]:
    """Return the contents of the documents that are there after these batches."""
    return {state.sha256 for state in fold(manifests).documents.values() if state.sha256 is not None}


def _age(path: Path) -> float:
    """Return the seconds since anything in a folder, or a file, was last written."""
    paths = [path, *path.rglob("*")] if path.is_dir() else [path]
    return time.time() - max(found.stat().st_mtime for found in paths)


def unfinished_versions(workspace: Workspace) -> list[str]:
    """Return the folders of versions that are not complete: of builds, and of removals, that were killed."""
    complete = set(workspace.versions().versions())
    return sorted(p.name for p in (workspace.home.vectors / "versions").glob("v[0-9]*") if p.name not in complete)


def spare_records(workspace: Workspace, *, gone: Collection[str] = ()) -> list[str]:
    """Return the versions of which only the record is left (``gone``: of which more is left now, but not for long).

    The highest number is not among them: as long as its record is there, no other version is given this number.
    """
    recorded = sorted(record.version for record in workspace.home.version_records.all())
    complete = set(workspace.versions().versions()) - set(gone)
    highest = max({*recorded, *complete}, default="")
    return [version for version in recorded if version not in complete and version != highest]


def dead_views(views: Path, older_than: float) -> list[Path]:
    """Return the views of processes that are no more; ``older_than``: seconds."""
    found = sorted(views.glob("[0-9]*-*")) if views.is_dir() else []
    return [
        view
        for view in found
        if not Path(f"/proc/{view.name.split('-')[0]}").exists() and time.time() - view.stat().st_mtime >= older_than
    ]


def temporaries(home: Home) -> Iterator[Path]:
    """Yield what atomic writes that were killed have left."""
    for name in OWN_FOLDERS:
        for parent, _, files in os.walk(home.root / name):
            yield from (Path(parent, file) for file in files if file.startswith(TEMPORARY_PREFIX))


def sweep_tables(
    workspace: Workspace,
    pins: Collection[Pins],
    *,
    dry_run: bool,
    only: Collection[str] | None = None,
    partial: bool = False,
) -> Iterator[Freed | Kept]:
    """Remove the generations that none of ``pins`` names and that are not the newest, files that no record names, and
    partial results that nobody would go on from.

    Args:
        only: batches to look at; None: all.
        partial: remove every partial result, and wait for whoever is working on a batch.
    """
    root = workspace.home.tables.root
    for asset in STAGES:
        for folder in sorted(path for path in (root / asset).glob("*") if path.is_dir()):
            if only is not None and folder.name not in only:
                continue
            needed = {pin.get(asset, {}).get(folder.name) for pin in pins}
            lock = workspace.home.lock(f"{asset}-{folder.name}")
            try:
                with nullcontext() if dry_run else lock.held(seconds=3600.0 if partial else 0.0):
                    yield from _sweep_folder(workspace, asset, folder, needed, dry_run=dry_run)
                    yield from _sweep_partials(workspace, asset, folder, dry_run=dry_run, every=partial)
            except (ServiceUnavailableError, IntegrityError) as error:
                yield Kept("table", f"{asset}/{folder.name}", error.message)


def _sweep_folder(
    workspace: Workspace, asset: str, folder: Path, needed: Collection[str | None], *, dry_run: bool
) -> Iterator[Freed]:
    tables, name = workspace.home.tables, f"{asset}/{folder.name}"
    newest = tables.find(asset, folder.name)
    kept = tables.kept(asset, folder.name)
    stay = [record for record in (newest, *kept) if record and (record is newest or record.output_sha256 in needed)]
    files = {file.file for record in stay for file in record.files.values()}
    outputs = {record.output_sha256 for record in stay}
    for record in kept:
        if record.output_sha256 in outputs:
            continue
        yield Freed("table generation", f"{name} of {record.written_at}", _size(folder, record, files))
        files |= {file.file for file in record.files.values()}
        if not dry_run:
            tables.release(record)
    for path in sorted(folder.iterdir()):
        known = path.name in files or path.name == RECORD or path.match(KEPT) or path.name.startswith(TEMPORARY_PREFIX)
        if path.is_file() and not known:
            yield Freed("table without a record", f"{name}/{path.name}", path.stat().st_size)
            if not dry_run:
                path.unlink()


def _size(folder: Path, record: TableRecord, needed: Collection[str]) -> int:
    paths = [folder / file.file for file in record.files.values() if file.file not in needed]
    return sum(path.stat().st_size for path in paths if path.is_file())


def _sweep_partials(
    workspace: Workspace, asset: str, folder: Path, *, dry_run: bool, every: bool
) -> Iterator[Freed | Kept]:
    for path in sorted(folder.glob(f"{PARTIAL}-*")):
        name = f"{asset}/{folder.name}/{path.name}"
        why = None if every else _goes_on(workspace, asset, path)
        if why is not None:
            yield Kept("partial result", name, why)
            continue
        yield Freed("partial result", name, allocated_bytes(path))
        if not dry_run:
            shutil.rmtree(path)


def _goes_on(workspace: Workspace, asset: str, path: Path) -> str | None:
    """Return why somebody may go on from a partial result; None if nobody would."""
    if _age(path) < UNFINISHED_SECONDS:
        return "is younger than a day"
    tables, batch = workspace.home.tables, path.parent.name
    try:
        raw = tables.find(RAW_PDFS, batch)
        if asset != OCR_TEXT or raw is None:
            return None
        expected = tables.partial(asset, batch, ocr_text.expected_fingerprint(workspace, raw))
    except RagflowError as error:
        return f"it cannot be told whether the next run goes on from it: {error.message}"
    return "the next run goes on from it" if expected.name == path.name else None
