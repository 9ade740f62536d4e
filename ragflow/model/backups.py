"""Backups: the sealed list of everything that one consists of, and the proof that it can be restored."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import PurePosixPath
from typing import Any

import orjson
import pyarrow as pa

from ragflow.errors import IntegrityError, UsageError
from ragflow.model.fingerprints import canonical_json, sha256_hex
from ragflow.model.releases import EditedError, sealed, unsealed, verdicts_from
from ragflow.model.verdicts import Verdict

BACKUP_FORMAT = "ragflow-backup/1"
BACKUP_PROOF_FORMAT = "ragflow-backup-proof/1"
BACKUP_VERDICTS = ("backup_complete", "backup_points", "backup_snapshot", "backup_queries")

ROWS_PER_FILE = 50_000
"""Points in one file, at most."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", re.ASCII)
_HASH = re.compile(r"[0-9a-f]{64}", re.ASCII)
NEVER = frozenset({"secrets", "locks", "vectors", "dagster", "inventory"})
"""Folders of a home that no backup holds or writes to: secrets, what only this machine knows, and the versions, which
are put back through their engine."""


@dataclass(frozen=True, slots=True)
class Retention:
    """Which backups of a target are kept. Where both are given, a backup goes only if both let it go.

    Attributes:
        count: so many good ones, the newest.
        days: good ones younger than this.
    """

    count: int | None = None
    days: float | None = None

    def __post_init__(self) -> None:
        if self.count is not None and self.count < 1:
            raise UsageError(f"{self.count} backups cannot be kept.", remedy="Keep at least 1.")
        if self.days is not None and not self.days > 0:
            raise UsageError(f"Backups cannot be kept for {self.days:g} days.", remedy="Give more than 0 days.")


class Part(StrEnum):
    """Where a file of a backup belongs."""

    HOME = "home"
    """To its path in the home folder."""
    POINTS = "points"
    """Points of the version, for any engine."""
    SNAPSHOT = "snapshot"
    """The engine's own copy of the version; stored compressed, for such files are mostly holes."""


class BackupState(StrEnum):
    """What is known about a backup."""

    GOOD = "good"
    BAD = "bad"
    UNPROVEN = "unproven"


@dataclass(frozen=True, slots=True)
class BackupFile:
    """One file of a backup.

    Attributes:
        part: where it belongs.
        path: relative, with slashes.
        sha256, size: of the file.
        object, stored: hash and bytes of what is stored for it; the same as of the file, unless it is compressed.
        rows: of a table, or of a file of points; None for others.
    """

    part: Part
    path: str
    sha256: str
    size: int
    object: str
    stored: int
    rows: int | None = None

    def __post_init__(self) -> None:
        path = PurePosixPath(self.path)
        if path.is_absolute() or not path.parts or ".." in path.parts or path.as_posix() != self.path:
            raise ValueError(f"{self.path!r} is no path inside a folder")
        if self.part is Part.HOME and path.parts[0] in NEVER:
            raise ValueError(f"{self.path!r} is no path of a backup")
        if not _HASH.fullmatch(self.sha256) or not _HASH.fullmatch(self.object):
            raise ValueError(f"{self.path!r} has no hash")

    @property
    def packed(self) -> bool:
        """Whether what is stored is a compressed form of the file."""
        return self.object != self.sha256


@dataclass(frozen=True, slots=True)
class BackupManifest:
    """One backup of one collection version.

    Attributes:
        name: of the backup.
        created_at: ISO 8601, UTC.
        made_by: version of this program.
        version, points, merkle_root: of the collection version, as in its record.
        engine, engine_version: what keeps the version.
        collection: settings with which the version was built.
        documents: whether the documents themselves are in it.
        files: in order of part and path.
    """

    name: str
    created_at: str
    made_by: str
    version: str
    points: int
    merkle_root: str
    engine: str
    engine_version: str
    collection: Mapping[str, Any]
    documents: bool
    files: tuple[BackupFile, ...]

    def of(self, part: Part) -> tuple[BackupFile, ...]:
        return tuple(file for file in self.files if file.part is part)

    @property
    def size(self) -> int:
        """Bytes stored for this backup, shared or not; what stands in it twice counts once."""
        return sum({file.object: file.stored for file in self.files}.values())

    def to_json(self) -> bytes:
        return canonical_json(sealed({"format": BACKUP_FORMAT, **asdict(self)}))

    @classmethod
    def from_json(cls, data: bytes, name: str) -> BackupManifest:
        """Read the manifest of the backup that is called ``name``.

        Raises:
            IntegrityError: it is damaged, was edited, or is that of another backup.
        """
        try:
            fields = unsealed(orjson.loads(data), BACKUP_FORMAT)
            files = tuple(BackupFile(**{**file, "part": Part(file["part"])}) for file in fields["files"])
            manifest = cls(**{**fields, "files": files})
        except EditedError as error:
            raise _unusable(name, "was edited: its seal is broken") from error
        except (orjson.JSONDecodeError, KeyError, TypeError, ValueError, AttributeError) as error:
            raise _unusable(name, f"is damaged ({error})") from error
        if manifest.name != name:
            raise _unusable(name, f"is that of backup {manifest.name}")
        if len({(file.part, file.path) for file in manifest.files}) != len(manifest.files):
            raise _unusable(name, "names a file twice")
        return manifest


@dataclass(frozen=True, slots=True)
class BackupProof:
    """What came of restoring a backup elsewhere.

    Attributes:
        name: of the backup.
        manifest_sha256: of the bytes of its manifest.
        proven_at: ISO 8601, UTC.
        seconds: what it took.
        verdicts: out of :data:`BACKUP_VERDICTS`.
    """

    name: str
    manifest_sha256: str
    proven_at: str
    seconds: float
    verdicts: tuple[Verdict, ...]

    @property
    def passed(self) -> bool:
        return bool(self.verdicts) and all(verdict.passed for verdict in self.verdicts)

    def to_json(self) -> bytes:
        return canonical_json(sealed({"format": BACKUP_PROOF_FORMAT, **asdict(self)}))

    @classmethod
    def from_json(cls, data: bytes, name: str) -> BackupProof:
        """Read a proof.

        Raises:
            IntegrityError: it is damaged or was edited.
        """
        try:
            fields = unsealed(orjson.loads(data), BACKUP_PROOF_FORMAT)
            return cls(**{**fields, "verdicts": verdicts_from(fields["verdicts"])})
        except (orjson.JSONDecodeError, KeyError, TypeError, ValueError, AttributeError) as error:
            raise IntegrityError(
                f"The proof of backup {name} is damaged or was edited ({error}).",
                remedy="Take another backup; what is not proven is not restored.",
            ) from error


def check_backup_name(name: str) -> str:
    """Return ``name`` if it can be that of a backup. Otherwise raise UsageError."""
    if not is_backup_name(name):
        raise UsageError(
            f"{name!r} cannot be the name of a backup.",
            remedy="Take up to 100 letters, digits, dots, dashes and underscores, the first a letter or a digit.",
        )
    return name


def is_backup_name(name: str) -> bool:
    return _NAME.fullmatch(name) is not None


def manifest_sha256(data: bytes) -> str:
    """Return the hash by which a proof names the manifest that it speaks of."""
    return sha256_hex(data)


def _unusable(name: str, problem: str) -> IntegrityError:
    return IntegrityError(
        f"The manifest of backup {name} {problem}.", remedy="Restore another backup: `ragflow backup --list TARGET`."
    )


def points_schema(dimension: int) -> pa.Schema:
    """One row per point, in order of the ids.

    ``payload`` is canonical JSON, ``sha256`` the hash of the whole point, see
    :func:`ragflow.model.points.point_sha256`.

    Args:
        dimension: length of the dense vectors.
    """
    return pa.schema(
        [
            pa.field("id", pa.binary(16), nullable=False),
            pa.field("dense", pa.list_(pa.float32(), dimension), nullable=False),
            pa.field("sparse_indices", pa.list_(pa.uint32()), nullable=False),
            pa.field("sparse_values", pa.list_(pa.float32()), nullable=False),
            pa.field("payload", pa.string(), nullable=False),
            pa.field("sha256", pa.binary(32), nullable=False),
        ]
    )
