"""``ragflow models``: fetch weights once, and show what is there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ragflow_tests.e2e.launcher import Launcher
from ragflow_tests.ocr.weights_server import WeightsServer, serving


@pytest.fixture
def server() -> Iterator[WeightsServer]:
    with serving() as told:
        yield told


def test_nothing_there_yet(launcher: Launcher, tmp_path: Path) -> None:
    done = launcher.run(tmp_path, "models", "list", "--json")
    assert done.exit_code == 0 and done.json["weights"] is None
    assert done.json["models"] == str(tmp_path / "models")
    other = launcher.run(tmp_path, "models", "list", "--json", env={"RAGFLOW_READING__MODELS": str(tmp_path / "other")})
    assert other.json["models"] == str(tmp_path / "other")


def test_only_engines_that_need_weights(launcher: Launcher, tmp_path: Path) -> None:
    done = launcher.run(tmp_path, "models", "pull", "tesseract")
    assert done.exit_code == 2 and "doctr" in done.error_lines[0]


def test_the_engine_without_weights_says_what_to_run(launcher: Launcher, tmp_path: Path) -> None:
    from ragflow_tests.ocr.pdfs import ENGLISH, lines_at, write_pdf

    write_pdf(tmp_path / "a.pdf", [lines_at(ENGLISH)])
    done = launcher.run(tmp_path, "ocr", tmp_path / "a.pdf", "--out", tmp_path / "out", "--engines", "doctr")
    assert done.exit_code == 5, done.stderr
    assert "ragflow models pull doctr" in done.error_lines[-1] or "ragflow-archive[doctr]" in done.error_lines[-1]
    assert not (tmp_path / "out").exists()


def test_pull_and_list(launcher: Launcher, server: WeightsServer, tmp_path: Path) -> None:
    pytest.importorskip("doctr", reason="the optional extra doctr is not installed")
    from ragflow_tests.ocr.doctr_weights import models_of, random_weights

    known = random_weights()
    server.files = {
        "/models.json": models_of(Path("w"), known).to_json(),
        "/detection.pt": known.detection,
        "/recognition.pt": known.recognition,
    }
    done = launcher.run(tmp_path, "models", "pull", "doctr", "--from", server.address, "--json")
    assert done.exit_code == 0, done.stderr
    assert done.json["fetched"] is True and done.json["detection"]["source"] == f"{server.address}/detection.pt"
    folder = tmp_path / "models" / "doctr"
    assert done.json["folder"] == str(folder)
    again = launcher.run(tmp_path, "models", "pull", "--from", server.address)
    assert again.exit_code == 0 and again.stdout.startswith("Already in")
    shown = launcher.run(tmp_path, "models", "list", "--json")
    assert shown.exit_code == 0 and shown.json["problems"] == []
    assert shown.json["weights"]["recognition"]["sha256"] == done.json["recognition"]["sha256"]

    (folder / done.json["recognition"]["file"]).write_bytes(b"damaged")
    broken = launcher.run(tmp_path, "models", "list")
    assert broken.exit_code == 4 and "BROKEN" in broken.stdout
    server.files.clear()
    failed = launcher.run(tmp_path, "models", "pull", "--from", server.address)
    assert failed.exit_code == 3 and "is not there" in failed.error_lines[0]
    server.statuses["/models.json"] = 503
    failed = launcher.run(tmp_path, "models", "pull", "--from", server.address, "--json")
    assert failed.exit_code == 5 and failed.json["error"]["exit_code"] == 5
