"""Only what changed is read: pages are taken over while the route that read them, and their inspection, stand."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from ragflow.model.fingerprints import fingerprint
from ragflow.model.reading import Effort, PageReading, PageStatus, Reason, Word
from ragflow.model.tables import PAGE_TEXTS, WORDS
from ragflow.ocr.options import ReadingOptions, Route, route_fingerprints
from ragflow.pipeline import kept_pages, ocr_text, raw_pdfs
from ragflow.pipeline.batch_checks import check_stage
from ragflow.pipeline.kept_pages import Earlier, Pages, Wanted
from ragflow.pipeline.ocr_text import ReadUnit, tabulate
from ragflow.pipeline.stages import OCR_TEXT, RAW_PDFS, StageReport
from ragflow.pipeline.workspace import Workspace
from ragflow.sample import write_scan_pdf
from ragflow.store.home import Home
from ragflow.store.rereads import Reread
from ragflow_tests.pipeline.archive import (
    ORCHARD,
    QUARRY,
    WINDMILL,
    edited,
    failed,
    flip,
    make_workspace,
    put,
    scan_inbox,
    settle,
    sha_of,
    table_path,
    tamper,
)

TEXT, SCAN = "inbox/text.pdf", "inbox/scan.pdf"
OPTIONS = ReadingOptions(engines=("text_layer", "tesseract"), dpi=150, workers=2)
AT = "2026-11-21T10:00:00+00:00"
TESSERACT = "tesseract_runs"


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """One batch, read: two pages with a text layer, one blank page, two scanned pages."""
    workspace = make_workspace(tmp_path_factory.mktemp("kept").resolve() / "home", reading=OPTIONS)
    put(workspace, "text.pdf", QUARRY, [], ORCHARD)
    scan = workspace.home.inbox / "scan.pdf"
    write_scan_pdf(scan, [[QUARRY], [WINDMILL]], dpi=150, seed=3)
    settle(scan)
    (batch,) = scan_inbox(workspace).batches
    raw_pdfs.materialize(workspace, batch)
    work = ocr_text.materialize(workspace, batch).work
    assert (work["pages_read"], work["pages_kept"], work["text_layer_runs"], work[TESSERACT]) == (5, 0, 2, 2)
    return workspace


@pytest.fixture
def read(template: Workspace, tmp_path: Path) -> Workspace:
    root = tmp_path.resolve() / "home"
    shutil.copytree(template.home.root, root)
    return replace(template, home=Home(root))


def batch_of(workspace: Workspace) -> str:
    (batch,) = workspace.home.manifests.batch_keys()
    return batch


def again(workspace: Workspace) -> StageReport:
    report = ocr_text.materialize(workspace, batch_of(workspace))
    assert failed(check_stage(workspace, OCR_TEXT, batch_of(workspace))) == {}
    return report


def rows(workspace: Workspace) -> dict[tuple[str, int], dict[str, Any]]:
    """Return (document key, page index) → row of ``page_texts``."""
    keys = {sha_of(workspace, key): key for key in (TEXT, SCAN)}
    table = workspace.home.tables.read(workspace.home.tables.get(OCR_TEXT, batch_of(workspace)), "page_texts")
    return {(keys[row["document_sha256"]], row["page_index"]): row for row in table.to_pylist()}


def ask(workspace: Workspace, key: str, page_index: int | None, effort: Effort = Effort.NORMAL, at: str = AT) -> None:
    workspace.home.rereads.add([Reread(sha_of(workspace, key), page_index, effort, "a test", at)])


def with_routes(patch: pytest.MonkeyPatch, **versions: str) -> None:
    """Give the route that is named a fingerprint of its own, as a change of an option would."""

    def changed(options: ReadingOptions, effort: Effort = Effort.NORMAL) -> dict[Route, str]:
        real = route_fingerprints(options, effort).items()
        return {route: fingerprint(real=old, version=versions.get(route, "")) for route, old in real}

    patch.setattr(kept_pages, "route_fingerprints", changed)


def test_every_page_says_how_it_was_read(template: Workspace) -> None:
    found = rows(template)
    routes = route_fingerprints(OPTIONS, Effort.NORMAL)
    assert {key: row["reading_fingerprint"] for key, row in found.items()} == {
        (TEXT, 0): routes[Route.TEXT_LAYER],
        (TEXT, 1): routes[Route.OCR],
        (TEXT, 2): routes[Route.TEXT_LAYER],
        (SCAN, 0): routes[Route.OCR],
        (SCAN, 1): routes[Route.OCR],
    }
    assert {row["effort"] for row in found.values()} == {"normal"}
    assert len({row["inspection_sha256"] for row in found.values()}) == 5
    assert found[TEXT, 0]["weak_share"] == 0.0 and found[TEXT, 0]["weakest_block"] == 1.0
    assert found[TEXT, 1]["weak_share"] is None and found[TEXT, 1]["weakest_block"] is None
    assert 0.0 < found[SCAN, 0]["weakest_block"] <= 1.0


@pytest.mark.parametrize(
    ("changed", "work"),
    [
        ("ocr", {"pages_read": 3, "pages_kept": 2, TESSERACT: 2, "text_layer_runs": 0}),
        ("text_layer", {"pages_read": 2, "pages_kept": 3, TESSERACT: 0, "text_layer_runs": 2}),
    ],
)
def test_a_change_of_one_route_leaves_the_pages_of_the_other_alone(
    read: Workspace, monkeypatch: pytest.MonkeyPatch, changed: str, work: dict[str, int]
) -> None:
    with_routes(monkeypatch)
    again(read)
    before = rows(read)
    with_routes(monkeypatch, **{changed: "another"})
    report = again(read)
    assert {name: report.work[name] for name in work} == work
    after = rows(read)
    moved = {key for key in before if before[key]["reading_fingerprint"] != after[key]["reading_fingerprint"]}
    assert len(moved) == work["pages_read"]
    assert {key: row["words_sha256"] for key, row in after.items()} == {
        key: row["words_sha256"] for key, row in before.items()
    }
    assert again(read).reused


def test_pages_that_are_all_kept_give_the_same_bytes(read: Workspace) -> None:
    """A request for a page of another content changes nothing; one for this batch changes what was asked."""
    record = read.home.tables.get(OCR_TEXT, batch_of(read))
    (read.home.tables.folder(OCR_TEXT, batch_of(read)) / "record.json").write_text(
        (read.home.tables.folder(OCR_TEXT, batch_of(read)) / "record.json")
        .read_text()
        .replace(record.fingerprint, "0" * 64)
    )
    report = again(read)
    assert (report.reused, report.work["pages_read"], report.work["pages_kept"]) == (False, 0, 5)
    assert report.record.output_sha256 == record.output_sha256


@pytest.mark.parametrize(("page", "count"), [(1, 1), (None, 2)])
def test_a_request_costs_the_pages_it_names_once(read: Workspace, page: int | None, count: int) -> None:
    before = read.home.tables.get(OCR_TEXT, batch_of(read))
    ask(read, SCAN, page)
    report = again(read)
    assert (report.work["pages_read"], report.work["pages_kept"], report.work[TESSERACT]) == (count, 5 - count, count)
    assert read.home.tables.read(report.record, "rereads").to_pylist() == [
        {"sha256": sha_of(read, SCAN), "page_index": page, "effort": "normal", "why": "a test", "at": AT}
    ]
    assert report.record.files["words"].sha256 == before.files["words"].sha256, "the engine says the same again"
    assert again(read).reused
    # The very same request once more is another request.
    ask(read, SCAN, page)
    assert again(read).work["pages_read"] == count


def test_a_request_that_came_before_the_first_reading_costs_nothing_more(read: Workspace) -> None:
    ask(read, SCAN, 0, Effort.THOROUGH)
    assert again(read).work["pages_read"] == 1
    ask(read, SCAN, 1, at="2026-11-21T11:00:00+00:00")
    report = again(read)
    assert (report.work["pages_read"], report.work["pages_kept"]) == (1, 4)
    assert rows(read)[SCAN, 0]["effort"] == "thorough", "the highest effort asked for holds"


def test_a_request_for_another_content_concerns_nobody_here(read: Workspace) -> None:
    read.home.rereads.add([Reread("e" * 64, 0, Effort.THOROUGH, "a test", AT)])
    assert again(read).reused


def test_a_page_that_inspection_sees_otherwise_is_read_again(read: Workspace) -> None:
    def wider(table: pa.Table) -> pa.Table:
        widths = table.column("width_pt").to_pylist()
        place = table.schema.get_field_index("width_pt")
        return table.set_column(place, table.schema.field(place), pa.array([widths[0] + 1, *widths[1:]], pa.float32()))

    tamper(read, RAW_PDFS, batch_of(read), "pages", wider, forge=True)
    report = again(read)
    assert (report.work["pages_read"], report.work["pages_kept"]) == (1, 4)


def test_a_page_that_no_longer_opens_is_not_kept(read: Workspace) -> None:
    tamper(read, RAW_PDFS, batch_of(read), "pages", edited("reason", {None: "page_damaged"}), forge=True)
    report = ocr_text.materialize(read, batch_of(read))
    assert (report.work["pages_read"], report.work["pages_kept"]) == (0, 0)
    assert {row["reason"] for row in rows(read).values()} == {"page_damaged"}


@pytest.mark.parametrize("table", ["page_texts", "words"])
def test_nothing_is_taken_over_from_damaged_tables(read: Workspace, table: str) -> None:
    flip(table_path(read, OCR_TEXT, batch_of(read), table))
    ask(read, SCAN, 0)
    report = again(read)
    assert (report.work["pages_read"], report.work["pages_kept"]) == (5, 0)


def test_nothing_is_taken_over_from_another_version_of_the_stage(
    read: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ocr_text, "CODE_VERSION", ocr_text.CODE_VERSION + 1)
    assert again(read).work["pages_read"] == 5


def test_figures_tell_what_kept_and_read_pages_have_in_common(read: Workspace) -> None:
    ask(read, SCAN, 1, Effort.THOROUGH)
    figures = again(read).record.figures
    assert (figures["pages"], figures["indexed"], figures["blank"]) == (5, 4, 1)
    assert figures["efforts"] == {"normal": 4, "thorough": 1}
    assert sum(figures["confidence_histogram"].values()) == 4
    assert sum(figures["weakest_block_histogram"].values()) == 2, "of the pages read by OCR"
    assert figures["engines"]["text_layer"] == 2
    assert 0.0 <= figures["weak_share"] <= 1.0


# What a thorough reading takes the place of.

ROUTES = {
    effort: {route: fingerprint(route=route, effort=effort) for route in Route}
    for effort in (Effort.NORMAL, Effort.THOROUGH)
}
SHA = "d" * 64
INSPECTED = {(SHA, index): "e" * 64 for index in range(4)}


def reading(text: str, confidence: float, page_index: int = 0) -> PageReading:
    words, start = [], 0
    for piece in text.split():
        start = text.index(piece, start)
        words.append(Word(piece, 0.1, 0.1, 0.2, 0.2, confidence, 0, 0, start, start + len(piece)))
    if not words:
        return PageReading(page_index, PageStatus.QUARANTINED, reason=Reason.NO_TEXT_FOUND)
    return PageReading(page_index, PageStatus.INDEXED, engine="tesseract", text=text, words=tuple(words))


def pages_of(effort: Effort, readings: Iterable[PageReading], **changes: Any) -> Pages:
    texts, words = [], []
    for one in readings:
        row, table = tabulate(SHA, one, effort, ROUTES[effort])
        texts.append({**row, "inspection_sha256": "e" * 64, **changes})
        words.append(table)
    return Pages.together([pa.Table.from_pylist(texts, schema=PAGE_TEXTS)], words)


def wanted(effort: Effort) -> Wanted:
    return Wanted((Reread(SHA, None, effort, "a test", AT),), ROUTES)


def better_of(before: Pages, after: Pages, effort: Effort = Effort.THOROUGH) -> list[tuple[int, str, str, str]]:
    """Return (page, text, effort, fingerprint) of what counts, in order of the pages."""
    fresh, standing = Earlier(before, ()).better_of(after, wanted(effort), INSPECTED)
    both = Pages.together([fresh.texts, standing.texts], [fresh.words, standing.words])
    for number, count in enumerate(both.texts.column("word_count").to_pylist()):
        alone = both.select(np.arange(both.texts.num_rows) == number)
        assert alone.words.num_rows == count
        assert " ".join(alone.words.column("text").to_pylist()) == alone.texts.column("text")[0].as_py()
    return [
        (row["page_index"], row["text"], row["effort"], row["reading_fingerprint"])
        for row in both.rows(["text", "effort", "reading_fingerprint"])
    ]


def test_the_better_reading_counts_page_by_page() -> None:
    before = pages_of(
        Effort.NORMAL,
        [reading("old and sure", 0.9, 0), reading("old", 0.5, 1), reading("same", 0.7, 2), reading("", 0.0, 3)],
    )
    after = pages_of(
        Effort.THOROUGH,
        [
            reading("new but unsure", 0.3, 0),
            reading("new text", 0.6, 1),
            reading("same", 0.7, 2),
            reading("new", 0.1, 3),
        ],
    )
    mark = ("thorough", ROUTES[Effort.THOROUGH][Route.OCR])
    assert better_of(before, after) == [
        (0, "old and sure", *mark),
        (1, "new text", *mark),
        (2, "same", *mark),
        (3, "new", *mark),
    ]


def test_a_thorough_reading_that_finds_nothing_leaves_the_words_that_stand() -> None:
    before = pages_of(Effort.NORMAL, [reading("old", 0.2)])
    assert [text for _, text, *_ in better_of(before, pages_of(Effort.THOROUGH, [reading("", 0.0)]))] == ["old"]
    # Both found nothing: the newer reason is told.
    nothing = pages_of(Effort.NORMAL, [reading("", 0.0)], reason="timed_out")
    fresh, standing = Earlier(nothing, ()).better_of(
        pages_of(Effort.THOROUGH, [reading("", 0.0)]), wanted(Effort.THOROUGH), INSPECTED
    )
    assert fresh.texts.column("reason").to_pylist() == ["no_text_found"] and standing.texts.num_rows == 0


@pytest.mark.parametrize("changes", [{"reading_fingerprint": "0" * 64}, {"inspection_sha256": "0" * 64}])
def test_words_that_would_not_come_out_again_are_no_measure(changes: dict[str, str]) -> None:
    before = pages_of(Effort.NORMAL, [reading("old and sure", 0.9)], **changes)
    after = pages_of(Effort.THOROUGH, [reading("new", 0.3)])
    assert [text for _, text, *_ in better_of(before, after)] == ["new"]


def test_a_normal_reading_asked_for_again_counts_whatever_it_says() -> None:
    before = pages_of(Effort.NORMAL, [reading("old and sure", 0.9)])
    after = pages_of(Effort.NORMAL, [reading("new", 0.3)])
    assert [text for _, text, *_ in better_of(before, after, Effort.NORMAL)] == ["new"]


def test_words_that_stood_after_a_thorough_reading_stand_after_the_next() -> None:
    before = pages_of(Effort.THOROUGH, [reading("old and sure", 0.9)])
    assert [text for _, text, *_ in better_of(before, pages_of(Effort.THOROUGH, [reading("new", 0.3)]))] == [
        "old and sure"
    ]


def test_a_split_unit_reads_each_page_with_its_effort() -> None:
    unit = ReadUnit(
        parts=(("a" * 64, (0, 2)), ("b" * 64, (1,))),
        efforts=(Effort.NORMAL, Effort.THOROUGH),
        blobs=("a", "b"),
        options=OPTIONS,
        fingerprints=ROUTES,
        folder="x",
    )
    assert [(one.parts[0][1], one.efforts, one.blobs) for one in unit.split()] == [
        ((0,), (Effort.NORMAL,), ("a",)),
        ((2,), (Effort.NORMAL,), ("a",)),
        ((1,), (Effort.THOROUGH,), ("b",)),
    ]
    assert replace(unit, efforts=(Effort.NORMAL, Effort.NORMAL)).name != unit.name
    assert unit.seconds == 30.0 + OPTIONS.page_seconds * (2 + len(OPTIONS.engines))


def test_no_pages_have_the_tables_that_pages_have() -> None:
    assert kept_pages.NO_PAGES.texts.schema.equals(PAGE_TEXTS) and kept_pages.NO_PAGES.words.schema.equals(WORDS)
    nothing = Pages.together([], [])
    assert (nothing.texts.num_rows, nothing.words.num_rows) == (0, 0)
