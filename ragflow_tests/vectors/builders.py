"""Points for the tests of vector engines: random but repeatable."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ragflow.model.fingerprints import canonical_json
from ragflow.model.points import Float32Array, Point, SparseVector, point_sha256, vector_sha256

DIMENSION = 16
MOVED_AT = "2026-01-02T03:04:05Z"


def unit_vectors(count: int, seed: int = 0, dimension: int = DIMENSION) -> Float32Array:
    vectors = np.random.default_rng(seed).normal(size=(count, dimension)).astype(np.float32)
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), dtype=np.float32)


def sparse(weights: Mapping[int, float]) -> SparseVector:
    terms = sorted(weights)
    return SparseVector(np.array(terms, dtype=np.uint32), np.array([weights[term] for term in terms], dtype=np.float32))


def make_point(number: int, dense: Float32Array, weights: Mapping[int, float], payload: dict[str, Any]) -> Point:
    """Make a point whose id depends on ``number`` only, in no order."""
    return Point(identifier(number), dense, sparse(weights), payload)


def identifier(number: int) -> uuid.UUID:
    return uuid.UUID(bytes=hashlib.sha256(str(number).encode()).digest()[:16])


def make_points(count: int, seed: int = 0, dimension: int = DIMENSION, first: int = 0) -> list[Point]:
    """Points ``first`` to ``first + count``; another seed gives other vectors under the same ids."""
    random = np.random.default_rng(seed + 1)
    dense = unit_vectors(count, seed, dimension)
    points = []
    for number in range(first, first + count):
        terms = random.choice(2**32, size=5, replace=False)
        weights = {int(term): float(weight) for term, weight in zip(terms, random.random(5) + 0.1, strict=True)}
        payload = {
            "document_key": f"inbox/{number // 5}.pdf",
            "source": "inbox",
            "language": "fr" if number % 3 else "en",
            "engine": "tesseract",
            "page_number": number % 5 + 1,
            "text": f"Ligne n° {number}: œuvre",
            "boxes": [[0.1, 0.2, 0.30000000000000004, 1.0]],
            "draft": number % 2 == 0,
        }
        points.append(make_point(number, dense[number - first], weights, payload))
    return points


def hashes(points: Iterable[Point]) -> dict[uuid.UUID, str]:
    """Return id → hash of everything that a point holds, and the JSON types of its payload."""
    return {
        point.id: point_sha256(point.id, vector_sha256(point.dense, point.sparse), point.payload).hex()
        + canonical_json(point.payload).decode()
        for point in points
    }


def snapshot(folder: Path) -> dict[str, tuple[int, int, str]]:
    """Return relative path → (bytes, modification time, SHA-256) of every file below ``folder``."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {
        path.relative_to(folder).as_posix(): (
            path.stat().st_size,
            path.stat().st_mtime_ns,
            hashlib.sha256(path.read_bytes()).hexdigest(),
        )
        for path in files
    }
