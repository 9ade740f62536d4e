"""What every engine must do: tests that know the Protocols only. An engine's test class gives the store."""

from __future__ import annotations

import shutil
from pathlib import Path

import orjson
import pytest

from ragflow.errors import CheckFailedError, IntegrityError, NotFoundError, UsageError
from ragflow.vectors.protocols import CollectionSettings, VersionStore
from ragflow_tests.vectors.builders import (
    DIMENSION,
    MOVED_AT,
    hashes,
    make_points,
    snapshot,
    unit_vectors,
)
from ragflow_tests.vectors.contract_points import SETTINGS, PointsContract, build, everything


class VersionStoreContract(PointsContract):
    """Subclasses define the fixture ``store``: an empty store."""

    def test_a_clone_holds_the_same_and_answers_the_same(self, store: VersionStore) -> None:
        points = make_points(300)
        build(store, "v000001", points)
        with store.clone("v000001", "v000002", SETTINGS) as writer:
            assert hashes(everything(writer)) == hashes(points)
            writer.finish()
        with store.open("v000001") as base, store.open("v000002") as clone:
            assert hashes(everything(clone)) == hashes(points)
            for point in points[:20]:
                assert clone.search_dense(point.dense, 10) == base.search_dense(point.dense, 10)
                assert clone.search_sparse(point.sparse, 10) == base.search_sparse(point.sparse, 10)
                where = {"language": "fr"}
                assert clone.search_dense(point.dense, 10, where) == base.search_dense(point.dense, 10, where)

    def test_a_clone_with_a_delta_is_as_if_built_from_nothing(self, store: VersionStore) -> None:
        points, changed, added = make_points(200), make_points(20, seed=50), make_points(30, seed=60, first=200)
        build(store, "v000001", points)
        with store.clone("v000001", "v000002", SETTINGS) as writer:
            writer.upsert([*changed, *added])
            writer.delete([point.id for point in points[20:45]])
            writer.finish()
        desired = [*changed, *points[45:], *added]
        build(store, "v000003", desired)
        with store.open("v000001") as base, store.open("v000002") as delta, store.open("v000003") as fresh:
            assert hashes(everything(base)) == hashes(points)
            assert hashes(everything(delta)) == hashes(everything(fresh)) == hashes(desired)
            for point in desired[::10]:
                assert delta.search_dense(point.dense, 10) == fresh.search_dense(point.dense, 10)
                assert delta.search_sparse(point.sparse, 10) == fresh.search_sparse(point.sparse, 10)

    def test_a_clone_needs_the_settings_of_its_base(self, store: VersionStore) -> None:
        build(store, "v000001", make_points(3))
        with pytest.raises(UsageError):
            store.clone("v000001", "v000002", CollectionSettings(dimension=DIMENSION, hnsw_m=8))
        with pytest.raises(NotFoundError):
            store.clone("v000007", "v000002", SETTINGS)
        assert store.versions() == ["v000001"]

    def test_a_version_is_complete_when_finished_and_not_before(self, store: VersionStore) -> None:
        points = make_points(4)
        with store.create("v000002", SETTINGS) as writer:
            writer.upsert(points)
            assert store.versions() == []
            with pytest.raises(NotFoundError):
                store.open("v000002")
            with pytest.raises(CheckFailedError):
                store.create("v000002", SETTINGS)
        assert store.versions() == []
        build(store, "v000002", points[:1])
        build(store, "v000001", points)
        assert store.versions() == ["v000001", "v000002"]
        with store.open("v000002") as reader:
            assert hashes(everything(reader)) == hashes(points[:1])
        with pytest.raises(UsageError):
            store.create("v000002", SETTINGS)
        with pytest.raises(NotFoundError, match=r"v000009.*v000001.*v000002"):
            store.open("v000009")

    def test_an_error_while_building_leaves_no_version(self, store: VersionStore) -> None:
        with pytest.raises(RuntimeError), store.create("v000001", SETTINGS) as writer:
            writer.upsert(make_points(4))
            raise RuntimeError
        assert store.versions() == []
        build(store, "v000001", [])
        assert store.versions() == ["v000001"]

    def test_what_is_closed_says_so(self, store: VersionStore) -> None:
        writer = store.create("v000001", SETTINGS)
        writer.finish()
        reader = store.open("v000001")
        reader.close()
        for closed in (writer, reader):
            closed.close()
            with pytest.raises(UsageError):
                closed.count()
            with pytest.raises(UsageError):
                closed.scroll()
        with pytest.raises(UsageError):
            writer.upsert(make_points(1))
        with pytest.raises(UsageError):
            reader.search_dense(unit_vectors(1)[0], 1)

    def test_refuses_other_names(self, store: VersionStore) -> None:
        digit = "\N{ARABIC-INDIC DIGIT ONE}"
        for name in ("", "v1", "v0000001", "V000001", "../v000001", "v000001/..", f"v00000{digit}", "v000001\n"):
            with pytest.raises(UsageError):
                store.create(name, SETTINGS)
            with pytest.raises(UsageError):
                store.open(name)

    def test_settings_size_and_figures(self, store: VersionStore) -> None:
        settings = CollectionSettings(dimension=DIMENSION, hnsw_m=24)
        with store.create("v000001", settings) as writer:
            writer.upsert(make_points(10))
            assert writer.finish().points == 10
        assert store.settings("v000001") == settings
        assert store.size_bytes("v000001") >= 10 * DIMENSION * 4
        with store.open("v000001") as reader:
            info = reader.info()
            assert info.points == 10 and info.segments >= 1 and info.optimized
        for question in (store.settings, store.size_bytes):
            with pytest.raises(NotFoundError):
                question("v000002")

    def test_the_alias_moves_only_from_where_it_is_expected(self, store: VersionStore) -> None:
        build(store, "v000001", [])
        build(store, "v000002", [])
        assert store.alias() is None
        with pytest.raises(CheckFailedError):
            store.move_alias("v000001", expected="v000002", moved_at=MOVED_AT)
        with pytest.raises(NotFoundError):
            store.move_alias("v000003", expected=None, moved_at=MOVED_AT)
        assert store.alias() is None
        record = store.move_alias("v000001", expected=None, moved_at=MOVED_AT)
        assert store.alias() == record
        assert (record.alias, record.version, record.previous, record.moved_at) == ("live", "v000001", None, MOVED_AT)
        with pytest.raises(CheckFailedError):
            store.move_alias("v000002", expected=None, moved_at=MOVED_AT)
        assert store.move_alias("v000001", expected="v000001", moved_at="later") == record
        moved = store.move_alias("v000002", expected="v000001", moved_at=MOVED_AT)
        assert (moved.version, moved.previous) == ("v000002", "v000001")

    def test_discards_what_is_not_live(self, store: VersionStore) -> None:
        for version in ("v000001", "v000002"):
            build(store, version, make_points(3))
        store.move_alias("v000002", expected=None, moved_at=MOVED_AT)
        store.discard("v000001")
        with pytest.raises(NotFoundError):
            store.discard("v000001")
        with pytest.raises(CheckFailedError):
            store.discard("v000002")
        with store.create("v000003", SETTINGS), pytest.raises(CheckFailedError):
            store.discard("v000003")
        assert store.versions() == ["v000002"]
        with store.open("v000002") as reader:
            assert reader.count() == 3

    def test_a_reader_outlives_its_version(self, store: VersionStore) -> None:
        points = make_points(3)
        build(store, "v000001", points)
        with store.open("v000001") as reader:
            store.discard("v000001")
            assert hashes(everything(reader)) == hashes(points)

    def test_the_alias_is_dropped_only_from_where_it_is_expected(self, store: VersionStore) -> None:
        for version in ("v000001", "v000002"):
            build(store, version, [])
        with pytest.raises(CheckFailedError):
            store.drop_alias(expected="v000001")
        store.move_alias("v000001", expected=None, moved_at=MOVED_AT)
        with pytest.raises(CheckFailedError):
            store.drop_alias(expected="v000002")
        record = store.alias()
        assert record is not None and record.version == "v000001"
        store.drop_alias(expected="v000001")
        assert store.alias() is None
        with pytest.raises(CheckFailedError):
            store.drop_alias(expected="v000001")
        with pytest.raises(CheckFailedError):
            store.move_alias("v000002", expected="v000001", moved_at=MOVED_AT)
        again = store.move_alias("v000002", expected=None, moved_at=MOVED_AT)
        assert (again.version, again.previous) == ("v000002", None)
        store.discard("v000001")

    def test_a_snapshot_makes_the_same_version_again(self, store: VersionStore, tmp_path: Path) -> None:
        settings = CollectionSettings(dimension=DIMENSION, hnsw_m=24)
        points = make_points(120)
        build(store, "v000001", points, settings)
        query = points[7]
        with store.open("v000001") as reader:
            found = reader.search_dense(query.dense, 10), reader.search_sparse(query.sparse, 10, {"language": "fr"})
        names = store.save_snapshot("v000001", tmp_path / "new" / "folder")
        written = {name for name in snapshot(tmp_path / "new" / "folder")}
        assert set(names) == written and len(names) == len(written) >= 2
        with pytest.raises(UsageError):
            store.save_snapshot("v000001", tmp_path / "new" / "folder")
        with pytest.raises(UsageError):
            store.load_snapshot("v000001", tmp_path / "new" / "folder")
        with pytest.raises(NotFoundError):
            store.save_snapshot("v000002", tmp_path / "other")
        store.discard("v000001")
        for version in ("v000001", "v000009"):
            store.load_snapshot(version, tmp_path / "new" / "folder")
            store.check_files(version)
            assert store.settings(version) == settings
            with store.open(version) as reader:
                assert hashes(everything(reader)) == hashes(points)
                dense, sparse_hits = reader.search_dense(query.dense, 10), reader.search_sparse(query.sparse, 10)
                assert dense == found[0]
                assert reader.search_sparse(query.sparse, 10, {"language": "fr"}) == found[1]
                assert sparse_hits[0].id == query.id
        with store.clone("v000009", "v000010", settings) as writer:
            writer.delete([query.id])
            writer.finish()
        assert store.versions() == ["v000001", "v000009", "v000010"]

    def test_a_damaged_snapshot_makes_no_version(self, store: VersionStore, tmp_path: Path) -> None:
        build(store, "v000001", make_points(40))
        names = store.save_snapshot("v000001", tmp_path / "good")
        bulk = max(names, key=lambda name: (tmp_path / "good" / name).stat().st_size)
        for damage in ("changed", "shorter", "missing", "no record", "other engine", "empty"):
            folder = tmp_path / damage
            if damage == "empty":
                folder.mkdir()
            else:
                shutil.copytree(tmp_path / "good", folder)
                content = (folder / bulk).read_bytes()
                if damage == "changed":
                    middle = len(content) // 2
                    (folder / bulk).write_bytes(content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :])
                elif damage == "shorter":
                    (folder / bulk).write_bytes(content[:-1])
                elif damage == "missing":
                    (folder / bulk).unlink()
                elif damage == "no record":
                    (folder / "complete.json").unlink()
                else:
                    record = orjson.loads((folder / "complete.json").read_bytes())
                    (folder / "complete.json").write_bytes(orjson.dumps({**record, "engine": "another"}))
            with pytest.raises(IntegrityError):
                store.load_snapshot("v000002", folder)
            assert store.versions() == ["v000001"], damage
        store.load_snapshot("v000002", tmp_path / "good")

    def test_says_what_it_is(self, store: VersionStore) -> None:
        assert store.engine and store.engine_version
        build(store, "v000001", make_points(2))
        store.check_files("v000001")
        with pytest.raises(NotFoundError):
            store.check_files("v000002")
