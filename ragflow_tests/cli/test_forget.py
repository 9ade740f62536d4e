"""``ragflow forget``: what it says, the proof's file, and its exit code."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from ragflow.cli.console import options
from ragflow.cli.forget import forget, forget_text
from ragflow.model.releases import seal_of
from ragflow_tests.pipeline.archive import QUARRY, ingest, make_workspace, put

command = typer.Typer()
command.command()(forget)
KEY = "inbox/only.pdf"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path.resolve() / "home"
    for name, value in (("HOME", root), ("READING__ENGINES", "text_layer"), ("EMBEDDING__PRECISION", "float32")):
        monkeypatch.setenv(f"RAGFLOW_{name}", str(value))
    monkeypatch.setattr(options, "json", True)
    monkeypatch.setattr(options, "quiet", True)
    return root


def test_what_is_not_known_is_bad_input(home: Path) -> None:
    done = CliRunner().invoke(command, [KEY])
    assert getattr(done.exception, "exit_code", None) == 3 and "never was a document" in str(done.exception)


def test_a_document_is_named_forgotten_and_proven_gone(home: Path, tmp_path: Path) -> None:
    workspace = make_workspace(home)
    put(workspace, "only.pdf", QUARRY)
    assert ingest(workspace).decision == "promoted"
    proof = tmp_path / "proof.json"
    said = CliRunner().invoke(command, [KEY, "--dry-run", "--proof", str(proof)])
    assert said.exit_code == 0, said.output
    answer = json.loads(said.stdout)
    assert (answer["dry_run"], answer["discarded"], answer["proof_file"]) == (True, ["v000001"], None)
    assert answer["contents"][0]["documents"] == [KEY] and not proof.exists()
    (home / "note.txt").write_text(QUARRY)
    found = CliRunner().invoke(command, [KEY, "--proof", str(proof), "--reason", "a request"])
    assert found.exit_code == 4
    assert {place["place"] for place in json.loads(found.stdout)["proof"]["found"]} == {"note.txt"}
    (home / "note.txt").unlink()
    done = CliRunner().invoke(command, [KEY, "--proof", str(proof), "--reason", "a request"])
    assert done.exit_code == 0, done.output
    answer, written = json.loads(done.stdout), json.loads(proof.read_bytes())
    assert answer["absent"] and answer["proof"] == written and written["seal"] == seal_of(written)
    text = forget_text(answer)
    assert "Found:     nothing" in text and f"In source: {home / 'inbox' / 'only.pdf'}" in text
    assert f"Proof:     {proof}" in text and "granite quarry" not in text + found.stdout


def test_the_answer_for_a_person() -> None:
    content = {
        "sha256": "a" * 64,
        "size": 10,
        "documents": ["inbox/a.pdf", "inbox/b.pdf"],
        "there_now": ["inbox/a.pdf"],
    }
    answer = {
        "dry_run": True,
        "contents": [content],
        "in_sources": [],
        "batches": ["b1"],
        "discarded": ["v000001"],
        "release": None,
        "proof": None,
        "proof_file": None,
    }
    assert forget_text(answer).splitlines() == [
        f"Would forget: {'a' * 16}…, 10 bytes, known as",
        "           'inbox/a.pdf'",
        "           'inbox/b.pdf' (not there any more)",
        "Batches:   b1: read again without it",
        "Versions:  v000001 would be removed",
    ]
    proof = {
        "found": [{"place": "x.log", "what": "a quotation from its text"}],
        "absent": False,
        "places": [],
        "shared_with_documents_that_stay": [{"place": "tables/a"}, {"place": "tables/a"}],
        "held_elsewhere": [{"place": "/backup", "what": "a backup"}],
        "seal": "b" * 64,
    }
    released = {"version": "v000002", "decision": "promoted"}
    lines = forget_text({**answer, "dry_run": False, "release": released, "proof": proof}).splitlines()
    assert lines[0].startswith("Forgotten: ") and "Release:   v000002: promoted" in lines
    assert lines[-4:] == [
        "Found:     x.log: a quotation from its text",
        "Shared:    1 places have text of it that other documents, which stay, have as well",
        "Elsewhere: /backup: a backup",
        f"Proof:     not written (--proof FILE), seal {'b' * 16}…",
    ]
