"""The Protocol that every reading engine keeps."""

from __future__ import annotations

from typing import Protocol

from ragflow.errors import RagflowError
from ragflow.model.reading import PageReading, Reason
from ragflow.ocr.page import Page


class EngineError(RagflowError):
    """An engine could not read one page; other pages are not concerned.

    Attributes:
        reason: what the page is quarantined for if no other engine reads it.
    """

    def __init__(self, message: str, *, reason: Reason = Reason.ENGINE_FAILED, remedy: str = "") -> None:
        super().__init__(message, remedy=remedy)
        self.reason = reason


class PageEngine(Protocol):
    """Reads pages, one after the other.

    Processes and threads: an engine is made in the process that uses it, is used from one thread of it, and is never
    pickled. Making one is cheap and checks nothing; what it needs is loaded with the first page.

    Units: boxes are fractions of the displayed page, confidence runs from 0.0 to 1.0 and is comparable between
    engines, so that a later step may merge the words of several. Blocks and lines are numbered in reading order.

    The same page and options give the same reading, every time.

    Attributes:
        name: what stands in ``PageReading.engine`` and in the options.
        runs: pages on which the recogniser itself ran since the engine was made; a page that was passed on or found
            blank beforehand does not count.
    """

    @property
    def name(self) -> str: ...

    @property
    def runs(self) -> int: ...

    def read(self, page: Page) -> PageReading | None:
        """Read one page.

        Returns:
            A reading whose ``text`` and ``words`` come from :func:`ragflow.ocr.compose.compose`, with ``language``
            left to the reader; or None: not for this engine, ask the next one.

        Raises:
            EngineError: the page could not be read.
            DependencyMissingError: a program or data file is missing, so that no page can be read.
        """
        ...
