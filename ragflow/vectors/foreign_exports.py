"""Foreign collections in files: Parquet, and JSON lines, plain or compressed by gzip or zstd.

A row has ``id``; ``vector`` (also ``vectors`` or ``embedding``): a list of numbers, or name → list or sparse vector;
``sparse`` (also ``sparse_vector``), if any: ``{"indices": […], "values": […]}``, or name → such; and ``payload``: an
object, or one as JSON text. Without a payload, the fields that are none of these are taken for it; beside one, they
are not read, and counted.
"""

from __future__ import annotations

import io
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from ragflow.errors import BadInputError
from ragflow.vectors.foreign import (
    PAGE,
    DenseLayout,
    ForeignPoint,
    Layout,
    put_vector,
    put_vectors,
    to_identifier,
)

VECTORS = ("vector", "vectors", "embedding")
SPARSE = ("sparse", "sparse_vector")
PANDAS_INDEX = "__index_level_"
"""How columns begin that pandas adds of its own accord."""
_OURS = frozenset({"id", "payload", *VECTORS, *SPARSE})
_LONG_NUMBER = re.compile(rb"[0-9]{19}")
LONGEST_LINE = 64 * 1024 * 1024
"""Bytes; longer lines are taken for a file that holds no lines."""
TRUNCATED = "Export it again: the file may have been cut off."


class _Export:
    """What both kinds of files share: how a row becomes a point."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.origin = str(path)
        self.ignored: Counter[str] = Counter()

    def pages(self) -> Iterator[list[ForeignPoint]]:
        self.ignored.clear()
        page: list[ForeignPoint] = []
        for place, row in self._rows():
            page.append(self._to_point(row, place))
            if len(page) == PAGE:
                yield page
                page = []
        if page:
            yield page

    def layout(self) -> Layout:
        """Return the vectors of the first row that has any."""
        points = self._count()
        for place, row in self._rows():
            point = self._to_point(row, place)
            if point.dense or point.sparse or point.others:
                dense = {name: DenseLayout(vector.size) for name, vector in point.dense.items()}
                return Layout(dense, tuple(sorted(point.sparse)), tuple(sorted(point.others)), points)
        return Layout({}, points=points)

    def _rows(self) -> Iterator[tuple[str, dict[str, Any]]]:
        raise NotImplementedError

    def _count(self) -> int | None:
        return None

    def _to_point(self, row: dict[str, Any], place: str) -> ForeignPoint:
        where = f"{self._path}, {place}"
        point = ForeignPoint(id=to_identifier(row.get("id"), where), payload=self._payload(row, where), place=place)
        for name in VECTORS:
            put_vectors(point, row.get(name), where)
        for name in SPARSE:
            value = row.get(name)
            if isinstance(value, Mapping) and set(value) != {"indices", "values"}:
                for own, vector in value.items():
                    put_vector(point, own, vector, where)
            elif value is not None:
                put_vector(point, "sparse", value, where)
        return point

    def _payload(self, row: dict[str, Any], where: str) -> dict[str, Any]:
        rest = {name: value for name, value in row.items() if name not in _OURS and not name.startswith(PANDAS_INDEX)}
        if "payload" not in row:
            return rest
        self.ignored.update(rest.keys())
        payload = row["payload"]
        if isinstance(payload, str):
            try:
                payload = _loads(payload.encode())
            except ValueError as error:
                raise BadInputError(f"The payload in {where} is not JSON: {error}.") from error
        if payload is not None and not isinstance(payload, dict):
            raise BadInputError(f"The payload in {where} is not a JSON object.")
        return payload or {}


class JsonLines(_Export):
    """One JSON object per line; empty lines do not count.

    Args:
        compression: ``gzip``, ``zstd``, or None.
    """

    kind = "jsonl"

    def __init__(self, path: Path, compression: str | None = None) -> None:
        super().__init__(path)
        self._compression = compression

    def _rows(self) -> Iterator[tuple[str, dict[str, Any]]]:
        number = 0
        try:
            with self._opened() as file:
                while line := file.readline(LONGEST_LINE):
                    number += 1
                    if line.strip():
                        yield f"line {number}", self._parse(line, number)
        except OSError as error:
            raise BadInputError(
                f"{self._path} cannot be read after line {number}: {error}.", remedy=TRUNCATED
            ) from error

    def _opened(self) -> io.BufferedIOBase:
        if self._compression is None:
            return self._path.open("rb")
        return io.BufferedReader(pa.CompressedInputStream(pa.OSFile(str(self._path)), self._compression), 1 << 20)

    def _parse(self, line: bytes, number: int) -> dict[str, Any]:
        try:
            row = _loads(line)
        except ValueError as error:
            said = "it is longer than 64 MiB" if len(line) >= LONGEST_LINE else str(error)
            raise BadInputError(
                f"{self._path}, line {number}, is not JSON: {said}.", remedy="Correct this line, or export it again."
            ) from error
        if not isinstance(row, dict):
            raise BadInputError(f"{self._path}, line {number}, is not a JSON object.")
        return row


def _loads(text: bytes) -> Any:
    """Parse JSON; whole numbers stay exact, however long they are, and NaN is one.

    Raises:
        ValueError: it is not JSON.
    """
    # The fast parser rounds whole numbers that do not fit into 64 bits.
    if not _LONG_NUMBER.search(text):
        try:
            return orjson.loads(text)
        except ValueError:
            if b"NaN" not in text and b"Infinity" not in text:
                raise
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


class ParquetExport(_Export):
    """A Parquet file; vectors in lists are taken from its columns without making Python's numbers of them."""

    kind = "parquet"

    def _count(self) -> int:
        with self._opened() as file:
            return int(file.metadata.num_rows)

    def _rows(self) -> Iterator[tuple[str, dict[str, Any]]]:
        number = 0
        with self._opened() as file:
            names = file.schema_arrow.names
            if "id" not in names:
                raise BadInputError(
                    f"{self._path} has no column id, but {', '.join(names)}.", remedy="Every point needs an id."
                )
            try:
                for batch in file.iter_batches(batch_size=PAGE):
                    columns = {name: _values(batch.column(name)) for name in names}
                    for row in range(batch.num_rows):
                        yield f"row {number}", {name: value(row) for name, value in columns.items()}
                        number += 1
            except (pa.ArrowException, OSError) as error:
                raise BadInputError(
                    f"{self._path} cannot be read from row {number} on: {error}.", remedy=TRUNCATED
                ) from error

    def _opened(self) -> pq.ParquetFile:
        try:
            return pq.ParquetFile(self._path)
        except (pa.ArrowException, OSError) as error:
            raise BadInputError(f"{self._path} is not a whole Parquet file: {error}.", remedy=TRUNCATED) from error


def _values(column: pa.Array) -> Callable[[int], Any]:
    """Return a function from the row to its value."""
    kind = column.type
    is_list = pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    if is_list and pa.types.is_floating(kind.value_type):
        return lambda row: _numbers(column[row])
    if pa.types.is_map(kind):
        return lambda row: _named(column[row].as_py())
    return lambda row: column[row].as_py()


def _numbers(scalar: Any) -> Any:
    if not scalar.is_valid:
        return None
    with np.errstate(over="ignore"):
        return scalar.values.to_numpy(zero_copy_only=False).astype(np.float32)


def _named(pairs: list[tuple[str, Any]] | None) -> dict[str, Any] | None:
    return None if pairs is None else dict(pairs)
