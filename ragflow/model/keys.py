"""Keys of the search service: what one looks like, what it allows, and when it stops to.

A key is ``rfk_<id>_<secret>``: eight and 52 characters of lower-case base32, which has neither ``_`` nor a character
that a double click, an address or a shell would cut at. The id names a key in lists and logs; the secret stands
nowhere but with whoever was given it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

PREFIX = "rfk"
ID_BYTES = 5
SECRET_BYTES = 32
TOKEN = re.compile(rf"{PREFIX}_(?P<id>[a-z2-7]{{8}})_(?P<secret>[a-z2-7]{{52}})", re.ASCII)
KEY_ID = re.compile(r"[a-z2-7]{8}", re.ASCII)
HASH = re.compile(r"[0-9a-f]{64}", re.ASCII)
MAX_NAME = 80


class Scope(StrEnum):
    """What a key allows; none of them includes another."""

    SEARCH = "search"
    READ = "read"
    METRICS = "metrics"


class KeyState(StrEnum):
    ACTIVE = "active"
    EXPIRED = "expired"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True)
class Key:
    """What is kept of a key.

    Attributes:
        id: names it in public.
        name: whom or what it is for.
        secret_sha256: SHA-256 of the secret. No slow hash and no salt: a secret is 32 random bytes, which nobody can
            guess however fast, while a password would have to be protected from being guessed.
        created_at, expires_at, revoked_at: ISO 8601 with an offset; None: never, not.
    """

    id: str
    name: str
    scopes: frozenset[Scope]
    secret_sha256: str = field(repr=False)
    created_at: str
    expires_at: str | None = None
    revoked_at: str | None = None

    def state(self, now: datetime) -> KeyState:
        """Return whether the key is good at ``now``, a time with an offset."""
        if self.revoked_at is not None:
            return KeyState.REVOKED
        if self.expires_at is not None and now >= datetime.fromisoformat(self.expires_at):
            return KeyState.EXPIRED
        return KeyState.ACTIVE

    def row(self, now: datetime) -> dict[str, Any]:
        """Return what may be shown of the key."""
        return {
            "id": self.id,
            "name": self.name,
            "scopes": sorted(self.scopes),
            "state": self.state(now),
            "created_at": self.created_at,
            "expires_at": self.expires_at,
            "revoked_at": self.revoked_at,
        }

    def to_dict(self) -> dict[str, Any]:
        """Return everything, the hash of the secret included, as JSON values."""
        return {
            "id": self.id,
            "name": self.name,
            "scopes": sorted(self.scopes),
            "secret_sha256": self.secret_sha256,
            "created_at": self.created_at,
            "expires_at": self.expires_at,
            "revoked_at": self.revoked_at,
        }

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Key:
        """Return the key that :meth:`to_dict` described.

        Raises:
            ValueError, KeyError, TypeError: it is no such description.
        """
        key = cls(**{**value, "scopes": frozenset(Scope(scope) for scope in value["scopes"])})
        if not KEY_ID.fullmatch(key.id) or not HASH.fullmatch(key.secret_sha256) or not isinstance(key.name, str):
            raise ValueError("not a key")
        for moment in (key.created_at, key.expires_at, key.revoked_at):
            if moment is not None and datetime.fromisoformat(moment).tzinfo is None:
                raise ValueError("a time without an offset")
        return key


def format_token(identifier: bytes, secret: bytes) -> str:
    """Return the key as it is given to a person.

    Args:
        identifier: 5 bytes.
        secret: 32 bytes.
    """
    return f"{PREFIX}_{_base32(identifier)}_{_base32(secret)}"


def parse_token(token: str) -> tuple[str, bytes] | None:
    """Return id and secret of a key; None if it is not one. Each pair is written in exactly one way."""
    found = TOKEN.fullmatch(token)
    if found is None:
        return None
    text = found["secret"]
    try:
        secret = base64.b32decode(text.upper() + "=" * (-len(text) % 8))
    except binascii.Error:
        return None
    # The last character carries four bits that belong to no byte: they are zero, or it is no key.
    return (found["id"], secret) if _base32(secret) == text else None


def secret_hash(secret: bytes) -> str:
    """Return what is kept of a secret."""
    return hashlib.sha256(secret).hexdigest()


def same_hash(one: str, other: str) -> bool:
    """Compare two hashes of secrets in a time that does not depend on where they differ."""
    return hmac.compare_digest(one, other)


def _base32(data: bytes) -> str:
    return base64.b32encode(data).decode().rstrip("=").lower()
