"""``ragflow reocr``: from a faint scan to the next release, and what it says when there is nothing to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from ragflow.sample import write_scan_pdf, write_text_pdf
from ragflow.store.home import Home
from ragflow_tests.e2e.homes import ORCHARD, QUARRY, WINDMILL, dagster_runs, live, settle
from ragflow_tests.e2e.launcher import Launcher

FOG = "Dense fog for thirty hours. The siren sounded without a stop."
CONFIGURATION = """
[batching]
max_documents = 1
[reading]
engines = ["text_layer", "tesseract"]
dpi = 150
[gate]
coverage = 0.5
low_confidence = 1.0
"""


@pytest.fixture(scope="module")
def faint(launcher: Launcher, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A released home: a faint scan, a clear one, and a document with a text layer; three batches."""
    root = tmp_path_factory.mktemp("faint") / "home"
    (root / "inbox").mkdir(parents=True)
    (root / "ragflow.toml").write_text(CONFIGURATION)
    write_scan_pdf(root / "inbox" / "faint.pdf", [[FOG, WINDMILL]], dpi=50, noise=0.02, seed=7)
    write_scan_pdf(root / "inbox" / "clear.pdf", [[QUARRY]], dpi=150, seed=3)
    write_text_pdf(root / "inbox" / "text.pdf", [[ORCHARD]])
    for path in (root / "inbox").iterdir():
        settle(path)
    first = launcher.run(root, "ingest", "--json")
    assert first.exit_code == 0, first.stderr
    return root


def test_only_the_weak_page_is_read_again_and_released(launcher: Launcher, faint: Path) -> None:
    home = Home(faint)
    runs = dagster_runs(home)
    done = launcher.run(faint, "reocr", "--below", "0.8", "--json")
    assert done.exit_code == 0, done.stderr
    answer = done.json
    assert (answer["pages"], answer["read"], answer["improved"] + answer["unchanged"]) == (1, 1, 1)
    assert [(page["document"], page["page"]) for page in answer["asked_for"]] == [("inbox/faint.pdf", 1)]
    assert 0.0 < answer["confidence_before"] < 0.8 and answer["confidence_after"] is not None
    assert (answer["work"]["pages_read"], answer["work"]["pages_kept"]) == (1, 0)
    (batch,) = answer["batches"]
    assert batch["ok"]
    assert dagster_runs(home) == runs + 2, "one batch, one release"
    assert answer["release"]["decision"] == "promoted"
    assert live(home) == answer["release"]["version"] == "v000002"

    nothing = launcher.run(faint, "reocr", "--json")
    assert nothing.exit_code == 0 and dagster_runs(home) == runs + 2
    assert (nothing.json["pages"], nothing.json["batches"]) == (0, [])
    assert nothing.json["release"]["decision"] == "unchanged"
    told = launcher.run(faint, "reocr").stdout
    assert "none was read by OCR with a confidence below 0.8" in told and "v000002" in told

    text = launcher.run(faint, "reocr", "--below", "1", "--no-release")
    assert text.exit_code == 0, text.stderr
    assert "1 of 1 read again:" in text.stdout
    assert "inbox/clear.pdf" in text.stdout and "mean confidence" in text.stdout
    assert live(home) == "v000002"
    assert launcher.run(faint, "ingest", "--json").json["release"]["decision"] == "promoted"
    assert launcher.run(faint, "verify").exit_code == 0


def test_other_batches_that_are_not_done_hold_the_release_back(launcher: Launcher, faint: Path) -> None:
    other = {"RAGFLOW_TARGET_TOKENS": "40"}
    refused = launcher.run(faint, "reocr", "--json", env=other)
    assert refused.exit_code == 4
    assert "other batches are not done" in refused.json["error"]["message"]
    assert "ragflow ingest" in refused.json["error"]["remedy"]


@pytest.mark.parametrize("arguments", [("--below", "0"), ("--below", "1.5"), ("--limit", "0"), ("--below", "low")])
def test_wrong_usage(launcher: Launcher, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    assert launcher.run(tmp_path, "reocr", *arguments).exit_code == 2


def test_an_empty_home_has_nothing_to_read_again(launcher: Launcher, tmp_path: Path) -> None:
    done = launcher.run(tmp_path / "new", "reocr", "--json")
    assert (done.exit_code, done.json["pages"], done.json["release"]["decision"]) == (0, 0, "none")
