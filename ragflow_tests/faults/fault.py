"""What a fault is: where it is put in, what it does, and which verdict has to notice it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from ragflow_tests.faults.documents import FIRST, GROWTH
from ragflow_tests.faults.subject import Situation


class Level(StrEnum):
    """Where a fault is put in, and what its ``change`` takes and returns.

    Rows are dictionaries with at least these fields; others travel with them. ``(rows, scene)`` gives rows:

    - ``DOCUMENTS``: document, title, pages (one entry for each page)
    - ``PAGES``: document, page, status (indexed, blank, quarantined), text, words (each: text, box, confidence, line,
      start, end: where it stands in the text)
    - ``CHUNKS``: document, page, number (in the document), start, end, text, tokens, language, boxes, confidence
    - ``VECTORS``: text (what is embedded, or its id), dense (floats), sparse (term → weight)
    - ``POINTS``: id, dense, sparse, payload (document, page, text, title, boxes, provenance: whatever leads back to the
      page)
    - ``INVENTORY``: document, seen, is: by what the cache of the scan would know the file again, as it was and as it is

    Others:

    - ``SOURCE``, ``TABLES``: bytes of a stored file → bytes, or None: the file is gone
    - ``RECORDS``: a record as a dictionary → the same edited, or None: it is gone; of ``batches``, the list → a list
    - ``SETTINGS``: settings as a dictionary (target_tokens: of a chunk) → others, once the candidate is built
    - ``CODE``: a payload as the code that makes payloads returns it → what the faulty code returns
    - ``ALIAS``: the versions there are, oldest first → the one that the alias is moved to
    - ``SERVED``: (hits, everything) → hits, for one way to search; or as for ALIAS
    - ``BACKUP``: as for POINTS or TABLES, on the copy of the collection that is put into a backup
    """

    SOURCE = "source"
    INVENTORY = "inventory"
    DOCUMENTS = "documents"
    PAGES = "pages"
    CHUNKS = "chunks"
    VECTORS = "vectors"
    POINTS = "points"
    CODE = "code"
    TABLES = "tables"
    RECORDS = "records"
    SETTINGS = "settings"
    ALIAS = "alias"
    SERVED = "served"
    BACKUP = "backup"


class Moment(StrEnum):
    """When a fault must be noticed at the latest."""

    BEFORE = "before publication"
    LIVE = "right after the move"


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault.

    Attributes:
        name: says it in a few words; unique.
        level: where it is put in.
        target: what exactly is damaged there.
        change: does it, see :class:`Level`.
        caught_by: the verdicts each of which must fail.
        place: document and page that the verdicts must name; the page None: the document only.
        moment: when it has to be noticed.
        forged: hashes and names are put right as well, as far as one who edits a record can.
        situations: in which it is tried.
    """

    name: str
    level: Level
    target: str
    change: Callable[..., Any]
    caught_by: tuple[str, ...]
    place: tuple[str, int | None] | None = None
    moment: Moment = Moment.BEFORE
    forged: bool = False
    situations: tuple[Situation, ...] = (Situation.GROWTH,)

    @property
    def moves_alias(self) -> bool:
        """Whether the fault itself changes what readers meet: nothing has to put that back."""
        return self.target == "alias"

    def place_in(self, situation: Situation) -> tuple[str, int | None] | None:
        """Return what must be named, where the parts are played by other documents."""
        if self.place is None or situation is Situation.GROWTH:
            return self.place
        document, page = self.place
        parts = {GROWTH.new: FIRST.new, GROWTH.scan: FIRST.scan, GROWTH.other: FIRST.other}
        return parts[document], page


BOTH = (Situation.GROWTH, Situation.FIRST)
NEW, SCAN, OTHER = GROWTH.new, GROWTH.scan, GROWTH.other
CHANGED, REMOVED = str(GROWTH.changed), str(GROWTH.removed)
