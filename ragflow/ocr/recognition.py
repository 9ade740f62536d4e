"""The Protocol that every engine keeps which reads pixels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt


class FoundWord(NamedTuple):
    """One word: box in pixels of the raster that was given, the engine's own confidence from 0.0 to 1.0."""

    text: str
    left: float
    top: float
    right: float
    bottom: float
    confidence: float


class FoundLine(NamedTuple):
    """One line: words in reading order, and the engine's own block number, -1 if it has none."""

    words: tuple[FoundWord, ...]
    block: int


class Recogniser(Protocol):
    """Reads pixels, one raster after the other, in one thread of the process in which it was made.

    Attributes:
        name: what stands in the options and in opinions.
        runs: pages or regions on which the recogniser really ran.
    """

    name: str
    runs: int

    def recognise(self, pixels: npt.NDArray[np.uint8], dpi: int, languages: Sequence[str]) -> list[FoundLine]:
        """Read a raster.

        Args:
            pixels: grey, rows by columns, 0 is black.
            languages: Tesseract's language codes.

        Raises:
            EngineError: this raster could not be read.
            DependencyMissingError: a program or data file is missing, so that none can be read.
        """
        ...
