"""What a candidate is built from decides what is in it, not the way it came about."""

from __future__ import annotations

import uuid
from dataclasses import replace
from typing import Any

import numpy as np

from ragflow.model.points import Point
from ragflow.pipeline.release import live_version, release
from ragflow.pipeline.workspace import Workspace
from ragflow_tests.pipeline.archive import Archive, ingest, run_pending, scan_inbox


def test_rebuilding_gives_an_equal_version_from_nothing(copied: Archive) -> None:
    report = release(copied.workspace, rebuild=True)
    assert (report.decision, report.version) == ("promoted", "v000003")
    old, new = (copied.home.version_records.find(name) for name in ("v000002", "v000003"))
    assert old is not None
    assert new is not None
    assert (new.base, new.upserted, new.unchanged) == (None, new.points, 0)
    assert (new.merkle_root, new.corpus_fingerprint) == (old.merkle_root, old.corpus_fingerprint)


def test_another_configuration_is_a_reindex_and_the_way_back_needs_no_build(copied: Archive) -> None:
    other = replace(copied.workspace, index_from_points=777)
    report = release(other)
    built = copied.home.version_records.find(report.version)
    assert built is not None
    assert (report.decision, built.base, built.points) == ("promoted", None, 10)
    back = release(copied.workspace)
    assert (back.decision, back.version, live_version(copied.workspace)) == ("promoted", "v000002", "v000002")
    assert copied.workspace.versions().versions() == ["v000001", "v000002", "v000003"]


def test_one_by_one_or_all_at_once_gives_the_same_collection(copied: Archive, workspace: Workspace) -> None:
    """Other batches, another order, a detour: the same points come out, but for the batch that each of them names.

    The company in which a text is embedded decides how it is padded, and with it the last bits of its vector.
    """
    for path in sorted(copied.home.inbox.iterdir()):
        (workspace.home.inbox / path.name).write_bytes(path.read_bytes())
    (workspace.home.inbox / "more.pdf").write_bytes((workspace.home.inbox / "later.pdf").read_bytes())
    scan_inbox(workspace, wait=True)
    run_pending(workspace)
    assert release(workspace).decision == "promoted"
    (workspace.home.inbox / "more.pdf").unlink()
    assert ingest(workspace).decision == "promoted"
    one, other = points(workspace), points(copied.workspace)
    assert one.keys() == other.keys()
    for identifier, point in one.items():
        twin = other[identifier]
        assert described(point) == described(twin)
        assert np.array_equal(point.sparse.indices, twin.sparse.indices)
        assert np.array_equal(point.sparse.values, twin.sparse.values)
        assert np.allclose(point.dense, twin.dense, atol=1e-5)


def points(workspace: Workspace) -> dict[uuid.UUID, Point]:
    live = live_version(workspace)
    assert live is not None
    with workspace.versions().open(live) as reader:
        return {point.id: point for page in reader.scroll() for point in page}


def described(point: Point) -> dict[str, Any]:
    return {key: value for key, value in point.payload.items() if key not in {"batch", "vector_sha256"}}
