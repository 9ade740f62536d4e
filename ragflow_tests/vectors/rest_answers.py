"""How the small server of the tests answers, one function for each kind of request, and what it keeps."""

from __future__ import annotations

import hashlib
import io
import json
import secrets
import shutil
import subprocess
import tarfile
import uuid
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import numpy as np
import qdrant_edge
from pydantic import TypeAdapter
from qdrant_client import models

if TYPE_CHECKING:
    from ragflow_tests.vectors.rest_server import RestServer


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    content: bytes

    def body(self) -> Any:
        return json.loads(self.content) if self.content else None


@dataclass(frozen=True)
class Answer:
    status: int
    content: bytes
    headers: dict[str, str] = field(default_factory=dict)


class RefusalError(Exception):
    def __init__(self, answer: Answer) -> None:
        super().__init__(answer)
        self.answer = answer


class Collection:
    """The points lie in a shard of Qdrant Edge, which is the server's own code; the rest is kept here."""

    def __init__(self, asked: models.CreateCollection, folder: Path) -> None:
        self.asked = asked
        self.metadata = dict(asked.metadata or {})
        self.indexes: dict[str, Any] = {}
        self.folder = folder
        folder.mkdir(parents=True)
        dense = asked.vectors["dense"].size if asked.vectors else 1
        config = qdrant_edge.EdgeConfig(
            vectors={"dense": qdrant_edge.EdgeVectorParams(dense, qdrant_edge.Distance.Cosine)},
            sparse_vectors={"sparse": qdrant_edge.EdgeSparseVectorParams(modifier=qdrant_edge.Modifier.Idf)},
            wal_enabled=False,
        )
        self.shard = qdrant_edge.EdgeShard.create(str(folder), config)

    def info(self) -> dict[str, Any]:
        found = self.shard.info()
        params = self.asked.model_dump(mode="json", exclude_none=True, include={"vectors", "sparse_vectors"})
        return {
            "status": "green",
            "optimizer_status": "ok",
            "indexed_vectors_count": found.indexed_vectors_count,
            "points_count": found.points_count,
            "segments_count": found.segments_count,
            "config": {
                "params": params,
                "hnsw_config": {"m": 16, "ef_construct": 100, "full_scan_threshold": 10_000},
                "optimizer_config": {
                    "deleted_threshold": 0.2,
                    "vacuum_min_vector_number": 1000,
                    "default_segment_number": 0,
                    "flush_interval_sec": 5,
                },
                "metadata": self.metadata,
            },
            "payload_schema": {},
        }

    def pack(self) -> bytes:
        self.shard.flush()
        # The shard's files are mostly holes, which this program leaves out.
        return subprocess.run(["tar", "-cSC", self.folder, "."], check=True, capture_output=True).stdout

    def unpack(self, content: bytes) -> None:
        self.shard.close()
        shutil.rmtree(self.folder)
        try:
            with tarfile.open(fileobj=io.BytesIO(content)) as archive:
                archive.extractall(self.folder, filter="data")
        except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
            raise refusal(400, f"the snapshot is damaged: {error}") from error
        self.shard = qdrant_edge.EdgeShard.load(str(self.folder))


def refusal(status: int, reason: str) -> RefusalError:
    return RefusalError(Answer(status, dump({"status": {"error": reason}, "time": 0.0})))


def dump(value: Any) -> bytes:
    return json.dumps(value).encode()


def _read(kind: Any, request: Request) -> Any:
    try:
        return TypeAdapter(kind).validate_json(request.content)
    except ValueError as error:
        raise refusal(400, str(error)) from error


def _shortest(number: float) -> float:
    """Return the number that a server's shortest text for a float of 32 bits is read as."""
    return float(str(np.float32(number)))


def _record(record: Any) -> dict[str, Any]:
    written = {"id": str(record.id), "payload": record.payload}
    if record.vector:
        sparse = record.vector["sparse"]
        values = list(map(_shortest, sparse.values))
        written["vector"] = {
            "dense": list(map(_shortest, record.vector["dense"])),
            "sparse": {"indices": sparse.indices, "values": values},
        }
    return written


def _welcome(server: RestServer, _: Request) -> Answer:
    return Answer(200, dump({"title": "qdrant - vector search engine", "version": server.version}))


def _create(server: RestServer, request: Request, name: str) -> Any:
    asked = _read(models.CreateCollection, request)
    if name in server.collections or name in server.aliases:
        raise refusal(409, f"Wrong input: Collection `{name}` already exists!")
    server.collections[name] = Collection(asked, server.folder / f"{name}-{secrets.token_hex(4)}")
    return True


def _describe(server: RestServer, _: Request, name: str) -> Any:
    return {**server.find(name).info(), **server.state}


def _update(server: RestServer, request: Request, name: str) -> Any:
    asked = _read(models.UpdateCollection, request)
    server.find(name).metadata.update(asked.metadata or {})
    if asked.optimizers_config is not None and server.state.get("status") == "grey":
        server.state = {}
    return True


def _remove(server: RestServer, _: Request, name: str) -> Any:
    server.aliases = {alias: target for alias, target in server.aliases.items() if target != name}
    gone = server.collections.pop(name, None)
    return gone is not None


def _index(server: RestServer, request: Request, name: str) -> Any:
    asked = _read(models.CreateFieldIndex, request)
    server.find(name).indexes[asked.field_name] = asked.field_schema
    return {"operation_id": 0, "status": "completed"}


def _upsert(server: RestServer, request: Request, name: str) -> Any:
    points = []
    for point in _read(models.PointsList, request).points:
        sparse = qdrant_edge.SparseVector(point.vector["sparse"].indices, point.vector["sparse"].values)
        vectors = {"dense": point.vector["dense"], "sparse": sparse}
        points.append(qdrant_edge.Point(uuid.UUID(str(point.id)), vectors, point.payload))
    server.find(name).shard.update(qdrant_edge.UpdateOperation.upsert_points(points))
    return {"operation_id": 0, "status": "completed"}


def _delete(server: RestServer, request: Request, name: str) -> Any:
    ids = [uuid.UUID(str(i)) for i in _read(models.PointIdsList, request).points]
    server.find(name).shard.update(qdrant_edge.UpdateOperation.delete_points(ids))
    return {"operation_id": 0, "status": "completed"}


def _count(server: RestServer, request: Request, name: str) -> Any:
    assert _read(models.CountRequest, request).exact
    return {"count": server.find(name).shard.count(qdrant_edge.CountRequest(exact=True))}


def _scroll(server: RestServer, request: Request, name: str) -> Any:
    asked = _read(models.ScrollRequest, request)
    offset = None if asked.offset is None else uuid.UUID(str(asked.offset))
    records, following = server.find(name).shard.scroll(
        qdrant_edge.ScrollRequest(offset=offset, limit=asked.limit, with_payload=True, with_vector=asked.with_vector)
    )
    return {"points": list(map(_record, records)), "next_page_offset": None if following is None else str(following)}


def _retrieve(server: RestServer, request: Request, name: str) -> Any:
    asked = _read(models.PointRequest, request)
    ids = [uuid.UUID(str(i)) for i in asked.ids]
    found = server.find(name).shard.retrieve(ids, with_payload=True, with_vector=asked.with_vector)
    return [_record(record) for record in reversed(found)]  # in no order that may be counted on


def _query(server: RestServer, request: Request, name: str) -> Any:
    asked = _read(models.QueryRequest, request)
    query = asked.query.nearest
    params = None
    if isinstance(query, models.SparseVector):
        params = qdrant_edge.SearchParams(idf=qdrant_edge.IdfParams(corpus=qdrant_edge.Filter()))
        query = qdrant_edge.SparseVector(query.indices, query.values)
        assert asked.params.idf == models.IdfCorpusParams(corpus=models.Filter())
    conditions: list[Any] = []
    for condition in asked.filter.must if asked.filter else ():
        conditions.append(_condition(condition))
    found = server.find(name).shard.query(
        qdrant_edge.QueryRequest(
            limit=asked.limit,
            query=qdrant_edge.Query.Nearest(query, using=asked.using),
            filter=qdrant_edge.Filter(must=conditions) if conditions else None,
            with_payload=asked.with_payload,
            params=params,
        )
    )
    points = [{"id": str(h.id), "version": 0, "score": _shortest(h.score), "payload": h.payload} for h in found]
    return {"points": points}


def _condition(condition: models.FieldCondition | models.HasIdCondition) -> Any:
    if isinstance(condition, models.HasIdCondition):
        return qdrant_edge.HasIdCondition({uuid.UUID(str(one)) for one in condition.has_id})
    if condition.range is not None:
        ends = qdrant_edge.RangeFloat(gte=condition.range.gte, lte=condition.range.lte)
        return qdrant_edge.FieldCondition(condition.key, range=ends)
    if isinstance(condition.match, models.MatchAny):
        return qdrant_edge.FieldCondition(condition.key, match=qdrant_edge.MatchAny(condition.match.any))
    value = condition.match.value
    match = qdrant_edge.MatchValue(np.bool_(value) if isinstance(value, bool) else value)
    return qdrant_edge.FieldCondition(condition.key, match=match)


def _list(server: RestServer, _: Request) -> Any:
    return {"collections": [{"name": name} for name in server.collections]}


def _list_aliases(server: RestServer, _: Request) -> Any:
    return {"aliases": [{"alias_name": a, "collection_name": target} for a, target in server.aliases.items()]}


def _change_aliases(server: RestServer, request: Request) -> Any:
    """One after the other; what was done before a step that fails stays done, as in the server."""
    for action in _read(models.ChangeAliasesOperation, request).actions:
        if isinstance(action, models.RenameAliasOperation):
            renamed = action.rename_alias
            if renamed.old_alias_name not in server.aliases:
                raise refusal(404, f"Not found: Alias {renamed.old_alias_name} does not exists!")
            server.aliases[renamed.new_alias_name] = server.aliases.pop(renamed.old_alias_name)
        elif isinstance(action, models.DeleteAliasOperation):
            server.aliases.pop(action.delete_alias.alias_name, None)
        else:
            created = action.create_alias
            server.find(created.collection_name)
            server.aliases[created.alias_name] = created.collection_name
    return True


def _cluster(server: RestServer, _: Request) -> Any:
    if server.peers == 1:
        return {"status": "disabled"}
    peers = {str(number): {"uri": f"http://{number}"} for number in range(server.peers)}
    raft = {"term": 1, "commit": 1, "pending_operations": 0, "is_voter": True}
    thread = {"consensus_thread_status": "working", "last_update": "2026-01-02T03:04:05Z"}
    enabled = {"status": "enabled", "peer_id": 0, "peers": peers, "raft_info": raft, "message_send_failures": {}}
    return {**enabled, "consensus_thread_status": thread}


def _take(server: RestServer, _: Request, name: str) -> Any:
    if not server.has_snapshots:
        raise refusal(400, "snapshots are switched off")
    content = server.find(name).pack()
    label = f"{name}-{secrets.token_hex(4)}.snapshot"
    server.snapshots[label] = content
    return {"name": label, "size": len(content), "checksum": hashlib.sha256(content).hexdigest()}


def _hand_out(server: RestServer, _: Request, __: str, label: str) -> Any:
    if label not in server.snapshots:
        raise refusal(404, "Not found: no such snapshot")
    return Answer(200, server.snapshots[label], {"Content-Type": "application/octet-stream"})


def _drop_snapshot(server: RestServer, _: Request, __: str, label: str) -> Any:
    return server.snapshots.pop(label, None) is not None


def _recover(server: RestServer, request: Request, name: str) -> Any:
    asked = _read(models.SnapshotRecover, request)
    if asked.api_key != server.key or not asked.location.startswith(f"{server.url}/collections/"):
        raise refusal(400, "the snapshot could not be fetched")
    label = unquote(urlsplit(asked.location).path.rsplit("/", 1)[1])
    return _fill(server, name, server.snapshots[label], asked.checksum)


def _upload(server: RestServer, request: Request, name: str) -> Any:
    boundary = request.headers["content-type"].partition("boundary=")[2].encode()
    part = request.content.split(b"--" + boundary)[1]
    return _fill(server, name, part.partition(b"\r\n\r\n")[2][:-2], request.query.get("checksum"))


def _fill(server: RestServer, name: str, content: bytes, checksum: str | None) -> bool:
    if checksum is not None and hashlib.sha256(content).hexdigest() != checksum:
        raise refusal(400, "Checksum mismatch")
    server.find(name).unpack(content)
    return True


_NAME = "/collections/([^/]+)"
ROUTES: list[tuple[str, str, Callable[..., Any]]] = [
    ("GET", "/", _welcome),
    ("GET", "/collections", _list),
    ("GET", "/aliases", _list_aliases),
    ("POST", "/collections/aliases", _change_aliases),
    ("GET", "/cluster", _cluster),
    ("GET", _NAME, _describe),
    ("PUT", _NAME, _create),
    ("PATCH", _NAME, _update),
    ("DELETE", _NAME, _remove),
    ("PUT", f"{_NAME}/index", _index),
    ("PUT", f"{_NAME}/points", _upsert),
    ("POST", f"{_NAME}/points", _retrieve),
    ("POST", f"{_NAME}/points/delete", _delete),
    ("POST", f"{_NAME}/points/scroll", _scroll),
    ("POST", f"{_NAME}/points/count", _count),
    ("POST", f"{_NAME}/points/query", _query),
    ("POST", f"{_NAME}/snapshots", _take),
    ("GET", f"{_NAME}/snapshots/([^/]+)", _hand_out),
    ("DELETE", f"{_NAME}/snapshots/([^/]+)", _drop_snapshot),
    ("PUT", f"{_NAME}/snapshots/recover", _recover),
    ("POST", f"{_NAME}/snapshots/upload", _upload),
]
