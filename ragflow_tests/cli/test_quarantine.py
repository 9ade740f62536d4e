"""``ragflow quarantine``: the list, and trying again once the cause is removed."""

from __future__ import annotations

from pathlib import Path

from ragflow.sample import USER_PASSWORD
from ragflow_tests.e2e.homes import LOCKED, TORN, Archive, dagster_runs, live
from ragflow_tests.e2e.launcher import Launcher

SALARIES = "salaries of 1933"


def passwords_file(folder: Path, mode: int = 0o600) -> Path:
    path = folder / "passwords.txt"
    path.write_text(f"# the treasurer's\nno good\n{USER_PASSWORD}\n")
    path.chmod(mode)
    return path


def test_the_list_names_reason_and_remedy(launcher: Launcher, archive: Archive) -> None:
    done = launcher.run(archive.root, "quarantine", "list", "--json")
    assert done.exit_code == 0, done.stderr
    entries = {entry["document"]: entry for entry in done.json["quarantined"]}
    assert {key: (entry["reason"], entry["page"]) for key, entry in entries.items()} == {
        f"inbox/{LOCKED}": ("encrypted", None),
        f"inbox/{TORN}": ("damaged", None),
    }
    assert "passwords file" in entries[f"inbox/{LOCKED}"]["what_to_do"]
    told = launcher.run(archive.root, "quarantine", "list", "--reason", "damaged")
    assert told.exit_code == 0 and TORN in told.stdout and LOCKED not in told.stdout
    assert "intact copy" in told.stdout


def test_wrong_usage(launcher: Launcher, archive: Archive) -> None:
    runs = dagster_runs(archive.home)
    for arguments, code, words in (
        (("retry",), 2, "Nothing was named"),
        (("retry", "--reason", "boredom"), 2, "boredom"),
        (("retry", "inbox/report.pdf"), 3, "Nothing of 'inbox/report.pdf' is in quarantine"),
    ):
        done = launcher.run(archive.root, "quarantine", *arguments)
        assert done.exit_code == code and words in done.stderr, done.stderr
    nothing = launcher.run(archive.root, "quarantine", "retry", "--reason", "timed_out")
    assert nothing.exit_code == 0 and "Nothing of this kind" in nothing.stdout
    assert dagster_runs(archive.home) == runs


def test_what_does_not_come_out_is_exit_code_4(launcher: Launcher, copied: Archive) -> None:
    done = launcher.run(copied.root, "quarantine", "retry", f"inbox/{TORN}", "--json")
    assert done.exit_code == 4, done.stderr
    assert (done.json["asked_for"], done.json["released"]) == (1, [])
    (stayed,) = done.json["stayed"]
    assert (stayed["document"], stayed["reason"], stayed["tries"]) == (f"inbox/{TORN}", "damaged", 2)
    assert done.json["work"]["documents_inspected"] == 1 and done.json["work"]["pages_read"] == 0
    assert launcher.run(copied.root, "ingest", "--no-release", "--json").json["batches"] == []


def test_a_password_releases_its_document(launcher: Launcher, copied: Archive, tmp_path: Path) -> None:
    open_to_all = {"RAGFLOW_READING__PASSWORDS_FILE": str(passwords_file(tmp_path, 0o644))}
    refused = launcher.run(copied.root, "quarantine", "retry", "--all", env=open_to_all)
    assert refused.exit_code == 2 and "chmod 600" in refused.stderr and USER_PASSWORD not in refused.stderr
    environment = {"RAGFLOW_READING__PASSWORDS_FILE": str(passwords_file(tmp_path))}
    before = live(copied.home)
    done = launcher.run(copied.root, "quarantine", "retry", "--reason", "encrypted", env=environment)
    assert done.exit_code == 0, done.stderr
    assert "1 came out of quarantine" in done.stdout and f"Out:       'inbox/{LOCKED}'" in done.stdout
    assert USER_PASSWORD not in done.stdout + done.stderr
    assert live(copied.home) != before
    hits = launcher.run(copied.root, "search", SALARIES, "--mode", "sparse", "--json").json
    assert hits[0]["document"]["key"] == f"inbox/{LOCKED}"
    left = launcher.run(copied.root, "quarantine", "list", "--json", env=environment).json["quarantined"]
    assert [entry["document"] for entry in left] == [f"inbox/{TORN}"]
    again = launcher.run(copied.root, "ingest", "--json", env=environment)
    assert again.exit_code == 0 and again.json["batches"] == []
