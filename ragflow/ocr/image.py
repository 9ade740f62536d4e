"""Pillow: an image file as a document, its pages and their pixels.

PNG, JPEG, WebP and BMP files have one page, a TIFF has one for each of its images. Of an animated PNG or WebP, and of
the several pictures in one JPEG that some cameras write, the first picture is the page: the others are later moments
or other views of it, not pages.
"""

from __future__ import annotations

import io
import math
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

import numpy as np
from PIL import BmpImagePlugin, ExifTags, Image, JpegImagePlugin, PngImagePlugin, TiffImagePlugin, WebPImagePlugin
from PIL import ImageFile as PillowFile

from ragflow.model.reading import Reason
from ragflow.ocr.image_formats import ImageFormat, image_format, png_is_whole, webp_size
from ragflow.ocr.image_pixels import UPRIGHT, plausible_resolution, resized, to_grey
from ragflow.ocr.image_tiff import (
    AtDirectory,
    TiffDirectories,
    TooManyDirectoriesError,
    lacks_pixels,
    tiff_directories,
)
from ragflow.ocr.options import MIN_DPI
from ragflow.ocr.page import POINTS_PER_INCH, PdfError, Raster, dpi_within_limits

HEADER_BYTES = 64
MAX_PROGRESSIVE = 4
"""A progressive JPEG is kept whole in memory while it is decoded, so it may have only so many times the pixels."""

_PLUGINS: dict[ImageFormat, type[PillowFile.ImageFile]] = {
    ImageFormat.PNG: PngImagePlugin.PngImageFile,
    ImageFormat.JPEG: JpegImagePlugin.JpegImageFile,
    ImageFormat.TIFF: TiffImagePlugin.TiffImageFile,
    ImageFormat.WEBP: WebPImagePlugin.WebPImageFile,
    ImageFormat.BMP: BmpImagePlugin.BmpImageFile,
}
_LOCK = threading.RLock()


class ImageFile:
    """An open image file; a context manager, used like :class:`ragflow.ocr.pdf.PdfFile`.

    Attributes:
        page_count: of a TIFF whose list of pages breaks off, one more than were found: the last one cannot be opened.
        encrypted: False; images are not.
        damaged: whether the list of pages of a TIFF breaks off.

    Raises:
        PdfError: NOT_A_PDF, DAMAGED, or TOO_MANY_PAGES; UNREADABLE if the file itself cannot be read.
    """

    encrypted = False

    def __init__(self, path: Path) -> None:
        self.path = path
        with _pillow(path.name, Reason.DAMAGED), path.open("rb") as stream:
            start = stream.read(HEADER_BYTES)
            found = image_format(start)
            if found is None:
                raise PdfError(f"{path.name} is not an image that can be read.", reason=Reason.NOT_A_PDF)
            self.format = found
            self._directories: TiffDirectories | None = None
            if found is ImageFormat.TIFF:
                self._directories = _directories(path, stream)
            elif found is ImageFormat.WEBP:
                # Pillow makes room for the whole picture as it opens one, so that has to wait.
                self._canvas = webp_size(start)
                if self._canvas is None:
                    raise _damaged(path, "its header breaks off")
            else:
                stream.seek(0)
                _PLUGINS[found](stream)
        self.damaged = self._directories is not None and self._directories.problem is not None
        self.page_count = 1 if self._directories is None else len(self._directories.offsets) + self.damaged

    def page(self, page_index: int, max_page_pixels: int) -> ImagePage:
        """Open a page.

        Raises:
            PdfError: PAGE_DAMAGED.
        """
        return ImagePage(self, page_index, max_page_pixels)

    def stream(self, page_index: int) -> BinaryIO:
        """Return the file as one that begins with the given page; the caller closes it.

        Raises:
            PdfError: PAGE_DAMAGED, if there is no such page.
        """
        offsets = self._directories.offsets if self._directories else (0,)
        if 0 <= page_index < len(offsets):
            return AtDirectory(self.path, offsets[page_index]) if self._directories else self.path.open("rb")
        why = (self._directories and self._directories.problem) or f"it has {self.page_count} pages"
        raise PdfError(
            f"Page {page_index + 1} of {self.path.name} is not there: {why}.",
            reason=Reason.PAGE_DAMAGED,
            remedy="Hand in an intact copy.",
        )

    def canvas(self) -> tuple[int, int] | None:
        """Return width and height as a WebP's header gives them; None for other kinds."""
        return self._canvas if self.format is ImageFormat.WEBP else None

    def close(self) -> None:
        """Nothing is kept open between pages."""

    def __enter__(self) -> ImageFile:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


class ImagePage:
    """One page of an image file; a context manager, and a :class:`ragflow.ocr.page.Page`.

    Attributes:
        page_index: 0-based.
        width_pt, height_pt: size as displayed, in points (1/72 inch), by the resolution that the file gives; one that
            cannot be is replaced by a guess.
        rotation: the clockwise turn that the file asks for (EXIF): 0, 90, 180 or 270.
    """

    def __init__(self, file: ImageFile, page_index: int, max_page_pixels: int) -> None:
        self.page_index = page_index
        self._file = file
        self._max_pixels = max_page_pixels
        self._native: Image.Image | None = None
        self._rasters: dict[int, Raster] = {}
        self._name = f"Page {page_index + 1} of {file.path.name}"
        orientation, named = 1, None
        canvas = file.canvas()
        if canvas is not None and canvas[0] * canvas[1] > max_page_pixels:
            width, height = canvas
        else:
            with self._opened() as picture:
                width, height = picture.size
                orientation, named = _orientation(picture), _resolution(picture)
        if width <= 0 or height <= 0:
            raise PdfError(f"{self._name} has no area.", reason=Reason.PAGE_DAMAGED)
        self._turn, self.rotation = UPRIGHT[orientation]
        if self.rotation in (90, 270):
            named = named and named[::-1]
            if file.format is not ImageFormat.TIFF:  # of a TIFF, Pillow gives the size as displayed
                width, height = height, width
        self._pixel_count = width * height
        self._across, self._down = plausible_resolution(named, width, height)
        self.width_pt = width * POINTS_PER_INCH / self._across
        self.height_pt = height * POINTS_PER_INCH / self._down

    def pixels_per_inch(self) -> float | None:
        """Return the resolution of the image, along its finer side."""
        return float(max(self._across, self._down))

    def render(self, dpi: int) -> Raster:
        """Return the page as grey pixels, those of the file if ``dpi`` is its resolution. Kept until it is closed.

        ``Raster.dpi`` is less than ``dpi``, but not under 72 or the file's own, for a page that would have too many
        pixels.

        Raises:
            PdfError: PAGE_TOO_LARGE, before anything is decoded, or PAGE_DAMAGED.
        """
        if dpi not in self._rasters:
            least = min(MIN_DPI, self._across, self._down)
            within = dpi_within_limits(self, dpi, max_pixels=self._max_pixels, name=self._file.path.name, least=least)
            if self._native is None:
                self._native = self._decoded()
            width = max(1, round(self.width_pt * within / POINTS_PER_INCH))
            height = max(1, round(self.height_pt * within / POINTS_PER_INCH))
            pixels = np.ascontiguousarray(resized(self._native, width, height), dtype=np.uint8)
            pixels.setflags(write=False)
            self._rasters[dpi] = Raster(pixels, within)
        return self._rasters[dpi]

    @contextmanager
    def _opened(self) -> Iterator[PillowFile.ImageFile]:
        """Open the page's header for the length of a block, in which errors of decoding become ours."""
        with _pillow(self._name, Reason.PAGE_DAMAGED), self._file.stream(self.page_index) as stream:
            yield _PLUGINS[self._file.format](stream)

    def _decoded(self) -> Image.Image:
        """Return all pixels in grey and upright, fewer of them for a JPEG with more than the limit allows."""
        if self._file.format is not ImageFormat.JPEG and self._pixel_count > self._max_pixels:
            raise self._too_large()
        with self._opened() as picture:
            if isinstance(picture, JpegImagePlugin.JpegImageFile):
                shrink = self._shrink(picture)
                # Only the brightness is decoded, at the eighths that the compression offers.
                picture.draft("L", (picture.width // shrink, picture.height // shrink))
            top, inverted = 65535, False
            if isinstance(picture, TiffImagePlugin.TiffImageFile):
                if lacks_pixels(picture):
                    raise OSError("parts of it are missing")
                inverted = picture.tag_v2.get(TiffImagePlugin.PHOTOMETRIC_INTERPRETATION) == 0
                top = 4095 if picture.tag_v2.get(TiffImagePlugin.BITSPERSAMPLE) == (12,) else top
            picture.load()
            if self._file.format is ImageFormat.PNG and _may_lack_rows(picture):
                with self._file.path.open("rb") as stream:
                    if not png_is_whole(stream):
                        raise OSError("rows are missing")
            grey = to_grey(picture, top=top, inverted=inverted)
            if self._turn is not None and self._file.format is not ImageFormat.TIFF:  # Pillow turns TIFFs itself
                grey = grey.transpose(self._turn)
            return grey

    def _shrink(self, picture: JpegImagePlugin.JpegImageFile) -> int:
        """Return 1, 2, 4 or 8: by how much each side of the JPEG has to be divided to be within limits."""
        if picture.info.get("progressive") and self._pixel_count > MAX_PROGRESSIVE * self._max_pixels:
            raise self._too_large()
        for shrink in (1, 2, 4, 8):
            if math.ceil(picture.width / shrink) * math.ceil(picture.height / shrink) <= self._max_pixels:
                return shrink
        raise self._too_large()

    def _too_large(self) -> PdfError:
        return PdfError(
            f"{self._name} has {self._pixel_count:,} pixels; the limit is {self._max_pixels:,}.",
            reason=Reason.PAGE_TOO_LARGE,
            remedy="Raise the limit on the pixels of a page, or hand in a smaller image.",
        )

    def close(self) -> None:
        self._rasters.clear()
        self._native = None

    def __enter__(self) -> ImagePage:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


@contextmanager
def _pillow(name: str, reason: Reason) -> Iterator[None]:
    """Turn what Pillow raises into a PdfError with ``reason``, and put its own limits out of force for a block.

    Our limits hold instead, and they are checked before. Pillow's are variables of its modules, as is its leniency
    with truncated files, and its warnings may be set to be errors: what they say must not depend on who else uses
    Pillow. Hence the lock, and all is put back after the block.
    """
    with _LOCK, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        before = Image.MAX_IMAGE_PIXELS, PillowFile.LOAD_TRUNCATED_IMAGES
        Image.MAX_IMAGE_PIXELS, PillowFile.LOAD_TRUNCATED_IMAGES = None, False
        try:
            yield
        except PdfError:
            raise
        except MemoryError as error:
            raise PdfError(
                f"{name} needs more memory to be decoded than a worker may use.",
                reason=Reason.PAGE_TOO_LARGE,
                remedy="Raise the limit on the memory of a worker, or hand in a smaller image.",
            ) from error
        except Exception as error:
            # A hostile file makes Pillow raise nearly anything: SyntaxError, struct.error, zlib.error, KeyError…
            if isinstance(error, OSError) and error.errno is not None:
                raise PdfError(f"{name} cannot be read: {error.strerror}.", reason=Reason.UNREADABLE) from error
            why = " ".join(str(error).split())[:200] or type(error).__name__
            raise PdfError(
                f"{name} cannot be decoded: {why}.", reason=reason, remedy="Hand in an intact copy."
            ) from error
        finally:
            Image.MAX_IMAGE_PIXELS, PillowFile.LOAD_TRUNCATED_IMAGES = before


def _directories(path: Path, stream: io.BufferedReader) -> TiffDirectories:
    try:
        found = tiff_directories(stream)
    except TooManyDirectoriesError as error:
        raise PdfError(f"{path.name} has more pages than can be counted.", reason=Reason.TOO_MANY_PAGES) from error
    if not found.offsets and found.problem:
        raise _damaged(path, found.problem)
    return found


def _damaged(path: Path, why: str) -> PdfError:
    return PdfError(f"{path.name} cannot be opened: {why}.", reason=Reason.DAMAGED, remedy="Hand in an intact copy.")


def _may_lack_rows(picture: Image.Image) -> bool:
    """Return whether rows may have been left as they were: black to the end, or anywhere in an interlaced image."""
    if picture.info.get("interlace"):
        return True
    last = picture.crop((0, picture.height - 1, picture.width, picture.height))
    return not np.asarray(last).any()


def _orientation(picture: Image.Image) -> int:
    """Return the EXIF orientation; 1 (upright) if there is none, or if it cannot be read."""
    try:
        value = picture.getexif().get(ExifTags.Base.Orientation)
    except Exception:
        return 1  # what is said about the picture may be broken while the picture is whole
    return value if isinstance(value, int) and value in UPRIGHT else 1


def _resolution(picture: Image.Image) -> tuple[float, float] | None:
    """Return pixels per inch, across and down, as the file gives them; None if it does not."""
    found = picture.info.get("dpi")
    if picture.format == "JPEG" and picture.info.get("jfif_unit") not in (1, 2):
        found = None  # Pillow writes 72 where the file says nothing
    try:
        if found is None:
            exif = picture.getexif()
            unit = 2.54 if exif.get(ExifTags.Base.ResolutionUnit) == 3 else 1.0
            found = exif[ExifTags.Base.XResolution] * unit, exif[ExifTags.Base.YResolution] * unit
        across, down = (float(value) for value in found)
    except Exception:
        return None  # as above: a guess takes its place
    return across, down
