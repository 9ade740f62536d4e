"""Test collections in BEIR's layout, and their documents as PDFs: one a document, born digital or scanned."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import orjson

from ragflow.sample import write_scan_pdf, write_text_pdf
from ragflow_tests.benchmarks.material import settle

PAGE_CHARACTERS = 2_800
"""Text of one page: about a full one."""
LINE_CHARACTERS, PARAGRAPH_CHARACTERS = 90, 60
"""What a line holds, and what the room around a paragraph would hold."""


@dataclass(frozen=True, slots=True)
class Collection:
    """A collection with judgements.

    Attributes:
        language: ISO 639-1, by the folder's name.
        documents: id → (title, text).
        queries: id → text; judged ones only.
        qrels: query id → document id → grade.
    """

    name: str
    language: str
    documents: Mapping[str, tuple[str, str]]
    queries: Mapping[str, str]
    qrels: Mapping[str, Mapping[str, int]]


def read_collection(folder: Path) -> Collection:
    """Read ``corpus.jsonl``, ``queries.jsonl`` and the judgements of ``qrels/``."""
    qrels: dict[str, dict[str, int]] = {}
    for path in sorted((folder / "qrels").glob("*.tsv")):
        for line in path.read_text().splitlines()[1:]:
            query, document, grade = line.split("\t")
            if int(grade) > 0:
                qrels.setdefault(query, {})[document] = int(grade)
    queries = {row["_id"]: row["text"] for row in _rows(folder / "queries.jsonl") if row["_id"] in qrels}
    documents = {row["_id"]: (row.get("title") or "", row["text"]) for row in _rows(folder / "corpus.jsonl")}
    return Collection(folder.name, folder.name.rsplit("_", 1)[-1], documents, queries, qrels)


def _rows(path: Path) -> Iterator[dict[str, str]]:
    for line in path.read_bytes().splitlines():
        yield orjson.loads(line)


def write_pdfs(collection: Collection, folder: Path, *, scanned: bool = False) -> None:
    """Write ``<id>.pdf`` for each document: its title as a heading, its text below, over as many pages as it takes.

    Args:
        scanned: as noisy images at 200 dpi, lying a little askew, instead of text.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for number, (name, (title, text)) in enumerate(collection.documents.items()):
        pages = list(_pages(_printable(text)))
        path = folder / f"{name}.pdf"
        if scanned:
            pages[0] = [_printable(title), *pages[0]] if title else pages[0]
            skew = (0.8, -0.8, 0.4, -0.4)[number % 4]
            write_scan_pdf(path, pages, skew_degrees=skew, noise=0.03, seed=number)
        else:
            headings = [_printable(title), *[""] * (len(pages) - 1)]
            write_text_pdf(path, pages, title=_printable(title), headings=headings)
    settle(folder)


def _pages(text: str) -> Iterator[list[str]]:
    """Yield the paragraphs of each page; a page ends at a word."""
    page: list[str] = []
    room = PAGE_CHARACTERS
    for paragraph in text.split("\n"):
        words = paragraph.split()
        while words:
            taken, used = 0, 0
            while taken < len(words) and used + len(words[taken]) < room:
                used += len(words[taken]) + 1
                taken += 1
            if not taken and not page:
                taken = 1  # a word longer than a page: the page is set smaller
            if taken:
                page.append(" ".join(words[:taken]))
                room -= -(-used // LINE_CHARACTERS) * LINE_CHARACTERS + PARAGRAPH_CHARACTERS
                words = words[taken:]
            if words:
                yield page
                page, room = [], PAGE_CHARACTERS
    if page:
        yield page
    elif not text.strip():
        yield []


def _printable(text: str) -> str:
    """Return the text in the characters of the standard fonts."""
    plain = []
    for character in text:
        try:
            character.encode("cp1252")
            plain.append(character)
        except UnicodeEncodeError:
            bare = unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode()
            plain.append(bare or " ")
    # A control character has no glyph; a line's end parts paragraphs.
    return "".join(" " if unicodedata.category(c) == "Cc" and c != "\n" else c for c in "".join(plain))


def part_of(collection: Collection, documents: int) -> Collection:
    """Return a smaller collection: some queries with all their right answers, filled up with other documents.

    Queries are taken in the order of their names' hashes, as long as their answers take up no more than three fifths.
    """
    if documents >= len(collection.documents):
        return collection
    chosen: set[str] = set()
    queries: list[str] = []
    for query in sorted(collection.queries, key=_lot):
        wanted = chosen | collection.qrels[query].keys() & collection.documents.keys()
        if len(wanted) <= 0.6 * documents:
            chosen = wanted
            queries.append(query)
    others = [name for name in sorted(collection.documents, key=_lot) if name not in chosen]
    chosen |= set(others[: documents - len(chosen)])
    return Collection(
        collection.name,
        collection.language,
        {name: text for name, text in collection.documents.items() if name in chosen},
        {name: collection.queries[name] for name in queries},
        {name: collection.qrels[name] for name in queries},
    )


def _lot(name: str) -> bytes:
    return hashlib.sha256(name.encode()).digest()
