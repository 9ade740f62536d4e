"""The pixels of an image as grey on white, upright, at a wanted size; and how many of them make an inch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image

LEAST_DPI, MOST_DPI = 50, 2400
"""What a file may give as its resolution."""

SCREEN_DPI = 100
LONGEST_OF_A_SCREEN = 17.0
"""Inches; A3 has 16.5."""

MAX_ASPECT = 2.5
"""Faxes in standard quality have twice as many pixels per inch across as down."""

A4_INCHES = 11.7
LEAST_GUESS, MOST_GUESS = 72, 600

UPRIGHT: dict[int, tuple[Image.Transpose | None, int]] = {
    1: (None, 0),
    2: (Image.Transpose.FLIP_LEFT_RIGHT, 0),
    3: (Image.Transpose.ROTATE_180, 180),
    4: (Image.Transpose.FLIP_TOP_BOTTOM, 180),
    5: (Image.Transpose.TRANSPOSE, 270),
    6: (Image.Transpose.ROTATE_270, 90),
    7: (Image.Transpose.TRANSVERSE, 90),
    8: (Image.Transpose.ROTATE_90, 270),
}
"""EXIF orientation -> what sets the pixels upright, and the clockwise turn in it (5 and 7 are mirrored besides)."""

_ROWS_AT_ONCE = 256
_OPAQUE = {"La": "LA", "RGBa": "RGBA"}
_WITH_ALPHA = frozenset({"LA", "PA", "RGBA", *_OPAQUE})


def plausible_resolution(named: Sequence[float] | None, width: int, height: int) -> tuple[int, int]:
    """Return pixels per inch, whole, across and down: as the file says if that can be, else guessed.

    What cannot be: less than 50 or more than 2,400, two numbers that are far apart, a page under an inch; and up to
    100, which cameras and screens write for lack of a better number, a page that is longer than A3. The guess makes
    the longer side that of an A4 page, between 72 and 600 pixels per inch.
    """
    longest = max(width, height)
    if named is not None and all(LEAST_DPI <= value <= MOST_DPI for value in named):
        across, down = round(named[0]), round(named[1])
        inches = max(width / across, height / down)
        too_long = max(across, down) <= SCREEN_DPI and inches > LONGEST_OF_A_SCREEN
        if max(across, down) <= MAX_ASPECT * min(across, down) and inches >= 1.0 and not too_long:
            return across, down
    guess = min(max(round(longest / A4_INCHES), LEAST_GUESS), MOST_GUESS)
    return guess, guess


def to_grey(picture: Image.Image, *, top: int = 65535, inverted: bool = False) -> Image.Image:
    """Return a decoded image in 8-bit grey, what is transparent on white.

    Args:
        top: the value of white in an image with 16 bits.
        inverted: whether 0 is white, in an image with 16 bits or more.
    """
    if picture.mode.startswith("I") or picture.mode == "F":
        return _deep_to_grey(picture, top, inverted)
    if picture.mode in _WITH_ALPHA or picture.info.get("transparency") is not None:
        return _on_white(picture)
    if picture.mode == "LAB":
        return picture.getchannel("L")
    if picture.mode == "CMYK":
        picture = picture.convert("RGB")
    return picture.convert("L")


def _on_white(picture: Image.Image) -> Image.Image:
    if picture.mode in _OPAQUE:
        picture = picture.convert(_OPAQUE[picture.mode])
    key = picture.info.get("transparency")
    # An image with 16 bits per channel has 8 of them left, its transparent colour has not.
    if isinstance(key, tuple) and max(key) > 255:
        picture.info["transparency"] = tuple(value >> 8 for value in key)
    picture = picture.convert("RGBA")
    grey, alpha = picture.convert("L"), picture.getchannel("A")
    if alpha.getextrema() == (0, 0):
        return grey  # a channel that hides everything is no transparency, but a byte that was never filled
    white = Image.new("L", grey.size, 255)
    white.paste(grey, mask=alpha)
    return white


def _deep_to_grey(picture: Image.Image, top: int, inverted: bool) -> Image.Image:
    """Return an image of 16 or 32 bits, or of floating-point numbers, in 8 bits."""
    values = np.asarray(picture)
    low, high = (0.0, float(top)) if picture.mode.startswith("I;16") else _range(values)
    key = picture.info.get("transparency")
    grey = np.empty(values.shape, dtype=np.uint8)
    for start in range(0, len(values), _ROWS_AT_ONCE):
        rows = values[start : start + _ROWS_AT_ONCE]
        numbers = np.nan_to_num(rows.astype(np.float64), nan=high, posinf=high, neginf=low)
        scaled = (numbers - low) * (255 / (high - low))
        if inverted:
            scaled = 255 - scaled
        grey[start : start + _ROWS_AT_ONCE] = np.rint(scaled).clip(0, 255)
        if isinstance(key, int):
            grey[start : start + _ROWS_AT_ONCE][rows == key] = 255
    return Image.fromarray(grey)


def _range(values: npt.NDArray[np.generic]) -> tuple[float, float]:
    """Return what is black and what is white: 0 to 1, 255 or 65,535 if that holds the values, else the values' own."""
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    floating = np.issubdtype(values.dtype, np.floating)
    for white in (1.0, 255.0, 65535.0) if floating else (255.0, 65535.0):
        if low >= 0.0 and high <= white:
            return 0.0, white
    return low, high if high > low else low + 1.0


def resized(grey: Image.Image, width: int, height: int) -> Image.Image:
    """Return the image in another size, in pixels; itself if that is its size."""
    if grey.size == (width, height):
        return grey
    shrinks = width <= grey.width and height <= grey.height
    method = Image.Resampling.LANCZOS if shrinks else Image.Resampling.BICUBIC
    # The gap lets whole pixels be averaged first where the image shrinks by far: as good to the eye, and faster.
    return grey.resize((width, height), method, reducing_gap=3.0)
