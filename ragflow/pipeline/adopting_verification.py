"""Proving an adopted collection again: its files, its points, its mapping and its collection version."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ragflow.errors import IntegrityError, NotFoundError, RagflowError
from ragflow.model.points import SparseVector
from ragflow.model.verdicts import Verdict, verdict
from ragflow.pipeline.adopting_output import GROUP, MAPPING, Leaves, adopted_point, leaf_of
from ragflow.pipeline.adopting_report import read_record
from ragflow.pipeline.adopting_rows import MERGED, OUTCOMES
from ragflow.pipeline.adopting_spool import EMPTY
from ragflow.pipeline.progress import report
from ragflow.store.blobs import hash_file
from ragflow.vectors.edge import EdgeVersionStore

AGAIN = "Adopt the collections again with --replace, or restore the folder from a backup."


def verify_adopted(folder: Path) -> tuple[Verdict, ...]:
    """Recompute everything that the report of an adoption says of what was written.

    Raises:
        NotFoundError: there is no report, so nothing in the folder counts.
        IntegrityError: the report cannot be read.
    """
    record = read_record(folder)
    if record is None:
        raise NotFoundError(f"{folder} holds no adopted collection.", remedy="Run `ragflow adopt`.")
    files = _files(folder, record)
    if not files.passed:
        return (files, check_version(folder, record))
    leaves, ids = _read_points(folder, record)
    root, searchable_root = leaves.roots()
    roots = {"all points": (record["merkle_root"], root)}
    roots["searchable points"] = (record["collection_version"]["merkle_root"], searchable_root)
    return (
        files,
        verdict(
            "merkle_root",
            [{"of": name, "recorded": said, "found": found} for name, (said, found) in roots.items() if said != found],
            passed=f"{len(ids)} points have the recorded root.",
            failed="{count} roots are not those that were recorded.",
            remedy=AGAIN,
        ),
        verdict(
            "mapping",
            _mapping_problems(folder, record, ids),
            passed="Every point that came in is accounted for.",
            failed="The mapping does not add up in {count} places.",
            remedy=AGAIN,
        ),
        check_version(folder, record),
    )


def is_intact(folder: Path, record: dict[str, Any]) -> bool:
    """Whether files and collection version are byte for byte what the report says."""
    if not _files(folder, record).passed:
        return False
    try:
        EdgeVersionStore(folder / "vectors").check_files(record["collection_version"]["version"])
    except RagflowError:
        return False
    return True


def check_version(folder: Path, record: dict[str, Any]) -> Verdict:
    """Hold the collection version against its root, reading every point."""
    said = record["collection_version"]
    problems: list[dict[str, Any]] = []
    try:
        store = EdgeVersionStore(folder / "vectors")
        store.check_files(said["version"])
        leaves = Leaves()
        with store.open(said["version"]) as reader:
            done = 0
            for page in reader.scroll():
                for point in page:
                    leaves.add(point.id, leaf_of(point), True)
                done += len(page)
                report("reading the collection version", done, max(done, said["points"]))
        if (found := leaves.roots()[0]) != said["merkle_root"]:
            problems.append({"recorded": said["merkle_root"], "found": found})
    except (IntegrityError, NotFoundError) as error:
        problems.append({"problem": error.message})
    return verdict(
        "collection_version",
        problems,
        passed=f"{said['points']} searchable points have the recorded root.",
        failed="The collection version is not what was recorded.",
        remedy=AGAIN,
    )


def _files(folder: Path, record: dict[str, Any]) -> Verdict:
    wanted = {file["file"]: file["sha256"] for file in record["files"]}
    problems = []
    for name, sha256 in wanted.items():
        path = folder / name
        if not path.is_file():
            problems.append({"file": name, "problem": "is missing"})
        elif hash_file(path) != sha256:
            problems.append({"file": name, "problem": "has other bytes than were recorded"})
    there = {path.name for path in folder.glob("*.parquet")}
    problems += [{"file": name, "problem": "was not written by the adoption"} for name in sorted(there - set(wanted))]
    return verdict(
        "files",
        problems,
        passed=f"{len(wanted)} files are as they were written.",
        failed="{count} files are not as they were written.",
        remedy=AGAIN,
    )


def _read_points(folder: Path, record: dict[str, Any]) -> tuple[Leaves, set[str]]:
    """Return the hashes of the points in the files, and their ids."""
    leaves, ids = Leaves(), set[str]()
    for row in _rows(folder, [file["file"] for file in record["files"] if file["file"] != MAPPING]):
        new = uuid.UUID(row["new_id"])
        dense = None if row["vector"] is None else np.array(row["vector"], np.float32)
        sparse = EMPTY
        if row["sparse_indices"] is not None:
            indices = np.array(row["sparse_indices"], np.uint32)
            sparse = SparseVector(indices, np.array(row["sparse_values"], np.float32))
        old = int(row["adopted_id"]) if row["adopted_id_kind"] == "int" else row["adopted_id"]
        point = adopted_point(new, dense, sparse, row["payload"].encode(), row["adopted_from"], old)
        leaves.add(new, leaf_of(point), dense is not None)
        ids.add(row["new_id"])
        if len(ids) % GROUP == 0:
            report("reading points", len(ids), record["outcome"]["points_out"])
    return leaves, ids


def _mapping_problems(folder: Path, record: dict[str, Any], ids: set[str]) -> list[dict[str, Any]]:
    problems: list[dict[str, Any]] = []
    found: Counter[str] = Counter()
    arrived: Counter[str] = Counter()
    placed: set[str] = set()
    for row in _rows(folder, [MAPPING]):
        found[row["outcome"]] += 1
        arrived[row["collection"]] += 1
        if row["new_id"] not in ids or (row["of"] is not None and row["of"] not in ids):
            problems.append({"collection": row["collection"], "old_id": row["old_id"], "problem": "leads nowhere"})
        if row["outcome"] != MERGED:
            placed.add(row["new_id"])
    said = {outcome: record["outcome"][outcome] for outcome in OUTCOMES}
    if {outcome: found[outcome] for outcome in OUTCOMES} != said:
        problems.append({"recorded": str(said), "found": str(dict(found))})
    points = {entry["collection"]: entry["points"] for entry in record["collections"] if entry["points"]}
    if dict(arrived) != points:
        problems.append({"recorded": str(points), "found": str(dict(arrived))})
    if placed != ids:
        problems.append({"problem": f"{len(placed ^ ids)} points are in only one of points and mapping"})
    return problems


def _rows(folder: Path, names: list[str]) -> Iterator[dict[str, Any]]:
    for name in names:
        try:
            with pq.ParquetFile(folder / name) as file:
                for batch in file.iter_batches(batch_size=GROUP):
                    yield from batch.to_pylist()
        except (pa.ArrowException, OSError) as error:
            raise IntegrityError(f"{folder / name} cannot be read: {error}.", remedy=AGAIN) from error
