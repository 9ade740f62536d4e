"""``ragflow status`` and ``ragflow releases``, with and without anything to show; ``--version`` and ``--help``."""

from __future__ import annotations

from pathlib import Path

import ragflow
from ragflow_tests.e2e.homes import PAGES, Archive
from ragflow_tests.e2e.launcher import Launcher


def test_an_empty_home_has_a_status_and_no_releases(launcher: Launcher, tmp_path: Path) -> None:
    root = tmp_path / "not there yet"
    state = launcher.run(root, "status", "--json")
    assert state.exit_code == 0, state.stderr
    assert (state.json["live"], state.json["batches"], state.json["versions"]) == (None, [], [])
    assert state.json["ledger"]["pages"] == 0 and state.json["ledger"]["adds_up"] is True
    text = launcher.run(root, "status")
    assert text.exit_code == 0 and "nothing" in text.stdout
    assert launcher.run(root, "releases", "--json").json == []
    told = launcher.run(root, "releases")
    assert (told.exit_code, told.stdout) == (0, "Nothing has been released yet.\n")


def test_status_shows_what_stands(launcher: Launcher, archive: Archive) -> None:
    state = launcher.run(archive.root, "status", "--json").json
    assert (state["home"], state["live"]) == (str(archive.root), "v000001")
    (batch,) = state["batches"]
    assert (batch["documents"], batch["pending"]) == ({"added": len(PAGES), "changed": 0, "removed": 0}, None)
    assert state["ledger"]["pages"] == sum(PAGES.values())
    assert state["ledger"]["engines"] == {"text_layer": 7, "rapidocr": 1}
    (version,) = state["versions"]
    assert (version["version"], version["live"]) == ("v000001", True)
    text = launcher.run(archive.root, "status").stdout
    assert "11 pages in = 8 indexed + 1 blank + 2 quarantined" in text
    assert "v000001 8 points" in text


def test_releases_shows_each_decision(launcher: Launcher, archive: Archive) -> None:
    (record,) = launcher.run(archive.root, "releases", "--json").json
    assert (record["number"], record["version"], record["decision"]) == (1, "v000001", "promoted")
    assert record["verdicts"] and record["merkle_root"] and record["ledger"]["pages"] == sum(PAGES.values())
    (line,) = launcher.run(archive.root, "releases").stdout.splitlines()
    assert "v000001  promoted" in line and "replaced nothing" in line


def test_version_and_help(launcher: Launcher, tmp_path: Path) -> None:
    assert launcher.run(tmp_path, "--version").stdout == f"ragflow {ragflow.__version__}\n"
    assert launcher.run(tmp_path, "--json", "--version").json == {"version": ragflow.__version__}
    told = launcher.run(tmp_path, "--help")
    assert told.exit_code == 0
    for command in ("ingest", "search", "status", "releases", "promote", "rollback", "trace", "verify", "demo", "dev"):
        assert f"  {command} " in told.stdout
