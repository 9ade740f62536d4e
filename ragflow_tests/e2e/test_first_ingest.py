"""The first ingest of an archive with one of everything, and the second, which has nothing to do."""

from __future__ import annotations

import json

from ragflow.model.releases import Decision
from ragflow.pipeline.examination import VERDICT_NAMES
from ragflow_tests.e2e.homes import (
    COPY,
    LOCKED,
    MINUTES,
    PAGES,
    REPORT,
    SCAN,
    TORN,
    Archive,
    dagster_runs,
    live,
    points_of,
)
from ragflow_tests.e2e.launcher import run_afresh


def test_the_answer_says_what_came_in_and_what_became_of_it(archive: Archive) -> None:
    assert archive.first.exit_code == 0, archive.first.stderr
    answer = archive.first.json
    assert set(answer) >= {"batches", "documents", "pages", "release", "work"}
    keys = sorted(f"inbox/{name}" for name in PAGES)
    documents = answer["documents"]
    assert sorted(documents["added"]) == keys
    assert (documents["changed"], documents["removed"], documents["deferred"]) == ([], [], [])
    assert {entry["document"]: entry["pages"] for entry in documents["quarantined"]} == {
        f"inbox/{LOCKED}": {"encrypted": 1},
        f"inbox/{TORN}": {"damaged": 1},
    }
    assert answer["ignored"] == {".txt": 1}
    (batch,) = answer["batches"]
    assert batch["key"] == archive.home.manifests.batch_keys()[0]
    assert batch["ok"] and batch["problem"] is None


def test_the_ledger_adds_up_with_reasons(archive: Archive) -> None:
    pages = archive.first.json["pages"]
    assert pages["total"] == sum(PAGES.values())
    assert (pages["indexed"], pages["blank"], pages["quarantined"]) == (8, 1, 2)
    assert pages["total"] == pages["indexed"] + pages["blank"] + pages["quarantined"]
    assert pages["adds_up"] is True
    assert pages["reasons"] == {"encrypted": 1, "damaged": 1}
    assert pages["coverage"] == round(9 / 11, 6)


def test_the_release_is_proven_by_every_verdict(archive: Archive) -> None:
    release = archive.first.json["release"]
    assert (release["version"], release["decision"]) == ("v000001", "promoted")
    names = [verdict["name"] for verdict in release["verdicts"]]
    assert sorted(names) == sorted(VERDICT_NAMES)
    assert {verdict["outcome"] for verdict in release["verdicts"]} == {"pass"}
    assert all(verdict["summary"] for verdict in release["verdicts"])
    assert live(archive.home) == "v000001"
    (record,) = archive.home.releases.all()
    assert (record.decision, record.replaced, record.points) == (Decision.PROMOTED, None, release["points"])


def test_every_readable_document_has_points_and_no_other(archive: Archive) -> None:
    points = points_of(archive.home, "v000001")
    assert len(points) == archive.first.json["release"]["points"]
    assert {key for key, _ in points.values()} == {f"inbox/{name}" for name in (REPORT, MINUTES, COPY, SCAN)}


def test_a_duplicate_is_read_and_embedded_once(archive: Archive) -> None:
    work = archive.first.json["work"]
    assert work["hashed_files"] == 6
    assert work["blobs_stored"] == work["documents_inspected"] == 5
    assert work["pages_read"] == PAGES[REPORT] + PAGES[MINUTES] + PAGES[SCAN]
    assert work["embeddings_computed"] == 6
    assert work["rapidocr_runs"] == 1, "the blank page and the text pages need no OCR"


def test_stdout_is_one_document_and_the_logs_are_on_stderr(archive: Archive) -> None:
    assert archive.first.stdout.startswith("{\n") and archive.first.stdout.endswith("\n}\n")
    logs = [json.loads(line) for line in archive.first.stderr.splitlines() if line.startswith("{")]
    messages = " ".join(entry["message"] for entry in logs)
    assert all(work in messages for work in ("batch made", "stage done", "candidate built", "release decided"))
    assert "Traceback" not in archive.first.stderr


def test_a_second_ingest_does_nothing(archive: Archive) -> None:
    runs, releases = dagster_runs(archive.home), len(archive.home.releases.all())
    assert runs == 2, "one for the batch, one for the release"
    second = run_afresh(archive.root, "ingest", "--json")
    assert second.exit_code == 0, second.stderr
    answer = second.json
    assert answer["batches"] == []
    assert answer["documents"]["unchanged"] == len(PAGES)
    assert not any(answer["documents"][name] for name in ("added", "changed", "removed", "deferred"))
    assert answer["pages"] == archive.first.json["pages"]
    assert answer["work"] == {"hashed_files": 0, "hashed_bytes": 0}, "no file read, no OCR, no embedding"
    assert answer["release"] == {"version": "v000001", "decision": "unchanged", "verdicts": []}
    assert dagster_runs(archive.home) == runs
    assert len(archive.home.releases.all()) == releases
