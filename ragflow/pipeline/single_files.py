"""Use case ``ragflow ocr``: documents into text files, without an archive.

Every file is looked at first (hash, pages), then all pages are read in the worker pool, in units that several small
files share. A document's outputs are written as soon as its last page is read, so that a command that is ended early
goes on from there when it is run again.
"""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ragflow.errors import BadInputError, UsageError
from ragflow.model.fingerprints import fingerprint
from ragflow.model.reading import PageReading, PageStatus, Reason
from ragflow.ocr import reader
from ragflow.ocr.options import TEXT_LAYER, ReadingOptions, route_fingerprints
from ragflow.ocr.passwords import load_passwords
from ragflow.ocr.pool import TaskFailure
from ragflow.pipeline.progress import report
from ragflow.pipeline.reading_output import (
    document_text,
    json_path,
    output_names,
    page_json,
    printed_text,
    shown,
    text_is_as_written,
    text_path,
    write_outputs,
    written_header,
)
from ragflow.pipeline.single_inputs import Input, Look, Problem, find_inputs, look_at, mark_of, spare_inputs
from ragflow.pipeline.workspace import Workspace

OCR_COST = 6
"""A page that is read by OCR counts as so many pages that carry their text."""
UNIT_COST = 24
"""Most that one unit costs: four pages for OCR."""


@dataclass(frozen=True, slots=True)
class PageResult:
    """What the command itself needs to know of a page; the rest lies in the page's file in the work folder."""

    page_index: int
    status: PageStatus
    reason: Reason | None
    engine: str | None
    text: str
    words: int
    letters: int
    confidence_sum: float


@dataclass(frozen=True, slots=True)
class FileReport:
    """What became of one input.

    Attributes:
        path: the input, printable.
        text, json: what was written, or was there already; None if there is nothing to write.
        kept: the outputs of an earlier run were made from the same bytes with the same settings.
        problem: reason and detail if the document as a whole could not be read.
        pages: status → number; ``reasons``: reason → number, ``engines``: engine → number.
        confidence: mean over the letters; None without words.
    """

    path: str
    sha256: str | None = None
    text: Path | None = None
    json: Path | None = None
    kept: bool = False
    problem: Problem | None = None
    pages: Mapping[str, int] = field(default_factory=dict)
    reasons: Mapping[str, int] = field(default_factory=dict)
    engines: Mapping[str, int] = field(default_factory=dict)
    words: int = 0
    confidence: float | None = None

    @property
    def complete(self) -> bool:
        """Whether every page was read or is blank."""
        return self.problem is None and not self.pages.get(PageStatus.QUARANTINED)


@dataclass(frozen=True, slots=True)
class OcrReport:
    """What a run did: one report per input, in order; files passed over, by kind; engine → pages it really ran on."""

    files: tuple[FileReport, ...]
    ignored: Mapping[str, int]
    engine_runs: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class ReadUnit:
    """Pages for one worker: (number of the input, path, page indexes), and where to write them."""

    parts: tuple[tuple[int, str, tuple[int, ...]], ...]
    options: ReadingOptions
    folder: str

    @property
    def page_count(self) -> int:
        return sum(len(pages) for _, _, pages in self.parts)

    @property
    def seconds(self) -> float:
        return 30.0 + self.options.page_seconds * self.page_count

    def split(self) -> list[ReadUnit]:
        """Return one unit per page."""
        return [replace(self, parts=((number, path, (page,)),)) for number, path, pages in self.parts for page in pages]


def read_files(workspace: Workspace, paths: Sequence[Path], out: Path, *, force: bool = False) -> OcrReport:
    """Read documents and write ``out/<name>.txt`` and ``.json`` for each; see :mod:`ragflow.pipeline.reading_output`.

    Files below a folder argument keep their sub-folders. A pair of outputs that was made from the same bytes with the
    same settings is kept; any other file in the way is an error, before anything is read or written.

    Args:
        paths: files, and folders of documents.
        force: read everything, and replace what is in the way. A document that cannot be read loses its old outputs.

    Raises:
        BadInputError: there is nothing to read, or an output cannot be written.
        UsageError: outputs are in the way.
        DependencyMissingError: an engine needs something that is not installed.
    """
    inputs, ignored = find_inputs(paths)
    reading = fingerprint(**{route.value: made for route, made in route_fingerprints(workspace.reading).items()})
    bases = [out.absolute() / name for name in output_names([one.wanted for one in inputs])]
    spare_inputs(inputs, bases)
    looks = look_at(workspace, inputs)
    reports: list[FileReport | None] = [None] * len(inputs)
    todo: list[int] = []
    in_the_way: list[Path] = []
    for number, (one, base, look) in enumerate(zip(inputs, bases, looks, strict=True)):
        header = written_header(base)
        if not isinstance(look, Look):
            reports[number] = FileReport(shown(one.path), problem=look)
            if force and header is not None:
                _remove_outputs(base, header)
            continue
        ours = header is not None and (header["document"].get("sha256"), header.get("fingerprint")) == (
            look.sha256,
            reading,
        )
        if header is not None and ours and not force and text_is_as_written(base, header):
            reports[number] = _kept(one, base, header)
            continue
        todo.append(number)
        # Without its text, the JSON is what a run left that was ended between the two.
        if not force and not (ours and not os.path.lexists(text_path(base))):
            in_the_way += [path for path in (text_path(base), json_path(base)) if os.path.lexists(path)]
    if in_the_way:
        more = f" and {len(in_the_way) - 1} more" if len(in_the_way) > 1 else ""
        raise UsageError(
            f"{in_the_way[0]}{more} would be overwritten: made from other bytes or with other settings, or not by"
            " `ragflow ocr`.",
            remedy="Name another folder with --out, or replace them with --force. Nothing was read or written.",
        )
    run = _Run(workspace, inputs, bases, looks, reading)
    run.read(todo, reports)
    return OcrReport(tuple(one for one in reports if one is not None), ignored, dict(sorted(run.engine_runs.items())))


def read_unit(unit: ReadUnit) -> tuple[list[tuple[int, PageResult]], dict[str, int]]:
    """Run in a worker process: read the unit's pages, write each as JSON; return the rest, and engine → runs."""
    results = []
    runs: Counter[str] = Counter()
    passwords = load_passwords(unit.options.passwords_file)
    for number, path, pages in unit.parts:
        result = reader.read_unit(Path(path), pages, unit.options, passwords=passwords)
        runs.update(result.engine_runs)
        results += [(number, write_page(Path(unit.folder), number, reading)) for reading in result.pages]
    return results, dict(runs)


def write_page(folder: Path, number: int, reading: PageReading) -> PageResult:
    """Write a page of an input as JSON into the work folder."""
    page_file(folder, number, reading.page_index).write_bytes(page_json(reading))
    return PageResult(
        page_index=reading.page_index,
        status=reading.status,
        reason=reading.reason,
        engine=reading.engine,
        text=printed_text(reading),
        words=len(reading.words),
        letters=sum(len(word.text) for word in reading.words),
        confidence_sum=sum(word.confidence * len(word.text) for word in reading.words),
    )


def page_file(folder: Path, number: int, page_index: int) -> Path:
    return folder / f"{number}-{page_index}.json"


class _Run:
    """The reading of the files that are to be read."""

    def __init__(
        self,
        workspace: Workspace,
        inputs: Sequence[Input],
        bases: Sequence[Path],
        looks: Sequence[Look | Problem],
        reading: str,
    ) -> None:
        self.engine_runs: Counter[str] = Counter()
        self._workspace = workspace
        self._inputs = inputs
        self._bases = bases
        self._looks = {number: look for number, look in enumerate(looks) if isinstance(look, Look)}
        self._reading = reading

    def read(self, todo: Sequence[int], reports: list[FileReport | None]) -> None:
        """Read the inputs of these numbers, and put their reports in place."""
        with tempfile.TemporaryDirectory(prefix="ragflow-ocr-") as name:
            folder = Path(name)
            read: dict[int, dict[int, PageResult]] = {number: {} for number in todo}
            for number in todo:
                for page in self._looks[number].inspection.pages:
                    if page.reason is not None:
                        closed = _quarantined(page.page_index, page.reason, page.detail)
                        read[number][page.page_index] = write_page(folder, number, closed)
                self._finish_if_complete(folder, number, read, reports)
            for number, result in self._pages(folder, list(self._plan(todo, folder))):
                read[number][result.page_index] = result
                self._finish_if_complete(folder, number, read, reports)

    def _plan(self, todo: Sequence[int], folder: Path) -> Iterator[ReadUnit]:
        """Cut the pages into units, in order; a few pages are spread over all workers."""
        options = self._workspace.reading
        costs = {
            (number, page.page_index): 1 if page.has_text_layer and TEXT_LAYER in options.engines else OCR_COST
            for number in todo
            for page in self._looks[number].inspection.pages
            if page.reason is None
        }
        limit = min(UNIT_COST, max(OCR_COST, sum(costs.values()) // (options.worker_count * 4)))
        parts: dict[int, list[int]] = {}
        room = limit
        for (number, page_index), cost in costs.items():
            if cost > room and parts:
                yield self._unit(parts, folder)
                parts, room = {}, limit
            parts.setdefault(number, []).append(page_index)
            room -= cost
        if parts:
            yield self._unit(parts, folder)

    def _unit(self, parts: Mapping[int, Sequence[int]], folder: Path) -> ReadUnit:
        placed = tuple((number, self._inputs[number].path, tuple(pages)) for number, pages in parts.items())
        return ReadUnit(placed, self._workspace.reading, str(folder))

    def _pages(self, folder: Path, units: Sequence[ReadUnit]) -> Iterator[tuple[int, PageResult]]:
        """Yield (input, page) as they are read. A unit that fails is read again page by page; a page that fails alone
        is quarantined."""
        total = sum(unit.page_count for unit in units)
        done = 0
        singles: list[ReadUnit] = []
        report("read pages", 0, total)
        for unit, result in self._workspace.pool().map(read_unit, units, seconds=lambda unit: unit.seconds):
            if isinstance(result, TaskFailure):
                singles += unit.split()
                continue
            yield from result[0]
            self.engine_runs.update(result[1])
            done += unit.page_count
            report("read pages", done, total)
        for unit, result in self._workspace.pool().map(read_unit, singles, seconds=lambda unit: unit.seconds):
            if isinstance(result, TaskFailure):
                ((number, _, (page_index,)),) = unit.parts
                failed = _quarantined(page_index, result.reason, result.detail)
                yield number, write_page(folder, number, failed)
            else:
                yield from result[0]
                self.engine_runs.update(result[1])
            done += 1
            report("read pages", done, total)

    def _finish_if_complete(
        self, folder: Path, number: int, read: dict[int, dict[int, PageResult]], reports: list[FileReport | None]
    ) -> None:
        look = self._looks[number]
        if len(read[number]) < len(look.inspection.pages):
            return
        pages = [read[number][index] for index in sorted(read[number])]
        del read[number]
        files = [page_file(folder, number, page.page_index) for page in pages]
        reports[number] = self._write(number, look, pages, files)
        for file in files:
            file.unlink()

    def _write(self, number: int, look: Look, pages: Sequence[PageResult], files: Sequence[Path]) -> FileReport:
        one, base = self._inputs[number], self._bases[number]
        told = FileReport(shown(one.path), look.sha256)
        try:
            changed = mark_of(Path(one.path)) != look.mark
        except OSError:
            changed = True
        if changed:
            return replace(told, problem=(Reason.SOURCE_CHANGED, "The file changed while it was read: run it again."))
        options = self._workspace.reading
        letters = sum(page.letters for page in pages)
        summary: dict[str, Any] = {
            "pages": dict(Counter(str(page.status) for page in pages)),
            "reasons": dict(Counter(str(page.reason) for page in pages if page.reason)),
            "engines": dict(Counter(page.engine for page in pages if page.engine)),
            "words": sum(page.words for page in pages),
            "confidence": round(sum(page.confidence_sum for page in pages) / letters, 4) if letters else None,
        }
        header = {
            "document": {"name": shown(Path(one.path).name), "sha256": look.sha256, "size": look.mark[0]},
            "engines": options.engines,
            "languages": options.languages,
            "fingerprint": self._reading,
            "summary": summary,
        }
        try:
            write_outputs(base, header, (file.read_bytes() for file in files), document_text(p.text for p in pages))
        except (IsADirectoryError, NotADirectoryError, FileExistsError) as error:
            return replace(told, problem=(Reason.UNREADABLE, f"{base}.txt cannot be written: {error.strerror}."))
        except OSError as error:
            raise BadInputError(
                f"{base}.txt cannot be written: {error.strerror}.", remedy="Check the folder given with --out."
            ) from error
        return replace(told, text=text_path(base), json=json_path(base), **summary)


def _quarantined(page_index: int, reason: Reason, detail: str | None) -> PageReading:
    return PageReading(page_index=page_index, status=PageStatus.QUARANTINED, reason=reason, detail=detail)


def _kept(one: Input, base: Path, header: Mapping[str, Any]) -> FileReport:
    return FileReport(
        shown(one.path),
        header["document"]["sha256"],
        text_path(base),
        json_path(base),
        kept=True,
        **header["summary"],
    )


def _remove_outputs(base: Path, header: Mapping[str, Any]) -> None:
    """Remove what an earlier run wrote for a document that cannot be read now: nothing old is taken for new."""
    if text_is_as_written(base, header):
        text_path(base).unlink()
    json_path(base).unlink()
