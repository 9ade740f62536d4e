"""Schema and ranges, as Great Expectations suites."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from ragflow.model.tables import embeddings_schema
from ragflow.model.verdicts import Outcome, Verdict
from ragflow.quality.suites import SCHEMAS, schema_and_ranges
from ragflow_tests.quality import builders
from ragflow_tests.quality.builders import DIMENSION, changed, doubled

TABLES = {
    "documents": builders.documents(),
    "pages": builders.pages(),
    "page_texts": builders.texts(),
    "words": builders.words(),
    "chunks": builders.chunks(),
    "embeddings": builders.embeddings(),
}
EMBEDDINGS = {"embeddings": embeddings_schema(DIMENSION)}


def check(**tables: pa.Table | list[pa.Table]) -> Verdict:
    return schema_and_ranges("schema_and_ranges", tables, EMBEDDINGS)


def found(verdict: Verdict) -> list[tuple[str, str]]:
    assert verdict.outcome is Outcome.FAIL
    assert verdict.remedy
    return [(row["table"], row["expectation"]) for row in verdict.rows]


def test_right_tables_pass() -> None:
    verdict = check(**TABLES)
    assert (verdict.outcome, verdict.rows) == (Outcome.PASS, ())
    assert int(verdict.summary.split()[0]) > 80


def test_empty_tables_pass() -> None:
    assert check(**{name: table.slice(0, 0) for name, table in TABLES.items()}).passed


@pytest.mark.parametrize("name", TABLES)
def test_a_wrong_schema_is_named_with_the_column(name: str) -> None:
    table = TABLES[name]
    first = table.column_names[0]
    renamed = table.rename_columns(["other", *table.column_names[1:]])
    (row,) = check(**{name: renamed}).rows
    assert (row["table"], row["expectation"]) == (name, "schema")
    assert f"'{first}'" in row["found"]
    assert "columns too many: ['other']" in row["found"]
    shorter = check(**{name: table.drop_columns([table.column_names[-1]])}).rows
    assert table.column_names[-1] in shorter[0]["found"]


def test_a_wrong_type_is_named() -> None:
    wider = TABLES["pages"].set_column(1, "page_index", TABLES["pages"].column("page_index").cast(pa.int64()))
    (row,) = check(pages=wider).rows
    assert "page_index" in row["found"]
    other = builders.embeddings().cast(embeddings_schema(DIMENSION))
    assert schema_and_ranges("x", {"embeddings": other}, {"embeddings": embeddings_schema(384)}).rows


OUT_OF_RANGE: list[tuple[str, dict[str, Any], str]] = [
    ("documents", {"size": -1}, "size"),
    ("documents", {"page_count": -1}, "page_count"),
    ("documents", {"status": "eaten"}, "status"),
    ("documents", {"reason": "mood"}, "reason"),
    ("documents", {"document_sha256": "abc"}, "document_sha256"),
    ("pages", {"page_index": -1}, "page_index"),
    ("pages", {"rotation": 45}, "rotation"),
    ("pages", {"width_pt": -1.0}, "width_pt"),
    ("page_texts", {"status": "eaten"}, "status"),
    ("page_texts", {"reason": "mood"}, "reason"),
    ("page_texts", {"confidence": 1.5}, "confidence"),
    ("page_texts", {"word_count": -1}, "word_count"),
    ("page_texts", {"text_sha256": "F" * 64}, "text_sha256"),
    ("words", {"left": -0.1}, "left"),
    ("words", {"bottom": 1.2}, "bottom"),
    ("words", {"confidence": 2.0}, "confidence"),
    ("words", {"right": 0.0}, "width"),
    ("words", {"top": 0.3}, "height"),
    ("words", {"char_end": 0, "char_start": 0}, "characters"),
    ("words", {"line": -1}, "line"),
    ("chunks", {"token_count": 0}, "token_count"),
    ("chunks", {"confidence": -0.5}, "confidence"),
    ("chunks", {"char_end": 0}, "characters"),
    ("chunks", {"text_sha256": ""}, "text_sha256"),
    ("embeddings", {"precision": "int8"}, "precision"),
    ("embeddings", {"vector_sha256": "zz"}, "vector_sha256"),
]


@pytest.mark.parametrize(("name", "values", "column"), OUT_OF_RANGE)
def test_a_value_out_of_range_is_named_with_its_column(name: str, values: dict[str, Any], column: str) -> None:
    verdict = check(**{name: changed(TABLES[name], 0, **values)})
    assert column in {expectation.split()[-1] for table, expectation in found(verdict) if table == name}
    assert all(row["found"] for row in verdict.rows)


@pytest.mark.parametrize(
    ("name", "column"),
    [
        ("documents", "document_key"),
        ("pages", "page_index"),
        ("page_texts", "text"),
        ("words", "word_index"),
        ("chunks", "language"),
        ("embeddings", "vector_sha256"),
    ],
)
def test_an_empty_value_where_none_may_be_is_named(name: str, column: str) -> None:
    verdict = check(**{name: changed(TABLES[name], 0, **{column: None})})
    assert (name, f"expect_column_values_to_not_be_null {column}") in found(verdict)


@pytest.mark.parametrize("name", sorted({*SCHEMAS, "embeddings"}))
def test_every_column_that_may_not_be_empty_is_checked(name: str) -> None:
    """What the schema says is not enforced by Arrow: each such column has to fail here when it has an empty value."""
    wanted = [field.name for field in TABLES[name].schema if not field.nullable and not pa.types.is_nested(field.type)]
    emptied = changed(TABLES[name], 0, **dict.fromkeys(wanted))
    assert len(wanted) > 3
    assert {f"expect_column_values_to_not_be_null {column}" for column in wanted} <= {
        expectation for _, expectation in found(check(**{name: emptied}))
    }


@pytest.mark.parametrize(("name", "column"), [("words", "left"), ("words", "confidence"), ("chunks", "confidence")])
def test_a_number_that_is_none_is_named(name: str, column: str) -> None:
    verdict = check(**{name: changed(TABLES[name], 0, **{column: float("nan")})})
    assert column in {expectation.split()[-1] for _, expectation in found(verdict)}


@pytest.mark.parametrize("name", ["documents", "pages", "page_texts", "chunks", "embeddings"])
def test_a_doubled_row_is_named(name: str) -> None:
    assert any("unique" in expectation for _, expectation in found(check(**{name: doubled(TABLES[name], 0)})))


def test_the_same_row_in_two_batches_is_no_double() -> None:
    assert check(chunks=[TABLES["chunks"], TABLES["chunks"]]).passed
    verdict = check(chunks=[TABLES["chunks"], doubled(TABLES["chunks"], 0)])
    assert not verdict.passed, "but within one batch it is"


def test_a_damaged_part_among_whole_ones_is_found() -> None:
    bad = changed(TABLES["chunks"], 1, token_count=-4)
    verdict = check(chunks=[TABLES["chunks"], bad, TABLES["chunks"]])
    assert ("chunks", "expect_column_min_to_be_between token_count") in found(verdict)
    assert "-4" in verdict.rows[0]["found"]
