"""The gate cannot be slipped past, and says what it refused and why."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ragflow.model.releases import Decision
from ragflow.sample import write_text_pdf
from ragflow_tests.e2e.homes import PAGES, Archive, failed, live, points_of, replace_cells, settle, table_path
from ragflow_tests.e2e.launcher import Launcher

BELL = "The church bell was recast by a founder who came up the river on a barge."
STOLEN = BELL.replace("recast", "stolen")


def add_document(archive: Archive) -> None:
    write_text_pdf(archive.inbox / "bell.pdf", [[BELL]], title="Bell", language="en")
    settle(archive.inbox / "bell.pdf")


def second_batch(archive: Archive, asset: str) -> Path:
    return table_path(archive.home, asset, asset, archive.home.manifests.batch_keys()[1])


def text(archive: Archive) -> None:
    assert replace_cells(second_batch(archive, "chunks"), "text", {BELL: STOLEN}) == 1


def vector(archive: Archive) -> None:
    path = second_batch(archive, "embeddings")
    table = pq.read_table(path, partitioning=None)
    turned = -np.array(table.column("dense").to_pylist(), dtype=np.float32)
    column = pa.FixedSizeListArray.from_arrays(pa.array(turned.reshape(-1)), turned.shape[1])
    position = table.schema.get_field_index("dense")
    pq.write_table(table.set_column(position, table.schema.field("dense"), column), path)


def half_a_table(archive: Archive) -> None:
    path = second_batch(archive, "embeddings")
    path.write_bytes(path.read_bytes()[:-100])


TAMPERINGS: tuple[Callable[[Archive], None], ...] = (text, vector, half_a_table)


@dataclass(frozen=True, slots=True)
class Refused:
    """A copy whose second batch was tampered with before its release, and what the ingest said that released it."""

    archive: Archive
    release: dict[str, Any]


@pytest.fixture(scope="module")
def refused(launcher: Launcher, archive: Archive, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Refused]:
    folder = tmp_path_factory.mktemp("gate")
    waiting = archive.copy(folder / "waiting")
    add_document(waiting)
    held_back = launcher.run(waiting.root, "ingest", "--no-release", "--json")
    assert held_back.exit_code == 0, held_back.stderr
    assert held_back.json["release"] == {"version": None, "decision": "none", "verdicts": []}
    assert (live(waiting.home), held_back.json["work"]["embeddings_computed"]) == ("v000001", 1)
    copies = {tamper.__name__: waiting.copy(folder / tamper.__name__) for tamper in TAMPERINGS}
    for tamper in TAMPERINGS:
        tamper(copies[tamper.__name__])
    done = launcher.run_together({name: copied.root for name, copied in copies.items()}, "ingest", "--json")
    for name, result in done.items():
        assert result.exit_code == 4, f"{name}: {result.stdout}"
    return {name: Refused(copies[name], result.json["release"]) for name, result in done.items()}


@pytest.mark.parametrize("name", [tamper.__name__ for tamper in TAMPERINGS])
def test_what_was_tampered_with_before_its_release_does_not_go_live(
    launcher: Launcher, archive: Archive, refused: dict[str, Refused], name: str
) -> None:
    case = refused[name]
    assert case.release["decision"] in ("rejected", "failed")
    assert case.release["problem"]
    assert live(case.archive.home) == "v000001"
    assert points_of(case.archive.home, "v000001") == points_of(archive.home, "v000001")
    found = launcher.run(case.archive.root, "search", "church bell", "--mode", "sparse", "--json")
    assert (found.exit_code, found.json) == (0, []), "what is live is searched, and only that"
    promoted = [record.version for record in case.archive.home.releases.all() if record.decision is Decision.PROMOTED]
    assert promoted == ["v000001"]


def test_a_rejected_candidate_is_kept_and_told_of_until_it_is_made_good(
    launcher: Launcher, refused: dict[str, Refused]
) -> None:
    case = refused["text"]
    home, root = case.archive.home, case.archive.root
    assert (case.release["version"], case.release["decision"]) == ("v000002", "rejected")
    assert {"tables_intact", "chunks_cover_pages"} <= failed(case.release["verdicts"])
    assert len(points_of(home, "v000002")) == len(points_of(home, "v000001")) + 1
    told = launcher.run(root, "releases").stdout.splitlines()
    assert "v000001  promoted" in told[0]
    assert "v000002  rejected" in told[1] and "chunks_cover_pages" in told[1]

    again = launcher.run(root, "ingest", "--json")
    assert again.exit_code == 4, "what came in is still not live: a nightly ingest must not turn green"
    assert (again.json["release"]["decision"], len(home.releases.all())) == ("rejected", 2)
    assert failed(again.json["release"]["verdicts"]) == failed(case.release["verdicts"])

    healed = launcher.run(root, "ingest", "--rebuild", "--json")
    assert (healed.exit_code, healed.json["release"]["decision"]) == (0, "promoted"), healed.stdout
    (hit,) = launcher.run(root, "search", "church bell", "--mode", "sparse", "--json").json
    assert hit["text"] == BELL


def test_a_tampered_candidate_cannot_be_promoted_by_hand(launcher: Launcher, refused: dict[str, Refused]) -> None:
    case = refused["vector"]
    by_hand = launcher.run(case.archive.root, "promote", "v000002", "--json")
    assert (by_hand.exit_code, by_hand.json["decision"], by_hand.json["live"]) == (4, "rejected", "v000001")
    assert "vectors_sound" in failed(by_hand.json["verdicts"])
    assert live(case.archive.home) == "v000001"


def test_a_coverage_below_the_threshold_is_refused_by_name(launcher: Launcher, copied: Archive) -> None:
    add_document(copied)
    done = launcher.run(copied.root, "ingest", "--json", env={"RAGFLOW_GATE__COVERAGE": "1.0"})
    assert done.exit_code == 4, done.stderr
    pages, release = sum(PAGES.values()) + 1, done.json["release"]
    assert done.json["pages"]["total"] == pages
    assert (release["decision"], failed(release["verdicts"])) == ("rejected", {"coverage"})
    (coverage,) = [verdict for verdict in release["verdicts"] if verdict["name"] == "coverage"]
    assert (coverage["figure"], coverage["threshold"]) == (pytest.approx((pages - 2) / pages, abs=1e-6), 1.0)
    assert coverage["summary"] in release["problem"] and "v000002" in release["problem"]
    assert live(copied.home) == "v000001"
    assert "because of coverage" in launcher.run(copied.root, "releases").stdout

    accepted = launcher.run(copied.root, "promote", "v000002", "--json")
    assert accepted.exit_code == 0, accepted.stdout
    assert (accepted.json["decision"], live(copied.home)) == ("promoted", "v000002")


def test_another_chunk_size_cuts_anew_and_builds_from_nothing(launcher: Launcher, copied: Archive) -> None:
    env = {"RAGFLOW_TARGET_TOKENS": "40"}
    state = launcher.run(copied.root, "status", "--json", env=env).json
    assert [batch["pending"] for batch in state["batches"]] == ["chunks is out of date"]
    done = launcher.run(copied.root, "ingest", "--json", env=env)
    assert done.exit_code == 0, done.stderr
    answer = done.json
    assert [batch["key"] for batch in answer["batches"]] == list(copied.home.manifests.batch_keys())
    assert answer["documents"]["unchanged"] == len(PAGES)
    work, before = answer["work"], copied.first.json["work"]
    assert (work.get("pages_read", 0), work.get("rapidocr_runs", 0)) == (0, 0)
    assert work["chunks_cut"] > before["chunks_cut"], "the longest page is now two chunks"
    assert answer["release"]["decision"] == "promoted"
    record = copied.home.version_records.find("v000002")
    assert record is not None and record.base is None, "a reindex starts empty"
    assert record.upserted == record.points == answer["release"]["points"]
