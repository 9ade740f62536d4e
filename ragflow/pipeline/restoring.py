"""Restore a backup: into an empty home, or into a home of the same archive that has lost or damaged something.

The backup is read through first. What is live stays live: a restored version takes its place only if it is the same
version and what is live is damaged; otherwise it stands beside it, proven, for ``ragflow promote``.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from ragflow.errors import BadInputError, CheckFailedError, IntegrityError, NotFoundError, UsageError
from ragflow.model.backups import BackupFile, BackupManifest, BackupState, Part
from ragflow.model.releases import IN_BOTH, VersionRecord
from ragflow.model.verdicts import Verdict
from ragflow.pipeline.backup_proof import is_complete
from ragflow.pipeline.backup_versions import fetch_file, load_points, load_snapshot
from ragflow.pipeline.examination import examine
from ragflow.pipeline.observed import read_points
from ragflow.pipeline.progress import report
from ragflow.pipeline.release import judge, live_version
from ragflow.pipeline.restore_plan import OTHER_ARCHIVE, Plan, make_plan
from ragflow.pipeline.sealing import version_sealed
from ragflow.pipeline.workspace import Workspace
from ragflow.store.atomic import replacing, write_bytes
from ragflow.store.backups import BackupTarget, newest_first, open_target
from ragflow.store.forgotten import Kind
from ragflow.store.home import Home

log = logging.getLogger(__name__)

Loaded = Literal["snapshot", "points", "kept"]
CANDIDATE, REFUSED = "candidate", "refused"


@dataclass(frozen=True, slots=True)
class RestoreReport:
    """What a restore did.

    Attributes:
        source, name: the backup.
        version: under which the backed-up version stands now; another name than before only if the version of that name
            is live and damaged.
        loaded_from: ``snapshot`` or ``points``; ``kept`` if the version was there and intact.
        decision: of the gate: ``promoted`` or ``rejected``; ``candidate`` if another version is live and this one would
            pass, ``refused`` if it would not; ``unchanged`` if it is live already.
        live: what serves now; None if nothing does.
        put, replaced: files that were missing, and that were damaged.
        intact: files that were there.
        left: files that differ and were left as they are.
        verdicts: what the gate said; empty if it was not asked.
    """

    source: str
    name: str
    version: str
    points: int
    loaded_from: Loaded
    decision: str
    live: str | None
    put: int
    replaced: int
    intact: int
    left: tuple[str, ...]
    verdicts: tuple[Verdict, ...]
    seconds: float

    @property
    def passed(self) -> bool:
        return self.decision not in ("rejected", "rolled_back", "withdrawn", REFUSED)


def restore(
    workspace: Workspace,
    source: str,
    *,
    name: str | None = None,
    settled: Callable[[], Workspace] | None = None,
) -> RestoreReport:
    """Put back what is missing or damaged, and the version if it is not kept; then let the gate judge it.

    A second run after a kill goes on with what is not there yet.

    Args:
        source: where the backups are: a folder, or the URL of a bucket.
        name: of the backup; None: the newest good one.
        settled: asked for the workspace once the settings have been put back; None: ``workspace`` as it is.

    Raises:
        NotFoundError: there is no such backup.
        IntegrityError: the backup is damaged; nothing was written.
        CheckFailedError: the backup is not proven, or holds what was forgotten here; nothing was written.
        BadInputError: the home holds another archive; nothing was written.
    """
    started = time.monotonic()
    target = open_target(source, existing=True)
    manifest = choose(target, name)
    with TemporaryDirectory(prefix="ragflow-restore-") as folder:
        records = Home(Path(folder) / "records")
        complete = is_complete(workspace, target, manifest, records.root)
        if not complete.passed:
            raise IntegrityError(
                f"Backup {manifest.name} in {target.address} is damaged, and nothing was restored: {complete.summary}",
                remedy="Restore another backup: `ragflow backup --list TARGET`.",
            )
        record = records.version_records.find(manifest.version)
        assert record is not None, "the backup is complete"
        with workspace.home.lock("scan").held(), workspace.home.lock("release").held():
            work = _Restore(workspace, target, manifest, records, record)
            version, loaded = work.run()
    if settled is not None:
        workspace = settled()
    decision, verdicts = _decide(workspace, version)
    log.info("restored", extra={"backup": manifest.name, "version": version, "decision": decision})
    return RestoreReport(
        source=target.address,
        name=manifest.name,
        version=version,
        points=record.points,
        loaded_from=loaded,
        decision=decision,
        live=live_version(workspace),
        put=work.put,
        replaced=work.replaced,
        intact=work.plan.intact,
        left=work.plan.left,
        verdicts=verdicts,
        seconds=round(time.monotonic() - started, 2),
    )


def choose(target: BackupTarget, name: str | None) -> BackupManifest:
    """Return the manifest of a good backup; ``name`` None: the newest.

    Raises:
        NotFoundError: there is none of this name.
        IntegrityError: its manifest or its proof is damaged or was edited.
        CheckFailedError: it is bad or unproven, or none is good.
    """
    if name is None:
        good = [target.manifest(other) for other in target.names() if target.state(other) is BackupState.GOOD]
        if not good:
            raise CheckFailedError(
                f"No backup in {target.address} is good.",
                remedy="See `ragflow backup --list TARGET` for what is wrong.",
            )
        return newest_first(good)[0]
    manifest, proof = target.manifest(name), target.proof(name)
    if proof is None:
        raise CheckFailedError(
            f"Backup {name} was never proven: it was killed on the way.", remedy="Restore another backup."
        )
    if not proof.passed:
        failed = next((verdict.summary for verdict in proof.verdicts if not verdict.passed), "there are no verdicts")
        raise CheckFailedError(f"Backup {name} is bad: {failed}", remedy="Restore another backup.")
    return manifest


class _Restore:
    """Writes to the home, under its locks."""

    def __init__(
        self, workspace: Workspace, target: BackupTarget, manifest: BackupManifest, records: Home, record: VersionRecord
    ) -> None:
        self._workspace = workspace
        self._home = workspace.home
        self._target = target
        self._manifest = manifest
        self._record = record
        self._files: Mapping[str, BackupFile] = {file.path: file for file in manifest.of(Part.HOME)}
        self._records = records
        self._live = live_version(workspace)
        kept = workspace.versions().versions()
        self.plan: Plan = make_plan(workspace.home, records, self._files, record, self._live, kept, manifest.name)
        self.put = self.replaced = 0
        self._check_version_record()
        if record.version in kept and not self._has_record() and not self._is_intact(record):
            raise BadInputError(
                f"There is a version {record.version} that {self._home.root} knows nothing about, and that is not the"
                " one in the backup.",
                remedy=OTHER_ARCHIVE,
            )

    def run(self) -> tuple[str, Loaded]:
        """Write everything; return the version and where it came from."""
        plan = self.plan
        for number, file in enumerate(plan.files, start=1):
            self._put(file, durable=False)
            report("restore files", number, len(plan.files))
        self._home.blobs.sync()
        for path, data in plan.newest.items():
            self._count(self._home.root / path)
            write_bytes(self._home.root / path, data)
        gone = self._records.absences.contents(Kind.FORGOTTEN)
        self._home.absences.add(gone, Kind.FORGOTTEN, f"It is so in the backup {self._manifest.name}.")
        version, loaded = self._version()
        if plan.withdrawal is not None:
            self._home.releases.append(plan.withdrawal)
        for file in plan.records:
            if file.path != self._record_path:
                self._put(file)
        return version, loaded

    @property
    def _record_path(self) -> str:
        return f"releases/versions/{self._record.version}.json"

    def _has_record(self) -> bool:
        """Whether the home knows a version of this name, by a record that may be damaged."""
        try:
            return self._home.version_records.find(self._record.version) is not None
        except IntegrityError:
            return True

    def _check_version_record(self) -> None:
        if self._record_path not in self.plan.left:
            return
        mine = self._home.version_records.find(self._record.version)
        if mine is None or any(getattr(mine, field) != getattr(self._record, field) for field in IN_BOTH):
            raise BadInputError(
                f"{self._home.root} has a version {self._record.version} that is not the one in the backup.",
                remedy=OTHER_ARCHIVE,
            )

    def _put(self, file: BackupFile, *, durable: bool = True) -> None:
        """Write a file in one step, if its bytes are what was recorded."""
        path = self._home.root / file.path
        self._count(path)
        with replacing(path, durable=durable) as temporary:
            fetch_file(self._target, file, temporary)

    def _count(self, path: Path) -> None:
        if path.exists():
            self.replaced += 1
        else:
            self.put += 1

    def _version(self) -> tuple[str, Loaded]:
        """See to it that the version is there and intact, under its own name or, if that is live and damaged, another.

        The record of a version comes before the version: a kill between the two is then understood.
        """
        store, version = self._workspace.versions(), self._record.version
        wanted = next((file for file in self.plan.records if file.path == self._record_path), None)
        if wanted is not None:
            self._put(wanted)
        if version in store.versions():
            if self._is_intact(self._record):
                return version, "kept"
            if self._live == version:
                return self._beside()
            log.warning("a damaged version is replaced", extra={"version": version})
            store.discard(version)
        return version, self._load(self._record)

    def _beside(self) -> tuple[str, Loaded]:
        """Restore the version under the next free name, for what is live is never taken away."""
        kept = self._workspace.versions().versions()
        for other in self._home.version_records.all():
            if other.version != self._record.version and replace(other, version=self._record.version) == self._record:
                # Of an earlier run, which was killed.
                if other.version in kept and self._is_intact(other):
                    return other.version, "kept"
                if other.version not in kept:
                    return other.version, self._load(other)
        record = replace(self._record, version=self._next_name())
        self._home.version_records.put(record)
        return record.version, self._load(record)

    def _next_name(self) -> str:
        names = {*self._workspace.versions().versions(), *(r.version for r in self._home.version_records.all())}
        for home in (self._home, self._records):
            with suppress(IntegrityError):  # those of the home may be damaged still; the backup has them, too
                names |= {release.version for release in home.releases.all()}
        return f"v{max(int(name[1:]) for name in names) + 1:06d}"

    def _load(self, record: VersionRecord) -> Loaded:
        """Make a version of the snapshot, if it is of this very engine, or else of the points.

        Raises:
            IntegrityError: what came out is not what was sealed; there is no such version then.
        """
        store = self._workspace.versions()
        same = (store.engine, store.engine_version) == (self._manifest.engine, self._manifest.engine_version)
        loaded: Loaded = "points"
        if same and self._manifest.of(Part.SNAPSHOT):
            try:
                load_snapshot(self._target, self._manifest, store, record.version)
                loaded = "snapshot"
            except (IntegrityError, UsageError) as error:
                log.warning("the snapshot does not load", extra={"version": record.version, "problem": error.message})
        if loaded == "points":
            load_points(self._target, self._manifest, store, record.version)
        if not self._is_intact(record):
            store.discard(record.version)
            raise IntegrityError(
                f"The version that backup {self._manifest.name} gives is not what its record seals.",
                remedy="Restore another backup.",
            )
        return loaded

    def _is_intact(self, record: VersionRecord) -> bool:
        """Whether a version of the home holds the points that were sealed, in files that are as they were written."""
        store = self._workspace.versions()
        try:
            store.check_files(record.version)
            with store.open(record.version) as reader:
                observed = read_points(reader)
        except (IntegrityError, NotFoundError) as error:
            log.warning("a version is damaged", extra={"version": record.version, "problem": error.message})
            return False
        return version_sealed(record, None, observed, None).passed


def _decide(workspace: Workspace, version: str) -> tuple[str, tuple[Verdict, ...]]:
    """Have the gate judge a restored version; it goes live only in the place of nothing or of its own damaged self."""
    live = live_version(workspace)
    served = workspace.home.version_records.find(live) if live is not None else None
    mine = workspace.home.version_records.find(version)
    assert mine is not None, "its record has just been put back"
    if live in (None, version) or (served is not None and replace(mine, version=served.version) == served):
        outcome = judge(workspace, version, explicit=True)
        return str(outcome.decision), outcome.verdicts
    examination = examine(workspace, version)
    return CANDIDATE if examination.passed else REFUSED, examination.verdicts
