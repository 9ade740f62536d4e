"""Stage ``ocr_text``: every page of the batch gets its words, or the reason why it has none.

Only pages that changed, or that somebody asked to read again, are read: the others are taken over from the tables that
stand (:mod:`ragflow.pipeline.kept_pages`). Pages are read in a pool of worker processes, in *units* of a few pages.
Each unit's result is written by its worker as soon as it is there, so a run that is killed goes on where it was.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from ragflow.model.fingerprints import fingerprint, sha256_text
from ragflow.model.reading import REASON_TEXT, Effort, PageReading, PageStatus, Reason
from ragflow.model.tables import PAGE_TEXTS, WORDS
from ragflow.model.words import confidence_of, words_sha256, words_table
from ragflow.ocr import reader
from ragflow.ocr.options import ReadingOptions, Route
from ragflow.ocr.passwords import load_passwords
from ragflow.ocr.pool import TaskFailure
from ragflow.pipeline.kept_pages import (
    PageKey,
    Pages,
    Wanted,
    earlier_pages,
    inspection_sha256,
    route_of,
    wanted,
    with_column,
)
from ragflow.pipeline.page_figures import page_figures
from ragflow.pipeline.progress import report
from ragflow.pipeline.stages import OCR_TEXT, RAW_PDFS, StageReport, StageResult, run_stage
from ragflow.pipeline.workspace import Workspace
from ragflow.store.atomic import replacing
from ragflow.store.tables import TableRecord

CODE_VERSION = 2
TEXT_LAYER_UNIT = 24
"""Pages with a text layer read in one go: some hundred milliseconds."""
OCR_UNIT = 4
"""Pages without a text layer read in one go: some seconds."""
THOROUGH_UNIT = 1
"""Pages read with every engine in one go: up to a minute."""


def expected_fingerprint(workspace: Workspace, raw: TableRecord) -> str:
    return _fingerprint(raw, wanted(workspace, raw))


def _fingerprint(raw: TableRecord, asked: Wanted) -> str:
    return fingerprint(asset=OCR_TEXT, code=CODE_VERSION, raw=raw.output_sha256, **asked.parts())


def materialize(workspace: Workspace, batch: str) -> StageReport:
    """Read the pages of every content at home in the batch.

    Tables: ``page_texts`` (one row per page), ``words`` (one row per word), and ``rereads`` if there were requests to
    read something again.

    Raises:
        IncompleteError: ``raw_pdfs`` is missing for the batch.
        DependencyMissingError: an OCR engine or a language pack is not installed.
    """
    raw = workspace.home.tables.get(RAW_PDFS, batch)
    # Taken once: a request that comes in while the stage runs makes the batch stale again.
    asked = wanted(workspace, raw)
    expected = _fingerprint(raw, asked)
    return run_stage(workspace, OCR_TEXT, batch, expected, lambda: _work(workspace, raw, asked, expected))


@dataclass(frozen=True, slots=True)
class ReadUnit:
    """Pages for one worker.

    Attributes:
        parts: (content hash, page indexes) of one document or of several small ones.
        efforts: for each part, how hard its pages are read.
        blobs: for each part, the path of its bytes.
        fingerprints: effort → route → fingerprint, to be noted with each page.
        folder: where to write the result.
    """

    parts: tuple[tuple[str, tuple[int, ...]], ...]
    efforts: tuple[Effort, ...]
    blobs: tuple[str, ...]
    options: ReadingOptions
    fingerprints: Mapping[Effort, Mapping[Route, str]]
    folder: str

    @property
    def name(self) -> str:
        return fingerprint(parts=self.parts, efforts=self.efforts)[:24]

    @property
    def page_count(self) -> int:
        return sum(len(pages) for _, pages in self.parts)

    @property
    def seconds(self) -> float:
        """Wall-clock limit: generous, for a worker that hangs; an engine keeps to its own limit for each page."""
        turns = (len(self.options.engines) if effort is Effort.THOROUGH else 1 for effort in self.efforts)
        pages = sum(len(pages) * turn for (_, pages), turn in zip(self.parts, turns, strict=True))
        return 30.0 + self.options.page_seconds * pages

    def split(self) -> list[ReadUnit]:
        """Return one unit per page."""
        return [
            replace(self, parts=((sha, (page,)),), efforts=(effort,), blobs=(blob,))
            for (sha, pages), effort, blob in zip(self.parts, self.efforts, self.blobs, strict=True)
            for page in pages
        ]


def read_unit(unit: ReadUnit) -> dict[str, int]:
    """Run in a worker process: read the unit's pages and write them down; return engine → pages it really ran on."""
    runs: Counter[str] = Counter()
    texts: list[dict[str, Any]] = []
    words: list[pa.Table] = []
    passwords = load_passwords(unit.options.passwords_file)
    for (sha256, pages), effort, blob in zip(unit.parts, unit.efforts, unit.blobs, strict=True):
        result = reader.read_unit(Path(blob), pages, unit.options, passwords=passwords, effort=effort)
        runs.update(result.engine_runs)
        for reading in result.pages:
            row, table = tabulate(sha256, reading, effort, unit.fingerprints[effort])
            texts.append(row)
            words.append(table)
    _write_unit(Path(unit.folder), unit.name, texts, words)
    return dict(runs)


def tabulate(
    sha256: str, reading: PageReading, effort: Effort, fingerprints: Mapping[Route, str]
) -> tuple[dict[str, Any], pa.Table]:
    """Return a page's row of ``page_texts``, but for the hash of its inspection, and its rows of ``words``.

    Args:
        effort: what was asked for.
        fingerprints: route → fingerprint, for this effort.
    """
    table = words_table(sha256, reading.page_index, reading.words, reading.opinions)
    confidence = confidence_of(reading.words)
    return {
        "document_sha256": sha256,
        "page_index": reading.page_index,
        "status": reading.status,
        "reason": reading.reason,
        "detail": reading.detail or (REASON_TEXT[reading.reason] if reading.reason else None),
        "engine": reading.engine,
        "language": reading.language,
        "text": reading.text,
        "text_sha256": sha256_text(reading.text),
        "word_count": len(reading.words),
        "words_sha256": words_sha256(table),
        "headings": list(reading.headings),
        "confidence": confidence.mean if confidence else None,
        "raster_sha256": reading.raster_sha256,
        "raster_dpi": reading.raster_dpi,
        "reading_fingerprint": fingerprints[route_of(reading.engine)],
        "inspection_sha256": None,
        "effort": effort,
        "layer_distrust": reading.layer_distrust,
        "orientation": reading.orientation,
        "skew": reading.skew,
        "disagreement": reading.disagreement,
        "reread_regions": reading.reread_regions,
        "weakest_block": confidence.weakest_block if confidence else None,
        "weak_share": confidence.weak_share if confidence else None,
    }, table


def _write_unit(folder: Path, name: str, texts: Sequence[dict[str, Any]], words: Sequence[pa.Table]) -> None:
    # The page texts are written last: where they are, the words are.
    _write_ipc(folder / f"{name}.words.arrow", pa.concat_tables(words) if words else WORDS.empty_table())
    _write_ipc(folder / f"{name}.texts.arrow", pa.Table.from_pylist(list(texts), schema=PAGE_TEXTS))


def _write_ipc(path: Path, table: pa.Table) -> None:
    with (
        replacing(path, durable=False) as temporary,
        pa.OSFile(str(temporary), "wb") as sink,
        pa.ipc.new_file(sink, table.schema) as writer,
    ):
        writer.write_table(table)


def _read_ipc(path: Path) -> pa.Table:
    with pa.OSFile(str(path), "rb") as source:
        return pa.ipc.open_file(source).read_all()


def _work(workspace: Workspace, raw: TableRecord, asked: Wanted, expected: str) -> StageResult:
    folder = workspace.home.tables.partial(OCR_TEXT, raw.batch, expected)
    folder.mkdir(parents=True, exist_ok=True)
    inspections = workspace.home.tables.read(raw, "pages").to_pylist()
    documents = workspace.home.tables.read(raw, "documents").to_pylist()
    names = {row["document_sha256"]: row["document_key"] for row in documents}
    inspected = {(row["document_sha256"], row["page_index"]): inspection_sha256(row) for row in inspections}
    readable = {(row["document_sha256"], row["page_index"]) for row in inspections if row["reason"] is None}
    earlier = earlier_pages(workspace, raw.batch, CODE_VERSION)
    kept = earlier.kept(asked, {key: inspected[key] for key in readable})
    stand = {(row["document_sha256"], row["page_index"]) for row in kept.rows([])}
    missing = [row for row in inspections if (row["document_sha256"], row["page_index"]) in readable - stand]
    units = list(_plan(workspace, missing, asked, str(folder)))
    todo = [unit for unit in units if not (folder / f"{unit.name}.texts.arrow").exists()]
    report("read pages", 0, sum(unit.page_count for unit in units))
    written, runs = _read_all(workspace, units, todo)
    fresh = Pages.together(
        [_read_ipc(folder / f"{name}.texts.arrow") for name in written],
        [_read_ipc(folder / f"{name}.words.arrow") for name in written],
    )
    better, standing = earlier.better_of(fresh, asked, inspected)
    closed = [
        tabulate(sha, reading, effort, asked.fingerprints[effort])[0]
        for sha, reading in _unreadable(raw.batch, documents, inspections)
        for effort in (asked.effort(sha, reading.page_index),)
    ]
    pages = Pages.together(
        [kept.texts, better.texts, standing.texts, pa.Table.from_pylist(closed, schema=PAGE_TEXTS)],
        [kept.words, better.words, standing.words],
    )
    texts = _with_inspections(pages.texts, inspected)
    work = {
        "pages_read": sum(unit.page_count for unit in todo),
        "pages_kept": kept.texts.num_rows,
        **{f"{engine}_runs": count for engine, count in sorted(runs.items())},
        "pages_resumed": sum(unit.page_count for unit in units) - sum(unit.page_count for unit in todo),
        "readings_worse": standing.texts.num_rows,
    }
    return StageResult(
        tables={
            "page_texts": texts,
            "words": pages.words,
            **({"rereads": asked.table()} if asked.requests else {}),
        },
        figures={"code_version": CODE_VERSION, **page_figures(texts, names)},
        work=work,
    )


def _with_inspections(texts: pa.Table, inspected: Mapping[PageKey, str]) -> pa.Table:
    keys = texts.select(["document_sha256", "page_index"]).to_pylist()
    hashes = [inspected.get((row["document_sha256"], row["page_index"])) for row in keys]
    return with_column(texts, "inspection_sha256", hashes)


def _plan(workspace: Workspace, pages: Sequence[dict[str, Any]], asked: Wanted, folder: str) -> Iterator[ReadUnit]:
    """Cut pages into units; the same pages always give the same units."""

    def unit(parts: Sequence[tuple[str, tuple[int, ...]]], effort: Effort) -> ReadUnit:
        blobs = tuple(str(workspace.home.blobs.path(sha)) for sha, _ in parts)
        efforts = (effort,) * len(parts)
        return ReadUnit(tuple(parts), efforts, blobs, workspace.reading, asked.fingerprints, folder)

    by_kind: dict[tuple[int, str, Effort], list[int]] = {}
    for page in pages:
        sha, index = page["document_sha256"], page["page_index"]
        effort = asked.effort(sha, index)
        step = THOROUGH_UNIT if effort is Effort.THOROUGH else TEXT_LAYER_UNIT if page["has_text_layer"] else OCR_UNIT
        by_kind.setdefault((step, sha, effort), []).append(index)
    open_parts: list[tuple[str, tuple[int, ...]]] = []
    room = TEXT_LAYER_UNIT
    # Pages that take longest first: the short units fill the gaps at the end.
    for (step, sha, effort), indexes in sorted(by_kind.items()):
        for start in range(0, len(indexes), step):
            part = (sha, tuple(sorted(indexes)[start : start + step]))
            if step != TEXT_LAYER_UNIT or len(part[1]) == step:
                yield unit([part], effort)
                continue
            if len(part[1]) > room:
                yield unit(open_parts, effort)
                open_parts, room = [], TEXT_LAYER_UNIT
            open_parts.append(part)
            room -= len(part[1])
    if open_parts:
        yield unit(open_parts, Effort.NORMAL)


def _read_all(
    workspace: Workspace, units: Sequence[ReadUnit], todo: Sequence[ReadUnit]
) -> tuple[list[str], Counter[str]]:
    """Read the units that are still to do; return the names of all results, in order, and engine → runs.

    A unit that fails is read again page by page; a page that fails alone is quarantined.
    """
    total = sum(unit.page_count for unit in units)
    done = total - sum(unit.page_count for unit in todo)
    failed: dict[str, list[ReadUnit]] = {}
    runs: Counter[str] = Counter()

    def seconds(unit: ReadUnit) -> float:
        return unit.seconds

    for unit, result in workspace.pool().map(read_unit, todo, seconds=seconds):
        if isinstance(result, TaskFailure):
            failed[unit.name] = unit.split()
        else:
            runs.update(result)
            done += unit.page_count
            report("read pages", done, total)
    singles = [single for pages in failed.values() for single in pages]
    for unit, result in workspace.pool().map(read_unit, singles, seconds=seconds):
        if isinstance(result, TaskFailure):
            (sha, (page,)), *_ = unit.parts
            (effort,) = unit.efforts
            reading = _quarantined(page, result.reason, result.detail)
            row, table = tabulate(sha, reading, effort, unit.fingerprints[effort])
            _write_unit(Path(unit.folder), unit.name, [row], [table])
        else:
            runs.update(result)
        done += 1
        report("read pages", done, total)
    return [single.name for unit in units for single in failed.get(unit.name, [unit])], runs


def _quarantined(page_index: int, reason: Reason, detail: str | None) -> PageReading:
    return PageReading(page_index=page_index, status=PageStatus.QUARANTINED, reason=reason, detail=detail)


def _unreadable(
    batch: str, documents: Iterable[dict[str, Any]], pages: Iterable[dict[str, Any]]
) -> Iterator[tuple[str, PageReading]]:
    """Yield a quarantined page for each page that does not open, and one for each document that does not."""
    closed = {
        row["document_sha256"]: row
        for row in documents
        if row["status"] == "quarantined" and row["document_sha256"] and row["home_batch"] == batch
    }
    for sha, row in closed.items():
        yield sha, _quarantined(0, Reason(row["reason"]), row["detail"])
    for page in pages:
        if page["reason"] is not None:
            yield page["document_sha256"], _quarantined(page["page_index"], Reason(page["reason"]), page["detail"])
