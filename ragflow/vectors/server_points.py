"""What a Qdrant server is told and what it answers, in the client's types: settings, filters, points.

Floats of 32 bits travel unharmed: JSON writes them with as many digits as it takes to tell them apart, and gRPC as they
are. Whole numbers above 63 bits go through JSON only.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
from qdrant_client import models

from ragflow.errors import BadInputError, IntegrityError
from ragflow.model.points import Point, SparseVector
from ragflow.vectors.checking import check_where
from ragflow.vectors.protocols import (
    OVERSAMPLING,
    PAYLOAD_INDEXES,
    TEXT_FIELD,
    AnyOf,
    Between,
    CollectionSettings,
    ScoredPoint,
    Where,
)

DENSE = "dense"
SPARSE = "sparse"
SEGMENTS = 2
"""Segments to merge towards, in each shard; left alone, the server takes its number of processors."""
FULL_SCAN_KILOBYTES = 10_000
"""A filter that leaves less than this is searched without the graph."""
LEAST_FULL_SCAN_KILOBYTES = 10
"""The server takes no less."""
LARGEST_GRPC_INTEGER = 2**63 - 1


def to_collection(settings: CollectionSettings) -> dict[str, Any]:
    """Return the arguments that lay a collection out."""
    # Rounded up, as in the embedded engine: with fewer points than asked for there is never a graph.
    threshold = -(-settings.index_from_points * settings.dimension * 4 // 1024)
    full_scan = max(LEAST_FULL_SCAN_KILOBYTES, min(FULL_SCAN_KILOBYTES, threshold))
    return {
        "vectors_config": {DENSE: models.VectorParams(size=settings.dimension, distance=models.Distance.COSINE)},
        "sparse_vectors_config": {SPARSE: models.SparseVectorParams(modifier=models.Modifier.IDF)},
        "hnsw_config": models.HnswConfigDiff(
            m=settings.hnsw_m, ef_construct=settings.hnsw_ef_construct, full_scan_threshold=full_scan
        ),
        "optimizers_config": models.OptimizersConfigDiff(indexing_threshold=threshold, default_segment_number=SEGMENTS),
        "quantization_config": _to_quantization(settings),
        "shard_number": settings.shards,
        "replication_factor": settings.replicas,
        # A write counts when every replica has it: a reader must not meet one that lags behind.
        "write_consistency_factor": settings.replicas,
    }


def _to_quantization(settings: CollectionSettings) -> models.QuantizationConfig | None:
    if settings.quantization == "int8":
        scalar = models.ScalarQuantizationConfig(type=models.ScalarType.INT8, quantile=0.99)
        return models.ScalarQuantization(scalar=scalar)
    if settings.quantization == "binary":
        return models.BinaryQuantization(binary=models.BinaryQuantizationConfig())
    return None


def to_indexes(settings: CollectionSettings) -> dict[str, models.PayloadSchemaType | models.TextIndexParams]:
    """Return the payload fields to index, and as what."""
    indexes: dict[str, models.PayloadSchemaType | models.TextIndexParams] = {
        name: models.PayloadSchemaType(kind) for name, kind in PAYLOAD_INDEXES.items()
    }
    if settings.text_index:
        indexes[TEXT_FIELD] = models.TextIndexParams(
            type=models.TextIndexType.TEXT, tokenizer=models.TokenizerType.WORD, lowercase=True
        )
    return indexes


def to_dense_params(settings: CollectionSettings) -> models.SearchParams | None:
    """Return how to search dense vectors: hits of quantized ones are ordered anew by the vectors themselves."""
    if settings.quantization == "none":
        return None
    rescoring = models.QuantizationSearchParams(rescore=True, oversampling=OVERSAMPLING)
    return models.SearchParams(quantization=rescoring)


def to_sparse_params() -> models.SearchParams:
    """Return how to search sparse vectors: with document frequencies over all points that are there now.

    Unless a corpus is named, points that were deleted or replaced still count.
    """
    return models.SearchParams(idf=models.IdfCorpusParams(corpus=models.Filter()))


def to_filter(where: Where | None, among: Collection[uuid.UUID] | None = None) -> models.Filter | None:
    check_where(where)
    conditions: list[Any] = [] if among is None else [models.HasIdCondition(has_id=[str(one) for one in among])]
    for name, value in (where or {}).items():
        key = name if name.isidentifier() and name.isascii() else f'"{name}"'
        if isinstance(value, Between):
            conditions.append(models.FieldCondition(key=key, range=models.Range(gte=value.low, lte=value.high)))
        elif isinstance(value, AnyOf):
            values: Any = list(value.values)
            conditions.append(models.FieldCondition(key=key, match=models.MatchAny(any=values)))
        else:
            conditions.append(models.FieldCondition(key=key, match=models.MatchValue(value=value)))
    return models.Filter(must=conditions) if conditions else None


def to_sparse(sparse: SparseVector) -> models.SparseVector:
    return models.SparseVector(indices=sparse.indices.tolist(), values=sparse.values.tolist())


def from_point(point: Point, dense: list[float], *, by_grpc: bool) -> models.PointStruct:
    """Return a point as the client takes it; ``dense`` is its vector as Python's floats.

    Raises:
        BadInputError: gRPC cannot carry its payload.
    """
    if by_grpc and _largest(point.payload) > LARGEST_GRPC_INTEGER:
        raise BadInputError(
            f"The payload of point {point.id} holds a whole number of more than 63 bits, which gRPC cannot carry.",
            remedy="Do without gRPC.",
        )
    return models.PointStruct(
        id=str(point.id), vector={DENSE: dense, SPARSE: to_sparse(point.sparse)}, payload=dict(point.payload)
    )


def to_uuid(identifier: Any) -> uuid.UUID:
    try:
        return identifier if isinstance(identifier, uuid.UUID) else uuid.UUID(identifier)
    except (AttributeError, TypeError, ValueError) as error:
        raise IntegrityError(
            f"The collection holds the point {identifier!r}, which ragflow did not write.",
            remedy="See who else writes to this collection; then reindex.",
        ) from error


def to_point(record: models.Record) -> Point:
    vectors: Any = record.vector or {}
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


def to_hit(hit: models.ScoredPoint) -> ScoredPoint:
    return ScoredPoint(to_uuid(hit.id), hit.score, hit.payload or {})


def _largest(value: Any) -> int:
    """Return the largest whole number in a payload, or 0."""
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list):
        return max(map(_largest, value), default=0)
    return value if isinstance(value, int) else 0
