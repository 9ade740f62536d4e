"""Which language a text is in, among the few that an archive holds."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

MIN_LETTERS = 20
"""A text with fewer letters has no language: the guess would be chance."""

MAX_CHARACTERS = 2000
"""The beginning of a text is enough to tell."""

_ISO_639_1 = {"eng": "en", "fra": "fr", "deu": "de", "ita": "it", "spa": "es", "nld": "nl", "por": "pt"}


def two_letter_codes(languages: Sequence[str]) -> tuple[str, ...]:
    """Return the ISO 639-1 codes of Tesseract's language codes, in order; unknown ones are left out."""
    return tuple(dict.fromkeys(_ISO_639_1[code] for code in languages if code in _ISO_639_1))


def tesseract_code(language: str | None, languages: Sequence[str]) -> str | None:
    """Return which of Tesseract's language codes stands for an ISO 639-1 code; None if none does."""
    return next((code for code in languages if language and _ISO_639_1.get(code) == language), None)


@lru_cache(maxsize=8)
def _identifier(allowed: tuple[str, ...]) -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    identifier = LanguageIdentifier.from_model_file(MODEL_FILE)
    identifier.set_languages(list(allowed))
    return identifier


def detect_language(text: str, allowed: Sequence[str] = ("en", "fr")) -> str | None:
    """Return the ISO 639-1 code of the most likely of the ``allowed`` languages.

    Returns:
        None if the text has fewer than 20 letters or no language is allowed.
    """
    start = text[:MAX_CHARACTERS]
    if not allowed or sum(map(str.isalpha, start)) < MIN_LETTERS:
        return None
    if len(allowed) == 1:
        return allowed[0]
    language, _ = _identifier(tuple(allowed)).classify(start)
    return str(language)
