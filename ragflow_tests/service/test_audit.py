"""The log of queries: whole, private, bounded, and off unless it is wanted."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from ragflow.errors import UsageError
from ragflow.model.service import ServiceOptions
from ragflow.service.audit import AuditEntry, AuditLog, audit_log

ENTRY = AuditEntry("key:abcdefgh", "Où est “la carrière” ?\nici", {"language": "fr"}, "hybrid", "v000001", 3, 12.5)


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_nothing_is_written_unless_a_file_is_named(tmp_path: Path) -> None:
    assert audit_log(ServiceOptions(), tmp_path) is None
    assert list(tmp_path.iterdir()) == []


def test_a_search_is_one_line(tmp_path: Path) -> None:
    kept = audit_log(ServiceOptions(audit_log="logs/audit.jsonl"), tmp_path)
    assert kept is not None
    kept.start()
    kept.record(ENTRY)
    kept.stop()
    (line,) = lines(tmp_path / "logs" / "audit.jsonl")
    assert line.pop("time").endswith("+00:00")
    assert line == {
        "caller": "key:abcdefgh",
        "query": "Où est “la carrière” ?\nici",
        "filters": {"language": "fr"},
        "mode": "hybrid",
        "version": "v000001",
        "hits": 3,
        "took_ms": 12.5,
    }
    assert (tmp_path / "logs" / "audit.jsonl").stat().st_mode & 0o777 == 0o600
    again = audit_log(ServiceOptions(audit_log=str(tmp_path / "logs" / "audit.jsonl")), tmp_path / "elsewhere")
    assert again is not None
    again.start()
    again.record(ENTRY)
    again.stop()
    again.stop()
    assert len(lines(tmp_path / "logs" / "audit.jsonl")) == 2


@pytest.mark.parametrize("path", ["../audit.jsonl", "logs/../../audit.jsonl", "link/audit.jsonl"])
def test_a_relative_path_stays_in_the_home_folder(tmp_path: Path, path: str) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "link").symlink_to(tmp_path)
    with pytest.raises(UsageError, match="audit_log") as caught:
        audit_log(ServiceOptions(audit_log=path), home)
    assert caught.value.remedy


def test_a_file_that_cannot_be_written_is_told_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "elsewhere").write_text("")
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    for path in ("folder", "link", "elsewhere/audit.jsonl"):
        with pytest.raises(UsageError, match="cannot be written"):
            AuditLog(tmp_path / path).start()


def test_everything_recorded_is_there_after_the_stop(tmp_path: Path) -> None:
    kept = AuditLog(tmp_path / "audit.jsonl")
    kept.start()

    def record(name: str) -> None:
        for number in range(500):
            kept.record(AuditEntry(f"{name}:{number}", "q", {}, "dense", "v000001", 0, 0.0))

    threads = [threading.Thread(target=record, args=(name,)) for name in ("a", "b", "c")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    kept.stop()
    callers = [line["caller"] for line in lines(kept.path)]
    for name in ("a", "b", "c"):
        assert [caller for caller in callers if caller.startswith(name)] == [f"{name}:{n}" for n in range(500)]


def test_a_full_file_is_put_aside_and_only_so_many_are_kept(tmp_path: Path) -> None:
    kept = AuditLog(tmp_path / "audit.jsonl", max_bytes=500, kept=2)
    for number in range(20):
        one = AuditLog(kept.path, max_bytes=500, kept=2)
        one.start()
        one.record(AuditEntry(str(number), "q", {}, "dense", "v000001", 0, 0.0))
        one.stop()
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"audit.jsonl", "audit.jsonl.1", "audit.jsonl.2", "audit.jsonl.lock"}
    in_order = [lines(tmp_path / f"audit.jsonl{end}") for end in (".2", ".1", "")]
    numbers = [int(line["caller"]) for file in in_order for line in file]
    assert numbers == list(range(numbers[0], 20)) and numbers[0] > 0
    for path in tmp_path.glob("audit.jsonl.?"):
        assert path.stat().st_size >= 500 and path.stat().st_mode & 0o777 == 0o600


def test_processes_may_share_a_file(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from ragflow.service.audit import AuditEntry, AuditLog\n"
        "kept = AuditLog(Path(sys.argv[1]), max_bytes=2000, kept=50); kept.start()\n"
        "for n in range(100): kept.record(AuditEntry(f'{sys.argv[2]}:{n}', 'q', {}, 'dense', 'v000001', 0, 0.0))\n"
        "kept.stop()"
    )
    path = tmp_path / "audit.jsonl"
    processes = [subprocess.Popen([sys.executable, "-c", code, str(path), name]) for name in ("a", "b")]
    assert [process.wait(120) for process in processes] == [0, 0]
    files = [file for file in tmp_path.glob("audit.jsonl*") if file.suffix != ".lock"]
    callers = {line["caller"] for file in files for line in lines(file)}
    assert callers == {f"{name}:{n}" for name in ("a", "b") for n in range(100)}


def test_what_cannot_wait_is_counted_and_told(tmp_path: Path) -> None:
    kept = AuditLog(tmp_path / "audit.jsonl", waiting=3)
    for _ in range(5):
        kept.record(ENTRY)
    assert kept.lost == 2
    kept.start()
    kept.stop()
    told = lines(kept.path)
    assert [line.get("lost") for line in told] == [2, None, None, None] and kept.lost == 0


def test_a_disk_that_refuses_loses_lines_but_not_the_log(tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    kept = AuditLog(folder / "audit.jsonl")
    kept.start()
    kept.path.unlink(missing_ok=True)
    kept.path.mkdir()  # a folder in its place: nothing can be appended to it
    kept.record(ENTRY)
    while not kept.lost:
        threading.Event().wait(0.01)
    kept.path.rmdir()
    kept.record(ENTRY)
    kept.stop()
    assert [line.get("lost") for line in lines(kept.path)] == [1, None]
