"""Which files of a home belong to a backup of a collection version, each with the hash that was recorded for it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import orjson

from ragflow.errors import IntegrityError
from ragflow.model.backups import BackupFile, Part
from ragflow.model.batches import BatchManifest, Corpus, fold
from ragflow.model.fingerprints import sha256_hex
from ragflow.model.releases import VersionRecord
from ragflow.pipeline.stages import RAW_PDFS, STAGES
from ragflow.pipeline.workspace import Workspace
from ragflow.quality.documents import is_missing_by_design
from ragflow.store.blobs import hash_file
from ragflow.store.home import Home
from ragflow.store.tables import TableRecord

SETTINGS_FILE = "ragflow.toml"
KEPT_DIGITS = 16
"""Digits of the output hash in the name of a kept generation's record."""


@dataclass(frozen=True, slots=True)
class Source:
    """A file to be backed up.

    Attributes:
        file: as it will stand in the manifest.
        content: its bytes, or where they are.
    """

    file: BackupFile
    content: Path | bytes


def home_sources(workspace: Workspace, record: VersionRecord, *, documents: bool) -> list[Source]:
    """Return everything that a version needs besides its points. The caller holds the release lock.

    Passwords, their key, caches and locks are left out, and so are batches that came after the version.

    Raises:
        IntegrityError: a record, a manifest or a stored document is missing or damaged.
    """
    home = workspace.home
    manifests = version_manifests(home, record)
    found = [*_records(home), *(_bytes(home, _manifest_path(home, m), m.to_json()) for m in manifests)]
    found += _tables(workspace, record)
    found += _single_files(workspace)
    if documents:
        found += _documents(workspace.at(record), manifests)
    return sorted(found, key=lambda source: source.file.path)


def version_manifests(home: Home, record: VersionRecord) -> list[BatchManifest]:
    """Return the manifests that a version was built from, in order.

    Raises:
        NotFoundError: one is missing.
        IntegrityError: one is damaged.
    """
    return sorted((home.manifests.get(key) for key in record.batches), key=lambda manifest: manifest.sequence)


def _manifest_path(home: Home, manifest: BatchManifest) -> Path:
    return home.manifests.root / f"{manifest.key}.json"


def _records(home: Home) -> Iterator[Source]:
    """Yield the records of releases, canaries and versions, as they lie on the disk."""
    home.releases.all()
    home.version_records.all()
    for folder, pattern in (
        (home.releases.root, "[0-9]*.json"),
        (home.canaries.root, "[0-9]*.json"),
        (home.version_records.root, "v*.json"),
    ):
        for path in sorted(folder.glob(pattern)):
            yield _bytes(home, path, path.read_bytes())


def _tables(workspace: Workspace, record: VersionRecord) -> Iterator[Source]:
    """Yield the generation of each batch's tables that the version was built from, record and files."""
    home, tables = workspace.home, workspace.at(record).home.tables
    for asset in STAGES:
        for batch in record.batches:
            kept = tables.get(asset, batch)
            folder = tables.folder(asset, batch)
            yield _bytes(home, folder / kept_name(kept), kept_bytes(kept))
            for file in kept.files.values():
                path = folder / file.file
                yield Source(_file(relative(home, path), file.sha256, file.size, file.rows), path)


def kept_name(record: TableRecord) -> str:
    """Return the file in which :meth:`ragflow.store.tables.TableStore.keep` keeps a generation."""
    return f"record-{record.output_sha256[:KEPT_DIGITS]}.json"


def kept_bytes(record: TableRecord) -> bytes:
    """Return what stands in that file."""
    return orjson.dumps(asdict(record), option=orjson.OPT_INDENT_2)


def _single_files(workspace: Workspace) -> Iterator[Source]:
    """Yield the settings, the golden queries, what tuning has found, the requests to read again and the list of what is
    gone on purpose, if there are any.

    Raises:
        IntegrityError: that list is damaged.
    """
    home, golden = workspace.home, workspace.gate.retrieval.golden_queries
    home.absences.all()
    wanted = [home.root / SETTINGS_FILE, home.rereads.root / "requests.jsonl", home.absences.path, home.tuning.path]
    if golden is not None:
        wanted.append(home.root / golden.expanduser())
    for path in wanted:
        # Golden queries may lie outside the home: whoever put them there keeps them.
        if path.is_file() and path.resolve().is_relative_to(home.root.resolve()):
            yield _bytes(home, path, path.read_bytes())


def _documents(workspace: Workspace, manifests: Sequence[BatchManifest]) -> Iterator[Source]:
    """Yield the bytes of the documents in the version, and of those that its batches brought and that are still kept.

    Raises:
        IntegrityError: the bytes of a document in the version are missing, and the ledger does not say why.
    """
    corpus = fold(manifests)
    names = {state.sha256: key for key, state in corpus.documents.items() if state.sha256}
    blobs = workspace.home.blobs
    for sha256 in sorted(corpus.homes):
        path = blobs.path(sha256)
        if path.is_file():
            yield Source(_file(relative(workspace.home, path), sha256, path.stat().st_size), path)
        elif sha256 in names and not missing_by_design(workspace, corpus, sha256):
            raise IntegrityError(
                f"The stored bytes of {names[sha256]} are missing ({path}).",
                remedy="Put the file back into its source and materialize raw_pdfs again, or back up without documents"
                " (--no-documents).",
            )


def missing_by_design(workspace: Workspace, corpus: Corpus, sha256: str) -> bool:
    """Whether the ledger tells why the bytes of a content were never stored.

    Args:
        workspace: with the tables of the version.

    Raises:
        IntegrityError: the table that says so is damaged.
    """
    tables = workspace.home.tables
    record = tables.get(RAW_PDFS, corpus.homes[sha256])
    rows = tables.rows(record, "documents", [("document_sha256", "==", sha256)]).to_pylist()
    return bool(rows) and all(is_missing_by_design(row["reason"]) for row in rows)


def relative(home: Home, path: Path) -> str:
    """Return a path in the home as it stands in a manifest."""
    return path.relative_to(home.root).as_posix()


def _bytes(home: Home, path: Path, data: bytes) -> Source:
    return Source(_file(relative(home, path), sha256_hex(data), len(data)), data)


def _file(path: str, sha256: str, size: int, rows: int | None = None) -> BackupFile:
    return BackupFile(Part.HOME, path, sha256, size, sha256, size, rows)


def points_file(path: str, at: Path, rows: int) -> Source:
    """Return a file of points as a source."""
    digest, size = hash_file(at), at.stat().st_size
    return Source(BackupFile(Part.POINTS, path, digest, size, digest, size, rows), at)
