"""The Tesseract that is installed: its version and its language data."""

from __future__ import annotations

import hashlib
import re
import subprocess
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from ragflow.errors import DependencyMissingError

PROGRAM = "tesseract"
_DATA_FOLDER = re.compile(r'"(.+)"')


@lru_cache(maxsize=1)
def tesseract_version() -> str:
    """Return the installed version, such as ``5.3.0``.

    Raises:
        DependencyMissingError: the program is not installed.
    """
    first_line = _run("--version").partition("\n")[0]
    return first_line.removeprefix("tesseract").strip()


@lru_cache(maxsize=1)
def _languages() -> tuple[Path, frozenset[str]]:
    heading, _, names = _run("--list-langs").partition("\n")
    folder = _DATA_FOLDER.search(heading)
    return Path(folder.group(1) if folder else "."), frozenset(names.split())


def require_languages(languages: Sequence[str]) -> None:
    """Raise DependencyMissingError, naming the Debian packages, unless the data of all languages is installed."""
    missing = [language for language in languages if language not in _languages()[1]]
    if missing:
        packages = " ".join(f"tesseract-ocr-{language.replace('_', '-').lower()}" for language in missing)
        raise DependencyMissingError(
            f"Tesseract has no data for the language {', '.join(missing)}.",
            remedy=f"Install it: apt-get install {packages}",
        )


def data_folder() -> Path:
    """Return the folder of the installed language data."""
    return _languages()[0]


def has_orientation_data() -> bool:
    """Return whether Tesseract can tell how a page is turned (``osd`` is installed)."""
    return "osd" in _languages()[1]


def language_hashes(languages: Sequence[str]) -> dict[str, str]:
    """Return the SHA-256 of the data file of each language, and of the orientation data where installed.

    Raises:
        DependencyMissingError: Tesseract or a language is not installed.
    """
    require_languages(languages)
    names = [*languages, "osd"] if has_orientation_data() else list(languages)
    return {name: _file_hash(_languages()[0] / f"{name}.traineddata") for name in names}


@lru_cache(maxsize=64)
def _file_hash(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _run(argument: str) -> str:
    try:
        done = subprocess.run(
            [PROGRAM, argument],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=60,
            check=False,
        )
    except FileNotFoundError as error:
        raise missing_program() from error
    return done.stdout.decode("utf-8", "replace").strip()


def missing_program() -> DependencyMissingError:
    """Return the error that says that Tesseract is not installed."""
    return DependencyMissingError(
        "The OCR program tesseract is not installed, or is not on the PATH.",
        remedy="Install it: apt-get install tesseract-ocr tesseract-ocr-eng tesseract-ocr-fra tesseract-ocr-osd",
    )
