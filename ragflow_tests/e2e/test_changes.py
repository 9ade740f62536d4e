"""Only what changed is worked on, and only its points are written."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from ragflow.model.batches import Change
from ragflow_tests.e2e.homes import (
    COPY,
    MINUTES,
    ORCHARD,
    PAGES,
    REPORT,
    SCAN,
    WINDMILL,
    Archive,
    PointHash,
    live,
    points_of,
    settle,
    write_report,
)
from ragflow_tests.e2e.launcher import Launcher

TIDE_MILL = "The tide mill at the harbour mouth grinds rye for the bakers of the town."
READING = (
    "pages_read",
    "rapidocr_runs",
    "tesseract_runs",
    "text_layer_runs",
    "embeddings_computed",
    "chunks_cut",
    "blobs_stored",
)


def change(archive: Archive) -> None:
    write_report(archive.inbox / REPORT, third=TIDE_MILL)


def remove(archive: Archive) -> None:
    (archive.inbox / REPORT).unlink()


def rename(archive: Archive) -> None:
    (archive.inbox / SCAN).rename(archive.inbox / "Log of the light.pdf")


def duplicate(archive: Archive) -> None:
    target = archive.inbox / "more" / "séance.pdf"
    target.parent.mkdir()
    shutil.copy2(archive.inbox / MINUTES, target)
    settle(target)


CHANGES: tuple[Callable[[Archive], None], ...] = (change, remove, rename, duplicate)


@dataclass(frozen=True, slots=True)
class Changed:
    """A copy of the archive in which one thing changed, and what the ingest said to it."""

    archive: Archive
    answer: dict[str, Any]
    launcher: Launcher

    @property
    def points(self) -> tuple[dict[str, PointHash], dict[str, PointHash]]:
        """Before and after."""
        assert live(self.archive.home) == "v000002"
        return points_of(self.archive.home, "v000001"), points_of(self.archive.home, "v000002")

    def search(self, query: str) -> list[dict[str, Any]]:
        done = self.launcher.run(self.archive.root, "search", query, "--mode", "sparse", "--json")
        assert done.exit_code == 0, done.stderr
        hits: list[dict[str, Any]] = done.json
        return hits


@pytest.fixture(scope="module")
def changed(launcher: Launcher, archive: Archive, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Changed]:
    folder = tmp_path_factory.mktemp("changes")
    copies = {apply.__name__: archive.copy(folder / apply.__name__) for apply in CHANGES}
    for apply in CHANGES:
        apply(copies[apply.__name__])
    done = launcher.run_together({name: copied.root for name, copied in copies.items()}, "ingest", "--json")
    for name, result in done.items():
        assert result.exit_code == 0, f"{name}: {result.stderr}"
        assert result.json["release"]["decision"] == "promoted"
        assert result.json["pages"]["adds_up"]
    return {name: Changed(copies[name], result.json, launcher) for name, result in done.items()}


def test_a_changed_document_costs_its_pages_and_its_new_texts(changed: dict[str, Changed]) -> None:
    result = changed["change"]
    answer, work = result.answer, result.answer["work"]
    assert answer["documents"]["changed"] == [f"inbox/{REPORT}"]
    assert (answer["documents"]["added"], answer["documents"]["removed"]) == ([], [])
    assert (work["hashed_files"], work["pages_read"], work.get("rapidocr_runs", 0)) == (1, PAGES[REPORT], 0)
    assert (work["embeddings_computed"], work["embeddings_reused"]) == (1, 2), "two of its three texts are as before"
    record = result.archive.home.version_records.find("v000002")
    assert record is not None and record.base == "v000001", "the candidate is a clone of what was live"


def test_a_changed_document_changes_its_own_points_only(changed: dict[str, Changed]) -> None:
    result = changed["change"]
    before, after = result.points
    touched = {point for point in before.keys() | after.keys() if before.get(point) != after.get(point)}
    assert {(before.get(point) or after[point])[0] for point in touched} == {f"inbox/{REPORT}"}
    written, deleted = touched & after.keys(), touched - after.keys()
    assert (len(written), len(deleted)) == (3, 1)
    release = result.answer["release"]
    assert (release["upserted"], release["deleted"], release["points"]) == (3, 1, len(after))
    (new,) = result.search("tide rye bakers")
    assert (new["document"]["key"], new["page_number"], new["text"]) == (f"inbox/{REPORT}", 3, TIDE_MILL)
    assert WINDMILL not in {hit["text"] for hit in result.search("windmill barley")}


def test_a_removed_document_is_gone_from_search(archive: Archive, changed: dict[str, Changed]) -> None:
    result = changed["remove"]
    assert result.answer["documents"]["removed"] == [f"inbox/{REPORT}"]
    assert not any(result.answer["work"].get(name) for name in READING)
    assert result.answer["pages"]["total"] == sum(PAGES.values()) - PAGES[REPORT]
    assert (result.answer["release"]["upserted"], result.answer["release"]["deleted"]) == (0, 3)
    before, after = result.points
    assert after == {point: value for point, value in before.items() if value[0] != f"inbox/{REPORT}"}
    assert result.search("pear orchards") == []
    assert Changed(archive, {}, result.launcher).search("pear orchards")[0]["text"] == ORCHARD, "it was there before"


def test_a_removed_document_stays_in_the_history(archive: Archive, changed: dict[str, Changed]) -> None:
    home = changed["remove"].archive.home
    first, tombstone = home.manifests.all()
    assert [(line.key, line.change, line.sha256) for line in tombstone.documents] == [
        (f"inbox/{REPORT}", Change.REMOVED, None)
    ]
    assert (first,) == archive.home.manifests.all(), "the first manifest is as it was"
    (sha256,) = [line.sha256 for line in first.documents if line.key == f"inbox/{REPORT}"]
    assert sha256 is not None and home.blobs.verify(sha256) is None, "its bytes are kept"
    assert [record.version for record in home.releases.all()] == ["v000001", "v000002"]


def test_a_renamed_document_is_not_read_again(changed: dict[str, Changed]) -> None:
    result = changed["rename"]
    assert result.answer["documents"]["added"] == ["inbox/Log of the light.pdf"]
    assert result.answer["documents"]["removed"] == [f"inbox/{SCAN}"]
    assert not any(result.answer["work"].get(name) for name in READING)
    assert result.answer["pages"] == result.archive.first.json["pages"]
    assert (result.answer["release"]["upserted"], result.answer["release"]["deleted"]) == (1, 1)
    hits = result.search("lighthouse keeper lamp")
    assert [hit["document"]["key"] for hit in hits] == ["inbox/Log of the light.pdf"]


def test_a_copy_under_another_name_is_read_once_and_named_in_the_hit(changed: dict[str, Changed]) -> None:
    result = changed["duplicate"]
    assert result.answer["documents"]["added"] == ["inbox/more/séance.pdf"]
    assert not any(result.answer["work"].get(name) for name in READING)
    assert result.answer["pages"]["total"] == sum(PAGES.values()) + PAGES[MINUTES]
    assert result.answer["release"]["upserted"] == 2
    (hit,) = result.search("lavoir toiture")
    names = {f"inbox/{MINUTES}", f"inbox/{COPY}", "inbox/more/séance.pdf"}
    assert {hit["document"]["key"], *hit["also_in"]} == names
    assert len(hit["also_in"]) == 2
