"""``ragflow backup`` and ``ragflow restore``: what they print, and how they end."""

from __future__ import annotations

from pathlib import Path

from ragflow.store.backups import open_target
from ragflow_tests.e2e.homes import Archive, live
from ragflow_tests.e2e.launcher import Launcher
from ragflow_tests.pipeline.archive import flip


def test_back_up_list_and_restore(launcher: Launcher, archive: Archive, tmp_path: Path) -> None:
    target, root = str(tmp_path / "t"), tmp_path / "restored"
    made = launcher.run(archive.root, "backup", target, "--name", "first", "--keep", "2", "--keep-days", "30", "--json")
    assert made.exit_code == 0, made.stderr
    answer = made.json
    assert (answer["name"], answer["version"], answer["points"]) == ("first", "v000001", 8)
    assert answer["bytes_written"] == sum(open_target(target).objects().values()) > 0
    assert {verdict["outcome"] for verdict in answer["verdicts"]} == {"pass"}
    assert answer["removed"] == [] and answer["swept"] == {"objects": 0, "size": 0}

    listed = launcher.run(archive.root, "backup", "--list", target)
    assert listed.exit_code == 0
    assert "first  v000001  8 points" in listed.stdout and "good" in listed.stdout
    (entry,) = launcher.run(archive.root, "backup", target, "--list", "--json").json
    assert (entry["name"], entry["state"], entry["engine"]) == ("first", "good", "qdrant-edge-py")

    restored = launcher.run(tmp_path / "not this one", "restore", target, "--home", str(root), "--json")
    assert restored.exit_code == 0, restored.stdout + restored.stderr
    assert (restored.json["decision"], restored.json["live"]) == ("promoted", "v000001")
    assert (root / "ragflow.toml").read_text() == (archive.root / "ragflow.toml").read_text()
    assert not (tmp_path / "not this one" / "releases").exists()
    asked = [launcher.run(home, "search", "granite quarry", "--json").json for home in (archive.root, root)]
    assert asked[0] == asked[1] != []
    again = launcher.run(root, "restore", target)
    assert again.exit_code == 0 and "unchanged" in again.stdout and "0 put back, 0 replaced" in again.stdout

    points = next(file for file in open_target(target).manifest("first").files if file.part == "points")
    flip(tmp_path / "t" / "objects" / points.object[:2] / points.object)
    refused = launcher.run(tmp_path / "third", "restore", target, "--json")
    assert refused.exit_code == 4
    assert points.path in refused.json["error"]["message"]
    assert not (tmp_path / "third" / "blobs").exists()


def test_wrong_usage_and_missing_things(launcher: Launcher, archive: Archive, tmp_path: Path) -> None:
    assert launcher.run(archive.root, "backup", str(tmp_path), "--list", "--keep", "3").exit_code == 2
    assert launcher.run(archive.root, "backup", str(tmp_path), "--keep", "0").exit_code == 2
    assert launcher.run(archive.root, "backup", "s3://key:secret@bucket/x").exit_code == 2
    assert launcher.run(archive.root, "backup", str(archive.root / "inside")).exit_code == 2
    for command in (("backup", "--list"), ("restore",)):
        assert launcher.run(archive.root, *command, str(tmp_path / "nothing")).exit_code == 3
    nothing = launcher.run(tmp_path / "empty", "backup", str(tmp_path / "t"))
    assert nothing.exit_code == 3 and "ragflow ingest" in nothing.stderr
    assert live(archive.home) == "v000001"
