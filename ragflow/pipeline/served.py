"""What a version shows: its documents, their pages and words, and which words of a page a query means.

Everything is read from the tables that the version was built from, so that what is shown is what was searched. Shared
by threads; what was read is kept for the next reader, bounded.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from ragflow.embedding.sparse import SparseEmbedder
from ragflow.errors import IntegrityError, NotFoundError
from ragflow.model.batches import DocumentState, fold
from ragflow.model.points import point_id
from ragflow.model.reading import Word
from ragflow.model.releases import ReleaseRecord
from ragflow.pipeline.desired import by_home
from ragflow.pipeline.examination import find_version
from ragflow.pipeline.page_images import Box
from ragflow.pipeline.page_tables import PageTables, Rows
from ragflow.pipeline.searching import SPARSE_LANGUAGES
from ragflow.pipeline.stages import CHUNKS, OCR_TEXT, RAW_PDFS
from ragflow.pipeline.workspace import Workspace
from ragflow.store.forgotten import Kind

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

KEPT_PAGES = 2000
KEPT_DOCUMENTS = 500
KEPT_WORDS = 50_000


class Kept(Generic[K, V]):
    """A bounded memory: what was not asked for longest goes first. Shared by threads; two may make the same value."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._values: dict[K, V] = {}
        self._lock = threading.Lock()

    def find(self, key: K) -> V | None:
        """Return what is kept under a key; None if nothing is."""
        with self._lock:
            value = self._values.pop(key, None)
            if value is not None:
                self._values[key] = value
            return value

    def put(self, key: K, value: V) -> V:
        """Keep a value, and return it."""
        with self._lock:
            self._values.pop(key, None)
            self._values[key] = value
            while len(self._values) > self._size:
                del self._values[next(iter(self._values))]
        return value

    def get(self, key: K, make: Callable[[], V]) -> V:
        """Return what is kept under a key, made first if it is not."""
        found = self.find(key)
        return self.put(key, make()) if found is None else found


@dataclass(frozen=True, slots=True)
class ServedChunk:
    """A chunk of a page: its place in the page's text, and the boxes of its lines."""

    chunk_index: int
    char_start: int
    char_end: int
    text_sha256: str
    language: str
    boxes: tuple[Box, ...]


@dataclass(frozen=True, slots=True)
class ServedPage:
    """One page as it was read.

    Attributes:
        sha256: of the content.
        page_number: 1-based.
        status: indexed, blank or quarantined; ``reason`` and ``detail`` say why it is in quarantine.
        confidence: mean over the words; None for a page without words.
        words: in reading order.
        chunks: in the order of the text.
    """

    sha256: str
    page_number: int
    status: str
    reason: str | None
    detail: str | None
    engine: str | None
    language: str | None
    confidence: float | None
    text: str
    words: tuple[Word, ...]
    chunks: tuple[ServedChunk, ...]


@dataclass(frozen=True, slots=True)
class PageLine:
    """A page in the list of its document."""

    page_number: int
    status: str
    reason: str | None
    engine: str | None
    language: str | None
    confidence: float | None
    words: int


@dataclass(frozen=True, slots=True)
class ServedDocument:
    """A content that the version holds.

    Attributes:
        sha256, size: of its bytes.
        keys: of all documents with this content, sorted.
        title: of the first of them.
        batch: whose tables hold its pages.
        pages: in order; a document that cannot be opened has one, in quarantine.
    """

    sha256: str
    size: int
    keys: tuple[str, ...]
    title: str
    batch: str
    pages: tuple[PageLine, ...]


class WordMatcher:
    """Which words mean what a query asks for: those with a stem that stands in the query, as sparse search has it."""

    def __init__(self, sparse: SparseEmbedder) -> None:
        self._sparse = sparse
        self._stems: Kept[tuple[str, str], frozenset[int]] = Kept(KEPT_WORDS)

    def terms(self, query: str) -> frozenset[int]:
        """Return the terms of a query."""
        return frozenset(self._sparse.query(query, SPARSE_LANGUAGES).indices.tolist())

    def matching(self, words: Sequence[Word], language: str, terms: frozenset[int]) -> list[Word]:
        """Return the words that have one of the terms.

        Args:
            language: of the words; another word may have another stem in it.
        """
        return [word for word in words if not terms.isdisjoint(self._stems_of(word.text, language))]

    def _stems_of(self, word: str, language: str) -> frozenset[int]:
        def stems() -> frozenset[int]:
            (vector,) = self._sparse.encode([word], [language])
            return frozenset(vector.indices.tolist())

        return self._stems.get((word, language), stems)


class ServedVersion:
    """A version, for showing what is in it. Cheap to keep; reads its manifests when it is made.

    Args:
        tables: what was read of tables; versions may share it.

    Raises:
        NotFoundError: there is no record of this version.
    """

    def __init__(self, workspace: Workspace, version: str, tables: PageTables | None = None) -> None:
        self._tables = tables or PageTables()
        self.record = find_version(workspace, version)
        self.version = version
        self.workspace = workspace.at(self.record)
        corpus = fold([workspace.home.manifests.get(key) for key in self.record.batches])
        self._states: dict[str, list[DocumentState]] = {}
        self._homes: dict[str, str] = {}
        for home, contents in by_home(corpus).items():
            for sha256, states in contents.items():
                self._states[sha256] = states
                self._homes[sha256] = home
        self._contents = {key: state.sha256 for key, state in corpus.documents.items()}
        self._matcher = WordMatcher(workspace.sparse())
        self._pages: Kept[tuple[str, int], ServedPage] = Kept(KEPT_PAGES)
        self._documents: Kept[str, ServedDocument] = Kept(KEPT_DOCUMENTS)
        self._intact: Kept[str, tuple[int, int]] = Kept(KEPT_PAGES)

    @property
    def documents(self) -> int:
        """Number of documents, those that cannot be opened included."""
        return len(self._contents)

    def content_of(self, key: str) -> str:
        """Return the content hash of a document.

        Raises:
            NotFoundError: the version has no such document, or its bytes could never be read.
        """
        sha256 = self._contents.get(key)
        if sha256 is None:
            raise NotFoundError(
                f"Version {self.version} has no document {key!r}.", remedy="Take the `document.key` of a search hit."
            )
        return sha256

    def check_shown(self, sha256: str) -> None:
        """Raise NotFoundError unless the version holds this content and nobody asked to forget it."""
        if sha256 not in self._homes or self.workspace.home.absences.kind_of(sha256) is Kind.FORGOTTEN:
            raise NotFoundError(
                f"Version {self.version} has no document {sha256}.",
                remedy="Take the `document.sha256` of a search hit.",
            )

    def document(self, sha256: str) -> ServedDocument:
        """Return what is known of a content.

        Raises:
            NotFoundError: the version does not hold it.
        """
        self.check_shown(sha256)
        return self._documents.get(sha256, lambda: self._read_document(sha256))

    def page(self, sha256: str, page_number: int) -> ServedPage:
        """Return one page with its words and chunks.

        Raises:
            NotFoundError: the version does not hold it.
        """
        self.check_shown(sha256)
        return self._pages.get((sha256, page_number), lambda: self._read_page(sha256, page_number))

    def blob(self, sha256: str) -> str:
        """Return the path of a content's bytes; they are hashed once, and again whenever the file has changed.

        Raises:
            NotFoundError: the version does not hold it, or its bytes were pruned.
            IntegrityError: the bytes are not what they were.
        """
        self.check_shown(sha256)
        blobs = self.workspace.home.blobs
        try:
            status = blobs.path(sha256).stat()
        except FileNotFoundError as error:
            raise NotFoundError(
                f"The bytes of {sha256} are not kept.", remedy="They were pruned, or restored without documents."
            ) from error
        seen = (status.st_mtime_ns, status.st_size)
        if self._intact.find(sha256) != seen:
            problem = blobs.verify(sha256)
            if problem is not None:
                raise IntegrityError(f"Document {sha256}: {problem}.", remedy="Restore it from a backup.")
            self._intact.put(sha256, seen)
        return str(blobs.path(sha256))

    def chunk(self, page: ServedPage, point: uuid.UUID) -> ServedChunk:
        """Return the chunk of a page that a point is made of, for any of the documents with this content.

        Raises:
            NotFoundError: the point is of another page.
        """
        for chunk in page.chunks:
            for state in self._states[page.sha256]:
                if point_id(state.key, page.page_number - 1, chunk.chunk_index, chunk.text_sha256) == point:
                    return chunk
        raise NotFoundError(
            f"Page {page.page_number} of {page.sha256} has no point {point}.",
            remedy="Take `page_id` and `point_id` of the same search hit.",
        )

    def matching_words(self, page: ServedPage, query: str, chunk: ServedChunk | None = None) -> list[Word]:
        """Return the words of a page, or of one of its chunks, that a query means."""
        words = page.words
        if chunk is not None:
            words = tuple(w for w in words if w.char_start >= chunk.char_start and w.char_end <= chunk.char_end)
        language = (chunk.language if chunk is not None else page.language) or ""
        return self._matcher.matching(words, language, self._matcher.terms(query))

    def _read_document(self, sha256: str) -> ServedDocument:
        states, home = self._states[sha256], self._homes[sha256]
        rows = self._rows(OCR_TEXT, home, "page_texts", sha256)
        lines = tuple(
            PageLine(
                row["page_index"] + 1,
                row["status"],
                row["reason"],
                row["engine"],
                row["language"],
                row["confidence"],
                row["word_count"],
            )
            for row in sorted(rows, key=lambda row: row["page_index"])
        )
        return ServedDocument(sha256, states[0].size, tuple(s.key for s in states), self._title(states[0]), home, lines)

    def _title(self, state: DocumentState) -> str:
        tables = self.workspace.home.tables
        where = [("document_key", "==", state.key)]
        for row in tables.rows(tables.get(RAW_PDFS, state.batch_key), "documents", where).to_pylist():
            if row["title"]:
                return str(row["title"])
        return state.key.rsplit("/", 1)[-1]

    def _read_page(self, sha256: str, page_number: int) -> ServedPage:
        home = self._homes[sha256]
        index = page_number - 1
        rows = self._rows(OCR_TEXT, home, "page_texts", sha256, index)
        if not rows:
            raise NotFoundError(
                f"Document {sha256} has no page {page_number}.", remedy="Take the `page_id` of a search hit."
            )
        row = rows[0]
        words = self._rows(OCR_TEXT, home, "words", sha256, index) if row["word_count"] else []
        chunks = self._rows(CHUNKS, home, "chunks", sha256, index) if row["word_count"] else []
        return ServedPage(
            sha256=sha256,
            page_number=page_number,
            **{name: row[name] for name in ("status", "reason", "detail", "engine", "language", "confidence", "text")},
            words=tuple(Word(**word) for word in words),
            chunks=tuple(
                ServedChunk(
                    chunk["chunk_index"],
                    chunk["char_start"],
                    chunk["char_end"],
                    chunk["text_sha256"],
                    chunk["language"],
                    tuple((box[0], box[1], box[2], box[3]) for box in chunk["line_boxes"]),
                )
                for chunk in chunks
            ),
        )

    def _rows(self, asset: str, batch: str, name: str, sha256: str, page_index: int | None = None) -> Rows:
        return self._tables.rows(self.workspace.home.tables, asset, batch, name, sha256, page_index)


def box_of(word: Word) -> Box:
    """Return the box of a word."""
    return word.left, word.top, word.right, word.bottom


def release_of(workspace: Workspace, version: str) -> ReleaseRecord | None:
    """Return the decision that last made a version live; None if none did."""
    live = [r for r in workspace.home.releases if r.moved_alias and r.live_after == version]
    return live[-1] if live else None
