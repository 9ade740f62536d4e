"""What is in quarantine, why, what a person can do about it, and trying again.

Trying again writes a request and nothing else. It makes the batch stale; whoever runs that batch next, by hand, by
``ragflow ingest`` or by a sensor, takes up the documents and pages that were asked for, and no others.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ragflow.errors import BadInputError, NotFoundError
from ragflow.model.batches import BatchManifest, fold
from ragflow.model.reading import REASON_REMEDY, REASON_TEXT, Effort, PageStatus, Reason
from ragflow.pipeline.stages import OCR_TEXT, RAW_PDFS
from ragflow.pipeline.workspace import Workspace
from ragflow.sources.folder import FolderSource
from ragflow.store.rereads import Reread


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A document or a page in quarantine.

    Attributes:
        document: document key.
        page_index: 0-based; None for the whole document.
        sha256: content hash; None if the bytes could never be read.
        reason, detail: why; ``detail`` is for a person.
        batch: whose tables say so.
        arrived_at: when the batch that brought the document was made; ISO 8601, UTC.
        recorded_at: when the tables that say so were written; ISO 8601, UTC; None before a batch has been worked on.
        tries: how often it was tried on purpose: 1, and once more for each request.
    """

    document: str
    page_index: int | None
    sha256: str | None
    reason: Reason
    detail: str
    batch: str
    arrived_at: str
    recorded_at: str | None
    tries: int

    @property
    def place(self) -> tuple[str, int | None]:
        return self.document, self.page_index

    def row(self) -> dict[str, Any]:
        """Return it as a JSON object, or as a row of a table for a person."""
        return {
            "document": self.document,
            "page": None if self.page_index is None else self.page_index + 1,
            "reason": str(self.reason),
            "meaning": REASON_TEXT[self.reason],
            "detail": self.detail,
            "what_to_do": REASON_REMEDY[self.reason],
            "batch": self.batch,
            "arrived_at": self.arrived_at,
            "recorded_at": self.recorded_at,
            "tries": self.tries,
        }


def quarantined(workspace: Workspace) -> list[Quarantined]:
    """Return every document and page in quarantine, of the documents that are there now, sorted by document and page.

    Batches that have not been worked on yet have nothing to tell.

    Raises:
        IntegrityError: manifests, tables or requests are damaged.
    """
    manifests = workspace.home.manifests.all()
    corpus = fold(manifests)
    documents: dict[str, Quarantined] = {}
    opened: dict[str, list[str]] = {}
    for manifest in manifests:
        keys = [key for key, state in corpus.documents.items() if state.batch_key == manifest.key]
        shut = {entry.document: entry for entry in _documents(workspace, manifest)}
        documents.update({key: shut[key] for key in keys if key in shut})
        for key in keys:
            sha = corpus.documents[key].sha256
            if sha is not None and key not in shut:
                opened.setdefault(sha, []).append(key)
    arrived = {key: state.batch_key for key, state in corpus.documents.items()}
    made = {manifest.key: manifest.created_at for manifest in manifests}
    found = [*documents.values()]
    for home in dict.fromkeys(corpus.homes[sha] for sha in opened):
        found += _pages(workspace, home, opened, {key: made[batch] for key, batch in arrived.items()})
    return _ordered(found)


def quarantined_in(workspace: Workspace, batch: str) -> list[Quarantined]:
    """Return what one batch has in quarantine: its documents, and the pages of the contents at home in it.

    Raises:
        NotFoundError: no such batch.
        IntegrityError: tables or requests are damaged.
    """
    manifest = workspace.home.manifests.get(batch)
    shut = list(_documents(workspace, manifest))
    keys = {entry.document for entry in shut}
    opened: dict[str, list[str]] = {}
    for change in manifest.documents:
        if change.sha256 is not None and change.key not in keys:
            # One name for a content is enough here.
            opened.setdefault(change.sha256, [change.key])
    arrived = {change.key: manifest.created_at for change in manifest.documents}
    return _ordered([*shut, *_pages(workspace, batch, opened, arrived)])


def _ordered(entries: Collection[Quarantined]) -> list[Quarantined]:
    return sorted(entries, key=lambda e: (e.document, -1 if e.page_index is None else e.page_index))


def _documents(workspace: Workspace, manifest: BatchManifest) -> Iterator[Quarantined]:
    """Yield the documents of a batch that are in quarantine as a whole."""
    record = workspace.home.tables.find(RAW_PDFS, manifest.key)
    if record is None:
        return
    columns = ["document_key", "document_sha256", "reason", "detail"]
    rows = [
        row for row in workspace.home.tables.read(record, "documents", columns=columns).to_pylist() if row["reason"]
    ]
    asked = workspace.home.rereads.of({row["document_sha256"] for row in rows if row["document_sha256"]})
    for row in rows:
        sha = row["document_sha256"]
        yield _entry(
            row, row["document_key"], None, manifest.key, manifest.created_at, record.written_at, asked.get(sha)
        )


def _pages(
    workspace: Workspace, batch: str, documents: Mapping[str, Sequence[str]], arrived: Mapping[str, str]
) -> Iterator[Quarantined]:
    """Yield the pages in quarantine of contents at home in a batch.

    Args:
        documents: content hash → keys of the documents that can be opened.
        arrived: document key → when it came.
    """
    record = workspace.home.tables.find(OCR_TEXT, batch)
    if record is None:
        return
    where = [("status", "==", str(PageStatus.QUARANTINED))]
    rows = workspace.home.tables.rows(record, "page_texts", where).to_pylist()
    asked = workspace.home.rereads.of({row["document_sha256"] for row in rows})
    for row in rows:
        for key in documents.get(row["document_sha256"], ()):
            requests = asked.get(row["document_sha256"])
            yield _entry(row, key, row["page_index"], batch, arrived[key], record.written_at, requests)


def _entry(
    row: Mapping[str, Any],
    key: str,
    page_index: int | None,
    batch: str,
    arrived_at: str,
    recorded_at: str,
    requests: Sequence[Reread] | None,
) -> Quarantined:
    sha, reason = row["document_sha256"], Reason(row["reason"])
    detail = row["detail"] or REASON_TEXT[reason]
    return Quarantined(
        document=key,
        page_index=page_index,
        sha256=sha,
        reason=reason,
        # Bytes are stored under their hash; a person knows the document by its name.
        detail=detail.replace(sha, key.rsplit("/", 1)[-1]) if sha else detail,
        batch=batch,
        arrived_at=arrived_at,
        recorded_at=recorded_at,
        tries=1 + sum(request.page_index in (None, page_index) for request in requests or ()),
    )


def chosen(
    entries: Sequence[Quarantined], documents: Collection[str], reason: Reason | None = None
) -> list[Quarantined]:
    """Return the entries of these documents (none: of all), and of this reason.

    Raises:
        NotFoundError: a document has nothing in quarantine.
    """
    known = {entry.document for entry in entries}
    unknown = [key for key in documents if key not in known]
    if unknown:
        raise NotFoundError(
            f"Nothing of {unknown[0]!r} is in quarantine.",
            remedy="`ragflow quarantine list` shows the documents that have something there, by their keys.",
        )
    return [
        entry
        for entry in entries
        if (not documents or entry.document in documents) and (reason is None or entry.reason is reason)
    ]


@dataclass(frozen=True, slots=True)
class Retry:
    """What is tried again.

    Attributes:
        asked: everything that was asked for.
        batches: those to run, in order.
        hopeless: of what was asked for, what cannot be tried: document key → why, for a person.
        notes: document key → what a person should know of its file, though the stored bytes are tried.
    """

    asked: tuple[Quarantined, ...]
    batches: tuple[str, ...]
    hopeless: Mapping[str, str]
    notes: Mapping[str, str]


def request_retry(workspace: Workspace, asked: Sequence[Quarantined]) -> Retry:
    """Ask for documents and pages to be taken up again: one request for each content and page.

    Raises:
        IntegrityError: manifests or requests are damaged.
    """
    manifests = workspace.home.manifests.all()
    corpus = fold(manifests)
    hopeless: dict[str, str] = {}
    notes: dict[str, str] = {}
    for entry in {entry.document: entry for entry in asked}.values():
        problem = _file_problem(manifests, entry)
        stored = entry.sha256 is not None and workspace.home.blobs.has(entry.sha256)
        if problem is not None:
            (notes if stored else hopeless)[entry.document] = problem
    at = datetime.now(UTC).isoformat(timespec="seconds")
    wanted = [entry for entry in asked if entry.document not in hopeless and entry.sha256 is not None]
    requests = {
        (entry.sha256, entry.page_index): Reread(
            str(entry.sha256), entry.page_index, Effort.NORMAL, f"retry of {entry.reason}", at
        )
        for entry in wanted
    }
    workspace.home.rereads.add(requests.values())
    whole = {entry.sha256 for entry in wanted if entry.page_index is None}
    batches = {corpus.homes[entry.sha256] for entry in wanted if entry.sha256 is not None}
    batches |= {m.key for m in manifests if any(change.sha256 in whole for change in m.documents if change.sha256)}
    return Retry(tuple(asked), tuple(key for key in corpus.batch_keys if key in batches), hopeless, notes)


def _file_problem(manifests: Sequence[BatchManifest], entry: Quarantined) -> str | None:
    """Say what is the matter with a document's file, if it is not what was scanned; None if it is."""
    name, _, path = entry.document.partition("/")
    roots = [root for manifest in reversed(manifests) for root in manifest.sources if root.name == name]
    if not roots:
        return "Its source is not known any more."
    try:
        with FolderSource(name, Path(roots[0].location)).open(path) as stream:
            digest = hashlib.sha256()
            while data := stream.read(1 << 20):
                digest.update(data)
    except (BadInputError, OSError) as error:
        return error.message if isinstance(error, BadInputError) else f"Its file cannot be read: {error.strerror}."
    if entry.sha256 is None:
        return "Its file can be read now: run `ragflow ingest`, and it is taken up."
    return (
        None
        if digest.hexdigest() == entry.sha256
        else "Its file has changed since: run `ragflow ingest` to take it up."
    )


@dataclass(frozen=True, slots=True)
class RetryOutcome:
    """What came of a retry.

    Attributes:
        released: what is no longer in quarantine, as it was before.
        stayed: what still is, as it is now.
        pages_left: released document → its pages that are in quarantine now, one by one.
    """

    released: tuple[Quarantined, ...]
    stayed: tuple[Quarantined, ...]
    pages_left: Mapping[str, tuple[Quarantined, ...]]


def retry_outcome(workspace: Workspace, retry: Retry) -> RetryOutcome:
    """Compare what was asked for with what is in quarantine now.

    Raises:
        IntegrityError: manifests, tables or requests are damaged.
    """
    now = {entry.place: entry for entry in quarantined(workspace)}
    released: list[Quarantined] = []
    stayed: list[Quarantined] = []
    pages_left: dict[str, tuple[Quarantined, ...]] = {}
    for entry in retry.asked:
        still = now.get(entry.place) or now.get((entry.document, None))
        if still is not None:
            stayed.append(still)
            continue
        released.append(entry)
        if entry.page_index is None:
            left = tuple(other for other in now.values() if other.document == entry.document)
            pages_left.update({entry.document: left} if left else {})
    return RetryOutcome(tuple(released), tuple(stayed), pages_left)
