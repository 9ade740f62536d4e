"""Golden queries from a file, and known items drawn from a collection."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragflow.errors import BadInputError
from ragflow.model.fingerprints import sha256_text
from ragflow.model.questions import Question, Target
from ragflow.pipeline.questions import LEAST_WINDOW, MAX_PLACES, WINDOW, Drawing, golden_questions, known_items
from ragflow.vectors.edge import EdgeVersionStore
from ragflow_tests.pipeline.archive import LATER, LAVOIR, MINUTES, ORCHARD, QUARRY, REPORT, SCHOOL, TWIN, Archive


def write(path: Path, *lines: Any) -> Path:
    path.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines))
    return path


def test_golden_queries_are_read(tmp_path: Path) -> None:
    path = write(
        tmp_path / "golden.jsonl",
        {"_id": "q1", "text": "où est le lavoir ?", "document": "inbox/à.pdf", "page": 3},
        "  ",
        {"_id": "q2", "text": "granite", "document": "inbox/b.pdf", "metadata": {"by": "me"}},
        {
            "_id": "q3",
            "text": "cider",
            "relevant": [{"document": "a", "page": 1, "grade": 2}, {"document": "a", "page": 2}, {"document": "b"}],
        },
    )
    assert golden_questions(path) == (
        Question("q1", "où est le lavoir ?", (Target("inbox/à.pdf", 3),), "golden"),
        Question("q2", "granite", (Target("inbox/b.pdf", None),), "golden"),
        Question("q3", "cider", (Target("a", 1, 2.0), Target("a", 2), Target("b", None)), "golden"),
    )


def test_golden_queries_of_any_editor_are_read(tmp_path: Path) -> None:
    path = tmp_path / "golden.jsonl"
    lines = [json.dumps({"_id": name, "text": "t", "document": "d"}) for name in "ab"]
    path.write_bytes(b"\xef\xbb\xbf" + "\r\n".join(lines).encode() + b"\r\n")
    assert [question.id for question in golden_questions(path)] == ["a", "b"]
    path.write_bytes(b"")
    assert golden_questions(path) == ()


GOOD = {"_id": "q1", "text": "words", "document": "a.pdf", "page": 1}
BAD: list[tuple[Any, str]] = [
    ("{torn", "JSON|expected|unexpected|EOF|object"),
    ('"text"', "must be an object"),
    ({**GOOD, "_id": ""}, "_id must be"),
    ({**GOOD, "_id": 7}, "_id must be"),
    ({"text": "words", "document": "a.pdf"}, "it has no _id"),
    ({**GOOD, "text": " \t"}, "text must be"),
    ({**GOOD, "text": None}, "text must be"),
    ({"_id": "q1", "text": "words"}, "names no document"),
    ({**GOOD, "document": ""}, "document must be"),
    ({**GOOD, "document": ["a.pdf"]}, "document must be"),
    ({**GOOD, "page": 0}, "page is 0"),
    ({**GOOD, "page": "3"}, "page is '3'"),
    ({**GOOD, "page": True}, "page is True"),
    ({**GOOD, "page": 1.0}, "page is 1.0"),
    ({**GOOD, "pages": 3}, "unknown field 'pages'"),
    ({**GOOD, "relevant": [{"document": "a"}]}, "both relevant and"),
    ({"_id": "q1", "text": "words", "relevant": []}, "one place at least"),
    ({"_id": "q1", "text": "words", "relevant": {"document": "a"}}, "one place at least"),
    ({"_id": "q1", "text": "words", "relevant": ["a"]}, "must be an object"),
    ({"_id": "q1", "text": "words", "relevant": [{"page": 1}]}, "names no document"),
    ({"_id": "q1", "text": "words", "relevant": [{"document": "a", "grade": 0}]}, "grade is 0"),
    ({"_id": "q1", "text": "words", "relevant": [{"document": "a", "grade": "high"}]}, "grade is 'high'"),
    ({"_id": "q1", "text": "words", "relevant": [{"document": "a", "grad": 1}]}, "unknown field 'grad'"),
    ({"_id": "q1", "text": "words", "relevant": [{"document": "a", "page": 1}] * 2}, "the same place in a twice"),
    ({"_id": "q1", "text": "words", "relevant": [{"document": "a"}, {"document": "a", "page": 1}]}, "as a whole and"),
    ({**GOOD, "_id": "q0"}, "that of line 1"),
]


@pytest.mark.parametrize(("line", "said"), BAD)
def test_a_bad_line_is_named_with_what_is_wrong(tmp_path: Path, line: Any, said: str) -> None:
    path = write(tmp_path / "mine.jsonl", {**GOOD, "_id": "q0"}, "", line, {**GOOD, "_id": "q2"})
    with pytest.raises(BadInputError, match=said) as caught:
        golden_questions(path, optional=True)
    assert f"{path}, line 3," in caught.value.message
    assert "_id" in caught.value.remedy


def test_bytes_that_are_no_text_are_named(tmp_path: Path) -> None:
    path = tmp_path / "golden.jsonl"
    path.write_bytes(json.dumps(GOOD).encode() + b'\n{"_id": "\xff"}\n')
    with pytest.raises(BadInputError, match="line 2"):
        golden_questions(path)


def test_a_missing_file_is_no_questions_only_where_it_may_be_missing(tmp_path: Path) -> None:
    path = tmp_path / "golden.jsonl"
    assert golden_questions(path, optional=True) == ()
    with pytest.raises(BadInputError, match=r"golden\.jsonl"):
        golden_questions(path)
    path.mkdir()
    with pytest.raises(BadInputError, match=r"golden\.jsonl"):
        golden_questions(path, optional=True)


VOCABULARY = [
    "".join(random.Random(number).choices("bcdfglmnprst", k=2))
    + vowel
    + "".join(random.Random(~number).choices("lmnrst", k=2))
    for number, vowel in enumerate("aeiou" * 300)
]


def payload(text: str, document: str = "a.pdf", page: int = 1, **changes: Any) -> dict[str, Any]:
    return {
        "text": text,
        "text_sha256": sha256_text(text),
        "document_key": document,
        "page_number": page,
        "confidence": 1.0,
        **changes,
    }


def chunk(number: int, words: int = 40) -> dict[str, Any]:
    text = " ".join(random.Random(number).choices(VOCABULARY, k=words))
    return payload(text, f"doc{number // 7}.pdf", number % 7 + 1)


def drawn(payloads: Iterable[dict[str, Any]], count: int = 20, sample: int = 5000) -> tuple[Question, ...]:
    drawing = Drawing(sample)
    for found in payloads:
        drawing.add(found)
    return drawing.questions(count)


CHUNKS = [chunk(number) for number in range(200)]


def test_a_known_item_is_some_words_of_a_chunk_and_its_page() -> None:
    questions = drawn(CHUNKS)
    assert len(questions) == len({question.id for question in questions}) == 20
    by_page = {(found["document_key"], found["page_number"]): found["text"] for found in CHUNKS}
    for question in questions:
        assert question.kind == "known_item"
        assert LEAST_WINDOW <= len(question.text.split()) <= WINDOW
        ((document, page, grade),) = [(t.document_key, t.page_number, t.grade) for t in question.targets]
        assert page is not None
        assert question.text in by_page[document, page]
        assert grade == 1.0


@given(st.permutations(range(60)), st.integers(1, 70))
def test_the_order_of_points_does_not_matter(order: list[int], count: int) -> None:
    expected = drawn(CHUNKS[:60], count, sample=30)
    assert drawn((CHUNKS[number] for number in order), count, sample=30) == expected
    assert len(expected) == min(count, 30)


def test_most_questions_stay_as_an_archive_grows() -> None:
    before = {question.id for question in drawn(CHUNKS, 50)}
    after = {question.id for question in drawn([*CHUNKS, *(chunk(number) for number in range(200, 240))], 50)}
    assert len(before & after) >= 35
    assert before != after, "and new documents have their share"


def test_a_large_version_is_held_by_its_sample() -> None:
    drawing = Drawing(sample=40)
    for number in range(2000):
        drawing.add(chunk(number, words=15))
    assert len(drawing._kept) == len(drawing._lots) == 40
    assert [question.id for question in drawing.questions(5)] == [
        question.id for question in drawn((chunk(number, words=15) for number in range(2000)), 5, sample=2000)
    ]


def test_every_place_of_a_text_is_right() -> None:
    text = CHUNKS[0]["text"]
    doubles = [payload(text, "b.pdf", 2), payload(text, "a.pdf", 9), payload(text, "b.pdf", 2)]
    (question,) = [one for one in drawn([*CHUNKS[1:], *doubles], 200) if sha256_text(text).startswith(one.id[6:])]
    assert question.targets == (Target("a.pdf", 9), Target("b.pdf", 2))


def test_a_text_that_stands_everywhere_is_not_asked_for() -> None:
    text = CHUNKS[0]["text"]
    few = [payload(text, f"{number}.pdf") for number in range(MAX_PLACES)]
    assert len(drawn(few)) == 1
    assert drawn([*few, payload(text, "one more.pdf")]) == ()


def test_the_rarest_words_are_asked_for() -> None:
    common = "the notary of the town signs the deed and keeps the seal of the office in the drawer"
    rare = "seven herons nested beside quarried slate while beavers gnawed alders downstream"
    filler = [payload(f"{common} {CHUNKS[number]['text']}", "filler.pdf", number) for number in range(30)]
    mine = payload(f"{common} {rare} {common}")
    (question,) = [one for one in drawn([*filler, mine], 31) if one.targets[0].document_key == "a.pdf"]
    assert set(question.text.split()) <= set(rare.split())


def test_a_window_that_other_pages_have_as_well_is_not_asked_for() -> None:
    form = "The undersigned declares upon his honour that everything stated above is true and complete"
    letters = [payload(f"{form} {number} {number}", f"{number}.pdf") for number in range(5)]
    assert drawn(letters) == ()
    assert len(drawn(letters[:1])) == 1
    same_page = [payload(f"{form} {number}", "one.pdf") for number in range(3)]
    assert len(drawn(same_page)) == 3, "any of its pieces leads to the page"


WORDS = "granite quarry above the river was closed after flood carried away crane"


@pytest.mark.parametrize(
    "found",
    [
        payload(WORDS, confidence=0.5),
        payload("granite quarry above the river was closed after the flood"),
        payload(" ".join(f"{word} {number}" for number, word in enumerate(WORDS.split()))),
        payload(" ".join(word.capitalize().swapcase() for word in WORDS.split())),
        payload(" ".join(word * 9 for word in WORDS.split())),
        payload("gra- nite quar- ry above the ri- ver was clo- sed after flo- od car- ried away cra- ne"),
        {**payload(WORDS), "text": None},
        payload(WORDS, text_sha256=None),
        payload(WORDS, document_key=3),
        payload(WORDS, page_number="1"),
        payload(WORDS, confidence="high"),
        {},
    ],
)
def test_what_is_no_sound_text_is_not_asked_for(found: dict[str, Any]) -> None:
    assert drawn([found]) == ()
    assert len(drawn([found, CHUNKS[0]])) == 1, "and it does not keep others from being asked for"


@pytest.mark.parametrize(
    ("text", "query"),
    [
        (
            "«L\u2019institutrice, aujourd'hui, demande» un poêle neuf: (pour l'école) car 12 enfants ont froid",
            "L\u2019institutrice aujourd'hui demande un poêle neuf pour l'école car",
        ),
        (
            "L'E\u0301cole E\u0301tait Ferme\u0301e Quand Les Enfants Sont Venus Dix 1 2 3",
            "L'École Était Fermée Quand Les Enfants Sont Venus Dix",
        ),
        (
            "ΟΔΟΣ, των αγγέλων και του λιμανιού κοντά στη θάλασσα 1 2 3 4",
            "ΟΔΟΣ των αγγέλων και του λιμανιού κοντά στη θάλασσα",
        ),
    ],
)
def test_marks_and_figures_are_left_out(text: str, query: str) -> None:
    assert [question.text for question in drawn([payload(text)])] == [query]


@pytest.mark.parametrize("count", [0, -1])
def test_nothing_is_drawn_where_nothing_is_wanted(count: int) -> None:
    assert drawn(CHUNKS, count) == ()


def test_known_items_of_a_version(archive: Archive) -> None:
    with EdgeVersionStore(archive.home.vectors).open("v000002") as reader:
        questions = known_items(reader, 50)
        assert known_items(reader, 0) == ()
        assert known_items(reader, 2) == questions[:2]
    texts = {question.text: {(t.document_key, t.page_number) for t in question.targets} for question in questions}
    assert len(texts) == 4, "two of the six texts have fewer than twelve words"
    for text, places in texts.items():
        (source,) = [
            one for one in (QUARRY, ORCHARD, LAVOIR, SCHOOL) if set(text.split()) <= set(re.split(r"[ .,]+", one))
        ]
        expected = {
            QUARRY: {(REPORT, 1), (TWIN, 1)},
            ORCHARD: {(REPORT, 4), (TWIN, 4)},
            LAVOIR: {(MINUTES, 1)},
            SCHOOL: {(MINUTES, 2)},
        }
        assert places == expected[source]
    assert all(document != LATER for places in texts.values() for document, _ in places)
