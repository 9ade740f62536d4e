"""A difficult document is looked at in pieces, and what it can cost is bounded."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from ragflow.model.reading import DocumentInspection
from ragflow.pipeline import inspections
from ragflow.pipeline.inspections import inspect_contents
from ragflow.pipeline.workspace import Workspace
from ragflow.store.blobs import hash_file
from ragflow_tests.faults.bombs import deflated, pages_of, stream, text, write_objects

BOMB = stream(deflated(600 << 20), b"/Filter/FlateDecode")


def inspect(workspace: Workspace, path: Path) -> DocumentInspection:
    limited = replace(workspace, reading=replace(workspace.reading, worker_memory_mb=512, workers=1))
    sha256 = hash_file(path)
    with path.open("rb") as source:
        limited.home.blobs.add(source, sha256)
    ((found, inspection),) = inspect_contents(limited, [sha256])
    assert found == sha256
    return inspection


def test_bad_pages_are_named_and_the_others_are_as_good_as_any(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inspections, "PAGES_AT_ONCE", 4)
    contents = [text(f"Page {number}") for number in range(10)]
    contents[5] = BOMB
    found = inspect(workspace, write_objects(tmp_path / "a.pdf", pages_of(contents)))
    assert (found.page_count, found.reason) == (10, None)
    assert [page.page_index for page in found.pages] == list(range(10))
    assert [page.page_index for page in found.pages if page.reason] == [5]
    assert all(page.has_text_layer and page.width_pt == 420 for page in found.pages if page.page_index != 5)
    assert found.pages[5].reason == "worker_died" and "memory" in str(found.pages[5].detail)


def test_a_document_full_of_bad_pages_is_given_up_in_time(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inspections, "PAGES_AT_ONCE", 2)
    monkeypatch.setattr(inspections, "MAX_FAILURES", 2)
    found = inspect(workspace, write_objects(tmp_path / "a.pdf", pages_of([text("Good"), *[BOMB] * 11])))
    reasons = [page.reason for page in found.pages]
    assert len(reasons) == 12 and set(reasons[1:]) == {"worker_died"}
    given_up = [page.page_index for page in found.pages if "was not looked at" in str(page.detail)]
    assert len(given_up) >= 8, "two parts and two pages have failed; the rest is left alone"
