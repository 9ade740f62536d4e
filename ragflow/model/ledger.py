"""The ledger: every document and page that came in, and what became of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from ragflow.model.reading import PageStatus


@dataclass(frozen=True, slots=True)
class Ledger:
    """Counts over documents that are there now. A document under two names counts twice, as do its pages.

    A document that cannot be opened has an unknown number of pages; it stands in the ledger as one quarantined page.

    Attributes:
        documents: all; ``documents_quarantined`` of them cannot be opened at all.
        pages: all that came in; must equal ``indexed + blank + quarantined``.
        reasons: quarantine reason → pages.
        engines: engine → indexed pages.
        languages: ISO 639-1 code or ``unknown`` → indexed pages.
    """

    documents: int = 0
    documents_quarantined: int = 0
    pages: int = 0
    indexed: int = 0
    blank: int = 0
    quarantined: int = 0
    reasons: dict[str, int] = field(default_factory=dict)
    engines: dict[str, int] = field(default_factory=dict)
    languages: dict[str, int] = field(default_factory=dict)

    @property
    def adds_up(self) -> bool:
        return self.pages == self.indexed + self.blank + self.quarantined

    @property
    def coverage(self) -> float:
        """Share of pages that are indexed or blank, 0.0 to 1.0; 1.0 for an empty archive."""
        return (self.indexed + self.blank) / self.pages if self.pages else 1.0


@dataclass(frozen=True, slots=True)
class LedgerLine:
    """The pages of one document, by status.

    Attributes:
        expected_pages: what the document says it has (1 for a document that cannot be opened).
        statuses: one entry per page that has a status: (status, reason, engine, language).
    """

    document_key: str
    expected_pages: int
    openable: bool
    statuses: tuple[tuple[str, str | None, str | None, str | None], ...]


def tally(lines: Iterable[LedgerLine]) -> Ledger:
    """Sum lines up. Pages without a status are counted in ``pages`` only, so that the ledger does not add up."""
    documents = unopenable = pages = 0
    by_status: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    engines: Counter[str] = Counter()
    languages: Counter[str] = Counter()
    for line in lines:
        documents += 1
        unopenable += not line.openable
        pages += line.expected_pages
        for status, reason, engine, language in line.statuses:
            by_status[status] += 1
            if status == PageStatus.QUARANTINED:
                reasons[reason or "unknown"] += 1
            elif status == PageStatus.INDEXED:
                engines[engine or "unknown"] += 1
                languages[language or "unknown"] += 1
    return Ledger(
        documents=documents,
        documents_quarantined=unopenable,
        pages=pages,
        indexed=by_status[PageStatus.INDEXED],
        blank=by_status[PageStatus.BLANK],
        quarantined=by_status[PageStatus.QUARANTINED],
        reasons=dict(sorted(reasons.items())),
        engines=dict(sorted(engines.items())),
        languages=dict(sorted(languages.items())),
    )
