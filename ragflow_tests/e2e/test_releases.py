"""A release under searches: each answer is complete, of one version. And the way back: exact, and at once."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from ragflow_tests.e2e.homes import REPORT, WINDMILL, Archive, dagster_runs, live, points_of, write_report
from ragflow_tests.e2e.launcher import Launcher, Result, Running

SEARCHERS = 3
QUERY = "granite quarry, windmill, tide mill, lighthouse keeper, lavoir, école"
WRONG = "The tide mill at the harbour mouth replaced the windmill, which was never built."
Hits = list[dict[str, Any]]


def search_until(arguments: list[str]) -> None:
    """Run in a process of its own: search what is live, again and again, until the file ``stop`` is there."""
    from ragflow.pipeline.hits import SearchMode
    from ragflow.pipeline.searching import Searcher
    from ragflow.settings import load_settings

    stop, answers = map(Path, arguments)
    with answers.open("w") as out:
        while not stop.exists():
            with Searcher(load_settings().workspace()) as searcher:
                hits = [asdict(hit) for hit in searcher.search(QUERY, mode=SearchMode.SPARSE)]
            out.write(json.dumps({"version": searcher.version, "hits": hits}) + "\n")
            out.flush()
            time.sleep(0.1)


@dataclass(frozen=True, slots=True)
class Released:
    """A copy of the archive in which v000002 went live while processes searched."""

    archive: Archive
    searchers: list[Result]
    answers: list[list[tuple[str, Hits]]]
    """Of each searcher: (version, hits), in order."""
    right: dict[str, Hits]
    """What the command answers when nothing else goes on, by version."""


@pytest.fixture(scope="module")
def released(launcher: Launcher, archive: Archive, tmp_path_factory: pytest.TempPathFactory) -> Released:
    folder = tmp_path_factory.mktemp("released")
    copied = archive.copy(folder / "home")
    right = {"v000001": _search(launcher, copied)}
    stop, files = folder / "stop", [folder / f"answers-{number}" for number in range(SEARCHERS)]
    searchers = [launcher.start(copied.root, stop, file, target=f"{__name__}:search_until") for file in files]
    try:
        _wait_for_answers(searchers, files)
        write_report(copied.inbox / REPORT, third=WRONG)
        ingest = launcher.run(copied.root, "ingest", "--json")
        _wait_for_answers(searchers, files)
    finally:
        stop.touch()
        results = [searcher.result() for searcher in searchers]
    assert (ingest.exit_code, live(copied.home)) == (0, "v000002"), ingest.stderr
    right["v000002"] = _search(launcher, copied)
    lines = [[json.loads(line) for line in file.read_text().splitlines()] for file in files]
    return Released(copied, results, [[(a["version"], a["hits"]) for a in answers] for answers in lines], right)


def _search(launcher: Launcher, archive: Archive) -> Hits:
    done = launcher.run(archive.root, "search", QUERY, "--mode", "sparse", "--json")
    assert done.exit_code == 0, done.stderr
    hits: Hits = done.json
    return hits


def _wait_for_answers(searchers: list[Running], files: list[Path]) -> None:
    """Return when each searcher has answered twice more: the second search began after this call."""
    before = [file.read_bytes().count(b"\n") if file.exists() else 0 for file in files]
    while not all(
        file.exists() and file.read_bytes().count(b"\n") >= n + 2 for file, n in zip(files, before, strict=True)
    ):
        assert all(_lives(searcher.pid) for searcher in searchers), "a searcher has ended"
        time.sleep(0.05)


def _lives(pid: int) -> bool:
    return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def test_every_search_gets_a_whole_answer_of_either_version(released: Released) -> None:
    assert released.right["v000001"] != released.right["v000002"]
    assert all(len(hits) >= 4 for hits in released.right.values())
    assert [(result.exit_code, result.error_lines) for result in released.searchers] == [(0, [])] * SEARCHERS
    for answers in released.answers:
        versions = [version for version, _ in answers]
        assert set(versions) == {"v000001", "v000002"}
        assert versions == sorted(versions), "from one version to the other, once"
        for version, hits in answers:
            assert hits == released.right[version]
    assert not [*(released.archive.home.vectors / "views").iterdir()], "no search left its view behind"


def test_rollback_is_exact_and_holds_until_a_person_promotes(
    launcher: Launcher, archive: Archive, released: Released
) -> None:
    home, root = released.archive.home, released.archive.root
    bad, runs = points_of(home, "v000002"), dagster_runs(home)
    back = launcher.run(root, "rollback", "--json")
    assert back.exit_code == 0, back.stderr
    assert back.json == {"version": "v000001", "decision": "rolled_back", "replaced": "v000002"}
    assert live(home) == "v000001"
    assert points_of(home, "v000001") == points_of(archive.home, "v000001"), "the same points, to the last bit"
    assert [record.version for record in home.version_records.all()] == ["v000001", "v000002"], "nothing was built"
    hits = launcher.run(root, "search", "windmill", "--mode", "sparse", "--json").json
    assert [(hit["text"], hit["collection_version"]) for hit in hits] == [(WINDMILL, "v000001")]

    again = launcher.run(root, "ingest", "--json")
    assert (again.exit_code, again.json["release"]["version"]) == (0, "v000001")
    assert again.json["release"]["decision"] == "unchanged"
    assert (live(home), dagster_runs(home)) == ("v000001", runs), "what was gone back from is not promoted again"

    forward = launcher.run(root, "promote", "v000002", "--json")
    assert forward.exit_code == 0, forward.stdout
    assert (forward.json["decision"], live(home)) == ("promoted", "v000002")
    assert points_of(home, "v000002") == bad
    told = launcher.run(root, "releases", "--json").json
    assert [(record["version"], record["decision"], record["replaced"]) for record in told] == [
        ("v000001", "promoted", None),
        ("v000002", "promoted", "v000001"),
        ("v000001", "rolled_back", "v000002"),
        ("v000002", "promoted", "v000001"),
    ]


def test_rollback_to_what_cannot_be_gone_back_to_is_refused(launcher: Launcher, archive: Archive) -> None:
    nothing_before = launcher.run(archive.root, "rollback", "--json")
    assert nothing_before.exit_code == 3
    unknown = launcher.run(archive.root, "rollback", "v000007", "--json")
    assert unknown.exit_code == 3 and "v000001" in unknown.json["error"]["remedy"]
    assert launcher.run(archive.root, "rollback", "v000001", "--json").exit_code == 4, "it is live already"
    assert len(archive.home.releases.all()) == 1
