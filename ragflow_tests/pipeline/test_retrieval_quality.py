"""Asking versions what is known: real vectors, sound and spoilt."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pytest

from ragflow.errors import NotFoundError
from ragflow.model.fingerprints import sha256_text
from ragflow.model.points import Point, SparseVector
from ragflow.model.questions import GOLDEN, KNOWN_ITEM, Question, RetrievalOptions, Target
from ragflow.model.verdicts import Outcome, Verdict
from ragflow.pipeline.questions import known_items
from ragflow.pipeline.retrieval_quality import ask, documents_in
from ragflow.pipeline.searching import Searcher
from ragflow.pipeline.workspace import Workspace
from ragflow.quality.readiness import Answers, canary_verdicts, retrieval_verdicts
from ragflow.sample.texts import deliberations, minutes, water
from ragflow_tests.pipeline.archive import LATER, MINUTES, REPORT, TWIN, Archive, ingest, make_workspace, put
from ragflow_tests.vectors.builders import MOVED_AT

TOWN, COUNCIL, WATER = "inbox/town.pdf", "inbox/council.pdf", "inbox/water.pdf"
OPTIONS = RetrievalOptions()
EMPTY = SparseVector(np.array([], dtype=np.uint32), np.array([], dtype=np.float32))


def pages(text: str) -> list[str]:
    """Return the paragraphs of a sample text, to be a page each: chunks do not cross pages, and many are needed."""
    paragraphs = [" ".join(paragraph.split()) for paragraph in text.split("\n\n")]
    return [paragraph for paragraph in paragraphs if len(paragraph.split()) >= 12]


@dataclass(frozen=True, slots=True)
class Town:
    """v000001 holds the minutes of a town (English) and of a council (French); v000002 a report besides."""

    workspace: Workspace
    questions: tuple[Question, ...]
    live: Answers

    def build(self, version: str, change: Callable[[list[Point]], Sequence[Point]], base: str = "v000001") -> Answers:
        """Build a version from the points of another, and ask it."""
        versions = self.workspace.versions()
        with versions.open(base) as reader:
            points = [point for batch in reader.scroll() for point in batch]
        with versions.create(version, versions.settings(base)) as writer:
            writer.upsert(change(points))
            writer.finish()
        return ask(self.workspace, self.questions, version)


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Town:
    workspace = make_workspace((tmp_path_factory.mktemp("town") / "home").resolve())
    put(workspace, "town.pdf", *pages(minutes.TEXT))
    put(workspace, "council.pdf", *pages(deliberations.TEXT), language="fr")
    assert ingest(workspace).decision == "promoted"
    put(workspace, "water.pdf", *pages(water.TEXT))
    assert ingest(workspace).decision == "promoted"
    with workspace.versions().open("v000001") as reader:
        questions = known_items(reader, OPTIONS.known_items)
    return Town(workspace, questions, ask(workspace, questions, "v000001"))


def known(candidate: Answers, live: Answers | None, added: frozenset[str] = frozenset()) -> Verdict:
    return next(v for v in retrieval_verdicts(OPTIONS, candidate, live, added=added) if v.name == "known_items")


def test_known_items_are_found_where_they_stand(town: Town) -> None:
    assert len(town.questions) >= 40
    mean = town.live.mean(KNOWN_ITEM)
    assert mean is not None
    assert mean.recall == 1.0
    assert mean.ndcg >= 0.9
    assert (town.live.version, town.live.unanswerable) == ("v000001", ())
    for answer in town.live.answers:
        assert answer.milliseconds > 0
        assert answer.score.rank is not None
        document, page = answer.found[answer.score.rank - 1][0]
        assert Target(document, page) in answer.targets
    assert known(town.live, None).outcome is Outcome.PASS


def test_the_ranking_is_that_of_a_search(town: Town) -> None:
    with Searcher(town.workspace, "v000001") as searcher:
        for answer in town.live.answers[:5]:
            hits = searcher.search(answer.question.text, top=10)
            assert [(hit.document["key"], hit.page_number) for hit in hits] == [place for (place,) in answer.found[:10]]


def test_a_text_with_all_words_of_a_known_item_is_as_good_as_its_own(town: Town) -> None:
    """The question is taken from one page; on another all of its words stand, and more often."""
    (question, *_) = [q for q in town.questions if q.targets[0].document_key == TOWN]
    twice = question.text.upper() + ", as said before: " + question.text

    def with_another(points: list[Point]) -> list[Point]:
        (own,) = [p for p in points if Target(p.payload["document_key"], p.payload["page_number"]) in question.targets]
        dense, sparse = (town.workspace.dense().encode([twice])[0], town.workspace.sparse().encode([twice], ["en"])[0])
        elsewhere = {"document_key": COUNCIL, "page_number": 1, "text": twice, "text_sha256": sha256_text(twice)}
        return [
            *points,
            replace(own, id=uuid.uuid4(), dense=dense, sparse=sparse, payload={**own.payload, **elsewhere}),
        ]

    candidate = town.build("v000026", with_another)
    (answer,) = [answer for answer in candidate.answers if answer.question == question]
    assert (COUNCIL, 1) in answer.found[0], "the other one comes first"
    assert answer.score.rank == 1 and answer.score.figures.ndcg == 1.0
    others = [one for one in candidate.answers if one.question != question]
    assert all(len(places) == 1 for one in others for places in one.found), "no other question gains by it"


def test_an_unchanged_version_passes(town: Town) -> None:
    candidate = town.build("v000011", lambda points: points)
    assert [(v.outcome, v.rows) for v in retrieval_verdicts(OPTIONS, candidate, town.live)] == [(Outcome.PASS, ())] * 3


def shuffled(points: list[Point]) -> list[Point]:
    """Give each point the dense vector of the next one."""
    return [replace(point, dense=points[number - 1].dense) for number, point in enumerate(points)]


def without_terms(points: list[Point]) -> list[Point]:
    return [replace(point, sparse=EMPTY) for point in points]


def swapped_texts(points: list[Point]) -> list[Point]:
    """Give each point all vectors of another one, as if texts and vectors had slipped by one row."""
    return [
        replace(point, dense=p.dense, sparse=p.sparse) for point, p in zip(points, points[1:] + points[:1], strict=True)
    ]


SPOILT = {
    "v000021": lambda points: without_terms(shuffled(points)),
    "v000022": swapped_texts,
    "v000023": lambda points: points[: len(points) // 2] + swapped_texts(points[len(points) // 2 :]),
}


@pytest.mark.parametrize("version", SPOILT)
def test_spoilt_vectors_fail_against_the_live_version(town: Town, version: str) -> None:
    candidate = town.build(version, SPOILT[version])
    verdict = known(candidate, town.live)
    assert verdict.outcome is Outcome.FAIL
    assert verdict.figure is not None and verdict.threshold is not None
    assert verdict.figure < verdict.threshold
    assert verdict.remedy
    worst = verdict.rows[0]
    assert worst["rank_before"] is not None
    assert worst["rank_now"] is None or worst["rank_now"] > worst["rank_before"]
    assert worst["document"] in (TOWN, COUNCIL)


def test_vectors_that_lead_nowhere_fail_without_a_live_version(town: Town) -> None:
    assert known(town.build("v000025", swapped_texts), None).outcome is Outcome.FAIL


def test_a_larger_archive_passes(town: Town) -> None:
    """Asked what was drawn from the larger one: half of it is new, and the rest has more to compete with."""
    with town.workspace.versions().open("v000002") as reader:
        questions = known_items(reader, OPTIONS.known_items)
    candidate, live = (ask(town.workspace, questions, version) for version in ("v000002", "v000001"))
    assert candidate.points > live.points
    assert candidate.unanswerable == ()
    assert live.unanswerable
    assert {target.document_key for question in live.unanswerable for target in question.targets} == {WATER}
    assert known(candidate, live, frozenset({WATER})).outcome is Outcome.PASS
    assert known(ask(town.workspace, town.questions, "v000002"), town.live).outcome is Outcome.PASS


def test_new_documents_with_spoilt_vectors_fail(town: Town) -> None:
    """What was there before is answered as well as ever; what is new is not found."""

    def spoil(points: list[Point]) -> list[Point]:
        new = [point for point in points if point.payload["document_key"] == WATER]
        return [point for point in points if point not in new] + without_terms(shuffled(new))

    with town.workspace.versions().open("v000002") as reader:
        questions = [q for q in known_items(reader, 500) if q.targets[0].document_key == WATER]
    candidate = town.build("v000031", spoil, base="v000002")
    both = [*town.questions[:5], *questions]
    candidate = ask(town.workspace, both, "v000031")
    verdict = known(candidate, ask(town.workspace, both, "v000001"), frozenset({WATER}))
    assert (verdict.outcome, verdict.threshold) == (Outcome.FAIL, OPTIONS.known_items_floor)


def golden(name: str, text: str, document: str, page: int | None) -> Question:
    return Question(name, text, (Target(document, page),), GOLDEN)


def test_golden_queries_by_page_by_document_and_without_their_document(archive: Archive) -> None:
    asked = [
        golden("page", "cider press pears", TWIN, 4),
        golden("wrong", "cider press pears", REPORT, 1),
        golden("document", "lavoir toiture", MINUTES, None),
        golden("gone", "pears", "inbox/gone.pdf", 1),
        golden("blank", "granite quarry flood", REPORT, 2),
        golden("later", "ferry across the lake", LATER, 2),
    ]
    now, before = (ask(archive.workspace, asked, version) for version in (None, "v000001"))
    assert (now.version, now.points, before.points) == ("v000002", 10, 8)
    ranks = {answer.question.id: answer.score.rank for answer in now.answers}
    assert (ranks["page"], ranks["document"], ranks["later"]) == (1, 1, 1)
    assert ranks["wrong"] is not None and ranks["wrong"] > 1
    assert ranks["blank"] is None, "the document is there, and the page has no text: that is an answer that is wrong"
    assert [question.id for question in now.unanswerable] == ["gone"]
    assert [question.id for question in before.unanswerable] == ["gone", "later"]
    verdict = retrieval_verdicts(OPTIONS, now, before, {REPORT, TWIN, MINUTES, LATER})[0]
    assert verdict.outcome is Outcome.WARN
    assert [row["id"] for row in verdict.rows] == ["gone"]
    backwards = retrieval_verdicts(OPTIONS, before, now, {REPORT, TWIN, MINUTES, LATER})[0]
    assert backwards.outcome is Outcome.FAIL
    assert backwards.rows[0]["id"] == "later"


def test_a_text_in_two_documents_is_right_in_both(archive: Archive) -> None:
    question = Question("both", "granite quarry", (Target(REPORT, 1), Target(TWIN, 1)), GOLDEN)
    (answer,) = ask(archive.workspace, [question]).answers
    assert (answer.score.rank, answer.score.figures.ndcg, answer.score.figures.recall) == (1, 1.0, 1.0)
    assert answer.found[0] == ((TWIN, 1), (REPORT, 1))


def test_asking_nothing(archive: Archive, workspace: Workspace) -> None:
    nothing = ask(archive.workspace, [])
    assert (nothing.version, nothing.points, nothing.answers, nothing.unanswerable) == ("v000002", 10, (), ())
    with pytest.raises(NotFoundError):
        ask(archive.workspace, [], "v000077")
    with pytest.raises(NotFoundError):
        ask(workspace, [])


def test_canaries_through_the_alias(town: Town) -> None:
    """The same version answers alike; another one behind the alias is named, with what it answers otherwise."""
    versions = town.workspace.versions()
    expected = ask(town.workspace, town.questions, "v000002")
    served = ask(town.workspace, town.questions)
    assert all(verdict.outcome is Outcome.PASS for verdict in canary_verdicts(expected, served))
    town.build("v000041", swapped_texts, base="v000002")
    versions.move_alias("v000041", expected="v000002", moved_at=MOVED_AT)
    try:
        verdicts = canary_verdicts(expected, ask(town.workspace, town.questions))
    finally:
        versions.move_alias("v000002", expected="v000041", moved_at=MOVED_AT)
    assert [verdict.outcome for verdict in verdicts] == [Outcome.FAIL, Outcome.PASS, Outcome.FAIL]
    assert verdicts[2].rows


def test_documents_of_a_version(archive: Archive) -> None:
    first, second = (archive.home.version_records.find(version) for version in ("v000001", "v000002"))
    assert first is not None and second is not None
    assert documents_in(archive.workspace, first) == {REPORT, TWIN, MINUTES}
    assert documents_in(archive.workspace, second) - documents_in(archive.workspace, first) == {LATER}
