"""In which order pieces of text are read."""

from __future__ import annotations

import math

import numpy as np

from ragflow.ocr.detection import Quad
from ragflow.ocr.reading_order import reading_order, skew_of

LINE, HEIGHT = 40.0, 30.0


def box(left: float, top: float, width: float, height: float = HEIGHT) -> Quad:
    right, bottom = left + width, top + height
    return np.array([[left, top], [right, top], [right, bottom], [left, bottom]], dtype=np.float32)


def column(left: float, top: float, rows: int, width: float = 500.0) -> list[Quad]:
    """Full lines, but for the last, which is short."""
    return [box(left, top + row * LINE, width if row < rows - 1 else width / 3) for row in range(rows)]


def order(pieces: list[Quad]) -> list[tuple[int, ...]]:
    return [row.members for row in reading_order(pieces)]


def flat(pieces: list[Quad]) -> list[int]:
    return [index for row in order(pieces) for index in row]


def turned(pieces: list[Quad], degrees: float) -> list[Quad]:
    angle = math.radians(degrees)
    matrix = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]], dtype=np.float32)
    return [(piece @ matrix).astype(np.float32) for piece in pieces]


def test_nothing() -> None:
    assert reading_order([]) == []


def test_one_column_from_top_to_bottom_whatever_the_order_given() -> None:
    pieces = column(100, 100, 12)
    assert flat(pieces[::-1]) == list(range(11, -1, -1))


def test_two_columns_one_after_the_other() -> None:
    pieces = column(100, 100, 20) + column(640, 100, 20)
    assert flat(pieces) == list(range(40))
    assert {row.zone for row in reading_order(pieces)} == {0, 1}


def test_three_columns() -> None:
    pieces = column(100, 100, 15) + column(640, 100, 15) + column(1180, 100, 15)
    assert flat(pieces) == list(range(45))


def test_a_title_and_a_footer_across_the_columns() -> None:
    title, footer = box(100, 40, 1040), box(100, 1000, 1040)
    pieces = [footer, *column(640, 120, 20), *column(100, 120, 20), title]
    assert flat(pieces) == [41, *range(21, 41), *range(1, 21), 0]


def test_a_caption_between_the_columns_is_read_after_them() -> None:
    caption = [box(540, 500 + row * LINE, 160) for row in range(2)]
    left = column(100, 100, 20)
    right = column(640, 100, 20)
    for row in (10, 11):
        left[row] = box(100, 100 + row * LINE, 420)
        right[row] = box(720, 100 + row * LINE, 420)
    assert flat(left + right + caption) == list(range(42))


def test_a_form_is_read_row_by_row() -> None:
    """Labels and values stand level, and seldom fill their column."""
    widths = [(120, 300), (200, 90), (80, 310), (150, 60), (90, 240), (170, 120), (60, 330), (140, 80), (100, 200)]
    pieces = []
    for row, (label, value) in enumerate(widths):
        pieces += [box(100, 100 + row * LINE, label), box(640, 100 + row * LINE, value)]
    assert order(pieces) == [(2 * row, 2 * row + 1) for row in range(len(widths))]


def test_a_receipt_keeps_prices_beside_their_goods() -> None:
    pieces = []
    for row in range(10):
        pieces += [box(50, 50 + row * LINE, 320), box(500, 52 + row * LINE, 70)]
    assert order(pieces) == [(2 * row, 2 * row + 1) for row in range(10)]


def test_two_typed_pages_side_by_side_whose_lines_are_not_level() -> None:
    lengths = [500, 210, 260, 480, 180, 300, 240, 490, 260, 200, 220, 230]
    left = [box(100, 100 + row * 52, width) for row, width in enumerate(lengths)]
    right = [box(800, 121 + row * 57, width) for row, width in enumerate(reversed(lengths))]
    assert flat(left + right) == list(range(24))


def test_a_skewed_page_reads_like_a_straight_one() -> None:
    pieces = column(100, 100, 20) + column(640, 100, 20)
    assert abs(skew_of(turned(pieces, 3.0)) - 3.0) < 0.1
    assert flat(turned(pieces, 3.0)) == list(range(40))


def test_every_piece_is_read_once() -> None:
    random = np.random.default_rng(5)
    pieces = [box(*(float(v) for v in random.uniform(0, 1000, 2)), float(random.uniform(20, 400))) for _ in range(300)]
    assert sorted(flat(pieces)) == list(range(300))


def test_thousands_of_specks_take_no_long_time() -> None:
    pieces = [box(float(x), float(y), 8, 8) for x in range(0, 1000, 20) for y in range(0, 1200, 20)]
    assert len(flat(pieces)) == len(pieces)
