"""Small archives for the tests of the pipeline, and ways to work on and damage them."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ragflow.model.verdicts import Verdict
from ragflow.ocr.options import ReadingOptions
from ragflow.pipeline.ingest import MATERIALIZE, pending_batches
from ragflow.pipeline.release import ReleaseReport, release
from ragflow.pipeline.scanning import ScanLimits, ScanReport, scan, sources_for
from ragflow.pipeline.stages import StageReport
from ragflow.pipeline.workspace import BatchOptions, EmbeddingOptions, GateOptions, Workspace
from ragflow.sample import write_text_pdf
from ragflow.store.blobs import hash_file
from ragflow.store.home import Home
from ragflow.vectors.files import copy_file

QUARRY = "The granite quarry above the river was closed after the flood carried away its crane."
ORCHARD = "Pear orchards cover the southern slope, and the cider press works day and night in October."
WINDMILL = "The windmill on the northern ridge grinds barley for three villages."
LAVOIR = "Le conseil décide de réparer la toiture du lavoir avant l'hiver et vote quarante francs."
SCHOOL = "L'institutrice demande un poêle neuf pour l'école, car les enfants ont froid en janvier."

REPORT, TWIN, MINUTES, LATER = "inbox/report.pdf", "inbox/a twin.pdf", "inbox/minutes.pdf", "inbox/later.pdf"


def make_workspace(root: Path, **changes: Any) -> Workspace:
    """Return a workspace that reads text layers only, with two workers; nobody waits for files to settle."""
    return replace(
        Workspace(
            home=Home(root),
            batching=BatchOptions(settle_seconds=2.0),
            reading=ReadingOptions(engines=("text_layer",), workers=2),
            embedding=EmbeddingOptions(precision="float32"),
            gate=GateOptions(),
        ),
        **changes,
    )


def settle(path: Path, seconds: float = 60.0) -> Path:
    """Make a file look as if nobody had written to it for a while; each call gives it another time."""
    past = time.time_ns() - int(seconds * 1e9)
    os.utime(path, ns=(past, past), follow_symlinks=False)
    return path


def put(workspace: Workspace, name: str, *pages: Sequence[str] | str, title: str = "", language: str = "en") -> Path:
    """Write a PDF into the inbox, one page per argument."""
    path = workspace.home.inbox / name
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text_pdf(path, [[page] if isinstance(page, str) else page for page in pages], title=title, language=language)
    return settle(path)


def scan_inbox(workspace: Workspace, **limits: Any) -> ScanReport:
    return scan(workspace, sources_for(workspace, []), ScanLimits(**{"wait": False, **limits}))


def run_batch(workspace: Workspace, batch: str) -> dict[str, StageReport]:
    """Run the four stages of a batch."""
    return {asset: materialize(workspace, batch) for asset, materialize in MATERIALIZE.items()}


def run_pending(workspace: Workspace) -> dict[str, dict[str, StageReport]]:
    return {batch: run_batch(workspace, batch) for batch in pending_batches(workspace)}


def ingest(workspace: Workspace) -> ReleaseReport:
    """Scan, run what is pending, release."""
    scan_inbox(workspace)
    run_pending(workspace)
    return release(workspace)


@dataclass(frozen=True, slots=True)
class Archive:
    """A home that was ingested.

    Attributes:
        first, second: keys of its two batches. The first holds a report (4 pages, one blank), its twin and French
            minutes; the second a document that repeats one page of the report.
    """

    workspace: Workspace
    first: str
    second: str

    @property
    def home(self) -> Home:
        return self.workspace.home

    def copy(self, root: Path) -> Archive:
        """Return a copy with its own sources folder, times and holes kept."""
        shutil.copytree(self.home.root, root, copy_function=_copy, ignore=shutil.ignore_patterns("locks", "views"))
        return replace(self, workspace=replace(self.workspace, home=Home(root)))


def _copy(source: str, target: str) -> None:
    copy_file(Path(source), Path(target))
    shutil.copystat(source, target)


def make_archive(root: Path) -> Archive:
    workspace = make_workspace(root.resolve())
    report = put(workspace, "report.pdf", QUARRY, [], WINDMILL, ORCHARD, title="Report")
    settle(Path(shutil.copy(report, report.with_name("a twin.pdf"))))
    put(workspace, "minutes.pdf", LAVOIR, SCHOOL, title="Séance", language="fr")
    assert ingest(workspace).decision == "promoted"
    put(workspace, "later.pdf", WINDMILL, "The ferry across the lake was sold for nine hundred guilders.")
    assert ingest(workspace).decision == "promoted"
    first, second = workspace.home.manifests.batch_keys()
    return Archive(workspace, first, second)


def table_path(workspace: Workspace, asset: str, batch: str, table: str) -> Path:
    record = workspace.home.tables.get(asset, batch)
    return workspace.home.tables.folder(asset, batch) / record.files[table].file


def tamper(
    workspace: Workspace,
    asset: str,
    batch: str,
    table: str,
    change: Callable[[pa.Table], pa.Table],
    *,
    forge: bool = False,
) -> None:
    """Rewrite a stored table. ``forge``: put the file's hash in the record right as well."""
    path = table_path(workspace, asset, batch, table)
    changed = change(pq.read_table(path, partitioning=None))
    pq.write_table(changed, path)
    if forge:
        record = path.parent / "record.json"
        value = json.loads(record.read_bytes())
        value["files"][table] |= {"sha256": hash_file(path), "size": path.stat().st_size, "rows": changed.num_rows}
        record.write_text(json.dumps(value))


def edited(column: str, replacements: Mapping[Any, Any]) -> Callable[[pa.Table], pa.Table]:
    """Return a change for :func:`tamper`: other values in one column."""

    def change(table: pa.Table) -> pa.Table:
        old = table.column(column).to_pylist()
        assert set(old) & set(replacements), "nothing to replace"
        field = table.schema.field(column)
        new = pa.array([replacements.get(value, value) for value in old], field.type)
        return table.set_column(table.schema.get_field_index(column), field, new)

    return change


def flip(path: Path) -> None:
    """Change one bit in the middle of a file."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def sha_of(workspace: Workspace, key: str) -> str:
    """Return the content hash of a document from the newest manifest that names it."""
    found = [c.sha256 for m in workspace.home.manifests.all() for c in m.documents if c.key == key and c.sha256]
    return found[-1]


def failed(verdicts: Sequence[Verdict]) -> dict[str, set[tuple[Any, Any]]]:
    """Return the names of the verdicts that failed, each with the (document, page) of its rows."""
    return {
        verdict.name: {(row.get("document"), row.get("page")) for row in verdict.rows}
        for verdict in verdicts
        if not verdict.passed
    }
