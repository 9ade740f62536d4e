"""How good a ranking is: nDCG, recall and reciprocal rank, as trec_eval counts them.

A ranking is a sequence of names, best first; a name that comes again counts where it came first. ``grades`` says how
much each right name is worth; names that are not in it, or have a grade of 0 or less, are wrong.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from math import fsum, log2
from typing import NamedTuple

from ragflow.model.questions import Target

CUT = 10
"""Names that count, by default: the first page of hits."""

Place = tuple[str, int]
"""Document key, page number (1-based)."""


@dataclass(frozen=True, slots=True)
class Figures:
    """How well one question was answered, or the mean over several; each 0.0 to 1.0, more is better.

    Attributes:
        ndcg: gain of the first names over that of the best possible order.
        recall: share of the right names that are among the first.
        reciprocal_rank: 1 / rank of the first right name, wherever it stands; 0.0 if there is none.
    """

    ndcg: float
    recall: float
    reciprocal_rank: float


def ndcg(ranked: Sequence[str], grades: Mapping[str, float], k: int = CUT) -> float:
    """Return the normalised discounted cumulative gain of the first ``k`` names; 0.0 if nothing is right.

    The gain is the grade itself, discounted by the binary logarithm of the rank plus one (trec_eval's ``ndcg_cut``).
    """
    right = _right(grades)
    best = _gain(sorted(right.values(), reverse=True)[:k])
    return _gain([right.get(name, 0.0) for name in _once(ranked)[:k]]) / best if best else 0.0


def recall(ranked: Sequence[str], grades: Mapping[str, float], k: int = CUT) -> float:
    """Return the share of the right names that are among the first ``k``; 0.0 if nothing is right."""
    right = _right(grades)
    return len(right.keys() & set(_once(ranked)[:k])) / len(right) if right else 0.0


def first_rank(ranked: Sequence[str], grades: Mapping[str, float]) -> int | None:
    """Return the rank of the first right name, from 1; None if there is none."""
    right = _right(grades)
    return next((rank for rank, name in enumerate(_once(ranked), start=1) if name in right), None)


def reciprocal_rank(ranked: Sequence[str], grades: Mapping[str, float]) -> float:
    """Return 1 / rank of the first right name; 0.0 if there is none."""
    rank = first_rank(ranked, grades)
    return 1.0 / rank if rank else 0.0


def figures(ranked: Sequence[str], grades: Mapping[str, float], k: int = CUT) -> Figures:
    """Return all figures of one ranking."""
    return Figures(ndcg(ranked, grades, k), recall(ranked, grades, k), reciprocal_rank(ranked, grades))


def mean(several: Sequence[Figures]) -> Figures | None:
    """Return the mean of each figure, every question counting the same; None over no questions."""
    if not several:
        return None
    return Figures(
        ndcg=fsum(one.ndcg for one in several) / len(several),
        recall=fsum(one.recall for one in several) / len(several),
        reciprocal_rank=fsum(one.reciprocal_rank for one in several) / len(several),
    )


class Score(NamedTuple):
    """How well one question was answered, with the rank of the first right hit (None: not among the hits)."""

    figures: Figures
    rank: int | None


def score(targets: Sequence[Target], found: Sequence[Sequence[Place]], without: Collection[str] = ()) -> Score:
    """Score hits against the places that are right.

    Pages are ranked if one of the targets names a page, documents otherwise. Each hit is one rank, on whichever of its
    places it is right; a page or document that comes again counts once.

    Args:
        found: the places of each hit, best first: one for every document in which exactly this text stands.
        without: documents to leave out, as if the version did not have them.
    """
    by_page = any(target.page_number is not None for target in targets)
    grades = {_name(target.document_key, target.page_number): target.grade for target in targets}
    ranked: list[str] = []
    for hit in found:
        places = [place for place in hit if place[0] not in without]
        if not places:
            continue
        names = {name for document, page in places for name in (_name(document, page), _name(document, None))}
        right = sorted(names & grades.keys(), key=lambda name: (-grades[name], name))
        document, page = min(places)
        ranked += right or [_name(document, page if by_page else None)]
    return Score(figures(ranked, grades), first_rank(ranked, grades))


def _name(document: str, page: int | None) -> str:
    return document if page is None else f"{document}\0{page}"


def _right(grades: Mapping[str, float]) -> dict[str, float]:
    return {name: grade for name, grade in grades.items() if grade > 0}


def _once(ranked: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(ranked))


def _gain(grades: Sequence[float]) -> float:
    return fsum(grade / log2(place + 2) for place, grade in enumerate(grades))
