"""Adoption, on exports, local mode and shards that the tests fill themselves."""

from __future__ import annotations

import json
import math
import random
import shutil
import uuid
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ragflow.errors import BadInputError, UsageError
from ragflow.pipeline.adopting import AdoptOptions, adopt, verify_adopted
from ragflow.pipeline.adopting_spool import adopted_id
from ragflow.pipeline.progress import listening
from ragflow.pipeline.workspace import EmbeddingOptions, Workspace
from ragflow.store.home import Home
from ragflow.vectors.edge import EdgeVersionStore
from ragflow_tests.pipeline.exports import (
    TEXTS,
    contents,
    export,
    failing,
    library,
    local_mode,
    mapping_of,
    near,
    point,
    points_of,
    shard,
    two_libraries,
    unit,
)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(home=Home(tmp_path / "home"), embedding=EmbeddingOptions(precision="float32"))


def test_two_exports_become_one_collection(workspace: Workspace, tmp_path: Path) -> None:
    sources = two_libraries(tmp_path)
    report = adopt(workspace, sources)
    assert (report.decision, report.name, report.points) == ("adopted", "a", 9)
    assert report.folder == workspace.home.root / "adopted" / "a"
    outcome = report.record["outcome"]
    figures = {name: outcome[name] for name in ("points_in", "kept", "linked", "merged_into", "searchable")}
    assert figures == {"points_in": 10, "kept": 7, "linked": 2, "merged_into": 1, "searchable": 9}
    kinds = {kind: report.record["duplicates"][kind] for kind in ("exact", "same_text", "near")}
    assert [(kind["points"], kind["within"], kind["across"]) for kind in kinds.values()] == [(1, 0, 1)] * 3
    assert kinds["near"]["compared"] == [{"vector": "", "points": 8, "method": "exact"}]

    mapping, points = mapping_of(report.folder), points_of(report.folder)
    assert len(mapping) == 10 and len(points) == 9
    origin = {name: str(tmp_path / name) for name in ("a.jsonl", "b.jsonl")}
    for number in range(5):
        assert mapping["a.jsonl", str(number)]["new_id"] == str(adopted_id(origin["a.jsonl"], number))
    merged = mapping["b.jsonl", "same"]
    assert (merged["outcome"], merged["because"]) == ("merged_into", "exact")
    assert merged["new_id"] == merged["of"] == mapping["a.jsonl", "0"]["new_id"]
    for old, number, because in (("text", "1", "same_text"), ("near", "2", "near")):
        row = mapping["b.jsonl", old]
        assert (row["outcome"], row["because"], row["of"]) == ("linked", because, mapping["a.jsonl", number]["new_id"])
        assert row["cosine"] > 0.99 and points[row["new_id"]]["linked_to"] == row["of"]
    assert mapping["b.jsonl", "near"]["jaccard"] > 0.8
    assert mapping["b.jsonl", "other"]["outcome"] == "kept"  # its vector is near, its text is not
    kept = points[mapping["b.jsonl", "text"]["new_id"]]
    assert orjson.loads(kept["payload"]) == {"text": "  " + TEXTS[1].replace(" ", "\n"), "page": 7}
    assert (kept["adopted_from"], kept["adopted_id"], kept["adopted_id_kind"]) == (origin["b.jsonl"], "text", "text")
    assert kept["original_vector"] is None


def test_it_can_be_searched_and_never_goes_live(workspace: Workspace, tmp_path: Path) -> None:
    report = adopt(workspace, [library(tmp_path / "a.jsonl")])
    store = EdgeVersionStore(report.folder / "vectors")
    with store.open("v000001") as reader:
        hit = reader.search_dense(np.array(unit(3), np.float32), 1, {"adopted_id": 3})[0]
    assert hit.score == pytest.approx(1.0)
    assert hit.payload == {"text": TEXTS[3], "adopted_from": str(tmp_path / "a.jsonl"), "adopted_id": 3}
    assert store.alias() is None and workspace.versions().alias() is None and not workspace.home.vectors.exists()
    assert "never goes live" in report.to_text() and "never goes live" in report.record["note"]


def test_an_inventory(workspace: Workspace, tmp_path: Path) -> None:
    rows = [
        point(1, unit(1), "x", n=1, tags=["a"]),
        point(2, [2 * value for value in unit(2)], "y", n=1.5, tags=None),
        point(3, [0.0] * 8, n="three", inner={"a": True}),
        point(4, None, "z", n=True),
        {"id": str(uuid.UUID(int=4)), "vector": [math.nan, *unit(5)[1:]], "payload": {"text": " \n"}, "score": 0.5},
    ]
    report = adopt(workspace, [export(tmp_path / "a.jsonl", rows)])
    found = report.record["collections"][0]
    assert found["points"] == 5 and found["ids"] == {"int": 4, "uuid": 1}
    assert found["payload_fields"] == {
        "inner": {"points": 1, "types": {"object": 1}},
        "n": {"points": 4, "types": {"boolean": 1, "integer": 1, "number": 1, "string": 1}},
        "tags": {"points": 2, "types": {"array": 1, "null": 1}},
        "text": {"points": 4, "types": {"string": 4}},
    }
    names = ("without_text", "without_vector", "zero_vectors", "not_finite_vectors", "not_unit_length")
    assert [found[name] for name in names] == [2, 1, 1, 1, 1]
    assert found["ignored_fields"] == {"score": 1} and len(found["page_sha256"]) == 1 and found["text_field"] == "text"
    assert [entry["searchable"] for entry in mapping_of(report.folder).values()] == [True, True, False, False, False]
    assert report.record["outcome"]["normalised"] == 1 and report.record["outcome"]["searchable"] == 2
    mapping, points = mapping_of(report.folder), points_of(report.folder)
    doubled = points[mapping["a.jsonl", "2"]["new_id"]]
    assert np.allclose(doubled["vector"], unit(2), atol=1e-6)
    assert np.array_equal(np.float32(doubled["original_vector"]), np.float32(2) * np.float32(unit(2)))
    zero = points[mapping["a.jsonl", "3"]["new_id"]]
    assert zero["vector"] is None and zero["original_vector"] == [0.0] * 8
    assert any("no usable vector" in warning for warning in report.record["warnings"])
    assert not failing(verify_adopted(report.folder))


def test_again_nothing_changes(workspace: Workspace, tmp_path: Path) -> None:
    sources = two_libraries(tmp_path)
    first = adopt(workspace, sources)
    before, times = contents(first.folder), {p: p.stat().st_mtime_ns for p in first.folder.rglob("*")}
    lines = Path(sources[0]).read_text().splitlines(keepends=True)
    random.Random(1).shuffle(lines)
    Path(sources[0]).write_text("".join(lines))
    again = adopt(workspace, sources)
    assert again.decision == "unchanged" and again.record == first.record
    assert times == {p: p.stat().st_mtime_ns for p in first.folder.rglob("*")}
    shutil.rmtree(first.folder)
    assert adopt(workspace, sources).decision == "adopted"
    assert contents(first.folder) == before
    assert sorted(p.name for p in first.folder.parent.iterdir()) == ["a"]


def test_what_was_damaged_is_made_anew(workspace: Workspace, tmp_path: Path) -> None:
    source = library(tmp_path / "a.jsonl")
    first = adopt(workspace, [source])
    before = contents(first.folder)
    (first.folder / "mapping.parquet").write_bytes(b"no mapping")
    assert failing(verify_adopted(first.folder)) == ["files"]
    assert adopt(workspace, [source]).decision == "replaced"
    assert contents(first.folder) == before and not failing(verify_adopted(first.folder))


def test_a_changed_source_takes_the_place_of_the_old(workspace: Workspace, tmp_path: Path) -> None:
    source = library(tmp_path / "a.jsonl")
    first = adopt(workspace, [source])
    ids = {row["old_id"]: row["new_id"] for row in points_ids(first.folder)}
    export(tmp_path / "a.jsonl", [point(0, unit(0), TEXTS[0]), point(9, unit(9), "new")])
    second = adopt(workspace, [source])
    assert second.decision == "replaced" and second.points == 2
    assert {row["old_id"]: row["new_id"] for row in points_ids(second.folder)}["0"] == ids["0"]
    assert second.record["fingerprint"] != first.record["fingerprint"]


def points_ids(folder: Path) -> list[dict[str, Any]]:
    return [{"old_id": row["adopted_id"], "new_id": row["new_id"]} for row in points_of(folder).values()]


def test_a_name_is_not_taken_from_others(workspace: Workspace, tmp_path: Path) -> None:
    a, b = library(tmp_path / "a.jsonl"), library(tmp_path / "b.jsonl", 100)
    before = contents(adopt(workspace, [a], AdoptOptions(name="ours")).folder)
    with pytest.raises(UsageError, match=r"holds the adoption of .*a\.jsonl") as raised:
        adopt(workspace, [b], AdoptOptions(name="ours"))
    assert "--replace" in raised.value.remedy
    folder = workspace.home.root / "adopted" / "ours"
    assert contents(folder) == before
    assert adopt(workspace, [b], AdoptOptions(name="ours", replace=True)).decision == "replaced"
    (folder / "report.json").unlink()
    with pytest.raises(UsageError, match="holds no adoption"):
        adopt(workspace, [b], AdoptOptions(name="ours"))
    for name in ("../up", ".hidden", "a b"):
        with pytest.raises(UsageError, match="cannot be the name"):
            adopt(workspace, [a], AdoptOptions(name=name))


def test_dropping_near_duplicates(workspace: Workspace, tmp_path: Path) -> None:
    rows = [
        point(1, None, TEXTS[0]),
        point(2, unit(1), TEXTS[0]),
        point(3, near(unit(1)), TEXTS[0] + " Yes."),
        point(4, near(unit(1)), TEXTS[0] + " Yes."),
    ]
    report = adopt(workspace, [export(tmp_path / "a.jsonl", rows)], AdoptOptions(drop_near=True))
    mapping = mapping_of(report.folder)
    kept = mapping["a.jsonl", "2"]  # not the first, which no search would find
    assert kept["outcome"] == "kept" and report.points == 1
    reasons = {old: mapping["a.jsonl", old]["because"] for old in "134"}
    assert reasons == {"1": "same_text", "3": "near", "4": "exact"}
    assert all(row["new_id"] == kept["new_id"] and row["searchable"] for row in mapping.values())
    assert not failing(verify_adopted(report.folder))


def test_an_index_for_large_sets(workspace: Workspace, tmp_path: Path) -> None:
    sources = two_libraries(tmp_path)
    exact = adopt(workspace, sources)
    options = AdoptOptions(name="indexed")
    found = adopt(workspace, sources, AdoptOptions(name="indexed", near=type(options.near)(exact_limit=3)))
    assert found.record["duplicates"]["near"]["compared"][0]["method"] == "index"
    assert "an index" in found.to_text() and "every pair" in exact.to_text()
    assert mapping_of(found.folder) == mapping_of(exact.folder)


def test_a_dry_run_writes_nothing(workspace: Workspace, tmp_path: Path) -> None:
    sources = two_libraries(tmp_path)
    report = adopt(workspace, sources, AdoptOptions(dry_run=True))
    assert not workspace.home.root.exists()
    assert report.decision == "dry_run" and report.record["would_decision"] == "adopted" and report.points == 9
    done = adopt(workspace, sources)
    assert {f"would_{name}": value for name, value in done.record["outcome"].items()} == report.record["outcome"]
    assert done.record["duplicates"] == report.record["duplicates"] and "files" not in report.record
    again = adopt(workspace, sources, AdoptOptions(dry_run=True))
    assert again.record["would_decision"] == "unchanged" and "nothing was written" in again.to_text()


def test_every_kind_of_source_together(workspace: Workspace, tmp_path: Path) -> None:
    rows = [point(number, unit(number), text) for number, text in enumerate(TEXTS)]
    # What an engine that normalises leaves as it is.
    table = pa.table(
        {"id": [row["id"] for row in rows], "vector": [row["vector"] for row in rows], "text": list(TEXTS)}
    )
    pq.write_table(table, tmp_path / "p.parquet")
    sources = [
        local_mode(tmp_path / "local", rows),
        shard(tmp_path / "shard", rows),
        str(tmp_path / "p.parquet"),
        export(tmp_path / "j.jsonl", rows),
    ]
    report = adopt(workspace, sources)
    assert report.name == "books"
    kinds = [entry["kind"] for entry in report.record["collections"]]
    assert kinds == ["qdrant-local", "qdrant-edge", "parquet", "jsonl"]
    assert len({entry["merkle_root"] for entry in report.record["collections"]}) == 1
    assert report.record["outcome"]["points_in"] == 20 and report.points == 5
    assert report.record["duplicates"]["exact"]["across"] == 15
    assert not failing(verify_adopted(report.folder))


def test_an_adopted_collection_can_be_adopted(workspace: Workspace, tmp_path: Path) -> None:
    first = adopt(workspace, [library(tmp_path / "a.jsonl")])
    version = first.folder / "vectors" / "versions" / "v000001"
    second = adopt(workspace, [str(version)], AdoptOptions(name="again"))
    assert second.points == 5 and not failing(verify_adopted(second.folder))
    with EdgeVersionStore(second.folder / "vectors").open("v000001") as reader:
        payload = reader.search_dense(np.array(unit(2), np.float32), 1)[0].payload
    assert payload["adopted_before"] == {"adopted_from": str(tmp_path / "a.jsonl"), "adopted_id": 2}
    assert payload["adopted_from"] == str(version / "shard")
    assert payload["adopted_id"] == str(adopted_id(str(tmp_path / "a.jsonl"), 2))


def test_vectors_with_names(workspace: Workspace, tmp_path: Path) -> None:
    words = {"indices": [3, 1], "values": [0.5, 1.0]}
    rows = [
        {"id": 1, "vector": {"title": unit(1, 4), "body": unit(1), "words": words}, "payload": {}},
        {"id": 2, "vector": {"body": unit(2), "rows": [[1.0, 2.0]]}, "payload": {}},
    ]
    source = export(tmp_path / "a.jsonl", rows)
    with pytest.raises(UsageError, match="several dense vectors: body, title"):
        adopt(workspace, [source])
    with pytest.raises(UsageError, match="no dense vector 'other'"):
        adopt(workspace, [source], AdoptOptions(vector="other"))
    report = adopt(workspace, [source], AdoptOptions(vector="body"))
    points = {row["adopted_id"]: row for row in points_of(report.folder).values()}
    assert points["1"]["sparse_indices"] == [1, 3] and points["2"]["sparse_indices"] is None
    assert np.array_equal(orjson.loads(points["1"]["other_vectors"])["title"], unit(1, 4))
    assert orjson.loads(points["2"]["other_vectors"]) == {"rows": [[1.0, 2.0]]}
    assert report.record["collection_version"]["dimension"] == 8 and report.record["outcome"]["searchable"] == 2
    assert not failing(verify_adopted(report.folder))


def test_what_does_not_go_together(workspace: Workspace, tmp_path: Path) -> None:
    a = library(tmp_path / "a.jsonl")
    short = export(tmp_path / "short.jsonl", [point(1, unit(1, 4))])
    with pytest.raises(BadInputError, match=r"a\.jsonl has vectors of 8 .*short\.jsonl of 4") as raised:
        adopt(workspace, [a, short])
    assert "apart" in raised.value.remedy and "--re-embed" in raised.value.remedy
    dot = local_mode(tmp_path / "dot", [point(1, unit(1), "x")], "Dot")
    with pytest.raises(BadInputError, match=r"a\.jsonl compares vectors by Cosine, and .* by Dot"):
        adopt(workspace, [a, dot])
    with pytest.raises(UsageError, match="named twice"):
        adopt(workspace, [a, str(tmp_path / "." / "a.jsonl")])
    assert not list((workspace.home.root / "adopted").iterdir())
    assert adopt(workspace, [a, dot], AdoptOptions(as_cosine=True)).points == 6
    assert adopt(workspace, [dot]).points == 1  # of unit length: the same order


@pytest.mark.parametrize(("distance", "scale"), [("Dot", 2.0), ("Euclid", 2.0), ("Manhattan", 1.0)])
def test_a_distance_that_cosine_does_not_stand_for(
    workspace: Workspace, tmp_path: Path, distance: str, scale: float
) -> None:
    source = local_mode(tmp_path / "local", [point(1, [scale * value for value in unit(1)], "x")], distance)
    with pytest.raises(BadInputError, match=f"compares vectors by {distance}"):
        adopt(workspace, [source])
    assert adopt(workspace, [source], AdoptOptions(as_cosine=True)).points == 1


def test_texts_in_other_fields(workspace: Workspace, tmp_path: Path) -> None:
    rows = [point(number, unit(number), title="t", meta={"body": text}) for number, text in enumerate(TEXTS)]
    source = export(tmp_path / "a.jsonl", [*rows, point(9, unit(9), meta={"body": TEXTS[0]})])
    found = adopt(workspace, [source])
    assert found.record["collections"][0]["text_field"] is None
    assert found.record["duplicates"]["same_text"]["points"] == 0
    named = adopt(workspace, [source], AdoptOptions(text_field="meta.body"))
    assert named.record["collections"][0]["text_field"] == "meta.body"
    assert named.record["duplicates"]["same_text"]["points"] == 1
    with pytest.raises(UsageError, match="No point has a text in 'body'") as raised:
        adopt(workspace, [source], AdoptOptions(text_field="body"))
    assert "meta, title" in raised.value.remedy


def test_two_models_are_noticed(workspace: Workspace, tmp_path: Path) -> None:
    a = library(tmp_path / "a.jsonl")
    b = export(tmp_path / "b.jsonl", [point(number, unit(900 + number), text) for number, text in enumerate(TEXTS)])
    report = adopt(workspace, [a, b])
    assert any("different models seem to have made them" in warning for warning in report.record["warnings"])
    assert report.record["duplicates"]["same_text"]["across"] == 5


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([point(1, unit(1)), point(2, unit(2, 5))], "line 2: the vector '' has 5 numbers, those before it 8"),
        ([point(1, unit(1)), point(1, unit(2))], "has the id 1 twice, as points 1 and 2"),
        ([point(1, unit(1), n=2**70)], "line 1: the payload cannot be kept as JSON"),
        ([point(1, unit(1), n=json.loads("[" * 40 + "]" * 40))], "line 1: the payload is nested more than 32 deep"),
        ([point(1, None, "x")], "has no dense vectors"),
        ([point(1, [0.0] * 8, "x")], "No point has a vector that can be searched"),
    ],
)
def test_bad_input(workspace: Workspace, tmp_path: Path, rows: list[Any], said: str) -> None:
    with pytest.raises(BadInputError, match=said) as raised:
        adopt(workspace, [export(tmp_path / "a.jsonl", rows)])
    assert raised.value.exit_code == 3
    assert not list((workspace.home.root / "adopted").iterdir())


def test_no_points(workspace: Workspace, tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="has no dense vectors"):
        adopt(workspace, [export(tmp_path / "a.jsonl", [])])
    with pytest.raises(UsageError, match="No collection was named"):
        adopt(workspace, [])


def test_new_vectors_from_texts(workspace: Workspace, tmp_path: Path) -> None:
    long = " ".join(f"{text} ({number})" for number in range(30) for text in TEXTS)
    a = export(tmp_path / "a.jsonl", [point(1, unit(1), TEXTS[0]), point(2, None, long), point(3, unit(3))])
    b = export(tmp_path / "b.jsonl", [point(1, unit(1, 4), TEXTS[2]), point(2, unit(1, 4), TEXTS[0], more=1)])
    report = adopt(workspace, [a, b], AdoptOptions(re_embed=True))
    outcome = report.record["outcome"]
    assert (outcome["searchable"], outcome["re_embedded"], outcome["embedded_in_pieces"]) == (4, 4, 1)
    assert report.record["collection_version"]["dimension"] == workspace.dense().dimension
    assert report.record["settings"]["models"] == workspace.embedding_fingerprint()
    query = workspace.dense().encode(["a mill that grinds barley"], role="query")[0]
    with EdgeVersionStore(report.folder / "vectors").open("v000001") as reader:
        assert reader.search_dense(query, 1)[0].payload["text"] == TEXTS[2]
        words = reader.search_sparse(workspace.sparse().query("quarry", [None]), 5)
    assert {hit.payload["text"] for hit in words} == {TEXTS[0], long}
    rows = {(Path(row["adopted_from"]).name, row["adopted_id"]): row for row in points_of(report.folder).values()}
    assert len(rows["b.jsonl", "1"]["original_vector"]) == 4
    assert rows["a.jsonl", "3"]["vector"] is None and len(rows["a.jsonl", "3"]["original_vector"]) == 8
    assert mapping_of(report.folder)["b.jsonl", "2"]["because"] == "same_text"
    assert not failing(verify_adopted(report.folder))
    assert adopt(workspace, [a, b], AdoptOptions(re_embed=True)).decision == "unchanged"


def test_progress_is_told(workspace: Workspace, tmp_path: Path) -> None:
    told: dict[str, tuple[int, int]] = {}
    with listening(lambda work, done, total: told.update({work: (done, total)})):
        adopt(workspace, [library(tmp_path / "a.jsonl")])
    assert told.pop(f"reading {tmp_path / 'a.jsonl'}") == (5, 5)
    assert set(told) == {"looking for near duplicates", "writing points", "writing the mapping"}
    assert set(told.values()) == {(5, 5)}
