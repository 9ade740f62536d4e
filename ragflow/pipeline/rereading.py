"""Pages that OCR read badly: find them, ask for a thorough reading, and say what came of it.

Asking writes a request and nothing else. It makes the batch of the page stale; whoever runs that batch next, by hand,
by ``ragflow ingest`` or by a sensor, reads the page with every engine.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from ragflow.errors import IntegrityError, UsageError
from ragflow.model.batches import Corpus, fold
from ragflow.model.fingerprints import fingerprint
from ragflow.model.reading import Effort, PageStatus, Reason
from ragflow.ocr.options import TEXT_LAYER
from ragflow.ocr.passwords import load_passwords
from ragflow.pipeline.raw_pdfs import untried_passwords
from ragflow.pipeline.stages import OCR_TEXT, RAW_PDFS
from ragflow.pipeline.staleness import stale_stage
from ragflow.pipeline.workspace import Workspace
from ragflow.store.rereads import Reread

WORTH_A_TRY = frozenset({Reason.NO_TEXT_FOUND, Reason.ENGINE_FAILED, Reason.TIMED_OUT})
"""Quarantine reasons of a page that a thorough reading may overcome."""

COLUMNS = [
    "document_sha256",
    "page_index",
    "status",
    "reason",
    "engine",
    "text",
    "words_sha256",
    "effort",
    "confidence",
    "weakest_block",
]


@dataclass(frozen=True, slots=True)
class WeakPage:
    """A page that is worth another reading, as it stands.

    Attributes:
        document: a document with this content, by its key.
        batch: where the content is at home.
        confidence, weakest_block: as in ``page_texts``; None for a page without words.
        characters: visible ones.
        words_sha256: hash of its words.
    """

    document: str
    sha256: str
    page_index: int
    batch: str
    confidence: float | None
    weakest_block: float | None
    characters: int
    words_sha256: str

    @property
    def worst(self) -> float:
        """The lower of both confidences; 0.0 for a page without words."""
        return min(self.confidence or 0.0, self.weakest_block or 0.0)

    @property
    def score(self) -> float:
        """The confidence summed over all characters: more text, and surer, is better."""
        return (self.confidence or 0.0) * self.characters

    def row(self) -> dict[str, Any]:
        """Return it as a row of a table for a person."""
        rounded = {
            name: "" if value is None else round(value, 4)
            for name, value in (("confidence", self.confidence), ("weakest_block", self.weakest_block))
        }
        return {"document": self.document, "page": self.page_index + 1, **rounded}


@dataclass(frozen=True, slots=True)
class RereadRequest:
    """What is to be read again.

    Attributes:
        pages: the worst first.
        batches: those that the pages are at home in, in order.
    """

    pages: tuple[WeakPage, ...]
    batches: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RereadOutcome:
    """What came of a request.

    Attributes:
        pages: pages asked for.
        read: of those, pages that were read thoroughly since.
        improved: of those, pages that have more text, or surer text, than before.
        unchanged: of those, the others.
        confidence_before, confidence_after: mean over the characters of all pages asked for; None without characters.
    """

    pages: int
    read: int
    improved: int
    unchanged: int
    confidence_before: float | None
    confidence_after: float | None


def request_rereads(workspace: Workspace, below: float, *, limit: int | None = None) -> RereadRequest:
    """Ask for a thorough reading of the pages of live documents that OCR read badly, or could not read.

    A page that was read thoroughly already is left alone. One that was asked for before, but has not been read yet, is
    in the answer, and is not asked for a second time.

    Args:
        below: pages whose mean, or whose weakest block, has a lower confidence; above 0.0, up to 1.0.
        limit: most pages, the worst first.

    Raises:
        UsageError: an argument is out of range.
        IntegrityError: a table cannot be read.
    """
    if not 0.0 < below <= 1.0:
        raise UsageError(f"A confidence of {below} is not possible.", remedy="Name one above 0 and up to 1, say 0.8.")
    if limit is not None and limit < 1:
        raise UsageError(f"{limit} pages cannot be read again.", remedy="Name 1 or more, or no limit.")
    corpus = fold(workspace.home.manifests.all())
    found = sorted(
        (page for page, weak in _pages(workspace, corpus, below) if weak),
        key=lambda page: (page.worst, page.document, page.page_index),
    )
    pages = tuple(found[:limit])
    standing = workspace.home.rereads.of({page.sha256 for page in pages})
    asked = {
        (request.sha256, request.page_index)
        for requests in standing.values()
        for request in requests
        if request.effort is Effort.THOROUGH
    }
    at = datetime.now(UTC).isoformat(timespec="seconds")
    why = f"reocr: confidence below {below:g}, or no text"
    workspace.home.rereads.add(
        Reread(page.sha256, page.page_index, Effort.THOROUGH, why, at)
        for page in pages
        if (page.sha256, page.page_index) not in asked
    )
    return RereadRequest(pages, tuple(sorted({page.batch for page in pages}, key=corpus.batch_keys.index)))


def reread_outcome(workspace: Workspace, request: RereadRequest) -> RereadOutcome:
    """Compare the pages of a request with what stands in the tables now.

    Raises:
        IntegrityError: a table cannot be read.
    """
    corpus = fold(workspace.home.manifests.all())
    before = {(page.sha256, page.page_index): page for page in request.pages}
    after: dict[tuple[str, int], WeakPage] = {}
    read = 0
    for page, _ in _pages(workspace, corpus, 1.0, only=frozenset(request.batches), thorough=True):
        key = page.sha256, page.page_index
        if key in before:
            after[key] = page
            read += 1
    improved = sum(page.score > before[key].score for key, page in after.items())
    return RereadOutcome(
        pages=len(request.pages),
        read=read,
        improved=improved,
        unchanged=read - improved,
        confidence_before=_mean(list(before.values())),
        confidence_after=_mean([after.get(key, page) for key, page in before.items()]),
    )


def _mean(pages: list[WeakPage]) -> float | None:
    characters = sum(page.characters for page in pages)
    return round(sum(page.score for page in pages) / characters, 4) if characters else None


def _pages(
    workspace: Workspace,
    corpus: Corpus,
    below: float,
    *,
    only: frozenset[str] | None = None,
    thorough: bool = False,
) -> Iterator[tuple[WeakPage, bool]]:
    """Yield the pages of live contents that have been read with one effort, and whether OCR read them badly.

    Args:
        only: batches; None: all.
        thorough: with which effort.
    """
    names = {state.sha256: key for key, state in sorted(corpus.documents.items(), reverse=True) if state.sha256}
    tables = workspace.home.tables
    for batch in corpus.batch_keys:
        record = tables.find(OCR_TEXT, batch)
        if record is None or (only is not None and batch not in only):
            continue
        opened = tables.read(tables.get(RAW_PDFS, batch), "pages", columns=["document_sha256", "page_index", "reason"])
        readable = {(r["document_sha256"], r["page_index"]) for r in opened.to_pylist() if r["reason"] is None}
        for row in tables.read(record, "page_texts", columns=COLUMNS).to_pylist():
            sha256, index = row["document_sha256"], row["page_index"]
            if sha256 not in names or (sha256, index) not in readable:
                continue
            if (row["effort"] == Effort.THOROUGH) is not thorough:
                continue
            page = WeakPage(
                document=names[sha256],
                sha256=sha256,
                page_index=index,
                batch=batch,
                confidence=row["confidence"],
                weakest_block=row["weakest_block"],
                characters=len(row["text"].replace(" ", "").replace("\n", "")),
                words_sha256=row["words_sha256"],
            )
            weak = row["status"] == PageStatus.INDEXED and row["engine"] != TEXT_LAYER and page.worst < below
            yield page, weak or row["reason"] in WORTH_A_TRY


def batches_to_reread(workspace: Workspace) -> dict[str, str]:
    """Return the batches with work to do of which something is to be read again, in order: because somebody asked, or
    because there are passwords that were not tried yet on their encrypted documents. For each, a hash of what is to be
    done, which tells one occasion from the next.

    A content that several batches name concerns each of them: all have a row for it in ``documents``.

    Raises:
        UsageError: the passwords file cannot be used.
        IntegrityError: the requests or the manifests are damaged.
    """
    passwords = load_passwords(workspace.reading.passwords_file)
    if not passwords and not workspace.home.rereads.all():
        return {}
    found: dict[str, str] = {}
    for manifest in workspace.home.manifests.all():
        contents = {change.sha256 for change in manifest.documents if change.sha256 is not None}
        asked = [asdict(request) for of in workspace.home.rereads.of(contents).values() for request in of]
        untried = _untried(workspace, manifest.key) if passwords else None
        if (asked or untried) and stale_stage(workspace, manifest) is not None:
            found[manifest.key] = fingerprint(requests=asked, passwords=untried)[:32]
    return found


def _untried(workspace: Workspace, batch: str) -> str | None:
    """Return the mark of the passwords that were not tried yet on documents of the batch; None if there are none."""
    try:
        raw = workspace.home.tables.find(RAW_PDFS, batch)
    except IntegrityError:
        # Nothing is known of what was tried: whoever makes the damaged table anew tries every password.
        return None
    return untried_passwords(workspace, raw) if raw is not None else None
