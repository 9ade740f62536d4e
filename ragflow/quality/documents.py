"""Checks on ``raw_pdfs``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

import pyarrow as pa

from ragflow.model.batches import BatchManifest, Change
from ragflow.model.reading import Reason
from ragflow.model.verdicts import Verdict, verdict


def documents_complete(manifest: BatchManifest, documents: pa.Table, pages: pa.Table) -> Verdict:
    """Each document of the manifest has one row with its hash, and as many page rows as it has pages."""
    expected = {change.key: change.sha256 for change in manifest.documents if change.change is not Change.REMOVED}
    found = Counter(documents.column("document_key").to_pylist())
    page_rows = Counter(pages.column("document_sha256").to_pylist())
    failures = [
        {"document": key, "problem": "has no row" if not found[key] else f"has {found[key]} rows"}
        for key in expected
        if found[key] != 1
    ]
    for row in documents.to_pylist():
        key, sha = row["document_key"], row["document_sha256"]
        if key not in expected:
            failures.append({"document": key, "problem": "is not in the manifest"})
        elif sha != expected[key]:
            failures.append({"document": key, "problem": "has another hash than the manifest says"})
        elif row["status"] == "readable" and row["home_batch"] == manifest.key and page_rows[sha] != row["page_count"]:
            failures.append(
                {"document": key, "problem": f"has {row['page_count']} pages, but {page_rows[sha]} page rows"}
            )
    return verdict(
        "documents_complete",
        failures,
        passed=f"All {len(expected)} documents of the batch are there, with all their pages.",
        failed="{count} documents are missing or do not match the manifest.",
        remedy=f"Materialize raw_pdfs for partition {manifest.key} again.",
    )


def blobs_intact(problems: Iterable[tuple[str, str]], checked: int) -> Verdict:
    """Stored bytes hash to their names.

    Args:
        problems: (document key, what is wrong), from :meth:`ragflow.store.blobs.BlobStore.verify`.
        checked: number of blobs hashed.
    """
    return verdict(
        "blobs_intact",
        [{"document": key, "problem": problem} for key, problem in problems],
        passed=f"The bytes of all {checked} stored documents match their hashes.",
        failed="The stored bytes of {count} documents are damaged.",
        remedy="Restore the named documents from a backup, or put the right files back into the source and"
        " materialize raw_pdfs again.",
    )


def tables_intact(damage: Mapping[str, str], asset: str, batch: str) -> Verdict:
    """The files of an asset's tables hash to what its record says.

    Args:
        damage: table name → what is wrong, from :meth:`ragflow.store.tables.TableStore.damage`.
    """
    return verdict(
        "tables_intact",
        [{"batch": batch, "asset": asset, "table": name, "problem": problem} for name, problem in damage.items()],
        passed="The tables' files match their recorded hashes.",
        failed="{count} table files are damaged.",
        remedy=f"Materialize {asset} for partition {batch} again: damaged tables are made anew.",
    )


def is_missing_by_design(reason: str | None) -> bool:
    """Whether a document has no stored bytes for a reason that the ledger already tells."""
    return reason in {Reason.SOURCE_CHANGED, Reason.UNREADABLE, Reason.OUTSIDE_SOURCE, Reason.FORGOTTEN}
