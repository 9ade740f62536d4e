"""Points: what stands in a collection, and the difference between what should stand there and what does."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ragflow.model.fingerprints import canonical_json, sha256_hex

Float32Array = npt.NDArray[np.float32]
UInt32Array = npt.NDArray[np.uint32]


class SparseVector(NamedTuple):
    """Indices ascending (uint32), values (float32), equally many."""

    indices: UInt32Array
    values: Float32Array


@dataclass(frozen=True, slots=True)
class Point:
    """One point of a collection.

    Attributes:
        id: derived from the document key and the chunk's place, see :func:`point_id`.
        dense: unit length, shape (dimension,).
        sparse: BM25 term weights.
        payload: JSON object; what a hit shows and how it leads back to its page.
    """

    id: uuid.UUID
    dense: Float32Array
    sparse: SparseVector
    payload: Mapping[str, Any]


def point_id(document_key: str, page_index: int, chunk_index: int, text_sha256: str) -> uuid.UUID:
    """Return the id of a chunk's point: the same chunk of the same document always gets the same id."""
    digest = hashlib.sha256(canonical_json(["point", document_key, page_index, chunk_index, text_sha256])).digest()
    number = int.from_bytes(digest[:16], "big")
    # RFC 9562, version 8 (custom): four bits say the version, two the variant.
    number = number & ~(0xF << 76) | 0x8 << 76
    return uuid.UUID(int=number & ~(0x3 << 62) | 0x2 << 62)


def vector_sha256(dense: Float32Array, sparse: SparseVector) -> str:
    """Return the hash of a dense (float32, little-endian) and a sparse vector, indices ascending."""
    order = np.argsort(sparse.indices, kind="stable")
    return sha256_hex(
        np.ascontiguousarray(dense, dtype="<f4").tobytes()
        + b"|"
        + np.ascontiguousarray(sparse.indices[order], dtype="<u4").tobytes()
        + b"|"
        + np.ascontiguousarray(sparse.values[order], dtype="<f4").tobytes()
    )


def point_sha256(identifier: uuid.UUID, vector_hash: str, payload: Mapping[str, Any]) -> bytes:
    """Return the 32-byte hash of a whole point: the leaf of the version's Merkle tree."""
    return hashlib.sha256(identifier.bytes + vector_hash.encode("ascii") + canonical_json(payload)).digest()


@dataclass(frozen=True, slots=True)
class Delta:
    """What has to be done to turn the observed points into the desired ones.

    Attributes:
        upserts: ids to write (missing or different), sorted.
        deletes: ids to delete, sorted.
        unchanged: how many stay as they are.
    """

    upserts: tuple[uuid.UUID, ...]
    deletes: tuple[uuid.UUID, ...]
    unchanged: int

    @property
    def is_empty(self) -> bool:
        return not self.upserts and not self.deletes


def diff(desired: Mapping[uuid.UUID, bytes], observed: Mapping[uuid.UUID, bytes]) -> Delta:
    """Compare two states, each a map from point id to point hash. Pure: applying the delta twice changes nothing."""
    upserts = sorted(key for key, digest in desired.items() if observed.get(key) != digest)
    deletes = sorted(key for key in observed if key not in desired)
    return Delta(upserts=tuple(upserts), deletes=tuple(deletes), unchanged=len(desired) - len(upserts))
