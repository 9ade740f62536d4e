"""What an adoption says: the record that is written last, and the same for a person."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import orjson

from ragflow.errors import IntegrityError
from ragflow.pipeline.adopting_output import VERSION, Written
from ragflow.pipeline.adopting_rows import KEPT, LINKED, MERGED, Outcomes, Rows
from ragflow.pipeline.adopting_spool import NOT_UNIT, CollectionSpool
from ragflow.vectors.foreign import PAGE

REPORT = "report.json"
FORMAT = "ragflow-adoption/1"
ADOPTED, REPLACED, UNCHANGED, DRY_RUN = "adopted", "replaced", "unchanged", "dry_run"
NO_PAGES = (
    "An adopted collection has no pages behind it: its points lead back to the collections they came from, and no "
    "further. It is kept apart, and never goes live under the alias of the archive."
)


@dataclass(frozen=True, slots=True)
class AdoptReport:
    """What an adoption came to.

    Attributes:
        name: of the adopted collection.
        folder: where it is, or would be.
        decision: ``adopted``, ``replaced`` (an earlier adoption of the same collections), ``unchanged``, ``dry_run``.
        record: as in ``report.json``; of a dry run, figures of what was not done begin with ``would_``.
    """

    name: str
    folder: Path
    decision: str
    record: dict[str, Any] = field(repr=False)

    @property
    def points(self) -> int:
        """Points of the adopted collection, also of one that was not written."""
        outcome = self.record["outcome"]
        return int(outcome.get("points_out", outcome.get("would_points_out", 0)))

    def to_dict(self) -> dict[str, Any]:
        return {"decision": self.decision, "folder": str(self.folder), **self.record}

    def to_text(self) -> str:
        """Return the report for a person."""
        lines = [line for collection in self.record["collections"] for line in _collection_lines(collection)]
        lines += _duplicate_lines(self.record["duplicates"])
        outcome = {name.removeprefix("would_"): value for name, value in self.record["outcome"].items()}
        would = "would be " if self.decision == DRY_RUN else ""
        lines.append(
            f"Outcome:     {outcome['points_in']} points in = {outcome[KEPT]} kept + {outcome[LINKED]} linked"
            f" + {outcome[MERGED]} merged; {outcome['points_out']} {would}written, {outcome['searchable']} of them"
            f" with a vector, {outcome['normalised']} normalised"
        )
        lines += [f"Warning:     {warning}" for warning in self.record["warnings"]]
        said = {
            DRY_RUN: f"{self.record.get('would_decision')}, had this not been a dry run: nothing was written to",
            UNCHANGED: "unchanged, in",
        }.get(self.decision, f"{self.decision}, in")
        lines.append(f"{self.name}: {said} {self.folder}")
        if root := self.record.get("merkle_root"):
            lines.append(f"Merkle root: {root}")
        return "\n".join([*lines, NO_PAGES])


def make_record(
    name: str,
    fingerprint: str,
    settings: dict[str, Any],
    rows: Rows,
    outcomes: Outcomes,
    duplicates: dict[str, Any],
    warnings: Sequence[str],
) -> dict[str, Any]:
    """Return the record of an adoption, as yet without what is written."""
    return {
        "format": FORMAT,
        "name": name,
        "note": NO_PAGES,
        "fingerprint": fingerprint,
        "settings": settings,
        "collections": [collection_record(spool) for spool in rows.spools],
        "duplicates": duplicates,
        "outcome": outcome_figures(rows, outcomes),
        "warnings": list(warnings),
    }


def with_written(record: dict[str, Any], written: Written, dimension: int, engine: str) -> dict[str, Any]:
    """Return the record with what was written."""
    version = {
        "folder": "vectors",
        "version": VERSION,
        "engine": engine,
        "points": written.searchable,
        "dimension": dimension,
        "merkle_root": written.searchable_root,
    }
    files = [asdict(file) for file in written.files]
    return {**record, "merkle_root": written.root, "files": files, "collection_version": version}


def as_dry_run(record: dict[str, Any], decision: str) -> dict[str, Any]:
    """Return the record of a dry run: nothing of its outcome has happened."""
    outcome = {f"would_{name}": value for name, value in record["outcome"].items()}
    return {**record, "outcome": outcome, "would_decision": decision}


def collection_record(spool: CollectionSpool) -> dict[str, Any]:
    """Return the inventory of one collection."""
    layout = spool.layout
    return {
        "collection": spool.origin,
        "kind": spool.kind,
        "merkle_root": spool.root,
        "vectors": {name: asdict(dense) for name, dense in sorted(layout.dense.items())},
        "sparse_vectors": list(layout.sparse),
        "adopted_vector": spool.vector,
        "adopted_sparse_vector": spool.sparse_name,
        **spool.inventory.to_dict(),
        "ignored_fields": spool.ignored,
        "page_points": PAGE,
        "page_sha256": spool.pages,
    }


def outcome_figures(rows: Rows, outcomes: Outcomes) -> dict[str, Any]:
    """Return what became of all points; kept, linked and merged add up to those that came in."""
    written = outcomes.written
    embedded = rows.embedded
    normalised = 0 if embedded is not None else int((rows.status[written] == NOT_UNIT).sum())
    return {
        "points_in": len(rows),
        KEPT: outcomes.count(KEPT),
        LINKED: outcomes.count(LINKED),
        MERGED: outcomes.count(MERGED),
        "points_out": int(written.sum()),
        "searchable": int((written & rows.searchable).sum()),
        "normalised": normalised,
        "re_embedded": 0 if embedded is None else int((written & embedded.usable).sum()),
        "embedded_in_pieces": 0 if embedded is None else embedded.in_pieces,
    }


def read_record(folder: Path) -> dict[str, Any] | None:
    """Return the record of an adoption; None if there is none, and then nothing in the folder counts.

    Raises:
        IntegrityError: it is damaged.
    """
    path = folder / REPORT
    try:
        record: dict[str, Any] = orjson.loads(path.read_bytes())
        if record["format"] != FORMAT:
            raise ValueError(f"unknown format {record['format']!r}")
        # Whatever is asked of a record later.
        _ = record["fingerprint"], record["merkle_root"], record["collection_version"]["version"], record["outcome"]
        _ = [file["file"] for file in record["files"]], [entry["collection"] for entry in record["collections"]]
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise IntegrityError(
            f"{path} is damaged: {error}.", remedy="Adopt the collections again with --replace."
        ) from error
    return record


def _collection_lines(collection: dict[str, Any]) -> list[str]:
    vectors = ", ".join(
        f"{name or 'unnamed'} {given['dimension']} {given['distance'] or 'distance not stated'}"
        for name, given in collection["vectors"].items()
    )
    problems = {
        "without_text": "without a text",
        "without_vector": "without a vector",
        "zero_vectors": "with a zero vector",
        "not_finite_vectors": "with a vector that is not finite",
        "not_unit_length": "with a vector not of unit length",
    }
    found = [f"{collection[name]} {words}" for name, words in problems.items() if collection[name]]
    ids = ", ".join(f"{count} {kind}" for kind, count in collection["ids"].items())
    return [
        f"Collection:  {collection['collection']}: {collection['points']} points (ids: {ids or 'none'})",
        f"             vectors: {vectors or 'none'}; sparse: {', '.join(collection['sparse_vectors']) or 'none'};"
        f" text in: {collection['text_field'] or 'no field'}",
        *([f"             {', '.join(found)}"] if found else []),
        f"             Merkle root {collection['merkle_root']}",
    ]


def _duplicate_lines(duplicates: dict[str, Any]) -> list[str]:
    words = {"exact": "exact", "same_text": "same text", "near": "near"}
    found = [
        f"{duplicates[kind]['points']} {name} ({duplicates[kind]['within']} within a collection,"
        f" {duplicates[kind]['across']} across)"
        for kind, name in words.items()
    ]
    lines = [f"Duplicates:  {'; '.join(found)}"]
    for compared in duplicates["near"]["compared"]:
        how = "every pair was compared" if compared["method"] == "exact" else "found by an index, which may miss some"
        lines.append(f"             near among {compared['points']} points: {how}")
    return lines
