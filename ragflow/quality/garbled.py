"""Find regions of a page whose words are no language, however sure the engine was of them.

A region is garbled if many of its words are implausible, or if there are hardly any words: lines upside down, or in
another script, may come out as shreds of one to three letters, none of which tells anything by itself.
"""

from __future__ import annotations

import re
import string
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ragflow.model.verdicts import MAX_ROWS, Outcome, Verdict

GARBLED_TEXT = "garbled_text"

MIN_LETTERS = 3
"""Shorter words tell nothing: nearly any two letters are a word or an abbreviation somewhere."""
CODE_LETTERS = 4
"""Unknown capitals up to this many may be a code or an abbreviation."""
UNLIKELY = -3.0
"""A word whose letters follow each other less likely than this (mean natural logarithm) looks like no language."""
REGION_WORDS = 8
"""Judged words that a region needs: fewer may be implausible by chance, such as a line of names."""
REGION_SHARE = 0.4
"""A region is garbled if this share of its judged words is implausible; well-read forms, receipts and typescripts
stay below 0.3."""
SOLID_LETTERS = 4
"""A plausible word of so many letters is no shred."""
SHRED_LETTERS = 40
"""Letters that a region in shreds needs, in words without digits; short capitals do not count, they may be codes."""
SHRED_SHARE = 0.8
"""A region is in shreds if this share of these letters stands in no plausible word of :data:`SOLID_LETTERS`; pages
that were read well stay below 0.6, formulas below 0.7."""
SHRED_WORDS = 12
"""Different words that a region in shreds needs: a column of units or of ticks is none."""
BEGINNING = 60
"""Characters shown of a garbled region."""

REMEDY = (
    "Look at the named pages: run `ragflow reocr`, scan them again, or add their language to `reading.languages`;"
    " raise `gate.garbled` knowingly if they are formulas, codes or names."
)

COLUMNS = ("text", "block", "line")
"""What is read of the table of words."""

Integers = npt.NDArray[np.int64]
NOT_JUDGED, PLAUSIBLE, IMPLAUSIBLE = 0, 1, 2

_JOINS = re.compile(r"[-'`.,:;/&@()_+!?\"*\u00ab\u00b4\u00b7\u00bb\u2010\u2013\u2014\u2018\u2019\u201c-\u201e]+")
_SIGNS = re.compile(r"[\W_]+")
_OF_FORMULAS = frozenset("()")
_AROUND = re.compile(r"^[\W_]+|[\W_]+$")
_DIGITS_AROUND = re.compile(r"^\d+|\d+$")
_RISES = re.compile(r"[a-zß-öø-ÿ][A-ZÀ-ÖØ-Þ]")
_ROMAN = re.compile(r"[ivxlcdm]+")
_WEIGHT = 3.0
"""How many sightings of two letters are worth as much as what the second alone tells."""
_RARE = 1e-5
"""Characters with a smaller share of the lexicon are not of its alphabet."""
_MOST_KEPT = 1_000_000
"""Judgements kept in memory."""


@dataclass(frozen=True, slots=True)
class Region:
    """Consecutive lines of one page whose words are no language.

    Attributes:
        page: number of the page, as the caller counts.
        block: in which it begins.
        judged, implausible: words.
        shreds: share of its letters that stand in no plausible word of at least :data:`SOLID_LETTERS`.
        begins: its first words.
    """

    page: int
    block: int
    judged: int
    implausible: int
    shreds: float
    begins: str


class Judged(NamedTuple):
    """What is known of each of some words.

    Attributes:
        judgements: :data:`NOT_JUDGED`, :data:`PLAUSIBLE` or :data:`IMPLAUSIBLE`.
        letters: how many count, see :data:`SHRED_LETTERS`.
    """

    judgements: npt.NDArray[np.int8]
    letters: npt.NDArray[np.int32]


class _Parts(NamedTuple):
    """Letters of a word that speak for it or against it, and the parts whose letters must tell."""

    favour: int = 0
    against: int = 0
    doubtful: tuple[str, ...] = ()


_KNOWN = _Parts(favour=1)


class WordJudge:
    """Tells whether a word that an engine read may be one of some languages, a name, a number or a code.

    A word is implausible if most of its letters stand in parts that are not in the lexicon, and that have signs,
    digits or capitals in their middle or letters that do not follow each other as in these languages. Accents and
    case do not count. Judgements are kept: each distinct word is judged once.

    Args:
        lexicon: words of the languages; with none at all there is nothing to judge by.
    """

    def __init__(self, lexicon: Iterable[str]) -> None:
        self._known = frozenset(map(folded, lexicon))
        self._letters = LetterTable([word for word in self._known if len(word) >= MIN_LETTERS and word.isalpha()])
        self._kept: dict[str, int] = {}

    def __bool__(self) -> bool:
        return bool(self._known)

    def judge(self, words: pa.Array) -> Judged:
        encoded = pc.dictionary_encode(words)
        distinct = encoded.dictionary
        letters = pc.count_substring_regex(distinct, r"\p{L}").to_numpy()
        asked = letters >= MIN_LETTERS
        judgements = np.full(len(distinct), NOT_JUDGED, np.int8)
        judgements[asked] = self._judged(distinct.filter(pa.array(asked)).to_pylist())
        digits = pc.match_substring_regex(distinct, r"\p{Nd}").to_numpy(zero_copy_only=False)
        codes = pc.utf8_is_upper(distinct).to_numpy(zero_copy_only=False) & (letters <= CODE_LETTERS)
        places = encoded.indices.to_numpy()
        return Judged(judgements[places], np.where(digits | codes, 0, letters)[places])

    def _judged(self, texts: Sequence[str]) -> list[int]:
        if len(self._kept) > _MOST_KEPT:
            self._kept = {}
        kept = self._kept
        split = {text: self._split(text) for text in texts if text not in kept}
        doubtful = list({part for parts in split.values() for part in parts.doubtful})
        unlikely = dict(zip(doubtful, (self._letters.likelihood(doubtful) < UNLIKELY).tolist(), strict=True))
        for text, parts in split.items():
            against = parts.against + sum(len(part) for part in parts.doubtful if unlikely[part])
            favour = parts.favour + sum(len(part) for part in parts.doubtful if not unlikely[part])
            kept[text] = IMPLAUSIBLE if against > favour else PLAUSIBLE if favour else NOT_JUDGED
        return [kept[text] for text in texts]

    def _split(self, text: str) -> _Parts:
        """Part a word at hyphens, apostrophes and stops, and sort the parts."""
        word = text.strip(string.punctuation)
        if folded(word) in self._known:
            return _KNOWN
        if not word.isalnum():
            word = _AROUND.sub("", word)
        letters = sum(map(str.isalpha, word))
        favour = against = 0
        doubtful = []
        for piece in _JOINS.split(word):
            part = _DIGITS_AROUND.sub("", piece)
            length = sum(map(str.isalpha, part))
            if length < MIN_LETTERS or _is_code(part, digits=part != piece):
                continue
            plain = folded(part)
            if plain in self._known:
                favour += length
            elif not part.isalpha() or len(_RISES.findall(part)) > 1:
                against += length
            elif not _ROMAN.fullmatch(plain) and len(set(plain)) > 1:
                doubtful.append(plain)
        if letters >= MIN_LETTERS and not favour and self._is_riddled(word):
            against += letters
        return _Parts(favour, against, tuple(doubtful))

    def _is_riddled(self, word: str) -> bool:
        """Tell whether signs that join no words, or several kinds of signs, stand between the letters."""
        signs = {sign for sign in word if not sign.isalnum()}
        if signs & _OF_FORMULAS or (len(signs) < 2 and not _JOINS.sub("", "".join(signs))):
            return False
        return not any(len(part) > 2 and folded(part) in self._known for part in _SIGNS.split(word))


class LetterTable:
    """How likely a letter follows the two before it, in the distinct words of some languages.

    Args:
        words: folded, letters only. The alphabet is theirs; all other letters are one more, and unlikely.
    """

    def __init__(self, words: Sequence[str]) -> None:
        points = _points(words)
        seen, counts = np.unique(points[points > 0], return_counts=True)
        letters = seen[counts > _RARE * counts.sum()]
        size = len(letters) + 2
        self._numbers = np.full(0x110000, size - 1, np.int64)
        self._numbers[letters] = np.arange(1, size - 1)
        self._numbers[0] = 0
        first, second, third = self._trigrams(points)
        inside = second > 0
        places = ((first * size + second) * size + third)[inside]
        seen3 = np.bincount(places, minlength=size**3).reshape(size, size, size).astype(np.float64)
        one = (seen3.sum((0, 1)) + 1.0) / (seen3.sum() + size)
        two = (seen3.sum(0) + _WEIGHT * one) / (seen3.sum((0, 2)) + _WEIGHT)[:, None]
        self._logarithms = np.log((seen3 + _WEIGHT * two) / (seen3.sum(2) + _WEIGHT)[:, :, None])

    def likelihood(self, words: Sequence[str]) -> npt.NDArray[np.float64]:
        """Return for each folded word the mean natural logarithm of how likely its letters, and its end, follow."""
        if not words:
            return np.zeros(0)
        first, second, third = self._trigrams(_points(words))
        values = np.where(second > 0, self._logarithms[first, second, third], 0.0)
        lengths = np.fromiter(map(len, words), np.int64, len(words))
        starts = np.concatenate(([0], np.cumsum(lengths + 1)[:-1]))
        sums: npt.NDArray[np.float64] = np.add.reduceat(values, starts)
        return sums / lengths

    def _trigrams(self, points: Integers) -> tuple[Integers, Integers, Integers]:
        """Return three numbers per trigram. A word of n letters has n of them; those around a zero are of no word."""
        numbers = self._numbers[points]
        return numbers[:-2], numbers[1:-1], numbers[2:]


def folded(text: str) -> str:
    """Return a text in lower case and without accents: engines lose them, and old print sets others."""
    text = text.casefold()
    if text.isascii():
        return text
    text = text.replace("œ", "oe").replace("æ", "ae")
    return "".join(letter for letter in unicodedata.normalize("NFKD", text) if not unicodedata.combining(letter))


def _points(words: Sequence[str]) -> Integers:
    """Return the code points of words, a zero before, between and after them."""
    text = "\0" + "\0".join(words) + "\0"
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4").astype(np.int64)


def _is_code(part: str, *, digits: bool) -> bool:
    """Tell whether capitals, perhaps with digits, may be a code or an abbreviation."""
    return part.isupper() and part.isalnum() and (digits or not part.isalpha() or len(part) <= CODE_LETTERS)


def garbled_regions(words: pa.Table, pages: Integers, judge: WordJudge) -> list[Region]:
    """Find the regions whose words are no language: consecutive lines of one page, whatever blocks they stand in.

    Args:
        words: :data:`COLUMNS` of words that OCR read, page by page, in reading order.
        pages: for each word, the number of its page.
    """
    if not words.num_rows:
        return []
    texts = words.column("text").combine_chunks()
    judgements, letters = judge.judge(texts)
    blocks, lines = (words.column(name).to_numpy().astype(np.int64) for name in ("block", "line"))
    bounds = [*_starts(pages, blocks, lines).tolist(), len(pages)]

    def by_line(values: npt.NDArray[Any]) -> Integers:
        return np.add.reduceat(values.astype(np.int64), bounds[:-1])

    judged, implausible = by_line(judgements != NOT_JUDGED), by_line(judgements == IMPLAUSIBLE)
    counted = by_line(letters)
    shreds = by_line(np.where((judgements == PLAUSIBLE) & (letters >= SOLID_LETTERS), 0, letters))
    begins = _starts(pages[bounds[:-1]])
    shredded = [
        (first, end)
        for first, end in _runs(counted, shreds, begins, SHRED_LETTERS, SHRED_SHARE)
        if len(texts[bounds[first] : bounds[end]].unique()) >= SHRED_WORDS
    ]
    found = _joined([*_runs(judged, implausible, begins, REGION_WORDS, REGION_SHARE), *shredded])
    return [
        Region(
            page=int(pages[bounds[first]]),
            block=int(blocks[bounds[first]]),
            judged=int(judged[first:end].sum()),
            implausible=int(implausible[first:end].sum()),
            shreds=round(float(shreds[first:end].sum() / max(1, counted[first:end].sum())), 4),
            begins=" ".join(texts[bounds[first] : bounds[end]].to_pylist())[:BEGINNING],
        )
        for first, end in found
    ]


def _starts(*columns: Integers) -> Integers:
    """Return where each run of equal rows begins."""
    changes = np.any([column[1:] != column[:-1] for column in columns], axis=0)
    return np.concatenate(([0], np.flatnonzero(changes) + 1))


def _runs(amounts: Integers, bad: Integers, pages: Integers, least: int, share: float) -> list[tuple[int, int]]:
    """Return the first line, and the one after the last, of each run of lines of a page that is bad enough.

    Args:
        amounts, bad: how much each line has, and how much of that is bad.
        pages: the lines with which a page begins.
        least: amount that is enough to tell.
        share: of it that must be bad.
    """
    total = np.concatenate(([0], np.cumsum(amounts)))
    against = np.concatenate(([0], np.cumsum(bad)))
    firsts = np.arange(len(amounts))
    # From each line on, as many lines as it takes to have enough.
    ends = np.searchsorted(total, total[:-1] + least)
    limits = np.append(pages[1:], len(amounts))[np.searchsorted(pages, firsts, side="right") - 1]
    stops = np.minimum(ends, limits)
    enough = (ends <= limits) & (against[stops] - against[firsts] >= share * (total[stops] - total[firsts]))
    return _joined(list(zip(firsts[enough].tolist(), ends[enough].tolist(), strict=True)))


def _joined(runs: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Make one run of those that overlap."""
    joined: list[tuple[int, int]] = []
    for first, end in sorted(runs):
        if joined and first < joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((first, end))
    return joined


def garbled_text(found: Iterable[tuple[str, Region]], ocr_pages: int, threshold: float) -> Verdict:
    """Of the pages read by OCR, the share with a garbled region stays within the threshold.

    Args:
        found: each region with the name of its document; ``page`` counts from 0 within the document.
        ocr_pages: pages read by OCR, with or without such regions.
        threshold: largest share that passes, with a warning if it is not zero.
    """
    regions = sorted(found, key=lambda entry: (-entry[1].implausible, -entry[1].shreds))
    pages = len({(document, region.page) for document, region in regions})
    share = pages / ocr_pages if ocr_pages else 0.0
    outcome = Outcome.PASS if not pages else Outcome.WARN if share <= threshold else Outcome.FAIL
    said = f"On {pages} of {ocr_pages} pages read by OCR, a region is no language that the archive is read in."
    return Verdict(
        GARBLED_TEXT,
        outcome,
        said if pages else f"No region is garbled on the {ocr_pages} pages read by OCR.",
        figure=round(share, 6),
        threshold=threshold,
        remedy="" if outcome is Outcome.PASS else REMEDY,
        rows=tuple(_row(document, region) for document, region in regions[:MAX_ROWS]),
    )


def _row(document: str, region: Region) -> dict[str, str | int | float]:
    return {
        "document": document,
        "page": region.page + 1,
        "region_begins": region.begins,
        "judged_words": region.judged,
        "implausible_words": region.implausible,
        "shreds": region.shreds,
    }
