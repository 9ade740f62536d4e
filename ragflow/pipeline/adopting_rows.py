"""All points of the collections that are adopted together, in one order, and what becomes of each.

The order is that of the collections as they were named, and of the ids in each. It does not depend on the order in
which a source gave its points, so neither does anything that is decided by it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from ragflow.model.points import Float32Array, SparseVector
from ragflow.pipeline.adopting_inventory import raw_text_at, text_at
from ragflow.pipeline.adopting_spool import NOT_UNIT, USABLE, Blobs, CollectionSpool, adopted_id, sparse_from
from ragflow.pipeline.duplicates import BLOCK, IntArray, first_of, grams
from ragflow.vectors.checking import UNIT_TOLERANCE
from ragflow.vectors.foreign import ForeignId

KEPT, MERGED, LINKED = "kept", "merged_into", "linked"
OUTCOMES = (KEPT, MERGED, LINKED)
EXACT, SAME_TEXT, NEAR = "exact", "same_text", "near"
REASONS = ("", EXACT, SAME_TEXT, NEAR)


@dataclass(slots=True)
class Embedded:
    """Vectors that the workspace's model made of the texts, in place of those that were found.

    Attributes:
        dense: shape (rows, dimension), mapped from a file; rows without a text are not used.
        sparse: one per row.
        usable: rows that have a text.
        in_pieces: texts longer than the model reads: the mean of their pieces stands for them.
    """

    dense: Float32Array
    sparse: Blobs
    usable: npt.NDArray[np.bool_]
    in_pieces: int = 0


@dataclass(slots=True)
class Outcomes:
    """What becomes of each row: numbers in :data:`OUTCOMES` and :data:`REASONS`, the row it goes to or with (-1: none),
    and how alike the two are (NaN: not measured)."""

    outcome: npt.NDArray[np.uint8]
    reason: npt.NDArray[np.uint8]
    of: IntArray
    cosine: npt.NDArray[np.float64]
    jaccard: npt.NDArray[np.float64]

    @classmethod
    def of_rows(cls, rows: int) -> Outcomes:
        """Return the outcomes of rows of which nothing is known: all are kept."""
        return cls(
            np.zeros(rows, np.uint8),
            np.zeros(rows, np.uint8),
            np.full(rows, -1, np.int64),
            np.full(rows, np.nan),
            np.full(rows, np.nan),
        )

    def put(
        self, row: int, reason: str, of: int, *, merge: bool, cosine: float = np.nan, jaccard: float = np.nan
    ) -> None:
        """Say that a row is merged into another, or linked to it."""
        self.outcome[row] = OUTCOMES.index(MERGED if merge else LINKED)
        self.reason[row] = REASONS.index(reason)
        self.of[row] = of
        self.cosine[row], self.jaccard[row] = cosine, jaccard

    def settle(self) -> None:
        """Have rows that were merged into a row that is itself merged into another go there at once."""
        targets = np.flatnonzero(self.of >= 0)
        through = targets[(self.outcome == OUTCOMES.index(MERGED))[self.of[targets]]]
        self.of[through] = self.of[self.of[through]]

    def count(self, outcome: str) -> int:
        return int((self.outcome == OUTCOMES.index(outcome)).sum())

    @property
    def written(self) -> npt.NDArray[np.bool_]:
        """Rows that are points of the adopted collection."""
        return np.asarray(self.outcome != OUTCOMES.index(MERGED))


@dataclass(slots=True)
class Rows:
    """Every point, found by its row.

    Attributes:
        spools: the collections, in the order in which they were named.
        embedded: new vectors, if there are any.
    """

    spools: Sequence[CollectionSpool]
    embedded: Embedded | None = None
    collection: npt.NDArray[np.uint16] = field(init=False)
    places: IntArray = field(init=False)
    status: npt.NDArray[np.uint8] = field(init=False)

    def __post_init__(self) -> None:
        self.collection = np.repeat(np.arange(len(self.spools), dtype=np.uint16), [len(s) for s in self.spools])
        self.places = np.concatenate([np.empty(0, np.int64), *(spool.order for spool in self.spools)])
        status = [spool.status[spool.order] for spool in self.spools]
        self.status = np.concatenate([np.empty(0, np.uint8), *status])

    def __len__(self) -> int:
        return len(self.places)

    def spool(self, row: int) -> tuple[CollectionSpool, int]:
        """Return where a row lies."""
        return self.spools[int(self.collection[row])], int(self.places[row])

    @property
    def dimension(self) -> int:
        if self.embedded is not None:
            return int(self.embedded.dense.shape[1])
        return max((spool.dimension for spool in self.spools), default=0)

    @property
    def searchable(self) -> npt.NDArray[np.bool_]:
        """Rows that have a vector by which they can be found."""
        if self.embedded is not None:
            return self.embedded.usable
        return np.asarray((self.status == USABLE) | (self.status == NOT_UNIT))

    def names(self) -> Iterator[tuple[str, IntArray]]:
        """Yield the names of adopted vectors, each with its searchable rows; new vectors have one name."""
        rows = np.flatnonzero(self.searchable)
        if self.embedded is not None:
            yield "", rows
            return
        for name in sorted({spool.vector for spool in self.spools if spool.vector is not None}):
            named = np.array([spool.vector == name for spool in self.spools])
            yield name, rows[named[self.collection[rows]]]

    def id(self, row: int) -> tuple[str, ForeignId]:
        """Return the origin and the id that a point had there."""
        spool, place = self.spool(row)
        return spool.origin, spool.id(place)

    def new_id(self, row: int) -> Any:
        """Return the UUID that a point gets."""
        return adopted_id(*self.id(row))

    def payload(self, row: int) -> bytes:
        """Return the payload as canonical JSON."""
        spool, place = self.spool(row)
        return spool.payload(place)

    def others(self, row: int) -> bytes:
        spool, place = self.spool(row)
        return spool.others(place)

    def text(self, row: int) -> str | None:
        """Return the text in single spaces; None if there is none."""
        spool, place = self.spool(row)
        name = spool.inventory.text_field
        return None if name is None else text_at(orjson.loads(spool.payload(place)), name)

    def raw_text(self, row: int) -> str | None:
        """Return the text as it stands in the payload; None if there is none."""
        spool, place = self.spool(row)
        name = spool.inventory.text_field
        return None if name is None else raw_text_at(orjson.loads(spool.payload(place)), name)

    def found(self, rows: IntArray) -> list[Float32Array | None]:
        """Return the vectors as they were found; None where there was none."""
        vectors: list[Float32Array | None] = []
        for row in rows.tolist():
            spool, place = self.spool(row)
            vectors.append(spool.vectors(np.array([place]))[0] if self.status[row] else None)
        return vectors

    def unit(self, rows: IntArray) -> Float32Array:
        """Return the vectors of searchable rows, of unit length: shape (rows, dimension)."""
        if self.embedded is not None:
            return np.asarray(self.embedded.dense[rows])
        vectors = np.empty((len(rows), self.dimension), np.float32)
        for number, spool in enumerate(self.spools):
            here = self.collection[rows] == number
            if here.any():
                vectors[here] = spool.vectors(self.places[rows[here]])
        return to_unit(vectors)

    def sparse(self, row: int) -> SparseVector:
        if self.embedded is not None:
            return sparse_from(self.embedded.sparse[row])
        spool, place = self.spool(row)
        return spool.sparse(place)

    def exact_first(self) -> IntArray:
        """Return, for each row, the first row with the same vectors and payload."""
        hashes = [spool.exact_hashes()[spool.order] for spool in self.spools]
        return first_of(np.concatenate([np.empty((0, 32), np.uint8), *hashes]))

    def text_hashes(self, rows: IntArray) -> npt.NDArray[np.uint8]:
        """Return the SHA-256 of the text of each row, shape (rows, 32); a row without one has something of its own."""
        hashes = np.zeros((len(rows), 32), np.uint8)
        for number, row in enumerate(rows.tolist()):
            text = self.text(row)
            data = number.to_bytes(32, "big") if text is None else hashlib.sha256(text.encode()).digest()
            hashes[number] = np.frombuffer(data, np.uint8)
        return hashes

    def grams_of(self, rows: IntArray) -> Any:
        """Return a function from a place in ``rows`` to the 5-grams of its text, which remembers the latest."""

        @lru_cache(maxsize=4_096)
        def of(place: int) -> frozenset[str] | None:
            text = self.text(int(rows[place]))
            return None if text is None else grams(text)

        return of

    def mapped(self, rows: IntArray, path: Path) -> Float32Array:
        """Write the vectors of these rows to a file, and return it mapped: shape (rows, dimension)."""
        if not len(rows):
            return np.empty((0, self.dimension), np.float32)
        mapped = np.memmap(path, np.float32, "w+", shape=(len(rows), self.dimension))
        for start in range(0, len(rows), BLOCK):
            mapped[start : start + BLOCK] = self.unit(rows[start : start + BLOCK])
        return mapped


def to_unit(vectors: Float32Array) -> Float32Array:
    """Return vectors of unit length; those that are already stay as they are, byte for byte."""
    squares = np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64)
    far = np.abs(squares - 1.0) > UNIT_TOLERANCE
    if far.any():
        vectors = vectors.copy()
        vectors[far] = (vectors[far].astype(np.float64) / np.sqrt(squares[far])[:, None]).astype(np.float32)
    return vectors
