"""A folder of images, from the scan to a marked page."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ragflow.model.batches import fold
from ragflow.ocr.options import ReadingOptions
from ragflow.pipeline.deep import bytes_to_words
from ragflow.pipeline.hits import Hit
from ragflow.pipeline.ledger import corpus_ledger, ledger_lines
from ragflow.pipeline.searching import Searcher
from ragflow.pipeline.tracing import mark_page, trace
from ragflow.pipeline.workspace import GateOptions, Workspace
from ragflow_tests.ocr.images import letter, save
from ragflow_tests.pipeline.archive import ingest, make_workspace, scan_inbox, settle

FERRY = ("The ferry across the lake", "was sold for nine hundred", "guilders in the spring.")
WINDMILL = ("The windmill on the ridge", "grinds barley for the", "three nearest villages.")
QUARRY = ("The granite quarry above", "the river was closed after", "the flood took its crane.")
ORCHARD = ("Pear orchards cover the", "southern slope, and the", "cider press works at night.")


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A PNG letter, a TIFF with three pages of which one is blank, a photograph that lies on its side, a torn PNG."""
    fresh = replace(
        make_workspace(tmp_path_factory.mktemp("images").resolve() / "home"),
        reading=ReadingOptions(engines=("text_layer", "tesseract"), languages=("eng",), dpi=150, workers=2),
        gate=GateOptions(coverage=0.8),
    )
    inbox = fresh.home.inbox
    inbox.mkdir(parents=True)
    save(inbox / "letter.png", letter(FERRY), dpi=(75, 75))
    pages = [page.convert("1") for page in (letter(WINDMILL), Image.new("L", (620, 877), 255), letter(QUARRY))]
    save(inbox / "register.TIFF", pages[0], save_all=True, append_images=pages[1:], compression="group4", dpi=(75, 75))
    exif = Image.Exif()
    exif[0x0112] = 6
    save(inbox / "photo.jpg", letter(ORCHARD).transpose(Image.Transpose.ROTATE_90), exif=exif, quality=90)
    whole = save(inbox / "torn.png", letter(FERRY)).read_bytes()
    (inbox / "torn.png").write_bytes(whole[: len(whole) // 2])
    (inbox / "notes.gif").write_bytes(b"GIF89a")
    for path in inbox.iterdir():
        settle(path)
    assert ingest(fresh).decision == "promoted"
    return fresh


def hit(workspace: Workspace, name: str, page_number: int) -> Hit:
    with Searcher(workspace) as searcher:
        (found,) = searcher.search("anything", where={"document_key": f"inbox/{name}", "page_number": page_number})
    return found


def test_the_ledger_adds_up(workspace: Workspace) -> None:
    corpus = fold(workspace.home.manifests.all())
    ledger = corpus_ledger(workspace, corpus)
    assert ledger.adds_up
    assert (ledger.documents, ledger.documents_quarantined) == (4, 0)
    assert (ledger.pages, ledger.indexed, ledger.blank, ledger.quarantined) == (6, 4, 1, 1)
    assert ledger.reasons == {"page_damaged": 1}
    lines = {line.document_key: [status[0] for status in line.statuses] for line in ledger_lines(workspace, corpus)}
    assert lines["inbox/register.TIFF"] == ["indexed", "blank", "indexed"]
    assert lines["inbox/torn.png"] == ["quarantined"]


def test_scanning_again_finds_nothing_new_and_ignores_other_kinds(workspace: Workspace) -> None:
    report = scan_inbox(workspace)
    assert (report.batches, report.unchanged, report.ignored) == ((), 4, {".gif": 1})


@pytest.mark.parametrize(
    ("name", "page_number", "lines"),
    [
        ("letter.png", 1, FERRY),
        ("register.TIFF", 1, WINDMILL),
        ("register.TIFF", 3, QUARRY),
        ("photo.jpg", 1, ORCHARD),
    ],
)
def test_each_page_is_found_with_its_text_and_leads_back_to_its_pixels(
    workspace: Workspace, tmp_path: Path, name: str, page_number: int, lines: tuple[str, ...]
) -> None:
    found = hit(workspace, name, page_number)
    assert " ".join(found.text.split()) == " ".join(lines)
    traced = trace(workspace, found.point_id)
    assert traced.holds and traced.present
    mark_page(workspace, traced, tmp_path / "marked.png")
    with Image.open(tmp_path / "marked.png") as image:
        marked = np.asarray(image.convert("RGB")).astype(int)
    height, width = marked.shape[:2]
    assert width < height, "the photograph stands upright"
    yellow = marked[:, :, 0] - marked[:, :, 2] > 60
    left, top, right, bottom = traced.words[0]["box"]
    middle = int((top + bottom) / 2 * height)
    assert yellow[middle, int(left * width) + 1 : int(right * width)].mean() > 0.3
    assert not yellow[: height // 25].any() and not yellow[height // 2 :].any(), "the letter is in the upper half"


def test_the_stored_images_give_the_recorded_pixels_again(workspace: Workspace) -> None:
    found = bytes_to_words(workspace, fold(workspace.home.manifests.all()))
    assert found.passed and "All 5 pages" in found.summary
