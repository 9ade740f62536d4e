"""What was made: the documents of a sample archive and the questions that it can answer."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


class DocumentKind(StrEnum):
    """What a sample document is there to show."""

    BORN_DIGITAL = "born_digital"
    TWO_COLUMNS = "two_columns"
    BLANK_PAGE = "blank_page"
    SCAN = "scan"
    TURNED_SCAN = "turned_scan"
    PICTURE = "picture"
    DUPLICATE = "duplicate"
    ENCRYPTED = "encrypted"
    TRUNCATED = "truncated"

    @property
    def opens(self) -> bool:
        """Whether a reader without the password can open the file."""
        return self not in (DocumentKind.ENCRYPTED, DocumentKind.TRUNCATED)

    @property
    def image_only(self) -> bool:
        """Whether every page is one image without a text layer."""
        return self in (DocumentKind.SCAN, DocumentKind.TURNED_SCAN, DocumentKind.PICTURE)


@dataclass(frozen=True, slots=True)
class SampleDocument:
    """One file of the archive.

    Attributes:
        path: where it was written.
        kind: what it is there to show.
        pages: number of pages; None if the file cannot be opened.
        language: ISO 639-1 code of its text; None if there is no text to read.
    """

    path: Path
    kind: DocumentKind
    pages: int | None
    language: str | None


@dataclass(frozen=True, slots=True)
class SampleQuestion:
    """A question with one right answer.

    Attributes:
        query: as a person would type it.
        language: ISO 639-1 code of the query and of the document that answers it.
        file_name: name, without folders, of the only document that answers it; names are unique in the archive.
        page_number: 1-based.
        answer: a phrase of the expected page, with words parted by single spaces.
        note: what the question is there to show.
    """

    query: str
    language: str
    file_name: str
    page_number: int
    answer: str
    note: str


@dataclass(frozen=True, slots=True)
class SampleArchive:
    """An archive that was written to ``folder``.

    Attributes:
        folder: the root; documents lie in it and in its sub-folders.
        documents: in the order in which they were written.
        questions: all are answered by the archive as it was written, and stay so after
            :func:`ragflow.sample.change_document` and :func:`ragflow.sample.remove_document`.
    """

    folder: Path
    documents: tuple[SampleDocument, ...]
    questions: tuple[SampleQuestion, ...]

    @property
    def page_count(self) -> int:
        """All pages; a document that cannot be opened counts as one, as in the ledger."""
        return sum(1 if document.pages is None else document.pages for document in self.documents)
