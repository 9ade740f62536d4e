"""Collections that other tools filled: what is read of them, wherever they lie.

``foreign`` names what is read, and finds the reader for a source; ``foreign_qdrant`` reads a Qdrant server and the
folder of Qdrant's local mode, ``foreign_edge`` shards of Qdrant Edge, ``foreign_exports`` Parquet and JSON lines.

Reading changes nothing at the source. Points come page by page; no reader holds more than a page of them.
"""

from __future__ import annotations

import fcntl
import os
import re
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from ragflow.errors import BadInputError, NotFoundError, ServiceUnavailableError, UsageError
from ragflow.model.points import Float32Array, SparseVector

PAGE = 1_000
"""Points that are read at a time."""
COSINE = "Cosine"
LOCAL_SCHEME = "qdrant-local:"
EDGE_CONFIG = "edge_config.json"
PARQUET = ".parquet"
JSON_LINES = (".jsonl", ".ndjson")
COMPRESSIONS = {".zst": "zstd", ".gz": "gzip"}

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII | re.IGNORECASE)

ForeignId = int | uuid.UUID | str
"""A whole number, a UUID, or, in exports of other tools, any other text."""


@dataclass(frozen=True, slots=True)
class DenseLayout:
    """A dense vector of a collection: its length, and how it is compared.

    Attributes:
        dimension: numbers in it.
        distance: ``Cosine``, ``Dot``, ``Euclid`` or ``Manhattan``; empty where the source does not say.
    """

    dimension: int
    distance: str = ""


@dataclass(frozen=True, slots=True)
class Layout:
    """What a source says of itself before its points are read.

    Attributes:
        dense: name → layout; the vector without a name has the empty one.
        sparse: names of sparse vectors.
        others: names of vectors that are neither, such as those of several rows; they are kept, and not searched.
        points: how many there are; None if only reading tells.
    """

    dense: Mapping[str, DenseLayout]
    sparse: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    points: int | None = None


@dataclass(slots=True)
class ForeignPoint:
    """One point as it was found.

    Attributes:
        id: see :data:`ForeignId`.
        dense: name → vector, float32; not checked: it may be of any length, zero, or not finite.
        sparse: name → sparse vector, indices ascending.
        others: name → anything else that stands under the name of a vector, as JSON values.
        payload: JSON object.
        place: where it stands, for messages: ``line 12``, ``row 3``; empty if its id says it.
    """

    id: ForeignId
    payload: dict[str, Any]
    dense: dict[str, Float32Array] = field(default_factory=dict)
    sparse: dict[str, SparseVector] = field(default_factory=dict)
    others: dict[str, Any] = field(default_factory=dict)
    place: str = ""


class ForeignCollection(Protocol):
    """A collection of another tool, open for reading."""

    @property
    def origin(self) -> str:
        """The one name under which it is recorded: no secrets, absolute paths."""
        ...

    @property
    def kind(self) -> str:
        """``qdrant``, ``qdrant-local``, ``qdrant-edge``, ``parquet`` or ``jsonl``."""
        ...

    @property
    def ignored(self) -> Mapping[str, int]:
        """Field of an export → points in which it stood and was not read, as far as they have been read."""
        ...

    def layout(self) -> Layout:
        """Return what the source says of itself.

        Raises:
            NotFoundError: there is no such collection.
            BadInputError: it cannot be read.
            ServiceUnavailableError: the server does not answer, or another process is writing to the folder.
        """
        ...

    def pages(self) -> Iterator[list[ForeignPoint]]:
        """Yield every point once, at most :data:`PAGE` at a time, in the order of the source.

        Raises:
            BadInputError: names the file, and the line or row, that cannot be read.
            CheckFailedError: the collection was written to meanwhile.
        """
        ...


def open_foreign(source: str, *, api_key: str | None, scratch: Path) -> ForeignCollection:
    """Find the reader for a source; nothing is read yet.

    Args:
        source: ``http(s)://host:6333/collection``, ``qdrant-local:/path#collection``, the folder of a Qdrant Edge
            shard, or a file ``.parquet``, ``.jsonl``, ``.jsonl.gz`` or ``.jsonl.zst``.
        api_key: for servers; never sent over plain http to another machine.
        scratch: an existing folder for copies that are needed while reading.

    Raises:
        UsageError: it is none of these.
        NotFoundError: there is no such file or folder.
    """
    if re.match(r"https?://", source):
        from ragflow.vectors.foreign_qdrant import ServerCollection

        return ServerCollection(source, api_key)
    if source.startswith(LOCAL_SCHEME):
        from ragflow.vectors.foreign_qdrant import LocalCollection

        return LocalCollection(source.removeprefix(LOCAL_SCHEME))
    path = Path(source).expanduser()
    if path.is_dir():
        return _open_folder(path.resolve(), scratch)
    compression = COMPRESSIONS.get(path.suffix.lower())
    suffix = Path(path.stem if compression else path.name).suffix.lower()
    if suffix not in (PARQUET, *JSON_LINES) or (compression and suffix == PARQUET):
        raise UsageError(
            f"{source!r} is not a collection that can be adopted.",
            remedy="Name http(s)://HOST:6333/COLLECTION, qdrant-local:/PATH#COLLECTION, the folder of a Qdrant Edge "
            "shard, or a file .parquet, .jsonl, .jsonl.gz or .jsonl.zst.",
        )
    if not path.is_file():
        raise NotFoundError(f"There is no file {path}.", remedy="Name an export that is there.")
    from ragflow.vectors.foreign_exports import JsonLines, ParquetExport

    return ParquetExport(path.resolve()) if suffix == PARQUET else JsonLines(path.resolve(), compression)


def _open_folder(folder: Path, scratch: Path) -> ForeignCollection:
    for shard in (folder, folder / "shard"):
        if (shard / EDGE_CONFIG).is_file():
            from ragflow.vectors.foreign_edge import EdgeCollection

            return EdgeCollection(shard, scratch)
    if (folder / "meta.json").is_file():
        raise UsageError(
            f"{folder} is a folder of Qdrant's local mode, which may hold several collections.",
            remedy=f"Name one of them: {LOCAL_SCHEME}{folder}#COLLECTION.",
        )
    raise BadInputError(
        f"{folder} is not a shard of Qdrant Edge: it has no {EDGE_CONFIG}.",
        remedy="Name the folder that the shard was created in.",
    )


@contextmanager
def shared_lock(path: Path, problem: str) -> Iterator[None]:
    """Hold a lock that keeps writers out, if there is a file or folder to lock; nothing is written.

    Raises:
        ServiceUnavailableError: a writer holds it; ``problem`` says so.
    """
    if not path.exists():
        yield
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ServiceUnavailableError(problem, remedy="Close it there, then try again.") from error
        yield
    finally:
        os.close(descriptor)


def to_identifier(value: Any, where: str) -> ForeignId:
    """Return an id as it is compared: a UUID with hyphens is one, in upper or lower case; other texts stay texts.

    Raises:
        BadInputError: it is missing, or neither a text nor a whole number from 0 to 2^64 - 1.
    """
    if isinstance(value, uuid.UUID):
        return value
    if isinstance(value, bool) or not isinstance(value, int | str) or value == "":
        raise BadInputError(
            f"{where} has {'no id' if value is None or value == '' else f'the id {value!r}'}.",
            remedy="Every point needs an id: a whole number, a UUID, or another text.",
        )
    if isinstance(value, int):
        if not 0 <= value < 2**64:
            raise BadInputError(f"{where} has the id {value}.", remedy="Numbers must be from 0 to 2^64 - 1.")
        return value
    if not value.isascii() and any("\ud800" <= character <= "\udfff" for character in value):
        raise BadInputError(f"{where} has the id {value!a}, which is no Unicode text.")
    return uuid.UUID(value) if _UUID.fullmatch(value) else value


def to_dense(values: Any, where: str) -> Float32Array:
    """Return a list of numbers as a vector; null is not a number, and too large a number infinite.

    Raises:
        BadInputError: something in it is no number.
    """
    try:
        with np.errstate(over="ignore"):
            vector = np.asarray(values, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise BadInputError(f"The vector of {where} is not a list of numbers: {error}.") from error
    if vector.ndim != 1:
        raise BadInputError(f"The vector of {where} is not a list of numbers, but has the shape {vector.shape}.")
    return vector


def to_sparse(indices: Any, values: Any, where: str) -> SparseVector:
    """Return a sparse vector with its indices in order.

    Raises:
        BadInputError: not equally many indices and values, an index twice or out of range, a value not finite.
    """
    try:
        numbers = np.asarray(indices, dtype=np.int64)
        with np.errstate(over="ignore"):
            weights = np.asarray(values, dtype=np.float32)
    except (TypeError, ValueError, OverflowError) as error:
        raise BadInputError(f"The sparse vector of {where} cannot be read: {error}.") from error
    order = np.argsort(numbers, kind="stable") if numbers.ndim == 1 else None
    if order is None or numbers.shape != weights.shape:
        raise BadInputError(
            f"The sparse vector of {where} has indices {numbers.shape} and values {weights.shape}.",
            remedy="It needs as many indices as values.",
        )
    numbers, weights = numbers[order], weights[order]
    if numbers.size and (numbers[0] < 0 or numbers[-1] >= 2**32 or bool((numbers[1:] == numbers[:-1]).any())):
        raise BadInputError(f"The sparse vector of {where} has an index twice, or one outside of 32 bits.")
    if not bool(np.isfinite(weights).all()):
        raise BadInputError(f"The sparse vector of {where} has a value that is not finite.")
    return SparseVector(numbers.astype(np.uint32), weights)


def put_vector(point: ForeignPoint, name: str, value: Any, where: str) -> None:
    """Put what stands under the name of a vector where it belongs; None is no vector."""
    if value is None:
        return
    if isinstance(value, Mapping):
        if set(value) != {"indices", "values"}:
            point.others[name] = dict(value)
            return
        point.sparse[name] = to_sparse(value["indices"], value["values"], where)
    elif isinstance(value, list | tuple) and value and isinstance(value[0], list | tuple):
        point.others[name] = [list(row) for row in value]
    elif isinstance(value, list | tuple | np.ndarray):
        point.dense[name] = to_dense(value, where)
    elif hasattr(value, "indices") and hasattr(value, "values"):
        point.sparse[name] = to_sparse(value.indices, value.values, where)
    else:
        raise BadInputError(f"The vector {name!r} of {where} is a {type(value).__name__}, not a list of numbers.")


def put_vectors(point: ForeignPoint, value: Any, where: str) -> None:
    """Put the vectors of a point, in Qdrant's form: one list, or name → vector."""
    if isinstance(value, Mapping) and set(value) != {"indices", "values"}:
        for name, vector in value.items():
            put_vector(point, str(name), vector, where)
    else:
        put_vector(point, "", value, where)
