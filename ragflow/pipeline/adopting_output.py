"""What an adoption writes: points as Parquet files, the mapping from old ids to new ones, and a collection version.

Rows come in one fixed order and are written in groups of fixed size, so that the same input gives the same bytes.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from ragflow.errors import IntegrityError
from ragflow.model.merkle import merkle_root
from ragflow.model.points import Float32Array, Point, SparseVector, point_sha256, vector_sha256
from ragflow.pipeline.adopting_inventory import kind_of
from ragflow.pipeline.adopting_rows import LINKED, OUTCOMES, REASONS, Outcomes, Rows
from ragflow.pipeline.adopting_spool import NO_NUMBERS
from ragflow.pipeline.duplicates import IntArray
from ragflow.pipeline.progress import report
from ragflow.store.blobs import hash_file
from ragflow.vectors.edge import EdgeVersionStore
from ragflow.vectors.protocols import CollectionSettings, CollectionWriter

VERSION = "v000001"
MAPPING = "mapping.parquet"
MAX_POINTS = 50_000
"""Points in one file."""
MAX_FILE_BYTES = 256 * 1024 * 1024
"""Bytes of vectors in one file; long vectors make for fewer points."""
GROUP = 2_000
"""Points in a row group: what is held in memory while writing."""
MAPPING_GROUP = 50_000
FROM, OLD_ID, BEFORE = "adopted_from", "adopted_id", "adopted_before"
"""What is added to a payload; what stood there under these names is kept under the last."""

POINTS_SCHEMA = pa.schema(
    [
        pa.field("new_id", pa.string(), nullable=False),
        pa.field("vector", pa.list_(pa.float32())),
        pa.field("original_vector", pa.list_(pa.float32())),
        pa.field("sparse_indices", pa.list_(pa.uint32())),
        pa.field("sparse_values", pa.list_(pa.float32())),
        pa.field("other_vectors", pa.string()),
        pa.field("payload", pa.string(), nullable=False),
        pa.field(FROM, pa.string(), nullable=False),
        pa.field(OLD_ID, pa.string(), nullable=False),
        pa.field("adopted_id_kind", pa.string(), nullable=False),
        pa.field("linked_to", pa.string()),
    ]
)
"""``vector`` is what is searched; null: the point cannot be found by its vector. ``original_vector`` is there where it
was another. ``payload`` and ``other_vectors`` are JSON as it was found."""
MAPPING_SCHEMA = pa.schema(
    [
        pa.field("collection", pa.string(), nullable=False),
        pa.field("old_id", pa.string(), nullable=False),
        pa.field("old_id_kind", pa.string(), nullable=False),
        pa.field("new_id", pa.string(), nullable=False),
        pa.field("outcome", pa.string(), nullable=False),
        pa.field("of", pa.string()),
        pa.field("because", pa.string()),
        pa.field("cosine", pa.float64()),
        pa.field("jaccard", pa.float64()),
        pa.field("searchable", pa.bool_(), nullable=False),
    ]
)
"""``new_id`` is where the point is found now: its own id, or that of the point it was merged into. ``of`` is the new id
of the point that it was merged into or is linked to."""


@dataclass(frozen=True, slots=True)
class WrittenFile:
    """A file of an adoption: name, SHA-256, rows, bytes."""

    file: str
    sha256: str
    rows: int
    size: int


@dataclass(frozen=True, slots=True)
class Written:
    """What was written.

    Attributes:
        files: points and mapping, in order of their names.
        points: in the points files; ``searchable``: in the collection version.
        root: Merkle root over all points, in order of their new ids; ``searchable_root``: over those in the version.
    """

    files: tuple[WrittenFile, ...]
    points: int
    searchable: int
    root: str
    searchable_root: str


class Leaves:
    """The hashes of points, from which the roots are computed: 49 bytes per point, and as objects at the end."""

    def __init__(self) -> None:
        self._rows = bytearray()

    def add(self, identifier: uuid.UUID, digest: bytes, searchable: bool) -> None:
        self._rows += identifier.bytes + digest + bytes([searchable])

    def roots(self) -> tuple[str, str]:
        """Return the root over all points, and over the searchable ones, both in order of their ids."""
        rows = sorted(bytes(self._rows[start : start + 49]) for start in range(0, len(self._rows), 49))
        return merkle_root(row[16:48] for row in rows), merkle_root(row[16:48] for row in rows if row[48])


def write_adoption(folder: Path, rows: Rows, outcomes: Outcomes, index_from_points: int) -> Written:
    """Write points, mapping and collection version into ``folder``."""
    written = np.flatnonzero(outcomes.written)
    searchable = rows.searchable
    leaves = Leaves()
    settings = CollectionSettings(rows.dimension, index_from_points=index_from_points)
    per_file = max(GROUP, min(MAX_POINTS, MAX_FILE_BYTES // (4 * rows.dimension)) // GROUP * GROUP)
    files = []
    with EdgeVersionStore(folder / "vectors").create(VERSION, settings) as writer:
        for number, first in enumerate(range(0, len(written), per_file), start=1):
            path = folder / f"points-{number:05d}.parquet"
            part = written[first : first + per_file]
            with pq.ParquetWriter(path, POINTS_SCHEMA, compression="zstd", compression_level=3) as file:
                for start in range(0, len(part), GROUP):
                    group = part[start : start + GROUP]
                    file.write_table(_write_group(rows, outcomes, group, searchable, writer, leaves))
                    report("writing points", first + start + len(group), len(written))
            files.append(_file(path, len(part)))
        found = writer.count()
        writer.finish()
    if found != int(searchable[written].sum()):
        raise IntegrityError(
            f"{found} points are in the collection version, and {int(searchable[written].sum())} were written to it.",
            remedy="See whether the disk is full; then adopt again.",
        )
    files.append(_write_mapping(folder / MAPPING, rows, outcomes, searchable))
    root, searchable_root = leaves.roots()
    return Written(tuple(sorted(files, key=lambda f: f.file)), len(written), found, root, searchable_root)


def _write_group(
    rows: Rows,
    outcomes: Outcomes,
    group: IntArray,
    searchable: Any,
    writer: CollectionWriter,
    leaves: Leaves,
) -> pa.Table:
    """Upsert a group of points, add their leaves, and return their rows."""
    found, usable = rows.found(group), searchable[group]
    units = iter(rows.unit(group[usable]))
    columns: dict[str, list[Any]] = {name: [] for name in POINTS_SCHEMA.names}
    points = []
    for row, original, can in zip(group.tolist(), found, usable.tolist(), strict=True):
        (origin, old), new, payload = rows.id(row), rows.new_id(row), rows.payload(row)
        dense = next(units) if can else None
        sparse, others = rows.sparse(row), rows.others(row)
        changed = original is not None and (dense is None or original.tobytes() != dense.tobytes())
        entry = {
            "new_id": str(new),
            "vector": dense,
            "original_vector": original if changed else None,
            "sparse_indices": sparse.indices if sparse.indices.size else None,
            "sparse_values": sparse.values if sparse.indices.size else None,
            "other_vectors": others.decode() or None,
            "payload": payload.decode(),
            FROM: origin,
            OLD_ID: str(old),
            "adopted_id_kind": kind_of(old),
            "linked_to": str(rows.new_id(int(outcomes.of[row])))
            if outcomes.outcome[row] == OUTCOMES.index(LINKED)
            else None,
        }
        for name, value in entry.items():
            columns[name].append(value)
        point = adopted_point(new, dense, sparse, payload, origin, old)
        leaves.add(new, leaf_of(point), can)
        if can:
            points.append(point)
    writer.upsert(points)
    return pa.table({name: pa.array(columns[name], field.type) for name, field in _fields()}, schema=POINTS_SCHEMA)


def _fields() -> Iterator[tuple[str, Any]]:
    return ((field.name, field) for field in POINTS_SCHEMA)


def adopted_point(
    new: uuid.UUID, dense: Float32Array | None, sparse: SparseVector, payload: bytes, origin: str, old: Any
) -> Point:
    """Return a point as it stands in the collection version: its payload whole, and where it comes from."""
    value = orjson.loads(payload)
    before = {name: value.pop(name) for name in (FROM, OLD_ID, BEFORE) if name in value}
    value.update({FROM: origin, OLD_ID: old if isinstance(old, int) else str(old)})
    if before:
        value[BEFORE] = before
    return Point(new, NO_NUMBERS if dense is None else dense, sparse, value)


def leaf_of(point: Point) -> bytes:
    """Return the hash of a point."""
    return point_sha256(point.id, vector_sha256(point.dense, point.sparse), point.payload)


def _write_mapping(path: Path, rows: Rows, outcomes: Outcomes, searchable: Any) -> WrittenFile:
    with pq.ParquetWriter(path, MAPPING_SCHEMA, compression="zstd", compression_level=3) as file:
        for start in range(0, len(rows), MAPPING_GROUP):
            group = range(start, min(start + MAPPING_GROUP, len(rows)))
            file.write_table(
                pa.Table.from_pylist([_mapping_row(rows, outcomes, r, searchable) for r in group], MAPPING_SCHEMA)
            )
            report("writing the mapping", group.stop, len(rows))
    return _file(path, len(rows))


def _mapping_row(rows: Rows, outcomes: Outcomes, row: int, searchable: Any) -> dict[str, Any]:
    origin, old = rows.id(row)
    of, outcome = int(outcomes.of[row]), OUTCOMES[outcomes.outcome[row]]
    target = None if of < 0 else str(rows.new_id(of))
    is_written = bool(outcomes.outcome[row] != OUTCOMES.index("merged_into"))
    cosine, jaccard = float(outcomes.cosine[row]), float(outcomes.jaccard[row])
    return {
        "collection": origin,
        "old_id": str(old),
        "old_id_kind": kind_of(old),
        "new_id": str(rows.new_id(row)) if is_written else target,
        "outcome": outcome,
        "of": target,
        "because": REASONS[outcomes.reason[row]] or None,
        "cosine": None if np.isnan(cosine) else cosine,
        "jaccard": None if np.isnan(jaccard) else jaccard,
        "searchable": bool(searchable[row if is_written else of]),
    }


def _file(path: Path, rows: int) -> WrittenFile:
    return WrittenFile(path.name, hash_file(path), rows, path.stat().st_size)
