"""Where the lines of text are on a raster."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]
"""Grey, rows by columns, 0 is black."""

Quad = npt.NDArray[np.float32]
"""Four corners ``(x, y)`` in pixels, shape (4, 2): top left, top right, bottom right, bottom left of the text."""

LONGEST_SIDE = 2000
"""Pixels of the longer side from which on the page is made smaller for detection."""

SHORTEST_SIDE = 736
"""Pixels of the shorter side below which the page is made larger for detection."""

MULTIPLE = 32
"""The model takes sides that are multiples of this."""

TEXT = 0.3
"""Probability from which on a pixel belongs to a line."""

BOX = 0.5
"""Mean probability within a box from which on it is a line."""

GROWTH = 1.6
"""The model marks the core of a line; the box is grown by area times this over circumference."""

MIN_CORE = 3.0
MIN_HEIGHT = 5.0
"""Pixels of the smaller side, before and after growing, at the size at which detection runs."""

MAX_LINES = 4000
"""Lines looked at on one page, the largest first: a page of noise has tens of thousands of specks."""

UPRIGHT_RATIO = 1.5
"""A box that is higher than wide by this factor holds vertical text."""


class LineBox(NamedTuple):
    """A line: its corners in pixels of the raster, and the mean probability that there is text."""

    quad: Quad
    score: float


class TextDetector:
    """Finds lines with RapidOCR's detection model. The model is loaded with the first raster."""

    def __init__(self, threads: int = 1) -> None:
        self._threads = threads
        self._session: Any = None

    def detect(self, pixels: Pixels, enlarge: float = 1.0) -> list[LineBox]:
        """Return the lines of a raster, in no order.

        Args:
            enlarge: factor on the size at which detection runs.
        """
        import cv2

        if self._session is None:
            from ragflow.ocr.rapidocr_models import detection_session

            self._session = detection_session(self._threads)
        rows, columns = pixels.shape
        height, width = detection_size(rows, columns, enlarge)
        smaller = height * width < rows * columns
        resized = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR)
        grey = resized.astype(np.float32) / 127.5 - 1.0
        probability = self._session.run(None, {"x": np.repeat(grey[None, None], 3, axis=1)})[0][0, 0]
        scale = np.array([columns / width, rows / height], dtype=np.float32)
        return [LineBox(box.quad * scale, box.score) for box in boxes(probability)]


def detection_size(rows: int, columns: int, enlarge: float = 1.0) -> tuple[int, int]:
    """Return the rows and columns at which detection runs on a raster."""
    scale = min(1.0, LONGEST_SIDE / max(rows, columns))
    if scale == 1.0:
        scale = max(1.0, min(SHORTEST_SIDE / min(rows, columns), LONGEST_SIDE / max(rows, columns)))
    scale *= enlarge
    height, width = (max(MULTIPLE, round(side * scale / MULTIPLE) * MULTIPLE) for side in (rows, columns))
    return height, width


def boxes(probability: npt.NDArray[np.float32]) -> list[LineBox]:
    """Return the lines in the model's answer, in its pixels."""
    import cv2

    mask = cv2.dilate((probability > TEXT).astype(np.uint8), np.ones((2, 2), np.uint8))
    contours, _ = cv2.findContours(mask, cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
    if len(contours) > MAX_LINES:
        contours = sorted(contours, key=cv2.contourArea, reverse=True)[:MAX_LINES]
    found = []
    for contour in contours:
        centre, (width, height), angle = cv2.minAreaRect(contour)
        if min(width, height) < MIN_CORE:
            continue
        score = _mean_inside(probability, _corners(centre, width, height, angle))
        if score < BOX:
            continue
        growth = width * height * GROWTH / (width + height)  # on both sides together
        if min(width, height) + growth < MIN_HEIGHT:
            continue
        corners = _corners(centre, width + growth, height + growth, angle)
        found.append(LineBox(in_order(corners), score))
    return found


def _corners(centre: Sequence[float], width: float, height: float, angle: float) -> npt.NDArray[np.float32]:
    import cv2

    return np.asarray(cv2.boxPoints((centre, (width, height), angle)), dtype=np.float32)


def _mean_inside(probability: npt.NDArray[np.float32], corners: npt.NDArray[np.float32]) -> float:
    import cv2

    rows, columns = probability.shape
    left, top = np.clip(np.floor(corners.min(axis=0)), 0, (columns - 1, rows - 1)).astype(int)
    right, bottom = np.clip(np.ceil(corners.max(axis=0)), 0, (columns - 1, rows - 1)).astype(int)
    inside = np.zeros((bottom - top + 1, right - left + 1), np.uint8)
    cv2.fillPoly(inside, [(corners - (left, top)).astype(np.int32)], 1)
    return float(cv2.mean(probability[top : bottom + 1, left : right + 1], inside)[0])


def in_order(corners: npt.NDArray[np.float32]) -> Quad:
    """Return four corners as a :data:`Quad`, taking the text to be upright."""
    by_x = corners[np.argsort(corners[:, 0], kind="stable")]
    left = by_x[:2][np.argsort(by_x[:2, 1], kind="stable")]
    right = by_x[2:][np.argsort(by_x[2:, 1], kind="stable")]
    return np.array([left[0], right[0], right[1], left[1]], dtype=np.float32)


def sides(quad: Quad) -> tuple[float, float]:
    """Return the width and height of a quad, in pixels."""
    width = max(math.dist(quad[0], quad[1]), math.dist(quad[3], quad[2]))
    height = max(math.dist(quad[0], quad[3]), math.dist(quad[1], quad[2]))
    return width, height


def is_vertical(quad: Quad) -> bool:
    """Whether a quad holds text that runs up or down."""
    width, height = sides(quad)
    return height >= UPRIGHT_RATIO * width


def turned(quad: Quad) -> Quad:
    """Return the quad of text that runs from top to bottom, as :data:`Quad` wants it: first corner first."""
    return np.roll(quad, -1, axis=0)


def grown(quad: Quad, room: float) -> Quad:
    """Return a quad with room added above and below, in its heights."""
    if not room:
        return quad
    down = (quad[3] - quad[0] + quad[2] - quad[1]) / 2 * room
    return np.array([quad[0] - down, quad[1] - down, quad[2] + down, quad[3] + down], dtype=np.float32)


def crop(pixels: Pixels, quad: Quad, height: int | None = None) -> Pixels:
    """Cut out a line and set it straight.

    Args:
        height: of the result, in pixels; by default that of the line. Widths go along.
    """
    import cv2

    wide, high = (max(4.0, side) for side in sides(quad))
    scale = 1.0 if height is None else height / high
    size = max(4, min(30_000, round(wide * scale))), max(4, round(high * scale))
    target = np.array([[0, 0], [size[0], 0], [size[0], size[1]], [0, size[1]]], dtype=np.float32)
    matrix = cv2.getPerspectiveTransform(quad, target)
    how = cv2.INTER_CUBIC if scale > 0.7 else cv2.INTER_AREA
    line = cv2.warpPerspective(pixels, matrix, size, borderMode=cv2.BORDER_REPLICATE, flags=how)
    return np.asarray(line, dtype=np.uint8)
