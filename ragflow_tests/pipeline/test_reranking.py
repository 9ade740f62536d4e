"""Hits in the order of a cross-encoder, where one is named."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ragflow.embedding.reranker import Reranker
from ragflow.pipeline.hits import NEXT_HITS, SearchMode
from ragflow.pipeline.searching import Searcher
from ragflow.pipeline.workspace import SearchOptions
from ragflow_tests.embedding.test_reranker import write_cross_encoder
from ragflow_tests.pipeline.archive import Archive

QUERY = "windmill barley three villages"


def test_the_first_hits_come_in_the_order_of_the_reranker(archive: Archive, tmp_path: Path) -> None:
    write_cross_encoder(tmp_path / "model")
    options = SearchOptions(reranker=tmp_path / "model", rerank_depth=3)
    with Searcher(archive.workspace) as plain, Searcher(replace(archive.workspace, search=options)) as reranking:
        before, after = plain.search(QUERY, top=50), reranking.search(QUERY, top=50)
        documents = reranking.documents(QUERY, reranking.embed([QUERY])[0], top=50)
    assert {hit.point_id for hit in before} == {hit.point_id for hit in after}
    scores = Reranker(tmp_path / "model").score(QUERY, [hit.text for hit in before[:3]])
    order = sorted(range(3), key=lambda place: -scores[place])
    assert [hit.text for hit in after[:3]] == [before[place].text for place in order]
    assert [round(hit.score, 4) for hit in after[:3]] == [round(scores[place], 4) for place in order]
    assert [hit.text for hit in after[3:]] == [hit.text for hit in before[3:]], "it was not asked about the others"
    assert documents[0][0] in {after[0].document["key"], *after[0].also_in}


def test_documents_have_the_scores_of_the_reranker(archive: Archive, tmp_path: Path) -> None:
    write_cross_encoder(tmp_path / "model")
    options = SearchOptions(reranker=tmp_path / "model", rerank_depth=3)
    with Searcher(replace(archive.workspace, search=options)) as reranking:
        vector = reranking.embed([QUERY])[0]
        for mode in (SearchMode.HYBRID, SearchMode.DENSE):
            best: dict[str, float] = {}
            for hit in reranking.search(QUERY, top=50, mode=mode):
                for key in (hit.document["key"], *hit.also_in):
                    best.setdefault(key, hit.score)
            documents = dict(reranking.documents(QUERY, vector, top=50, mode=mode))
            more = sum(NEXT_HITS**place for place in (1, 2)) * max(0.0, *best.values())
            assert documents.keys() == best.keys()
            assert all(best[key] - 1e-5 <= score <= best[key] + more + 1e-5 for key, score in documents.items())
