"""Foreign collections on a Qdrant server, and in the folder that ``QdrantClient(path=…)`` writes.

The folder keeps each point as a pickle, and loading a pickle can run any code. Here nothing is loaded that has any:
the two records of the client that stand in such pickles become plain bags of fields, and a pickle that names anything
else is refused. The database is opened for reading only.
"""

from __future__ import annotations

import io
import pickle
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import orjson
from qdrant_client import QdrantClient

from ragflow.errors import BadInputError, CheckFailedError, NotFoundError, UsageError
from ragflow.vectors.foreign import (
    LOCAL_SCHEME,
    PAGE,
    DenseLayout,
    ForeignId,
    ForeignPoint,
    Layout,
    put_vectors,
    shared_lock,
    to_identifier,
)
from ragflow.vectors.server_connection import Connection
from ragflow.vectors.server_options import ServerOptions

_RECORDS = frozenset({"PointStruct", "SparseVector"})
_MODULES = frozenset({"qdrant_client.http.models.models", "qdrant_openapi_client.models.models"})


class ServerCollection:
    """A collection on a Qdrant server; see :class:`ragflow.vectors.foreign.ForeignCollection`.

    Args:
        client: to be used instead of one made from the address.

    Raises:
        UsageError: not the address of a collection, or a key would travel unencrypted to another machine.
    """

    kind = "qdrant"

    def __init__(self, address: str, api_key: str | None = None, *, client: QdrantClient | None = None) -> None:
        parts = urlsplit(address)
        base, _, name = parts.path.rstrip("/").rpartition("/")
        if not name:
            raise UsageError(
                f"{address!r} names no collection.", remedy="It looks like https://qdrant.example:6333/COLLECTION."
            )
        options = ServerOptions(parts._replace(path=base).geturl(), api_key=api_key)
        self._name = unquote(name)
        self._connection = Connection(options, client)
        self.origin = f"{options.address}/{quote(self._name, safe='')}"
        self.ignored: Mapping[str, int] = {}

    def layout(self) -> Layout:
        info = self._connection.ask(
            f"describe the collection {self._name}", lambda: self._connection.admin.get_collection(self._name)
        )
        params = info.config.params
        return _layout(_plain(params.vectors), _plain(params.sparse_vectors), self._count())

    def pages(self) -> Iterator[list[ForeignPoint]]:
        offset: Any = None
        read = 0
        while True:
            scroll = partial(self._scroll, offset)
            records, offset = self._connection.ask(f"read the collection {self._name}", scroll)
            read += len(records)
            if records:
                yield [_to_point(record.id, record.vector, record.payload, self.origin) for record in records]
            if offset is None:
                break
        if read != (there := self._count()):
            raise CheckFailedError(
                f"{self.origin} was written to while it was read: {read} points were read, and it holds {there}.",
                remedy="Stop what writes to it, then try again.",
            )

    def _scroll(self, offset: Any) -> tuple[list[Any], Any]:
        return self._connection.points.scroll(
            self._name, limit=PAGE, offset=offset, with_payload=True, with_vectors=True
        )

    def _count(self) -> int:
        found = self._connection.ask(
            f"count the collection {self._name}", lambda: self._connection.points.count(self._name, exact=True)
        )
        return int(found.count)


class LocalCollection:
    """A collection in a folder of Qdrant's local mode.

    Args:
        place: ``/path#collection``.
    """

    kind = "qdrant-local"

    def __init__(self, place: str) -> None:
        folder, _, self._name = place.rpartition("#")
        if not folder or not self._name:
            raise UsageError(
                f"{LOCAL_SCHEME}{place} names no collection.", remedy=f"It looks like {LOCAL_SCHEME}/PATH#COLLECTION."
            )
        self._folder = Path(folder).expanduser().resolve()
        self.origin = f"{LOCAL_SCHEME}{self._folder}#{self._name}"
        self.ignored: Mapping[str, int] = {}

    def layout(self) -> Layout:
        path = self._folder / "meta.json"
        try:
            collections = orjson.loads(path.read_bytes())["collections"]
            config = collections.get(self._name)
        except FileNotFoundError as error:
            raise NotFoundError(
                f"There is no {path}: {self._folder} is not a folder of Qdrant's local mode.",
                remedy="Name the folder that was given to QdrantClient(path=…).",
            ) from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise BadInputError(f"{path} is damaged: {error}.", remedy="Restore the folder from a backup.") from error
        if config is None:
            raise NotFoundError(
                f"There is no collection {self._name} in {self._folder}.",
                remedy=f"It holds: {', '.join(sorted(collections)) or 'none'}.",
            )
        with self._opened() as database:
            points = int(database.execute("SELECT COUNT(*) FROM points").fetchone()[0])
        return _layout(config.get("vectors"), config.get("sparse_vectors"), points)

    def pages(self) -> Iterator[list[ForeignPoint]]:
        # Older clients could keep a point under several keys; the latest row is the one that counts.
        seen: set[ForeignId] = set()
        page: list[ForeignPoint] = []
        with self._opened() as database:
            for number, content in database.execute("SELECT rowid, point FROM points ORDER BY rowid DESC"):
                point = self._read(number, content)
                if point.id in seen:
                    continue
                seen.add(point.id)
                page.append(point)
                if len(page) == PAGE:
                    yield page
                    page = []
        if page:
            yield page

    def _read(self, number: int, content: Any) -> ForeignPoint:
        where = f"row {number} of {self.origin}"
        try:
            record = _Records(io.BytesIO(content)).load()
            fields = record.fields
            return _to_point(fields["id"], fields.get("vector"), fields.get("payload"), where)
        except BadInputError:
            raise
        except Exception as error:  # a damaged pickle may raise anything
            raise BadInputError(
                f"{where} cannot be read: {type(error).__name__}: {error}.",
                remedy="Export the collection to JSON lines with the program that wrote it, and adopt that file.",
            ) from error

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        """Give the database out for reading, while no client may open the folder for writing."""
        path = self._folder / "collection" / self._name / "storage.sqlite"
        with shared_lock(self._folder / ".lock", f"The folder {self._folder} is open in a QdrantClient."):
            try:
                with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True)) as database:
                    yield database
            except sqlite3.Error as error:
                raise BadInputError(
                    f"{path} cannot be read: {error}.",
                    remedy="Open the folder once with QdrantClient(path=…) and close it, or restore it from a backup.",
                ) from error


class _Held:
    """A record out of a pickle: its fields and nothing else."""

    def __init__(self) -> None:
        self.fields: dict[str, Any] = {}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.fields = dict(state["__dict__"])

    @property
    def indices(self) -> Any:
        return self.fields["indices"]

    @property
    def values(self) -> Any:
        return self.fields["values"]


class _Records(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if module in _MODULES and name in _RECORDS:
            return _Held
        raise BadInputError(
            f"A stored point asks for {module}.{name}, which is not loaded: it could run code.",
            remedy="Export the collection to JSON lines with the program that wrote it, and adopt that file.",
        )


def _plain(value: Any) -> Any:
    """Return the client's records as JSON values."""
    if isinstance(value, Mapping):
        return {name: _plain(entry) for name, entry in value.items()}
    return value.model_dump(mode="json") if hasattr(value, "model_dump") else value


def _layout(vectors: Any, sparse: Any, points: int) -> Layout:
    """Return the layout that a collection's configuration describes: one vector's parameters, or name → parameters."""
    named = {"": vectors} if isinstance(vectors, Mapping) and "size" in vectors else dict(vectors or {})
    dense = {
        name: DenseLayout(int(given["size"]), str(given["distance"]))
        for name, given in named.items()
        if not given.get("multivector_config")
    }
    others = tuple(sorted(set(named) - set(dense)))
    return Layout(dense=dense, sparse=tuple(sorted(sparse or {})), others=others, points=points)


def _to_point(identifier: Any, vector: Any, payload: Any, origin: str) -> ForeignPoint:
    where = f"point {identifier} of {origin}"
    if payload is not None and not isinstance(payload, dict):
        raise BadInputError(f"The payload of {where} is a {type(payload).__name__}, not a JSON object.")
    point = ForeignPoint(id=to_identifier(identifier, where), payload=payload or {})
    put_vectors(point, vector, where)
    return point
