"""Scans are images only, look worn, and are the same each time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ragflow.errors import UsageError
from ragflow.sample import write_scan_pdf

from .pdf_reading import page_pixels, page_texts

PAGES = [["The quick brown keeper walked along the pier."], ["He lit the lamp."]]


def test_there_is_no_text_layer_and_the_page_is_a4(tmp_path: Path) -> None:
    path = tmp_path / "a.pdf"
    write_scan_pdf(path, PAGES, dpi=100)
    assert page_texts(path) == ["", ""]
    height, width = page_pixels(path, 0).shape
    assert (abs(width - 595) <= 1, abs(height - 842) <= 1) == (True, True)
    assert page_pixels(path, 0).min() < 128


def test_the_seed_decides_the_grain(tmp_path: Path) -> None:
    for name, seed in (("a.pdf", 1), ("b.pdf", 1), ("c.pdf", 2)):
        write_scan_pdf(tmp_path / name, PAGES, dpi=100, seed=seed)
    first, second, third = ((tmp_path / name).read_bytes() for name in ("a.pdf", "b.pdf", "c.pdf"))
    assert first == second
    assert first != third


def test_noise_makes_the_paper_grainier(tmp_path: Path) -> None:
    grain = []
    for noise in (0.0, 0.08):
        path = tmp_path / f"{noise}.pdf"
        write_scan_pdf(path, PAGES, dpi=72, noise=noise)
        grain.append(float(page_pixels(path, 0)[600:800, 300:500].std()))
    assert grain[1] > 4 * grain[0] + 4


def test_skew_tilts_the_lines(tmp_path: Path) -> None:
    tops = []
    for skew in (0.0, 2.0):
        path = tmp_path / f"{skew}.pdf"
        write_scan_pdf(path, [["m " * 20]], dpi=100, skew_degrees=skew, noise=0.0)
        ink = page_pixels(path, 0, dpi=100) < 140
        left, right = (int(np.flatnonzero(half.any(axis=1))[0]) for half in (ink[:, 110:210], ink[:, 400:500]))
        tops.append(left - right)
    assert abs(tops[0]) <= 1
    assert 5 <= tops[1] <= 15  # 300 pixels at two degrees rise by ten


@pytest.mark.parametrize(("turn", "back"), [(90, 1), (180, 2), (270, 3)])
def test_turn_is_clockwise(tmp_path: Path, turn: int, back: int) -> None:
    write_scan_pdf(tmp_path / "up.pdf", PAGES, dpi=72, noise=0.0)
    write_scan_pdf(tmp_path / "turned.pdf", PAGES, dpi=72, noise=0.0, turn=turn)
    upright = page_pixels(tmp_path / "up.pdf", 0).astype(float)
    turned_back = np.rot90(page_pixels(tmp_path / "turned.pdf", 0), back).astype(float)
    rows, columns = (min(upright.shape[axis], turned_back.shape[axis]) for axis in (0, 1))
    assert np.abs(upright[:rows, :columns] - turned_back[:rows, :columns]).mean() < 3.0


@pytest.mark.parametrize("options", [{"dpi": 20}, {"dpi": 5000}, {"noise": -0.1}, {"noise": 2.0}, {"turn": 45}])
def test_values_that_no_scanner_has_are_refused(tmp_path: Path, options: dict[str, float]) -> None:
    with pytest.raises(UsageError):
        write_scan_pdf(tmp_path / "a.pdf", PAGES, **options)  # type: ignore[arg-type]
    assert not (tmp_path / "a.pdf").exists()
