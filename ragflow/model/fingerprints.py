"""Hashes that mean the same thing everywhere.

A *fingerprint* is the SHA-256 of everything that decides a result: inputs, options, code version. Equal fingerprints
mean that the work need not be done again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
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


def merkle_root(leaves: Iterable[bytes]) -> str:
    """Return the Merkle root over ``leaves`` in the given order, as hexadecimal digits.

    Leaves and inner nodes are hashed with different prefixes (0x00, 0x01), so a node cannot pass for a leaf; an odd
    node moves up unchanged (RFC 6962). No leaves: the SHA-256 of nothing.
    """
    level = [hashlib.sha256(b"\x00" + leaf).digest() for leaf in leaves]
    if not level:
        return sha256_hex(b"")
    while len(level) > 1:
        paired = [hashlib.sha256(b"\x01" + level[i] + level[i + 1]).digest() for i in range(0, len(level) - 1, 2)]
        if len(level) % 2:
            paired.append(level[-1])
        level = paired
    return level[0].hex()
