"""Examine a collection version: everything that was recorded for it is read again and recomputed.

The gate examines a candidate before it goes live; ``ragflow verify`` examines what is served. Neither trusts that a
check passed in some other run.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ragflow.errors import IncompleteError, IntegrityError, NotFoundError, RagflowError
from ragflow.model.batches import BatchManifest, Corpus, check_chain, fold
from ragflow.model.ledger import Ledger
from ragflow.model.releases import VersionRecord
from ragflow.model.verdicts import MAX_ROWS, Outcome, Verdict
from ragflow.ocr.pool import TaskFailure
from ragflow.pipeline import chunks, embeddings, ocr_text, raw_pdfs
from ragflow.pipeline.batch_checks import CHECK_NAMES, NOT_BLOCKING, check_batches, low_confidence
from ragflow.pipeline.collection import desired_owners, observed_hash, version_root
from ragflow.pipeline.ledger import corpus_ledger
from ragflow.pipeline.progress import report
from ragflow.pipeline.stages import CHUNKS, EMBEDDINGS, OCR_TEXT, RAW_PDFS
from ragflow.pipeline.workspace import Workspace
from ragflow.quality.pages import coverage, ledger_adds_up
from ragflow.quality.points import points_exact
from ragflow.vectors.edge import EdgeVersionStore
from ragflow.vectors.protocols import CollectionReader

SALVAGE_SECONDS = 600.0
"""Time limit for reading a damaged version."""

Owners = Mapping[uuid.UUID, tuple[bytes, str, int]]
"""Point id → (point hash, document key, page number), for everything that should be there."""

VERDICT_NAMES = (
    "manifests_chained",
    "stages_current",
    *dict.fromkeys(name for asset in CHECK_NAMES for name in CHECK_NAMES[asset] if name not in NOT_BLOCKING),
    "ledger",
    "coverage",
    "low_confidence",
    "points_exact",
    "version_sealed",
    "ready",
)
"""Every verdict that an examination returns, in order."""


@dataclass(frozen=True, slots=True)
class Examination:
    """What was found.

    Attributes:
        record: of the version examined.
        verdicts: one per check, over all batches.
        ledger: of the documents in the version; empty if the tables do not allow to count.
        seconds: what it took.
    """

    record: VersionRecord
    verdicts: tuple[Verdict, ...]
    ledger: Ledger
    seconds: float

    @property
    def passed(self) -> bool:
        return all(verdict.passed for verdict in self.verdicts)


def examine(workspace: Workspace, version: str) -> Examination:
    """Recompute the chain of a version: stored bytes, tables, chunks, vectors, points, and the record's seal.

    Raises:
        NotFoundError: there is no such version.
    """
    started = time.monotonic()
    record = workspace.home.version_records.find(version)
    if record is None:
        raise NotFoundError(f"There is no record of version {version}.", remedy="See `ragflow releases`.")
    verdicts: list[Verdict] = []
    manifests = _manifests(workspace, record, verdicts)
    corpus = fold(manifests)
    verdicts.append(_stages_current(workspace, manifests, record))
    by_batch = check_batches(workspace, [manifest.key for manifest in manifests])
    verdicts += merge(v for v in by_batch if v.name not in NOT_BLOCKING)
    ledger = Ledger()
    try:
        ledger = corpus_ledger(workspace, corpus)
        verdicts += [ledger_adds_up(ledger), coverage(ledger, workspace.gate.coverage, scope="the archive")]
        verdicts.append(_confidence(workspace, corpus))
        verdicts += _points(workspace, record, corpus)
    except (IncompleteError, IntegrityError, KeyError) as error:
        message = error.message if isinstance(error, RagflowError) else f"a table lacks the entry {error}"
        verdicts.append(
            Verdict(
                "points_exact",
                Outcome.FAIL,
                f"The points cannot be recomputed: {message}",
                remedy="See the other verdicts.",
            )
        )
    verdicts.sort(key=lambda verdict: VERDICT_NAMES.index(verdict.name))
    return Examination(record, tuple(verdicts), ledger, round(time.monotonic() - started, 2))


def _confidence(workspace: Workspace, corpus: Corpus) -> Verdict:
    """How sure the words of the contents that are there now are, each counted once."""
    names = {state.sha256: key for key, state in sorted(corpus.documents.items(), reverse=True) if state.sha256}
    homes = {sha: corpus.homes[sha] for sha in names}
    return low_confidence(workspace, homes, names, scope="the archive")


def _manifests(workspace: Workspace, record: VersionRecord, verdicts: list[Verdict]) -> list[BatchManifest]:
    """Return the manifests that the version was built from; adds the verdict on their chain."""
    try:
        every = workspace.home.manifests.all()
        check_chain(every)
        missing = set(record.batches) - {manifest.key for manifest in every}
        if missing:
            raise IntegrityError(
                f"The manifests of {sorted(missing)} are missing.", remedy="Restore them from a backup."
            )
    except IntegrityError as error:
        verdicts.append(
            Verdict(
                "manifests_chained",
                Outcome.FAIL,
                error.message,
                remedy=error.remedy,
                rows=({"problem": error.message},),
            )
        )
        return [manifest for key in record.batches if (manifest := _readable(workspace, key)) is not None]
    verdicts.append(
        Verdict(
            "manifests_chained", Outcome.PASS, f"The chain of {len(every)} batches is unbroken.", figure=0, threshold=0
        )
    )
    return [manifest for manifest in every if manifest.key in record.batches]


def _readable(workspace: Workspace, key: str) -> BatchManifest | None:
    try:
        return workspace.home.manifests.get(key)
    except (IntegrityError, NotFoundError):
        # Already reported as a broken chain; the other batches are still worth checking.
        return None


def _stages_current(workspace: Workspace, manifests: Sequence[BatchManifest], record: VersionRecord) -> Verdict:
    """Each stage of each batch was made from what stands before it now, and is what the version was built from."""
    failures = []
    for manifest in manifests:
        problem = stale_stage(workspace, manifest)
        built_from = record.batches[manifest.key]
        if problem is not None:
            failures.append({"batch": manifest.key, "problem": problem})
        elif workspace.home.tables.get(EMBEDDINGS, manifest.key).output_sha256 != built_from:
            failures.append({"batch": manifest.key, "problem": "was made anew after this version was built"})
    return Verdict(
        "stages_current",
        Outcome.FAIL if failures else Outcome.PASS,
        f"{len(failures)} batches are out of date." if failures else f"All {len(manifests)} batches are up to date.",
        figure=len(failures),
        threshold=0,
        remedy="Run `ragflow ingest`, or materialize the named partitions, and release again." if failures else "",
        rows=tuple(failures[:MAX_ROWS]),
    )


def stale_stage(workspace: Workspace, manifest: BatchManifest) -> str | None:
    """Return which stage of a batch is missing, damaged or out of date, for a person; None if all are up to date.

    Damage is looked for in the records only; the tables' bytes are hashed by the checks.
    """
    try:
        return _stale_stage(workspace, manifest)
    except IntegrityError as error:
        return error.message


def _stale_stage(workspace: Workspace, manifest: BatchManifest) -> str | None:
    tables = workspace.home.tables
    raw = tables.find(RAW_PDFS, manifest.key)
    if raw is None or raw.fingerprint != raw_pdfs.expected_fingerprint(workspace, manifest):
        return f"{RAW_PDFS} {'is out of date' if raw else 'is missing'}"
    outdated = raw_pdfs.why_outdated(workspace, raw)
    if outdated is not None:
        return f"{RAW_PDFS} is out of date: {outdated}"
    texts = tables.find(OCR_TEXT, manifest.key)
    if texts is None or texts.fingerprint != ocr_text.expected_fingerprint(workspace, raw):
        return f"{OCR_TEXT} {'is out of date' if texts else 'is missing'}"
    cut = tables.find(CHUNKS, manifest.key)
    if cut is None or cut.fingerprint != chunks.expected_fingerprint(workspace, texts):
        return f"{CHUNKS} {'is out of date' if cut else 'is missing'}"
    vectors = tables.find(EMBEDDINGS, manifest.key)
    if vectors is None or vectors.fingerprint != embeddings.expected_fingerprint(workspace, cut):
        return f"{EMBEDDINGS} {'is out of date' if vectors else 'is missing'}"
    return None


def merge(verdicts: Iterable[Verdict]) -> list[Verdict]:
    """Make one verdict per name out of those of all batches: it fails if one of them failed."""
    by_name: dict[str, list[Verdict]] = {}
    for verdict in verdicts:
        by_name.setdefault(verdict.name, []).append(verdict)
    merged = []
    for name, group in by_name.items():
        failed = [verdict for verdict in group if not verdict.passed]
        if not failed:
            merged.append(replace(group[0], summary=f"{len(group)} checks passed.", figure=0, threshold=0, rows=()))
            continue
        rows = [row for verdict in failed for row in verdict.rows]
        merged.append(
            Verdict(
                name,
                Outcome.FAIL,
                f"{len(failed)} of {len(group)} checks failed: {failed[0].summary}",
                figure=len(failed),
                threshold=0,
                remedy=failed[0].remedy,
                rows=tuple(rows[:MAX_ROWS]),
            )
        )
    return merged


def _points(workspace: Workspace, record: VersionRecord, corpus: Corpus) -> list[Verdict]:
    owners = desired_owners(workspace, corpus)
    try:
        with workspace.versions().open(record.version) as reader:
            observed, doubled, places = read_points(reader)
            ready = _ready(reader, record)
    except (IntegrityError, NotFoundError) as error:
        return _salvaged(workspace, record, owners, error)
    known = {**places, **{identifier: (document, page) for identifier, (_, document, page) in owners.items()}}
    desired = {identifier: digest for identifier, (digest, _, _) in owners.items()}
    return [points_exact(desired, observed, doubled, known), _seal(record, observed), ready]


@dataclass(frozen=True, slots=True)
class SalvageTask:
    """A damaged version to read as far as it goes."""

    vectors: Path
    version: str


def salvage(task: SalvageTask) -> tuple[dict[uuid.UUID, bytes], list[uuid.UUID], Places]:
    """Run in a worker process: an engine may crash on damaged files."""
    with EdgeVersionStore(task.vectors).open(task.version, salvage=True) as reader:
        return read_points(reader)


def _salvaged(
    workspace: Workspace, record: VersionRecord, owners: Owners, error: IntegrityError | NotFoundError
) -> list[Verdict]:
    """Return the verdicts on a version that does not open as it should, naming the points concerned if they show."""
    file_row: dict[str, Any] = {"problem": error.message}
    rows: tuple[dict[str, Any], ...] = ()
    if isinstance(error, IntegrityError):
        task = SalvageTask(workspace.home.vectors, record.version)
        ((_, found),) = workspace.pool().map(salvage, [task], seconds=lambda _: SALVAGE_SECONDS)
        if not isinstance(found, TaskFailure):
            observed, doubled, places = found
            known = {**places, **{identifier: (document, page) for identifier, (_, document, page) in owners.items()}}
            desired = {identifier: digest for identifier, (digest, _, _) in owners.items()}
            rows = points_exact(desired, observed, doubled, known).rows
    return [
        Verdict("points_exact", Outcome.FAIL, error.message, remedy=error.remedy, rows=(file_row, *rows)),
        Verdict("version_sealed", Outcome.FAIL, error.message, remedy=error.remedy, rows=(file_row,)),
    ]


Places = dict[uuid.UUID, tuple[str, int]]


def read_points(reader: CollectionReader) -> tuple[dict[uuid.UUID, bytes], list[uuid.UUID], Places]:
    """Read a whole version; return point id → hash, ids met twice, and point id → (document, page number)."""
    observed: dict[uuid.UUID, bytes] = {}
    doubled: list[uuid.UUID] = []
    places: Places = {}
    total, done = reader.count(), 0
    for points in reader.scroll():
        for point in points:
            if point.id in observed:
                doubled.append(point.id)
            observed[point.id] = observed_hash(point)
            places[point.id] = (str(point.payload.get("document_key")), int(point.payload.get("page_number") or 0))
        done += len(points)
        report("read points", done, total)
    return observed, doubled, places


def sealed(workspace: Workspace, record: VersionRecord) -> Verdict:
    """Read a version and hold its points against the seal in its record."""
    try:
        with workspace.versions().open(record.version) as reader:
            observed, _, _ = read_points(reader)
    except IntegrityError as error:
        return Verdict("version_sealed", Outcome.FAIL, error.message, remedy=error.remedy)
    return _seal(record, observed)


def _seal(record: VersionRecord, observed: Mapping[uuid.UUID, bytes]) -> Verdict:
    root = version_root(observed)
    ok = root == record.merkle_root and len(observed) == record.points
    return Verdict(
        "version_sealed",
        Outcome.PASS if ok else Outcome.FAIL,
        f"The Merkle root over {len(observed)} points is "
        + (f"{root[:16]}…, as recorded." if ok else f"{root[:16]}…, not {record.merkle_root[:16]}… as recorded."),
        figure=len(observed),
        threshold=record.points,
        remedy="" if ok else "Run `ragflow ingest --rebuild` to build and prove a new version, or `ragflow rollback`.",
    )


def _ready(reader: CollectionReader, record: VersionRecord) -> Verdict:
    """The engine has finished its work on the version, and answers a query."""
    info = reader.info()
    started = time.perf_counter()
    hits = reader.search_dense(np.full(record.dimension, record.dimension**-0.5, dtype=np.float32), 1)
    milliseconds = round((time.perf_counter() - started) * 1000, 2)
    ok = info.optimized and (bool(hits) or record.points == 0)
    return Verdict(
        "ready",
        Outcome.PASS if ok else Outcome.FAIL,
        f"The version answers a query in {milliseconds} ms and has {info.segments} segments"
        + ("." if info.optimized else ", which are still being optimised."),
        figure=milliseconds,
        remedy="" if ok else "Run `ragflow ingest --rebuild`.",
    )
