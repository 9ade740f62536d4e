"""Read stored bytes again, and compare with what the tables hold.

Text layers are extracted again and compared word for word. Pages that were read by OCR are rendered again: their
pixels must hash to what the engine saw. Blank pages must have no ink. Documents must have as many pages as recorded.

``ragflow verify --deep`` does so for every page. The gate does it for a sample of what is new, and has the engines
read a few of the OCR pages again: a text that stands on another page than its own shows nowhere else.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from ragflow.model.batches import Corpus
from ragflow.model.fingerprints import sha256_text
from ragflow.model.reading import Effort, PageStatus, Word
from ragflow.model.verdicts import Verdict, verdict
from ragflow.model.words import words_sha256, words_table
from ragflow.ocr import reader
from ragflow.ocr.blank import is_blank
from ragflow.ocr.document import open_document
from ragflow.ocr.image import ImageFile
from ragflow.ocr.inspection import document_title
from ragflow.ocr.options import TEXT_LAYER, ReadingOptions
from ragflow.ocr.page import PdfError
from ragflow.ocr.passwords import load_passwords
from ragflow.ocr.pdf import PdfFile
from ragflow.ocr.pool import TaskFailure
from ragflow.pipeline.progress import report
from ragflow.pipeline.stages import OCR_TEXT, RAW_PDFS
from ragflow.pipeline.workspace import SampleOptions, Workspace

PAGES_AT_ONCE = 16
INK_DPI = 100
"""Resolution at which a page is looked at for ink, if none is recorded."""
SAME_READING = 0.99
"""Share of its words that a page must give again when an engine reads it once more; the same engine gives all."""
SAME_PLACE = 0.005
"""How far a word may then be from where it is recorded, in fractions of the page; and its confidence from that."""


class RecheckPage(NamedTuple):
    """A page as it is recorded, and whether an engine is to read it again.

    Attributes:
        words: the recorded words, if it is to be read again; empty if not.
    """

    page_index: int
    status: str
    engine: str
    words_sha256: str
    raster_sha256: str | None
    raster_dpi: int | None
    effort: str
    language: str | None
    words: tuple[Word, ...] = ()


@dataclass(frozen=True, slots=True)
class RecheckTask:
    """Pages of one document.

    Attributes:
        page_count: how many pages the document has, by the record; None if it and the title are not to be checked.
        title: that the document gives itself, by the record.
        as_read: the settings are those with which the pages were read, so that their languages must come out, too.
    """

    sha256: str
    path: str
    pages: tuple[RecheckPage, ...]
    options: ReadingOptions
    page_count: int | None = None
    title: str | None = None
    as_read: bool = False


def recheck(task: RecheckTask) -> list[tuple[int, str]]:
    """Run in a worker process; return (page index, what differs)."""
    passwords = load_passwords(task.options.passwords_file)
    problems = list(_reread_layers(task, passwords))
    problems += _reread_scans(task, passwords)
    seen = [page for page in task.pages if page.raster_sha256 is not None or page.status == PageStatus.BLANK]
    if not seen and task.page_count is None:
        return problems
    try:
        with open_document(Path(task.path), passwords) as file:
            if task.page_count is not None and file.page_count != task.page_count:
                problems.append(
                    (0, f"the stored bytes have {file.page_count} pages, not {task.page_count} as recorded")
                )
            if task.page_count is not None and document_title(file) != task.title:
                problems.append((0, f"the stored bytes have another title than {task.title!r}, as recorded"))
            for page in seen:
                problem = _look_again(file, page, task.options)
                if problem is not None:
                    problems.append((page.page_index, problem))
    except PdfError as error:
        # Its password may have been taken out of the passwords file since.
        problems += [(page.page_index, error.message) for page in seen or task.pages[:1]]
    return problems


def _reread_layers(task: RecheckTask, passwords: Sequence[str]) -> Iterator[tuple[int, str]]:
    layer = [page for page in task.pages if page.engine == TEXT_LAYER and page.status == PageStatus.INDEXED]
    options = replace(task.options, engines=(TEXT_LAYER,))
    readings = reader.read_pages(Path(task.path), [page.page_index for page in layer], options, passwords=passwords)
    for page, reading in zip(layer, readings, strict=True):
        if words_sha256(words_table(task.sha256, reading.page_index, reading.words)) != page.words_sha256:
            yield page.page_index, "the text layer of the stored bytes gives other words"
        elif task.as_read and reading.language != page.language:
            yield page.page_index, f"is recorded as {page.language or 'of no language'}, and is {reading.language}"


def _reread_scans(task: RecheckTask, passwords: Sequence[str]) -> Iterator[tuple[int, str]]:
    for page in task.pages:
        if page.words and page.engine != TEXT_LAYER:
            unit = reader.read_unit(
                Path(task.path), [page.page_index], task.options, passwords=passwords, effort=Effort(page.effort)
            )
            (reading,) = unit.pages
            share = shared_words(page.words, reading.words)
            if share < SAME_READING:
                yield page.page_index, f"an engine that reads the page again finds {share:.0%} of the recorded words"
            elif _moved(page.words, reading.words):
                yield page.page_index, "an engine that reads the page again finds the words elsewhere, or is less sure"
            elif reading.language != page.language:
                yield page.page_index, f"is recorded as {page.language or 'of no language'}, and is {reading.language}"


def _moved(recorded: Sequence[Word], found: Sequence[Word]) -> bool:
    """Whether words that are the same, one by one, stand elsewhere or are told with another confidence."""
    if [word.text for word in recorded] != [word.text for word in found]:
        return False
    return any(
        abs(before - now) > SAME_PLACE
        for pair in zip(recorded, found, strict=True)
        for before, now in zip(*((w.left, w.top, w.right, w.bottom, w.confidence) for w in pair), strict=True)
    )


def shared_words(recorded: Iterable[Word], found: Iterable[Word]) -> float:
    """Return the F1 of two bags of words, 0.0 to 1.0."""
    before, now = Counter(word.text for word in recorded), Counter(word.text for word in found)
    total = before.total() + now.total()
    return 2 * (before & now).total() / total if total else 1.0


def _look_again(file: PdfFile | ImageFile, page: RecheckPage, options: ReadingOptions) -> str | None:
    try:
        with file.page(page.page_index, options.max_page_pixels) as view:
            raster = view.render(page.raster_dpi or INK_DPI)
    except PdfError as error:
        return error.message
    if page.raster_sha256 is not None and raster.sha256 != page.raster_sha256:
        return "the stored bytes render to other pixels"
    if page.status == PageStatus.BLANK and not is_blank(raster):
        return "is recorded as blank, and has ink"
    return None


def bytes_to_words(workspace: Workspace, corpus: Corpus) -> Verdict:
    """Compare every page of every document that is there now with the stored bytes."""
    total, failures = _compare(workspace, corpus, lambda sha256, pages: pages)
    return verdict(
        "bytes_to_words",
        failures,
        passed=f"All {total} pages, read or rendered again from their bytes, give what is recorded.",
        failed="{count} pages differ from their stored bytes.",
        remedy="Restore the documents from a backup, or materialize ocr_text again if the recorded words are wrong.",
    )


def read_again(workspace: Workspace, corpus: Corpus, batches: Collection[str], salt: str) -> Verdict:
    """Compare a sample of the pages at home in some batches with the stored bytes.

    Args:
        batches: those that are new, or were made anew, since the live version was built.
        salt: decides which pages are drawn: another version draws others.
    """
    homes = {sha256: home for sha256, home in corpus.homes.items() if home in batches}
    drawn = _draw(workspace, corpus, homes, workspace.gate.sample, salt)

    def chosen(sha256: str, pages: list[RecheckPage]) -> list[RecheckPage]:
        return [page for page in pages if (sha256, page.page_index) in drawn]

    total, failures = _compare(workspace, corpus, chosen, homes=homes, engines=True)
    return verdict(
        "read_again",
        failures,
        passed=f"A sample of {total} pages, read again from their bytes, gives what is recorded."
        if total
        else "No page is new.",
        failed=f"{{count}} of a sample of {total} pages are not what their bytes give.",
        remedy="Materialize raw_pdfs and ocr_text again for the batches of the named documents.",
        figure=len(failures),
        threshold=0,
    )


def _draw(
    workspace: Workspace, corpus: Corpus, homes: Mapping[str, str], sample: SampleOptions, salt: str
) -> set[tuple[str, int]]:
    """Draw pages: so many blank ones, so many with a text layer, so many that OCR read."""
    limits = {"blank": sample.blank_pages, "layer": sample.layer_pages, "ocr": sample.ocr_pages}
    found: dict[str, list[tuple[str, str, int]]] = {kind: [] for kind in limits}
    for sha256, rows in _rows(workspace, corpus, homes):
        for row in rows:
            kind = "blank" if row["status"] == PageStatus.BLANK else "layer" if row["engine"] == TEXT_LAYER else "ocr"
            lot = sha256_text(f"{salt} {sha256} {row['page_index']}")
            found[kind].append((lot, sha256, row["page_index"]))
    return {(sha256, index) for kind, lots in found.items() for _, sha256, index in sorted(lots)[: limits[kind]]}


Choice = Callable[[str, list[RecheckPage]], list[RecheckPage]]
"""Content hash and its pages → those to look at."""


def _compare(
    workspace: Workspace,
    corpus: Corpus,
    choice: Choice,
    *,
    homes: Mapping[str, str] | None = None,
    engines: bool = False,
) -> tuple[int, list[dict[str, Any]]]:
    """Compare pages with their bytes; return how many, and one row per page that differs.

    Args:
        homes: contents to look at, and their home batches; None: all that are there now.
        engines: have engines read the chosen OCR pages again.
    """
    names = {state.sha256: key for key, state in sorted(corpus.documents.items(), reverse=True) if state.sha256}
    tasks = list(_tasks(workspace, corpus, corpus.homes if homes is None else homes, choice, engines))
    total = sum(len(task.pages) for task in tasks)
    failures: list[dict[str, Any]] = []
    done = 0

    def seconds(task: RecheckTask) -> float:
        return 30.0 + workspace.reading.page_seconds * len(task.pages)

    for task, result in workspace.pool().map(recheck, tasks, seconds=seconds):
        done += len(task.pages)
        report("compare pages with their bytes", done, total)
        found = [(task.pages[0].page_index, result.detail)] if isinstance(result, TaskFailure) else result
        failures += [
            {"document": names[task.sha256], "page": index + 1, "problem": problem} for index, problem in found
        ]
    return total, failures


def _tasks(
    workspace: Workspace, corpus: Corpus, homes: Mapping[str, str], choice: Choice, engines: bool
) -> Iterator[RecheckTask]:
    told = _documents(workspace, set(homes.values()))
    for sha256, rows in _rows(workspace, corpus, homes):
        pages = choice(sha256, [recheck_page(row) for row in rows])
        if engines:
            pages = [_with_words(workspace, corpus.homes[sha256], sha256, page) for page in pages]
        for start in range(0, len(pages), PAGES_AT_ONCE):
            count, title = told.get(sha256, (None, None)) if start == 0 else (None, None)
            yield RecheckTask(
                sha256,
                str(workspace.home.blobs.path(sha256)),
                tuple(pages[start : start + PAGES_AT_ONCE]),
                workspace.reading,
                count,
                title,
                as_read=engines,
            )


def _rows(workspace: Workspace, corpus: Corpus, homes: Mapping[str, str]) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Yield content hash and rows of the pages that can be compared, for every content that is there now."""
    tables = workspace.home.tables
    there = {state.sha256 for state in corpus.documents.values() if state.sha256 in homes}
    columns = ["document_sha256", "page_index", "status", "engine", "words_sha256"]
    columns += ["raster_sha256", "raster_dpi", "effort", "language"]
    for batch in sorted({homes[sha256] for sha256 in there if sha256}):
        by_content: dict[str, list[dict[str, Any]]] = {}
        for row in tables.read(tables.get(OCR_TEXT, batch), "page_texts", columns=columns).to_pylist():
            wanted = row["raster_sha256"] or row["status"] in (PageStatus.INDEXED, PageStatus.BLANK)
            if wanted and row["document_sha256"] in there:
                by_content.setdefault(row["document_sha256"], []).append(row)
        yield from by_content.items()


def recheck_page(row: Mapping[str, Any]) -> RecheckPage:
    """Return what is recorded of a page, from its row of ``page_texts``."""
    return RecheckPage(
        row["page_index"],
        row["status"],
        row["engine"] or "",
        row["words_sha256"],
        row["raster_sha256"],
        row["raster_dpi"],
        row["effort"],
        row["language"],
    )


def _with_words(workspace: Workspace, batch: str, sha256: str, page: RecheckPage) -> RecheckPage:
    """Add the words of a page that an engine is to read again."""
    if page.status != PageStatus.INDEXED or page.engine == TEXT_LAYER:
        return page
    tables = workspace.home.tables
    place = [("document_sha256", "==", sha256), ("page_index", "==", page.page_index)]
    rows = tables.rows(tables.get(OCR_TEXT, batch), "words", place)
    return page._replace(words=tuple(Word(**row) for row in rows.select(Word._fields).to_pylist()))


def _documents(workspace: Workspace, batches: Collection[str]) -> dict[str, tuple[int, str | None]]:
    """Return content hash → number of pages and title, as recorded when the content came in."""
    tables = workspace.home.tables
    told: dict[str, tuple[int, str | None]] = {}
    columns = ["document_sha256", "page_count", "status", "title"]
    for batch in sorted(batches):
        for row in tables.read(tables.get(RAW_PDFS, batch), "documents", columns=columns).to_pylist():
            if row["status"] == "readable" and row["page_count"] is not None:
                told[row["document_sha256"]] = row["page_count"], row["title"]
    return told
