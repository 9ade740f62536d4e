"""Searching a version: fusion, filters, doubles."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragflow.errors import NotFoundError, UsageError
from ragflow.model.points import Point, SparseVector
from ragflow.pipeline.fusing import HALF_WAY, Spread, fuse, shown
from ragflow.pipeline.hits import Group, Hit, SearchMode, rank_documents
from ragflow.pipeline.searching import DEPTH, Searcher
from ragflow.pipeline.workspace import Workspace
from ragflow.vectors.protocols import AnyOf, Between, ScoredPoint
from ragflow_tests.pipeline.archive import (
    LATER,
    LAVOIR,
    MINUTES,
    ORCHARD,
    QUARRY,
    REPORT,
    TWIN,
    WINDMILL,
    Archive,
    ingest,
    make_workspace,
    put,
)

MODES = list(SearchMode)
LETTER = "The keeper of the lighthouse asks the harbour board for forty gallons of oil before the winter storms."


@st.composite
def rankings(draw: st.DrawFn) -> list[ScoredPoint]:
    """A ranking as an engine gives it: best first, each point once."""
    found = draw(st.dictionaries(st.integers(0, 12), st.integers(-8, 240).map(lambda eighths: eighths / 8), max_size=8))
    points = [ScoredPoint(uuid.UUID(int=number), score, {"number": number}) for number, score in found.items()]
    return sorted(points, key=lambda point: (-point.score, point.id))


weights = st.floats(0, 1)


@given(rankings(), rankings(), weights)
def test_fusion_keeps_every_point_once_best_first(
    dense: list[ScoredPoint], sparse: list[ScoredPoint], weight: float
) -> None:
    fused = fuse(dense, sparse, weight)
    assert {point.id for point in fused} == {point.id for point in [*dense, *sparse]}
    assert len({point.id for point in fused}) == len(fused)
    assert [point.score for point in fused] == sorted((point.score for point in fused), reverse=True)
    assert all(point.payload["number"] == point.id.int for point in fused)
    assert fused == fuse(dense, sparse, weight), "and ties are broken in the same way every time"


@given(rankings(), rankings(), weights)
def test_fusion_does_not_care_which_side_is_called_which(
    dense: list[ScoredPoint], sparse: list[ScoredPoint], weight: float
) -> None:
    one = {point.id: point.score for point in fuse(dense, sparse, weight)}
    other = {point.id: point.score for point in fuse(sparse, dense, 1 - weight)}
    assert one == pytest.approx(other)


@given(rankings(), rankings(), st.sampled_from([0.25, 2.0, 8.0]))
def test_fusion_does_not_care_about_the_scale_of_a_side(
    dense: list[ScoredPoint], sparse: list[ScoredPoint], factor: float
) -> None:
    scaled = [point._replace(score=point.score * factor) for point in dense]
    assert fuse(scaled, sparse, 0.5, (factor, 1.0)) == fuse(dense, sparse)


def test_scores_are_added_in_standard_deviations() -> None:
    a, b, c = (ScoredPoint(uuid.UUID(int=n), score, {"number": n}) for n, score in ((1, 0.9), (2, 0.5), (3, 0.1)))
    words = [b._replace(score=7.0), c._replace(score=3.0)]
    fused = {point.id.int: point.score for point in fuse([a, b], words, 0.25, (0.1, 2.0))}
    assert fused == pytest.approx({1: 0.25 * 9, 2: 0.25 * 5 + 0.75 * 3.5, 3: 0.75 * 1.5})
    assert fuse([], []) == []


@given(st.floats(-50, 50), st.floats(-50, 50))
def test_scores_are_shown_between_zero_and_one_in_the_same_order(one: float, other: float) -> None:
    assert 0 <= shown(one) < 1
    assert (one <= other) or shown(one) >= shown(other)
    assert shown(HALF_WAY) == 0.5


def test_what_one_side_alone_has_found_is_scored_by_both(searcher: Searcher) -> None:
    queries = [
        "a drink made of fruit, barley",
        "workers in danger: the village",
        "qui paie le toit ? three",
        "stone; poêle",
    ]
    vectors = searcher.embed(queries)
    firsts = [searcher.sides(query, vector, depth=1) for query, vector in zip(queries, vectors, strict=True)]
    number, first = next((n, sides) for n, sides in enumerate(firsts) if len(sides.dense) == 2)
    everything = searcher.sides(queries[number], vectors[number], depth=100)
    assert {point.id for point in first.dense} >= {point.id for point in first.sparse}
    for all_scores, some in ((everything.dense, first.dense), (everything.sparse, first.sparse)):
        scores = {point.id: point.score for point in all_scores}
        assert {point.id: point.score for point in some} == pytest.approx(
            {point.id: scores[point.id] for point in some}, abs=1e-5
        )


def test_the_spread_of_scores_is_told_by_a_sample(searcher: Searcher) -> None:
    points = [point for batch in searcher._reader.scroll() for point in batch]
    spread = Spread(points)
    vector = searcher.embed(["granite quarry flood"])[0]
    cosines = [hit.score for hit in searcher._reader.search_dense(vector, len(points))]
    assert spread.of_dense(vector) == pytest.approx((float(np.mean(cosines)), float(np.std(cosines))), rel=1e-4)
    words = searcher._workspace.sparse()
    one, several = (words.query(text, ("en",)) for text in ("granite", "granite quarry flood windmill"))
    assert 0 < spread.of_sparse(one) < spread.of_sparse(several)
    common, rare = (words.query(text, ("en",)) for text in ("windmill", "zeppelin"))
    assert spread.of_sparse(rare) < spread.of_sparse(common), "what hardly ever counts differs little"
    assert (Spread([]).of_dense(vector), Spread([]).of_sparse(words.query("", ("en",)))) == ((0.0, 1.0), 1.0)


@pytest.mark.parametrize("count", [2, 7, 8, 9, 60], ids="{} points of 8 dimensions".format)
def test_the_spread_of_dense_scores_is_that_of_the_cosines(count: int) -> None:
    random = np.random.default_rng(count)
    rows = random.normal(0.3, 1.0, (count + 1, 8)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    nothing = SparseVector(np.zeros(0, np.uint32), np.zeros(0, np.float32))
    spread = Spread([Point(uuid.UUID(int=number), row, nothing, {}) for number, row in enumerate(rows[1:])])
    cosines = rows[1:].astype(np.float64) @ rows[0]
    assert spread.of_dense(rows[0]) == pytest.approx((cosines.mean(), cosines.std()), abs=1e-6)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("what is the load of the bridge", ("en",)),
        ("Combien de personnes travaillent au ministère des sports", ("fr",)),
        ("car insurance", ("en", "fr")),
        ("windmill", ("en", "fr")),
        ("", ("en", "fr")),
    ],
)
def test_stop_words_tell_the_language_of_a_query(searcher: Searcher, query: str, expected: tuple[str, ...]) -> None:
    assert searcher._workspace.sparse().languages_of(query, ("en", "fr")) == expected


@pytest.fixture(scope="module")
def searcher(archive: Archive) -> Iterator[Searcher]:
    with Searcher(archive.workspace) as opened:
        yield opened


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("query", "document", "page"),
    [
        ("granite quarry flood", {REPORT, TWIN}, 1),
        ("cider press pears", {REPORT, TWIN}, 4),
        ("lavoir toiture", {MINUTES}, 1),
    ],
)
def test_the_right_page_comes_first(
    searcher: Searcher, mode: SearchMode, query: str, document: set[str], page: int
) -> None:
    best = searcher.search(query, mode=mode)[0]
    assert best.document["key"] in document
    assert best.page_number == page
    assert best.collection_version == "v000002"
    assert best.engine == "text_layer"
    assert best.boxes
    assert all(0 <= edge <= 1 for box in best.boxes for edge in box)


def test_the_same_text_in_several_documents_is_one_hit(searcher: Searcher) -> None:
    (best, *others) = searcher.search("windmill barley three villages")
    assert best.text == WINDMILL
    assert {best.document["key"], *best.also_in} == {REPORT, TWIN, LATER}
    assert len(best.also_in) == 2
    assert all(hit.text != WINDMILL for hit in others)


@pytest.mark.parametrize("mode", MODES)
def test_filters_narrow_the_hits(searcher: Searcher, mode: SearchMode) -> None:
    hits = searcher.search("windmill barley école", mode=mode, where={"document_key": LATER})
    assert {hit.document["key"] for hit in hits} == {LATER}
    assert all(not hit.also_in for hit in hits)
    hits = searcher.search("barley école lavoir", mode=mode, where={"language": "fr"})
    assert {hit.document["key"] for hit in hits} == {MINUTES}
    hits = searcher.search("barley école lavoir windmill", mode=mode, where={"page_number": 1, "language": "fr"})
    assert [hit.text for hit in hits] == [LAVOIR]
    assert searcher.search("barley", mode=mode, where={"source": "nowhere"}) == []


@pytest.mark.parametrize("mode", MODES)
def test_a_least_score_cuts_the_tail(searcher: Searcher, mode: SearchMode) -> None:
    every = searcher.search("pears and cider", mode=mode)
    assert [hit.score for hit in every] == sorted((hit.score for hit in every), reverse=True)
    least = every[0].score
    assert searcher.search("pears and cider", mode=mode, min_score=least - 1e-6)[0].text == ORCHARD
    assert all(hit.score >= 0.2 for hit in searcher.search("pears and cider", mode=mode, min_score=0.2))
    assert searcher.search("pears and cider", mode=mode, min_score=1e6) == []


def test_top_limits_the_hits(searcher: Searcher) -> None:
    assert [len(searcher.search("the", top=top, mode=SearchMode.DENSE)) for top in (1, 2, 100)] == [1, 2, 6]


def test_a_query_that_is_too_long_for_the_model_is_cut_not_refused(searcher: Searcher) -> None:
    tokenizer = searcher._workspace.tokenizer()
    query = f"{QUARRY} " * 60
    assert tokenizer.count([query])[0] > 3 * tokenizer.max_tokens
    assert searcher.search(query)[0].text == QUARRY
    cut = searcher._fit(query)
    assert query.startswith(cut)
    assert tokenizer.max_tokens - 8 <= tokenizer.count([cut])[0] <= tokenizer.max_tokens
    assert searcher._fit("short query") == "short query"


@pytest.mark.parametrize(
    "query", ["x" * 5000, "漢" * 3000, "a." * 2000, "é" * 1000 + " " + "z" * 9000, "\x00 null", "🦉" * 600]
)
def test_no_query_is_too_odd(searcher: Searcher, query: str) -> None:
    tokenizer = searcher._workspace.tokenizer()
    assert tokenizer.count([searcher._fit(query)])[0] <= tokenizer.max_tokens
    for mode in MODES:
        searcher.search(query, mode=mode)


@pytest.mark.parametrize(("query", "top"), [("", 10), (" \n", 10), ("word", 0), ("word", -1)])
def test_an_empty_query_or_no_hits_at_all_is_wrong_usage(searcher: Searcher, query: str, top: int) -> None:
    for mode in MODES:
        with pytest.raises(UsageError) as caught:
            searcher.search(query, top=top, mode=mode)
        assert caught.value.remedy


def test_at_most_so_many_hits_of_a_document(searcher: Searcher) -> None:
    every = searcher.search("the village", top=50)
    assert max(Counter(hit.document["key"] for hit in every).values()) > 1
    limited = searcher.search("the village", top=50, per_document=1)
    assert set(Counter(hit.document["key"] for hit in limited).values()) == {1}
    assert limited[0] == every[0]


def test_diversity_prefers_what_is_unlike_the_hits_before(searcher: Searcher) -> None:
    plain, varied = (searcher.search("cider press pears", top=4, diversity=share) for share in (0.0, 0.9))
    assert plain[0] == varied[0]
    assert [hit.point_id for hit in plain] != [hit.point_id for hit in varied]

    def alike(hits: list[Hit]) -> float:
        points = searcher._reader.retrieve([uuid.UUID(hit.point_id) for hit in hits])
        cosines = np.stack([point.dense for point in points]) @ np.stack([point.dense for point in points]).T
        return float(cosines.sum())

    assert alike(varied) < alike(plain)


@pytest.mark.parametrize("wrong", [{"per_document": 0}, {"diversity": -0.1}, {"diversity": 1.1}])
def test_arguments_out_of_range_are_wrong_usage(searcher: Searcher, wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        searcher.search("mill", **wrong)


def test_a_version_may_be_opened_with_the_first_search(archive: Archive) -> None:
    versions = archive.workspace.versions()
    views = archive.home.root / "vectors" / "views"
    before = set(views.iterdir())
    searcher = Searcher(archive.workspace, at_once=False)
    assert (searcher.version, searcher.embed(["mill"]).shape) == (versions.alias().version, (1, 384))  # type: ignore[union-attr]
    assert set(views.iterdir()) == before, "nothing is opened yet"
    with Searcher(archive.workspace) as other:
        assert searcher.search("the mill") == other.search("the mill")
    assert len(set(views.iterdir()) - before) == 1
    searcher.close()
    searcher.close()
    assert set(views.iterdir()) == before
    with pytest.raises(UsageError, match="closed"):
        searcher.search("the mill")
    with Searcher(archive.workspace, "v000099", at_once=False) as missing, pytest.raises(NotFoundError):
        missing.search("the mill")


def test_reading_ahead_changes_no_hit(archive: Archive) -> None:
    with Searcher(archive.workspace) as plain, Searcher(archive.workspace) as prepared:
        prepared.read_ahead()
        for mode in SearchMode:
            assert prepared.search("cider press pears", mode=mode) == plain.search("cider press pears", mode=mode)


def test_filters_take_several_values_and_ranges(searcher: Searcher) -> None:
    hits = searcher.search("the mill", top=50, where={"document_key": AnyOf((LATER, MINUTES))})
    assert {hit.document["key"] for hit in hits} == {LATER, MINUTES}
    hits = searcher.search("the mill", top=50, where={"page_number": Between(2, 3)})
    assert {hit.page_number for hit in hits} == {2, 3}


def test_many_queries_embedded_together_find_what_each_finds_alone(searcher: Searcher) -> None:
    queries = ["granite quarry", "poêle pour l'école", "cider"]
    for query, vector in zip(queries, searcher.embed(queries), strict=True):
        together = searcher.search_with(query, vector, top=3, mode=SearchMode.HYBRID)
        assert [hit.point_id for hit in together] == [hit.point_id for hit in searcher.search(query, top=3)]


@pytest.fixture(scope="module")
def repetitive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Searcher]:
    """Five texts, two of them on more pages than a search takes from a side: one word for word, one nearly."""
    workspace = make_workspace(tmp_path_factory.mktemp("repetitive") / "home")
    workspace.home.inbox.mkdir(parents=True)
    put(workspace, "copies.pdf", *[WINDMILL] * (DEPTH + 5))
    put(workspace, "letters.pdf", *(f"{LETTER} Number {number}." for number in range(DEPTH + 5)))
    put(workspace, "others.pdf", QUARRY, ORCHARD, LAVOIR)
    assert ingest(workspace).decision == "promoted"
    with Searcher(workspace) as opened:
        assert opened.count() == 2 * (DEPTH + 5) + 3
        yield opened


@pytest.mark.parametrize("mode", [SearchMode.HYBRID, SearchMode.DENSE])
@pytest.mark.parametrize("diversity", [0.0, 0.3])
@pytest.mark.parametrize("query", [WINDMILL, LETTER])
def test_doubles_do_not_leave_a_page_of_hits_short(
    repetitive: Searcher, query: str, diversity: float, mode: SearchMode
) -> None:
    hits = repetitive.search(query, mode=mode, diversity=diversity)
    assert hits[0].text.startswith(query)
    assert sorted(hit.text[:20] for hit in hits) == sorted(
        text[:20] for text in (WINDMILL, LETTER, QUARRY, ORCHARD, LAVOIR)
    )
    assert [len(hit.similar) for hit in hits if hit.text.startswith(LETTER)] == [DEPTH + 4]


def test_limits_hold_further_down_as_well(repetitive: Searcher) -> None:
    every = repetitive.search(WINDMILL, mode=SearchMode.DENSE)
    assert repetitive.search(WINDMILL, mode=SearchMode.DENSE, min_score=every[1].score - 1e-6) == every[:2]
    one_each = repetitive.search(WINDMILL, mode=SearchMode.DENSE, per_document=1)
    assert Counter(hit.document["key"] for hit in one_each) == {
        "inbox/copies.pdf": 1,
        "inbox/letters.pdf": 1,
        "inbox/others.pdf": 1,
    }


def test_a_version_that_is_not_live_can_be_searched(archive: Archive) -> None:
    with Searcher(archive.workspace, "v000001") as before, Searcher(archive.workspace, "v000002") as now:
        assert (before.version, before.count(), now.count()) == ("v000001", 8, 10)
        (old, *_), (new, *_) = (one.search("windmill barley three villages") for one in (before, now))
        assert {old.collection_version, new.collection_version} == {"v000001", "v000002"}
        assert LATER not in {old.document["key"], *old.also_in}
        assert LATER in {new.document["key"], *new.also_in}
        assert [one.holds(LATER) for one in (before, now)] == [False, True]
        assert now.holds(REPORT)
        assert not now.holds("inbox/report")
    with pytest.raises(NotFoundError, match="v000009"):
        Searcher(archive.workspace, "v000009")


def test_groups_are_what_hits_are_made_of(searcher: Searcher) -> None:
    query = "windmill barley three villages"
    groups = searcher.groups(query, searcher.embed([query])[0])
    hits = searcher.search(query)
    assert [str(group[0].id) for group in groups[:10]] == [hit.point_id for hit in hits]
    assert sorted((point.payload["document_key"], point.payload["page_number"]) for point in groups[0]) == [
        (TWIN, 3),
        (LATER, 1),
        (REPORT, 3),
    ]
    assert hits[0].text == WINDMILL


def test_nothing_live_is_said_with_what_to_do(workspace: Workspace) -> None:
    with pytest.raises(NotFoundError, match="Nothing is live") as caught:
        Searcher(workspace)
    assert "ingest" in caught.value.remedy


def group(score: float, *keys: str) -> Group:
    return [ScoredPoint(uuid.uuid4(), score, {"document_key": key}) for key in keys]


def test_documents_are_ranked_by_their_best_hit() -> None:
    groups = [group(0.9, "b", "d"), group(0.8, "a"), group(0.7, "b"), group(0.6, "d", "c")]
    ranked = rank_documents(groups)
    assert [key for key, _ in ranked] == ["b", "d", "a", "c"]
    assert dict(ranked) == pytest.approx({"b": 0.97, "d": 0.96, "a": 0.8, "c": 0.6})
