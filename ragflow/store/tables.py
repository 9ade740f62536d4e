"""Parquet tables per asset and batch.

``root/<asset>/<batch>/`` holds the tables' files and ``record.json``, written last and atomically: it names the files
that count, their hashes and the fingerprint of the work that made them. Without a record there is no table. File
names carry their content's hash, so new tables never overwrite what a reader has open.

A collection version keeps the tables that it was built from: ``record-<hash>.json`` beside ``record.json`` names such a
*generation*, whose files stay when the tables are made anew. A store with *pins* gives these back instead of the
newest: what a version was built from can be read, and proven, for as long as it is kept.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from ragflow.errors import IncompleteError, IntegrityError, UsageError
from ragflow.model.fingerprints import fingerprint as fingerprint_of
from ragflow.store.atomic import put_in_place, temporary_beside, write_bytes
from ragflow.store.blobs import hash_file

log = logging.getLogger(__name__)

RECORD = "record.json"
KEPT = "record-*.json"
PARTIAL = "partial"

Pins = Mapping[str, Mapping[str, str]]
"""Asset → batch → hash over the tables' files (:attr:`TableRecord.output_sha256`)."""


@dataclass(frozen=True, slots=True)
class TableFile:
    """One stored table: file name, hash of the file, rows, bytes."""

    file: str
    sha256: str
    rows: int
    size: int


@dataclass(frozen=True, slots=True)
class TableRecord:
    """What an asset wrote for a batch.

    Attributes:
        asset, batch: whose tables these are.
        fingerprint: of inputs, options and code; equal means that the work need not be done again.
        files: table name → file.
        figures: counts and means worth keeping (JSON values).
        written_at: ISO 8601, UTC.
    """

    asset: str
    batch: str
    fingerprint: str
    files: Mapping[str, TableFile]
    figures: Mapping[str, Any]
    written_at: str

    @property
    def output_sha256(self) -> str:
        """Hash over all files: the data version of the asset's partition."""
        return fingerprint_of(files={name: file.sha256 for name, file in self.files.items()})


@dataclass(frozen=True, slots=True)
class TableStore:
    """All tables under ``root``.

    Attributes:
        root: where they lie.
        pins: the generation to read of each batch; a batch that is not among them is not there. None: the newest.
    """

    root: Path
    pins: Pins | None = field(default=None, compare=False)

    def folder(self, asset: str, batch: str) -> Path:
        return self.root / asset / batch

    def partial(self, asset: str, batch: str, fingerprint: str) -> Path:
        """Return the folder where work in progress is kept, so that a killed run goes on where it was."""
        return self.folder(asset, batch) / f"{PARTIAL}-{fingerprint[:16]}"

    def batches(self, asset: str) -> tuple[str, ...]:
        """Return the batches for which the asset has written its tables, sorted."""
        if self.pins is not None:
            return tuple(sorted(self.pins.get(asset, {})))
        return tuple(sorted(path.parent.name for path in (self.root / asset).glob(f"*/{RECORD}")))

    def find(self, asset: str, batch: str) -> TableRecord | None:
        """Return the record, or None if the asset has not written its tables for this batch.

        Raises:
            IntegrityError: there is a record, but it cannot be read.
        """
        if self.pins is None:
            return self._load(asset, batch, RECORD)
        pinned = self.pins.get(asset, {}).get(batch)
        if pinned is None:
            return None
        record = self._load(asset, batch, _kept_name(pinned))
        if record is None:
            # Versions of before, and builds that were killed, have kept nothing: the newest may be what they mean.
            record = self._load(asset, batch, RECORD)
        if record is None or record.output_sha256 != pinned:
            raise IntegrityError(
                f"The tables of {asset} for batch {batch} are not those that the collection version was built from.",
                remedy="Restore them from a backup, or build a new version with `ragflow ingest --rebuild`.",
            )
        return record

    def _load(self, asset: str, batch: str, name: str) -> TableRecord | None:
        path = self.folder(asset, batch) / name
        try:
            value = orjson.loads(path.read_bytes())
            files = {name: TableFile(**file) for name, file in value.pop("files").items()}
            return TableRecord(files=files, **value)
        except FileNotFoundError:
            return None
        except (orjson.JSONDecodeError, TypeError, KeyError, AttributeError) as error:
            raise IntegrityError(
                f"The record of {asset} for batch {batch} is damaged ({error}).",
                remedy=f"Delete {path} and materialize the partition again.",
            ) from error

    def get(self, asset: str, batch: str) -> TableRecord:
        """Return the record.

        Raises:
            IncompleteError: the asset has not been materialized for this batch.
        """
        record = self.find(asset, batch)
        if record is None:
            raise IncompleteError(
                f"{asset} is missing for batch {batch}.", remedy=f"Materialize {asset} for this partition first."
            )
        return record

    def damage(self, record: TableRecord) -> dict[str, str]:
        """Hash the record's files again; return table name → what is wrong, empty if all are intact."""
        broken = {}
        for name, file in record.files.items():
            path = self.folder(record.asset, record.batch) / file.file
            if not path.is_file():
                broken[name] = "the file is missing"
            elif hash_file(path) != file.sha256:
                broken[name] = "the file's bytes no longer match the recorded hash"
        return broken

    def current(self, asset: str, batch: str, fingerprint: str) -> TableRecord | None:
        """Return the record if its work need not be done again: same fingerprint, and its files are intact."""
        try:
            record = self.find(asset, batch)
        except IntegrityError:
            # A damaged record is as good as none: the work is done again and writes a new one.
            return None
        if record is None or record.fingerprint != fingerprint or self.damage(record):
            return None
        return record

    def keep(self, record: TableRecord) -> None:
        """Keep this generation of a batch's tables when they are made anew. Keeping twice is keeping once."""
        path = self.folder(record.asset, record.batch) / _kept_name(record.output_sha256)
        if not path.exists():
            write_bytes(path, orjson.dumps(asdict(record), option=orjson.OPT_INDENT_2))

    def kept(self, asset: str, batch: str) -> tuple[TableRecord, ...]:
        """Return the generations that are kept, the newest among them if it is.

        Raises:
            IntegrityError: the record of one cannot be read.
        """
        found = (self._load(asset, batch, path.name) for path in sorted(self.folder(asset, batch).glob(KEPT)))
        return tuple(record for record in found if record is not None)

    def release(self, record: TableRecord) -> int:
        """Stop keeping a generation, and remove the files that no other needs; return the bytes that this frees."""
        folder = self.folder(record.asset, record.batch)
        (folder / _kept_name(record.output_sha256)).unlink(missing_ok=True)
        newest = self._load(record.asset, record.batch, RECORD)
        needed = {
            file.file
            for other in (*self.kept(record.asset, record.batch), newest)
            if other
            for file in other.files.values()
        }
        freed = 0
        for file in record.files.values():
            path = folder / file.file
            if file.file not in needed and path.exists():
                freed += path.stat().st_size
                path.unlink()
        return freed

    def write(
        self,
        asset: str,
        batch: str,
        *,
        fingerprint: str,
        tables: Mapping[str, pa.Table],
        figures: Mapping[str, Any],
    ) -> TableRecord:
        """Write the tables, then their record; remove files that no longer count.

        Raises:
            UsageError: the store is pinned.
        """
        if self.pins is not None:
            raise UsageError("Tables that a version was built from are read, not written.")
        folder = self.folder(asset, batch)
        files = {}
        for name, table in tables.items():
            files[name] = self._write_file(folder, name, table)
        record = TableRecord(
            asset=asset,
            batch=batch,
            fingerprint=fingerprint,
            files=files,
            figures=dict(figures),
            written_at=datetime.now(UTC).isoformat(timespec="seconds"),
        )
        write_bytes(folder / RECORD, orjson.dumps(asdict(record), option=orjson.OPT_INDENT_2))
        self._sweep(folder, keep={RECORD, *(file.file for file in files.values())})
        return record

    def _write_file(self, folder: Path, name: str, table: pa.Table) -> TableFile:
        temporary = temporary_beside(folder / f"{name}.parquet")
        try:
            pq.write_table(table, temporary, compression="zstd", compression_level=3)
            digest, size = hash_file(temporary), temporary.stat().st_size
            target = folder / f"{name}-{digest[:12]}.parquet"
            put_in_place(temporary, target)
        finally:
            temporary.unlink(missing_ok=True)
        return TableFile(file=target.name, sha256=digest, rows=table.num_rows, size=size)

    def _sweep(self, folder: Path, keep: set[str]) -> None:
        try:
            generations = self.kept(folder.parent.name, folder.name)
        except IntegrityError:
            # Which files a damaged record means is not known: better too many than too few.
            log.warning("nothing is swept beside a damaged record", extra={"folder": str(folder)})
            return
        keep |= {file.file for record in generations for file in record.files.values()}
        for path in folder.iterdir():
            if path.name in keep or path.match(KEPT):
                continue
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)

    def read(self, record: TableRecord, name: str, *, columns: Sequence[str] | None = None) -> pa.Table:
        """Read one table, or some of its columns.

        Raises:
            IntegrityError: the file is missing or is not the Parquet file that was written.
        """
        return self._read(record, name, columns, None)

    def rows(self, record: TableRecord, name: str, where: Sequence[tuple[str, str, Any]]) -> pa.Table:
        """Read the rows of one table that fulfil all conditions, each (column, operator, value).

        Raises:
            IntegrityError: as for :meth:`read`.
        """
        return self._read(record, name, None, list(where))

    def _read(
        self,
        record: TableRecord,
        name: str,
        columns: Sequence[str] | None,
        where: list[tuple[str, str, Any]] | None,
    ) -> pa.Table:
        """Read a table.

        Raises:
            IntegrityError: the file is missing or is not the Parquet file that was written.
        """
        path = self.folder(record.asset, record.batch) / record.files[name].file
        try:
            names = list(columns) if columns is not None else None
            return pq.read_table(path, columns=names, filters=where, partitioning=None)
        except (FileNotFoundError, pa.ArrowInvalid, OSError) as error:
            raise IntegrityError(
                f"Table {name} of {record.asset} for batch {record.batch} cannot be read: {error}.",
                remedy=f"Materialize {record.asset} for partition {record.batch} again.",
            ) from error


def _kept_name(output_sha256: str) -> str:
    return f"record-{output_sha256[:16]}.json"
