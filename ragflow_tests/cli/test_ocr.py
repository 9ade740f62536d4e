"""``ragflow ocr``: text files without an archive."""

from __future__ import annotations

import json
from pathlib import Path

from ragflow_tests.e2e.launcher import Launcher
from ragflow_tests.ocr.pdfs import ENGLISH, as_picture, lines_at, scan, write_pdf


def test_text_layer_and_scan_are_read_and_told(launcher: Launcher, tmp_path: Path) -> None:
    folder, out, home = tmp_path / "in", tmp_path / "out", tmp_path / "home"
    (folder / "scans").mkdir(parents=True)
    typed = write_pdf(folder / "typed.pdf", [lines_at(ENGLISH)])
    scan(folder / "scans" / "typed.pdf", as_picture(typed))
    done = launcher.run(
        home, "ocr", folder, "--out", out, "--engines", "text_layer,tesseract", "--languages", "eng", "--json"
    )
    assert done.exit_code == 0, done.stderr
    assert done.json["documents"] == {"total": 2, "written": 2, "kept": 0, "unreadable": 0}
    assert done.json["pages"] == {"total": 2, "indexed": 2, "blank": 0, "quarantined": 0, "reasons": {}}
    assert [file["engines"] for file in done.json["files"]] == [{"text_layer": 1}, {"tesseract": 1}]
    assert done.json["engine_runs"]["tesseract"] == 1
    for name in ("typed", "scans/typed"):
        assert (out / f"{name}.txt").read_text().split() == " ".join(ENGLISH).split()
    pages = json.loads((out / "scans/typed.json").read_bytes())["pages"]
    assert pages[0]["engine"] == "tesseract" and len(pages[0]["raster"]["sha256"]) == 64
    assert not home.exists(), "no archive is made"

    told = launcher.run(
        home, "ocr", folder, "--out", out, "--engines", "text_layer,tesseract", "--languages", "eng"
    )  # fmt: skip
    assert told.exit_code == 0 and told.stdout.count("kept") == 3
    refused = launcher.run(home, "ocr", folder, "--out", out, "--engines", "tesseract")
    assert refused.exit_code == 2 and "--force" in refused.error_lines[0]


def test_exit_code_3_if_something_could_not_be_read(launcher: Launcher, tmp_path: Path) -> None:
    write_pdf(tmp_path / "good.pdf", [lines_at(ENGLISH)])
    (tmp_path / "bad.pdf").write_text("I am no PDF")
    arguments = ("ocr", tmp_path / "good.pdf", tmp_path / "bad.pdf", "--out", tmp_path / "out")
    done = launcher.run(tmp_path / "home", *arguments, "--engines", "text_layer", "--json")
    assert done.exit_code == 3
    assert done.json["files"][1]["problem"]["reason"] == "not_a_pdf"
    assert (tmp_path / "out" / "good.txt").is_file() and done.json["documents"]["unreadable"] == 1
    told = launcher.run(tmp_path / "home", *arguments, "--engines", "text_layer")
    assert told.exit_code == 3 and "not_a_pdf" in told.stdout


def test_wrong_usage_is_told(launcher: Launcher, tmp_path: Path) -> None:
    write_pdf(tmp_path / "good.pdf", [lines_at(ENGLISH)])
    home = tmp_path / "home"
    for arguments, word in (
        (("ocr", tmp_path / "good.pdf"), "--out"),
        (("ocr", tmp_path / "good.pdf", "--out", tmp_path / "out", "--engines", "abbyy"), "tesseract"),
        (("ocr", tmp_path / "good.pdf", "--out", tmp_path / "out", "--languages", ","), "--languages"),
    ):
        done = launcher.run(home, *arguments)
        assert done.exit_code == 2 and word in done.error_lines[0], done.stderr
    assert launcher.run(home, "ocr", tmp_path / "nothing", "--out", tmp_path / "out").exit_code == 3
