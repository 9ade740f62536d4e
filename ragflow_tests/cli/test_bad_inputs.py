"""``ragflow ingest`` on folders and names that nobody wished for."""

from __future__ import annotations

from pathlib import Path

from ragflow.sample import write_text_pdf
from ragflow.store.home import Home
from ragflow_tests.e2e.homes import live, settle
from ragflow_tests.e2e.launcher import Launcher

NAMES = ("line\nbreak.pdf", "déjà vu #1 & co.pdf", "100% [bold]red.pdf", "tab\there.PDF")


def is_untouched(root: Path) -> bool:
    return live(Home(root)) is None and Home(root).manifests.all() == ()


def test_an_empty_folder_is_nothing_to_do(launcher: Launcher, tmp_path: Path) -> None:
    root, folder = tmp_path / "home", tmp_path / "empty"
    folder.mkdir()
    for arguments in (("ingest", folder), ("ingest",)):
        done = launcher.run(root, *arguments, "--json")
        assert done.exit_code == 0, done.stderr
        assert (done.json["batches"], done.json["documents"]["added"]) == ([], [])
        assert (done.json["release"]["version"], done.json["release"]["decision"]) == (None, "none")
    assert is_untouched(root)


def test_other_files_are_counted_and_left_alone(launcher: Launcher, tmp_path: Path) -> None:
    root, folder = tmp_path / "home", tmp_path / "letters"
    folder.mkdir()
    for name in ("a.txt", "b.docx", "c.txt", "README", ".hidden.pdf"):
        (folder / name).write_text(name)
    done = launcher.run(root, "ingest", folder, "--json")
    assert done.exit_code == 0, done.stderr
    assert done.json["ignored"] == {".docx": 1, ".txt": 2, "no suffix": 1}
    assert done.json["batches"] == []
    assert "2 .txt" in launcher.run(root, "ingest", folder).stdout
    assert is_untouched(root)


def test_odd_names_go_all_the_way_to_the_hit(launcher: Launcher, tmp_path: Path) -> None:
    root, folder = tmp_path / "home", tmp_path / "odd names #1"
    folder.mkdir()
    for number, name in enumerate(NAMES):
        text = f"The ferry number {number + 1} crosses to the island at noon."
        write_text_pdf(folder / name, [[text]], title="", language="en")
        settle(folder / name)
    (folder / "empty.pdf").touch()
    settle(folder / "empty.pdf")
    (folder / "liar.pdf").write_text("I am no PDF")
    settle(folder / "liar.pdf")
    done = launcher.run(root, "ingest", folder, "--json", env={"RAGFLOW_GATE__COVERAGE": "0.5"})
    assert done.exit_code == 0, done.stderr
    source = done.json["documents"]["added"][0].split("/", 1)[0]
    assert {key.removeprefix(f"{source}/") for key in done.json["documents"]["added"]} == {
        *NAMES,
        "empty.pdf",
        "liar.pdf",
    }
    assert done.json["pages"]["reasons"] == {"empty_file": 1, "not_a_pdf": 1}

    hits = launcher.run(root, "search", "ferry island noon", "--mode", "sparse", "--json").json
    assert {hit["document"]["key"] for hit in hits} == {f"{source}/{name}" for name in NAMES}
    told = launcher.run(root, "search", "ferry island noon", "--mode", "sparse")
    assert told.exit_code == 0 and "[bold]red" in told.stdout, "a name is no markup"
    queries, run = tmp_path / "queries.jsonl", tmp_path / "run.trec"
    queries.write_text('{"_id": "1", "text": "ferry island noon"}\n')
    arguments = ("--queries", queries, "--run", run, "--mode", "sparse")
    assert launcher.run(root, "search", *arguments).exit_code == 0
    assert [len(line.split()) for line in run.read_text().split("\n")[:-1]] == [6] * len(NAMES)
    again = launcher.run(root, "ingest", folder, env={"RAGFLOW_GATE__COVERAGE": "0.5"})
    assert again.exit_code == 0 and "0 added, 0 changed, 0 removed, 6 unchanged" in again.stdout
