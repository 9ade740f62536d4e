"""Hashes that mean the same thing everywhere.

A *fingerprint* is the SHA-256 of everything that decides a result: inputs, options, code version. Equal fingerprints
mean that the work need not be done again.
"""

from __future__ import annotations

import hashlib
from typing import Any

import orjson


def canonical_json(value: Any) -> bytes:
    """Return the one JSON text of ``value``: UTF-8, keys sorted, no spaces. Numbers keep their shortest form."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def sha256_hex(data: bytes | bytearray | memoryview) -> str:
    """Return the SHA-256 of ``data`` as 64 lower-case hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def sha256_text(text: str) -> str:
    """Return the SHA-256 of ``text`` in UTF-8."""
    return sha256_hex(text.encode("utf-8"))


def fingerprint(**parts: Any) -> str:
    """Return the SHA-256 of the named parts; the order in which they are given does not matter."""
    return sha256_hex(canonical_json(parts))
