"""Duplicates, held against a plain search through all pairs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragflow.pipeline import duplicates
from ragflow.pipeline.duplicates import NearLink, NearOptions, first_of, grams, jaccard, link_near
from ragflow_tests.pipeline.exports import clusters


def no_text(_: int) -> None:
    return None


def plain(vectors: np.ndarray, least: float) -> dict[int, int]:
    """Link by looking at every pair, one after the other."""
    exact = vectors.astype(np.float64)
    links: dict[int, int] = {}
    for row in range(len(exact)):
        found = [(-round(float(exact[row] @ exact[other]), 9), other) for other in range(row) if other not in links]
        best = min((pair for pair in found if -pair[0] >= least), default=None)
        if best is not None:
            links[row] = best[1]
    return links


def test_every_pair_is_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duplicates, "BLOCK", 32)
    monkeypatch.setattr(duplicates, "COLUMNS", 80)
    vectors = clusters(500, 6)
    links, method = link_near(vectors, no_text, NearOptions(cosine=0.98), tmp_path)
    assert method == "exact" and len(links) > 100
    assert {link.row: link.of for link in links} == plain(vectors, 0.98)
    linked = {link.row for link in links}
    for link in links:
        assert link.of < link.row and link.of not in linked and link.jaccard is None
        assert (
            link.cosine == pytest.approx(float(vectors[link.row] @ vectors[link.of]), abs=1e-6) and link.cosine >= 0.98
        )


def test_the_index_finds_the_same(tmp_path: Path) -> None:
    vectors = clusters(400, 12, seed=3)
    exact, _ = link_near(vectors, no_text, NearOptions(), tmp_path)
    found, method = link_near(vectors, no_text, NearOptions(exact_limit=10), tmp_path)
    assert method == "index" and exact
    assert [(link.row, link.of) for link in found] == [(link.row, link.of) for link in exact]


def test_more_equal_vectors_than_an_index_gives_back(tmp_path: Path) -> None:
    vectors = np.repeat(clusters(3, 8), 200, axis=0)
    links, _ = link_near(vectors, no_text, NearOptions(exact_limit=10), tmp_path)
    # Each of 200 equal vectors has more neighbours than the index gives back: a few that come first stay apart.
    assert len(links) >= 560
    assert all(link.row // 200 == link.of // 200 and link.cosine > 0.99 for link in links)


def test_texts_decide_where_there_are_some(tmp_path: Path) -> None:
    vectors = np.repeat(clusters(1, 8), 5, axis=0)
    texts = ["the mill grinds barley all day", "the mill grinds barley all day!", "something else entirely", None, None]
    texts_of = [None if text is None else grams(text) for text in texts]
    links, _ = link_near(vectors, texts_of.__getitem__, NearOptions(), tmp_path)
    shared = jaccard(grams(str(texts[0])), grams(str(texts[1])))
    assert [(link.row, link.of, link.jaccard) for link in links] == [(1, 0, shared), (4, 3, None)]
    assert shared == 26 / 27


def test_no_points(tmp_path: Path) -> None:
    none: tuple[list[NearLink], str] = ([], "exact")
    assert link_near(np.empty((0, 4), np.float32), no_text, NearOptions(), tmp_path) == none
    assert len(first_of(np.empty((0, 32), np.uint8))) == 0


@given(st.lists(st.integers(0, 6), max_size=40))
def test_first_of(values: list[int]) -> None:
    hashes = np.array([[0] * 31 + [value] for value in values], np.uint8).reshape(-1, 32)
    assert first_of(hashes).tolist() == [values.index(value) for value in values]


@given(st.text(max_size=30), st.text(max_size=30))
def test_jaccard(one: str, other: str) -> None:
    share = jaccard(grams(one), grams(other))
    assert share == jaccard(grams(other), grams(one)) and 0.0 <= share <= 1.0
    assert jaccard(grams(one), grams(one)) == 1.0
    assert (share == 1.0) == (grams(one) == grams(other))
