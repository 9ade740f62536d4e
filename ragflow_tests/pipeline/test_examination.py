"""Examining and verifying what is served: every kind of damage is found, and named by document and page."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pytest

from ragflow.errors import IntegrityError, NotFoundError, UsageError
from ragflow.model.batches import BatchManifest, fold
from ragflow.model.fingerprints import sha256_text
from ragflow.model.points import SparseVector, vector_sha256
from ragflow.model.verdicts import Outcome, Verdict
from ragflow.model.words import words_hashes
from ragflow.pipeline.deep import bytes_to_words
from ragflow.pipeline.examination import GATE_ONLY, VERDICT_NAMES, Examination, examine, merge
from ragflow.pipeline.overview import status
from ragflow.pipeline.searching import Searcher
from ragflow.pipeline.tracing import trace
from ragflow.pipeline.verification import verify
from ragflow.pipeline.workspace import Workspace
from ragflow.quality.embeddings import dense_matrix, sparse_vectors
from ragflow_tests.pipeline.archive import (
    LATER,
    MINUTES,
    ORCHARD,
    QUARRY,
    REPORT,
    SCHOOL,
    TWIN,
    Archive,
    edited,
    failed,
    flip,
    put,
    run_batch,
    scan_inbox,
    sha_of,
    tamper,
)
from ragflow_tests.pipeline.forging import forge_point

Change = Callable[[pa.Table], pa.Table]


def look(workspace: Workspace) -> dict[str, set[tuple[Any, Any]]]:
    """Return what fails: name of the check → (document, page) of each break."""
    report = verify(workspace)
    assert report.version == "v000002"
    assert report.passed == (not failed(report.verdicts))
    assert all(verdict.remedy for verdict in report.verdicts if not verdict.passed)
    return failed(report.verdicts)


def point_of(workspace: Workspace, document: str, page: int) -> str:
    with Searcher(workspace) as searcher:
        (hit,) = searcher.search("anything", where={"document_key": document, "page_number": page})
    return hit.point_id


def test_an_untouched_version_passes_every_check_in_order(archive: Archive) -> None:
    for version in ("v000001", "v000002"):
        found = examine(archive.workspace, version)
        assert tuple(verdict.name for verdict in found.verdicts) == VERDICT_NAMES
        assert (found.passed, failed(found.verdicts)) == (True, {})
    report = verify(archive.workspace, deep=True)
    names = [verdict.name for verdict in report.verdicts]
    assert (report.passed, report.points, names[-2:]) == (True, 10, ["version_sealed", "bytes_to_words"])
    assert names[:-1] == [name for name in VERDICT_NAMES if name not in GATE_ONLY]


def test_a_plain_verification_only_hashes_and_says_no_less(archive: Archive) -> None:
    report = verify(archive.workspace)
    assert [verdict.name for verdict in report.verdicts] == [
        "manifests_chained",
        "batches_complete",
        "releases_chained",
        "tables_intact",
        "blobs_intact",
        "version_sealed",
    ]
    assert report.passed


def test_a_release_record_that_was_noted_anchors_the_chain(archive: Archive) -> None:
    noted = archive.home.releases.hash_of(1)
    (anchored,) = [v for v in verify(archive.workspace, anchor=noted.upper()).verdicts if v.name == "anchored"]
    assert anchored.passed and "record 1" in anchored.summary
    foreign = verify(archive.workspace, anchor="0" * 64)
    assert not foreign.passed and failed(foreign.verdicts).keys() == {"anchored"}
    with pytest.raises(UsageError, match="no SHA-256"):
        verify(archive.workspace, anchor="v000001")


def test_tables_that_were_made_anew_leave_what_a_version_was_built_from(copied: Archive) -> None:
    """Another way to read: until a new version is live, what is served is proven by the tables of then."""
    workspace = replace(copied.workspace, reading=replace(copied.workspace.reading, languages=("eng",)))
    texts = copied.home.tables.get("ocr_text", copied.first).output_sha256
    run_batch(workspace, copied.first)
    assert copied.home.tables.get("ocr_text", copied.first).output_sha256 != texts
    for version in ("v000001", "v000002"):
        report = verify(workspace, version, deep=True)
        assert (report.passed, failed(report.verdicts)) == (True, {})
    point = point_of(workspace, REPORT, 1)
    assert trace(workspace, point).holds


def test_breaks_are_told_with_the_release_that_brought_them(copied: Archive) -> None:
    forge_point(copied.workspace, point_of(copied.workspace, MINUTES, 2), payload={"title": "Forged"})
    (exact,) = [v for v in verify(copied.workspace).verdicts if v.name == "points_exact"]
    (row,) = exact.rows
    assert (row["document"], row["first_release"], row["first_version"]) == (MINUTES, 2, "v000002")
    flip(copied.home.blobs.path(sha_of(copied.workspace, MINUTES)))
    (bytes_,) = [v for v in verify(copied.workspace).verdicts if v.name == "blobs_intact"]
    assert bytes_.rows[0]["first_release"] == 1


def test_an_older_version_still_verifies(archive: Archive) -> None:
    assert verify(archive.workspace, "v000001").passed


def test_verifying_what_is_not_there(archive: Archive, workspace: Workspace) -> None:
    with pytest.raises(NotFoundError, match="v000009"):
        verify(archive.workspace, "v000009")
    with pytest.raises(NotFoundError, match="Nothing is live"):
        verify(workspace)


BLOBS = [(REPORT, {REPORT, TWIN}, flip), (MINUTES, {MINUTES}, Path.unlink), (LATER, {LATER}, flip)]


@pytest.mark.parametrize(("key", "named", "damage"), BLOBS)
def test_damaged_bytes_are_named_by_every_document_that_has_them(
    copied: Archive, key: str, named: set[str], damage: Callable[[Path], None]
) -> None:
    damage(copied.home.blobs.path(sha_of(copied.workspace, key)))
    found = look(copied.workspace)
    assert found.keys() == {"blobs_intact"}
    assert {document for document, _ in found["blobs_intact"]} == named


SCHOOL_SHA = sha256_text(SCHOOL)
TABLES: list[tuple[str, str, Change, str, set[tuple[str, int]]]] = [
    ("ocr_text", "page_texts", edited("text", {SCHOOL: ORCHARD}), "texts_intact", {(MINUTES, 2)}),
    ("ocr_text", "words", edited("text", {"poêle": "balai"}), "texts_intact", {(MINUTES, 2)}),
    ("chunks", "chunks", edited("text", {SCHOOL: ORCHARD}), "chunks_cover_pages", {(MINUTES, 2)}),
    (
        "chunks",
        "chunks",
        edited("text_sha256", {sha256_text(SCHOOL): sha256_text(ORCHARD)}),
        "chunks_cover_pages",
        {(MINUTES, 2)},
    ),
]


@pytest.mark.parametrize(("asset", "table", "change", "check", "places"), TABLES)
def test_a_tampered_table_is_named_by_document_and_page(
    copied: Archive, asset: str, table: str, change: Change, check: str, places: set[tuple[str, int]]
) -> None:
    tamper(copied.workspace, asset, copied.first, table, change)
    found = look(copied.workspace)
    assert "tables_intact" in found
    assert found[check] == places


def replaced_vector(table: pa.Table) -> pa.Table:
    """Swap two vectors, and put their hashes right."""
    rows = table.to_pylist()
    for name in ("dense", "sparse_indices", "sparse_values", "vector_sha256"):
        rows[0][name], rows[1][name] = rows[1][name], rows[0][name]
    swapped = pa.Table.from_pylist(rows, schema=table.schema)
    pairs = zip(dense_matrix(swapped), sparse_vectors(swapped), strict=True)
    assert [vector_sha256(*pair) for pair in pairs] == swapped.column("vector_sha256").to_pylist()
    return swapped


def test_swapped_vectors_with_all_hashes_put_right_are_named_by_document_and_page(copied: Archive) -> None:
    """The table is sound in itself, and its newest record fits: it is not the one that the version was built from."""
    tamper(copied.workspace, "embeddings", copied.first, "embeddings", replaced_vector, forge=True)
    found = look(copied.workspace)
    assert "tables_intact" in found
    documents = {document for document, _ in found["points_exact"]}
    assert documents
    assert documents <= {REPORT, TWIN, MINUTES}
    assert all(page for _, page in found["points_exact"])


def test_a_chunk_without_its_vector_is_named_by_document_and_page(copied: Archive) -> None:
    tamper(copied.workspace, "embeddings", copied.first, "embeddings", lambda table: table.slice(1), forge=True)
    found = failed(verify(copied.workspace).verdicts)
    assert {"embeddings_complete", "points_exact"} <= found.keys()
    (verdict,) = [v for v in verify(copied.workspace).verdicts if v.name == "points_exact"]
    assert "page" in verdict.summary
    assert any(key in verdict.summary for key in (REPORT, TWIN, MINUTES))


FORGERIES: list[dict[str, Any]] = [
    {"turn": True},
    {"payload": {"page_number": 3}},
    {"payload": {"extra": "smuggled in"}},
    {"without": "title"},
]


@pytest.mark.parametrize("forgery", FORGERIES)
def test_a_forged_point_is_named_by_document_and_page(copied: Archive, forgery: dict[str, Any]) -> None:
    """The forger makes the inventory of the version's files fit: only the points themselves give it away."""
    forge_point(copied.workspace, point_of(copied.workspace, MINUTES, 2), **forgery)
    found = look(copied.workspace)
    moved = {"served_coverage"} if "page_number" in forgery.get("payload", {}) else set()
    assert found.keys() == {"points_exact", "version_sealed", *moved}
    assert found["points_exact"] == {(MINUTES, 2)}


def test_a_point_that_was_taken_out_is_named(copied: Archive) -> None:
    forge_point(copied.workspace, point_of(copied.workspace, LATER, 1), delete=True)
    found = look(copied.workspace)
    assert found["points_exact"] == {(LATER, 1)}
    assert "version_sealed" in found


def test_a_version_file_that_was_changed_is_an_answer_not_a_crash(copied: Archive) -> None:
    shard = copied.home.vectors / "versions" / "v000002" / "shard"
    biggest = max((path for path in shard.rglob("*") if path.is_file()), key=lambda path: path.stat().st_size)
    flip(biggest)
    found = verify(copied.workspace)
    (verdict,) = [verdict for verdict in found.verdicts if verdict.name == "points_exact"]
    assert verdict.outcome is Outcome.FAIL
    assert biggest.name in verdict.summary
    assert verdict.remedy


def manifest_path(archive: Archive, batch: str) -> Path:
    return archive.home.manifests.root / f"{batch}.json"


def test_an_edited_manifest_is_found_and_the_other_batches_are_still_checked(copied: Archive) -> None:
    path = manifest_path(copied, copied.second)
    value = json.loads(path.read_bytes())
    value["documents"][0]["size"] += 1
    path.write_text(json.dumps(value))
    tamper(copied.workspace, "ocr_text", copied.first, "page_texts", edited("text", {SCHOOL: ORCHARD}))
    found = look(copied.workspace)
    assert "manifests_chained" in found
    assert found["texts_intact"] == {(MINUTES, 2)}


@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.rename(path.with_name("lost.json"))])
def test_a_missing_manifest_is_found(copied: Archive, damage: Callable[[Path], None]) -> None:
    damage(manifest_path(copied, copied.second))
    assert "manifests_chained" in look(copied.workspace)


def test_a_manifest_edited_with_its_name_put_right_breaks_the_chain(copied: Archive) -> None:
    old = copied.home.manifests.get(copied.first)
    forged = BatchManifest.create(
        sequence=old.sequence,
        created_at=old.created_at,
        previous=old.previous,
        sources=old.sources,
        documents=[change for change in old.documents if change.key != MINUTES],
    )
    manifest_path(copied, copied.first).unlink()
    copied.home.manifests.append(forged)
    found = look(copied.workspace)
    assert "manifests_chained" in found
    assert MINUTES in {document for document, _ in found["points_exact"]}


def test_an_edited_release_record_is_found(copied: Archive) -> None:
    path = copied.home.releases.root / "000001.json"
    path.write_bytes(orjson.dumps({**orjson.loads(path.read_bytes()), "points": 1}))
    assert look(copied.workspace).keys() == {"releases_chained"}


def test_an_alias_that_was_moved_by_hand_is_found(copied: Archive) -> None:
    path = copied.home.vectors / "alias.json"
    path.write_bytes(orjson.dumps({**orjson.loads(path.read_bytes()), "version": "v000001"}))
    report = verify(copied.workspace)
    assert failed(report.verdicts).keys() == {"releases_chained"}
    (verdict,) = [verdict for verdict in report.verdicts if not verdict.passed]
    assert "v000001 is live" in verdict.summary


def test_a_version_record_with_another_seal_is_found(copied: Archive) -> None:
    path = copied.home.version_records.root / "v000002.json"
    path.write_bytes(orjson.dumps({**orjson.loads(path.read_bytes()), "merkle_root": "0" * 64}))
    assert look(copied.workspace).keys() == {"version_sealed"}


def test_a_batch_that_came_after_the_version_does_not_matter(copied: Archive) -> None:
    put(copied.workspace, "new.pdf", "A new page.")
    scan_inbox(copied.workspace)
    assert look(copied.workspace) == {}
    state = status(copied.workspace)
    assert [batch["pending"] for batch in state["batches"]] == [None, None, "raw_pdfs is missing"]
    assert state["ledger"] is None
    assert state["live"] == "v000002"


def test_the_status_tells_what_stands(archive: Archive) -> None:
    state = status(archive.workspace)
    assert [batch["key"] for batch in state["batches"]] == [archive.first, archive.second]
    assert state["batches"][0]["documents"] == {"added": 3, "changed": 0, "removed": 0}
    assert (state["ledger"]["pages"], state["ledger"]["adds_up"], state["ledger"]["coverage"]) == (12, True, 1.0)
    assert [(v["version"], v["live"], v["points"]) for v in state["versions"]] == [
        ("v000001", False, 8),
        ("v000002", True, 10),
    ]
    assert all(version["size_bytes"] > 0 for version in state["versions"])
    assert state["quarantined"] == []


def test_deep_verification_reads_the_bytes_again(copied: Archive) -> None:
    """Words changed together with all their hashes: only the stored bytes know better."""

    tamper(copied.workspace, "ocr_text", copied.first, "words", edited("text", {"granite": "marbles"}), forge=True)
    tables = copied.home.tables
    record = tables.get("ocr_text", copied.first)
    texts = tables.read(record, "page_texts").to_pylist()
    bounds = [0]
    for row in texts:
        bounds.append(bounds[-1] + row["word_count"])
    hashes = words_hashes(tables.read(record, "words"), bounds)
    old = [row["words_sha256"] for row in texts]
    changes = {before: after for before, after in zip(old, hashes, strict=True) if before != after}
    assert len(changes) == 1
    tamper(copied.workspace, "ocr_text", copied.first, "page_texts", edited("words_sha256", changes), forge=True)
    found = bytes_to_words(copied.workspace, fold(copied.home.manifests.all()))
    assert found.outcome is Outcome.FAIL
    ((document, page),) = failed([found])["bytes_to_words"]
    assert (document in {REPORT, TWIN}, page) == (True, 1)


def test_merging_keeps_the_failures_of_all_batches() -> None:
    good = Verdict("a", Outcome.PASS, "fine", rows=({"x": 1},))
    bad = [Verdict("a", Outcome.FAIL, f"bad {n}", remedy="mend", rows=({"batch": n},)) for n in (1, 2)]
    (merged,) = merge([good, bad[0], good, bad[1]])
    assert (merged.outcome, merged.figure, merged.remedy) == (Outcome.FAIL, 2, "mend")
    assert merged.summary == "2 of 4 checks failed: bad 1"
    assert merged.rows == ({"batch": 1}, {"batch": 2})
    (fine, other) = merge([good, good, Verdict("b", Outcome.PASS, "fine")])
    assert (fine.passed, fine.rows, other.name) == (True, (), "b")


def test_an_examination_says_whether_it_passed(archive: Archive) -> None:
    found = examine(archive.workspace, "v000002")
    warned = Verdict("x", Outcome.WARN, "hm")
    assert Examination(found.record, (*found.verdicts, warned), found.ledger, None, 0.0).passed
    assert not Examination(found.record, (Verdict("x", Outcome.FAIL, "no"),), found.ledger, None, 0.0).passed


def test_a_sparse_vector_is_part_of_the_point(archive: Archive) -> None:
    """Guards the tests above: the hash that they rely on sees the sparse side."""
    with archive.workspace.versions().open("v000002") as reader:
        point = next(reader.scroll())[0]
    heavier = SparseVector(point.sparse.indices, point.sparse.values * 2)
    assert vector_sha256(point.dense, point.sparse) == point.payload["vector_sha256"]
    assert vector_sha256(point.dense, heavier) != point.payload["vector_sha256"]


def test_a_damaged_alias_is_named(copied: Archive) -> None:
    (copied.home.vectors / "alias.json").write_bytes(b"{torn")
    with pytest.raises(IntegrityError, match=r"alias\.json is damaged"):
        verify(copied.workspace)


def test_text_is_what_was_asked_for(archive: Archive) -> None:
    with Searcher(archive.workspace) as searcher:
        assert searcher.search("granite", where={"document_key": REPORT, "page_number": 1})[0].text == QUARRY
