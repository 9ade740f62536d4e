"""Bytes into the store: what changed after the scan, what is damaged, what can be had again."""

from __future__ import annotations

from pathlib import Path

import pytest

from ragflow.errors import IntegrityError, NotFoundError
from ragflow.pipeline import raw_pdfs
from ragflow.pipeline.ingest import pending_batches
from ragflow.pipeline.workspace import Workspace
from ragflow_tests.pipeline.archive import (
    ORCHARD,
    QUARRY,
    WINDMILL,
    flip,
    put,
    run_batch,
    run_pending,
    scan_inbox,
    settle,
    sha_of,
)


def rows(workspace: Workspace, batch: str, table: str = "documents") -> list[dict[str, object]]:
    record = workspace.home.tables.get("raw_pdfs", batch)
    found: list[dict[str, object]] = workspace.home.tables.read(record, table).to_pylist()
    return found


def reasons(workspace: Workspace, batch: str) -> dict[object, object]:
    return {row["document_key"]: row["reason"] for row in rows(workspace, batch)}


def scan_one(workspace: Workspace) -> str:
    (batch,) = scan_inbox(workspace).batches
    return batch


def test_documents_are_stored_and_inspected(workspace: Workspace) -> None:
    path = put(workspace, "a.pdf", QUARRY, [], title="The quarry", language="fr")
    batch = scan_one(workspace)
    report = raw_pdfs.materialize(workspace, batch)
    assert report.work == {"blobs_stored": 1, "documents_inspected": 1, "documents_kept": 0}
    (row,) = rows(workspace, batch)
    assert (row["document_key"], row["status"], row["page_count"]) == ("inbox/a.pdf", "readable", 2)
    assert (row["title"], row["language"], row["home_batch"], row["size"]) == (
        "The quarry",
        "fr",
        batch,
        path.stat().st_size,
    )
    assert [page["page_index"] for page in rows(workspace, batch, "pages")] == [0, 1]
    assert workspace.home.blobs.path(sha_of(workspace, "inbox/a.pdf")).read_bytes() == path.read_bytes()


def test_doubles_are_stored_once_and_have_their_pages_once(workspace: Workspace) -> None:
    put(workspace, "a.pdf", QUARRY).with_name("b.pdf").write_bytes((workspace.home.inbox / "a.pdf").read_bytes())
    settle(workspace.home.inbox / "b.pdf")
    first = scan_one(workspace)
    assert raw_pdfs.materialize(workspace, first).work["documents_inspected"] == 1
    assert (len(rows(workspace, first)), len(rows(workspace, first, "pages"))) == (2, 1)
    (workspace.home.inbox / "a.pdf").rename(workspace.home.inbox / "c.pdf")
    second = scan_one(workspace)
    assert raw_pdfs.materialize(workspace, second).work["blobs_stored"] == 0
    (row,) = rows(workspace, second)
    assert (row["document_key"], row["home_batch"], row["page_count"]) == ("inbox/c.pdf", first, 1)
    assert rows(workspace, second, "pages") == [], "its pages stand in the batch that brought them first"


def test_broken_and_empty_files_are_quarantined_with_their_reason(workspace: Workspace) -> None:
    for name, content in (("empty.pdf", b""), ("text.pdf", b"I am no PDF"), ("torn.pdf", b"%PDF-1.7 and no more")):
        (workspace.home.inbox / name).write_bytes(content)
        settle(workspace.home.inbox / name)
    (workspace.home.inbox / "dangling.pdf").symlink_to("nowhere")
    put(workspace, "good.pdf", QUARRY)
    batch = scan_one(workspace)
    report = raw_pdfs.materialize(workspace, batch)
    found = reasons(workspace, batch)
    assert found == {
        "inbox/empty.pdf": "empty_file",
        "inbox/text.pdf": "not_a_pdf",
        "inbox/torn.pdf": "damaged",
        "inbox/dangling.pdf": "unreadable",
        "inbox/good.pdf": None,
    }
    assert report.record.figures["quarantined"] == 4
    assert all(row["detail"] for row in rows(workspace, batch) if row["reason"])


def test_an_unreadable_document_that_heals_is_a_change(workspace: Workspace) -> None:
    link = workspace.home.inbox / "a.pdf"
    link.symlink_to("nowhere")
    first = scan_one(workspace)
    raw_pdfs.materialize(workspace, first)
    link.unlink()
    put(workspace, "a.pdf", QUARRY)
    report = scan_inbox(workspace)
    assert report.changed == ("inbox/a.pdf",)
    raw_pdfs.materialize(workspace, report.batches[0])
    assert reasons(workspace, report.batches[0]) == {"inbox/a.pdf": None}


def test_a_document_that_changed_after_the_scan_is_quarantined_and_healed_by_the_next_scan(
    workspace: Workspace,
) -> None:
    put(workspace, "a.pdf", QUARRY)
    put(workspace, "b.pdf", ORCHARD)
    first = scan_one(workspace)
    put(workspace, "a.pdf", WINDMILL)
    run_batch(workspace, first)
    assert reasons(workspace, first) == {"inbox/a.pdf": "source_changed", "inbox/b.pdf": None}
    assert pending_batches(workspace) == [], "the batch is done: there is nothing more to be had"
    report = scan_inbox(workspace)
    assert report.changed == ("inbox/a.pdf",)
    assert list(run_pending(workspace)) == list(report.batches)
    assert reasons(workspace, report.batches[0]) == {"inbox/a.pdf": None}


def test_a_batch_is_named_again_when_bytes_that_had_changed_come_back(workspace: Workspace) -> None:
    path = put(workspace, "a.pdf", QUARRY)
    right = path.read_bytes()
    first = scan_one(workspace)
    put(workspace, "a.pdf", WINDMILL)
    run_batch(workspace, first)
    assert reasons(workspace, first) == {"inbox/a.pdf": "source_changed"}
    path.write_bytes(right)
    settle(path)
    put(workspace, "other.pdf", ORCHARD)
    (workspace.home.inbox / "again.pdf").write_bytes(right)
    settle(workspace.home.inbox / "again.pdf")
    second = scan_one(workspace)
    run_batch(workspace, second)
    assert pending_batches(workspace) == [first], "the second batch has brought the bytes that the first one missed"
    reports = run_pending(workspace)[first]
    assert not reports["raw_pdfs"].reused
    assert reasons(workspace, first) == {"inbox/a.pdf": None}
    assert reports["ocr_text"].record.figures["indexed"] == 1
    assert pending_batches(workspace) == []


def test_a_link_put_in_place_of_a_scanned_document_is_not_followed(workspace: Workspace) -> None:
    """Between the scan and the run, the file becomes a link to equal bytes outside: the place decides."""
    path = put(workspace, "a.pdf", QUARRY)
    outside = workspace.home.root / "outside.pdf"
    batch = scan_one(workspace)
    path.rename(outside)
    path.symlink_to(outside)
    report = raw_pdfs.materialize(workspace, batch)
    assert report.work["blobs_stored"] == 0
    assert reasons(workspace, batch) == {"inbox/a.pdf": "source_changed"}
    assert list(workspace.home.blobs) == []


def test_a_document_that_disappears_after_the_scan_is_quarantined(workspace: Workspace) -> None:
    path = put(workspace, "a.pdf", QUARRY)
    batch = scan_one(workspace)
    path.unlink()
    raw_pdfs.materialize(workspace, batch)
    assert reasons(workspace, batch) == {"inbox/a.pdf": "source_changed"}


def damaged_blob(workspace: Workspace) -> tuple[str, Path]:
    batch = scan_one(workspace)
    raw_pdfs.materialize(workspace, batch)
    blob = workspace.home.blobs.path(sha_of(workspace, "inbox/a.pdf"))
    flip(blob)
    (workspace.home.tables.folder("raw_pdfs", batch) / "record.json").unlink()
    return batch, blob


def test_a_damaged_blob_is_healed_from_its_source(workspace: Workspace) -> None:
    path = put(workspace, "a.pdf", QUARRY)
    batch, blob = damaged_blob(workspace)
    report = raw_pdfs.materialize(workspace, batch)
    assert report.work["blobs_stored"] == 1
    assert blob.read_bytes() == path.read_bytes()
    assert reasons(workspace, batch) == {"inbox/a.pdf": None}


@pytest.mark.parametrize("gone", [True, False])
def test_a_damaged_blob_without_its_source_is_an_integrity_error(workspace: Workspace, gone: bool) -> None:
    path = put(workspace, "a.pdf", QUARRY)
    batch, blob = damaged_blob(workspace)
    if gone:
        path.unlink()
    else:
        put(workspace, "a.pdf", WINDMILL)
    with pytest.raises(IntegrityError, match=rf"inbox/a\.pdf \(batch {batch}\)") as caught:
        raw_pdfs.materialize(workspace, batch)
    assert str(blob) in caught.value.remedy
    assert workspace.home.tables.find("raw_pdfs", batch) is None


def test_an_unknown_batch_is_not_found(workspace: Workspace) -> None:
    with pytest.raises(NotFoundError):
        raw_pdfs.materialize(workspace, "20261120-0001-abcdef01")
