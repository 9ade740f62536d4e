"""A collection version out of its engine and into one again: as points, which any engine takes, and as the engine's own
snapshot, which only the same engine does."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from ragflow.errors import IntegrityError, UsageError
from ragflow.model.backups import ROWS_PER_FILE, BackupFile, BackupManifest, Part, points_schema
from ragflow.model.fingerprints import canonical_json
from ragflow.model.points import Point, SparseVector
from ragflow.pipeline.observed import Observed, observed_hash
from ragflow.pipeline.progress import report
from ragflow.store.backups import BackupTarget
from ragflow.store.blobs import PIECE, hash_file
from ragflow.vectors.protocols import CollectionReader, CollectionSettings, VersionStore

ROWS_AT_ONCE = 1_000
"""Points that are in memory at a time."""
HOLE = 1 << 16
"""Bytes in a row that are left out of a file if all are zero."""
ZEROS = bytes(HOLE)


def export_points(
    reader: CollectionReader, observed: Observed, dimension: int, folder: Path
) -> Iterator[tuple[str, Path, int]]:
    """Write the points of a version as Parquet files, batch by batch: what a batch holds rarely changes, and then its
    files are those of the last backup, byte for byte.

    Args:
        observed: what the version holds.
        folder: where the files are written; a file may be removed once the next one is asked for.

    Yields:
        Path inside the backup, the file, its rows.

    Raises:
        IntegrityError: the version gives a point back otherwise than it has just been.
    """
    schema = points_schema(dimension)
    done = 0
    for batch, ids in _by_batch(observed).items():
        for number, start in enumerate(range(0, len(ids), ROWS_PER_FILE)):
            wanted = ids[start : start + ROWS_PER_FILE]
            path = folder / f"{batch}-{number:04d}.parquet"
            with pq.ParquetWriter(path, schema, compression="zstd", compression_level=3) as writer:
                for first in range(0, len(wanted), ROWS_AT_ONCE):
                    some = wanted[first : first + ROWS_AT_ONCE]
                    writer.write_table(_to_table(reader.retrieve(some), some, observed, schema))
                    done += len(some)
                    report("export points", done, len(observed.hashes))
            yield f"{batch}/{number:04d}.parquet", path, len(wanted)


def _by_batch(observed: Observed) -> dict[str, list[uuid.UUID]]:
    batches: dict[str, list[uuid.UUID]] = {}
    for identifier in sorted(observed.hashes):
        batches.setdefault(observed.origins[identifier].batch, []).append(identifier)
    return dict(sorted(batches.items()))


def _to_table(points: Sequence[Point], wanted: Sequence[uuid.UUID], observed: Observed, schema: pa.Schema) -> pa.Table:
    hashes = [observed_hash(point) for point in points]
    if [point.id for point in points] != list(wanted) or hashes != [observed.hashes[key] for key in wanted]:
        raise IntegrityError(
            "The version gives back other points than a moment ago.", remedy="Run `ragflow verify`, then back up again."
        )
    return pa.table(
        {
            "id": pa.array([point.id.bytes for point in points], schema.field("id").type),
            "dense": pa.array([point.dense for point in points], schema.field("dense").type),
            "sparse_indices": pa.array([point.sparse.indices for point in points], schema.field("sparse_indices").type),
            "sparse_values": pa.array([point.sparse.values for point in points], schema.field("sparse_values").type),
            "payload": pa.array([canonical_json(point.payload).decode() for point in points], pa.string()),
            "sha256": pa.array(hashes, schema.field("sha256").type),
        },
        schema=schema,
    )


def load_points(target: BackupTarget, manifest: BackupManifest, store: VersionStore, version: str) -> None:
    """Make a version of the points of a backup.

    Raises:
        IntegrityError: a file of points is missing or damaged, or a point is not what its hash says.
    """
    settings = CollectionSettings(**manifest.collection)
    done = 0
    with store.create(version, settings) as writer:
        for points in _read_points(target, manifest.of(Part.POINTS)):
            writer.upsert(points)
            done += len(points)
            report("restore points", done, manifest.points)
        writer.finish()


def _read_points(target: BackupTarget, files: Sequence[BackupFile]) -> Iterator[list[Point]]:
    with TemporaryDirectory(prefix="ragflow-points-") as folder:
        path = Path(folder) / "points.parquet"
        for file in files:
            fetch_file(target, file, path)
            try:
                for rows in pq.ParquetFile(path).iter_batches(ROWS_AT_ONCE):
                    yield [_to_point(row, file.path) for row in _rows(rows)]
            except (pa.ArrowException, KeyError, TypeError, ValueError) as error:
                raise _damaged(file.path, f"cannot be read ({error})") from error


def _rows(rows: pa.RecordBatch) -> Iterator[dict[str, Any]]:
    """Yield the rows, vectors as arrays."""
    columns = {name: rows.column(name) for name in ("dense", "sparse_indices", "sparse_values")}
    plain = rows.select(["id", "payload", "sha256"]).to_pylist()
    for number, row in enumerate(plain):
        yield {**row, **{name: column[number].values.to_numpy() for name, column in columns.items()}}


def _to_point(row: dict[str, Any], path: str) -> Point:
    point = Point(
        id=uuid.UUID(bytes=row["id"]),
        dense=row["dense"].astype(np.float32, copy=False),
        sparse=SparseVector(
            row["sparse_indices"].astype(np.uint32, copy=False), row["sparse_values"].astype(np.float32, copy=False)
        ),
        payload=orjson.loads(row["payload"]),
    )
    if observed_hash(point) != row["sha256"]:
        raise _damaged(path, f"holds the point {point.id}, which is not what its hash says")
    return point


def export_snapshot(store: VersionStore, version: str, folder: Path) -> Iterator[tuple[BackupFile, Path]]:
    """Have the engine copy a version into ``folder``, and compress each file; nothing if the engine makes no copies.

    Yields:
        What stands in the manifest, and the compressed file, which may be removed once the next one is asked for.

    Raises:
        IntegrityError: the version is damaged.
    """
    saved, packed = folder / "saved", folder / "packed"
    try:
        names = store.save_snapshot(version, saved)
    except UsageError:
        return
    for number, name in enumerate(sorted(names), start=1):
        with packed.open("wb") as stream, pa.CompressedOutputStream(stream, "zstd") as out:
            digest, size = hashlib.sha256(), 0
            with (saved / name).open("rb") as source:
                while piece := source.read(PIECE):
                    digest.update(piece)
                    out.write(piece)
                    size += len(piece)
        yield (
            BackupFile(
                part=Part.SNAPSHOT,
                path=name,
                sha256=digest.hexdigest(),
                size=size,
                object=hash_file(packed),
                stored=packed.stat().st_size,
            ),
            packed,
        )
        report("save snapshot", number, len(names))


def load_snapshot(target: BackupTarget, manifest: BackupManifest, store: VersionStore, version: str) -> None:
    """Make a version of the engine's snapshot in a backup.

    Raises:
        IntegrityError: a file of it is missing or damaged, or the engine does not take it.
    """
    files = manifest.of(Part.SNAPSHOT)
    with TemporaryDirectory(prefix="ragflow-snapshot-") as folder:
        for number, file in enumerate(files, start=1):
            fetch_file(target, file, Path(folder) / "saved" / file.path)
            report("restore snapshot", number, len(files))
        store.load_snapshot(version, Path(folder) / "saved")


def fetch_file(target: BackupTarget, file: BackupFile, path: Path) -> None:
    """Write a file of a backup to ``path``, with holes where it has only zeros.

    Raises:
        IntegrityError: what is stored for it is missing or damaged.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if not file.packed:
        with path.open("wb") as stream:
            target.fetch(file.object, stream)
        return
    with TemporaryDirectory(prefix="ragflow-packed-") as folder:
        packed = Path(folder) / "packed"
        with packed.open("wb") as stream:
            target.fetch(file.object, stream)
        if _unpack(packed, path, file.size) != file.sha256:
            raise _damaged(file.path, "does not unpack to what its hash says")


def _unpack(packed: Path, path: Path, size: int) -> str:
    """Unpack a file; return the hash of what came out, which is never more than ``size`` bytes and a piece."""
    digest, written = hashlib.sha256(), 0
    try:
        with packed.open("rb") as stream, pa.CompressedInputStream(stream, "zstd") as source, path.open("wb") as out:
            while written <= size and (piece := source.read(HOLE)):
                digest.update(piece)
                written += len(piece)
                if piece == ZEROS[: len(piece)]:
                    out.seek(len(piece), 1)
                else:
                    out.write(piece)
            out.truncate(written)
    except (pa.ArrowException, OSError) as error:
        raise _damaged(path.name, f"cannot be unpacked ({error})") from error
    return digest.hexdigest()


def scratch_name(store: VersionStore, version: str) -> str:
    """Return ``version``, or the next free name if the store has one of that name already."""
    there = store.versions()
    if version not in there:
        return version
    return f"v{max(int(name[1:]) for name in there) + 1:06d}"


def _damaged(path: str, problem: str) -> IntegrityError:
    return IntegrityError(
        f"The file {path} of the backup {problem}.", remedy="Restore another backup: `ragflow backup --list TARGET`."
    )
