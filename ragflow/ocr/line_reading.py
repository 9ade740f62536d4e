"""What a line says, character by character."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ragflow.ocr.detection import Pixels

HEIGHT = 48
"""Rows that the recognition model takes."""

STEP_WIDTH = 16
"""Widths are rounded up to this, so that lines of like width share one call."""

MAX_WIDTH = 3200
"""Columns of a line; a longer one is squeezed."""

CALL_WIDTH = 2400
"""Columns, over all lines, of one call: enough to keep one core busy, little enough for its cache."""

UNLIKE = 1.25
"""Lines in one call differ in width by no more than this factor: what is filled up is computed in vain."""


REACH = 0.75
"""A character reaches no farther to each side than this, in usual distances between characters."""


class Character(NamedTuple):
    """One character of a line.

    Attributes:
        text: the character; a space parts words.
        confidence: the model's probability, 0.0 to 1.0.
        left, right: where it stands, as fractions of the line's width.
    """

    text: str
    confidence: float
    left: float
    right: float


class LineReader:
    """Reads lines with RapidOCR's recognition model. The model is loaded with the first line."""

    def __init__(self, threads: int = 1) -> None:
        self._threads = threads
        self._session: Any = None
        self._alphabet: tuple[str, ...] = ()

    def read(self, lines: Sequence[Pixels], stretch: float = 1.0) -> list[list[Character]]:
        """Return the characters of each line, from left to right; nothing for a line in which none was seen.

        Args:
            lines: one upright line each, of any size.
            stretch: factor on the width: another look at a line of which the first was unsure.
        """
        if self._session is None:
            from ragflow.ocr.rapidocr_models import recognition_session

            self._session, self._alphabet = recognition_session(self._threads)
        widths = [line_width(line, stretch) for line in lines]
        found: list[list[Character]] = [[] for _ in lines]
        for members in calls(widths):
            filled = math.ceil(max(widths[index] for index in members) / STEP_WIDTH) * STEP_WIDTH
            batch = np.zeros((len(members), 3, HEIGHT, filled), np.float32)
            for row, index in enumerate(members):
                batch[row, :, :, : widths[index]] = _prepared(lines[index], widths[index])
            answers = self._session.run(None, {"x": batch})[0]
            for row, index in enumerate(members):
                found[index] = decode(answers[row], self._alphabet, filled / widths[index])
        return found


def line_width(line: Pixels, stretch: float) -> int:
    rows, columns = int(line.shape[0]), int(line.shape[1])
    return min(MAX_WIDTH, max(STEP_WIDTH, math.ceil(HEIGHT * columns / rows * stretch)))


def calls(widths: Sequence[int]) -> list[list[int]]:
    """Return which lines go into the same call of the model: lines of like width, not too many."""
    groups: list[list[int]] = []
    for index in sorted(range(len(widths)), key=lambda index: (widths[index], index)):
        width = widths[index]
        group = groups[-1] if groups else None
        if (
            group is not None
            and (len(group) + 1) * width <= CALL_WIDTH
            and width <= UNLIKE * widths[group[0]] + STEP_WIDTH
        ):
            group.append(index)
        else:
            groups.append([index])
    return groups


def _prepared(line: Pixels, width: int) -> npt.NDArray[np.float32]:
    import cv2

    how = cv2.INTER_AREA if line.shape[0] > HEIGHT else cv2.INTER_LINEAR
    resized: npt.NDArray[np.float32] = cv2.resize(line, (width, HEIGHT), interpolation=how).astype(np.float32)
    return resized / 127.5 - 1.0


def decode(steps: npt.NDArray[np.float32], alphabet: Sequence[str], width: float) -> list[Character]:
    """Return the most likely characters of one line.

    The model gives one distribution for each of many narrow columns; the same class in neighbouring columns is one
    character, and the blank parts two equal ones.

    Args:
        steps: probabilities, shape (steps, len(alphabet)); the first class is the blank.
        width: how wide the steps are together, in widths of the line.
    """
    best = steps.argmax(axis=1)
    sure = steps.max(axis=1)
    per_step = width / len(best)
    seen: list[tuple[str, float, float, float]] = []
    previous = 0
    for step, (index, confidence) in enumerate(zip(best.tolist(), sure.tolist(), strict=True)):
        if index and index == previous:
            text, most, first, _ = seen[-1]
            seen[-1] = (text, max(most, confidence), first, step * per_step)
        elif index:
            seen.append((alphabet[index], confidence, step * per_step, step * per_step))
        previous = index
    return _with_edges(seen, per_step)


def _with_edges(seen: Sequence[tuple[str, float, float, float]], per_step: float) -> list[Character]:
    """Return characters that reach half-way to their neighbours; the model only tells about where each stands.

    Beside a wide gap, and at the ends, a character reaches as far as is usual on its line.
    """
    middles = [(first + last + per_step) / 2 for _, _, first, last in seen]
    apart = [second - first for first, second in pairwise(middles)]
    usual = sorted(apart)[len(apart) // 2] if apart else 2 * per_step
    reaches = [usual / 2, *(min(distance / 2, REACH * usual) for distance in apart), usual / 2]
    return [
        Character(text, confidence, max(0.0, min(1.0, middle - before)), max(0.0, min(1.0, middle + after)))
        for (text, confidence, _, _), middle, before, after in zip(seen, middles, reaches, reaches[1:], strict=False)
    ]
