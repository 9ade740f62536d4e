"""One point back to its pixels; each link is recomputed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from ragflow.errors import IntegrityError, NotFoundError, UsageError
from ragflow.pipeline.searching import Searcher
from ragflow.pipeline.tracing import MARK_COLOUR, Trace, mark_page, trace
from ragflow.pipeline.workspace import Workspace
from ragflow_tests.pipeline.archive import (
    MINUTES,
    ORCHARD,
    QUARRY,
    REPORT,
    WINDMILL,
    Archive,
    edited,
    flip,
    ingest,
    put,
    sha_of,
    tamper,
)
from ragflow_tests.pipeline.forging import forge_point

QUARRY_QUERY: dict[str, str | int] = {"document_key": REPORT, "page_number": 1}


def find(workspace: Workspace, **where: str | int) -> str:
    with Searcher(workspace) as searcher:
        return searcher.search("anything", where=where or QUARRY_QUERY)[0].point_id


def broken(found: Trace) -> set[str]:
    assert found.holds == (not any(not link.holds for link in found.links))
    return {link.name for link in found.links if not link.holds}


def test_every_link_of_an_untouched_point_holds(archive: Archive) -> None:
    found = trace(archive.workspace, find(archive.workspace))
    assert broken(found) == set()
    assert (found.version, found.present, found.payload["text"]) == ("v000002", True, QUARRY)
    assert [link.name for link in found.links] == [
        "point",
        "vector",
        "payload text",
        "chunk",
        "chunk on its page",
        "page text",
        "words",
        "text layer",
        "document bytes",
    ]
    assert [word["text"] for word in found.words] == QUARRY.split()
    assert found.links[-1].found == sha_of(archive.workspace, REPORT)


def test_the_point_of_a_double_is_traced_through_its_home(archive: Archive) -> None:
    found = trace(archive.workspace, find(archive.workspace, document_key="inbox/later.pdf", page_number=1))
    assert found.holds
    assert found.payload["text"] == WINDMILL
    earlier = trace(archive.workspace, find(archive.workspace, document_key=MINUTES), version="v000001")
    assert (earlier.version, earlier.holds) == ("v000001", True)


def test_a_tampered_page_text_breaks_its_links(copied: Archive) -> None:
    point = find(copied.workspace)
    tamper(copied.workspace, "ocr_text", copied.first, "page_texts", edited("text", {QUARRY: ORCHARD}))
    assert broken(trace(copied.workspace, point)) == {"chunk on its page", "page text"}


def test_a_tampered_chunk_breaks_its_link(copied: Archive) -> None:
    point = find(copied.workspace)
    tamper(copied.workspace, "chunks", copied.first, "chunks", edited("text", {QUARRY: ORCHARD}))
    assert broken(trace(copied.workspace, point)) == {"chunk", "point"}


@pytest.mark.parametrize(("column", "values"), [("text", {"granite": "marble"}), ("confidence", {1.0: 0.5})])
def test_tampered_words_break_their_link(copied: Archive, column: str, values: dict[object, object]) -> None:
    point = find(copied.workspace)
    tamper(copied.workspace, "ocr_text", copied.first, "words", edited(column, values))
    assert broken(trace(copied.workspace, point)) == {"words"}


def test_rows_that_are_gone_break_their_links(copied: Archive) -> None:
    point = find(copied.workspace)

    def emptied(table: pa.Table) -> pa.Table:
        return table.slice(0, 0)

    for asset, table in (("ocr_text", "page_texts"), ("ocr_text", "words"), ("chunks", "chunks")):
        tamper(copied.workspace, asset, copied.first, table, emptied)
    found = trace(copied.workspace, point)
    assert broken(found) == {"point", "chunk", "chunk on its page", "page text", "words", "text layer"}
    assert found.words == ()


def test_tampered_bytes_break_their_link(copied: Archive) -> None:
    point = find(copied.workspace)
    flip(copied.home.blobs.path(sha_of(copied.workspace, REPORT)))
    assert broken(trace(copied.workspace, point)) == {"document bytes"}


def test_a_tampered_payload_breaks_its_links(copied: Archive) -> None:
    point = find(copied.workspace)
    forge_point(copied.workspace, point, payload={"text": ORCHARD})
    assert broken(trace(copied.workspace, point)) == {"payload text", "point"}
    forge_point(copied.workspace, point, payload={"char_end": 5})
    assert "chunk on its page" in broken(trace(copied.workspace, point))


def test_a_tampered_vector_breaks_its_link(copied: Archive) -> None:
    point = find(copied.workspace)
    forge_point(copied.workspace, point, turn=True)
    assert broken(trace(copied.workspace, point)) == {"vector", "point"}


@pytest.mark.parametrize("field", ["document_sha256", "batch", "chunk_index", "page_index", "words_sha256"])
def test_a_payload_that_lacks_a_field_is_an_integrity_error(copied: Archive, field: str) -> None:
    point = find(copied.workspace)
    forge_point(copied.workspace, point, without=field)
    with pytest.raises(IntegrityError, match=field) as caught:
        trace(copied.workspace, point)
    assert caught.value.remedy


def test_a_table_that_cannot_be_read_is_an_integrity_error(copied: Archive) -> None:
    point = find(copied.workspace)
    record = copied.home.tables.get("ocr_text", copied.first)
    (copied.home.tables.folder("ocr_text", copied.first) / record.files["words"].file).unlink()
    with pytest.raises(IntegrityError, match="words of ocr_text"):
        trace(copied.workspace, point)


def test_a_point_of_a_removed_document_is_traced_in_the_version_that_has_it(workspace: Workspace) -> None:
    put(workspace, "a.pdf", QUARRY)
    put(workspace, "b.pdf", ORCHARD)
    ingest(workspace)
    point = find(workspace, document_key="inbox/a.pdf")
    (workspace.home.inbox / "a.pdf").unlink()
    ingest(workspace)
    with pytest.raises(NotFoundError, match="v000002 has no point"):
        trace(workspace, point)
    found = trace(workspace, point, version="v000001")
    assert (found.holds, found.present) == (True, False)


def test_what_is_no_point_is_said(archive: Archive, workspace: Workspace) -> None:
    with pytest.raises(UsageError, match="is not a point id"):
        trace(archive.workspace, "granite")
    with pytest.raises(NotFoundError, match="has no point"):
        trace(archive.workspace, "00000000-0000-8000-8000-000000000000")
    with pytest.raises(NotFoundError, match="v000009"):
        trace(archive.workspace, "00000000-0000-8000-8000-000000000000", version="v000009")
    with pytest.raises(NotFoundError, match="Nothing is live"):
        trace(workspace, "00000000-0000-8000-8000-000000000000")


def test_the_words_are_marked_on_the_page(archive: Archive, tmp_path: Path) -> None:
    found = trace(archive.workspace, find(archive.workspace))
    target = tmp_path / "page.png"
    mark_page(archive.workspace, found, target)
    with Image.open(target) as image:
        assert (image.format, image.mode) == ("PNG", "RGB")
        pixels = np.asarray(image).astype(int)
    height, width, _ = pixels.shape
    assert height > width > 500, "an A4 page, upright"
    marked = pixels[:, :, 0] - pixels[:, :, 2] > 20
    ground = np.array(MARK_COLOUR)
    expected = np.zeros_like(marked)
    for word in found.words:
        left, top, right, bottom = word["box"]
        rows = slice(int(top * height), int(bottom * height) + 1)
        columns = slice(int(left * width), int(right * width) + 1)
        expected[rows, columns] = True
        box = pixels[rows, columns]
        assert box[:, :, 0].max() == 255, "white paper under the marker stays bright in red"
        brightest = box.reshape(-1, 3)[box.sum(axis=2).argmax()]
        assert brightest[2] < 150 < brightest[0]
        assert (brightest[0] > brightest[1]) == (ground[0] > ground[1])
        assert box.min() < 100, "the letters are still there"
    assert not marked[~expected].any(), "nothing else is coloured"
    assert marked[expected].mean() > 0.5


def test_marking_needs_the_bytes(copied: Archive, tmp_path: Path) -> None:
    from ragflow.errors import RagflowError

    found = trace(copied.workspace, find(copied.workspace))
    copied.home.blobs.path(sha_of(copied.workspace, REPORT)).unlink()
    with pytest.raises(RagflowError):
        mark_page(copied.workspace, found, tmp_path / "page.png")
    assert not (tmp_path / "page.png").exists()
