"""Images as pages: their greys, their sizes, and what hostile ones cost."""

from __future__ import annotations

import io
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageCms
from PIL import ImageFile as PillowFile
from PIL.TiffImagePlugin import IFDRational

from ragflow.model.reading import PageStatus, Reason
from ragflow.ocr.image import ImageFile
from ragflow.ocr.image_pixels import plausible_resolution
from ragflow.ocr.inspection import inspect_document
from ragflow.ocr.options import ReadingOptions
from ragflow.ocr.page import Page, PdfError, Raster
from ragflow.ocr.reader import read_pages
from ragflow_tests.ocr.images import grey_tags, group4, letter, png, ramp, save, tiff

LIMIT = 80_000_000


def render(path: Path, dpi: int | None = None, page_index: int = 0, limit: int = LIMIT) -> Raster:
    """Render a page; without ``dpi``, at its own resolution."""
    with ImageFile(path) as file, file.page(page_index, limit) as page:
        return page.render(dpi or int(page.pixels_per_inch() or 0))


def pixels(path: Path, page_index: int = 0) -> npt.NDArray[np.int16]:
    return render(path, page_index=page_index).pixels.astype(np.int16)


def refusal(path: Path, page_index: int = 0, limit: int = LIMIT) -> PdfError:
    with pytest.raises(PdfError) as caught:
        render(path, 100, page_index, limit)
    return caught.value


RAMP = np.asarray(ramp()).astype(np.int16)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.png", {}),
        ("a.bmp", {}),
        ("a.tif", {}),
        ("a.tif", {"compression": "tiff_lzw"}),
        ("a.tif", {"compression": "tiff_deflate", "big_tiff": True}),
        ("a.webp", {"lossless": True}),
    ],
)
def test_pixels_come_as_they_are(tmp_path: Path, name: str, options: dict[str, Any]) -> None:
    found = pixels(save(tmp_path / name, ramp(), **options))
    assert np.array_equal(found, RAMP)


def test_a_raster_is_read_only_and_kept_until_the_page_is_closed(tmp_path: Path) -> None:
    with ImageFile(save(tmp_path / "a.png", ramp())) as file, file.page(0, LIMIT) as page:
        raster = page.render(72)
        assert page.render(72) is raster
        assert raster.pixels.dtype == np.uint8 and not raster.pixels.flags.writeable
        assert raster.sha256 == Raster(RAMP.astype(np.uint8), 72).sha256


@pytest.mark.parametrize("mode", ["RGB", "CMYK", "YCbCr"])
@pytest.mark.parametrize("options", [{}, {"progressive": True}], ids=["baseline", "progressive"])
def test_jpegs(tmp_path: Path, mode: str, options: dict[str, Any]) -> None:
    """Pillow writes CMYK as Adobe does: inverted, with a marker that says so."""
    path = save(tmp_path / "a.jpg", ramp().convert("RGB").convert(mode), quality=95, **options)
    assert (b"Adobe" in path.read_bytes()) == (mode == "CMYK")
    assert np.abs(pixels(path) - RAMP).max() <= 12


def test_colours_become_their_brightness(tmp_path: Path) -> None:
    colours = Image.new("RGB", (4, 1))
    for place, colour in enumerate([(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0)]):
        colours.putpixel((place, 0), colour)
    expected = [[76, 150, 29, 226]]
    big = colours.resize((256, 64), Image.Resampling.NEAREST)
    for path in (save(tmp_path / "a.png", colours), save(tmp_path / "b.png", colours.quantize(4))):
        assert np.abs(pixels(path) - expected).max() <= 1
    jpeg = pixels(save(tmp_path / "a.jpg", big, quality=95, subsampling=0))
    assert np.abs(jpeg[:, 32::64] - expected).max() <= 4


def test_one_bit_and_group4(tmp_path: Path) -> None:
    page = letter().convert("1")
    expected = np.asarray(page).astype(np.int16) * 255
    for name, options in (
        ("a.png", {}),
        ("b.tif", {"compression": "group4"}),
        ("c.tif", {"compression": "group3"}),
        ("d.bmp", {}),
    ):
        assert np.array_equal(pixels(save(tmp_path / name, page, **options)), expected), name


def test_what_is_transparent_stands_on_white(tmp_path: Path) -> None:
    halves = Image.new("L", (64, 32), 0)
    halves.paste(128, (32, 0, 64, 32))  # opaque at the left: none; at the right: half
    black = Image.new("L", (64, 32), 0)
    for mode in ("LA", "RGBA"):
        bands = [black] * (1 if mode == "LA" else 3)
        for name in ("a.png", "a.tif", "a.webp"):
            path = save(tmp_path / f"{mode}{name}", Image.merge(mode, [*bands, halves]), **_lossless(name))
            found = pixels(path)
            assert (found[:, :30] == 255).all() and np.abs(found[:, 34:] - 127).max() <= 1, path.name


def _lossless(name: str) -> dict[str, Any]:
    return {"lossless": True, "exact": True} if name.endswith("webp") else {}


def test_a_transparent_colour_stands_on_white(tmp_path: Path) -> None:
    palette = letter().quantize(8)
    ground = palette.getpixel((0, 0))
    palette.putpalette([0, 0, 0] * 256)
    found = pixels(save(tmp_path / "palette.png", palette, transparency=ground))
    assert found[0, 0] == 255 and found.min() == 0
    grey = save(tmp_path / "grey.png", ramp(), transparency=0)
    assert pixels(grey)[0, 0] == 255 and np.array_equal(pixels(grey)[1:], RAMP[1:])
    deep = Image.fromarray(np.asarray(ramp()).astype(np.uint16) * 257)
    found = pixels(save(tmp_path / "deep.png", deep, transparency=0))
    assert found[0, 0] == 255 and np.array_equal(found[1:], RAMP[1:])
    path = tmp_path / "deep colours.png"
    colour = struct.pack(">3H", 0x1234, 0x5678, 0x9ABC)
    path.write_bytes(png(2, 1, b"\0" + colour + bytes(6), depth=16, colour=2, transparent=colour))
    assert pixels(path).tolist() == [[255, 0]]


def test_an_alpha_channel_that_was_never_filled_hides_nothing(tmp_path: Path) -> None:
    page = letter().convert("RGBA")
    page.putalpha(0)
    assert np.array_equal(pixels(save(tmp_path / "a.png", page)), np.asarray(letter()))


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("a.png", np.asarray(ramp()).astype(np.uint16) * 257),
        ("a.tif", np.asarray(ramp()).astype(np.uint16) * 257),
        ("a.tif", np.asarray(ramp()).astype(np.float32) / 255),
        ("a.tif", np.asarray(ramp()).astype(np.float32)),
        ("a.tif", np.asarray(ramp()).astype(np.float32) * 4000 - 1e6),
        ("a.tif", np.asarray(ramp()).astype(np.int32) * 257),
    ],
)
def test_deep_pixels_are_scaled_to_eight_bits(tmp_path: Path, name: str, values: npt.NDArray[Any]) -> None:
    assert np.abs(pixels(save(tmp_path / name, Image.fromarray(values))) - RAMP).max() <= 1


def test_pixels_that_are_no_numbers(tmp_path: Path) -> None:
    values = np.asarray(ramp()).astype(np.float32)
    values[0, 0], values[0, 1], values[0, 2] = np.nan, np.inf, -np.inf
    found = pixels(save(tmp_path / "a.tif", Image.fromarray(values)))
    assert found[0, :3].tolist() == [255, 255, 0] and np.array_equal(found[1:], RAMP[1:])
    nothing = Image.fromarray(np.full((20, 20), np.nan, dtype=np.float32))
    assert pixels(save(tmp_path / "b.tif", nothing)).shape == (20, 20)


def test_deep_tiffs_where_zero_is_white_or_white_is_4095(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    deep = (np.asarray(ramp()).astype("<u2") * 257).tobytes()
    path.write_bytes(tiff([(grey_tags(64, 32, bits=16, photometric=0), deep)]))
    assert np.abs(pixels(path) - (255 - RAMP)).max() <= 1
    twelve = np.full(64 * 32 // 2 * 3, 255, dtype=np.uint8).tobytes()
    path.write_bytes(tiff([(grey_tags(64, 32, bits=12), twelve)]))
    assert (pixels(path) == 255).all()


def test_lab(tmp_path: Path) -> None:
    lab = ImageCms.applyTransform(
        ramp().convert("RGB"),
        ImageCms.buildTransform(ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB"),
    )
    assert lab is not None
    found = pixels(save(tmp_path / "a.tif", lab))
    assert found[0, 0] <= 2 and found[-1, -1] >= 253


def upside(orientation: int) -> Image.Image:
    """The letter as stored pixels that the orientation sets upright."""
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    return letter().transpose(undo[orientation]) if orientation in undo else letter()


@pytest.mark.parametrize(
    ("name", "orientation"),
    [
        *((name, number) for name in ("a.jpg", "a.png", "a.webp", "raw.tif") for number in range(1, 10)),
        *(("lzw.tif", number) for number in range(1, 9)),
    ],
)
def test_exif_orientation(tmp_path: Path, name: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    options: dict[str, Any] = {"exif": exif, **_lossless(name)}
    if name == "lzw.tif":
        options["compression"] = "tiff_lzw"
    stored = upside(orientation)
    dpi = (150, 75) if name == "a.png" else None
    if dpi:
        options["dpi"] = dpi
    path = save(tmp_path / name, stored, **options)
    with ImageFile(path) as file, file.page(0, LIMIT) as page:
        assert page.rotation == {3: 180, 4: 180, 5: 270, 6: 90, 7: 90, 8: 270}.get(orientation, 0)
        if dpi:  # the resolution is that of the stored pixels
            turned = page.rotation in (90, 270)
            assert page.width_pt == 620 * 72 / (75 if turned else 150)
            assert page.height_pt == 877 * 72 / (150 if turned else 75)
            return
        raster = page.render(75)
        assert (page.width_pt, page.height_pt) == (620 * 72 / 75, 877 * 72 / 75)
        assert np.abs(raster.pixels.astype(np.int16) - np.asarray(letter())).mean() < 2


def test_resolution(tmp_path: Path) -> None:
    page = letter(width=1240, height=1754)

    def size(name: str, **options: Any) -> tuple[float, float, float | None]:
        with ImageFile(save(tmp_path / name, page, **options)) as file, file.page(0, LIMIT) as opened:
            return opened.width_pt, opened.height_pt, opened.pixels_per_inch()

    at_200 = (1240 * 72 / 200, 1754 * 72 / 200, 200.0)
    for name in ("a.png", "a.jpg", "a.tif", "a.bmp"):
        assert size(name, dpi=(200, 200)) == at_200, name
    assert size("b.tif", resolution=200 / 2.54, resolution_unit="cm") == at_200
    exif = Image.Exif()
    exif[282], exif[283], exif[296] = IFDRational(200), IFDRational(200), 2
    assert size("b.webp", exif=exif) == at_200
    fax = size("c.tif", dpi=(204, 98))
    assert fax == (1240 * 72 / 204, 1754 * 72 / 98, 204.0)
    guessed = (1240 * 72 / 150, 1754 * 72 / 150, 150.0)
    for options in ({}, {"dpi": (72, 72)}, {"dpi": (1, 1)}, {"dpi": (30000, 30000)}, {"dpi": (600, 100)}):
        assert size("d.jpg", **options) == guessed, options
    assert size("e.png") == guessed


@pytest.mark.parametrize(
    ("named", "size", "expected"),
    [
        ((299.9994, 299.9994), (2480, 3508), (300, 300)),
        ((96.0, 96.0), (816, 1056), (96, 96)),
        ((72.0, 72.0), (4032, 3024), (345, 345)),
        ((2400.0, 2400.0), (300, 200), (72, 72)),
        ((float("nan"), 300.0), (1170, 800), (100, 100)),
        (None, (100_000, 20), (600, 600)),
        (None, (1, 1), (72, 72)),
    ],
)
def test_what_resolution_can_be(
    named: Sequence[float] | None, size: tuple[int, int], expected: tuple[int, int]
) -> None:
    assert plausible_resolution(named, *size) == expected


def test_other_resolutions(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", letter(width=1240, height=1754), dpi=(200, 200))
    for dpi in (72, 100, 300):
        raster = render(path, dpi)
        assert (raster.dpi, raster.width, raster.height) == (dpi, 1240 * dpi // 200, round(1754 * dpi / 200))
        native = render(path).pixels
        assert abs(float(raster.pixels.mean()) - float(native.mean())) < 1, "neither lighter nor darker"
    assert render(path, 5000, limit=3_000_000).pixels.size <= 3_000_000
    assert render(path, 5000, limit=3_000_000).dpi == 234
    fax = save(tmp_path / "fax.tif", letter(width=1728, height=1143).convert("1"), dpi=(204, 98))
    raster = render(fax, 204)
    assert (raster.width, raster.height) == (1728, round(1143 * 204 / 98)), "pixels are square"


def test_pages_of_a_tiff(tmp_path: Path) -> None:
    shades = [Image.new("L", (40 + number, 30), 50 * number) for number in range(5)]
    for name, options in (("a.tif", {}), ("b.tif", {"compression": "tiff_lzw"}), ("c.tif", {"big_tiff": True})):
        path = save(tmp_path / name, shades[0], save_all=True, append_images=shades[1:], **options)
        with ImageFile(path) as file:
            assert (file.page_count, file.damaged, file.encrypted) == (5, False, False)
            with file.page(3, LIMIT) as late, file.page(1, LIMIT) as early:
                assert (late.render(72).width, late.render(72).pixels.max()) == (43, 150)
                assert (early.render(72).width, early.render(72).pixels.max()) == (41, 50)
        assert refusal(path, 5).reason is Reason.PAGE_DAMAGED
        assert refusal(path, -1).reason is Reason.PAGE_DAMAGED


def test_of_an_animation_the_first_picture_is_the_page(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (40, 30), (shade,) * 3) for shade in (10, 90, 200)]
    for name in ("a.png", "a.webp"):
        path = save(tmp_path / name, frames[0], save_all=True, append_images=frames[1:], **_lossless(name))
        with ImageFile(path) as file:
            assert file.page_count == 1
        assert np.abs(pixels(path) - 10).max() <= 1


def test_thumbnails_and_masks_are_no_pages(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    small, large = (grey_tags(4, 4, (254, 4, 1, kind)) for kind in (1, 2))
    mask = grey_tags(4, 4, (254, 3, 1, 4))
    for big_endian in (False, True):
        shades = [(tags, bytes([shade]) * 16) for tags, shade in ((large, 30), (small, 60), (mask, 90), (large, 120))]
        path.write_bytes(tiff(shades, big_endian=big_endian))
        with ImageFile(path) as file:
            assert file.page_count == 2
        assert (pixels(path, 0).max(), pixels(path, 1).max()) == (30, 120)
    path.write_bytes(tiff([(small, bytes(16))]))
    with ImageFile(path) as file:
        assert file.page_count == 1


def loop(back_to: int) -> bytes:
    page = (grey_tags(4, 4), bytes(16))
    return tiff([page, page], after=back_to)


@pytest.mark.parametrize(
    ("after", "words"),
    [(8, "leads back into itself"), (1_000_000, "leads beyond its end"), (0xFFFFFFFF, "leads beyond its end")],
)
def test_a_broken_list_of_pages_is_one_more_page(tmp_path: Path, after: int, words: str) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(loop(after))
    found = inspect_document(path, ReadingOptions())
    assert (found.page_count, found.reason, found.damaged) == (3, None, True)
    assert [page.reason for page in found.pages] == [None, None, Reason.PAGE_DAMAGED]
    assert words in (found.pages[2].detail or "")


def test_each_page_of_a_tiff_stands_for_itself(tmp_path: Path) -> None:
    """A page before it that Pillow cannot open does not cost a page."""
    path = tmp_path / "a.tif"
    good, bad = (grey_tags(4, 4), bytes(16)), ([(256, 4, 1, 4)], bytes(16))
    path.write_bytes(tiff([good, bad, good]))
    found = inspect_document(path, ReadingOptions())
    assert [page.reason for page in found.pages] == [None, Reason.PAGE_DAMAGED, None]
    assert pixels(path, 2).shape == (4, 4)


def test_a_list_of_pages_without_end(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    empty = b"".join(struct.pack("<HI", 0, 8 + 6 * number + 6) for number in range(100_100))
    path.write_bytes(b"II*\0" + struct.pack("<I", 8) + empty)
    assert inspect_document(path, ReadingOptions()).reason is Reason.TOO_MANY_PAGES
    path.write_bytes(tiff([(grey_tags(4, 4), bytes(16))] * 4))
    few = inspect_document(path, ReadingOptions(max_pages=3))
    assert (few.reason, few.page_count, few.pages) == (Reason.TOO_MANY_PAGES, 4, ())
    path.write_bytes(b"II*\0\0\0\0\0")
    assert inspect_document(path, ReadingOptions()).reason is Reason.NO_PAGES


def test_a_header_that_claims_too_much_is_refused_before_anything_is_decoded(tmp_path: Path) -> None:
    claims = {
        "a.png": png(100_000, 100_000, b"\0" * 100),
        "bomb.png": png(30_000, 30_000, bytes((30_000 // 8 + 1) * 30_000), depth=1),
        "a.bmp": _resized_bmp(60_000, 60_000),
        "a.tif": tiff([(grey_tags(200_000, 200_000), bytes(16))]),
        "a.webp": b"RIFF\x40\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0" + b"\xff\xff\xff" * 2 + bytes(32),
    }
    for name, content in claims.items():
        path = tmp_path / name
        path.write_bytes(content)
        found = inspect_document(path, ReadingOptions())
        assert (found.page_count, found.reason) == (1, None), name
        error = refusal(path)
        assert error.reason is Reason.PAGE_TOO_LARGE and error.remedy, name


def _resized_bmp(width: int, height: int) -> bytes:
    buffer = io.BytesIO()
    ramp().save(buffer, "BMP")
    data = bytearray(buffer.getvalue())
    struct.pack_into("<ii", data, 18, width, height)
    return bytes(data)


def test_our_limit_holds_and_not_pillows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = [save(tmp_path / name, letter()) for name in ("a.png", "a.tif", "a.jpg", "a.webp", "a.bmp")]
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    monkeypatch.setattr(PillowFile, "LOAD_TRUNCATED_IMAGES", True)
    for path in paths:
        assert render(path).pixels.size == 620 * 877
        assert refusal(path, limit=100).reason is Reason.PAGE_TOO_LARGE
    for kind in ("png", "jpg"):
        cut = tmp_path / f"torn.{kind}"
        cut.write_bytes((tmp_path / f"a.{kind}").read_bytes()[:5000])
        assert refusal(cut).reason is Reason.PAGE_DAMAGED
    assert (Image.MAX_IMAGE_PIXELS, PillowFile.LOAD_TRUNCATED_IMAGES) == (100, True), "put back"


def test_a_jpeg_over_the_limit_is_reduced_while_it_is_decoded(tmp_path: Path) -> None:
    path = save(tmp_path / "a.jpg", letter(width=1240, height=1754), dpi=(150, 150))
    whole, reduced = render(path, 70), render(path, 70, limit=600_000)
    assert (whole.width, whole.height) == (reduced.width, reduced.height)
    assert np.abs(whole.pixels.astype(np.int16) - reduced.pixels).mean() < 3
    assert refusal(path, limit=30_000).reason is Reason.PAGE_TOO_LARGE
    options: dict[str, Any] = {"dpi": (300, 300)}
    baseline = save(tmp_path / "b.jpg", letter(width=1240, height=1754), **options)
    progressive = save(tmp_path / "c.jpg", letter(width=1240, height=1754), progressive=True, **options)
    assert render(baseline, 100, limit=500_000).width == render(progressive, 100, limit=600_000).width == 413
    assert "has 2,174,960 pixels" in refusal(progressive, limit=500_000).message, "would be kept whole in memory"


def torn(tmp_path: Path, name: str, keep: float, **options: Any) -> Path:
    path = save(tmp_path / name, letter(), **options)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * keep)])
    return path


@pytest.mark.parametrize("keep", [0.5, 0.9, 0.99])
@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.bmp", "a.tif", "a.webp"])
def test_what_decodes_in_part_is_not_read_in_part(tmp_path: Path, name: str, keep: float) -> None:
    path = torn(tmp_path, name, keep, **({"compression": None} if name == "a.tif" else {}))
    found = inspect_document(path, ReadingOptions())
    reasons = [found.reason, *(page.reason for page in found.pages)]
    if set(reasons) == {None}:
        error = refusal(path)
        assert error.reason is Reason.PAGE_DAMAGED and error.message and name in error.message
        (page,) = read_pages(path, [0], ReadingOptions(engines=("text_layer",)))
        assert (page.status, page.reason) == (PageStatus.QUARANTINED, Reason.PAGE_DAMAGED)
    else:
        assert set(reasons) <= {None, Reason.DAMAGED, Reason.PAGE_DAMAGED}


@pytest.mark.parametrize("interlaced", [0, 1])
def test_a_png_whose_data_end_early_is_damaged(tmp_path: Path, interlaced: int) -> None:
    """Pillow takes the end of the compressed data for the end of the picture."""
    path = tmp_path / "a.png"
    whole = _rows(64, 41, interlaced)
    path.write_bytes(png(64, 41, whole, interlaced=interlaced))
    assert (pixels(path) == 255).all()
    for kept in range(len(whole) % 65, len(whole), 65):
        path.write_bytes(png(64, 41, whole[:kept], interlaced=interlaced))
        assert refusal(path).reason is Reason.PAGE_DAMAGED, kept
    black = bytes((64 + 1) * 41)
    path.write_bytes(png(64, 41, black))
    assert (pixels(path) == 0).all(), "a page that is really black is whole"


def _rows(width: int, height: int, interlaced: int) -> bytes:
    passes = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
    return b"".join(
        (b"\0" + b"\xff" * len(range(x, width, across))) * len(range(y, height, down))
        for x, y, across, down in (passes if interlaced else ((0, 0, 1, 1),))
    )


def test_tiffs_that_lack_pixels(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    fax = group4(letter())
    tags = grey_tags(620, 877, bits=1, compression=4, photometric=0)
    path.write_bytes(tiff([(tags, fax)]))
    assert pixels(path).min() == 0
    path.write_bytes(tiff([(tags, fax)])[: -len(fax) // 2])
    assert refusal(path).reason is Reason.PAGE_DAMAGED
    short = [tag if tag[0] != 278 else (278, 4, 1, 8) for tag in grey_tags(16, 32)]
    path.write_bytes(tiff([(short, bytes(16 * 32))]))
    assert "missing" in refusal(path).message, "one strip of four is named"


@pytest.mark.parametrize(
    "content",
    [
        b"\x89PNG\r\n\x1a\n",
        b"\x89PNG\r\n\x1a\n" + bytes(100),
        b"\xff\xd8\xff\xe0" + bytes(100),
        b"II*\0\xff\xff\xff\x7f" + bytes(100),
        b"II+\0\x08\0\0\0" + b"\xff" * 8 + bytes(100),
        b"MM\0*\0\0\0\x08\xff\xff",
        b"RIFF\x40\0\0\0WEBPVP8 " + bytes(8),
        b"BM" + bytes(12) + b"\x28\0\0\0" + b"\xff" * 8,
        png(0, 0, b""),
        png(10, 10, b"", depth=7),
    ],
    ids=lambda content: repr(content[:12]),
)
def test_files_that_only_begin_like_images(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(content)
    found = inspect_document(path, ReadingOptions())
    assert found.reason is Reason.DAMAGED or found.pages[0].reason is Reason.PAGE_DAMAGED
    (page,) = read_pages(path, [0], ReadingOptions(engines=("text_layer",)))
    assert page.reason in (Reason.DAMAGED, Reason.PAGE_DAMAGED)


def test_a_text_that_a_png_carries_may_be_a_bomb(tmp_path: Path) -> None:
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    info.add_text("comment", "x" * 30_000_000, zip=True)
    path = save(tmp_path / "a.png", ramp(), pnginfo=info)
    assert path.stat().st_size < 100_000
    assert inspect_document(path, ReadingOptions()).reason is Reason.DAMAGED


def test_broken_metadata_do_not_cost_the_page(tmp_path: Path) -> None:
    path = save(tmp_path / "a.jpg", ramp(), exif=b"Exif\0\0II*\0\xff\xff\xff\xff" + b"\xff" * 40)
    assert np.abs(pixels(path) - RAMP).max() <= 12


def test_image_pages_keep_the_protocol(tmp_path: Path) -> None:
    with ImageFile(save(tmp_path / "a.png", ramp())) as file, file.page(0, LIMIT) as opened:
        page: Page = opened
        assert (page.page_index, page.rotation, page.pixels_per_inch()) == (0, 0, 72.0)
