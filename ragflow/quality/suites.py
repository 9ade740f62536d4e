"""Schema and ranges of every table, as Great Expectations suites.

Great Expectations takes seconds to import, so it is imported when the first suite runs.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from ragflow.model import tables
from ragflow.model.reading import Effort, PageStatus, Reason
from ragflow.model.verdicts import Verdict, verdict

if TYPE_CHECKING:
    import pandas as pd
    from great_expectations.data_context.data_context.ephemeral_data_context import EphemeralDataContext

SHA256_PATTERN = "^[0-9a-f]{64}$"
REASONS = [str(reason) for reason in Reason]
PART = "part"
"""Column that tells the tables apart when several of one kind are checked together: values are unique within each."""
EXTREMES = frozenset({"ExpectColumnMinToBeBetween", "ExpectColumnMaxToBeBetween"})
LONGEST_LIST = 5
"""Offending values shown per expectation."""

Rule = tuple[str, dict[str, Any]]
"""Name of an expectation class, and its arguments."""


def _not_null(schema: pa.Schema) -> list[Rule]:
    """Arrow does not hold a table to what its schema says must not be empty. In pandas, NaN counts as empty, too."""
    columns = [field.name for field in schema if not field.nullable and not pa.types.is_nested(field.type)]
    return [("ExpectColumnValuesToNotBeNull", {"column": column}) for column in columns]


def _hash(*columns: str) -> list[Rule]:
    return [("ExpectColumnValuesToMatchRegex", {"column": column, "regex": SHA256_PATTERN}) for column in columns]


def _between(column: str, low: float, high: float | None = None) -> list[Rule]:
    """The extremes tell all; the expectation on each value goes through them one by one in Python."""
    rules: list[Rule] = [("ExpectColumnMinToBeBetween", {"column": column, "min_value": low})]
    if high is not None:
        rules.append(("ExpectColumnMaxToBeBetween", {"column": column, "max_value": high}))
    return rules


def _in(column: str, values: Iterable[str]) -> Rule:
    return "ExpectColumnValuesToBeInSet", {"column": column, "value_set": [str(value) for value in values]}


def _unique(*columns: str) -> Rule:
    return "ExpectCompoundColumnsToBeUnique", {"column_list": [PART, *columns]}


RULES: dict[str, list[Rule]] = {
    "documents": [
        *_hash("document_sha256"),
        _unique("document_key"),
        _in("status", ("readable", "quarantined")),
        _in("reason", REASONS),
        *_between("page_count", 0),
        *_between("size", 0),
    ],
    "pages": [
        *_hash("document_sha256"),
        _unique("document_sha256", "page_index"),
        *_between("page_index", 0),
        *_between("width_pt", 0),
        *_between("height_pt", 0),
        ("ExpectColumnValuesToBeInSet", {"column": "rotation", "value_set": [0, 90, 180, 270]}),
        _in("reason", REASONS),
    ],
    "page_texts": [
        *_hash("document_sha256", "text_sha256", "words_sha256", "raster_sha256"),
        *_hash("reading_fingerprint", "inspection_sha256"),
        _unique("document_sha256", "page_index"),
        _in("status", PageStatus),
        _in("reason", REASONS),
        *[
            rule
            for share in ("confidence", "disagreement", "weakest_block", "weak_share")
            for rule in _between(share, 0.0, 1.0)
        ],
        *_between("word_count", 0),
        *_between("reread_regions", 0),
        *_between("skew", -90.0, 90.0),
        _in("effort", Effort),
        ("ExpectColumnValuesToBeInSet", {"column": "orientation", "value_set": [0, 90, 180, 270]}),
    ],
    "words": [
        *[rule for edge in ("left", "top", "right", "bottom", "confidence") for rule in _between(edge, 0.0, 1.0)],
        *[
            rule
            for column in ("page_index", "word_index", "block", "line", "char_start", "char_end")
            for rule in _between(column, 0)
        ],
        *_between("width", 0.0),
        *_between("height", 0.0),
        *_between("characters", 1),
    ],
    "chunks": [
        *_hash("document_sha256", "text_sha256"),
        _unique("document_sha256", "chunk_index"),
        *_between("token_count", 1),
        *_between("confidence", 0.0, 1.0),
        *_between("characters", 1),
    ],
    "embeddings": [
        *_hash("text_sha256", "vector_sha256"),
        _unique("text_sha256", "language"),
        _in("precision", ("float32", "bfloat16")),
    ],
}
"""Table name → what every table of that name has to fulfil, besides its schema. Empty values pass here."""

DIFFERENCES: dict[str, dict[str, tuple[str, str]]] = {
    "words": {
        "width": ("right", "left"),
        "height": ("bottom", "top"),
        "characters": ("char_end", "char_start"),
    },
    "chunks": {"characters": ("char_end", "char_start")},
}
"""Table name → column made for the check → the columns it is the difference of. The expectations on pairs of columns
go through rows one by one in Python; on a difference they are vectorised."""

SCHEMAS: dict[str, pa.Schema] = {
    "documents": tables.DOCUMENTS,
    "pages": tables.PAGES,
    "page_texts": tables.PAGE_TEXTS,
    "words": tables.WORDS,
    "chunks": tables.CHUNKS,
}


def schema_and_ranges(
    name: str,
    checked: Mapping[str, pa.Table | Sequence[pa.Table]],
    schemas: Mapping[str, pa.Schema] | None = None,
) -> Verdict:
    """Hold tables against their schemas and suites.

    Args:
        name: of the verdict.
        checked: table name → table, or several of that name that are checked in one go.
        schemas: schemas that are not constant (``embeddings`` depends on the model's dimension).
    """
    failures: list[dict[str, Any]] = []
    expectations = 0
    for table_name, given in checked.items():
        parts = [given] if isinstance(given, pa.Table) else list(given)
        schema = {**SCHEMAS, **(schemas or {})}[table_name]
        wrong = [part for part in parts if not part.schema.equals(schema)]
        if wrong:
            found = _difference(wrong[0].schema, schema)
            failures.append({"table": table_name, "expectation": "schema", "found": found})
            continue
        results = _run(table_name, parts, [*_not_null(schema), *RULES[table_name]])
        expectations += len(results) + 1
        failures += [{"table": table_name, **row} for row in results if not row.pop("success")]
    return verdict(
        name,
        failures,
        passed=f"{expectations} expectations on {', '.join(checked)} hold.",
        failed="{count} expectations do not hold.",
        remedy="Materialize this asset again for this partition; if it fails again, report a defect.",
    )


def _difference(found: pa.Schema, wanted: pa.Schema) -> str:
    differing = [field.name for field in wanted if field.name not in found.names or found.field(field.name) != field]
    extra = [name for name in found.names if name not in wanted.names]
    return f"columns that differ: {differing}; columns too many: {extra}"


@lru_cache(maxsize=1)
def _context() -> EphemeralDataContext:
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import great_expectations as gx
        from great_expectations.data_context.types.base import ProgressBarsConfig

        context = gx.get_context(mode="ephemeral")
        context.variables.progress_bars = ProgressBarsConfig(globally=False)
    return context


def _run(table_name: str, parts: Sequence[pa.Table], wanted: Sequence[Rule]) -> list[dict[str, Any]]:
    """Return one row per expectation: success, and what was unexpected, in plain Python values."""
    import great_expectations as gx

    context = _context()
    sources = context.data_sources
    source = sources.all().get(table_name) or sources.add_pandas(table_name)
    try:
        asset = source.get_asset(table_name)
        definition = asset.get_batch_definition("whole")
    except LookupError:
        asset = source.add_dataframe_asset(table_name)
        definition = asset.add_batch_definition_whole_dataframe("whole")
    frame = _frame(table_name, parts, wanted)
    # The extremes of a column without values are nothing that could be held against a limit.
    rules = [
        (kind, arguments)
        for kind, arguments in wanted
        if kind not in EXTREMES or frame[arguments["column"]].notna().any()
    ]
    suite = gx.ExpectationSuite(
        name=table_name, expectations=[getattr(gx.expectations, kind)(**arguments) for kind, arguments in rules]
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        outcome = definition.get_batch(batch_parameters={"dataframe": frame}).validate(suite)
    return [_row(result) for result in outcome.results]


def _frame(table_name: str, parts: Sequence[pa.Table], rules: Sequence[Rule]) -> pd.DataFrame:
    """Return the columns that the rules name, and those that are made for them."""
    import pandas as pd

    differences = DIFFERENCES.get(table_name, {})
    named = {column for pair in differences.values() for column in pair}
    for _, arguments in rules:
        named |= {arguments.get("column", PART), *arguments.get("column_list", ())}
    frames = []
    for number, part in enumerate(parts):
        frame = part.select([column for column in part.column_names if column in named]).to_pandas()
        frame[PART] = number
        frames.append(frame)
    whole = pd.concat(frames, ignore_index=True)
    for column, (larger, smaller) in differences.items():
        whole[column] = whole[larger] - whole[smaller]
    return whole


def _row(result: Any) -> dict[str, Any]:
    config = result.expectation_config
    columns = config.kwargs.get("column") or config.kwargs.get("column_list")
    raised = result.exception_info or {}
    observed = result.result.get("observed_value")
    unexpected = [str(value) for value in result.result.get("partial_unexpected_list", [])[:LONGEST_LIST]]
    return {
        "success": bool(result.success),
        "expectation": f"{config.type} {columns}",
        "unexpected": int(result.result.get("unexpected_count") or 0),
        "found": str(raised.get("exception_message") or ", ".join(unexpected) or observed),
    }
