"""Errors: exit codes, one line that names what is wrong, and no traceback unless it is asked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from ragflow.sample import write_scan_pdf
from ragflow_tests.e2e.homes import Archive, settle
from ragflow_tests.e2e.launcher import Launcher, Result

UNKNOWN_POINT = "00000000-0000-8000-8000-000000000000"


def check_error(done: Result, exit_code: int, *named: str) -> None:
    """One line on stderr that names what is wrong; nothing on stdout."""
    assert done.exit_code == exit_code, done.stderr
    assert done.stdout == ""
    (line,) = done.error_lines
    assert line.startswith("ragflow: ")
    for name in named:
        assert name in line
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "exit_code", "named"),
    [
        (["search", "--colour", "red"], 2, "--colour"),
        (["fly"], 2, "fly"),
        (["search"], 2, "--queries"),
        (["search", ""], 2, "empty"),
        (["search", "  "], 2, "empty"),
        (["search", "quarry", "--top", "0"], 2, "0 hits"),
        (["search", "quarry", "--mode", "psychic"], 2, "hybrid"),
        (["search", "quarry", "--mode", "sparse", "--where", "language"], 2, "'language' is not key=value"),
        (["search", "quarry", "--queries", "q.jsonl"], 2, "--run"),
        (["trace", "not-an-id"], 2, "not-an-id"),
        (["ingest", "/no/such/folder"], 3, "/no/such/folder"),
        (["search", "--queries", "/no/queries.jsonl", "--run", "/tmp/run"], 3, "/no/queries.jsonl"),
        (["trace", UNKNOWN_POINT], 3, UNKNOWN_POINT),
        (["verify", "--version", "v000009"], 3, "v000009"),
        (["promote", "v000009"], 3, "v000009"),
    ],
)
def test_an_error_is_one_line_with_its_exit_code(
    launcher: Launcher, archive: Archive, arguments: list[str], exit_code: int, named: str
) -> None:
    check_error(launcher.run(archive.root, *arguments), exit_code, named)


@pytest.mark.parametrize("content", ['{"_id": "1"}\n', "no json\n", "[1, 2]\n", "\xff\xfe\n"])
def test_a_file_that_holds_no_queries_is_refused_by_line(
    launcher: Launcher, archive: Archive, tmp_path: Path, content: str
) -> None:
    path = tmp_path / "queries.jsonl"
    path.write_bytes(b'{"_id": "0", "text": "quarry"}\n' + content.encode("latin-1"))
    arguments = ("search", "--queries", path, "--run", tmp_path / "run", "--mode", "sparse")
    check_error(launcher.run(archive.root, *arguments), 3, f"{path}, line 2")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("name", "value", "named"),
    [
        ("RAGFLOW_TARGET_TOKENS", "many", "target_tokens"),
        ("RAGFLOW_GATE__COVERAGE", "high", "gate.coverage"),
        ("RAGFLOW_READING__DPI", "10", "dpi"),
        ("RAGFLOW_EMBEDDING__PRECISION", "int4", "embedding.precision"),
    ],
)
def test_a_wrong_setting_is_named(launcher: Launcher, tmp_path: Path, name: str, value: str, named: str) -> None:
    check_error(launcher.run(tmp_path, "status", env={name: value}), 2, named)


def test_an_unknown_entry_of_the_settings_file_is_named(launcher: Launcher, tmp_path: Path) -> None:
    (tmp_path / "ragflow.toml").write_text("colour = 'red'\n")
    check_error(launcher.run(tmp_path, "status"), 2, "colour", "ragflow.toml")
    (tmp_path / "ragflow.toml").write_text("[gate\n")
    check_error(launcher.run(tmp_path, "status"), 2, "ragflow.toml")


def test_what_needs_a_live_version_says_so(launcher: Launcher, tmp_path: Path) -> None:
    for arguments in (["search", "quarry", "--mode", "sparse"], ["verify"], ["trace", UNKNOWN_POINT], ["rollback"]):
        check_error(launcher.run(tmp_path, *arguments), 3)


def test_with_json_an_error_is_a_document(launcher: Launcher, archive: Archive) -> None:
    done = launcher.run(archive.root, "--json", "trace", UNKNOWN_POINT)
    assert done.exit_code == 3
    error = done.json["error"]
    assert error["exit_code"] == 3
    assert UNKNOWN_POINT in error["message"] and error["remedy"]
    assert [line for line in done.error_lines if not line.startswith("ragflow: ")] == []


def test_with_debug_an_error_has_its_traceback(launcher: Launcher, archive: Archive) -> None:
    done = launcher.run(archive.root, "trace", UNKNOWN_POINT, "--debug")
    assert done.exit_code == 3
    assert "Traceback" in done.stderr and "NotFoundError" in done.stderr
    assert done.error_lines[-1].startswith("ragflow: ")


def test_without_tesseract_the_package_to_install_is_named(launcher: Launcher, tmp_path: Path) -> None:
    root, programs = tmp_path / "home", tmp_path / "bin"
    programs.mkdir()
    (root / "inbox").mkdir(parents=True)
    write_scan_pdf(root / "inbox" / "scan.pdf", [["The lamp was lit."]])
    settle(root / "inbox" / "scan.pdf")
    done = launcher.run(root, "ingest", "--json", env={"PATH": str(programs)})
    assert done.exit_code == 5, done.stderr
    assert "apt-get install" in done.stdout and "tesseract-ocr" in done.stdout
    assert "Traceback" not in done.stdout
    for option in ((), ("--json",)):
        again = launcher.run(root, "ingest", *option, env={"PATH": str(programs)})
        assert again.exit_code == 5
        assert "tesseract-ocr" in again.stdout + again.stderr
        assert "Traceback" not in again.stdout + again.stderr
