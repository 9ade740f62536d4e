"""A page as an image, with places on it marked. Done in worker processes: a hostile document costs its worker only."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from queue import SimpleQueue

import numpy as np

from ragflow.errors import BadInputError
from ragflow.model.fingerprints import fingerprint
from ragflow.ocr.document import open_document
from ragflow.ocr.options import ReadingOptions
from ragflow.ocr.page import PdfError
from ragflow.ocr.passwords import load_passwords
from ragflow.ocr.pool import TaskFailure, WorkerPool

Box = tuple[float, float, float, float]
"""Left, top, right, bottom: fractions of the displayed page."""

CODE_VERSION = 1
"""Goes up whenever the same task gives another image."""
MAX_PIXELS = 24_000_000
"""Of an image: A4 at 200 dpi has 3.9 million. Larger pages get fewer dots per inch."""
SHADES = 85
"""Shades of grey, each of which the palette holds plain, lightly and strongly marked: 255 of 256 colours."""
REGION_COLOUR, WORD_COLOUR = (255, 243, 176), (255, 184, 28)


class PageImageError(BadInputError):
    """The page cannot be rendered: its file is damaged, locked, too large, or takes too long."""


@dataclass(frozen=True, slots=True)
class RenderTask:
    """One page, and what is to be marked on it.

    Attributes:
        sha256: of the content.
        path: where its bytes lie.
        page_index: 0-based.
        dpi: dots per inch asked for.
        region: boxes that are marked lightly.
        words: boxes that are marked strongly.
        max_pixels: of the page as it is opened, see :class:`ragflow.ocr.options.ReadingOptions`.
        passwords_file: where the workers find passwords; None: nowhere.
    """

    sha256: str
    path: str
    page_index: int
    dpi: int
    region: tuple[Box, ...] = ()
    words: tuple[Box, ...] = ()
    max_pixels: int = MAX_PIXELS
    passwords_file: Path | None = None

    @property
    def key(self) -> str:
        """Hash over all that decides the image."""
        parts = {name: value for name, value in asdict(self).items() if name not in ("path", "passwords_file")}
        return fingerprint(page_image=CODE_VERSION, **parts)


@dataclass(frozen=True, slots=True)
class _Refused:
    message: str
    remedy: str


def render(task: RenderTask) -> bytes | _Refused:
    """Return the page as PNG. Runs in a worker process."""
    try:
        passwords = load_passwords(task.passwords_file)
        with (
            open_document(Path(task.path), passwords) as file,
            file.page(task.page_index, min(task.max_pixels, MAX_PIXELS)) as page,
        ):
            grey = page.render(task.dpi).pixels
    except PdfError as error:
        return _Refused(error.message, error.remedy)
    return _png(grey, task.region, task.words)


def _png(grey: np.ndarray, region: Sequence[Box], words: Sequence[Box]) -> bytes:
    """Return PNG bytes: grey if nothing is marked, else with a palette in which a marker keeps ink black."""
    from PIL import Image

    if not region and not words:
        picture = Image.fromarray(grey)
    else:
        marked = (grey.astype(np.uint16) * (SHADES - 1) + 127) // 255
        kinds = np.zeros(grey.shape, dtype=np.uint8)
        for kind, boxes in ((1, region), (2, words)):
            for box in boxes:
                kinds[_area(box, grey.shape)] = kind
        picture = Image.fromarray((kinds * np.uint8(SHADES) + marked.astype(np.uint8)).astype(np.uint8), mode="P")
        picture.putpalette(_palette())
    stream = io.BytesIO()
    picture.save(stream, format="PNG", compress_level=6)
    return stream.getvalue()


def _area(box: Box, shape: tuple[int, ...]) -> tuple[slice, slice]:
    height, width = shape[:2]
    left, top, right, bottom = (min(max(edge, 0.0), 1.0) for edge in box)
    return slice(int(top * height), int(bottom * height) + 1), slice(int(left * width), int(right * width) + 1)


def _palette() -> bytes:
    shades = np.linspace(0.0, 255.0, SHADES)[:, None]
    colours = ((255, 255, 255), REGION_COLOUR, WORD_COLOUR)
    return b"".join((shades * np.array(colour) / 255).round().astype(np.uint8).tobytes() for colour in colours)


class PageRenderer:
    """Renders pages in worker processes of its own, a few at a time. May be shared by threads.

    Each worker is a pool of one, so that a page which hangs or kills its worker holds up nobody else.

    Args:
        workers: pages rendered at once; further calls wait.
        seconds: limit for one page.
    """

    def __init__(self, reading: ReadingOptions, *, workers: int = 2, seconds: float = 20.0) -> None:
        self._seconds = seconds
        self._pools = [WorkerPool(1, reading.worker_memory_mb) for _ in range(max(1, workers))]
        self._free: SimpleQueue[WorkerPool] = SimpleQueue()
        for pool in self._pools:
            self._free.put(pool)

    def render(self, task: RenderTask) -> bytes:
        """Return the page as PNG.

        Raises:
            PageImageError: it cannot be rendered.
            ServiceUnavailableError: the workers do not start.
        """
        pool = self._free.get()
        try:
            ((_, found),) = pool.map(render, [task], seconds=lambda _: self._seconds)
        finally:
            self._free.put(pool)
        if isinstance(found, TaskFailure):
            raise PageImageError(
                f"The page cannot be shown. {found.detail}", remedy="Open the document itself instead."
            )
        if isinstance(found, _Refused):
            raise PageImageError(found.message, remedy=found.remedy or "Open the document itself instead.")
        return found

    def close(self) -> None:
        """End the workers."""
        for pool in self._pools:
            pool.close()
