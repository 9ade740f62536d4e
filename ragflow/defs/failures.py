"""Our errors in Dagster's words: only transient errors are retried."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from ragflow.errors import RagflowError

log = logging.getLogger(__name__)

RETRIES = dg.RetryPolicy(max_retries=3, delay=5, backoff=dg.Backoff.EXPONENTIAL, jitter=dg.Jitter.PLUS_MINUS)
"""For transient errors; :func:`translated` makes every other error final."""


@contextmanager
def translated() -> Iterator[None]:
    """Turn an error into a Dagster failure that says what to do, and that is retried only if that can help."""
    try:
        yield
    except dg.Failure:
        raise
    except RagflowError as error:
        raise failure(error) from error
    except Exception as error:
        log.exception("a defect of ours")
        raise dg.Failure(description=f"{type(error).__name__}: {error}", allow_retries=False) from error


def failure(error: RagflowError) -> dg.Failure:
    """Return the failure that shows an error."""
    return dg.Failure(
        description=str(error),
        metadata={"remedy": error.remedy, "exit_code": error.exit_code},
        allow_retries=error.transient,
    )
