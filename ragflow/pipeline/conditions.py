"""Conditions on fields, as people write them: ``language=fr``, ``page_number=2..5``."""

from __future__ import annotations

import re
from collections.abc import Iterable

from ragflow.errors import UsageError
from ragflow.vectors.protocols import PAYLOAD_INDEXES, AnyOf, Between, Condition

EXAMPLES = "Examples: language=fr, page_number=3, page_number=2..5, confidence=0.9.."
MOST_DIGITS = 15
"""A number with more is taken as text: as a number it would not be exact everywhere."""
_NUMBER = r"-?[0-9]{1,15}(?:\.[0-9]{1,15})?"
_RANGE = re.compile(rf"({_NUMBER})?\.\.({_NUMBER})?", re.ASCII)


def read_conditions(entries: Iterable[str]) -> dict[str, Condition]:
    """Return what entries of the form ``key=value`` ask for, all of which must hold.

    A key that comes several times may have any of its values. Whole numbers, ranges of numbers, and true and false are
    such, but not in fields that hold names.

    Raises:
        UsageError: an entry has another form, or the values of a key are of different kinds.
    """
    given: dict[str, list[str]] = {}
    for entry in entries:
        key, sign, value = entry.partition("=")
        if not sign or not key:
            raise UsageError(f"{entry!r} is not key=value.", remedy=EXAMPLES)
        given.setdefault(key, []).append(value)
    return {key: _condition(key, values) for key, values in given.items()}


def _condition(key: str, given: list[str]) -> Condition:
    if PAYLOAD_INDEXES.get(key) == "keyword":
        return given[0] if len(given) == 1 else AnyOf(tuple(given))
    if len(given) == 1 and (ends := _RANGE.fullmatch(given[0])) and any(ends.groups()):
        return Between(*(float(end) if end else None for end in ends.groups()))
    values = [_value(text) for text in given]
    if len(values) == 1:
        return values[0]
    texts, numbers = ([value for value in values if type(value) is kind] for kind in (str, int))
    for alike in (texts, numbers):
        if len(alike) == len(values):
            return AnyOf(tuple(alike))  # type: ignore[arg-type]
    raise UsageError(f"The values of {key} are of different kinds: {', '.join(given)}.", remedy=EXAMPLES)


def _value(text: str) -> str | int | bool:
    if text in ("true", "false"):
        return text == "true"
    digits = text.removeprefix("-")
    if digits.isascii() and digits.isdigit() and len(digits) <= MOST_DIGITS:
        return int(text)
    return text
