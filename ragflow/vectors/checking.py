"""What every engine asks of points, queries and filters before it takes them.

An engine may silently change what it cannot hold: vectors that are not of unit length are normalised, whole numbers
above 64 bits become floats. The chain of hashes would then break long after its cause, so such points are refused.
"""

from __future__ import annotations

import math
import uuid
from collections.abc import Sequence
from typing import Any

import numpy as np

from ragflow.errors import BadInputError, UsageError
from ragflow.model.points import Float32Array, Point, SparseVector
from ragflow.vectors.protocols import AnyOf, Between, Where

UNIT_TOLERANCE = 5e-7
"""How far the square of a dense vector's length may be from 1. Normalising in float32 stays below 3e-7 (measured, up
to 4,096 dimensions); Qdrant leaves vectors alone up to 1e-6."""
MAX_PAYLOAD_DEPTH = 32
SMALLEST_INTEGER = -(2**63)
LARGEST_INTEGER = 2**64 - 1


def check_points(points: Sequence[Point], dimension: int) -> Float32Array:
    """Check that an engine can give the points back exactly as they are.

    Returns:
        The dense vectors, shape (number of points, dimension).

    Raises:
        BadInputError: names the point and what is wrong: dense not float32, of the wrong shape, not finite or not of
            unit length; sparse not uint32 and float32 of equal length, ascending without repeats, finite; payload not
            a JSON object, nested too deeply, or with a number that JSON engines cannot hold.
    """
    if not points:
        return np.empty((0, dimension), dtype=np.float32)
    for point in points:
        if not isinstance(point.id, uuid.UUID):
            raise BadInputError(f"The point id {point.id!r} is not a UUID.")
        if point.dense.dtype != np.float32 or point.dense.shape != (dimension,):
            raise BadInputError(
                f"The dense vector of point {point.id} is {point.dense.dtype} of shape {point.dense.shape}, "
                f"not float32 of shape ({dimension},).",
                remedy="Collection and embeddings must come from the same model: reindex.",
            )
        _check_sparse(point.sparse, f"of point {point.id}", BadInputError)
        _check_value(dict(point.payload), point.id, "", 0)
    dense = np.stack([point.dense for point in points])
    # NaN and infinity fail this comparison, too.
    deviation = np.abs(np.einsum("ij,ij->i", dense, dense, dtype=np.float64) - 1.0)
    wrong = np.flatnonzero(~(deviation <= UNIT_TOLERANCE))
    if wrong.size:
        raise BadInputError(
            f"The dense vector of point {points[int(wrong[0])].id} is not of unit length "
            f"({wrong.size} of {len(points)} are not).",
            remedy="Normalise embeddings in float32, after any computation in lower precision.",
        )
    return dense


def check_query(vector: Float32Array, dimension: int) -> None:
    """Raise UsageError unless ``vector`` has shape (dimension,), is finite and is not zero."""
    if vector.shape != (dimension,):
        raise UsageError(
            f"The query vector has the shape {vector.shape}, not ({dimension},).",
            remedy="Embed the query with the model that the collection was built with.",
        )
    # Squares of float32 can overflow float32, not float64.
    length = float(np.linalg.norm(vector.astype(np.float64)))
    if not math.isfinite(length) or length < 1e-6:
        raise UsageError("The query vector is zero or not finite.", remedy="Embed a query that has words.")


def check_sparse_query(sparse: SparseVector) -> None:
    """Raise UsageError unless indices are uint32, ascending, without repeats, and values as many finite float32."""
    _check_sparse(sparse, "of the query", UsageError)


def check_limit(limit: int) -> None:
    """Raise UsageError unless ``limit`` is at least 1."""
    if limit < 1:
        raise UsageError(f"A search for {limit} hits is none.", remedy="Ask for at least 1.")


def check_where(where: Where | None) -> None:
    """Raise UsageError unless every condition is a field's name and something that the field can be compared with."""
    for name, value in (where or {}).items():
        if not name or any(character in '"[]\\' or ord(character) < 32 for character in name):
            raise UsageError(f"{name!r} is not the name of a payload field.")
        if not _is_condition(value):
            raise UsageError(
                f"The filter on {name} asks for {value!r}.",
                remedy="A filter takes a text, a whole number of at most 64 bits, true or false, any of several texts "
                "or numbers, or a range of numbers.",
            )


def _is_condition(value: object) -> bool:
    if isinstance(value, AnyOf):
        kinds = {type(one) for one in value.values}
        return kinds in ({str}, {int}) and all(map(_is_condition, value.values))
    if isinstance(value, Between):
        ends = [end for end in (value.low, value.high) if end is not None]
        return bool(ends) and all(type(end) in (int, float) and math.isfinite(end) for end in ends)
    if isinstance(value, bool | str):
        return True
    return isinstance(value, int) and SMALLEST_INTEGER <= value < 2**63


def _check_sparse(sparse: SparseVector, whose: str, error: type[BadInputError] | type[UsageError]) -> None:
    indices, values = sparse.indices, sparse.values
    if indices.dtype != np.uint32 or values.dtype != np.float32:
        raise error(f"The sparse vector {whose} is {indices.dtype} and {values.dtype}, not uint32 and float32.")
    if indices.ndim != 1 or indices.shape != values.shape:
        raise error(f"The sparse vector {whose} has indices {indices.shape} and values {values.shape}.")
    if indices.size > 1 and not bool((indices[1:] > indices[:-1]).all()):
        raise error(f"The indices of the sparse vector {whose} are not ascending, or one stands twice.")
    if not bool(np.isfinite(values).all()):
        raise error(f"The sparse vector {whose} has a value that is not finite.")


def _check_value(value: Any, identifier: uuid.UUID, place: str, depth: int) -> None:
    """Walk through a payload; ``place`` is where ``value`` stands in it."""
    if type(value) is float:  # first: a payload is mostly the coordinates of boxes
        if not math.isfinite(value):
            raise _payload_error(identifier, place, "is not a finite number")
    elif value is None or isinstance(value, bool):
        return
    elif isinstance(value, str):
        if not value.isascii() and any("\ud800" <= character <= "\udfff" for character in value):
            raise _payload_error(identifier, place, "holds half of a surrogate pair, which is no Unicode text")
    elif isinstance(value, int):
        if not SMALLEST_INTEGER <= value <= LARGEST_INTEGER:
            raise _payload_error(identifier, place, "is a whole number of more than 64 bits")
    elif depth >= MAX_PAYLOAD_DEPTH:
        raise _payload_error(identifier, place, f"is nested more than {MAX_PAYLOAD_DEPTH} deep")
    elif isinstance(value, list):
        for position, entry in enumerate(value):
            _check_value(entry, identifier, f"{place}[{position}]", depth + 1)
    elif isinstance(value, dict):
        for name, entry in value.items():
            if not isinstance(name, str):
                raise _payload_error(identifier, place, f"has the name {name!r}, which is not a text")
            _check_value(name, identifier, place, depth + 1)
            _check_value(entry, identifier, f"{place}.{name}" if place else name, depth + 1)
    else:
        raise _payload_error(identifier, place, f"is a {type(value).__name__}, which JSON does not have")


def _payload_error(identifier: uuid.UUID, place: str, problem: str) -> BadInputError:
    return BadInputError(f"In the payload of point {identifier}, {place or 'the object itself'} {problem}.")
