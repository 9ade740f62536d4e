"""Build a candidate: a clone of the live version plus the difference to what should be there."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from ragflow.model.batches import Corpus, fold
from ragflow.model.merkle import batch_roots, version_root
from ragflow.model.points import Delta, Point, diff
from ragflow.model.releases import Decision, VersionRecord
from ragflow.pipeline.desired import by_home, corpus_fingerprint, desired_points, load_inputs, table_outputs, titles
from ragflow.pipeline.observed import observed_hash
from ragflow.pipeline.progress import report
from ragflow.pipeline.workspace import Workspace
from ragflow.quality.points import Origin
from ragflow.vectors.protocols import CollectionWriter

log = logging.getLogger(__name__)

UPSERT = 1000
"""Points written at a time."""


@dataclass(frozen=True, slots=True)
class CandidateReport:
    """A version that is ready for the gate.

    Attributes:
        record: what it was built from.
        reused: True if this version stood already (nothing changed since it was built).
        live: the version that serves now; None if none does.
    """

    record: VersionRecord
    reused: bool
    live: str | None


def build_candidate(workspace: Workspace, *, rebuild: bool = False) -> CandidateReport:
    """Build the collection version for what the manifests and tables say now, unless it stands already.

    Args:
        rebuild: build it anew, from nothing, even if it stands: the way out when a version was damaged.

    Raises:
        IncompleteError: a batch has not been through all stages.
        IntegrityError: a table cannot be read.
    """
    with workspace.home.lock("release").held():
        return _build(workspace, rebuild)


def _build(workspace: Workspace, rebuild: bool) -> CandidateReport:
    versions = workspace.versions()
    alias = versions.alias()
    live = alias.version if alias else None
    corpus = fold(workspace.home.manifests.all())
    fingerprint, batches = corpus_fingerprint(workspace, corpus)
    complete = set(versions.versions())
    known = [record for record in workspace.home.version_records.all() if record.version in complete]
    for record in reversed(known):
        if not rebuild and record.corpus_fingerprint == fingerprint and not _was_rejected(workspace, record.version):
            return CandidateReport(record=record, reused=True, live=live)
    configuration = workspace.configuration_fingerprint()
    base = None
    if not rebuild:
        # The model, the chunker or the settings changed: that is a reindex, and starts empty.
        base = next((r for r in known if r.version == live and r.configuration_fingerprint == configuration), None)
    started = datetime.now(UTC).isoformat(timespec="seconds")
    tables = keep_tables(workspace, corpus)
    version = _next_version(workspace)
    settings = workspace.collection_settings()
    writer = versions.clone(base.version, version, settings) if base else versions.create(version, settings)
    with writer:
        owners = desired_owners(workspace, corpus)
        desired = {identifier: digest for identifier, (digest, _) in owners.items()}
        observed = {point.id: observed_hash(point) for points in writer.scroll() for point in points} if base else {}
        delta = diff(desired, observed)
        _apply(workspace, corpus, writer, delta)
        count = writer.count()
        writer.finish()
    roots = batch_roots({identifier: (origin.batch, digest) for identifier, (digest, origin) in owners.items()})
    record = VersionRecord(
        version=version,
        base=base.version if base else None,
        built_at=started,
        dimension=settings.dimension,
        configuration_fingerprint=configuration,
        corpus_fingerprint=fingerprint,
        batches=batches,
        points=count,
        merkle_root=version_root(roots),
        upserted=len(delta.upserts),
        deleted=len(delta.deletes),
        unchanged=delta.unchanged,
        tables=tables,
        batch_roots=roots,
        configuration=workspace.configuration(),
        fusion=workspace.fusion().to_dict(),
    )
    workspace.home.version_records.put(record)
    log.info("candidate built", extra={"version": version, "points": count, "upserted": record.upserted})
    return CandidateReport(record=record, reused=False, live=live)


def _was_rejected(workspace: Workspace, version: str) -> bool:
    """A rejected candidate stays for inspection, and is never offered again: the next build starts afresh."""
    return any(r.version == version and r.decision is Decision.REJECTED for r in workspace.home.releases)


def _next_version(workspace: Workspace) -> str:
    used = {
        *workspace.versions().versions(),
        *(record.version for record in workspace.home.version_records.all()),
        *(record.version for record in workspace.home.releases),
    }
    return f"v{max((int(name[1:]) for name in used), default=0) + 1:06d}"


def keep_tables(workspace: Workspace, corpus: Corpus) -> dict[str, dict[str, str]]:
    """Have the tables that stand now kept for the version that is built from them; return their hashes.

    Raises:
        IncompleteError: a batch has not been through all stages.
    """
    tables = workspace.home.tables
    outputs = table_outputs(workspace, corpus)
    for asset, batches in outputs.items():
        for batch in batches:
            tables.keep(tables.get(asset, batch))
    return outputs


Owners = Mapping[uuid.UUID, tuple[bytes, Origin]]
"""Point id → point hash, and where it comes from, for everything that should be there."""


def desired_owners(workspace: Workspace, corpus: Corpus) -> dict[uuid.UUID, tuple[bytes, Origin]]:
    """Return the hash and the origin of everything that should be in the collection."""
    title_of = titles(workspace, corpus)
    homes = by_home(corpus)
    owners: dict[uuid.UUID, tuple[bytes, Origin]] = {}
    for number, (batch, contents) in enumerate(sorted(homes.items())):
        report("work out points", number + 1, len(homes))
        for desired in desired_points(load_inputs(workspace, batch), contents, title_of):
            origin = Origin(desired.document_key, desired.page_number, batch, desired.content)
            owners[desired.point.id] = (desired.sha256, origin)
    return owners


def _apply(workspace: Workspace, corpus: Corpus, writer: CollectionWriter, delta: Delta) -> None:
    if delta.deletes:
        writer.delete(delta.deletes)
    done = 0
    for points in _groups(_points(workspace, corpus, frozenset(delta.upserts))):
        writer.upsert(points)
        done += len(points)
        report("write points", done, len(delta.upserts))


def _points(workspace: Workspace, corpus: Corpus, wanted: frozenset[uuid.UUID]) -> Iterator[Point]:
    if not wanted:
        return
    title_of = titles(workspace, corpus)
    left = len(wanted)
    for batch, contents in sorted(by_home(corpus).items()):
        if not left:
            return
        for desired in desired_points(load_inputs(workspace, batch), contents, title_of, only=wanted):
            left -= 1
            yield desired.point


def _groups(points: Iterable[Point]) -> Iterator[list[Point]]:
    group: list[Point] = []
    for point in points:
        group.append(point)
        if len(group) == UPSERT:
            yield group
            group = []
    if group:
        yield group
