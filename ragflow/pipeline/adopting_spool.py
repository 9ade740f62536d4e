"""A foreign collection as it was read, on disk: what was read once is what is worked on, in any order.

On disk: vectors as they came (float32), payloads as canonical JSON, sparse and other vectors. In memory, per point:
its id, two hashes and four places in files, about 200 bytes; a million points of any dimension take 200 MB.
"""

from __future__ import annotations

import hashlib
import os
import uuid
from array import array
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from ragflow.errors import BadInputError
from ragflow.model.fingerprints import canonical_json, sha256_hex
from ragflow.model.merkle import merkle_root
from ragflow.model.points import Float32Array, SparseVector, point_sha256, vector_sha256
from ragflow.pipeline.adopting_inventory import Inventory, kind_of
from ragflow.pipeline.progress import report
from ragflow.vectors.checking import MAX_PAYLOAD_DEPTH, UNIT_TOLERANCE
from ragflow.vectors.foreign import PAGE, ForeignCollection, ForeignId, ForeignPoint, Layout

NO_VECTOR, USABLE, NOT_UNIT, ZERO, NOT_FINITE = range(5)
"""What the adopted vector of a point is like; ``USABLE`` is of unit length, ``NOT_UNIT`` usable once normalised."""
_INT, _UUID, _TEXT = b"\0", b"\1", b"\2"
EMPTY = SparseVector(np.empty(0, np.uint32), np.empty(0, np.float32))
NO_NUMBERS = np.empty(0, np.float32)


class Blobs:
    """Byte strings of any length in one file, found by their number."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("w+b")
        self._ends = array("Q", [0])

    def append(self, data: bytes) -> None:
        self._file.write(data)
        self._ends.append(self._ends[-1] + len(data))

    def __getitem__(self, number: int) -> bytes:
        start, end = self._ends[number], self._ends[number + 1]
        return os.pread(self._file.fileno(), end - start, start)

    def flush(self) -> None:
        self._file.flush()

    def close(self) -> None:
        self._file.close()


class CollectionSpool:
    """One collection on disk. Add every point, then ``seal``.

    Args:
        folder: empty; made here.
        vector, sparse: the names of the vectors that are adopted; None: none. All others are kept as JSON.
        dimension: of the adopted vector; 0 if there is none.

    Attributes:
        order: place in the order of ids → place in the order of reading; after ``seal``.
        status: what the adopted vector is like, by the order of reading.
        root: Merkle root over the points as they were found, in order of their ids.
        pages: SHA-256 over the hashes of :data:`PAGE` points each, in the same order.
    """

    def __init__(
        self,
        folder: Path,
        source: ForeignCollection,
        layout: Layout,
        vector: str | None,
        sparse: str | None,
        inventory: Inventory,
    ) -> None:
        folder.mkdir(parents=True)
        self.origin, self.kind, self.layout = source.origin, source.kind, layout
        self.vector, self.sparse_name = vector, sparse
        self.dimension = 0 if vector is None else layout.dense[vector].dimension
        self.inventory = inventory
        self.ignored: dict[str, int] = {}
        self.order: npt.NDArray[np.int64] = np.empty(0, np.int64)
        self.status: npt.NDArray[np.uint8] = np.empty(0, np.uint8)
        self.root, self.pages = "", list[str]()
        self._keys: list[bytes] = []
        self._hashes, self._exact, self._status = bytearray(), bytearray(), bytearray()
        self._vectors = (folder / "vectors.f32").open("w+b")
        self._payloads, self._sparse, self._others = (Blobs(folder / name) for name in ("payloads", "sparse", "others"))
        self._mapped: Float32Array = np.empty((0, self.dimension), np.float32)

    def __len__(self) -> int:
        return len(self._keys)

    def read(self, source: ForeignCollection, what: str) -> None:
        """Read every point of a source, then seal."""
        expected = self.layout.points
        for page in source.pages():
            for point in page:
                self.add(point)
            report(what, len(self), max(len(self) + 1, expected or 0))
        report(what, len(self), len(self))
        self.ignored = dict(sorted(source.ignored.items()))
        self.seal()

    def add(self, point: ForeignPoint) -> None:
        """Add a point.

        Raises:
            BadInputError: its vector has another dimension, or its payload is not JSON that an engine can hold.
        """
        where = f"{self.origin}, {point.place}" if point.place else f"{self.origin}, point {point.id}"
        self.inventory.add(point)
        dense = point.dense.pop(self.vector, None) if self.vector is not None else None
        sparse = point.sparse.pop(self.sparse_name, EMPTY) if self.sparse_name is not None else EMPTY
        if dense is not None and dense.size != self.dimension:
            raise BadInputError(
                f"{where}: the vector {self.vector!r} has {dense.size} numbers, those before it {self.dimension}.",
                remedy="Vectors of different models cannot stand in one collection: adopt them apart.",
            )
        others: dict[str, Any] = {
            **point.others,
            **{name: vector.tolist() for name, vector in point.dense.items()},
            **{name: [v.indices.tolist(), v.values.tolist()] for name, v in point.sparse.items()},
        }
        payload, rest = _json(point.payload, where), _json(others, where) if others else b""
        digest = vector_sha256(NO_NUMBERS if dense is None else dense, sparse)
        if rest:
            digest = sha256_hex(digest.encode() + rest)
        self._keys.append(key_of(point.id))
        self._hashes += point_sha256(adopted_id("", point.id), digest, orjson.loads(payload))
        self._exact += hashlib.sha256(digest.encode() + payload).digest()
        self._status.append(self._judge(dense))
        if self.dimension:
            self._vectors.write((np.full(self.dimension, np.nan, np.float32) if dense is None else dense).tobytes())
        self._payloads.append(payload)
        self._sparse.append(sparse_bytes(sparse))
        self._others.append(rest)

    def _judge(self, dense: Float32Array | None) -> int:
        if dense is None:
            self.inventory.without_vector += 1
            return NO_VECTOR
        square = float(np.dot(dense.astype(np.float64), dense.astype(np.float64)))
        if not np.isfinite(square):
            self.inventory.not_finite += 1
            return NOT_FINITE
        if square == 0.0:
            self.inventory.zero += 1
            return ZERO
        if abs(square - 1.0) > UNIT_TOLERANCE:
            self.inventory.not_unit += 1
            return NOT_UNIT
        return USABLE

    def seal(self) -> None:
        """Put the points in order and compute the hashes.

        Raises:
            BadInputError: an id stands twice.
        """
        order = sorted(range(len(self._keys)), key=self._keys.__getitem__)
        for one, other in pairwise(order):
            if self._keys[one] == self._keys[other]:
                raise BadInputError(
                    f"{self.origin} has the id {id_of(self._keys[one])} twice, as points {one + 1} and {other + 1}.",
                    remedy="Export every point once.",
                )
        self.order = np.array(order, dtype=np.int64)
        self.status = np.frombuffer(bytes(self._status), np.uint8)
        leaves = [bytes(self._hashes[32 * place : 32 * place + 32]) for place in order]
        self.pages = [sha256_hex(b"".join(leaves[first : first + PAGE])) for first in range(0, len(leaves), PAGE)]
        self.root = merkle_root(leaves)
        for file in (self._vectors, self._payloads, self._sparse, self._others):
            file.flush()
        if self.dimension and order:
            self._mapped = np.memmap(self._vectors.name, np.float32, "r", shape=(len(order), self.dimension))

    def close(self) -> None:
        for file in (self._vectors, self._payloads, self._sparse, self._others):
            file.close()

    def id(self, place: int) -> ForeignId:
        """Return the id of the point that was read at this place; so for all that follow."""
        return id_of(self._keys[place])

    def exact_hashes(self) -> npt.NDArray[np.uint8]:
        """Return the hash of vectors and payload of each point: shape (points, 32), in the order of reading."""
        return np.frombuffer(bytes(self._exact), np.uint8).reshape(-1, 32)

    def vectors(self, places: npt.NDArray[np.int64]) -> Float32Array:
        """Return vectors as they were read: shape (places, dimension); NaN where there is none."""
        return np.asarray(self._mapped[places])

    def payload(self, place: int) -> bytes:
        return self._payloads[place]

    def sparse(self, place: int) -> SparseVector:
        return sparse_from(self._sparse[place])

    def others(self, place: int) -> bytes:
        """Return the vectors that are not adopted, as JSON; empty if there are none."""
        return self._others[place]


def sparse_bytes(sparse: SparseVector) -> bytes:
    """Return a sparse vector as bytes: its indices, then as many values."""
    return sparse.indices.tobytes() + sparse.values.tobytes()


def sparse_from(data: bytes) -> SparseVector:
    """Return the sparse vector of :func:`sparse_bytes`."""
    half = len(data) // 2
    return SparseVector(np.frombuffer(data[:half], np.uint32), np.frombuffer(data[half:], np.float32))


def adopted_id(origin: str, identifier: ForeignId) -> uuid.UUID:
    """Return the id that a point gets: the same origin and id always give the same one.

    Without an origin: what stands for the id in hashes; a UUID stands for itself.
    """
    if not origin and isinstance(identifier, uuid.UUID):
        return identifier
    digest = hashlib.sha256(canonical_json(["adopted", origin, kind_of(identifier), str(identifier)])).digest()
    number = int.from_bytes(digest[:16], "big")
    # RFC 9562, version 8 (custom): four bits say the version, two the variant.
    number = number & ~(0xF << 76) | 0x8 << 76
    return uuid.UUID(int=number & ~(0x3 << 62) | 0x2 << 62)


def key_of(identifier: ForeignId) -> bytes:
    """Return an id as bytes that sort as ids do: numbers, then UUIDs, then texts."""
    if isinstance(identifier, int):
        return _INT + identifier.to_bytes(8, "big")
    return _TEXT + identifier.encode() if isinstance(identifier, str) else _UUID + identifier.bytes


def id_of(key: bytes) -> ForeignId:
    """Return the id of a key."""
    kind, rest = key[:1], key[1:]
    if kind == _INT:
        return int.from_bytes(rest, "big")
    return rest.decode() if kind == _TEXT else uuid.UUID(bytes=rest)


def _json(value: dict[str, Any], where: str) -> bytes:
    """Return the canonical JSON of a payload.

    Raises:
        BadInputError: it cannot be written as JSON, or is nested too deeply.
    """
    try:
        data = canonical_json(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise BadInputError(
            f"{where}: the payload cannot be kept as JSON: {error}.",
            remedy="Payloads hold texts, numbers of at most 64 bits, true, false, null, lists and objects.",
        ) from error
    # Counting brackets spares nearly all payloads the walk.
    if data.count(b"{") + data.count(b"[") > MAX_PAYLOAD_DEPTH and _depth(value) > MAX_PAYLOAD_DEPTH:
        raise BadInputError(f"{where}: the payload is nested more than {MAX_PAYLOAD_DEPTH} deep.")
    return data


def _depth(value: Any) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    return 1 + max(map(_depth, inner), default=0) if isinstance(value, dict | list | tuple) else 0
