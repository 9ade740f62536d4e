"""Changing a stored collection version the way a careful forger would."""

from __future__ import annotations

import json
from typing import Any

import qdrant_edge

from ragflow.pipeline.release import live_version
from ragflow.pipeline.workspace import Workspace
from ragflow.vectors.files import take_inventory


def forge_point(
    workspace: Workspace,
    point: str,
    *,
    payload: dict[str, Any] | None = None,
    without: str | None = None,
    turn: bool = False,
    delete: bool = False,
) -> None:
    """Change a point of the live version, and make the inventory of the version's files fit.

    Args:
        payload: fields to set.
        without: a field to remove.
        turn: turn the dense vector round.
        delete: remove the point, and put the count in the record right.
    """
    version = live_version(workspace)
    assert version is not None
    folder = workspace.home.vectors / "versions" / version
    shard = qdrant_edge.EdgeShard.load(str(folder / "shard"))
    (record,) = shard.retrieve([point], with_payload=True, with_vector=True)
    if delete:
        shard.update(qdrant_edge.UpdateOperation.delete_points([record.id]))
    else:
        assert record.payload is not None
        fields = {key: value for key, value in {**record.payload, **(payload or {})}.items() if key != without}
        vectors: Any = record.vector
        if turn:
            vectors = {**vectors, "dense": [-value for value in vectors["dense"]]}
        shard.update(qdrant_edge.UpdateOperation.upsert_points([qdrant_edge.Point(record.id, vectors, fields)]))
    shard.flush()
    count = shard.count(qdrant_edge.CountRequest(exact=True))
    shard.close()
    completion = folder / "complete.json"
    value = json.loads(completion.read_bytes())
    value["files"] = {name: list(stamp) for name, stamp in take_inventory(folder / "shard").items()}
    value["points"] = count
    completion.write_text(json.dumps(value))
