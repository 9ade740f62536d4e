"""An ingest that is killed in the middle of OCR: nothing runs on, and the next one goes on from there."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import psutil

from ragflow.sample import write_scan_pdf
from ragflow.store.home import Home
from ragflow_tests.e2e.homes import QUARRY, live, settle, write_report
from ragflow_tests.e2e.launcher import Launcher, command_line, environment_of

SCANS = 7
SHIPS = ("schooner Petrel", "brig Halldora", "tug Samson", "lifeboat Charity", "steamer Vanguard", "cutter Ann", "Rose")


def write_scans(folder: Path) -> None:
    folder.mkdir(parents=True)
    for number, ship in enumerate(SHIPS[:SCANS]):
        path = folder / f"scan {number}.pdf"
        report = [f"The {ship} lay at the coal wharf for {number + 3} weeks.", *[QUARRY] * 6]
        write_scan_pdf(path, [report], seed=number)
        settle(path)
    write_report(folder / "report.pdf")


def until(condition: Callable[[], object], seconds: float) -> bool:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def processes_of(root: Path) -> list[str]:
    """Return the command lines of all processes that were started for this home."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("RAGFLOW_HOME") == str(root) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(" ".join(process.cmdline()))
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


def test_a_killed_ingest_leaves_no_process_and_is_resumed(launcher: Launcher, tmp_path: Path) -> None:
    root, temporary = tmp_path / "home", tmp_path / "tmp"
    temporary.mkdir()
    write_scans(root / "inbox")
    env = {"TMPDIR": str(temporary), "RAGFLOW_READING__ENGINES": "text_layer,tesseract"}
    killed = subprocess.Popen(
        command_line(["ingest", "--json"]),
        env=environment_of(root, env),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        units = root / "tables" / "ocr_text"
        written = partial(units.glob, "*/partial-*/*.texts.arrow")
        assert until(lambda: [*written()] or killed.poll() is not None, 120)
        assert until(lambda: any("tesseract" in line for line in processes_of(root)), 10), "pages are being read"
        assert killed.poll() is None and len([*written()]) < SCANS, "it was over before it could be killed"
    finally:
        os.killpg(killed.pid, signal.SIGKILL)
    assert killed.wait() == -signal.SIGKILL
    assert until(lambda: not processes_of(root), 10), processes_of(root)
    assert not [*temporary.glob("ragflow-pool-*")], "the pool's folder was left behind"
    assert not [*units.glob("*/record.json")], "the stage must not pass for done"
    assert live(Home(root)) is None

    done = launcher.run(root, "ingest", "--json", env=env)
    assert done.exit_code == 0, done.stderr
    answer = done.json
    assert answer["documents"]["added"] == [], "the batch of the first run is taken up, not a new one"
    assert [batch["key"] for batch in answer["batches"]] == list(Home(root).manifests.batch_keys())
    work = answer["work"]
    assert work["pages_resumed"] > 0
    assert 0 < work["tesseract_runs"] < SCANS
    assert work["pages_resumed"] + work["pages_read"] == answer["pages"]["total"] == SCANS + 4
    assert (answer["pages"]["indexed"], answer["pages"]["blank"]) == (SCANS + 3, 1)
    assert answer["release"]["decision"] == "promoted"
    assert not [*units.glob("*/partial-*")], "partial results are removed when the tables stand"

    verified = launcher.run(root, "verify", "--deep", "--json", env=env)
    assert verified.exit_code == 0, verified.stdout
    assert verified.json["breaks"] == []
    assert until(lambda: not processes_of(root), 10), processes_of(root)
