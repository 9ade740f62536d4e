"""A painted chart of the island without a single word: a page with marks on it and nothing to read."""

from __future__ import annotations

import numpy as np
from PIL import Image

PICTURE_DPI = 100
_SIZE = (827, 1169)  # A4 at 100 dpi
# Hills of the island: centre as a share of width and height, radius as a share of width, height above the sea.
_HILLS = (
    (0.45, 0.36, 0.26, 1.00),
    (0.60, 0.52, 0.24, 0.85),
    (0.42, 0.66, 0.20, 0.70),
    (0.68, 0.30, 0.12, 0.40),
    (0.24, 0.80, 0.08, 0.45),
)
# Height, then red, green and blue: deep sea, shallows, meadow, heath, rock.
_TINTS = (
    (0.00, (86, 124, 160)),
    (0.22, (150, 188, 205)),
    (0.32, (170, 190, 130)),
    (0.62, (196, 176, 120)),
    (1.10, (150, 122, 96)),
)


def draw_chart() -> Image.Image:
    """The chart as an RGB image of an A4 page at :data:`PICTURE_DPI`; soft tints without lines, which no OCR engine
    mistakes for letters."""
    width, height = _SIZE
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    level = np.zeros((height, width))
    for across, down, radius, top in _HILLS:
        distance = ((x - across * width) ** 2 + (y - down * height) ** 2) / (radius * width) ** 2
        level += top * np.exp(-1.8 * distance)
    heights = [at for at, _ in _TINTS]
    channels = [np.interp(level, heights, [tint[index] for _, tint in _TINTS]) for index in range(3)]
    return Image.fromarray(np.stack(channels, axis=-1).round().astype(np.uint8))
