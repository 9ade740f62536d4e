"""``ragflow adopt``, run in this process: answers, exit codes, and what it says."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from ragflow.cli.main import main
from ragflow_tests.pipeline.exports import export, library, point, unit
from ragflow_tests.vectors.foreign_server import ForeignServer


class Answer(NamedTuple):
    exit_code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Run = Callable[..., Answer]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """Return a function that runs ``ragflow adopt`` with a home below ``tmp_path``."""
    monkeypatch.setenv("RAGFLOW_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("QDRANT_API_KEY", raising=False)

    def call(*arguments: str | Path) -> Answer:
        with pytest.raises(SystemExit) as ended:
            main(["adopt", *map(str, arguments)])
        out, err = capfd.readouterr()
        return Answer(int(ended.value.code or 0), out, err)

    return call


@pytest.fixture
def server() -> Iterator[ForeignServer]:
    with ForeignServer().running() as running:
        yield running


def test_adopt(run: Run, tmp_path: Path) -> None:
    source = library(tmp_path / "old books.jsonl")
    dry = run(source, "--dry-run", "--json")
    assert dry.exit_code == 0 and dry.json["decision"] == "dry_run" and dry.json["outcome"]["would_points_out"] == 5
    assert not (tmp_path / "home").exists()
    done = run(source, "--json")
    assert done.exit_code == 0, done.err
    assert (done.json["decision"], done.json["name"]) == ("adopted", "old-books")
    folder = tmp_path / "home" / "adopted" / "old-books"
    assert done.json["folder"] == str(folder)
    assert json.loads((folder / "report.json").read_text())["merkle_root"] == done.json["merkle_root"]
    again = run(source)
    assert again.exit_code == 0 and "unchanged" in again.out and "never goes live" in again.out
    assert done.json["merkle_root"] in again.out


def test_options(run: Run, tmp_path: Path) -> None:
    rows = [point(1, unit(1), body="x y z"), point(2, unit(2), body="x  y  z"), point(3, unit(3), body="other")]
    source = export(tmp_path / "a.jsonl", rows)
    done = run(source, "--name", "ours", "--text-field", "body", "--drop-near", "--exact-limit", "0", "--json")
    assert done.exit_code == 0, done.err
    assert done.json["outcome"]["points_out"] == 2 and done.json["settings"]["text_field"] == "body"
    assert done.json["duplicates"]["near"]["compared"] == [{"vector": "", "points": 2, "method": "index"}]
    taken = run(library(tmp_path / "b.jsonl"), "--name", "ours")
    assert taken.exit_code == 2 and "--replace" in taken.err
    assert run(library(tmp_path / "b.jsonl"), "--name", "ours", "--replace").exit_code == 0


def test_a_server(run: Run, server: ForeignServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server.key = "right"
    server.points = [
        {"id": n, "vector": [0.6, 0.8] if n else [1.0, 0.0], "payload": {"text": f"t{n}"}} for n in range(2)
    ]
    address = f"{server.url}/books"
    denied = run(address)
    assert denied.exit_code == 2 and "API key" in denied.err
    monkeypatch.setenv("QDRANT_API_KEY", "wrong-and-secret")
    denied = run(address, "--debug")
    assert denied.exit_code == 2 and "wrong-and-secret" not in denied.err + denied.out
    monkeypatch.setenv("QDRANT_API_KEY", "right")
    done = run(address, "--json")
    assert done.exit_code == 0, done.err
    assert done.json["collections"][0]["collection"] == address and done.json["outcome"]["searchable"] == 2
    assert "right" not in (tmp_path / "home" / "adopted" / "books" / "report.json").read_text()
    plain = run("http://qdrant.example:6333/books")
    assert plain.exit_code == 2 and "plain http" in plain.err


def test_a_server_that_does_not_answer(run: Run) -> None:
    failed = run("http://127.0.0.1:9/books", "--json")
    assert failed.exit_code == 5 and failed.json["error"]["exit_code"] == 5
    assert "127.0.0.1:9" in failed.json["error"]["message"]


def test_bad_input(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"id": 1, "vector": [1.0, 0.0]}\n{"id": 2, "vec\n')
    broken = run(path)
    assert broken.exit_code == 3 and f"{path}, line 2, is not JSON" in broken.err
    missing = run(tmp_path / "none.parquet")
    assert missing.exit_code == 3 and "none.parquet" in missing.err
    other = run(export(tmp_path / "b.jsonl", [point(1, [1.0, 0.0])]), library(tmp_path / "c.jsonl"))
    assert other.exit_code == 3 and "b.jsonl" in other.err and "c.jsonl" in other.err
    assert run(tmp_path / "a.csv").exit_code == 2
    assert run().exit_code == 2
