"""One batch of good documents and of every bad one there is here: each bad page costs itself, and nothing else."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
from reportlab.pdfgen.canvas import Canvas

import ragflow
from ragflow_tests.faults import bombs, hostile_run, tesseract_that_fails
from ragflow_tests.ocr.pdfs import ENGLISH, as_picture, lines_at, picture, scan, write_pdf

ROOT = Path(ragflow.__file__).parents[1]

BAD = {
    # document: (page number or None for the whole document, reason, words of the detail)
    "crash": (2, "engine_failed", "-11"),
    "kill": (2, "worker_died", "was killed (signal 9, SIGKILL)"),
    "hang": (2, "timed_out", "within 3 seconds"),
    "eat": (2, "engine_failed", "MemoryError"),
    "content": (2, "worker_died", "want of memory: it has 512 MiB"),
    "forms": (1, "worker_died", "want of memory: it has 512 MiB"),
    "image": (1, "page_damaged", "of 60000 by 60000 pixels by its own account"),
    "huge": (1, "page_too_large", "200 by 200 inches"),
    "circle": (None, "no_pages", "has no pages"),
    "objects": (None, "worker_died", "want of memory: it has 512 MiB"),
    "tree": (40, "page_damaged", "cannot be opened"),
}
"""Where several pages of a document are bad, the last of them."""

GOOD = ("report", "scanned")


@dataclass(frozen=True)
class Ran:
    """What the run said, and what it left on the machine."""

    answer: dict[str, Any]
    folder: Path

    def page(self, document: str, number: int) -> list[Any]:
        (found,) = [page for page in self.answer["pages"] if page[:2] == [document, number - 1]]
        return list(found[2:])


def tall_page(path: Path, good: Path, deed: str) -> Path:
    """A good scanned page, and one whose shape makes Tesseract fail."""
    image = as_picture(good)
    wide, high = tesseract_that_fails.WIDTH, tesseract_that_fails.WIDTH * tesseract_that_fails.DEEDS[deed]
    canvas = Canvas(str(path), invariant=True)
    for size in ((420, 595), (wide, high)):
        canvas.setPageSize(size)
        picture(image, (0, 0, *size))(canvas)
        canvas.showPage()
    canvas.save()
    return path


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    folder = tmp_path_factory.mktemp("hostile").resolve()
    inbox = folder / "home" / "inbox"
    inbox.mkdir(parents=True)
    report = write_pdf(inbox / "report.pdf", [lines_at(ENGLISH)] * 3)
    scan(inbox / "scanned.pdf", as_picture(report))
    for deed in tesseract_that_fails.DEEDS:
        tall_page(inbox / f"{deed}.pdf", report, deed)
    bombs.content_bomb(inbox / "content.pdf", before=["The ferry leaves the quay at noon."], times=2)
    bombs.forms_in_forms(inbox / "forms.pdf")
    bombs.image_bomb(inbox / "image.pdf")
    bombs.huge_page(inbox / "huge.pdf")
    bombs.object_streams_in_a_circle(inbox / "circle.pdf")
    bombs.object_stream_bomb(inbox / "objects.pdf")
    bombs.page_tree_in_a_circle(inbox / "tree.pdf")
    programs = folder / "programs"
    programs.mkdir()
    fake = programs / "tesseract"
    fake.write_text(f'#!/bin/sh\nexec {sys.executable} {tesseract_that_fails.__file__} "$@"\n')
    fake.chmod(0o755)
    for path in inbox.iterdir():
        os.utime(path, (time.time() - 60,) * 2)
    environment = {
        **os.environ,
        "PATH": f"{programs}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "TMPDIR": str(programs),
        "RAGFLOW_TEST_TESSERACT": str(shutil.which("tesseract")),
        "RAGFLOW_TEST_FOLDER": str(folder),
    }
    command = [sys.executable, "-m", hostile_run.__name__, str(folder / "home")]
    done = subprocess.run(command, env=environment, capture_output=True, timeout=400, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return Ran(json.loads(done.stdout), folder)


@pytest.mark.parametrize("document", BAD)
def test_the_bad_page_is_quarantined_for_the_right_reason(ran: Ran, document: str) -> None:
    number, reason, words = BAD[document]
    status, found, detail, text = ran.page(document, number or 1)
    assert (status, found, text) == ("quarantined", reason, "")
    assert words in detail
    listed = [entry for entry in ran.answer["quarantined"] if entry["document"] == f"inbox/{document}.pdf"]
    assert listed[-1]["page"] == number and listed[-1]["reason"] == reason
    assert words in listed[-1]["detail"] and listed[-1]["what_to_do"]


def test_every_other_page_is_read(ran: Ran) -> None:
    read = {(name, index + 1) for name, index, status, *_ in ran.answer["pages"] if status == "indexed"}
    assert read == {
        ("report", 1),
        ("report", 2),
        ("report", 3),
        ("scanned", 1),
        ("content", 1),
        *((deed, 1) for deed in tesseract_that_fails.DEEDS),
    }
    assert "quick brown fox" in ran.page("scanned", 1)[3]
    assert ran.page("content", 1)[3] == "The ferry leaves the quay at noon."


def test_no_page_is_missing_and_the_tables_pass_their_checks(ran: Ran) -> None:
    statuses = {status for _, _, status, *_ in ran.answer["pages"]}
    assert statuses == {"indexed", "quarantined"}, "nothing that could not be read is called blank"
    assert len([page for page in ran.answer["pages"] if page[0] == "tree"]) == 40
    assert ran.answer["failed_checks"] == []


def test_memory_is_bounded(ran: Ran) -> None:
    assert int((ran.folder / "eaten").read_text()) <= hostile_run.MEMORY_MB
    # The limit is on private memory; the libraries that a process shares with others come on top.
    assert 100 < ran.answer["most_mb"] < hostile_run.MEMORY_MB + 300


def command_of(pid: int) -> list[str]:
    try:
        return psutil.Process(pid).cmdline()
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        return []


def test_no_process_is_left_behind(ran: Ran) -> None:
    hung = [int(pid) for pid in (ran.folder / "hung").read_text().split()]
    assert len(hung) >= 2 and len(ran.answer["processes"]) > 10
    for pid in {*hung, *ran.answer["processes"]}:
        # The number may have been given to another process since.
        command = command_of(pid)
        assert command != ["sleep", "600"] and str(ran.folder) not in " ".join(command)


def test_nothing_is_left_in_the_temporary_folder(ran: Ran) -> None:
    assert not list(ran.folder.rglob("ragflow-p*"))
