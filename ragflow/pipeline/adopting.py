"""Adopting collections that other tools filled: read, count, compare, merge into one, and write that down.

``adopted/<name>/`` holds the points as Parquet files, the mapping from old ids to new ones, a collection version of its
own, and ``report.json``, written last. A new state is built beside it and takes its place whole; a kill at any moment
leaves the old state, or the new one.

What is read is first copied to disk (vectors and payloads, about as large as the collections themselves), so that it
does not change while it is worked on. In memory: 200 bytes per point, at most 700 for a moment while they are sorted;
2,000 whole points while writing, and 32 MiB of cosines while comparing. A dry run keeps its copy in the system's folder
for temporary files.
"""

from __future__ import annotations

import logging
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import orjson

from ragflow.errors import UsageError
from ragflow.model.fingerprints import fingerprint
from ragflow.pipeline.adopting_decisions import duplicate_figures, link_alike, link_same, merge_exact
from ragflow.pipeline.adopting_embedding import embed_rows
from ragflow.pipeline.adopting_inventory import TEXT_FIELDS, Inventory
from ragflow.pipeline.adopting_output import write_adoption
from ragflow.pipeline.adopting_plan import check_collections, check_read, choose, warnings_of
from ragflow.pipeline.adopting_report import (
    ADOPTED,
    DRY_RUN,
    REPLACED,
    REPORT,
    UNCHANGED,
    AdoptReport,
    as_dry_run,
    make_record,
    read_record,
    with_written,
)
from ragflow.pipeline.adopting_rows import Outcomes, Rows
from ragflow.pipeline.adopting_spool import CollectionSpool
from ragflow.pipeline.adopting_verification import is_intact, verify_adopted
from ragflow.pipeline.duplicates import NearOptions
from ragflow.pipeline.workspace import Workspace
from ragflow.store.atomic import sync, write_bytes
from ragflow.vectors.edge import EdgeVersionStore
from ragflow.vectors.files import sync_tree
from ragflow.vectors.foreign import ForeignCollection, open_foreign

__all__ = ["AdoptOptions", "AdoptReport", "adopt", "verify_adopted"]

log = logging.getLogger(__name__)

FOLDER = "adopted"
CODE_VERSION = 1
"""Goes up whenever the same input gives another output."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", re.ASCII)


@dataclass(frozen=True, slots=True)
class AdoptOptions:
    """How to adopt.

    Attributes:
        name: of the adopted collection; empty: taken from the first source.
        text_field: payload field that holds the text, or a path to it; None: found out.
        vector, sparse: names of the vectors to adopt; None: the only one there is.
        drop_near: of points with the same text, and of near duplicates, only one becomes a point.
        re_embed: new vectors from the texts, by the workspace's models.
        as_cosine: compare by cosine, whatever the collections' distance was.
        replace: take the place of what is there under the name, whatever it was made from.
        dry_run: write nothing.
        near: what near duplicates are.
    """

    name: str = ""
    text_field: str | None = None
    vector: str | None = None
    sparse: str | None = None
    drop_near: bool = False
    re_embed: bool = False
    as_cosine: bool = False
    replace: bool = False
    dry_run: bool = False
    near: NearOptions = field(default_factory=NearOptions)

    def deciding(self) -> dict[str, Any]:
        """Return what decides the result, given the points."""
        aside = ("name", "replace", "dry_run")
        return {name: value for name, value in asdict(self).items() if name not in aside}


def adopt(
    workspace: Workspace,
    sources: Sequence[str | ForeignCollection],
    options: AdoptOptions | None = None,
    *,
    api_key: str | None = None,
) -> AdoptReport:
    """Adopt collections as one.

    Args:
        sources: see :func:`ragflow.vectors.foreign.open_foreign`; their order decides which of several duplicates
            is kept.
        api_key: for Qdrant servers.

    Raises:
        UsageError: sources or options that cannot be used, or the name is taken by an adoption of other collections.
        BadInputError: a source cannot be read, or collections do not go together.
        ServiceUnavailableError: a server does not answer.
        CheckFailedError: a collection was written to while it was read.
    """
    options = options or AdoptOptions()
    if not sources:
        raise UsageError("No collection was named.", remedy="Name one or more, see `ragflow adopt --help`.")
    name = _name(options.name or _default_name(sources[0]))
    folder = workspace.home.root / FOLDER / name
    with ExitStack() as stack:
        if options.dry_run:
            scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ragflow-adopt-")))
        else:
            stack.enter_context(workspace.home.lock(f"adopt-{name}").held())
            _clean_up(folder)
            scratch = stack.enter_context(_scratch(folder))
        opened = [open_foreign(s, api_key=api_key, scratch=scratch) if isinstance(s, str) else s for s in sources]
        before = _before(folder, opened, options)
        spools = _read(opened, options, scratch, stack)
        return _decide(workspace, name, folder, spools, options, scratch, before, stack)


def _read(
    opened: Sequence[ForeignCollection], options: AdoptOptions, scratch: Path, stack: ExitStack
) -> list[CollectionSpool]:
    """Look at all collections, then read them."""
    layouts = [source.layout() for source in opened]
    chosen = [choose(source.origin, layout, options) for source, layout in zip(opened, layouts, strict=True)]
    check_collections([source.origin for source in opened], layouts, [vector for vector, _ in chosen], options)
    spools = []
    candidates = (options.text_field,) if options.text_field else TEXT_FIELDS
    for number, (source, layout, (vector, sparse)) in enumerate(zip(opened, layouts, chosen, strict=True)):
        spool = CollectionSpool(scratch / f"read-{number}", source, layout, vector, sparse, Inventory(candidates))
        stack.callback(spool.close)
        spool.read(source, f"reading {source.origin}")
        spools.append(spool)
    return spools


def _decide(
    workspace: Workspace,
    name: str,
    folder: Path,
    spools: Sequence[CollectionSpool],
    options: AdoptOptions,
    scratch: Path,
    before: dict[str, Any] | None,
    stack: ExitStack,
) -> AdoptReport:
    """Compare what was read with what is there, and write it if it is new."""
    rows = Rows(spools)
    check_read(rows, options)
    settings = {**options.deciding(), "index_from_points": workspace.index_from_points}
    if options.re_embed:
        settings["models"] = workspace.embedding_fingerprint()
    parts = [[spool.origin, spool.root, len(spool), spool.vector, spool.sparse_name] for spool in spools]
    mark = fingerprint(code=CODE_VERSION, settings=settings, collections=parts)
    is_same = before is not None and before["fingerprint"] == mark and is_intact(folder, before)
    if before is not None and is_same and not options.dry_run:
        return AdoptReport(name, folder, UNCHANGED, before)
    outcomes = merge_exact(rows)
    if options.re_embed:
        rows.embedded = embed_rows(workspace, rows, outcomes, scratch)
        stack.callback(rows.embedded.sparse.close)
    link_same(rows, outcomes, drop=options.drop_near)
    compared = link_alike(rows, outcomes, options.near, scratch, drop=options.drop_near)
    outcomes.settle()
    duplicates = duplicate_figures(rows, outcomes)
    duplicates["near"] = {**duplicates["near"], "compared": compared, "limits": asdict(options.near)}
    warnings = warnings_of(rows, outcomes, options)
    record = make_record(name, mark, settings, rows, outcomes, duplicates, warnings)
    decision = UNCHANGED if is_same else ADOPTED if not folder.exists() else REPLACED
    if options.dry_run:
        return AdoptReport(name, folder, DRY_RUN, as_dry_run(record, decision))
    record = _write(workspace, folder, rows, outcomes, record)
    log.info("adopted", extra={"collection": name, "decision": decision, "points": record["outcome"]["points_out"]})
    return AdoptReport(name, folder, decision, record)


def _write(
    workspace: Workspace, folder: Path, rows: Rows, outcomes: Outcomes, record: dict[str, Any]
) -> dict[str, Any]:
    """Build the new state beside its place, the report last, then put it there."""
    new, old = _beside(folder, "new"), _beside(folder, "old")
    new.mkdir(parents=True)
    written = write_adoption(new, rows, outcomes, workspace.index_from_points)
    store = EdgeVersionStore(new / "vectors")
    record = with_written(record, written, rows.dimension, f"{store.engine} {store.engine_version}")
    sync_tree(new)
    write_bytes(new / REPORT, orjson.dumps(record, option=orjson.OPT_INDENT_2) + b"\n")
    if folder.exists():
        folder.rename(old)
    new.rename(folder)
    sync(folder.parent)
    shutil.rmtree(old, ignore_errors=True)
    return record


def _before(folder: Path, opened: Sequence[ForeignCollection], options: AdoptOptions) -> dict[str, Any] | None:
    """Return the record of the same collections' earlier adoption; None if there is none, or it is to be replaced.

    Raises:
        UsageError: the place is taken by something else.
    """
    if options.replace or not folder.exists():
        return None
    record = read_record(folder)
    there = None if record is None else [entry["collection"] for entry in record["collections"]]
    if there != [source.origin for source in opened]:
        what = f"the adoption of {', '.join(there)}" if there is not None else "no adoption"
        raise UsageError(
            f"{folder} holds {what}.", remedy="Choose another name with --name, or give --replace to put this there."
        )
    return record


def _name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"{name!r} cannot be the name of an adopted collection.",
            remedy="Take letters, digits, '_', '.' and '-', at most 64, the first a letter or a digit.",
        )
    return name


def _default_name(source: str | ForeignCollection) -> str:
    """Return a name made of the last part of where a collection lies."""
    place = source if isinstance(source, str) else source.origin
    last = re.split(r"[/#]", place.rstrip("/"))[-1]
    last = re.sub(r"(\.(parquet|jsonl|ndjson))?(\.(gz|zst))?$", "", last, flags=re.IGNORECASE)
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", last).strip("-._")[:64] or "collection"


def _beside(folder: Path, what: str) -> Path:
    return folder.with_name(f".{what}-{folder.name}")


def _clean_up(folder: Path) -> None:
    """Remove what a killed run left, and put back what it had moved away; the caller holds the lock."""
    old = _beside(folder, "old")
    if old.exists() and not folder.exists():
        old.rename(folder)
    for what in ("old", "new", "scratch"):
        shutil.rmtree(_beside(folder, what), ignore_errors=True)


@contextmanager
def _scratch(folder: Path) -> Iterator[Path]:
    scratch = _beside(folder, "scratch")
    scratch.mkdir(parents=True)
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        shutil.rmtree(_beside(folder, "new"), ignore_errors=True)
