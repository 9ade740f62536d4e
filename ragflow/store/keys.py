"""The keys of the search service: one private file, replaced as a whole."""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property, lru_cache
from pathlib import Path

import orjson

from ragflow.errors import IntegrityError, NotFoundError, UsageError
from ragflow.model.keys import (
    ID_BYTES,
    MAX_NAME,
    SECRET_BYTES,
    Key,
    KeyState,
    Scope,
    format_token,
    parse_token,
    same_hash,
    secret_hash,
)
from ragflow.store.atomic import put_in_place, temporary_beside
from ragflow.store.locks import Lock

FILE = "keys.json"
FORMAT = "ragflow-keys/1"
FOLDER_MODE, FILE_MODE = 0o700, 0o600
MAX_DAYS = 3650
NO_SECRET = secret_hash(b"")
"""Compared with when no key has the id, so that an unknown id takes as long as a wrong secret."""


@dataclass(frozen=True)
class KeyStore:
    """Keys in ``root/keys.json``; ``root`` is the folder ``secrets`` of a home. Backups leave it out.

    Several processes may use it at the same time. What is read is parsed again only when the file was replaced.
    """

    root: Path

    @cached_property
    def path(self) -> Path:
        return self.root / FILE

    def all(self) -> tuple[Key, ...]:
        """Return every key, oldest first, expired and revoked ones included.

        Raises:
            IntegrityError: the file is damaged.
            UsageError: others than its owner can read the file, or replace it.
        """
        try:
            folder, status = self.root.stat(), self.path.stat()
        except FileNotFoundError:
            return ()
        if status.st_mode & 0o077:
            raise UsageError(f"{self.path} can be read by others than its owner.", remedy=f"Run: chmod 600 {self.path}")
        if folder.st_mode & 0o022:
            raise UsageError(f"Others than its owner can replace {self.path}.", remedy=f"Run: chmod 700 {self.root}")
        return _parsed(self.path, status.st_ino, status.st_mtime_ns, status.st_size)

    def has_active(self) -> bool:
        """Whether there is a key that is neither expired nor revoked.

        Raises:
            IntegrityError, UsageError: as in :meth:`all`.
        """
        now = datetime.now(UTC)
        return any(key.state(now) is KeyState.ACTIVE for key in self.all())

    def find(self, token: str) -> Key | None:
        """Return the key that somebody holds, whatever its state; None if there is none with this id and secret.

        Raises:
            IntegrityError, UsageError: as in :meth:`all`.
        """
        given = parse_token(token)
        if given is None:
            return None
        identifier, secret = given
        key = next((key for key in self.all() if key.id == identifier), None)
        fits = same_hash(secret_hash(secret), key.secret_sha256 if key else NO_SECRET)
        return key if fits else None

    def add(self, name: str, scopes: Iterable[Scope], *, days: int | None = None) -> tuple[Key, str]:
        """Make a key; return what is kept of it, and the key itself, which cannot be had again.

        Args:
            days: until it expires; None: it does not.

        Raises:
            UsageError: the name, the scopes or the days cannot be used.
            IntegrityError: the file is damaged.
        """
        name = _checked_name(name)
        allowed = frozenset(scopes)
        if not allowed:
            raise UsageError("A key without a scope allows nothing.", remedy=f"Name some of: {', '.join(Scope)}.")
        if days is not None and not 1 <= days <= MAX_DAYS:
            raise UsageError(f"A key cannot be valid for {days} days.", remedy=f"Give 1 to {MAX_DAYS}, or nothing.")
        now = datetime.now(UTC)
        expires = None if days is None else (now + timedelta(days=days)).isoformat(timespec="seconds")
        with self._lock().held():
            keys = self.all()
            taken = {key.id for key in keys}
            while True:
                secret = secrets.token_bytes(SECRET_BYTES)
                token = format_token(secrets.token_bytes(ID_BYTES), secret)
                identifier = token.split("_")[1]
                if identifier not in taken:
                    break
            key = Key(identifier, name, allowed, secret_hash(secret), now.isoformat(timespec="seconds"), expires)
            self._write((*keys, key))
        return key, token

    def revoke(self, identifier: str) -> tuple[Key, bool]:
        """Take a key back; return it, and whether it was good for anything until now.

        Raises:
            NotFoundError: there is no key with this id.
            IntegrityError, UsageError: as in :meth:`all`.
        """
        now = datetime.now(UTC)
        with self._lock().held():
            keys = self.all()
            key = next((key for key in keys if key.id == identifier), None)
            if key is None:
                # What was given is not repeated: it may be a secret in the wrong place.
                raise NotFoundError("There is no key with this id.", remedy="See `ragflow keys list`.")
            if key.revoked_at is not None:
                return key, False
            gone = replace(key, revoked_at=now.isoformat(timespec="seconds"))
            self._write(gone if one.id == identifier else one for one in keys)
        return gone, key.state(now) is KeyState.ACTIVE

    def _lock(self) -> Lock:
        self.root.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
        return Lock(self.root / "keys.lock")

    def _write(self, keys: Iterable[Key]) -> None:
        if stat.S_IMODE(self.root.stat().st_mode) != FOLDER_MODE:
            # Other secrets of the home may have made it before.
            self.root.chmod(FOLDER_MODE)
        value = {"format": FORMAT, "keys": [key.to_dict() for key in keys]}
        temporary = temporary_beside(self.path)
        try:
            # Private from its first byte on.
            descriptor = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, FILE_MODE)
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(orjson.dumps(value, option=orjson.OPT_INDENT_2))
            put_in_place(temporary, self.path)
        finally:
            temporary.unlink(missing_ok=True)


def _checked_name(name: str) -> str:
    name = name.strip()
    if not name or len(name) > MAX_NAME or not name.isprintable():
        raise UsageError(
            f"A key needs a name of 1 to {MAX_NAME} printable characters.", remedy="Say whom or what it is for."
        )
    if parse_token(name) is not None:
        raise UsageError("A key cannot be the name of a key.", remedy="Say whom or what it is for.")
    return name


@lru_cache(maxsize=4)
def _parsed(path: Path, inode: int, mtime_ns: int, size: int) -> tuple[Key, ...]:
    try:
        value = orjson.loads(path.read_bytes())
        if value["format"] != FORMAT:
            raise ValueError("another format")
        keys = tuple(Key.from_dict(key) for key in value["keys"])
        if len({key.id for key in keys}) != len(keys):
            raise ValueError("an id stands twice")
    except (orjson.JSONDecodeError, ValueError, KeyError, TypeError, AttributeError) as error:
        # The error's own words may repeat what stands in the file.
        raise IntegrityError(
            f"{path} is damaged ({type(error).__name__}).",
            remedy="Delete it, and give out new keys with `ragflow keys add`: no key in it can be told any more.",
        ) from None
    return keys
