"""What a fault does to points, payloads, files, records, names and hits: pure functions, as in
:mod:`ragflow_tests.faults.mutations`."""

from __future__ import annotations

import uuid
from typing import Any

from ragflow_tests.faults.documents import Row, Scene
from ragflow_tests.faults.mutations import NothingToChangeError, Rows, instead, moved, vectors_of

# Points.


def _of_document(rows: Rows, document: str | None, page: int | None = None) -> Rows:
    found = [
        row
        for row in rows
        if row["payload"]["document"] == document and (page is None or row["payload"]["page"] == page)
    ]
    if not found:
        raise NothingToChangeError(f"{document}, page {page}")
    return found


def _with_payload(rows: Rows, row: Row, **fields: Any) -> Rows:
    return instead(rows, row, {**row, "payload": {**row["payload"], **fields}})


def keep_stale_points(rows: Rows, scene: Scene) -> Rows:
    there = {row["id"] for row in rows}
    return [*rows, *(row for row in _of_document(list(scene.earlier), scene.changed) if row["id"] not in there)]


def serve_earlier_state(rows: Rows, scene: Scene) -> Rows:
    earlier = _of_document(list(scene.earlier), scene.changed)
    return [*(row for row in rows if row["payload"]["document"] != scene.changed), *earlier]


def keep_ghost(rows: Rows, scene: Scene) -> Rows:
    return [*rows, *_of_document(list(scene.earlier), scene.removed)]


def drop_new_points(rows: Rows, scene: Scene) -> Rows:
    gone = (scene.new, scene.scan, scene.changed)
    return [row for row in rows if row["payload"]["document"] not in gone]


def drop_points_of_document(rows: Rows, scene: Scene) -> Rows:
    gone = _of_document(rows, scene.other)
    return [row for row in rows if row not in gone]


def drop_point(rows: Rows, scene: Scene) -> Rows:
    return instead(rows, _of_document(rows, scene.new, 1)[0])


def double_point(rows: Rows, scene: Scene) -> Rows:
    row = _of_document(rows, scene.new, 1)[0]
    return [*rows, {**row, "id": str(uuid.uuid5(uuid.NAMESPACE_OID, row["id"]))}]


def forget_provenance(rows: Rows, scene: Scene) -> Rows:
    row = _of_document(rows, scene.new, 1)[0]
    bare = {name: value for name, value in row["payload"].items() if name != "provenance"}
    return instead(rows, row, {**row, "payload": bare})


def wrong_page_number(rows: Rows, scene: Scene) -> Rows:
    return _with_payload(rows, _of_document(rows, scene.new, 1)[0], page=scene.second)


def shift_point_boxes(rows: Rows, scene: Scene) -> Rows:
    row = _of_document(rows, scene.new, 1)[0]
    return _with_payload(rows, row, boxes=[moved(box) for box in row["payload"]["boxes"]])


def change_point_title(rows: Rows, scene: Scene) -> Rows:
    return _with_payload(rows, _of_document(rows, scene.new, 1)[0], title="Accounts of another parish")


def swap_point_vectors(rows: Rows, scene: Scene) -> Rows:
    one, two = _of_document(rows, scene.new, 1)[0], _of_document(rows, scene.other, 1)[0]
    return instead(instead(rows, one, vectors_of(two, one)), two, vectors_of(one, two))


def shuffle_vectors(rows: Rows, scene: Scene) -> Rows:
    """Every point gets the vectors of the point half the collection away."""
    half = len(rows) // 2
    return [vectors_of(source, row) for row, source in zip(rows, [*rows[half:], *rows[:half]], strict=True)]


# One payload, as the code that makes payloads would return it.


def payload_boxes_off(payload: Row) -> Row:
    return {**payload, "boxes": [moved(box) for box in payload["boxes"]]}


def payload_page_off(payload: Row) -> Row:
    return {**payload, "page": payload["page"] + 1}


def payload_text_cut(payload: Row) -> Row:
    return {**payload, "text": payload["text"][:40]}


# Bytes, records, names.


def flip_byte(data: bytes) -> bytes | None:
    half = len(data) // 2
    return data[:half] + bytes([data[half] ^ 1]) + data[half + 1 :]


def truncate(data: bytes) -> bytes | None:
    return data[: len(data) // 2]


def lose(whole: Any) -> None:
    """Of whatever it is, nothing is left."""


def leave_document_out(record: Row) -> Row:
    """A manifest without its last line."""
    return {**record, "documents": record["documents"][:-1]}


def claim_other_points(record: Row) -> Row:
    return {**record, "points": record["points"] + 1}


def claim_other_time(record: Row) -> Row:
    return {**record, "decided_at": "2001-01-01T00:00:00+00:00"}


def leave_batch_out(batches: list[str]) -> list[str]:
    """All batches but the one before the newest two."""
    return [*batches[:-3], *batches[-2:]]


def oldest(versions: list[str]) -> str:
    return versions[0]


def newest(versions: list[str]) -> str:
    return versions[-1]


def cut_finer(settings: Row) -> Row:
    return {**settings, "target_tokens": settings["target_tokens"] // 2}


# What a search of what is live gives back.


def rubbish(hits: Rows, everything: Rows) -> Rows:
    """Whatever comes first in the collection."""
    return [{**row, "score": 0.5 - number * 1e-3} for number, row in enumerate(everything)]


def nothing(hits: Rows, everything: Rows) -> Rows:
    return []
