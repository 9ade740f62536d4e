"""Reindex: build a version with another model, chunk length or collection settings, and say what it costs and gains.

The settings say what is wanted; the record of the live version says what was. The live version serves, and is searched
with the model that it was built with, until the new one has passed the gate.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from ragflow.chunking import chunk_pages
from ragflow.errors import IntegrityError, NotFoundError
from ragflow.model.batches import BatchManifest
from ragflow.model.fingerprints import canonical_json
from ragflow.model.releases import VersionRecord
from ragflow.pipeline.asking import draw_questions
from ragflow.pipeline.chunks import page_texts
from ragflow.pipeline.examination import find_version
from ragflow.pipeline.progress import report
from ragflow.pipeline.release import live_version
from ragflow.pipeline.retrieval_quality import ask
from ragflow.pipeline.stages import CHUNKS, EMBEDDINGS, OCR_TEXT, RAW_PDFS, STAGES
from ragflow.pipeline.staleness import stale_stage
from ragflow.pipeline.workspace import Workspace
from ragflow.quality.readiness import Answers
from ragflow.store.atomic import write_bytes

SAMPLE_PAGES = 300
"""Pages that are cut for the estimate."""
SAMPLE_TEXTS = 64
"""Texts that are embedded for the estimate."""


@dataclass(frozen=True, slots=True)
class ReindexPlan:
    """What a reindex would do.

    Attributes:
        live: the version that serves now.
        changes: setting → (what it was when ``live`` was built, what it is now).
        stale: stage → batches that begin again there.
        pages: indexed pages; ``pages_to_read`` of them are at home in batches whose reading is stale: so many are read
            again at most.
        points: that the new version will have, about.
        embeddings: texts to be embedded, about.
        seconds: that embedding takes on this machine, by a sample; reading is not in it.
        size_bytes: of the live version; ``size_after`` what the new one will take, about. Both are kept.
    """

    live: str
    changes: Mapping[str, tuple[Any, Any]]
    stale: Mapping[str, int]
    pages: int
    pages_to_read: int
    points: int
    embeddings: int
    seconds: float
    size_bytes: int
    size_after: int

    @property
    def is_needed(self) -> bool:
        return bool(self.changes or self.stale)


def plan_reindex(workspace: Workspace) -> ReindexPlan:
    """Say what a reindex with the present settings would change and cost; nothing is written.

    Raises:
        NotFoundError: nothing is live, so there is nothing to be built anew.
    """
    live = live_version(workspace)
    if live is None:
        raise NotFoundError("Nothing is live yet.", remedy="Run `ragflow ingest` first.")
    record = find_version(workspace, live)
    manifests = workspace.home.manifests.all()
    stale = _stale(workspace, manifests)
    pages, to_read = _pages(workspace, manifests, stale)
    changes = _changes(record.configuration, workspace.configuration())
    again = [key for key, stage in stale.items() if stage in (RAW_PDFS, OCR_TEXT, CHUNKS)]
    cut, texts = _cut(workspace, again)
    per_page = cut / len(texts) if texts else 0.0
    standing = {key: _rows(workspace, CHUNKS, key) for key in record.batches if key not in again}
    fresh = round(per_page * sum(_indexed(workspace, key) for key in again))
    chunks = sum(standing.values()) + fresh
    # A content under several names has points for each, so points are reckoned from those that there are.
    before = sum(_rows(workspace.at(record), CHUNKS, key) for key in record.batches)
    points = round(record.points * chunks / before) if before else chunks
    embeddings = fresh + sum(count for key, count in standing.items() if stale.get(key) == EMBEDDINGS)
    seconds = _seconds(workspace, texts, embeddings)
    size = workspace.versions().size_bytes(live)
    dimension = workspace.dense().dimension / record.dimension
    return ReindexPlan(
        live=live,
        changes=changes,
        stale=dict(Counter(stale.values())),
        pages=pages,
        pages_to_read=to_read,
        points=points,
        embeddings=embeddings,
        seconds=seconds,
        size_bytes=size,
        size_after=round(size * dimension * points / record.points) if record.points else size,
    )


def _changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    flat_before, flat_now = _flat(before), _flat(now)
    names = sorted({*flat_before, *flat_now})
    return {
        name: (flat_before.get(name), flat_now.get(name))
        for name in names
        if flat_before.get(name) != flat_now.get(name)
    }


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in values.items():
        found |= _flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {f"{prefix}{name}": value}
    return found


def _stale(workspace: Workspace, manifests: Sequence[BatchManifest]) -> dict[str, str]:
    """Return batch key → the first stage that has to be done again."""
    found: dict[str, str] = {}
    for number, manifest in enumerate(manifests):
        report("look at batches", number + 1, len(manifests))
        problem = stale_stage(workspace, manifest)
        if problem is not None:
            # A record that cannot be read does not begin with a stage: everything is made anew.
            first = problem.split(" ", 1)[0]
            found[manifest.key] = first if first in STAGES else RAW_PDFS
    return found


def _pages(workspace: Workspace, manifests: Sequence[BatchManifest], stale: Mapping[str, str]) -> tuple[int, int]:
    indexed = {manifest.key: _indexed(workspace, manifest.key) for manifest in manifests}
    again = sum(count for key, count in indexed.items() if stale.get(key) in (RAW_PDFS, OCR_TEXT))
    return sum(indexed.values()), again


def _indexed(workspace: Workspace, batch: str) -> int:
    record = workspace.home.tables.find(OCR_TEXT, batch)
    return int(record.figures["indexed"]) if record is not None else 0


def _rows(workspace: Workspace, asset: str, batch: str) -> int:
    record = workspace.home.tables.find(asset, batch)
    return record.files[asset].rows if record is not None else 0


def _cut(workspace: Workspace, batches: Sequence[str]) -> tuple[int, list[str]]:
    """Cut some pages of the batches with the present settings; return how many pieces, and one text per page cut.

    If no batch is cut again, some texts of the chunks that stand serve as the sample.
    """
    counter, options = workspace.tokenizer(), workspace.chunk_options()
    count, texts = 0, list[str]()
    for batch in batches:
        record = workspace.home.tables.find(OCR_TEXT, batch)
        for pages in page_texts(workspace, record) if record is not None else ():
            for pieces in chunk_pages(pages, counter, options):
                count += len(pieces)
                texts.append(pieces[0].text if pieces else "")
            if len(texts) >= SAMPLE_PAGES:
                return count, texts
    return count, texts


def _seconds(workspace: Workspace, texts: Sequence[str], embeddings: int) -> float:
    """Say how long so many embeddings take, by embedding a few."""
    sample = [text for text in texts if text][:SAMPLE_TEXTS] or _standing_texts(workspace)
    if not sample or not embeddings:
        return 0.0
    workspace.dense().encode(sample[:1])  # loads the model
    started = time.perf_counter()
    workspace.dense().encode(sample)
    return round((time.perf_counter() - started) / len(sample) * embeddings, 1)


def _standing_texts(workspace: Workspace) -> list[str]:
    tables = workspace.home.tables
    for batch in tables.batches(CHUNKS):
        found = tables.read(tables.get(CHUNKS, batch), "chunks", columns=["text"]).column("text").to_pylist()
        if found:
            limit = workspace.tokenizer().max_tokens
            counted = workspace.tokenizer().count(found[:SAMPLE_TEXTS])
            return [text for text, count in zip(found, counted, strict=False) if count <= limit]
    return []


def request_reindex(workspace: Workspace) -> ReindexPlan:
    """Ask for a reindex with the settings as they are now: the daemon runs the stale batches, then the release.

    Raises:
        NotFoundError: nothing is live.
    """
    plan = plan_reindex(workspace)
    if plan.is_needed:
        asked = {"configuration_fingerprint": workspace.configuration_fingerprint(), "live": plan.live}
        write_bytes(_request_path(workspace), canonical_json(asked))
    return plan


def batches_to_reindex(workspace: Workspace) -> dict[str, str]:
    """Return the stale batches, if a reindex with the present settings was asked for: batch key → what tells this
    occasion from another. Settings that were changed after they were asked for ask for nothing.

    Raises:
        IntegrityError: the request is damaged.
    """
    path = _request_path(workspace)
    try:
        asked = orjson.loads(path.read_bytes())
        wanted = str(asked["configuration_fingerprint"])
    except FileNotFoundError:
        return {}
    except (orjson.JSONDecodeError, KeyError, TypeError) as error:
        raise IntegrityError(f"{path} is damaged ({error}).", remedy="Delete it, and ask again.") from error
    if wanted != workspace.configuration_fingerprint():
        return {}
    return {batch: wanted[:32] for batch in _stale(workspace, workspace.home.manifests.all())}


def _request_path(workspace: Workspace) -> Path:
    return workspace.home.root / "rereads" / "reindex.json"


@dataclass(frozen=True, slots=True)
class VersionFigures:
    """One version beside another.

    Attributes:
        ndcg, recall: at 10, over all questions that it can answer; None if there are none.
        latency_ms: 95th percentile.
    """

    version: str
    model: str
    points: int
    size_bytes: int
    ndcg: float | None
    recall: float | None
    latency_ms: float | None


def compare(workspace: Workspace, before: str, after: str) -> tuple[VersionFigures, VersionFigures]:
    """Ask two versions the same questions, each with the model that it was built with.

    Raises:
        NotFoundError: one of the versions, or its model, is not there.
    """
    questions = draw_questions(workspace, after)

    def figures(version: str) -> VersionFigures:
        record = find_version(workspace, version)
        return _figures(workspace, record, ask(workspace, questions, version))

    return figures(before), figures(after)


def _figures(workspace: Workspace, record: VersionRecord, answers: Answers) -> VersionFigures:
    scores = [answer.score.figures for answer in answers.answers]

    def mean(name: str) -> float | None:
        return round(sum(getattr(score, name) for score in scores) / len(scores), 4) if scores else None

    return VersionFigures(
        version=record.version,
        model=str(record.configuration.get("model", workspace.embedding.model)),
        points=record.points,
        size_bytes=workspace.versions().size_bytes(record.version),
        ndcg=mean("ndcg"),
        recall=mean("recall"),
        latency_ms=round(answers.p95_ms, 2) if answers.answers else None,
    )
