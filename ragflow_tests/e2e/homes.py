"""A small archive with one of everything, its home folder, and what stands in it."""

from __future__ import annotations

import functools
import os
import shutil
import sqlite3
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from ragflow.model.fingerprints import canonical_json
from ragflow.model.points import vector_sha256
from ragflow.sample import USER_PASSWORD, write_scan_pdf, write_text_pdf
from ragflow.sample.text_pdf import plain_blocks, text_pdf_bytes
from ragflow.store.home import Home
from ragflow.vectors.edge import EdgeVersionStore
from ragflow.vectors.files import copy_file
from ragflow_tests.e2e.launcher import Launcher, Result, run_afresh

REPORT, MINUTES, COPY, SCAN = "report.pdf", "procès/séance.pdf", "copie de séance.pdf", "scan.pdf"
LOCKED, TORN = "locked.pdf", "torn.pdf"

QUARRY = "The granite quarry above the river was closed after the flood carried away its crane."
ORCHARD = "Pear orchards cover the southern slope, and the cider press works day and night in October."
WINDMILL = "The windmill on the northern ridge grinds barley for three villages."
CARRIERE = "Le conseil décide de réparer la toiture du lavoir avant l'hiver et vote quarante francs."
ECOLE = "L'institutrice demande un poêle neuf pour l'école, car les enfants ont froid en janvier."
LIGHTHOUSE = (
    "The lighthouse keeper lit the lamp at sixteen minutes past four.",
    "Dense fog for thirty hours. The siren sounded without a stop and used a whole ton of coke.",
    "The relief boat could not land. There is flour for nine days in the store, and tobacco for two.",
    "A flight of starlings struck the glass and cracked the upper pane on the seaward side of the lantern.",
    "The inspector came by boat, tested the clockwork that turns the lens, and found the stairs wanting paint.",
)
"""More than a hundred tokens, on one page."""
PAGES = {REPORT: 4, MINUTES: 2, COPY: 2, SCAN: 1, LOCKED: 1, TORN: 1}
"""As the ledger counts them: a document that cannot be opened is one page."""
CONFIGURATION = "[gate]\ncoverage = 0.7\n"
"""Two pages of eleven are in quarantine by design."""


def write_report(path: Path, third: str = WINDMILL) -> None:
    """Four pages; the second is blank."""
    write_text_pdf(path, [[QUARRY], [], [third], [ORCHARD]], title="Report", language="en")
    settle(path)


def write_minutes(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text_pdf(path, [[CARRIERE], [ECOLE]], title="Séance", language="fr")
    settle(path)


def write_archive(folder: Path) -> None:
    folder.mkdir(parents=True)
    write_report(folder / REPORT)
    write_minutes(folder / MINUTES)
    shutil.copy2(folder / MINUTES, folder / COPY)
    write_scan_pdf(folder / SCAN, [LIGHTHOUSE], seed=7)
    locked = text_pdf_bytes([plain_blocks(["The salaries of 1933."])], user_password=USER_PASSWORD)
    (folder / LOCKED).write_bytes(locked)
    whole = text_pdf_bytes([plain_blocks([QUARRY])])
    (folder / TORN).write_bytes(whole[: len(whole) // 3])
    (folder / "notes.txt").write_text("not a document")
    for path in folder.rglob("*.*"):
        settle(path)


def settle(path: Path) -> None:
    """Make a file look as if nobody had written to it for a minute; each call gives it another time."""
    past = time.time_ns() - 60_000_000_000
    os.utime(path, ns=(past, past))


@dataclass(frozen=True, slots=True)
class Archive:
    """An ingested home, and what the ingest answered."""

    root: Path
    first: Result

    @property
    def home(self) -> Home:
        return Home(self.root)

    @property
    def inbox(self) -> Path:
        return self.root / "inbox"

    def copy(self, target: Path) -> Archive:
        """Copy everything, with times and holes; the copy is an archive of its own."""
        shutil.copytree(self.root, target, copy_function=_copy)
        return Archive(target, self.first)


def _copy(source: str, target: str) -> None:
    copy_file(Path(source), Path(target))
    shutil.copystat(source, target)


@functools.cache
def shared_launcher() -> Launcher:
    """One for all tests of the session."""
    return Launcher()


@functools.cache
def shared_archive(folder: Path) -> Archive:
    """One ingested archive for all tests of the session; to change it, copy it."""
    root = folder / "archive"
    write_archive(root / "inbox")
    (root / "ragflow.toml").write_text(CONFIGURATION)
    return Archive(root, run_afresh(root, "ingest", "--json"))


PointHash = tuple[str, bytes]


def points_of(home: Home, version: str) -> dict[str, PointHash]:
    """Return point id → (document key, everything that makes the point)."""
    with EdgeVersionStore(home.vectors).open(version) as reader:
        return {
            str(point.id): (
                point.payload["document_key"],
                vector_sha256(point.dense, point.sparse).encode() + canonical_json(point.payload),
            )
            for points in reader.scroll()
            for point in points
        }


def live(home: Home) -> str | None:
    alias = EdgeVersionStore(home.vectors).alias()
    return alias.version if alias else None


def dagster_runs(home: Home) -> int:
    """Return how many runs Dagster has recorded."""
    with sqlite3.connect(f"file:{home.dagster / 'history' / 'runs.db'}?mode=ro", uri=True) as database:
        (count,) = database.execute("SELECT count(*) FROM runs").fetchone()
    return int(count)


def table_path(home: Home, asset: str, table: str, batch: str | None = None) -> Path:
    """Return the Parquet file of a table; of the first batch if none is named."""
    key = batch or home.manifests.batch_keys()[0]
    record = home.tables.get(asset, key)
    return home.tables.folder(asset, key) / record.files[table].file


def replace_cells(path: Path, column: str, replacements: Mapping[str, str]) -> int:
    """Rewrite a Parquet file in place, with other values in one column; return how many cells were changed."""
    table = pq.read_table(path, partitioning=None)
    old = table.column(column).to_pylist()
    new = [replacements.get(value, value) for value in old]
    position = table.schema.get_field_index(column)
    changed = table.set_column(position, table.schema.field(column), [new])
    pq.write_table(changed.cast(table.schema), path)
    return sum(a != b for a, b in zip(old, new, strict=True))


def failed(verdicts: Sequence[Mapping[str, Any]]) -> set[str]:
    """Return the names of the verdicts that did not pass."""
    return {verdict["name"] for verdict in verdicts if verdict["outcome"] == "fail"}
