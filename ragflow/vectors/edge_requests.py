"""What Qdrant Edge is told and what it answers, in its own types: settings, filters, points."""

from __future__ import annotations

import uuid
from collections.abc import Collection
from typing import Any

import numpy as np
import qdrant_edge

from ragflow.errors import BadInputError, IntegrityError, UsageError
from ragflow.model.points import Point, SparseVector
from ragflow.vectors.checking import check_where
from ragflow.vectors.protocols import (
    OVERSAMPLING,
    PAYLOAD_INDEXES,
    TEXT_FIELD,
    AnyOf,
    Between,
    CollectionSettings,
    Where,
)

DENSE = "dense"
SPARSE = "sparse"
SEGMENTS = 2
"""Segments to merge towards; left alone, the engine takes the number of processors, and versions would differ."""
FULL_SCAN_KILOBYTES = 10_000
"""A filter that leaves less than this is searched without the graph."""
_NO_VECTOR = np.empty(0, dtype=np.float32)
_NO_TERMS = SparseVector(np.empty(0, dtype=np.uint32), np.empty(0, dtype=np.float32))
_KINDS = {"keyword": qdrant_edge.PayloadSchemaType.Keyword, "integer": qdrant_edge.PayloadSchemaType.Integer}


def check_settings(settings: CollectionSettings) -> None:
    """Raise UsageError if ``settings`` ask for what only a server can do."""
    if (settings.shards, settings.replicas) != (1, 1):
        raise UsageError(
            f"The embedded vector engine cannot cut a collection into {settings.shards} shards with "
            f"{settings.replicas} replicas.",
            remedy="Set shards and replicas to 1, or keep the vectors on a Qdrant server.",
        )


def to_indexes(settings: CollectionSettings) -> dict[str, qdrant_edge.PayloadSchemaType]:
    """Return the payload fields to index, and as what."""
    indexes = {name: _KINDS[kind] for name, kind in PAYLOAD_INDEXES.items()}
    return {**indexes, TEXT_FIELD: qdrant_edge.PayloadSchemaType.Text} if settings.text_index else indexes


def to_config(settings: CollectionSettings, search_threads: int | None = None) -> qdrant_edge.EdgeConfig:
    # Rounded up: with fewer points than asked for there is never a graph. The engine counts in kilobytes per segment.
    threshold = -(-settings.index_from_points * settings.dimension * 4 // 1024)
    return qdrant_edge.EdgeConfig(
        vectors={DENSE: qdrant_edge.EdgeVectorParams(settings.dimension, qdrant_edge.Distance.Cosine)},
        sparse_vectors={SPARSE: qdrant_edge.EdgeSparseVectorParams(modifier=qdrant_edge.Modifier.Idf)},
        hnsw_config=qdrant_edge.HnswIndexConfig(
            settings.hnsw_m, settings.hnsw_ef_construct, full_scan_threshold=min(FULL_SCAN_KILOBYTES, threshold)
        ),
        optimizers=qdrant_edge.EdgeOptimizersConfig(indexing_threshold=threshold, default_segment_number=SEGMENTS),
        quantization_config=_to_quantization(settings),
        max_search_threads=search_threads,
        wal_enabled=False,
    )


def _to_quantization(settings: CollectionSettings) -> qdrant_edge.QuantizationConfigType | None:
    if settings.quantization == "int8":
        return qdrant_edge.ScalarQuantizationConfig(qdrant_edge.ScalarType.Int8, quantile=0.99)
    return qdrant_edge.BinaryQuantizationConfig() if settings.quantization == "binary" else None


def to_dense_params(settings: CollectionSettings) -> qdrant_edge.SearchParams | None:
    """Return how to search dense vectors: hits of quantized ones are ordered anew by the vectors themselves."""
    if settings.quantization == "none":
        return None
    rescoring = qdrant_edge.QuantizationSearchParams(rescore=True, oversampling=OVERSAMPLING)
    return qdrant_edge.SearchParams(quantization=rescoring)


def to_filter(where: Where | None, among: Collection[uuid.UUID] | None = None) -> qdrant_edge.Filter | None:
    check_where(where)
    conditions: list[Any] = [] if among is None else [qdrant_edge.HasIdCondition(set(among))]
    for name, value in (where or {}).items():
        key = name if name.isidentifier() and name.isascii() else f'"{name}"'
        if isinstance(value, Between):
            condition = qdrant_edge.FieldCondition(key, range=qdrant_edge.RangeFloat(gte=value.low, lte=value.high))
        elif isinstance(value, AnyOf):
            values: Any = list(value.values)
            condition = qdrant_edge.FieldCondition(key, match=qdrant_edge.MatchAny(values))
        else:
            match: Any = np.bool_(value) if isinstance(value, bool) else value
            condition = qdrant_edge.FieldCondition(key, match=qdrant_edge.MatchValue(match))
        conditions.append(condition)
    return qdrant_edge.Filter(must=conditions) if conditions else None


def to_sparse(sparse: SparseVector) -> qdrant_edge.SparseVector:
    return qdrant_edge.SparseVector(sparse.indices.tolist(), sparse.values.tolist())


def from_point(point: Point, dense: list[float]) -> qdrant_edge.Point:
    try:
        return qdrant_edge.Point(point.id, {DENSE: dense, SPARSE: to_sparse(point.sparse)}, dict(point.payload))
    except (TypeError, ValueError) as error:
        raise BadInputError(f"Point {point.id} cannot be stored: {error}.") from error


def to_uuid(identifier: Any) -> uuid.UUID:
    if not isinstance(identifier, uuid.UUID):
        raise IntegrityError(f"The collection holds the point {identifier!r}, which ragflow did not write.")
    return identifier


def to_point(record: qdrant_edge.Record) -> Point:
    if not record.vector:
        return Point(to_uuid(record.id), _NO_VECTOR, _NO_TERMS, record.payload or {})
    vectors: Any = record.vector
    sparse = vectors.get(SPARSE)
    return Point(
        id=to_uuid(record.id),
        dense=np.array(vectors.get(DENSE, ()), dtype=np.float32),
        sparse=SparseVector(
            np.array(sparse.indices if sparse is not None else (), dtype=np.uint32),
            np.array(sparse.values if sparse is not None else (), dtype=np.float32),
        ),
        payload=record.payload or {},
    )
