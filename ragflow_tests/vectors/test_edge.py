"""What is true of the embedded engine beyond the contract: processes, kills, damage, bytes on the disk, the graph."""

from __future__ import annotations

import math
import multiprocessing
import os
import time
from pathlib import Path

import numpy as np
import orjson
import pytest

from ragflow.errors import CheckFailedError, IntegrityError, NotFoundError, UsageError
from ragflow.vectors.edge import EdgeVersionStore
from ragflow.vectors.protocols import CollectionSettings
from ragflow_tests.vectors import children
from ragflow_tests.vectors.builders import (
    DIMENSION,
    MOVED_AT,
    hashes,
    identifier,
    make_point,
    make_points,
    snapshot,
    sparse,
    unit_vectors,
)
from ragflow_tests.vectors.contract import SETTINGS, build, everything

GRAPH_SETTINGS = CollectionSettings(dimension=DIMENSION, index_from_points=500)
SPAWN = multiprocessing.get_context("spawn")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "collection"


@pytest.fixture
def store(root: Path) -> EdgeVersionStore:
    return EdgeVersionStore(root)


@pytest.mark.parametrize("settings", [SETTINGS, GRAPH_SETTINGS], ids=["exact", "graph"])
def test_neither_reading_nor_cloning_touches_a_version(
    store: EdgeVersionStore, root: Path, settings: CollectionSettings
) -> None:
    points = make_points(900)
    build(store, "v000001", points, settings)
    base = snapshot(root / "versions" / "v000001")
    # A version with a delta is what the engine would repair on load.
    with store.clone("v000001", "v000002", settings) as writer:
        writer.upsert(make_points(40, seed=3))
        writer.delete([point.id for point in points[100:140]])
        assert (len(list((root / "versions").iterdir())), store.versions()) == (2, ["v000001"])
        writer.finish()
    assert snapshot(root / "versions" / "v000001") == base
    before = snapshot(root / "versions")
    for version in ("v000001", "v000002"):
        with store.open(version) as reader, store.open(version) as other:
            everything(reader)
            for point in points[:5]:
                other.search_dense(point.dense, 5, {"page_number": 2})
                reader.search_sparse(point.sparse, 5, {"draft": True})
            reader.retrieve([point.id for point in points])
            reader.info()
            assert snapshot(root / "versions") == before
        abandoned = store.open(version)
        del abandoned  # ends without being closed
    assert snapshot(root / "versions") == before
    for version in ("v000001", "v000002"):
        store.check_files(version)


def test_a_graph_is_built_from_the_threshold_on(store: EdgeVersionStore) -> None:
    for version, count in (("v000001", 499), ("v000002", 520)):
        build(store, version, make_points(count), GRAPH_SETTINGS)
    with store.open("v000001") as below, store.open("v000002") as above:
        # Sparse vectors are always indexed; dense ones only in the graph.
        assert below.info().indexed == 499
        assert above.info().indexed == 2 * 520


def test_the_graph_finds_what_is_nearest(store: EdgeVersionStore) -> None:
    points = make_points(2000, seed=8)
    build(store, "v000001", points, GRAPH_SETTINGS)
    changed = make_points(50, seed=9)
    with store.clone("v000001", "v000002", GRAPH_SETTINGS) as writer:
        writer.upsert(changed)
        writer.delete([points[60].id])
        writer.finish()
    desired = [*changed, *points[50:60], *points[61:]]
    matrix = np.stack([point.dense for point in desired])
    with store.open("v000002") as reader:
        assert reader.info().indexed > len(desired) and reader.info().optimized
        assert hashes(everything(reader, 700)) == hashes(desired)
        assert [point.id for point in everything(reader, 700)] == sorted(point.id for point in desired)
        for point in desired[::40]:
            assert reader.search_dense(point.dense, 1)[0].id == point.id
        found = 0
        for query in unit_vectors(30, seed=10):
            nearest = {desired[i].id for i in np.argsort(-(matrix @ query))[:10]}
            found += len(nearest & {hit.id for hit in reader.search_dense(query, 10)})
        assert found >= 0.9 * 300
        hits = reader.search_dense(points[100].dense, 5, {"document_key": "inbox/20.pdf"})
        assert {hit.id for hit in hits} == {point.id for point in points[100:105]}


def test_sparse_scores_do_not_depend_on_how_a_graph_version_came_about(store: EdgeVersionStore) -> None:
    dense = unit_vectors(600)
    points = [make_point(i, dense[i], {i % 5: 1.0}, {}) for i in range(600)]
    build(store, "v000001", points, GRAPH_SETTINGS)
    with store.clone("v000001", "v000002", GRAPH_SETTINGS) as writer:
        writer.delete([identifier(i) for i in range(0, 100, 5)])
        writer.upsert([make_point(i, dense[i], {9: 1.0}, {}) for i in range(100, 200, 5)])
        writer.finish()
    with store.open("v000002") as reader:
        scores = {hit.score for hit in reader.search_sparse(sparse({0: 1.0}), 600)}
    # 580 points are left, 80 of them with term 0.
    assert list(scores) == pytest.approx([math.log((580 - 80 + 0.5) / (80 + 0.5) + 1)], rel=1e-5)


def test_a_killed_build_leaves_no_version_and_can_be_started_again(store: EdgeVersionStore, root: Path) -> None:
    build(store, "v000001", make_points(5))
    ours, theirs = SPAWN.Pipe()
    child = SPAWN.Process(target=children.build_for_ever, args=(root, theirs))
    child.start()
    while ours.recv() < 2000:
        pass
    with pytest.raises(CheckFailedError, match="v000002"):
        store.create("v000002", SETTINGS)
    child.kill()
    child.join()
    assert (root / "versions" / "v000002" / "shard" / "segments").is_dir()
    assert store.versions() == ["v000001"]
    with pytest.raises(NotFoundError, match="v000001"):
        store.open("v000002")
    points = make_points(30, seed=4)
    build(store, "v000002", points)
    with store.open("v000002") as reader:
        assert hashes(everything(reader)) == hashes(points)


def test_a_wreck_can_be_discarded(store: EdgeVersionStore, root: Path) -> None:
    store.create("v000001", SETTINGS).close()
    assert (root / "versions" / "v000001").is_dir()
    store.discard("v000001")
    assert not (root / "versions" / "v000001").exists()


def test_of_two_processes_that_move_the_alias_exactly_one_wins(store: EdgeVersionStore, root: Path) -> None:
    rounds = 15
    for version in ("v000001", "v000002", "v000003"):
        build(store, version, [])
    store.move_alias("v000001", expected=None, moved_at=MOVED_AT)
    barrier = SPAWN.Barrier(3)
    processes, answers = [], []
    for version in ("v000002", "v000003"):
        ours, theirs = SPAWN.Pipe()
        answers.append(ours)
        processes.append(SPAWN.Process(target=children.move_alias, args=(root, version, rounds, barrier, theirs)))
        processes[-1].start()
    live = []
    for _ in range(rounds):
        barrier.wait(60)
        barrier.wait(60)
        record = store.alias()
        assert record is not None and record.previous == "v000001"
        live.append(record.version)
        store.move_alias("v000001", expected=record.version, moved_at=MOVED_AT)
        barrier.wait(60)
    won = [answer.recv() for answer in answers]
    for process in processes:
        process.join()
        assert process.exitcode == 0
    assert sorted(won[0] + won[1]) == list(range(rounds))
    assert [number for number, version in enumerate(live) if version == "v000002"] == won[0]


def test_processes_search_the_live_version_while_a_candidate_is_built(store: EdgeVersionStore, root: Path) -> None:
    points = make_points(300)
    build(store, "v000001", points)
    store.move_alias("v000001", expected=None, moved_at=MOVED_AT)
    processes, answers = [], []
    for _ in range(3):
        ours, theirs = SPAWN.Pipe()
        answers.append(ours)
        processes.append(SPAWN.Process(target=children.search_live, args=(root, 12, theirs)))
        processes[-1].start()
    for answer in answers:
        assert answer.recv() == "ready"
    with store.clone("v000001", "v000002", SETTINGS) as writer:
        writer.upsert(make_points(2000, seed=2, first=300))
        writer.finish()
    store.move_alias("v000002", expected="v000001", moved_at=MOVED_AT)
    expected = {}
    for version in ("v000001", "v000002"):
        with store.open(version) as reader:
            queries = [[hit.id for hit in reader.search_dense(query.dense, 3)] for query in make_points(5)]
            expected[version] = (version, reader.count(), queries, 50)
    assert expected["v000001"] != expected["v000002"]
    for process, answer in zip(processes, answers, strict=True):
        seen = answer.recv()
        process.join()
        assert process.exitcode == 0
        assert seen[0] == expected["v000001"]
        assert all(entry == expected[entry[0]] for entry in seen)
    for version in ("v000001", "v000002"):
        store.check_files(version)
    assert list((root / "views").iterdir()) == []


def test_damage_is_seen_before_the_engine_sees_it(store: EdgeVersionStore, root: Path) -> None:
    build(store, "v000001", make_points(50))
    (file,) = (root / "versions" / "v000001").rglob("chunk_0.mmap")
    content, state = file.read_bytes(), file.stat()

    file.write_bytes(content[:-1])
    with pytest.raises(IntegrityError, match=r"chunk_0\.mmap has"):
        store.open("v000001")
    file.write_bytes(bytes([content[0] ^ 1]) + content[1:])
    with pytest.raises(IntegrityError, match=r"chunk_0\.mmap has other contents"):
        store.open("v000001")
    with pytest.raises(IntegrityError):
        store.clone("v000001", "v000002", SETTINGS)
    assert not (root / "versions" / "v000002").exists()
    # With its old time the file passes for unchanged, but not for the deep check.
    os.utime(file, ns=(state.st_atime_ns, state.st_mtime_ns))
    store.open("v000001").close()
    with pytest.raises(IntegrityError, match=r"chunk_0\.mmap"):
        store.check_files("v000001")
    file.unlink()
    with pytest.raises(IntegrityError, match=r"chunk_0\.mmap is missing"):
        store.open("v000001")
    # Restored from a backup: same bytes, another time.
    file.write_bytes(content)
    with store.open("v000001") as reader:
        assert reader.count() == 50


def test_a_shard_that_the_engine_cannot_load_is_an_integrity_error(store: EdgeVersionStore, root: Path) -> None:
    build(store, "v000001", make_points(50))
    record = root / "versions" / "v000001" / "complete.json"
    good = orjson.loads(record.read_bytes())

    (state,) = (root / "versions" / "v000001").rglob("segment.json")
    files = {name: stamp for name, stamp in good["files"].items() if not name.endswith("segment.json")}
    content = state.read_bytes()
    state.write_bytes(b"{}")
    record.write_bytes(orjson.dumps({**good, "files": files}))
    with pytest.raises(IntegrityError, match="vector engine failed"):
        store.open("v000001")
    state.write_bytes(content)
    record.write_bytes(orjson.dumps({**good, "points": 51}))
    with pytest.raises(IntegrityError, match=r"50 points.*51"):
        store.open("v000001")
    for damage in (b"", b"[]", b"{}", orjson.dumps({**good, "format": "other"}), orjson.dumps({**good, "settings": 1})):
        record.write_bytes(damage)
        with pytest.raises(IntegrityError, match=r"complete\.json"):
            store.open("v000001")
    assert list((root / "views").iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"[1]", b"{}", b'{"format":"ragflow-alias/1","version":"../x"}'])
def test_a_damaged_alias_is_not_taken_for_none(store: EdgeVersionStore, root: Path, content: bytes) -> None:
    build(store, "v000001", [])
    (root / "alias.json").write_bytes(content)
    with pytest.raises(IntegrityError):
        store.alias()
    with pytest.raises(IntegrityError):
        store.move_alias("v000001", expected=None, moved_at=MOVED_AT)
    assert (root / "alias.json").read_bytes() == content


def test_views_of_dead_processes_are_swept(store: EdgeVersionStore, root: Path) -> None:
    build(store, "v000001", make_points(3))
    process = SPAWN.Process(target=int)
    process.start()
    process.join()
    views = root / "views"
    owners = {"dead": process.pid, "young": process.pid, "ours": os.getpid()}
    names = {what: f"{owner}-{number:016x}" for number, (what, owner) in enumerate(owners.items())}
    for name in (*names.values(), "else"):
        (views / name).mkdir(parents=True)
    long_ago = time.time() - 3600
    for name in (names["dead"], names["ours"], "else"):
        os.utime(views / name, (long_ago, long_ago))
    with store.open("v000001"):
        there = {path.name for path in views.iterdir()}
        assert names["dead"] not in there
        assert {names["young"], names["ours"], "else"} < there
    assert {path.name for path in views.iterdir()} == {names["young"], names["ours"], "else"}


def test_views_may_lie_elsewhere(root: Path, tmp_path: Path) -> None:
    store = EdgeVersionStore(root, views=tmp_path / "views")
    build(store, "v000001", make_points(3))
    with store.open("v000001") as reader:
        assert len(list((tmp_path / "views").iterdir())) == 1
        assert reader.count() == 3
    assert list((tmp_path / "views").iterdir()) == []
    assert not (root / "views").exists()


def test_a_load_that_is_cut_off_leaves_no_version(
    store: EdgeVersionStore, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    points = make_points(30)
    build(store, "v000001", points)
    store.save_snapshot("v000001", tmp_path / "copy")

    def stop(folder: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("ragflow.vectors.edge.sync_tree", stop)
        with pytest.raises(KeyboardInterrupt):
            store.load_snapshot("v000002", tmp_path / "copy")
    assert store.versions() == ["v000001"]
    assert [path.name for path in (root / "versions").iterdir()] == ["v000001"]
    assert list((root / "views").iterdir()) == []

    ours, theirs = SPAWN.Pipe()
    child = SPAWN.Process(target=children.load_and_hang, args=(root, tmp_path / "copy", theirs))
    child.start()
    ours.recv()
    child.kill()
    child.join()
    assert (root / "versions" / "v000002" / "shard").is_dir() and store.versions() == ["v000001"]
    store.load_snapshot("v000002", tmp_path / "copy")
    with store.open("v000002") as reader:
        assert hashes(everything(reader)) == hashes(points)


def test_a_snapshot_with_another_number_of_points_makes_no_version(
    store: EdgeVersionStore, root: Path, tmp_path: Path
) -> None:
    build(store, "v000001", make_points(30))
    store.save_snapshot("v000001", tmp_path / "copy")
    record = tmp_path / "copy" / "complete.json"
    record.write_bytes(orjson.dumps({**orjson.loads(record.read_bytes()), "points": 31}))
    with pytest.raises(IntegrityError, match=r"30 points.*31"):
        store.load_snapshot("v000002", tmp_path / "copy")
    assert [path.name for path in (root / "versions").iterdir()] == ["v000001"]


def test_a_damaged_version_is_not_saved(store: EdgeVersionStore, root: Path, tmp_path: Path) -> None:
    build(store, "v000001", make_points(30))
    (file,) = (root / "versions" / "v000001").rglob("chunk_0.mmap")
    state = file.stat()
    file.write_bytes(bytes([file.read_bytes()[0] ^ 1]) + file.read_bytes()[1:])
    os.utime(file, ns=(state.st_atime_ns, state.st_mtime_ns))
    with pytest.raises(IntegrityError, match=r"chunk_0\.mmap"):
        store.save_snapshot("v000001", tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


@pytest.mark.parametrize("asked", [{"shards": 2}, {"replicas": 3}])
def test_what_only_a_server_can_do_is_refused(store: EdgeVersionStore, root: Path, asked: dict[str, int]) -> None:
    with pytest.raises(UsageError, match="embedded") as caught:
        store.create("v000001", CollectionSettings(DIMENSION, **asked))
    assert "Qdrant server" in caught.value.remedy
    assert not (root / "versions").exists()


@pytest.mark.parametrize("quantization", ["int8", "binary"])
def test_quantized_vectors_find_and_whole_ones_score(store: EdgeVersionStore, quantization: str) -> None:
    dimension = 256
    settings = CollectionSettings(dimension, index_from_points=500, quantization=quantization)  # type: ignore[arg-type]
    points = make_points(1500, dimension=dimension)
    build(store, "v000001", points, settings)
    with store.clone("v000001", "v000002", settings) as writer:
        writer.finish()
    assert store.settings("v000002") == settings
    exact = {point.id: point.dense.astype(np.float64) for point in points}
    with store.open("v000002") as reader:
        assert hashes(everything(reader)) == hashes(points)
        for point, noise in zip(points[::50], unit_vectors(30, seed=7, dimension=dimension), strict=True):
            query = point.dense + np.float32(0.5) * noise
            hits = reader.search_dense(query, 10)
            assert hits[0].id == point.id
            scores = [float(exact[hit.id] @ query / np.linalg.norm(query)) for hit in hits]
            assert [hit.score for hit in hits] == pytest.approx(scores, abs=1e-5)


def test_words_can_be_indexed(store: EdgeVersionStore) -> None:
    settings = CollectionSettings(DIMENSION, text_index=True)
    points = make_points(20)
    build(store, "v000001", points, settings)
    with store.open("v000001") as reader:
        hits = reader.search_dense(points[0].dense, 20, {"text": points[7].payload["text"]})
        assert [hit.id for hit in hits] == [points[7].id]
        assert hashes(everything(reader)) == hashes(points)
