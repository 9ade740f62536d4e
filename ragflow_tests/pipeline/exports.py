"""Foreign collections for the tests of adoption: exports, local mode, shards."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import qdrant_edge
from qdrant_client import QdrantClient, models

from ragflow.model.points import Float32Array
from ragflow.model.verdicts import Outcome, Verdict

DIMENSION = 8
TEXTS = (
    "The granite quarry above the river was closed after the flood carried away its crane.",
    "Pear orchards cover the southern slope, and the cider press works day and night.",
    "The windmill on the northern ridge grinds barley for three villages.",
    "Le conseil décide de réparer la toiture du lavoir avant l'hiver.",
    "L'institutrice demande un poêle neuf pour l'école, car les enfants ont froid.",
)


def unit(seed: int, dimension: int = DIMENSION) -> list[float]:
    """Return the same vector of unit length for the same seed; other seeds give others, far apart."""
    vector = np.random.default_rng(seed).normal(size=dimension).astype(np.float32)
    return [float(value) for value in (vector / np.linalg.norm(vector)).astype(np.float32)]


def near(vector: Sequence[float], by: float = 0.01) -> list[float]:
    """Return a vector of unit length a little beside another."""
    moved = np.array(vector, np.float64)
    moved[0] += by
    return [float(value) for value in (moved / np.linalg.norm(moved)).astype(np.float32)]


def point(identifier: Any, vector: Any, text: str | None = None, **payload: Any) -> dict[str, Any]:
    return {"id": identifier, "vector": vector, "payload": {**({} if text is None else {"text": text}), **payload}}


def export(path: Path, points: Iterable[Mapping[str, Any]]) -> str:
    """Write JSON lines; return the path as a source."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in points), encoding="utf-8")
    return str(path)


def library(path: Path, first: int = 0) -> str:
    """Write five points without any duplicates."""
    return export(path, [point(first + number, unit(first + number), text) for number, text in enumerate(TEXTS)])


def two_libraries(folder: Path) -> list[str]:
    """Two exports: b.jsonl repeats of a.jsonl a whole point, a text, and nearly a third."""
    a = library(folder / "a.jsonl")
    b = export(
        folder / "b.jsonl",
        [
            point("same", unit(0), TEXTS[0]),
            point("text", near(unit(1)), "  " + TEXTS[1].replace(" ", "\n"), page=7),
            point("near", near(unit(2)), TEXTS[2] + " It is old."),
            point("other", near(unit(3)), "Nothing of what stands there is said here."),
            point(str(uuid.UUID(int=5)), unit(50)),
        ],
    )
    return [a, b]


def local_mode(folder: Path, points: Sequence[Mapping[str, Any]], distance: str = "Cosine") -> str:
    client = QdrantClient(path=str(folder))
    params = models.VectorParams(size=len(points[0]["vector"]), distance=models.Distance(distance))
    client.create_collection("books", vectors_config=params)
    client.upsert("books", [models.PointStruct(**row) for row in points])
    client.close()
    return f"qdrant-local:{folder}#books"


def shard(folder: Path, points: Sequence[Mapping[str, Any]]) -> str:
    folder.mkdir(parents=True)
    params = qdrant_edge.EdgeVectorParams(len(points[0]["vector"]), qdrant_edge.Distance.Cosine)
    opened = qdrant_edge.EdgeShard.create(str(folder), qdrant_edge.EdgeConfig(vectors={"": params}))
    rows = [qdrant_edge.Point(row["id"], {"": row["vector"]}, row["payload"]) for row in points]
    opened.update(qdrant_edge.UpdateOperation.upsert_points(rows))
    opened.flush()
    opened.close()
    return str(folder)


def mapping_of(folder: Path) -> dict[tuple[str, str], dict[str, Any]]:
    """Return the mapping of an adoption: (name of the origin's last part, old id) → row."""
    rows = pq.read_table(folder / "mapping.parquet").to_pylist()
    return {(Path(row["collection"]).name, row["old_id"]): row for row in rows}


def points_of(folder: Path) -> dict[str, dict[str, Any]]:
    """Return the points in the files of an adoption: new id → row."""
    tables = [pq.read_table(path) for path in sorted(folder.glob("points-*.parquet"))]
    return {row["new_id"]: row for table in tables for row in table.to_pylist()}


def contents(folder: Path) -> dict[str, bytes]:
    """Return what an adoption wrote, but for the engine's files."""
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file()}


def failing(verdicts: Iterable[Verdict]) -> list[str]:
    return [verdict.name for verdict in verdicts if verdict.outcome is Outcome.FAIL]


def clusters(count: int, dimension: int, seed: int = 0) -> Float32Array:
    """Return vectors of unit length, many of them close to others, in no order."""
    random = np.random.default_rng(seed)
    centres = random.normal(size=(max(1, count // 6), dimension))
    chosen = centres[random.integers(0, len(centres), count)]
    vectors = chosen + random.normal(size=chosen.shape) * random.choice([0.0, 0.05, 0.12, 0.5], size=(count, 1))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
