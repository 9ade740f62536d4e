"""In which order the lines of a page are read: columns one after the other, tables and forms row by row."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise
from statistics import median
from typing import NamedTuple

import numpy as np

from ragflow.ocr.detection import Quad, sides

GROWN = 0.3
"""Detection leaves this much room, in box heights, at both ends of a line; it would close narrow gutters."""

CROSSING = 0.6
"""A piece crosses a gutter if it goes beyond it by more than this, in its heights, on both sides."""

MAX_LINES = 1500
"""A page with more pieces is read row by row: finding columns takes time that grows with the square."""

MIN_ROWS = 4
"""Rows that a column has at least."""

PROSE_RATIO = 7.0
"""Usual width of a row over its height from which on a column may hold prose; a column of prices is narrower."""

WIDE_ROW = 0.65
FILLED = 0.4
"""Prose fills its column: this share of its rows is as wide as that share of the column."""

APART_ROWS = 8
SAME_LEVEL = 0.3
ALIGNED = 0.55
"""Two pages side by side are told from a form by their rows: of so many, less than this share stand level, which is
within so many row heights."""

SPANS = 0.5
"""A piece across a gutter that covers this share of a column parts what is above from what is below; a lesser one, such
as the caption of a picture between the columns, is read after them."""

FEW_INSERTS = 4
"""Columns have at least this many times the pieces that stand across their gutter."""

SHARED_HEIGHT = 0.5
"""Columns stand beside each other over at least this share of the lower one."""


class Row(NamedTuple):
    """Pieces of text on one level, from left to right.

    Attributes:
        zone: number of the column or band that it belongs to, in reading order.
        members: indexes of the pieces.
    """

    zone: int
    members: tuple[int, ...]


class _Piece(NamedTuple):
    number: int
    left: float
    top: float
    right: float
    bottom: float

    @property
    def middle(self) -> float:
        return (self.top + self.bottom) / 2

    @property
    def height(self) -> float:
        return self.bottom - self.top


def skew_of(quads: Sequence[Quad]) -> float:
    """Return the angle by which lines fall to the right, in degrees; 0.0 if no line is long enough to tell."""
    angles = []
    for quad in quads:
        width, height = sides(quad)
        if width > 5 * height:
            across = (quad[1] - quad[0]) + (quad[2] - quad[3])
            angles.append((math.degrees(math.atan2(across[1], across[0])), width))
    if not angles:
        return 0.0
    half, passed = sum(weight for _, weight in angles) / 2, 0.0
    for angle, weight in sorted(angles):
        passed += weight
        if passed >= half:
            return angle
    return 0.0


def straightened(quads: Sequence[Quad]) -> list[Quad]:
    """Return the quads as they would stand if the page lay straight."""
    angle = math.radians(skew_of(quads))
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]], dtype=np.float32)
    return [(quad @ turn).astype(np.float32) for quad in quads]


def reading_order(quads: Sequence[Quad]) -> list[Row]:
    """Return all pieces as rows, in the order in which a person reads them.

    Args:
        quads: the pieces, upright, in pixels.
    """
    if not quads:
        return []
    pieces = []
    for index, straight in enumerate(straightened(quads)):
        left, top = straight.min(axis=0)
        right, bottom = straight.max(axis=0)
        room = min(GROWN * (bottom - top), (right - left) / 4)
        pieces.append(_Piece(index, float(left + room), float(top), float(right - room), float(bottom)))
    zones = [pieces] if len(pieces) > MAX_LINES else _zones(pieces)
    return [
        Row(number, tuple(piece.number for piece in row)) for number, zone in enumerate(zones) for row in _rows(zone)
    ]


def _rows(pieces: Iterable[_Piece]) -> list[list[_Piece]]:
    """Return the pieces level by level, from left to right."""
    rows: list[list[_Piece]] = []
    for piece in sorted(pieces, key=lambda piece: piece.middle):
        if rows and _level(rows[-1], piece):
            rows[-1].append(piece)
        else:
            rows.append([piece])
    for row in rows:
        row.sort(key=lambda piece: piece.left)
    return rows


def _level(row: Sequence[_Piece], piece: _Piece) -> bool:
    """Whether a piece stands on the level of a row: beside its nearest neighbour, and not above or below any."""
    nearest = min(row, key=lambda other: max(piece.left - other.right, other.left - piece.right))
    shared = min(nearest.bottom, piece.bottom) - max(nearest.top, piece.top)
    if shared < 0.5 * min(nearest.height, piece.height):
        return False
    overlap = min(nearest.right, piece.right) - max(nearest.left, piece.left)
    return overlap < 0.5 * min(nearest.right - nearest.left, piece.right - piece.left)


class _Columns(NamedTuple):
    """Two columns, what stands between them, and what stands above and below."""

    above: list[_Piece]
    left: list[_Piece]
    right: list[_Piece]
    between: list[_Piece]
    below: list[_Piece]


def _zones(pieces: list[_Piece]) -> list[list[_Piece]]:
    """Return the pieces in parts that are read one after the other."""
    columns = _best_columns(pieces)
    if columns is None:
        return [pieces]
    return [zone for part in columns if part for zone in _zones(part)]


def _best_columns(pieces: list[_Piece]) -> _Columns | None:
    """Return the longest two columns beside each other, if there are any.

    What spans the gutter (a title, a footer) parts the page into bands; the columns lie within one band.
    """
    if len(pieces) < 2 * MIN_ROWS:
        return None
    best: _Columns | None = None
    best_score = 0.0
    start, end = min(piece.left for piece in pieces), max(piece.right for piece in pieces)
    for gutter in sorted({piece.right + 0.5 for piece in pieces if piece.right < end}):
        crossing = [piece for piece in pieces if _crosses(piece, gutter)]
        if len(crossing) > len(pieces) // 2:
            continue
        spanning = [
            piece
            for piece in crossing
            if gutter - piece.left >= SPANS * (gutter - start) or piece.right - gutter >= SPANS * (end - gutter)
        ]
        edges = [-math.inf, *sorted(piece.middle for piece in spanning), math.inf]
        inserts = [piece for piece in crossing if piece not in spanning]
        for top, bottom in pairwise(edges):
            band = [piece for piece in pieces if top < piece.middle < bottom and piece not in crossing]
            left = [piece for piece in band if piece.left + piece.right < 2 * gutter]
            right = [piece for piece in band if piece.left + piece.right >= 2 * gutter]
            between = [piece for piece in inserts if top < piece.middle < bottom]
            if min(len(left), len(right)) < max(MIN_ROWS, FEW_INSERTS * len(between)):
                continue
            width = min(piece.left for piece in right) - max(piece.right for piece in left)
            score = min(len(left), len(right)) + width / 1e6
            if score > best_score and _are_columns(left, right):
                best_score = score
                best = _Columns(
                    above=[piece for piece in pieces if piece.middle <= top],
                    left=left,
                    right=right,
                    between=between,
                    below=[piece for piece in pieces if piece.middle >= bottom],
                )
    return best


def _crosses(piece: _Piece, gutter: float) -> bool:
    return min(gutter - piece.left, piece.right - gutter) > CROSSING * piece.height


def _are_columns(left: list[_Piece], right: list[_Piece]) -> bool:
    first, second = _rows(left), _rows(right)
    if min(len(first), len(second)) < MIN_ROWS or not _beside(left, right):
        return False
    ratio = min(_usual_ratio(first), _usual_ratio(second))
    if ratio < PROSE_RATIO:
        return False
    if min(_filled(first), _filled(second)) >= FILLED:
        return True
    return min(len(first), len(second)) >= APART_ROWS and _aligned(first, second) < ALIGNED


def _beside(left: list[_Piece], right: list[_Piece]) -> bool:
    spans = [(min(p.top for p in side), max(p.bottom for p in side)) for side in (left, right)]
    shared = min(bottom for _, bottom in spans) - max(top for top, _ in spans)
    return shared >= SHARED_HEIGHT * min(bottom - top for top, bottom in spans)


def _usual_ratio(rows: list[list[_Piece]]) -> float:
    return median((row[-1].right - row[0].left) / max(1.0, median(p.height for p in row)) for row in rows)


def _filled(rows: list[list[_Piece]]) -> float:
    """Return the share of rows that are about as wide as the column."""
    start = min(row[0].left for row in rows)
    width = max(row[-1].right for row in rows) - start
    wide = sum(sum(p.right - p.left for p in row) >= WIDE_ROW * width for row in rows)
    return wide / len(rows)


def _aligned(first: list[list[_Piece]], second: list[list[_Piece]]) -> float:
    """Return the share of rows of the shorter column that stand level with one of the other."""
    few, many = sorted((first, second), key=len)
    levels = [median(p.middle for p in row) for row in many]
    level = 0
    for row in few:
        middle, height = median(p.middle for p in row), median(p.height for p in row)
        level += min(abs(middle - other) for other in levels) <= SAME_LEVEL * height
    return level / len(few)
