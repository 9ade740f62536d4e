"""Which words a language has, from the word lists inside Tesseract's language data."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path

from ragflow.ocr.tesseract_program import data_folder, require_languages

UNPACK_SECONDS = 60.0


class Lexicon:
    """Words of one or several languages. Lower case finds a word however it is written; accents count."""

    def __init__(self, words: frozenset[str]) -> None:
        self._words = words

    def __contains__(self, word: str) -> bool:
        return word.casefold() in self._words

    def __iter__(self) -> Iterator[str]:
        return iter(self._words)

    def __len__(self) -> int:
        return len(self._words)


def load_lexicon(languages: Sequence[str]) -> Lexicon:
    """Return the words of Tesseract's language codes; empty if its tools cannot unpack them.

    Takes about half a second for each language, once in a process.

    Raises:
        DependencyMissingError: Tesseract, or the data of a language, is not installed.
    """
    require_languages(languages)
    return _lexicon(tuple(languages))


@lru_cache(maxsize=8)
def _lexicon(languages: tuple[str, ...]) -> Lexicon:
    return Lexicon(frozenset().union(*(_words(language) for language in languages)))


@lru_cache(maxsize=8)
def _words(language: str) -> frozenset[str]:
    data = data_folder() / f"{language}.traineddata"
    with tempfile.TemporaryDirectory(prefix="ragflow-words-") as folder:
        prefix = f"{folder}/part."
        listed = Path(folder) / "words.txt"
        commands = (
            ["combine_tessdata", "-u", str(data), prefix],
            ["dawg2wordlist", f"{prefix}lstm-unicharset", f"{prefix}lstm-word-dawg", str(listed)],
        )
        try:
            for command in commands:
                subprocess.run(command, capture_output=True, check=True, timeout=UNPACK_SECONDS)
            lines = listed.read_text("utf-8", "replace").splitlines()
        except (FileNotFoundError, subprocess.SubprocessError):
            return frozenset()  # a language without a word list, or a Tesseract without its tools: judge without it
    return frozenset(line.casefold() for line in lines if len(line) > 1 and line[0].isalpha())
