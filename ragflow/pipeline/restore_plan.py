"""Compare a home with a backup: is it the same archive, and which of its files are missing or damaged?

Nothing is written here, and nothing that is sound is ever to be replaced: what differs and may be right stays.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

import orjson

from ragflow.errors import BadInputError, CheckFailedError, IntegrityError, NotFoundError
from ragflow.model.backups import BackupFile
from ragflow.model.batches import BatchManifest
from ragflow.model.fingerprints import sha256_hex
from ragflow.model.releases import IN_BOTH, Decision, ReleaseRecord, VersionRecord
from ragflow.pipeline.backup_sources import kept_name
from ragflow.store.blobs import hash_file
from ragflow.store.forgotten import Kind
from ragflow.store.home import Home
from ragflow.store.tables import RECORD

OTHER_ARCHIVE = "Restore into an empty home: set RAGFLOW_HOME to a new folder."


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be written, in this order, each file in one step.

    A home in which something is live stays sound after each of them: what a record stands on comes before it.

    Attributes:
        files: documents, tables and their records, settings.
        newest: path → content of records of the newest tables, where they are missing or damaged.
        records: version records, manifests, canary records, release records.
        withdrawal: the release record that says that nothing is live any more; written before the records that it
            follows, so that there is no moment in which they pass for the whole story.
        intact: files that were there already.
        left: files that differ from those of the backup and were left as they are.
    """

    files: tuple[BackupFile, ...]
    newest: Mapping[str, bytes]
    records: tuple[BackupFile, ...]
    withdrawal: ReleaseRecord | None
    intact: int
    left: tuple[str, ...]


@dataclass(slots=True)
class _Findings:
    wanted: dict[str, BackupFile] = field(default_factory=dict)
    intact: int = 0
    left: list[str] = field(default_factory=list)

    def judge(self, file: BackupFile, at: Path, *, replaceable: bool) -> None:
        """Note whether a file is to be written: if it is missing, or differs and may be replaced."""
        if not at.exists():
            self.wanted[file.path] = file
        elif hash_file(at) == file.sha256:
            self.intact += 1
        elif replaceable:
            self.wanted[file.path] = file
        else:
            self.left.append(file.path)

    def judge_list(self, file: BackupFile, at: Path, content: bytes) -> None:
        """Note whether a list that only grows is to be written: one that has gone on from there is intact."""
        mine = at.read_bytes() if at.exists() else b""
        if mine.startswith(content):
            self.intact += 1
        else:
            self.judge(file, at, replaceable=content.startswith(mine))


def make_plan(
    home: Home,
    backup: Home,
    files: Mapping[str, BackupFile],
    record: VersionRecord,
    live: str | None,
    kept: Collection[str],
    name: str,
) -> Plan:
    """Compare a home with the backup called ``name``.

    Args:
        home: to be restored; the caller holds its locks.
        backup: a folder with the small files of the backup.
        files: path → file of the backup.
        record: of the version that is restored.
        live, kept: what is live in the home, and the complete versions.

    Raises:
        BadInputError: the home holds another archive, or another history of this one.
        CheckFailedError: the alias has been lost while the version is still there, or the backup holds what was
            forgotten here.
    """
    check_same_archive(home, backup, record, kept)
    _check_nothing_forgotten(home, backup, name)
    found = _Findings()
    newest = {}
    for path, file in files.items():
        kind, at = PurePosixPath(path).parts[0], home.root / path
        if kind == "blobs":
            found.judge(file, at, replaceable=True)
        elif kind == "tables":
            found.judge(file, at, replaceable=not path.endswith(".json") or _is_damaged_kept(home, path))
            if path.endswith(".json") and _newest_is_lost(home, files, path):
                newest[str(PurePosixPath(path).with_name(RECORD))] = (backup.root / path).read_bytes()
        elif kind in ("rereads", "forgotten"):
            found.judge_list(file, at, (backup.root / path).read_bytes())
        elif kind not in ("manifests", "releases"):
            found.judge(file, at, replaceable=False)
    first = tuple(found.wanted.values())
    found.wanted.clear()
    for path, file in sorted(files.items(), key=lambda entry: _order(entry[0])):
        at = home.root / path
        if path.startswith("releases/versions/"):
            found.judge(file, at, replaceable=_is_wrong_record(home, backup, at.stem))
        elif path.startswith("manifests/"):
            # One that is sound and differs has been refused: what differs is damaged.
            found.judge(file, at, replaceable=True)
        elif path.startswith("releases/canaries/"):
            found.judge(file, at, replaceable=_is_damaged_canary(home, int(at.stem)))
    put, withdrawal = _releases(home, backup, live, kept, record.version, name)
    for number in sorted(put, reverse=True):
        path = f"releases/{number:06d}.json"
        found.wanted[path] = files[path]
    found.intact += sum(1 for path in files if _release_number(path) is not None) - len(put)
    return Plan(first, newest, tuple(found.wanted.values()), withdrawal, found.intact, tuple(found.left))


def check_same_archive(home: Home, backup: Home, record: VersionRecord, kept: Collection[str]) -> None:
    """Refuse a home whose manifests or releases are not the beginning of, or go on from, those of the backup.

    Raises:
        BadInputError: it is another archive.
    """
    theirs = {manifest.sequence: manifest for manifest in _sound_manifests(backup)}
    ours = _sound_manifests(home)
    for manifest in ours:
        other = theirs.get(manifest.sequence)
        if other is not None and other.sha256 != manifest.sha256:
            raise BadInputError(
                f"{home.root} holds another archive: its batch number {manifest.sequence} is {manifest.key}, that of"
                f" the backup {other.key}.",
                remedy=OTHER_ARCHIVE,
            )
    for number, data in sorted(_release_files(home).items()):
        theirs_data = _release_files(backup).get(number)
        if theirs_data is not None and data != theirs_data and _is_sound(data, theirs_data):
            raise BadInputError(
                f"{home.root} has gone another way than the archive in the backup: release record {number} is another.",
                remedy=OTHER_ARCHIVE,
            )
    if not ours and not _release_files(home):
        _check_unknown(home, record, kept)


def _check_unknown(home: Home, record: VersionRecord, kept: Collection[str]) -> None:
    """Refuse a home without manifests and releases that has more than a killed restore leaves."""
    strange = [path.name for path in home.tables.root.glob("*/*") if path.name not in record.batches]
    strange += [name for name in kept if name != record.version and home.version_records.find(name) is None]
    if strange:
        raise BadInputError(
            f"{home.root} has no manifests, but {strange[0]}, which is not of the backup.", remedy=OTHER_ARCHIVE
        )


def _check_nothing_forgotten(home: Home, backup: Home, name: str) -> None:
    """Refuse a backup that would bring back what was forgotten here after it was made.

    Raises:
        CheckFailedError: it would.
    """
    since = home.absences.contents(Kind.FORGOTTEN) - backup.absences.contents(Kind.FORGOTTEN)
    held = {change.sha256 for manifest in _sound_manifests(backup) for change in manifest.documents} & since
    if held:
        raise CheckFailedError(
            f"Backup {name} holds {len(held)} contents that have been forgotten here since it was made.",
            remedy="Restore a backup that was made after that, and remove the older ones.",
        )


def _sound_manifests(home: Home) -> list[BatchManifest]:
    found = []
    for path in sorted(home.manifests.root.glob("*.json")):
        try:
            found.append(home.manifests.get(path.stem))
        except (IntegrityError, NotFoundError):
            # Damaged: it says nothing about which archive this is, and is replaced if the backup has it.
            continue
    return found


def _release_files(home: Home) -> dict[int, bytes]:
    return {int(path.stem): path.read_bytes() for path in home.releases.root.glob("[0-9]*.json") if path.stem.isdigit()}


def _release_number(path: str) -> int | None:
    parts = PurePosixPath(path).parts
    return int(parts[1].removesuffix(".json")) if parts[0] == "releases" and len(parts) == 2 else None


def _is_sound(data: bytes, other: bytes) -> bool:
    """Whether a release record is sealed, and says something else than ``other``."""
    try:
        return ReleaseRecord.from_dict(orjson.loads(data)) != ReleaseRecord.from_dict(orjson.loads(other))
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError, AttributeError):
        return False


def _newest_is_lost(home: Home, files: Mapping[str, BackupFile], path: str) -> bool:
    """Whether the record of the newest tables beside a kept one is missing or damaged, or names tables that are, and
    that the backup does not have."""
    _, asset, batch, _ = PurePosixPath(path).parts
    tables = replace(home, pins=None).tables
    try:
        newest = tables.find(asset, batch)
    except IntegrityError:
        return True
    if newest is None:
        return True
    broken = (newest.files[table] for table in tables.damage(newest))
    known = {file.sha256 for other, file in files.items() if other.startswith(f"tables/{asset}/{batch}/")}
    return any(file.sha256 not in known for file in broken)


def _is_wrong_record(home: Home, backup: Home, version: str) -> bool:
    """Whether the record of a version is damaged, or not the one that its release has sealed."""
    try:
        record = home.version_records.find(version)
    except IntegrityError:
        return True
    try:
        releases = home.releases.all() or backup.releases.all()
    except IntegrityError:
        releases = backup.releases.all()
    sealed = next((release for release in reversed(releases) if release.version == version), None)
    if record is None or sealed is None:
        return False
    return any(getattr(sealed, name) != getattr(record, name) for name in IN_BOTH)


def _is_damaged_kept(home: Home, path: str) -> bool:
    """Whether the record of a kept generation cannot be read, or is not the one that its name says."""
    _, asset, batch, name = PurePosixPath(path).parts
    try:
        return name not in {kept_name(record) for record in replace(home, pins=None).tables.kept(asset, batch)}
    except IntegrityError:
        return True


def _order(path: str) -> tuple[str, int, str]:
    """Manifests in the order of their chain, whatever the day in their names; others by path."""
    parts = PurePosixPath(path).name.split("-")
    sequence = int(parts[1]) if path.startswith("manifests/") and len(parts) == 3 and parts[1].isdigit() else 0
    return str(PurePosixPath(path).parent), sequence, path


def _is_damaged_canary(home: Home, number: int) -> bool:
    try:
        home.canaries.find(number)
    except IntegrityError:
        return True
    return False


def _releases(
    home: Home, backup: Home, live: str | None, kept: Collection[str], version: str, name: str
) -> tuple[set[int], ReleaseRecord | None]:
    """Return the numbers of the release records to be written, and the withdrawal that has to follow them, if any."""
    ours, theirs = _release_files(home), _release_files(backup)
    records = {record.number: record for record in backup.releases.all()}
    last, end = max(ours, default=0), max(theirs, default=0)
    broken = {number for number, data in theirs.items() if number < last and ours.get(number) != data}
    if last and last <= end and ours[last] != theirs[last]:
        broken.add(last)
    if last > end and (not _follows(ours, theirs, end)):
        raise BadInputError(
            f"{home.root} has gone another way than the archive in the backup after release record {end}.",
            remedy=OTHER_ARCHIVE,
        )
    if live is not None:
        return broken | _up_to_live(records, last, live), None
    missing = broken | {number for number in theirs if number > last}
    moved = _last_moved(ours if last > end else {}, records, end)
    if moved is None or moved.live_after is None:
        return missing, None
    said = moved.live_after
    if said != version and said in kept:
        raise CheckFailedError(
            f"{said} should be live by the release records, and is there, but the alias is lost.",
            remedy=f"Run `ragflow rollback {said}` or `ragflow promote {said}` first.",
        )
    if moved.number > end and said == version:
        # It was promoted here, by a restore that was killed before it could move the alias: the gate finishes that.
        return missing, None
    return missing, _withdrawal(moved, max(last, end), ours if last > end else theirs, name)


def _follows(ours: Mapping[int, bytes], theirs: Mapping[int, bytes], end: int) -> bool:
    """Whether the record after the last one of the backup repeats its hash; one that cannot be read says nothing."""
    try:
        previous = ReleaseRecord.from_dict(orjson.loads(ours[end + 1])).previous
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError, AttributeError):
        return True
    return previous == (sha256_hex(theirs[end]) if end else None)


def _up_to_live(records: Mapping[int, ReleaseRecord], last: int, live: str) -> set[int]:
    """Return the records that the home has lost: those up to the one that made live what is live there.

    Records of what was released elsewhere are not among them: they would say that something else is live.
    """
    known = [record for number, record in sorted(records.items()) if number <= last and record.moved_alias]
    if known and known[-1].live_after == live:
        return set()
    for number in range(last + 1, max(records, default=0) + 1):
        if records[number].moved_alias and records[number].live_after == live:
            return set(range(last + 1, number + 1))
    return set()


def _last_moved(later: Mapping[int, bytes], records: Mapping[int, ReleaseRecord], end: int) -> ReleaseRecord | None:
    """Return the last decision that moved the alias, out of the backup's records and the later ones of the home.

    Raises:
        IntegrityError: a later one is damaged, which the backup does not have.
    """
    for number in sorted((n for n in later if n > end), reverse=True):
        try:
            record = ReleaseRecord.from_dict(orjson.loads(later[number]))
        except (orjson.JSONDecodeError, KeyError, TypeError, ValueError, AttributeError) as error:
            raise IntegrityError(
                f"Release record {number} is damaged ({error}), and newer than the backup.",
                remedy="Restore a newer backup, or restore into an empty home.",
            ) from error
        if record.moved_alias:
            return record
    return next((record for _, record in sorted(records.items(), reverse=True) if record.moved_alias), None)


def _withdrawal(moved: ReleaseRecord, number: int, files: Mapping[int, bytes], name: str) -> ReleaseRecord:
    return replace(
        moved,
        number=number + 1,
        decision=Decision.WITHDRAWN,
        version=str(moved.live_after),
        replaced=moved.live_after,
        previous=sha256_hex(files[number]),
        decided_at=datetime.now(UTC).isoformat(timespec="seconds"),
        verdicts=(),
        reason=f"Restored from the backup {name}: nothing is live until the gate has judged it here.",
    )
