"""The documents that are measured on: always the same ones."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from ragflow.chunking import PageText, chunk_pages
from ragflow.ocr import reader
from ragflow.ocr.options import ReadingOptions
from ragflow.pipeline.workspace import Workspace
from ragflow.sample import make_text_archive, write_scan_pdf, write_text_pdf
from ragflow.store.home import Home

SETTLED_SECONDS = 60


def prose(pages: int, *, words: int, english_only: bool = False, seed: int = 0) -> list[list[str]]:
    """Return the paragraphs of each of some pages: those of the bulk archive, read back from its documents."""
    every = 2 if english_only else 1  # English and French take turns
    options = ReadingOptions()
    with tempfile.TemporaryDirectory(prefix="ragflow-prose-") as folder:
        make_text_archive(Path(folder), pages * every, words_per_page=words, seed=seed)
        paths = sorted(Path(folder).iterdir())[::every]
        readings = [reader.read_pages(path, [0], options)[0] for path in paths]
    return [[" ".join(block.split()) for block in reading.text.split("\n\n")] for reading in readings]


def write_scans(folder: Path, documents: int, pages_each: int, *, words: int = 350) -> list[Path]:
    """Write English scans: A4, 200 dpi, skewed to either side, noisy."""
    folder.mkdir(parents=True, exist_ok=True)
    texts = prose(documents * pages_each, words=words, english_only=True)
    paths = []
    for number in range(documents):
        path = folder / f"scan-{number:03d}.pdf"
        skew = (0.8, -0.8, 0.4, -0.4)[number % 4]
        own = texts[number * pages_each : (number + 1) * pages_each]
        write_scan_pdf(path, own, skew_degrees=skew, noise=0.02, seed=number)
        paths.append(path)
    settle(folder)
    return paths


def write_reports(folder: Path, documents: int, pages_each: int, *, words: int = 400) -> list[Path]:
    """Write born-digital documents of several pages, English and French pages by turns."""
    folder.mkdir(parents=True, exist_ok=True)
    texts = prose(documents * pages_each, words=words)
    paths = []
    for number in range(documents):
        path = folder / f"report-{number:03d}.pdf"
        write_text_pdf(path, texts[number * pages_each : (number + 1) * pages_each], title=f"Report {number + 1}")
        paths.append(path)
    settle(folder)
    return paths


def settle(folder: Path) -> None:
    """Date the files below a folder back, so that no scan waits for them to be finished."""
    past = time.time_ns() - SETTLED_SECONDS * 10**9
    for path in folder.rglob("*.pdf"):
        os.utime(path, ns=(past, past))


def chunk_texts(wanted: int, home: Path) -> list[str]:
    """Return the texts of chunks, as the pipeline cuts them from the documents of the bulk archive."""
    workspace = Workspace(home=Home(home))
    found: dict[str, None] = {}
    with tempfile.TemporaryDirectory(prefix="ragflow-chunks-") as folder:
        make_text_archive(Path(folder), wanted // 2 + 1)
        for path in sorted(Path(folder).iterdir()):
            for chunk in cut(workspace, [_page_text(path, workspace.reading)]):
                found[chunk] = None
            if len(found) >= wanted:
                return list(found)[:wanted]
    raise ValueError(f"the archive gave {len(found)} chunks, not {wanted}")


def cut(workspace: Workspace, pages: Sequence[PageText]) -> list[str]:
    chunked = chunk_pages(pages, workspace.tokenizer(), workspace.chunk_options())
    return [chunk.text for chunks in chunked for chunk in chunks]


def _page_text(path: Path, options: ReadingOptions) -> PageText:
    (reading,) = reader.read_pages(path, [0], options)
    return PageText(path.name, 0, reading.text, reading.words, reading.headings, reading.language)
