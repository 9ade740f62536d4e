"""Two readings of one line become one: first where the words part, then, word by word, who is believed.

Both decisions are logistic models over a few plain features. They are fitted on pages with known text
(``python -m ragflow_tests.benchmarks.calibrate``); their weights stand in ``fusion_weights.json`` beside this module.
"""

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from itertools import pairwise
from typing import Literal, NamedTuple, Protocol

from ragflow.model.fingerprints import sha256_hex
from ragflow.ocr.alignment import Letters, letters, matches, partner_spans, spans, starts_seen
from ragflow.ocr.line_text import LineText, bare, joined

WEIGHTS_FILE = "fusion_weights.json"
LONG_WORD = 4
MOST_LETTERS = 10
MOST_MORE = 6

Kind = Literal["again", "other"]
"""Another look of the same engine, or the reading of another engine."""

_WORD = re.compile(r"[^\W\d_]{2,}")


class WordList(Protocol):
    """Whether a word is one of the language's."""

    def __contains__(self, word: str) -> bool: ...


class Pair(NamedTuple):
    """What two readings say at the place of one word; either may be empty."""

    first: LineText
    second: LineText


class LineSurroundings(NamedTuple):
    """What a word's line tells about it.

    Attributes:
        mean: the engine's confidence over the line.
        score: how surely there is text at all.
        height: of the line, in usual line heights of the page.
    """

    mean: float
    score: float
    height: float


@dataclass(frozen=True, slots=True)
class Judge:
    """A logistic model.

    Attributes:
        weights: feature → weight.
        bias: added to the weighted sum.
    """

    weights: Mapping[str, float]
    bias: float

    def probability(self, features: Mapping[str, float]) -> float:
        """Return the probability of yes, 0.0 to 1.0."""
        total = self.bias + sum(self.weights.get(name, 0.0) * value for name, value in features.items())
        return 1.0 / (1.0 + math.exp(-max(-40.0, min(40.0, total))))


@lru_cache(maxsize=1)
def judges() -> dict[str, Judge]:
    """Return the fitted models: ``spacing`` and ``choice`` for each :data:`Kind`, and ``right``, which calibrates."""
    stored = json.loads(files("ragflow.ocr").joinpath(WEIGHTS_FILE).read_text("utf-8"))
    return {name: Judge(model["weights"], model["bias"]) for name, model in stored["models"].items()}


def weights_sha256() -> str:
    """Return the hash of the fitted models."""
    return sha256_hex(files("ragflow.ocr").joinpath(WEIGHTS_FILE).read_bytes())


def fuse(first: LineText, second: LineText, words: WordList, kind: Kind) -> tuple[list[Pair], list[bool]]:
    """Put two readings of a line together.

    Args:
        kind: whether the second reading is another look of the same engine, or another engine's.

    Returns:
        What both say at the place of each word, in order, and whether the second is believed there.
    """
    if not first.text or not second.text:
        return ([Pair(first, second)], [not first.text]) if first.text or second.text else ([], [])
    one, two = letters(first), letters(second)
    partners = matches(one.text.text, two.text.text)
    pairs = pair_words(one, two, partners, settled_starts(one, two, partners, words, kind))
    choice = judges()[f"choice_{kind}"]
    return pairs, [
        pair.first.text != pair.second.text and choice.probability(choice_features(pair, words)) > 0.5 for pair in pairs
    ]


def settled_starts(
    one: Letters, two: Letters, partners: Sequence[int | None], words: WordList, kind: Kind
) -> list[bool]:
    """Return for each character of the first reading whether a word begins there, after hearing the second."""
    settled = list(one.starts)
    judge = judges()[f"spacing_{kind}"]
    for index, seen in enumerate(starts_seen(partners, two)):
        if seen is not None and seen != one.starts[index]:
            settled[index] = judge.probability(spacing_features(one, two, partners, index, words)) > 0.5
    return settled


def pair_words(one: Letters, two: Letters, partners: Sequence[int | None], starts: Sequence[bool]) -> list[Pair]:
    """Return what both readings say at the place of each word; the second with its own spaces within."""
    found = spans(starts)
    others = partner_spans(found, partners, len(two.text.text))
    pairs = []
    for (start, end), (other_start, other_end) in zip(found, others, strict=True):
        inner = [other_start, *(i for i in range(other_start + 1, other_end) if two.starts[i]), other_end]
        parts = [two.text.part(a, b) for a, b in pairwise(inner)]
        pairs.append(Pair(one.text.part(start, end), joined(parts)))
    return pairs


def spacing_features(
    one: Letters, two: Letters, partners: Sequence[int | None], index: int, words: WordList
) -> dict[str, float]:
    """Describe a place where one reading begins a word and the other does not.

    Args:
        index: of the character, in the first reading, that may begin a word.
    """
    text, edges = one.text.text, one.text.edges
    start = max((i for i in range(index) if one.starts[i]), default=0)
    end = min((i for i in range(index + 1, len(text)) if one.starts[i]), default=len(text))
    before, after = text[start:index], text[index:end]
    middles = [(left + right) / 2 for left, right in edges]
    steps = sorted(b - a for a, b in pairwise(middles[start:end]))
    usual = steps[len(steps) // 2] if steps else 0.0
    partner = partners[index] or 0
    said = two.text.confidences[max(0, partner - 1) : partner + 1]
    return {
        "first_parts": float(one.starts[index]),
        "gap": min(4.0, (middles[index] - middles[index - 1]) / usual) if usual > 0 else 1.0,
        "certainty_first": logit(min(one.text.confidences[index - 1 : index + 1])),
        "certainty_second": logit(min(said, default=0.0)),
        "joined_known": float(len(before + after) >= LONG_WORD and _known(before + after, words)),
        "parts_known": float(_known(before, words)) * float(_known(after, words)),
        "digit_letter": float(before[-1:].isdigit() != after[:1].isdigit() and (before[-1:] + after[:1]).isalnum()),
        "digits": float(before[-1:].isdigit() and after[:1].isdigit()),
        "lower_upper": float(before[-1:].islower() and after[:1].isupper()),
        "mark_before": float(not before[-1:].isalnum()),
        "mark_after": float(not after[:1].isalnum()),
        "short": float(min(len(before), len(after)) == 1),
    }


def choice_features(pair: Pair, words: WordList) -> dict[str, float]:
    """Describe a word on which two readings differ; a high score of the model means that the second is right."""
    first, second = pair.first.text, pair.second.text
    known_first, known_second = known_share(first, words), known_share(second, words)
    bare_first, bare_second = first.replace(" ", ""), second.replace(" ", "")
    return {
        "lowest_first": logit(pair.first.lowest),
        "mean_first": logit(pair.first.mean),
        "lowest_second": logit(pair.second.lowest),
        "mean_second": logit(pair.second.mean),
        "known": (known_second or 0.0) - (known_first or 0.0),
        "known_long": ((known_second or 0.0) - (known_first or 0.0)) * float(len(bare_first) >= LONG_WORD),
        "only_second_wordlike": float(known_first is None and known_second is not None),
        "only_first_wordlike": float(known_second is None and known_first is not None),
        "same_letters": float(bare_first == bare_second),
        "same_but_case": float(bare_first.casefold() == bare_second.casefold()),
        "same_but_accents": float(_plain(bare_first) == _plain(bare_second)),
        "more_accents": float(max(-2, min(2, _accents(second) - _accents(first)))),
        "second_empty": float(not second),
        "first_empty": float(not first),
        "digit_first": float(any(map(str.isdigit, first))),
        "digit_second": float(any(map(str.isdigit, second))),
        "more_letters": float(max(-MOST_MORE, min(MOST_MORE, len(bare_second) - len(bare_first)))),
        "more_words": float(max(-2, min(2, second.count(" ") - first.count(" ")))),
        "more_marks": float(max(-MOST_MORE, min(MOST_MORE, _marks(second) - _marks(first)))),
        "letters": min(len(bare_first), MOST_LETTERS) / MOST_LETTERS,
    }


def right_features(
    pair: Pair, second_believed: bool, heard: bool, words: WordList, line: LineSurroundings
) -> dict[str, float]:
    """Describe a word that was settled on; a high score of the model means that it is right.

    Args:
        heard: whether a second engine read the line at all.
    """
    said, other = (pair.second, pair.first) if second_believed else (pair.first, pair.second)
    known = known_share(said.text, words)
    agree = heard and bare(said.text) == bare(other.text)
    return {
        "lowest": logit(said.lowest),
        "mean": logit(said.mean),
        "heard": float(heard),
        "agree": float(agree),
        "other_mean": logit(other.mean) if agree else 0.0,
        "other_silent": float(heard and not other.text),
        "second_believed": float(second_believed),
        "known": float(known == 1.0),
        "unknown": float(known is not None and known < 1.0 and len(said.text) >= LONG_WORD),
        "digits": float(any(map(str.isdigit, said.text))),
        "letters": min(len(said.text), MOST_LETTERS) / MOST_LETTERS,
        "single": float(len(said.text) == 1),
        "marks": _marks(said.text) / max(1, len(said.text)),
        "line": logit(line.mean),
        "found": line.score,
        "height": max(-2.0, min(2.0, math.log(max(1e-3, line.height)))),
    }


def logit(probability: float) -> float:
    """Return the log-odds of a probability, between -7 and 7."""
    bounded = min(0.999, max(0.001, probability))
    return math.log(bounded / (1.0 - bounded))


def known_share(text: str, words: WordList) -> float | None:
    """Return the share of the letters that stand in known words; None if there is no word of two letters."""
    found = _WORD.findall(text)
    total = sum(map(len, found))
    return sum(len(word) for word in found if word in words) / total if total else None


def _known(text: str, words: WordList) -> bool:
    return known_share(text, words) == 1.0


def _plain(text: str) -> str:
    decomposed = unicodedata.normalize("NFD", text.casefold())
    return "".join(character for character in decomposed if not unicodedata.combining(character))


def _accents(text: str) -> int:
    return sum(map(bool, map(unicodedata.combining, unicodedata.normalize("NFD", text))))


def _marks(text: str) -> int:
    return sum(not character.isalnum() and character != " " for character in text)
