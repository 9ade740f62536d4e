"""Sparse BM25 vectors: words of documents and queries, stemmed by language, accents folded.

A document's vector holds the BM25 weight of each of its words without the inverse document frequency, which the
collection supplies when it is searched; a query's vector holds how often each word stands in it.
"""

from __future__ import annotations

import re
import threading
import unicodedata
from collections.abc import Sequence

import numpy as np
from qdrant_edge import Bm25, Bm25Config, DisabledStemmer, StopwordsSet, TokenizerType

from ragflow.errors import BadInputError, UsageError
from ragflow.model.fingerprints import fingerprint
from ragflow.model.points import SparseVector

CODE_VERSION = 1
"""Goes up whenever what is done to a text before the BM25 library sees it changes."""

LANGUAGES = {
    "ar": "arabic",
    "az": "azerbaijani",
    "bn": "bengali",
    "ca": "catalan",
    "da": "danish",
    "de": "german",
    "el": "greek",
    "en": "english",
    "es": "spanish",
    "eu": "basque",
    "fi": "finnish",
    "fr": "french",
    "he": "hebrew",
    "hu": "hungarian",
    "id": "indonesian",
    "it": "italian",
    "ja": "japanese",
    "kk": "kazakh",
    "ne": "nepali",
    "nl": "dutch",
    "no": "norwegian",
    "pt": "portuguese",
    "ro": "romanian",
    "ru": "russian",
    "sl": "slovene",
    "sv": "swedish",
    "tg": "tajik",
    "tr": "turkish",
    "zh": "chinese",
}
"""ISO 639-1 code → the BM25 library's name. Other languages are split into words and no more."""

_WITHOUT_SPACES = frozenset({"ja", "km", "ko", "lo", "my", "th", "zh"})
"""Languages whose words need a dictionary to be told apart."""

_OTHER = "und"
_INVISIBLE = dict.fromkeys(map(ord, "\u00ad\u200b\u200c\u200d\u2060\ufeff"))
_BROKEN_WORD = re.compile(r"(\w{2,40})[-\u2010]\n(\w{2,40})")
_TERM_COUNTS = {"k": 1e6, "b": 0.0}
"""With these BM25 gives the number of times that a word occurs: the k + 1 / k + tf of its formula become 1."""

AHEAD = 2
"""Stop words by which a query must be more in one language than in any other to count as written in it."""
_WORD = re.compile(r"\w+")

_PROBE = (
    "Running studies were studied; l'été, des économies économiques. Die Häuser, las canciones, книги, "
    "中文文本检索, 日本語の文章, naïve cœur Straße, A-12 3.14 foo_bar"
)


class SparseEmbedder:
    """BM25 weights of words. May be shared by threads.

    The defaults did well over English and French collections cut into chunks of about 200 tokens; around them the
    figures are flat. Accents are folded: on clean French that changed little, but without it queries typed without
    accents lost about a tenth of their nDCG@10. Stop words that carry an accent are then no stop words any more, in
    documents and queries alike; listing them as such gained nothing.

    Args:
        k: how fast repeating a word stops mattering.
        b: how far long texts are held back, 0.0 to 1.0.
        avg_len: words that an average chunk has, stop words not counted.

    Raises:
        UsageError: a value that BM25 cannot take.
    """

    def __init__(self, k: float = 1.2, b: float = 0.75, avg_len: float = 64.0) -> None:
        self.k = k
        self.b = b
        self.avg_len = avg_len
        self._models: dict[tuple[str, bool], Bm25] = {}
        self._lock = threading.Lock()
        try:
            self._model("en", query=False)
        except ValueError as error:
            raise UsageError(
                f"BM25 cannot take k={k}, b={b}, avg_len={avg_len}: {error}.",
                remedy="Set k to 0 or more, b between 0 and 1, avg_len above 0.",
            ) from error

    @property
    def fingerprint(self) -> str:
        """Hash of the parameters and of what the BM25 library makes of a text in every language.

        The library's version is not part of it: only a version that gives other words or weights changes the hash.
        """
        probes = {}
        for language in (*LANGUAGES, "ko", _OTHER):
            vector = self._model(language, query=False).embed_document(_prepared(_PROBE))
            probes[language] = [list(vector.indices), [float(np.float32(value)) for value in vector.values]]
        return fingerprint(sparse=CODE_VERSION, k=self.k, b=self.b, avg_len=self.avg_len, probes=probes)

    def encode(self, texts: Sequence[str], languages: Sequence[str | None]) -> list[SparseVector]:
        """Return the vector of each document; a text without words has an empty one.

        Args:
            languages: the ISO 639-1 code of each text; anything else means no stemming and no stop words.

        Raises:
            BadInputError: a text is not valid Unicode.
        """
        vectors: list[SparseVector] = []
        for text, language in zip(texts, languages, strict=True):
            weights = self._weights(text, _code(language), query=False)
            vectors.append(_vector(weights))
        return vectors

    def query(self, text: str, languages: Sequence[str | None]) -> SparseVector:
        """Return the vector of a query: its words as each of the languages has them, weighted by their number.

        Args:
            languages: those of the collection that is searched; none means words as they stand.

        Raises:
            BadInputError: the text is not valid Unicode.
        """
        weights: dict[int, float] = {}
        for code in sorted({_code(language) for language in languages} or {_OTHER}):
            for index, weight in self._weights(text, code, query=True).items():
                weights[index] = max(weights.get(index, 0.0), float(round(weight)))
        return _vector(weights)

    def languages_of(self, query: str, languages: Sequence[str]) -> tuple[str, ...]:
        """Return those of some languages that a query may be written in, told by its stop words.

        A few words are little to go by, and many a stop word of one language is a good word of another ("car", "son",
        "but"): one language has to be ahead by :data:`AHEAD` words, or all of them remain.
        """
        words = [word for word in _WORD.findall(_prepared(query)) if not word.isdigit()]
        counts = {code: sum(not self._weights(word, code, query=True) for word in words) for code in languages}
        most = max(counts.values(), default=0)
        first = [code for code, count in counts.items() if count == most]
        rest = [count for code, count in counts.items() if code not in first]
        return (first[0],) if len(first) == 1 and rest and most - max(rest) >= AHEAD else tuple(languages)

    def _weights(self, text: str, code: str, *, query: bool) -> dict[int, float]:
        try:
            vector = self._model(code, query=query).embed_document(_prepared(text))
        except UnicodeEncodeError as error:
            raise BadInputError(f"A text is not valid Unicode: {text[:40]!a}.") from error
        return dict(zip(vector.indices, vector.values, strict=True))

    def _model(self, code: str, *, query: bool) -> Bm25:
        with self._lock:
            model = self._models.get((code, query))
            if model is None:
                model = self._models[code, query] = self._make(code, query=query)
            return model

    def _make(self, code: str, *, query: bool) -> Bm25:
        k, b = (_TERM_COUNTS["k"], _TERM_COUNTS["b"]) if query else (self.k, self.b)
        name = LANGUAGES.get(code)
        return Bm25(
            Bm25Config(
                k=k,
                b=b,
                avg_len=self.avg_len,
                tokenizer=TokenizerType.Multilingual if code in _WITHOUT_SPACES else TokenizerType.Word,
                language=name,
                ascii_folding=True,
                stemmer=None if name else DisabledStemmer(),
                stopwords=None if name else StopwordsSet(),
            )
        )


def _code(language: str | None) -> str:
    """Return the code under which a language is known here."""
    code = (language or "").lower()
    return code if code in LANGUAGES or code in _WITHOUT_SPACES else _OTHER


def _prepared(text: str) -> str:
    """Return the text in one spelling: ligatures and accents composed, invisible characters gone.

    A word that is broken at the end of a line is added in one piece; its halves stay, for the hyphen may be its own.
    """
    text = unicodedata.normalize("NFKC", text.translate(_INVISIBLE))
    whole = [left + right for left, right in _BROKEN_WORD.findall(text)]
    return f"{text}\n{' '.join(whole)}" if whole else text


def _vector(weights: dict[int, float]) -> SparseVector:
    """Return a vector with ascending indices."""
    indices = np.fromiter(weights.keys(), dtype=np.uint32, count=len(weights))
    values = np.fromiter(weights.values(), dtype=np.float32, count=len(weights))
    order = np.argsort(indices, kind="stable")
    return SparseVector(indices[order], values[order])
