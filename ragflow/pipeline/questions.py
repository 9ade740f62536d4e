"""Where questions come from: golden ones from a person's file, known items from the collection itself.

A *known item* is a run of words of one chunk; whoever searches for it must find the page on which it stands. It needs
nobody who knows the archive, and tells whether vectors, terms and fusion still lead to the right page.
"""

from __future__ import annotations

import codecs
import hashlib
import heapq
import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import orjson

from ragflow.errors import BadInputError
from ragflow.model.questions import GOLDEN, KNOWN_ITEM, Question, Target
from ragflow.vectors.protocols import CollectionReader

GOLDEN_LINE = (
    '{"_id": "q1", "text": "…", "document": "inbox/a.pdf", "page": 3} or, for several places, '
    '{"_id": "q1", "text": "…", "relevant": [{"document": "inbox/a.pdf", "page": 3, "grade": 2}]}'
)
_QUESTION_FIELDS = frozenset({"_id", "text", "document", "page", "relevant", "metadata"})
_TARGET_FIELDS = frozenset({"document", "page", "grade"})

SALT = b"ragflow known item "
SAMPLE = 5_000
"""Distinct texts that are kept while drawing, and by which a word is said to be rare."""
WINDOW, LEAST_WINDOW, LEAST_WORDS = 10, 8, 12
"""Words of a question; of the shortest question; of the shortest chunk that one is drawn from."""
MAX_PLACES = 10
"""A text that stands on more pages than this cannot have them all among the first hits."""
SURE = 0.8
"""Least confidence of a chunk that a question is drawn from."""

_WORD = re.compile(r"[^\W\d_]+(?:['\u2019\u2010-][^\W\d_]+)*")
_TERM = re.compile(r"[^\W\d_]{3,}")
_LONGEST_WORD = 25
_AROUND = "\"'()[]{}«»<>.,;:!?…\u2018\u2019\u201c\u201d"


def golden_questions(path: Path, *, optional: bool = False) -> tuple[Question, ...]:
    """Read golden queries: JSON lines, see :data:`GOLDEN_LINE`; empty lines are passed over.

    Args:
        optional: a file that does not exist holds no questions.

    Raises:
        BadInputError: the file cannot be read, or a line is not a golden query; says which and why.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        if optional:
            return ()
        raise BadInputError(
            f"There are no golden queries at {path}.", remedy="Write the file, or correct gate.golden_queries."
        ) from error
    except OSError as error:
        raise BadInputError(
            f"{path} cannot be read: {error.strerror}.", remedy="Correct gate.golden_queries."
        ) from error
    questions: dict[str, tuple[int, Question]] = {}
    for number, line in enumerate(content.removeprefix(codecs.BOM_UTF8).splitlines(), start=1):
        if not line.strip():
            continue
        try:
            question = _golden(line)
            if question.id in questions:
                raise ValueError(f"its _id {question.id!r} is that of line {questions[question.id][0]}, too")
        except ValueError as error:
            raise BadInputError(
                f"{path}, line {number}, is not a golden query: {error}.", remedy=f"Each line: {GOLDEN_LINE}"
            ) from error
        questions[question.id] = (number, question)
    return tuple(question for _, question in questions.values())


def _golden(line: bytes) -> Question:
    """Raise ValueError, saying what is wrong, if the line is no golden query."""
    value = _object(orjson.loads(line), "it", _QUESTION_FIELDS)
    if "relevant" in value:
        if "document" in value or "page" in value:
            raise ValueError("it has both relevant and document or page")
        relevant = value["relevant"]
        if not isinstance(relevant, list) or not relevant:
            raise ValueError("relevant must be a list with one place at least")
        targets = tuple(_target(_object(place, "a place in relevant", _TARGET_FIELDS)) for place in relevant)
    else:
        targets = (_target({name: value[name] for name in ("document", "page") if name in value}),)
    _check_distinct(targets)
    return Question(id=_text(value, "_id"), text=_text(value, "text"), targets=targets, kind=GOLDEN)


def _object(value: Any, what: str, fields: frozenset[str]) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"{what} must be an object")
    unknown = sorted(value.keys() - fields)
    if unknown:
        raise ValueError(f"{what} has the unknown field {unknown[0]!r} (known: {', '.join(sorted(fields))})")
    return value


def _text(value: Mapping[str, Any], name: str) -> str:
    text = value.get(name)
    if not isinstance(text, str) or not text.strip():
        raise ValueError(f"{name} must be a text that is not empty" if name in value else f"it has no {name}")
    return text


def _target(value: Mapping[str, Any]) -> Target:
    if "document" not in value:
        raise ValueError("it names no document")
    page, grade = value.get("page"), value.get("grade", 1.0)
    if page is not None and (type(page) is not int or page < 1):
        raise ValueError(f"page is {page!r}, and must be a whole number from 1")
    if type(grade) not in (int, float) or not 0 < grade < math.inf:
        raise ValueError(f"grade is {grade!r}, and must be a number above 0")
    return Target(_text(value, "document"), page, float(grade))


def _check_distinct(targets: tuple[Target, ...]) -> None:
    pages: dict[str, set[int | None]] = {}
    for target in targets:
        named = pages.setdefault(target.document_key, set())
        if target.page_number in named:
            raise ValueError(f"it names the same place in {target.document_key} twice")
        named.add(target.page_number)
    for key, named in pages.items():
        if None in named and len(named) > 1:
            raise ValueError(f"it names {key} both as a whole and by page")


def known_items(reader: CollectionReader, count: int) -> tuple[Question, ...]:
    """Draw questions from all points of a version; see :class:`Drawing`, which serves where they are read anyway."""
    if count < 1:
        return ()
    drawing = Drawing()
    for points in reader.scroll():
        for point in points:
            drawing.add(point.payload)
    return drawing.questions(count)


@dataclass(slots=True)
class _Text:
    """A text, the places where it stands, and how surely it was read."""

    text: str
    confidence: float
    places: set[tuple[str, int]] = field(default_factory=set)


class Drawing:
    """Draws questions while a version is read: give it the payload of each point, then ask for questions.

    Which texts are drawn depends on their hashes alone: in whatever order points come, the same texts are drawn, and
    as an archive grows most of them stay. Keeps :data:`SAMPLE` texts, some 10 MB, however large the version is.
    """

    def __init__(self, sample: int = SAMPLE) -> None:
        self._sample = sample
        self._kept: dict[str, _Text] = {}
        self._lots: list[tuple[int, str]] = []

    def add(self, payload: Mapping[str, Any]) -> None:
        """Take note of a point; one whose payload is not as it should be is passed over: other checks name it."""
        sha, text = payload.get("text_sha256"), payload.get("text")
        document, page, confidence = (payload.get(name) for name in ("document_key", "page_number", "confidence"))
        if not (isinstance(sha, str) and isinstance(text, str) and isinstance(document, str)):
            return
        if type(page) is not int or not isinstance(confidence, int | float):
            return
        kept = self._kept.get(sha) or self._keep(sha, text)
        if kept is not None and len(kept.places) <= MAX_PLACES:
            kept.places.add((document, page))
            kept.confidence = max(kept.confidence, confidence)

    def _keep(self, sha: str, text: str) -> _Text | None:
        # Lots only ever get smaller: a text that is among the sample in the end was so since it was first met.
        lot = (-_lot(sha), sha)
        if len(self._lots) < self._sample:
            heapq.heappush(self._lots, lot)
        elif lot > self._lots[0]:
            _, dropped = heapq.heapreplace(self._lots, lot)
            del self._kept[dropped]
        else:
            return None
        kept = self._kept[sha] = _Text(unicodedata.normalize("NFC", text), 0.0)
        return kept

    def questions(self, count: int) -> tuple[Question, ...]:
        """Return up to ``count`` questions; fewer if not enough texts are long, sure and distinct enough."""
        if count < 1:
            return ()
        rarity = self._rarity()
        lowered = {sha: kept.text.lower() for sha, kept in self._kept.items()}
        drawn: list[Question] = []
        for _, sha in sorted(self._lots, reverse=True):
            kept = self._kept[sha]
            if kept.confidence < SURE or len(kept.places) > MAX_PLACES:
                continue
            window = _best_window(kept.text, rarity)
            if window and not self._stands_elsewhere(window, kept, rarity, lowered):
                targets = tuple(Target(document, page) for document, page in sorted(kept.places))
                drawn.append(Question(f"known-{sha[:12]}", " ".join(window), targets, KNOWN_ITEM))
            if len(drawn) == count:
                break
        return tuple(drawn)

    def _rarity(self) -> dict[str, float]:
        """Return the inverse document frequency of every term of the sample."""
        frequency: Counter[str] = Counter()
        for kept in self._kept.values():
            frequency.update(_terms(kept.text))
        return {term: math.log((len(self._kept) + 1) / texts) for term, texts in frequency.items()}

    def _stands_elsewhere(
        self, window: list[str], own: _Text, rarity: Mapping[str, float], lowered: Mapping[str, str]
    ) -> bool:
        """Whether a text of another page has all the words, so that it would be as good an answer."""
        terms = sorted(_terms(" ".join(window)), key=lambda term: -rarity.get(term, 0.0))
        return any(
            self._kept[sha] is not own and not self._kept[sha].places & own.places
            for sha, text in lowered.items()
            if all(term in text for term in terms)
        )


def answers_as_well(text: str, question: Question) -> bool:
    """Whether a text has all words of a known item, so that it is as good an answer as the one it was drawn from.

    Drawing looks out for that among the texts of its sample; a large archive has others.
    """
    lowered = text.lower()
    return all(term in lowered for term in _terms(question.text))


def _lot(sha: str) -> int:
    return int.from_bytes(hashlib.sha256(SALT + sha.encode()).digest()[:16])


def _terms(text: str) -> set[str]:
    return set(_TERM.findall(text.lower()))


def _best_window(text: str, rarity: Mapping[str, float]) -> list[str]:
    """Return the words in a row whose terms are rarest together; none if there is no clean stretch of words."""
    if len(text.split()) < LEAST_WORDS:
        return []
    best: list[str] = []
    highest = 0.0
    for run in _runs(text):
        for start in range(max(1, len(run) - WINDOW + 1)):
            window = run[start : start + WINDOW]
            rare = sum(rarity.get(term, 0.0) for term in _terms(" ".join(window)))
            if rare > highest:
                best, highest = window, rare
    return best


def _runs(text: str) -> Iterator[list[str]]:
    """Yield the stretches of words made of letters only; figures, formulas and broken words part them."""
    run: list[str] = []
    for token in text.split():
        word = token.strip(_AROUND)
        if _is_clean(word):
            run.append(word)
            continue
        if len(run) >= LEAST_WINDOW:
            yield run
        run = []
    if len(run) >= LEAST_WINDOW:
        yield run


def _is_clean(word: str) -> bool:
    """Whether a word looks like one: an upper-case letter behind a lower-case one is mostly a slip of OCR."""
    if len(word) > _LONGEST_WORD or not _WORD.fullmatch(word):
        return False
    return not any(left.islower() and right.isupper() for left, right in pairwise(word))
