"""``ragflow search``: hits, filters, and run files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from ragflow_tests.e2e.homes import CARRIERE, COPY, LIGHTHOUSE, MINUTES, QUARRY, REPORT, SCAN, Archive, points_of
from ragflow_tests.e2e.launcher import Launcher

QUERIES = {"quarry": "granite quarry flood", "toit": "réparer la toiture du lavoir"}


def search(launcher: Launcher, archive: Archive, *arguments: str) -> list[dict[str, Any]]:
    done = launcher.run(archive.root, "search", "--json", *arguments)
    assert done.exit_code == 0, done.stderr
    hits: list[dict[str, Any]] = done.json
    return hits


def test_a_hit_says_what_was_found_and_where(launcher: Launcher, archive: Archive) -> None:
    hit, *others = search(launcher, archive, "Why was the quarry closed?")
    assert set(hit) >= {"point_id", "score", "document", "page_number", "text", "boxes", "confidence", "engine"}
    assert hit["point_id"] in points_of(archive.home, "v000001")
    assert (hit["document"]["key"], hit["document"]["title"]) == (f"inbox/{REPORT}", "Report")
    assert (hit["page_number"], hit["text"], hit["engine"]) == (1, QUARRY, "text_layer")
    assert (hit["collection_version"], hit["language"]) == ("v000001", "en")
    assert all(0 <= edge <= 1 for box in hit["boxes"] for edge in box)
    scores = [hit["score"], *(other["score"] for other in others)]
    assert scores == sorted(scores, reverse=True)


def test_a_french_question_finds_the_french_page_and_its_double(launcher: Launcher, archive: Archive) -> None:
    hit = search(launcher, archive, "Qui répare le toit du lavoir ?")[0]
    assert (hit["text"], hit["language"]) == (CARRIERE, "fr")
    assert {hit["document"]["key"], *hit["also_in"]} == {f"inbox/{MINUTES}", f"inbox/{COPY}"}


def test_a_scan_is_found_by_its_words(launcher: Launcher, archive: Archive) -> None:
    (hit,) = search(launcher, archive, "lighthouse keeper lamp", "--mode", "sparse")
    assert hit["document"]["key"] == f"inbox/{SCAN}"
    assert hit["engine"].startswith("rapidocr")
    assert LIGHTHOUSE[0] in " ".join(hit["text"].split())
    assert 0.5 < hit["confidence"] < 1.0


def test_where_top_and_min_score_narrow_the_hits(launcher: Launcher, archive: Archive) -> None:
    everything = "quarry windmill orchards lighthouse lavoir école"
    everywhere = search(launcher, archive, everything, "--mode", "sparse")
    french = search(launcher, archive, everything, "--mode", "sparse", "--where", "language=fr")
    third = search(launcher, archive, everything, "--mode", "sparse", "--where", "page_number=3")
    either = search(
        launcher, archive, everything, "--mode", "sparse", "--where", "page_number=3", "--where", "page_number=1"
    )
    later = search(launcher, archive, everything, "--mode", "sparse", "--where", "page_number=2..4")
    assert {hit["page_number"] for hit in either} == {1, 3}
    assert {hit["page_number"] for hit in later} == {hit["page_number"] for hit in everywhere} - {1}
    one_each = search(launcher, archive, everything, "--mode", "sparse", "--per-document", "1")
    assert len({hit["document"]["key"] for hit in one_each}) == len(one_each) < len(everywhere)
    both = search(
        launcher, archive, everything, "--mode", "sparse", "--where", "language=fr", "--where", "page_number=3"
    )
    assert {hit["language"] for hit in french} == {"fr"} and 0 < len(french) < len(everywhere)
    assert [(hit["document"]["key"], hit["page_number"]) for hit in third] == [(f"inbox/{REPORT}", 3)]
    assert both == []
    assert search(launcher, archive, everything, "--mode", "sparse", "--top", "2") == everywhere[:2]
    bar = everywhere[1]["score"]
    kept = search(launcher, archive, everything, "--mode", "sparse", "--min-score", str(bar))
    assert kept == [hit for hit in everywhere if hit["score"] >= bar]
    assert 0 < len(kept) < len(everywhere)


def test_text_output_is_for_people(launcher: Launcher, archive: Archive) -> None:
    done = launcher.run(archive.root, "search", "quarry", "--mode", "sparse")
    assert done.exit_code == 0
    assert f"inbox/{REPORT}, page 1" in done.stdout
    assert QUARRY.split(".")[0] in " ".join(done.stdout.split())
    nothing = launcher.run(archive.root, "search", "zeppelin", "--mode", "sparse")
    assert (nothing.exit_code, nothing.stdout) == (0, "Nothing found.\n")


def read_run(path: Path) -> dict[str, list[tuple[str, float]]]:
    """Read a run the way scorers do: six columns parted by white space; the order is by rank."""
    ranked: dict[str, list[tuple[str, float]]] = {}
    for line in path.read_text().splitlines():
        query, zero, document, rank, score, tag = line.split()
        assert (zero, tag.startswith("ragflow")) == ("Q0", True)
        ranked.setdefault(query, []).append((document, float(score)))
        assert int(rank) == len(ranked[query])
    for hits in ranked.values():
        assert [score for _, score in hits] == sorted((score for _, score in hits), reverse=True)
        assert len({document for document, _ in hits}) == len(hits), "nothing is ranked twice"
    return ranked


@pytest.fixture
def queries(tmp_path: Path) -> Path:
    path = tmp_path / "queries.jsonl"
    path.write_text("".join(json.dumps({"_id": name, "text": text}) + "\n" for name, text in QUERIES.items()) + "\n")
    return path


def test_a_run_of_documents(launcher: Launcher, archive: Archive, queries: Path, tmp_path: Path) -> None:
    run = tmp_path / "run.trec"
    done = launcher.run(archive.root, "search", "--queries", queries, "--run", run, "--top", "3", "--json")
    assert done.exit_code == 0, done.stderr
    ranked = read_run(run)
    assert done.json == {"run": str(run), "queries": 2, "lines": sum(map(len, ranked.values())), "version": "v000001"}
    assert set(ranked) == set(QUERIES) and max(map(len, ranked.values())) <= 3
    keys = {query: [unquote(document) for document, _ in hits] for query, hits in ranked.items()}
    assert keys["quarry"][0] == f"inbox/{REPORT}"
    assert set(keys["toit"][:2]) == {f"inbox/{MINUTES}", f"inbox/{COPY}"}, "a name with spaces is one column"


def test_a_run_of_chunks(launcher: Launcher, archive: Archive, queries: Path, tmp_path: Path) -> None:
    run = tmp_path / "run.trec"
    arguments = ("--queries", queries, "--run", run, "--level", "chunk", "--mode", "sparse")
    done = launcher.run(archive.root, "search", *arguments)
    assert done.exit_code == 0, done.stderr
    assert str(run) in done.stdout
    points = points_of(archive.home, "v000001")
    ranked = read_run(run)
    assert points[ranked["quarry"][0][0]][0] == f"inbox/{REPORT}"
    assert {point for hits in ranked.values() for point, _ in hits} <= points.keys()


def test_a_query_name_that_no_run_file_can_hold_is_refused(
    launcher: Launcher, archive: Archive, tmp_path: Path
) -> None:
    queries = tmp_path / "queries.jsonl"
    queries.write_text('{"_id": "a b", "text": "quarry"}\n')
    arguments = ("--queries", queries, "--run", tmp_path / "run.trec", "--mode", "sparse")
    done = launcher.run(archive.root, "search", *arguments)
    assert done.exit_code == 3
    assert "line 1" in done.stderr
    assert not (tmp_path / "run.trec").exists()
