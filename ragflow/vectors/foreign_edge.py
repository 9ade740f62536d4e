"""Foreign collections in shards of Qdrant Edge.

The engine rewrites files of a shard that it only reads, and can end its process on a damaged one. So a copy is read,
by a process of its own: ``python -m ragflow.vectors.foreign_edge COPY`` writes pages to its stdout.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import orjson

from ragflow.errors import BadInputError
from ragflow.vectors.files import copy_tree
from ragflow.vectors.foreign import (
    EDGE_CONFIG,
    PAGE,
    DenseLayout,
    ForeignPoint,
    Layout,
    put_vectors,
    shared_lock,
    to_identifier,
)

DAMAGED = "Restore the shard from a backup, or export it with the program that wrote it."


class EdgeCollection:
    """A shard; see :class:`ragflow.vectors.foreign.ForeignCollection`.

    Args:
        shard: the folder with ``edge_config.json``.
        scratch: where a copy is put while it is read.
    """

    kind = "qdrant-edge"

    def __init__(self, shard: Path, scratch: Path) -> None:
        self._shard = shard
        self._scratch = scratch
        self.origin = str(shard)
        self.ignored: Mapping[str, int] = {}

    def layout(self) -> Layout:
        path = self._shard / EDGE_CONFIG
        try:
            config = orjson.loads(path.read_bytes())
            named = dict(config["vectors"])
            dense = {
                name: DenseLayout(int(given["size"]), str(given["distance"]))
                for name, given in named.items()
                if not given.get("multivector_config")
            }
            sparse = tuple(sorted(config.get("sparse_vectors") or {}))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise BadInputError(f"{path} is damaged: {error}.", remedy=DAMAGED) from error
        return Layout(dense=dense, sparse=sparse, others=tuple(sorted(set(named) - set(dense))))

    def pages(self) -> Iterator[list[ForeignPoint]]:
        with tempfile.TemporaryDirectory(prefix="shard-", dir=self._scratch) as folder:
            copy = Path(folder, "shard")
            # A shard that does without a log has no lock: its owner must have closed it.
            with shared_lock(self._shard / "wal", f"The shard {self._shard} is open in another process."):
                copy_tree(self._shard, copy)
            yield from self._pages(copy, Path(folder, "errors"))

    def _pages(self, copy: Path, errors: Path) -> Iterator[list[ForeignPoint]]:
        command = [sys.executable, "-m", __name__, str(copy)]
        paths = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        with (
            errors.open("wb") as log,
            subprocess.Popen(command, env=paths, stdout=subprocess.PIPE, stderr=log) as reading,
        ):
            assert reading.stdout is not None
            try:
                while (page := self._receive(reading.stdout)) is not None:
                    yield [self._to_point(*parts) for parts in page]
            except EOFError as error:
                reading.wait()
                said = [line for line in errors.read_text(errors="replace").splitlines() if line.strip()]
                raise BadInputError(
                    f"The shard {self._shard} is damaged: the vector engine ended with {reading.returncode} "
                    f"while it was read{f' ({said[-1].strip()})' if said else ''}.",
                    remedy=DAMAGED,
                ) from error
            finally:
                reading.kill()

    def _receive(self, pipe: IO[bytes]) -> list[Any] | None:
        size = pipe.read(8)
        if len(size) < 8:
            raise EOFError
        content = pipe.read(int.from_bytes(size, "big"))
        if len(content) < int.from_bytes(size, "big"):
            raise EOFError
        page: list[Any] | None = pickle.loads(content)  # written by our own process
        return page

    def _to_point(self, identifier: int | uuid.UUID, vectors: Any, payload: dict[str, Any]) -> ForeignPoint:
        where = f"point {identifier} of {self.origin}"
        point = ForeignPoint(id=to_identifier(identifier, where), payload=payload)
        put_vectors(point, vectors, where)
        return point


def _plain(vector: Any) -> Any:
    """Return vectors as builtins, which pickle without the engine."""
    if isinstance(vector, Mapping):
        return {name: _plain(value) for name, value in vector.items()}
    if hasattr(vector, "indices"):
        return {"indices": vector.indices, "values": vector.values}
    return vector


def _write_pages(shard: Path, pipe: IO[bytes]) -> None:
    """Write every page of a shard, then None: each as its length in 8 bytes, and a pickle of builtins."""
    import qdrant_edge

    def send(page: list[Any] | None) -> None:
        content = pickle.dumps(page, protocol=5)
        pipe.write(len(content).to_bytes(8, "big") + content)
        pipe.flush()

    opened = qdrant_edge.EdgeShard.load(str(shard))
    offset: uuid.UUID | int | str | None = None
    while True:
        request = qdrant_edge.ScrollRequest(offset=offset, limit=PAGE, with_payload=True, with_vector=True)
        records, offset = opened.scroll(request)
        if records:
            send([(record.id, _plain(record.vector), record.payload or {}) for record in records])
        if offset is None:
            break
    send(None)
    opened.close()


if __name__ == "__main__":
    _write_pages(Path(sys.argv[1]), sys.stdout.buffer)
