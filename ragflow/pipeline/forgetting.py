"""Forget documents: their bytes and all that was made of them go, a version built without them goes live, and a search
of the whole home proves that nothing is left.

What is forgotten is written down first. From then on scans leave these bytes out, and the batches that brought them are
out of date: run again, they keep key and hash of the document and nothing else. The new version is built from nothing,
for a clone may hold deleted points in the engine's files. Only when it is live, what older versions stand on is
removed. A forgetting that was killed is finished by the next one.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from ragflow.errors import CheckFailedError, IntegrityError, NotFoundError, RagflowError
from ragflow.model.batches import Change, DocumentChange, SourceRoot, fold
from ragflow.model.reading import Reason
from ragflow.model.releases import VersionRecord
from ragflow.pipeline.absence import WINDOW_BYTES, Needles, prove, quotes_in, still_in_sources
from ragflow.pipeline.ingest import MATERIALIZE, pending_batches
from ragflow.pipeline.progress import report
from ragflow.pipeline.pruning import Freed, dead_views, spare_records, sweep_tables, unfinished_versions
from ragflow.pipeline.release import ReleaseReport, finish_interrupted, live_version, release
from ragflow.pipeline.scanning import write_batches
from ragflow.pipeline.stages import CHUNKS, OCR_TEXT, RAW_PDFS
from ragflow.pipeline.workspace import Workspace
from ragflow.store.atomic import write_bytes
from ragflow.store.forgotten import Kind, strike_rereads
from ragflow.store.page_images import PageImageStore
from ragflow.store.tables import TableRecord
from ragflow.vectors.views import remove_view

log = logging.getLogger(__name__)

PIECES, PIECE_CHARS, SHORTEST = 48, 24, 8
"""Pieces of text looked for byte by byte, and how long they are, in characters."""
WINDOWS, WINDOW_VALUES = 6, 24
"""Pieces of a document's bytes looked for, and how many different bytes are in each."""


@dataclass(frozen=True, slots=True)
class Forgettable:
    """A content that is to be nowhere.

    Attributes:
        sha256, size: of the bytes.
        documents: every key that it ever had.
        there_now: those of them that are in the archive with this content now.
        home: the batch whose tables hold its pages.
        batches: all batches that name it.
    """

    sha256: str
    size: int
    documents: tuple[str, ...]
    there_now: tuple[str, ...]
    home: str
    batches: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ForgetReport:
    """What was forgotten, or would be.

    Attributes:
        dry_run: whether nothing was changed.
        contents: what it is about, and all its names.
        in_sources: files that still are these contents; scans leave them out.
        batches: out of date without them, in order.
        work: what the stages really did, summed up.
        release: what became of the version without them; None if what is live was built without them already, or
            nothing is live.
        discarded: versions that stood on them and were (or would be) removed.
        freed: bytes of what else was removed.
        proof: what the search for them says; None if it has not come to that.
    """

    dry_run: bool
    contents: tuple[Forgettable, ...]
    in_sources: tuple[str, ...]
    batches: tuple[str, ...]
    work: Mapping[str, int]
    release: ReleaseReport | None
    discarded: tuple[str, ...]
    freed: int
    proof: Mapping[str, Any] | None

    @property
    def absent(self) -> bool:
        """Whether it was proven that they are nowhere."""
        return self.proof is not None and bool(self.proof["absent"])


def forget(
    workspace: Workspace,
    documents: Sequence[str],
    *,
    reason: str = "",
    dry_run: bool = False,
    proof: Path | None = None,
    backups: Sequence[Path] = (),
) -> ForgetReport:
    """Remove everything that was ever known by some documents' keys, and prove that it is gone.

    Every content that a key ever had is forgotten, under all names that it has. Batches with other work to do are run
    as well, for nothing could be released without them.

    Args:
        reason: why, for a person; it stays on record.
        proof: where to write the proof.
        backups: folders that the proof lists, for they may still hold the documents.

    Raises:
        NotFoundError: there never was such a document.
        IntegrityError: manifests, records or tables are damaged.
    """
    contents = find_contents(workspace, documents)
    keys = sorted({key for content in contents for key in content.documents})
    lying = [found["place"] for found in still_in_sources(workspace, keys, {c.sha256 for c in contents})]
    batches = tuple(sorted({batch for content in contents for batch in content.batches}))
    if dry_run:
        touched = tuple(v for v in workspace.versions().versions() if not _is_clean(workspace, v, contents))
        return ForgetReport(True, contents, tuple(lying), batches, {}, None, touched, 0, None)
    with workspace.home.lock("forget").held():
        why = reason or "asked for"
        needles, kept = _needles(workspace, contents)
        _record(workspace, contents, why)
        work = _run_pending(workspace)
        released = _publish(workspace, contents)
        cleaned = _clean(workspace, contents)
        if cleaned is None:
            return ForgetReport(False, contents, tuple(lying), batches, work, released, (), 0, None)
        found = prove(workspace, needles, keys, why, backups=backups, leave_out=[kept])
        if proof is not None:
            write_bytes(proof.absolute(), orjson.dumps(found, option=orjson.OPT_INDENT_2))
        if found["absent"]:
            kept.unlink(missing_ok=True)
    log.info("forgotten", extra={"contents": len(contents), "absent": found["absent"]})
    return ForgetReport(False, contents, tuple(lying), batches, work, released, *cleaned, found)


def find_contents(workspace: Workspace, documents: Sequence[str]) -> tuple[Forgettable, ...]:
    """Return every content that some keys ever had, with all its names.

    Raises:
        NotFoundError: a key was never that of a document whose bytes were read.
    """
    manifests = workspace.home.manifests.all()
    corpus = fold(manifests)
    named = [(m.key, c, c.sha256) for m in manifests for c in m.documents if c.sha256 is not None]
    for key in documents:
        if not any(change.key == key for _, change, _ in named):
            raise NotFoundError(
                f"There never was a document {key!r}.", remedy="Name it by its key, as `ragflow search` shows it."
            )
    wanted = sorted({sha256 for _, change, sha256 in named if change.key in documents})
    return tuple(
        Forgettable(
            sha256=wanted_sha,
            size=next(change.size for _, change, sha256 in named if sha256 == wanted_sha),
            documents=tuple(sorted({change.key for _, change, sha256 in named if sha256 == wanted_sha})),
            there_now=tuple(sorted(k for k, state in corpus.documents.items() if state.sha256 == wanted_sha)),
            home=corpus.homes[wanted_sha],
            batches=tuple(dict.fromkeys(batch for batch, _, sha256 in named if sha256 == wanted_sha)),
        )
        for wanted_sha in wanted
    )


def _needles(workspace: Workspace, contents: Sequence[Forgettable]) -> tuple[Needles, Path]:
    """Return what to look for at the end, and where it is kept until then: a forgetting that was killed may have
    removed what the next one would have to look for."""
    sizes = {content.sha256: content.size for content in contents}
    path = workspace.home.absences.root / "looked-for.json"
    needles = gather(workspace, sizes, [content.home for content in contents])
    if path.is_file():
        try:
            needles = Needles.from_json(path.read_bytes()).together(needles)
        except (orjson.JSONDecodeError, KeyError, TypeError) as error:
            raise IntegrityError(
                f"{path} is damaged ({error}).", remedy="Delete it: the proof then looks for what is still known."
            ) from error
    write_bytes(path, needles.to_json())
    return needles, path


def gather(workspace: Workspace, sizes: Mapping[str, int], homes: Iterable[str]) -> Needles:
    """Take what to look for from the stored bytes, and from every generation of the tables that still has it.

    Args:
        sizes: content hash → bytes.
        homes: the batches that the contents are at home in.
    """
    texts: dict[str, None] = {}
    chunks: set[str] = set()
    for batch in sorted(set(homes)):
        texts.update((row["text"], None) for row in _rows(workspace, OCR_TEXT, batch, "page_texts", sizes))
        chunks.update(row["text_sha256"] for row in _rows(workspace, CHUNKS, batch, "chunks", sizes))
    paths = [workspace.home.blobs.path(sha256) for sha256 in sorted(sizes)]
    windows = [window for path in paths if path.is_file() for window in _windows(path)]
    pieces = list(dict.fromkeys(piece for text in texts for piece in _pieces(text)))
    spread = pieces if len(pieces) <= PIECES else [pieces[len(pieces) * n // PIECES] for n in range(PIECES)]
    quotes = frozenset(quote for text in texts for quote in quotes_in(text))
    return Needles(sizes, tuple(spread), tuple(windows), quotes, frozenset(chunks))


def _rows(
    workspace: Workspace, asset: str, batch: str, table: str, contents: Collection[str]
) -> Iterator[dict[str, Any]]:
    tables = workspace.home.tables
    where = [("document_sha256", "in", sorted(contents))]
    try:
        newest = tables.find(asset, batch)
        for record in (*([newest] if newest else []), *tables.kept(asset, batch)):
            yield from tables.rows(record, table, where).to_pylist()
    except IntegrityError as error:
        # What cannot be read gives nothing to look for; the search itself tells of it.
        log.warning("a table could not be read", extra={"asset": asset, "batch": batch, "why": error.message})


def _pieces(text: str) -> Iterator[str]:
    """Yield the beginning of each line that is long enough; of a text without such lines, its first line."""
    found = False
    for line in text.splitlines():
        piece = line[: max(PIECE_CHARS, line.find(" ", PIECE_CHARS))].strip()
        if len(piece) >= PIECE_CHARS:
            found = True
            yield piece
    first = text.strip().split("\n", 1)[0]
    if not found and len(first) >= SHORTEST:
        yield first


def _windows(path: Path) -> Iterator[str]:
    """Yield pieces of a file, in hexadecimal, that are not all zeros or blanks."""
    size = path.stat().st_size
    with path.open("rb") as stream:
        for number in range(WINDOWS):
            stream.seek(size * number // WINDOWS)
            window = stream.read(WINDOW_BYTES)
            if len(set(window)) >= WINDOW_VALUES:
                yield window.hex()


def _record(workspace: Workspace, contents: Sequence[Forgettable], why: str) -> None:
    """Write down what is forgotten, and take its documents out of the archive with a batch."""
    home = workspace.home
    with home.lock("scan").held():
        home.absences.add([content.sha256 for content in contents], Kind.FORGOTTEN, why)
        manifests = home.manifests.all()
        forgotten = {content.sha256 for content in contents}
        there = [key for key, state in fold(manifests).documents.items() if state.sha256 in forgotten]
        names = {key.split("/", 1)[0] for key in there}
        roots: dict[str, SourceRoot] = {r.name: r for m in manifests for r in m.sources if r.name in names}
        changes = [DocumentChange(key=key, change=Change.REMOVED, sha256=None) for key in there]
        for batch in write_batches(workspace, changes, list(roots.values()), manifests):
            log.info("documents taken out", extra={"batch": batch})


def _run_pending(workspace: Workspace) -> dict[str, int]:
    work: Counter[str] = Counter()
    batches = pending_batches(workspace)
    for number, batch in enumerate(batches):
        report("run batches", number, len(batches))
        for materialize in MATERIALIZE.values():
            work.update(materialize(workspace, batch).work)
    return dict(work)


def _publish(workspace: Workspace, contents: Sequence[Forgettable]) -> ReleaseReport | None:
    """Have a version without the contents judged and made live, unless what is live is one."""
    live = live_version(workspace)
    if live is None or _is_clean(workspace, live, contents):
        return None
    return release(workspace, rebuild=True)


def _is_clean(workspace: Workspace, version: str, contents: Sequence[Forgettable]) -> bool:
    """Whether neither a version nor any that it was cloned from was built with one of the contents."""
    step: str | None = version
    while step is not None:
        record = workspace.home.version_records.find(step)
        if record is None:
            return False
        if all(batch not in record.batches for content in contents for batch in content.batches):
            return True
        if not record.tables or _stands_on(workspace.at(record), record, contents):
            return False
        step = record.base
    return True


def _stands_on(workspace: Workspace, record: VersionRecord, contents: Sequence[Forgettable]) -> bool:
    """Whether the tables of a version say more of one of the contents than that it was forgotten."""
    tables = workspace.home.tables

    def rows(asset: str, batch: str, table: str, sha256: str) -> list[dict[str, Any]]:
        found: TableRecord = tables.get(asset, batch)
        return list(tables.rows(found, table, [("document_sha256", "==", sha256)]).to_pylist())

    try:
        for content in contents:
            for batch in set(content.batches) & record.batches.keys():
                told = rows(RAW_PDFS, batch, "documents", content.sha256)
                told += rows(OCR_TEXT, batch, "page_texts", content.sha256)
                if any(row["reason"] != Reason.FORGOTTEN for row in told) or rows(
                    CHUNKS, batch, "chunks", content.sha256
                ):
                    return True
    except RagflowError as error:
        log.warning("a version cannot be read", extra={"version": record.version, "why": error.message})
        return True
    return False


def _clean(workspace: Workspace, contents: Sequence[Forgettable]) -> tuple[tuple[str, ...], int] | None:
    """Remove what is left of the contents, now that nothing that is live stands on it.

    Returns:
        The versions removed, and the bytes of what else went; None if what is live still stands on them.
    """
    home, versions = workspace.home, workspace.versions()
    forgotten = {content.sha256 for content in contents}
    with home.lock("release").held():
        finish_interrupted(workspace)
        live = live_version(workspace)
        if live is not None and not _is_clean(workspace, live, contents):
            return None
        discarded = [version for version in versions.versions() if not _is_clean(workspace, version, contents)]
        for version in (*discarded, *unfinished_versions(workspace)):
            versions.discard(version)
        for version in spare_records(workspace):
            home.version_records.remove(version)
        kept = [record for record in map(home.version_records.find, versions.versions()) if record is not None]
        batches = {batch for content in contents for batch in content.batches}
        pins = [record.tables for record in kept]
        swept = list(sweep_tables(workspace, pins, dry_run=False, only=batches, partial=True))
        freed = sum(thing.size for thing in swept if isinstance(thing, Freed))
        with home.lock("scan").held():
            freed += sum(_unlink(home.blobs.path(sha256)) for sha256 in forgotten)
            images = PageImageStore(home.page_images, max_bytes=0)
            for sha256 in forgotten:
                images.remove(sha256)
            for source in {key.split("/", 1)[0] for content in contents for key in content.documents}:
                marks = home.inventory.load(source)
                left = {path: mark for path, mark in marks.items() if mark.sha256 not in forgotten}
                if left != marks:
                    home.inventory.save(source, left)
        strike_rereads(home.rereads, forgotten)
        for view in dead_views(home.vectors / "views", 0.0):
            remove_view(view)
    return tuple(discarded), freed


def _unlink(path: Path) -> int:
    size = path.stat().st_size if path.is_file() else 0
    path.unlink(missing_ok=True)
    return size


def check_absent(report: ForgetReport) -> None:
    """Raise CheckFailedError unless it was proven that what was to be forgotten is nowhere."""
    if report.dry_run or report.absent:
        return
    if report.proof is not None:
        places = [found["place"] for found in report.proof["found"]]
        raise CheckFailedError(
            f"{len(places)} places still hold something of it: {', '.join(places[:3])}.",
            remedy="Remove what the proof lists, and run the same command again.",
        )
    refused = [verdict for verdict in report.release.verdicts if not verdict.passed] if report.release else []
    said = refused[0].summary if refused else "the version without it did not stay live."
    raise CheckFailedError(
        f"It is still served: {said}",
        remedy=(refused[0].remedy + " " if refused else "") + "Then run the same command again.",
    )
