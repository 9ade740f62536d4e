"""Forgetting documents: what goes, what stays, what is proven, and what a kill in the middle leaves."""

from __future__ import annotations

import hashlib
import json
import shutil
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ragflow.errors import CheckFailedError, IntegrityError, NotFoundError
from ragflow.model.batches import fold
from ragflow.model.reading import Effort
from ragflow.model.releases import seal_of
from ragflow.pipeline.absence import Search
from ragflow.pipeline.batch_checks import check_batches
from ragflow.pipeline.forgetting import check_absent, find_contents, forget, gather
from ragflow.pipeline.ingest import pending_batches
from ragflow.pipeline.pruning import PruneOptions, prune
from ragflow.pipeline.release import live_version, rollback
from ragflow.pipeline.searching import Searcher
from ragflow.pipeline.verification import verify
from ragflow.pipeline.workspace import Workspace
from ragflow.store.forgotten import Kind
from ragflow.store.rereads import Reread
from ragflow.vectors.protocols import CollectionReader
from ragflow_tests.pipeline.archive import (
    LATER,
    LAVOIR,
    MINUTES,
    ORCHARD,
    QUARRY,
    REPORT,
    SCHOOL,
    TWIN,
    WINDMILL,
    Archive,
    failed,
    flip,
    ingest,
    put,
    run_pending,
    scan_inbox,
    settle,
    sha_of,
)
from ragflow_tests.pipeline.test_pruning import killed, snapshot


def hits(workspace: Workspace, query: str) -> set[str]:
    with Searcher(workspace) as searcher:
        return {key for hit in searcher.search(query, top=100) for key in (hit.document["key"], *hit.also_in)}


def holds(root: Path, text: str, content: str) -> list[str]:
    """Return the files below a home, sources apart, that have a text or are a document: a second, simpler search."""
    found = []
    for path in sorted(
        path for path in root.rglob("*") if path.is_file() and path.relative_to(root).parts[0] != "inbox"
    ):
        data = path.read_bytes()
        if path.suffix == ".parquet":
            data += json.dumps(
                pq.read_table(path, partitioning=None).to_pylist(), default=str, ensure_ascii=False
            ).encode()
        if text.encode() in data or hashlib.sha256(data).hexdigest() == content:
            found.append(path.relative_to(root).as_posix())
    return found


def test_a_forgotten_document_is_nowhere(copied: Archive, tmp_path: Path) -> None:
    workspace, sha = copied.workspace, sha_of(copied.workspace, MINUTES)
    assert holds(copied.home.root, LAVOIR[:30], sha), "the search of this test finds it where it is"
    report = forget(workspace, [MINUTES], reason="a request of the heirs", proof=tmp_path / "proof.json")
    check_absent(report)
    assert report.absent and report.proof is not None
    assert (report.discarded, live_version(workspace)) == (("v000001", "v000002"), "v000003")
    assert holds(copied.home.root, LAVOIR[:30], sha) == holds(copied.home.root, SCHOOL[:30], sha) == []
    assert not copied.home.blobs.has(sha)
    assert hits(workspace, "le lavoir") == {REPORT, TWIN, LATER}
    record = copied.home.version_records.find("v000003")
    assert record is not None and record.base is None
    assert failed(verify(workspace).verdicts) == failed(verify(workspace, deep=True).verdicts) == {}
    assert pending_batches(workspace) == []
    proof = json.loads((tmp_path / "proof.json").read_bytes())
    assert proof == report.proof and proof["seal"] == seal_of(proof)
    assert (proof["absent"], proof["found"], proof["why"]) == (True, [], "a request of the heirs")
    assert (proof["documents"], proof["contents"]) == ([MINUTES], [sha])
    newest = copied.home.releases.all()[-1]
    assert proof["release"] == {
        "number": 3,
        "version": "v000003",
        "sha256": copied.home.releases.hash_of(newest.number),
    }
    assert LAVOIR[:30] not in json.dumps(proof, ensure_ascii=False)
    assert [held["place"] for held in proof["held_elsewhere"]] == [str(copied.home.inbox / "minutes.pdf")]
    assert all(place["looked_at"] for place in proof["places"])


def test_the_other_pages_of_the_batch_are_not_read_again(copied: Archive) -> None:
    report = forget(copied.workspace, [MINUTES])
    assert report.batches == (copied.first,)
    assert (report.work["pages_read"], report.work["documents_inspected"], report.work["blobs_stored"]) == (0, 0, 0)
    assert (report.work["pages_kept"], report.work["documents_kept"]) == (4, 1), "a report that has two names"
    home = copied.home.tables
    documents = home.read(home.get("raw_pdfs", copied.first), "documents").to_pylist()
    (row,) = [row for row in documents if row["document_key"] == MINUTES]
    assert row["document_sha256"] == sha_of(copied.workspace, MINUTES)
    assert (row["status"], row["reason"]) == ("quarantined", "forgotten")
    assert {row[name] for name in ("title", "producer", "page_count", "language")} == {None}
    verdicts = failed(check_batches(copied.workspace, [copied.first, copied.second]))
    assert verdicts.keys() == set(), "what was forgotten on request is no gap"
    ledger = copied.home.releases.all()[-1].ledger
    assert ledger.adds_up and (ledger.documents, ledger.pages) == (3, 10)


def test_a_dry_run_names_every_copy_and_changes_no_byte(copied: Archive) -> None:
    before = snapshot(copied.home.root)
    report = forget(copied.workspace, [TWIN], dry_run=True)
    assert snapshot(copied.home.root) == before
    (content,) = report.contents
    assert content.documents == content.there_now == (TWIN, REPORT)
    assert (content.home, content.batches, report.batches) == (copied.first, (copied.first,), (copied.first,))
    assert (report.dry_run, report.absent, report.proof) == (True, False, None)
    assert report.discarded == ("v000001", "v000002")
    assert report.in_sources == (str(copied.home.inbox / "a twin.pdf"), str(copied.home.inbox / "report.pdf"))


def test_a_paragraph_of_another_document_stays_and_the_proof_says_so(copied: Archive) -> None:
    report = forget(copied.workspace, [REPORT])
    assert report.absent and report.proof is not None
    assert hits(copied.workspace, WINDMILL) == {LATER, MINUTES}
    shared = {(found["place"], found["what"]) for found in report.proof["shared_with_documents_that_stay"]}
    assert ("collection version v000003", "a text of it") in shared
    assert any(place.startswith("tables/chunks") for place, _ in shared)
    assert holds(copied.home.root, QUARRY[:30], "") == holds(copied.home.root, ORCHARD[:30], "") == []


def test_scans_leave_the_bytes_out_under_any_name(copied: Archive) -> None:
    workspace, inbox = copied.workspace, copied.home.inbox
    forget(workspace, [MINUTES])
    batches = copied.home.manifests.batch_keys()
    settle(inbox / "minutes.pdf", 30.0)
    settle(Path(shutil.copy(inbox / "minutes.pdf", inbox / "other name.pdf")))
    settle(Path(shutil.copy(inbox / "minutes.pdf", inbox / "later.pdf")))
    report = scan_inbox(workspace)
    assert report.forgotten == (LATER, MINUTES, "inbox/other name.pdf")
    assert (report.added, report.changed, report.removed) == ((), (), (LATER,)), "its own bytes are not there any more"
    assert len(copied.home.manifests.batch_keys()) == len(batches) + 1
    again = scan_inbox(workspace)
    assert (again.batches, again.forgotten, again.hashed_files) == ((), report.forgotten, 0)
    put(workspace, "minutes.pdf", "Minutes of another meeting, which nobody minds.")
    assert ingest(workspace).decision == "promoted"
    assert hits(workspace, "minutes") == {REPORT, TWIN, MINUTES}


def test_earlier_contents_of_a_key_go_with_it(copied: Archive) -> None:
    workspace = copied.workspace
    first = sha_of(workspace, LATER)
    put(workspace, "later.pdf", "The second edition of this page about beekeeping and honey.")
    assert ingest(workspace).decision == "promoted"
    second = sha_of(workspace, LATER)
    (copied.home.inbox / "later.pdf").unlink()
    assert ingest(workspace).decision == "promoted"
    report = forget(workspace, [LATER])
    assert report.absent and {content.sha256 for content in report.contents} == {first, second}
    assert [content.there_now for content in report.contents] == [(), ()]
    assert not copied.home.blobs.has(first) and not copied.home.blobs.has(second)
    assert (
        holds(copied.home.root, "beekeeping", second) == holds(copied.home.root, "nine hundred guilders", first) == []
    )
    assert failed(verify(workspace, deep=True).verdicts) == {}


def test_only_names_that_were_there_are_taken(copied: Archive) -> None:
    before = snapshot(copied.home.root)
    for name in ("inbox/*.pdf", "minutes.pdf", "inbox/never.pdf"):
        with pytest.raises(NotFoundError, match="never was a document"):
            forget(copied.workspace, [MINUTES, name])
    assert snapshot(copied.home.root) == before


def test_the_only_document_of_an_archive(workspace: Workspace) -> None:
    put(workspace, "only.pdf", QUARRY)
    assert ingest(workspace).decision == "promoted"
    report = forget(workspace, ["inbox/only.pdf"])
    assert report.absent and live_version(workspace) == "v000002"
    assert failed(verify(workspace).verdicts) == {}
    assert holds(workspace.home.root, QUARRY[:30], "") == []


def test_an_archive_of_which_nothing_is_live(workspace: Workspace) -> None:
    put(workspace, "only.pdf", QUARRY)
    scan_inbox(workspace)
    run_pending(workspace)
    report = forget(workspace, ["inbox/only.pdf"])
    assert report.absent and report.release is None and live_version(workspace) is None
    assert report.proof is not None and report.proof["release"] is None
    assert holds(workspace.home.root, QUARRY[:30], "") == []


def test_as_long_as_the_gate_says_no_everything_stays(copied: Archive) -> None:
    workspace = copied.workspace
    blob = copied.home.blobs.path(sha_of(workspace, LATER))
    whole = blob.read_bytes()
    flip(blob)
    # The stage that needs the blob is not run again; the gate reads it.
    report = forget(workspace, [MINUTES])
    assert report.release is not None and report.release.decision == "rejected" and not report.absent
    assert live_version(workspace) == "v000002" and hits(workspace, "le lavoir") > {MINUTES}
    assert copied.home.blobs.has(sha_of(workspace, MINUTES))
    with pytest.raises(CheckFailedError, match="still served"):
        check_absent(report)
    blob.write_bytes(whole)
    assert failed(verify(workspace).verdicts) == {}
    assert forget(workspace, [MINUTES]).absent and live_version(workspace) == "v000004"
    assert holds(copied.home.root, LAVOIR[:30], "") == []


def test_nothing_leads_back(copied: Archive) -> None:
    forget(copied.workspace, [MINUTES])
    for version in (None, "v000001", "v000002"):
        with pytest.raises(NotFoundError):
            rollback(copied.workspace, version)
    assert live_version(copied.workspace) == "v000003"


def test_versions_from_before_the_document_came_are_kept(copied: Archive) -> None:
    report = forget(copied.workspace, [LATER])
    assert report.absent and report.discarded == ("v000002",)
    assert failed(verify(copied.workspace, "v000001").verdicts) == {}
    assert rollback(copied.workspace, "v000001").live == "v000001"


def test_forgetting_twice_and_after_pruning(copied: Archive) -> None:
    assert forget(copied.workspace, [MINUTES]).absent
    before = snapshot(copied.home.root)
    again = forget(copied.workspace, [MINUTES])
    assert again.absent and (again.release, again.discarded, again.work, again.freed) == (None, (), {}, 0)
    assert snapshot(copied.home.root) == before
    put(copied.workspace, "next.pdf", "A page about something else entirely, namely clocks.")
    assert ingest(copied.workspace).version == "v000004"
    prune(copied.workspace, PruneOptions(versions=1, rejected_days=0))
    third = forget(copied.workspace, [MINUTES])
    assert third.absent and third.release is None and live_version(copied.workspace) == "v000004"
    assert failed(verify(copied.workspace).verdicts) == {}


def test_a_clone_of_a_version_that_held_it_is_not_clean(copied: Archive) -> None:
    """Its points were deleted, but the engine's files may still have them."""
    copied.home.absences.add([sha_of(copied.workspace, MINUTES)], Kind.FORGOTTEN, "a test")
    assert ingest(copied.workspace).decision == "promoted"
    record = copied.home.version_records.find("v000003")
    assert record is not None and record.base == "v000002" and MINUTES not in hits(copied.workspace, "le lavoir")
    report = forget(copied.workspace, [MINUTES])
    assert report.absent and report.discarded == ("v000001", "v000002", "v000003")
    assert holds(copied.home.root, LAVOIR[:30], "") == []


def test_marks_requests_and_partial_results_go(copied: Archive) -> None:
    workspace, sha = copied.workspace, sha_of(copied.workspace, MINUTES)
    other = Reread(sha_of(workspace, REPORT), 0, Effort.NORMAL, "a test", "2026-11-21T10:00:00+00:00")
    copied.home.rereads.add([replace(other, sha256=sha), other])
    partial = copied.home.tables.partial("ocr_text", copied.first, "f" * 64)
    partial.mkdir()
    (partial / "unit.texts.arrow").write_bytes(LAVOIR.encode())
    assert "minutes.pdf" in copied.home.inventory.load("inbox")
    assert forget(workspace, [MINUTES]).absent
    assert copied.home.rereads.all() == [other] and not partial.exists()
    assert "minutes.pdf" not in copied.home.inventory.load("inbox")
    assert pending_batches(workspace) == [], "a request that is gone makes no batch out of date"


def plant_copy(home: Path, document: bytes) -> str:
    (home / "exports").mkdir()
    (home / "exports" / "page.bin").write_bytes(document)
    return "exports/page.bin"


def plant_inside(home: Path, document: bytes) -> str:
    (home / "bundle.tar").write_bytes(b"header" * 700_000 + document + b"footer")
    return "bundle.tar"


def plant_text(home: Path, document: bytes) -> str:
    (home / "logs").mkdir()
    (home / "logs" / "run.log").write_text(json.dumps({"text": f"{LAVOIR}"}))
    return "logs/run.log"


def plant_quote(home: Path, document: bytes) -> str:
    (home / "notes.jsonl").write_text(json.dumps({"asked": "… RÉPARER la toiture\ndu «lavoir» avant …"}))
    return "notes.jsonl"


def plant_in_a_database(home: Path, document: bytes) -> str:
    (home / "dagster").mkdir(exist_ok=True)
    with sqlite3.connect(home / "dagster" / "events.db") as database:
        database.execute("create table events (event text)")
        database.execute("insert into events values (?)", [json.dumps({"begins": LAVOIR[:40]})])
    database.close()
    return "dagster/events.db"


def plant_rows(home: Path, document: bytes) -> str:
    path = home / "tables" / "chunks" / "20200101-0001-00000000" / "chunks-old.parquet"
    path.parent.mkdir(parents=True)
    table = pa.table({"document_sha256": [hashlib.sha256(document).hexdigest()], "text": ["?"], "text_sha256": ["?"]})
    pq.write_table(table, path)
    return path.relative_to(home).as_posix()


@pytest.mark.parametrize("plant", [plant_copy, plant_inside, plant_text, plant_quote, plant_in_a_database, plant_rows])
def test_what_is_left_anywhere_in_the_home_is_found(copied: Archive, plant: Callable[[Path, bytes], str]) -> None:
    place = plant(copied.home.root, (copied.home.inbox / "minutes.pdf").read_bytes())
    report = forget(copied.workspace, [MINUTES])
    assert report.proof is not None and not report.absent
    assert {found["place"] for found in report.proof["found"]} == {place}
    with pytest.raises(CheckFailedError, match="still hold something of it"):
        check_absent(report)
    (copied.home.root / place).unlink()
    again = forget(copied.workspace, [MINUTES])
    assert again.absent, "it still knows what to look for"
    assert not (copied.home.absences.root / "looked-for.json").exists()


def test_the_search_finds_a_document_that_is_there_wherever_it_is(archive: Archive) -> None:
    (content,) = find_contents(archive.workspace, [MINUTES])
    search = Search(archive.workspace, gather(archive.workspace, {content.sha256: content.size}, [content.home]))
    search.everywhere()
    found, shared = search.told_apart()
    places = {hit["place"] for hit in found}
    assert {"collection version v000001", "collection version v000002"} <= places
    assert f"blobs/{content.sha256[:2]}/{content.sha256}" in places
    for asset, table in (("raw_pdfs", "documents"), ("raw_pdfs", "pages"), ("ocr_text", "page_texts")):
        assert any(place.startswith(f"tables/{asset}/{archive.first}/{table}-") for place in places)
    for asset, table in (("ocr_text", "words"), ("chunks", "chunks"), ("embeddings", "embeddings")):
        assert any(place.startswith(f"tables/{asset}/{archive.first}/{table}-") for place in places)
    assert any("payload_storage" in place for place in places), "the engine's own files"
    assert not any(archive.second in place for place in places) and shared == []


def test_what_cannot_be_read_is_not_called_absent(copied: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    forget(copied.workspace, [MINUTES])

    def broken(self: CollectionReader, batch: int = 2048) -> None:
        raise IntegrityError("The version is damaged.")

    monkeypatch.setattr("ragflow.vectors.edge.EdgeReader.scroll", broken)
    report = forget(copied.workspace, [MINUTES])
    assert not report.absent and report.proof is not None
    assert [found["place"] for found in report.proof["found"]] == ["collection version v000003"]


def test_backups_are_listed(copied: Archive, tmp_path: Path) -> None:
    blob = copied.home.blobs.path(sha_of(copied.workspace, MINUTES))
    with_it, empty = tmp_path / "monday", tmp_path / "tuesday"
    empty.mkdir()
    (with_it / "blobs").mkdir(parents=True)
    shutil.copy(blob, with_it / "blobs")
    (copied.home.inbox / "minutes.pdf").unlink()
    report = forget(copied.workspace, [MINUTES], backups=[with_it, empty])
    assert report.absent and report.proof is not None
    first, second = report.proof["held_elsewhere"]
    assert (first["place"], second["place"]) == (str(with_it), str(empty))
    assert "holds the bytes of 1" in first["what"] and "not searched" in second["what"]


POINTS = [
    "ragflow.store.forgotten:AbsenceStore.add after 1",
    "ragflow.store.manifests:ManifestStore.append after 1",
    "ragflow.store.tables:TableStore.write after 2",
    "ragflow.store.records:VersionRecordStore.put after 1",
    "ragflow.pipeline.release:_append after 1",
    "ragflow.vectors.folders:VersionFolders.discard after 1",
    "ragflow.store.tables:TableStore.release after 1",
    "ragflow.pipeline.forgetting:_unlink before 1",
    "ragflow.pipeline.forgetting:prove before 1",
]


@pytest.mark.parametrize("point", POINTS)
def test_a_kill_leaves_a_whole_version_live_and_the_next_time_finishes(copied: Archive, point: str) -> None:
    workspace = copied.workspace
    killed(copied.home.root, f"forget {MINUTES}", point)
    assert failed(verify(workspace).verdicts).keys() <= {"releases_chained"}, "but for an alias that is yet to be moved"
    served = hits(workspace, "le lavoir")
    assert (MINUTES in served) == (live_version(workspace) == "v000002"), "the old version, or one without it"
    report = forget(workspace, [MINUTES])
    assert report.absent, report.proof and report.proof["found"]
    assert holds(copied.home.root, LAVOIR[:30], sha_of(workspace, MINUTES)) == []
    assert MINUTES not in hits(workspace, "le lavoir") and pending_batches(workspace) == []
    assert MINUTES not in fold(copied.home.manifests.all()).documents
    for version in workspace.versions().versions():
        assert failed(verify(workspace, version).verdicts) == {}
