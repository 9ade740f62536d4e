"""Questions whose right answers are known, and what the gate asks of the answers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

GOLDEN: Literal["golden"] = "golden"
KNOWN_ITEM: Literal["known_item"] = "known_item"

Kind = Literal["golden", "known_item"]
"""``golden``: a person wrote it down; ``known_item``: some words of the archive, to be found where they stand."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where an answer stands.

    Attributes:
        document_key: of the document.
        page_number: 1-based; None: any page of the document is right.
        grade: how much it is worth, above 0.
    """

    document_key: str
    page_number: int | None
    grade: float = 1.0


@dataclass(frozen=True, slots=True)
class Question:
    """A question, and the places that answer it.

    Attributes:
        id: unique among the questions of its kind.
        text: what is searched for.
        targets: one at least.
    """

    id: str
    text: str
    targets: tuple[Target, ...]
    kind: Kind


@dataclass(frozen=True, slots=True)
class RetrievalOptions:
    """What searching a candidate must reach.

    Attributes:
        golden_queries: file of golden queries, relative to the home folder; None: there are none.
        known_items: how many questions are drawn from the archive itself; 0: none.
        retrieval_tolerance: by how much mean nDCG@10 and mean recall@10 may fall below those of the live version.
        known_items_floor: least mean nDCG@10 of the known items where no live version can be compared with.
        known_items_expected: below this the same figure is a warning.
        latency_ms: a warning if the 95th percentile of the search time is above, a failure above ten times that.
    """

    golden_queries: Path | None = Path("golden.jsonl")
    known_items: int = 50
    retrieval_tolerance: float = 0.05
    known_items_floor: float = 0.5
    known_items_expected: float = 0.8
    latency_ms: float = 250.0
