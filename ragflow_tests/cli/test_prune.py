"""``ragflow prune``: what it says, and that it goes by what it is told."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from ragflow.cli.console import options
from ragflow.cli.prune import prune, prune_text, size_text

command = typer.Typer()
command.command()(prune)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RAGFLOW_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(options, "json", True)
    monkeypatch.setattr(options, "quiet", True)
    return tmp_path / "home"


def leave(home: Path, name: str) -> Path:
    """Leave the bytes of a build that was killed long ago."""
    folder = home / "vectors" / "versions" / name
    folder.mkdir(parents=True)
    (folder / "half").write_bytes(b"0" * 5000)
    for path in (folder / "half", folder):
        os.utime(path, (1_600_000_000, 1_600_000_000))
    return folder


def test_an_empty_home_has_nothing_to_prune(home: Path) -> None:
    done = CliRunner().invoke(command, [])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout) == {"dry_run": False, "bytes": 0, "kinds": {}, "freed": [], "kept": []}


def test_a_dry_run_says_what_would_go_and_the_next_one_removes_it(home: Path) -> None:
    folder = leave(home, "v000001")
    said = CliRunner().invoke(command, ["--dry-run"])
    assert folder.exists() and said.exit_code == 0, said.output
    done = CliRunner().invoke(command, [])
    assert not folder.exists() and done.exit_code == 0, done.output
    answer = json.loads(done.stdout)
    assert {**json.loads(said.stdout), "dry_run": False} == answer
    assert answer["kinds"]["unfinished version"]["count"] == 1 and answer["bytes"] >= 5000
    assert answer["freed"][0]["name"] == "v000001"


def test_numbers_below_zero_are_wrong_usage(home: Path) -> None:
    for arguments in (["--versions", "-1"], ["--rejected-days", "-2"]):
        done = CliRunner().invoke(command, arguments)
        assert done.exception is not None and getattr(done.exception, "exit_code", None) == 2


def test_the_answer_for_a_person() -> None:
    kept = {"kind": "version", "name": "v000002", "why": "is live"}
    answer = {
        "dry_run": True,
        "bytes": 2_500_000,
        "kinds": {"version": {"count": 2, "bytes": 2_500_000}},
        "kept": [kept],
    }
    assert prune_text(answer).splitlines() == [
        "Kept:      version v000002: is live",
        "Would go:  2 x version, 2.5 MB",
        "Together:  2.5 MB",
    ]
    assert "Removed:   2 x version" in prune_text({**answer, "dry_run": False})
    assert prune_text({**answer, "kinds": {}}).endswith("Nothing is there that no kept release needs.")


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 bytes"), (999, "999 bytes"), (1000, "1.0 kB"), (3_210_000_000, "3.2 GB"), (5e15, "5000.0 TB")],
)
def test_sizes_for_a_person(size: float, text: str) -> None:
    assert size_text(size) == text
