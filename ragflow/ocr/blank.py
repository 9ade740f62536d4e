"""Whether a rendered page has any ink."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ragflow.ocr.page import Raster

MARGIN = 0.02
"""Share of each side that is ignored: a scanner's dark edges."""

CONTRAST = 40.0
"""Grey levels (of 255) that ink differs from the paper, averaged over a spot."""

SPOT = 3
"""Side of a spot in pixels; averaging over it takes out noise of single pixels."""

INK_SHARE = 0.000_02
"""Share of spots with ink up to which a page is blank; a page number alone at 8 points is more than this."""


def is_blank(raster: Raster) -> bool:
    """Return whether the page is uniform but for noise and dark edges.

    The paper's tone is the median grey, so grey paper and white on black both count as uniform.
    """
    rows, columns = raster.pixels.shape
    top, left = int(rows * MARGIN), int(columns * MARGIN)
    inner = raster.pixels[top : rows - top, left : columns - left]
    if inner.size == 0 or inner.min() == inner.max():
        return True
    spots = _spots(inner)
    paper = float(np.median(spots[::3, ::3]))
    ink = np.count_nonzero(spots < paper - CONTRAST) + np.count_nonzero(spots > paper + CONTRAST)
    return bool(ink <= INK_SHARE * spots.size)


def _spots(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Return the mean grey of each spot; rows and columns that fill no whole spot are left out."""
    rows, columns = pixels.shape[0] // SPOT, pixels.shape[1] // SPOT
    if rows == 0 or columns == 0:
        return pixels.astype(np.float32)
    total = np.zeros((rows, columns), dtype=np.uint16)
    for row in range(SPOT):
        for column in range(SPOT):
            total += pixels[row : rows * SPOT : SPOT, column : columns * SPOT : SPOT]
    return total.astype(np.float32) / np.float32(SPOT * SPOT)
