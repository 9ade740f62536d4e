"""Checks on chunks, embeddings and the points of a version."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from ragflow.model.fingerprints import sha256_text
from ragflow.model.points import vector_sha256
from ragflow.model.tables import embeddings_schema
from ragflow.model.verdicts import Outcome
from ragflow.quality.chunks import chunks_cover_pages, chunks_fit_model
from ragflow.quality.embeddings import (
    dense_matrix,
    embeddings_complete,
    precision_agrees,
    sparse_vectors,
    vectors_sound,
)
from ragflow.quality.points import Origin, PageText, points_exact, served_coverage
from ragflow_tests.quality import builders
from ragflow_tests.quality.builders import DIMENSION, GONE, NAMES, OPEN, chunk, counted, dropped, with_rows
from ragflow_tests.quality.builders import changed as with_values
from ragflow_tests.quality.builders import doubled as with_double
from ragflow_tests.quality.test_documents_and_pages import rows

Change = Callable[[pa.Table], pa.Table]


def shifted(table: pa.Table) -> pa.Table:
    """The second chunk starts in the first one."""
    found = table.to_pylist()
    found[1] = chunk(0, 1, 15, len(builders.TEXTS[0]))
    return with_rows(table, found)


def shortened(table: pa.Table) -> pa.Table:
    found = table.to_pylist()
    found[0] = chunk(0, 0, 0, 8)
    return with_rows(table, found)


@pytest.mark.parametrize(
    ("damage", "place", "problem"),
    [
        (lambda t: dropped(t, 0), ("inbox/open.pdf", 1), "characters 0 to 18 are in no chunk"),
        (lambda t: dropped(t, 1), ("inbox/open.pdf", 1), "are in no chunk"),
        (lambda t: dropped(t, 2), ("inbox/open.pdf", 3), "characters 0 to 17 are in no chunk"),
        (shortened, ("inbox/open.pdf", 1), "characters 8 to 18 are in no chunk"),
        (shifted, ("inbox/open.pdf", 1), "two chunks overlap at character 15"),
        (lambda t: with_double(t, 2), ("inbox/open.pdf", 3), "two chunks overlap at character 0"),
        (lambda t: with_values(t, 2, text="Pears ripen soon."), ("inbox/open.pdf", 3), "not what stands on its page"),
        (lambda t: with_values(t, 2, text_sha256=sha256_text("x")), ("inbox/open.pdf", 3), "does not match its hash"),
    ],
)
def test_chunks_that_do_not_fit_their_page_are_named(damage: Change, place: tuple[str, int], problem: str) -> None:
    found = rows(chunks_cover_pages(damage(builders.chunks()), builders.texts(), NAMES))
    assert [(document, page, problem in said) for document, page, said in found] == [(*place, True)]


@pytest.mark.parametrize(("sha", "index"), [(OPEN, 1), (OPEN, 7), (GONE, 2)])
def test_a_chunk_on_no_indexed_page_is_named(sha: str, index: int) -> None:
    moved = with_values(with_double(builders.chunks(), 2), 3, document_sha256=sha, page_index=index)
    found = rows(chunks_cover_pages(moved, builders.texts(), NAMES))
    assert found == [(NAMES.get(sha, sha), index + 1, "a chunk belongs to no indexed page")]


def test_right_chunks_pass() -> None:
    assert chunks_cover_pages(builders.chunks(), builders.texts(), NAMES).passed
    assert chunks_cover_pages(builders.chunks().slice(0, 0), builders.texts().slice(0, 0), NAMES).passed


def test_tokens_are_counted_again() -> None:
    table = builders.chunks()
    right = chunks_fit_model(table, counted(table), 256, NAMES)
    assert (right.passed, right.figure, right.threshold) == (True, max(counted(table)), 256)
    wrong = with_values(table, 2, token_count=3)
    (row,) = chunks_fit_model(wrong, counted(wrong), 256, NAMES).rows
    assert (row["document"], row["page"]) == ("inbox/open.pdf", 3)
    assert "5 tokens counted, 3 recorded, 256 allowed" in row["problem"]


def test_a_chunk_that_is_too_long_for_the_model_is_named() -> None:
    table = builders.chunks()
    found = chunks_fit_model(table, counted(table), 5, NAMES)
    assert found.outcome is Outcome.FAIL
    assert [(row["document"], row["page"]) for row in found.rows] == [("inbox/open.pdf", 1)]
    assert chunks_fit_model(table, counted(table), 6, NAMES).passed


def problems(table: pa.Table, dimension: int = DIMENSION, tolerance: float = 1e-4) -> list[tuple[str, str]]:
    found = vectors_sound(table, dimension, tolerance)
    return [(row["text_sha256"], row["problem"]) for row in found.rows]


SHAS = builders.chunks().column("text_sha256").to_pylist()


def test_right_embeddings_pass() -> None:
    assert embeddings_complete(builders.chunks(), builders.embeddings()).passed
    assert problems(builders.embeddings()) == []
    empty = builders.embeddings().slice(0, 0)
    assert embeddings_complete(builders.chunks().slice(0, 0), empty).passed
    assert problems(empty) == []


def test_a_missing_vector_is_named() -> None:
    found = embeddings_complete(builders.chunks(), dropped(builders.embeddings(), 1))
    assert found.rows == ({"text_sha256": SHAS[1], "problem": "has no vector"},)
    assert found.remedy


def test_a_vector_too_many_and_a_doubled_one_are_found() -> None:
    found = embeddings_complete(dropped(builders.chunks(), 1), builders.embeddings())
    assert found.rows == ({"text_sha256": SHAS[1], "problem": "belongs to no chunk"},)
    doubled = embeddings_complete(builders.chunks(), with_double(builders.embeddings(), 1))
    assert [row["problem"] for row in doubled.rows] == ["1 rows are doubled"]


def test_a_vector_for_another_language_is_not_the_one_that_was_asked_for() -> None:
    found = embeddings_complete(builders.chunks(), with_values(builders.embeddings(), 1, language="fr"))
    assert [row["problem"] for row in found.rows] == ["has no vector", "belongs to no chunk"]


def vector(**values: float) -> list[float]:
    made = builders.embeddings().to_pylist()[1]["dense"]
    for place, value in values.items():
        made[int(place.removeprefix("at"))] = value
    return made  # type: ignore[no-any-return]


UNIT = [1.0] + [0.0] * (DIMENSION - 1)


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"dense": [0.0] * DIMENSION}, "has the length 0.0000"),
        ({"dense": [0.5 * value for value in vector()]}, "has the length 0.5000"),
        ({"dense": [1.001 * value for value in vector()]}, "has the length 1.0010"),
        ({"dense": None}, "is not finite"),
        ({"dense": vector(at3=float("nan"))}, "is not finite"),
        ({"dense": vector(at0=float("inf"))}, "is not finite"),
        ({"dense": UNIT}, "does not match its hash"),
        ({"dense": [-value for value in vector()]}, "does not match its hash"),
        ({"sparse_values": [0.5, float("nan")]}, "has an unsound sparse vector"),
        ({"sparse_values": [0.5, 0.0]}, "has an unsound sparse vector"),
        ({"sparse_values": [0.5, -1.0]}, "has an unsound sparse vector"),
        ({"sparse_values": [0.5, 1.25]}, "does not match its hash"),
        ({"sparse_indices": [2, 10]}, "does not match its hash"),
        ({"vector_sha256": sha256_text("x")}, "does not match its hash"),
    ],
)
def test_an_unsound_vector_is_named(values: dict[str, Any], problem: str) -> None:
    assert problems(with_values(builders.embeddings(), 1, **values)) == [(SHAS[1], problem)]


def test_swapped_vectors_are_named() -> None:
    made = builders.embeddings().to_pylist()
    swapped = with_values(with_values(builders.embeddings(), 0, dense=made[2]["dense"]), 2, dense=made[0]["dense"])
    assert problems(swapped) == [(SHAS[0], "does not match its hash"), (SHAS[2], "does not match its hash")]


def test_sparse_vectors_with_lists_of_unequal_lengths_are_found() -> None:
    """More weights than terms: reading on regardless would shift every vector after it."""
    for weights in ([0.5, 1.5, 2.5], [0.5], None):
        torn = with_values(builders.embeddings(), 0, sparse_values=weights)
        assert problems(torn) == [(SHAS[0], "has a sparse vector with other numbers of terms and of weights")]


def test_another_dimension_is_found_in_one_go() -> None:
    found = vectors_sound(builders.embeddings(), 384, 1e-4)
    assert (found.outcome, found.figure, found.threshold) == (Outcome.FAIL, DIMENSION, 384)
    assert found.remedy


def test_vectors_are_read_from_slices_too() -> None:
    whole = builders.embeddings()
    assert np.array_equal(dense_matrix(whole.slice(1)), dense_matrix(whole)[1:])
    for sliced, full in zip(sparse_vectors(whole.slice(1)), sparse_vectors(whole)[1:], strict=True):
        assert np.array_equal(sliced.indices, full.indices)
        assert np.array_equal(sliced.values, full.values)
    assert dense_matrix(whole.slice(0, 0)).shape == (0, DIMENSION)
    joined = pa.concat_tables([whole.slice(2), whole.slice(0, 1)])
    recorded = joined.column("vector_sha256").to_pylist()
    pairs = zip(dense_matrix(joined), sparse_vectors(joined), strict=True)
    assert [vector_sha256(*pair) for pair in pairs] == recorded
    assert joined.schema.equals(embeddings_schema(DIMENSION))


@pytest.mark.parametrize(("cosine", "outcome"), [(0.9991, Outcome.PASS), (0.999, Outcome.PASS), (0.99, Outcome.FAIL)])
def test_the_arithmetic_is_held_against_float32(cosine: float, outcome: Outcome) -> None:
    found = precision_agrees(cosine, "bfloat16", 8, 0.999)
    assert (found.outcome, found.figure) == (outcome, round(cosine, 6))
    assert bool(found.remedy) == (outcome is Outcome.FAIL)


A, B, C = (uuid.UUID(int=number) for number in (1, 2, 3))
HOME = "20261121-0001-00000000"
OF_A, OF_B = Origin("inbox/a.pdf", 1, HOME, "a" * 64), Origin("inbox/b.pdf", 2, HOME, "b" * 64)
DESIRED = {A: (b"a", OF_A), B: (b"b", OF_B)}
CONTENTS = {"inbox/a.pdf": "a" * 64, "inbox/b.pdf": "b" * 64}
GHOST = Origin("inbox/gone.pdf", 4, HOME, "c" * 64)
EARLIER = OF_B._replace(content="0" * 64)


@pytest.mark.parametrize(
    ("observed", "twice", "expected"),
    [
        ({A: (b"a", OF_A)}, [], [("inbox/b.pdf", 2, "is missing")]),
        ({**DESIRED, B: (b"x", OF_B)}, [], [("inbox/b.pdf", 2, "differs from its sources")]),
        ({**DESIRED, C: (b"c", GHOST)}, [], [("inbox/gone.pdf", 4, "belongs to no document that is there now")]),
        ({**DESIRED, C: (b"c", EARLIER)}, [], [("inbox/b.pdf", 2, "belongs to an earlier state of its document")]),
        ({**DESIRED, C: (b"c", OF_B)}, [], [("inbox/b.pdf", 2, "is no chunk of its document")]),
        (DESIRED, [A], [("inbox/a.pdf", 1, "is there more than once")]),
        (
            {A: (b"b", OF_A), B: (b"a", OF_B)},
            [],
            [("inbox/a.pdf", 1, "differs from its sources"), ("inbox/b.pdf", 2, "differs from its sources")],
        ),
    ],
)
def test_points_that_are_not_as_they_should_be_are_named(
    observed: dict[uuid.UUID, tuple[bytes, Origin]], twice: list[uuid.UUID], expected: list[tuple[str, int, str]]
) -> None:
    found = points_exact(DESIRED, observed, twice, CONTENTS)
    assert rows(found) == expected
    assert all(uuid.UUID(row["point"]) in {A, B, C} and row["batch"] == HOME for row in found.rows)


def test_right_points_pass() -> None:
    assert points_exact(DESIRED, dict(reversed(DESIRED.items())), [], CONTENTS).passed
    assert points_exact({}, {}, [], {}).passed


TEXT = "The mill was sold. The weir was kept."


def page(document: str = "inbox/a.pdf", number: int = 1, *spans: tuple[int, int]) -> PageText:
    return PageText(document, number, TEXT, spans)


def test_what_was_read_and_is_not_served_is_named() -> None:
    pages = [page("inbox/a.pdf", 1, (0, 18), (19, 37)), page("inbox/a.pdf", 2, (0, 18)), page("inbox/b.pdf", 1)]
    found = served_coverage(pages, 1.0)
    letters, first = len(TEXT.replace(" ", "")), len(TEXT[:18].replace(" ", ""))
    assert [(row["document"], row["page"], row["problem"]) for row in found.rows] == [
        ("inbox/a.pdf", 2, f"{letters - first} of {letters} characters are not served"),
        ("inbox/b.pdf", 1, "is not served at all"),
    ]
    assert found.outcome is Outcome.FAIL and "1 of 2 documents, 2 of 3 pages" in found.summary
    assert found.figure == pytest.approx((letters + first) / (3 * letters), abs=1e-6)
    assert served_coverage(pages, 0.4).passed, "a lower share may be allowed knowingly"


def test_pieces_that_overlap_or_leave_out_white_space_count_once() -> None:
    assert served_coverage([page("inbox/a.pdf", 1, (19, 37), (0, 18), (5, 18))], 1.0).passed
    assert served_coverage([], 1.0).passed
