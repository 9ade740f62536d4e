"""The demonstration, twice."""

from __future__ import annotations

from pathlib import Path

from ragflow.model.batches import Change
from ragflow.store.home import Home
from ragflow_tests.e2e.homes import live
from ragflow_tests.e2e.launcher import Launcher


def test_the_demonstration_succeeds_and_its_second_run_reads_no_scan_again(launcher: Launcher, tmp_path: Path) -> None:
    first = launcher.run(tmp_path, "demo", "--json")
    assert first.exit_code == 0, first.stderr
    facts = first.json
    whole, changed = facts["ingests"]
    for ingest in (whole, changed):
        pages = ingest["pages"]
        assert pages["adds_up"] and pages["total"] == pages["indexed"] + pages["blank"] + pages["quarantined"]
        assert ingest["release"]["decision"] == "promoted"
    assert whole["work"]["rapidocr_runs"] >= 10
    assert (changed["work"]["pages_read"], changed["work"].get("rapidocr_runs", 0)) == (2, 0)
    assert (len(changed["documents"]["changed"]), len(changed["documents"]["removed"])) == (1, 1)
    assert [search["found"] for search in facts["searches"]] == [True] * 4
    assert facts["verified"]["passed"] is True
    home = Home(tmp_path / "demo")
    assert live(home) == "v000002"

    second = launcher.run(tmp_path, "demo")
    assert second.exit_code == 0, second.stderr
    assert "DOES NOT ADD UP" not in second.stdout
    assert "0 of them by OCR" in second.stdout
    runs = [
        home.tables.get("ocr_text", batch).written_at
        for batch, manifest in zip(home.manifests.batch_keys(), home.manifests.all(), strict=True)
        if any(change.change is Change.ADDED and "scans" in change.key for change in manifest.documents)
    ]
    assert len(runs) == 1, "the scans were read in one batch, the first"
    assert live(home) == "v000004"
