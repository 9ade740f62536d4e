"""Which pages of the archive have a region that OCR read as something that is no language."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ragflow.errors import DependencyMissingError, IntegrityError
from ragflow.model.batches import Corpus
from ragflow.model.reading import PageStatus
from ragflow.model.verdicts import Outcome, Verdict
from ragflow.ocr.lexicon import load_lexicon
from ragflow.ocr.options import TEXT_LAYER
from ragflow.pipeline.progress import report
from ragflow.pipeline.stages import OCR_TEXT
from ragflow.pipeline.workspace import Workspace
from ragflow.quality.garbled import COLUMNS, GARBLED_TEXT, Region, WordJudge, garbled_regions, garbled_text

PAGE_COLUMNS = ("document_sha256", "page_index", "status", "engine", "word_count")


def garbled(workspace: Workspace, corpus: Corpus, threshold: float) -> Verdict:
    """Return the verdict on the pages read by OCR of the contents that are there now, each counted once.

    Words are judged by those of the languages that pages are read in. Only a warning can be given without them.

    Args:
        threshold: largest share of these pages that may have a garbled region.

    Raises:
        IncompleteError: a batch has not been read.
        IntegrityError: a table cannot be read, or the words do not fit the pages.
    """
    names = {state.sha256: key for key, state in sorted(corpus.documents.items(), reverse=True) if state.sha256}
    wanted = pa.array(sorted(names), pa.string())
    batches = sorted({corpus.homes[sha256] for sha256 in names})
    found: list[tuple[str, Region]] = []
    total = 0
    for number, batch in enumerate(batches):
        report("look for garbled text", number + 1, len(batches))
        pages = workspace.home.tables.read(
            workspace.home.tables.get(OCR_TEXT, batch), "page_texts", columns=list(PAGE_COLUMNS)
        )
        read = _read_by_ocr(pages, wanted)
        if not read.any():
            continue
        total += int(read.sum())
        try:
            judge = word_judge(workspace.reading.languages)
        except DependencyMissingError as error:
            return _not_judged(error.message, error.remedy, threshold)
        if not judge:
            return _not_judged(
                "Tesseract's word lists cannot be unpacked.",
                "Install Tesseract's tools combine_tessdata and dawg2wordlist, which come with tesseract-ocr.",
                threshold,
            )
        found += _regions(workspace, batch, pages, read, judge, names)
    return garbled_text(found, total, threshold)


def _read_by_ocr(pages: pa.Table, wanted: pa.Array) -> npt.NDArray[np.bool_]:
    """Tell for each page whether its words come from an engine that reads pixels, and its document is wanted."""
    read = pc.and_(
        pc.equal(pages["status"], PageStatus.INDEXED),
        pc.fill_null(pc.not_equal(pages["engine"], TEXT_LAYER), False),
    )
    chosen: npt.NDArray[np.bool_] = pc.and_(read, pc.is_in(pages["document_sha256"], wanted)).to_numpy()
    return chosen


def _regions(
    workspace: Workspace,
    batch: str,
    pages: pa.Table,
    read: npt.NDArray[np.bool_],
    judge: WordJudge,
    names: dict[str, str],
) -> Iterable[tuple[str, Region]]:
    words = workspace.home.tables.read(workspace.home.tables.get(OCR_TEXT, batch), "words", columns=list(COLUMNS))
    counts = pages["word_count"].to_numpy()
    if counts.sum() != words.num_rows:
        raise IntegrityError(
            f"The pages of batch {batch} have {counts.sum()} words, its table of words has {words.num_rows}.",
            remedy=f"Materialize {OCR_TEXT} for partition {batch} again.",
        )
    rows = np.repeat(np.arange(pages.num_rows), counts)
    chosen = read[rows]
    for region in garbled_regions(words.filter(pa.array(chosen)), rows[chosen], judge):
        place = pages.slice(region.page, 1).to_pylist()[0]
        yield names[place["document_sha256"]], replace(region, page=place["page_index"])


def _not_judged(why: str, remedy: str, threshold: float) -> Verdict:
    return Verdict(GARBLED_TEXT, Outcome.WARN, f"Nothing was judged: {why}", threshold=threshold, remedy=remedy)


@lru_cache(maxsize=2)
def word_judge(languages: tuple[str, ...]) -> WordJudge:
    """Return what tells words of Tesseract's language codes from others; takes a second, once in a process.

    Raises:
        DependencyMissingError: Tesseract, or the data of a language, is not installed.
    """
    return WordJudge(load_lexicon(languages))
