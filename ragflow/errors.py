"""The one error hierarchy.

Every error that a person can meet says what happened and what to do about it (``remedy``), which exit code the
command line returns for it, and whether trying again can help (``transient``): Dagster's retry policy acts on
transient errors only.

Exit codes: 0 done, 1 a defect of ours, 2 wrong usage, 3 bad input, 4 a check or the gate said no, 5 a service or a
system program is unreachable.
"""

from __future__ import annotations


class RagflowError(Exception):
    """Base of all errors raised on purpose.

    Args:
        message: what happened, naming the file, batch or setting concerned.
        remedy: what the reader can do now; may be empty when nothing can be done.
    """

    exit_code: int = 1
    transient: bool = False

    def __init__(self, message: str, *, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message} {self.remedy}".strip()


class UsageError(RagflowError):
    """An option, a setting or an argument has a value that cannot be used."""

    exit_code = 2


class BadInputError(RagflowError):
    """A file, folder or query that was handed in cannot be worked on."""

    exit_code = 3


class NotFoundError(BadInputError):
    """Something named by its key (a batch, a version, a point, a document) does not exist."""


class IncompleteError(RagflowError):
    """A stage was asked for before what it stands on was there."""

    exit_code = 4


class CheckFailedError(RagflowError):
    """A check said no."""

    exit_code = 4


class IntegrityError(CheckFailedError):
    """Stored bytes no longer match the hash that was recorded for them."""


class DependencyMissingError(RagflowError):
    """A system program or a data file that an engine needs is not installed."""

    exit_code = 5


class ServiceUnavailableError(RagflowError):
    """Something outside the process did not answer; trying again may help."""

    exit_code = 5
    transient = True
