"""Stage ``ocr_text``: every page of the batch gets its words, or the reason why it has none.

Pages are read in a pool of worker processes, in *units* of a few pages. Each unit's result is written by its worker
as soon as it is there, so a run that is killed goes on where it was.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ragflow.model.fingerprints import fingerprint, sha256_text
from ragflow.model.reading import REASON_TEXT, PageReading, PageStatus, Reason
from ragflow.model.tables import PAGE_TEXTS, WORDS
from ragflow.model.words import words_sha256, words_table
from ragflow.ocr import reader
from ragflow.ocr.options import ReadingOptions
from ragflow.ocr.options import fingerprint_parts as reading_fingerprint_parts
from ragflow.ocr.pool import TaskFailure
from ragflow.pipeline.progress import report
from ragflow.pipeline.stages import OCR_TEXT, RAW_PDFS, StageReport, StageResult, run_stage
from ragflow.pipeline.workspace import Workspace
from ragflow.store.atomic import replacing
from ragflow.store.tables import TableRecord

CODE_VERSION = 1
TEXT_LAYER_UNIT = 24
"""Pages with a text layer read in one go: some hundred milliseconds."""
OCR_UNIT = 4
"""Pages without a text layer read in one go: some seconds."""


def expected_fingerprint(workspace: Workspace, raw: TableRecord) -> str:
    return fingerprint(
        asset=OCR_TEXT, code=CODE_VERSION, raw=raw.output_sha256, reading=reading_fingerprint_parts(workspace.reading)
    )


def materialize(workspace: Workspace, batch: str) -> StageReport:
    """Read the pages of every content at home in the batch.

    Tables: ``page_texts`` (one row per page) and ``words`` (one row per word).

    Raises:
        IncompleteError: ``raw_pdfs`` is missing for the batch.
        DependencyMissingError: Tesseract or a language pack is not installed.
    """
    raw = workspace.home.tables.get(RAW_PDFS, batch)
    expected = expected_fingerprint(workspace, raw)
    return run_stage(workspace, OCR_TEXT, batch, expected, lambda: _work(workspace, raw, expected))


@dataclass(frozen=True, slots=True)
class ReadUnit:
    """Pages for one worker.

    Attributes:
        parts: (content hash, page indexes) of one document or of several small ones.
        blobs: content hash → path of its bytes.
        folder: where to write the result.
    """

    parts: tuple[tuple[str, tuple[int, ...]], ...]
    blobs: tuple[str, ...]
    options: ReadingOptions
    folder: str

    @property
    def name(self) -> str:
        return fingerprint(parts=self.parts)[:24]

    @property
    def page_count(self) -> int:
        return sum(len(pages) for _, pages in self.parts)

    def split(self) -> list[ReadUnit]:
        """Return one unit per page."""
        return [
            replace(self, parts=((sha, (page,)),), blobs=(blob,))
            for (sha, pages), blob in zip(self.parts, self.blobs, strict=True)
            for page in pages
        ]


def read_unit(unit: ReadUnit) -> dict[str, int]:
    """Run in a worker process: read the unit's pages and write them down; return engine → pages it really ran on."""
    runs: Counter[str] = Counter()
    texts: list[dict[str, Any]] = []
    words: list[pa.Table] = []
    for (sha256, pages), blob in zip(unit.parts, unit.blobs, strict=True):
        result = reader.read_unit(Path(blob), pages, unit.options)
        runs.update(result.engine_runs)
        for reading in result.pages:
            row, table = tabulate(sha256, reading)
            texts.append(row)
            words.append(table)
    _write_unit(Path(unit.folder), unit.name, texts, words)
    return dict(runs)


def tabulate(sha256: str, reading: PageReading) -> tuple[dict[str, Any], pa.Table]:
    """Return a page's row of ``page_texts`` and its rows of ``words``."""
    table = words_table(sha256, reading.page_index, reading.words)
    letters = sum(len(word.text) for word in reading.words)
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
        "confidence": sum(w.confidence * len(w.text) for w in reading.words) / letters if letters else None,
        "raster_sha256": reading.raster_sha256,
        "raster_dpi": reading.raster_dpi,
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


def _work(workspace: Workspace, raw: TableRecord, expected: str) -> StageResult:
    folder = workspace.home.tables.partial(OCR_TEXT, raw.batch, expected)
    folder.mkdir(parents=True, exist_ok=True)
    pages = workspace.home.tables.read(raw, "pages").to_pylist()
    documents = workspace.home.tables.read(raw, "documents").to_pylist()
    units = list(_plan(workspace, pages, str(folder)))
    todo = [unit for unit in units if not (folder / f"{unit.name}.texts.arrow").exists()]
    report("read pages", 0, sum(unit.page_count for unit in units))
    written, runs = _read_all(workspace, units, todo)
    readings = list(_unreadable(raw.batch, documents, pages))
    texts = [_read_ipc(folder / f"{name}.texts.arrow") for name in written]
    words = [_read_ipc(folder / f"{name}.words.arrow") for name in written]
    if readings:
        texts.append(pa.Table.from_pylist([tabulate(sha, reading)[0] for sha, reading in readings], schema=PAGE_TEXTS))
    text_table = _sorted(texts, PAGE_TEXTS, ["document_sha256", "page_index"])
    word_table = _sorted(words, WORDS, ["document_sha256", "page_index", "word_index"])
    return StageResult(
        tables={"page_texts": text_table, "words": word_table},
        figures=page_figures(text_table),
        work={
            "pages_read": sum(unit.page_count for unit in todo),
            **{f"{engine}_runs": count for engine, count in sorted(runs.items())},
            "pages_resumed": sum(unit.page_count for unit in units) - sum(unit.page_count for unit in todo),
        },
    )


def _sorted(tables: Sequence[pa.Table], schema: pa.Schema, keys: Sequence[str]) -> pa.Table:
    table = pa.concat_tables(tables) if tables else schema.empty_table()
    return table.take(pc.sort_indices(table, sort_keys=[(key, "ascending") for key in keys]))


def page_figures(texts: pa.Table) -> dict[str, Any]:
    """Return counts by status, reason, engine and language, a confidence histogram, and the mean confidence."""
    statuses = Counter(texts.column("status").to_pylist())
    confidences = [value for value in texts.column("confidence").to_pylist() if value is not None]
    histogram = Counter(min(int(value * 10), 9) for value in confidences)
    return {
        "pages": texts.num_rows,
        "indexed": statuses[PageStatus.INDEXED],
        "blank": statuses[PageStatus.BLANK],
        "quarantined": statuses[PageStatus.QUARANTINED],
        "reasons": dict(Counter(value for value in texts.column("reason").to_pylist() if value)),
        "engines": dict(Counter(value for value in texts.column("engine").to_pylist() if value)),
        "languages": dict(Counter(value for value in texts.column("language").to_pylist() if value)),
        "words": sum(texts.column("word_count").to_pylist()),
        "confidence_histogram": {f"{tenth / 10:.1f}": histogram[tenth] for tenth in range(10)},
        "confidence": round(sum(confidences) / len(confidences), 4) if confidences else None,
    }


def _plan(workspace: Workspace, pages: Sequence[dict[str, Any]], folder: str) -> Iterator[ReadUnit]:
    """Cut the readable pages into units; the same pages always give the same units."""

    def unit(parts: Sequence[tuple[str, tuple[int, ...]]]) -> ReadUnit:
        blobs = tuple(str(workspace.home.blobs.path(sha)) for sha, _ in parts)
        return ReadUnit(tuple(parts), blobs, workspace.reading, folder)

    by_kind: dict[tuple[str, bool], list[int]] = {}
    for page in pages:
        if page["reason"] is None:
            by_kind.setdefault((page["document_sha256"], page["has_text_layer"]), []).append(page["page_index"])
    open_parts: list[tuple[str, tuple[int, ...]]] = []
    room = TEXT_LAYER_UNIT
    # Pages that need OCR first: they take longest, and the short units fill the gaps at the end.
    for (sha, has_text_layer), indexes in sorted(by_kind.items(), key=lambda entry: (entry[0][1], entry[0][0])):
        step = TEXT_LAYER_UNIT if has_text_layer else OCR_UNIT
        for start in range(0, len(indexes), step):
            part = (sha, tuple(sorted(indexes)[start : start + step]))
            if not has_text_layer or len(part[1]) == step:
                yield unit([part])
                continue
            if len(part[1]) > room:
                yield unit(open_parts)
                open_parts, room = [], TEXT_LAYER_UNIT
            open_parts.append(part)
            room -= len(part[1])
    if open_parts:
        yield unit(open_parts)


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
        return 30.0 + unit.options.page_seconds * unit.page_count

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
            row, table = tabulate(sha, _quarantined(page, result.reason, result.detail))
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
