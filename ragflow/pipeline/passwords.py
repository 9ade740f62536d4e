"""Whether the passwords file has changed since an encrypted document was last tried."""

from __future__ import annotations

import hashlib
import os
import secrets
from functools import lru_cache
from pathlib import Path

from ragflow.errors import UsageError
from ragflow.ocr.passwords import load_passwords
from ragflow.pipeline.workspace import Workspace
from ragflow.store.atomic import sync, temporary_beside

KEY_BYTES = 32


def passwords_mark(workspace: Workspace) -> str | None:
    """Return a mark that changes with the passwords and says nothing about them; None if there are none to try.

    It is made with a key that only the owner of the home can read, and slowly (scrypt), so that the passwords cannot
    be guessed from it, not even by whoever has both. A file that cannot be used counts as none here: whoever needs
    the passwords themselves is told.
    """
    file = workspace.reading.passwords_file
    if file is None:
        return None
    try:
        status = file.stat()
        if not load_passwords(file):
            return None
        key = _key(workspace.home.passwords_key)
        return _mark(key, file, status.st_ino, status.st_mtime_ns, status.st_size)
    except (UsageError, FileNotFoundError):
        return None


@lru_cache(maxsize=4)
def _mark(key: bytes, file: Path, inode: int, mtime_ns: int, size: int) -> str:
    text = "\n".join(sorted(load_passwords(file))).encode("utf-8", "surrogatepass")
    return hashlib.scrypt(text, salt=key, n=1 << 14, r=8, p=1, dklen=16).hex()


def _key(path: Path) -> bytes:
    """Return the home's key; it is made when it is first asked for."""
    while True:
        try:
            key = path.read_bytes()
        except FileNotFoundError:
            key = b""
        if len(key) == KEY_BYTES:
            return key
        path.unlink(missing_ok=True)
        temporary = temporary_beside(path)
        try:
            descriptor = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(secrets.token_bytes(KEY_BYTES))
            sync(temporary)
            # Of two processes that do this at the same time, the first decides.
            path.hardlink_to(temporary)
        except FileExistsError:
            continue
        finally:
            temporary.unlink(missing_ok=True)
