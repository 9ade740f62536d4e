"""Passwords for encrypted documents, from a private file: one a line.

They stay in memory: no record, table, log line, error or task holds one. Workers read the file themselves.
"""

from __future__ import annotations

import os
import stat
import stringprep
import unicodedata
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path

from ragflow.errors import UsageError

MAX_PASSWORDS = 1000
"""More would make every document that none of them opens a matter of minutes."""

MAX_FILE_BYTES = 1 << 20

SETTING = "passwords_file in the section [reading] of ragflow.toml (RAGFLOW_READING__PASSWORDS_FILE)"


def load_passwords(path: Path | None) -> tuple[str, ...]:
    """Return the passwords of a file, in its order, each once; none if there is no file.

    UTF-8 text, one password a line. Empty lines and lines that begin with ``#`` are left out; a password that begins
    with ``#`` is written ``\\#…``, and one that begins with ``\\#`` is written ``\\\\#…``. Blanks belong to the
    password, also at its ends.

    Raises:
        UsageError: the file is missing or no plain file, others than its owner can read it, or it is not text.
    """
    if path is None:
        return ()
    try:
        # Not blocking: a named pipe would be waited for without end.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError as error:
        raise _refused(path, f"cannot be read: {error.strerror}", f"Correct {SETTING}.") from None
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise _refused(path, "is no plain file", f"Correct {SETTING}.")
        if status.st_mode & 0o077:
            raise _refused(path, "can be read by others than its owner", f"Run: chmod 600 {path}")
        if status.st_size > MAX_FILE_BYTES:
            raise _refused(path, f"has more than {MAX_FILE_BYTES:,} bytes", "Keep to one password a line.")
        with os.fdopen(descriptor, "rb", closefd=False) as stream:
            return _parsed(path, stream.read(MAX_FILE_BYTES))
    finally:
        os.close(descriptor)


def _parsed(path: Path, data: bytes) -> tuple[str, ...]:
    passwords: dict[str, None] = {}
    for number, raw in enumerate(data.removeprefix(b"\xef\xbb\xbf").split(b"\n"), start=1):
        try:
            line = raw.removesuffix(b"\r").decode("utf-8")
        except UnicodeDecodeError:
            # The decoder's own words hold bytes of the password.
            raise _refused(path, f"is not UTF-8 text: see line {number}", "Save it as UTF-8.") from None
        if not line.strip() or line.startswith("#"):
            continue
        if "\0" in line:
            raise _refused(path, f"has a NUL character in line {number}", "Take it out.")
        passwords[line[1:] if line.startswith(("\\#", "\\\\#")) else line] = None
    if len(passwords) > MAX_PASSWORDS:
        raise _refused(path, f"has {len(passwords)} passwords; {MAX_PASSWORDS} may be tried", "Keep those in use.")
    return tuple(passwords)


def _refused(path: Path, what: str, remedy: str) -> UsageError:
    return UsageError(f"The passwords file {path} {what}.", remedy=remedy)


def encoded(passwords: Sequence[str]) -> Iterator[bytes]:
    """Yield the bytes to try, in order, each once.

    A password is tried in UTF-8, as PDF 2.0 has it (also prepared by SASLprep, which its standard asks for and not
    every program does), and in Latin-1, as older documents have it. The bytes that opened the last document of this
    process come first: the next one is often protected alike, and the pages of one document are read in many parts.
    """
    tried: dict[bytes, None] = {}
    for password in passwords:
        for form in dict.fromkeys((password, _prepared(password))):
            tried[form.encode("utf-8", "surrogatepass")] = None
        if not password.isascii():
            try:
                tried[password.encode("latin-1")] = None
            except UnicodeEncodeError:
                continue
    last = _last_that_opened()
    if last and last[0] in tried:
        yield last[0]
        del tried[last[0]]
    yield from tried


def remember(raw_password: bytes) -> None:
    """Note, in this process, the bytes that opened a document."""
    _last_that_opened()[:] = [raw_password]


@lru_cache(maxsize=1)
def _last_that_opened() -> list[bytes]:
    return []


def _prepared(password: str) -> str:
    """Return the password after SASLprep's mapping and normalisation (RFC 4013); what it forbids is left in."""
    if password.isascii():
        return password
    mapped = "".join(
        " " if stringprep.in_table_c12(character) else character
        for character in password
        if not stringprep.in_table_b1(character)
    )
    return unicodedata.normalize("NFKC", mapped)
