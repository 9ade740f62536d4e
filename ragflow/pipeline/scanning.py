"""Scan sources and turn what changed into batches. The command line and the inbox sensor share :func:`scan`."""

from __future__ import annotations

import hashlib
import logging
import os
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

from ragflow.errors import BadInputError
from ragflow.model.batches import BatchManifest, Change, Corpus, DocumentChange, SourceRoot, fold
from ragflow.model.reading import Reason
from ragflow.pipeline.progress import report
from ragflow.pipeline.workspace import BatchOptions, Workspace
from ragflow.sources.folder import KIND, FolderSource, OutsideSourceError, source_name
from ragflow.sources.protocol import FoundFile, Source
from ragflow.store.blobs import PIECE
from ragflow.store.forgotten import Kind
from ragflow.store.inventory import FileMark

log = logging.getLogger(__name__)

REMOVAL_GUARD_FROM = 20
"""Smaller sources may lose any number of documents without being asked."""


@dataclass(frozen=True, slots=True)
class ScanLimits:
    """How far one scan goes. A sensor's tick has 60 seconds; the command line has no limit.

    Attributes:
        max_hashed_bytes: stop hashing beyond this; files left over wait for the next scan.
        wait: wait for files that changed a moment ago to settle, instead of leaving them for the next scan.
        allow_removals: do not refuse when a large share of a source has vanished.
    """

    max_hashed_bytes: int | None = None
    wait: bool = True
    allow_removals: bool = False


@dataclass(frozen=True, slots=True)
class ScanReport:
    """What a scan found.

    Attributes:
        batches: keys of the batches it made, in order.
        added, changed, removed: document keys.
        unchanged: number of documents that are as they were.
        quarantined: document key → (reason, detail), for files whose bytes cannot be taken.
        deferred: paths that are still being written, or were beyond the limit; the next scan takes them up.
        ignored: kind (file suffix) → number of files that are not documents.
        forgotten: keys of files that hold what was forgotten on request, under whatever name: they are left out.
        hashed_files, hashed_bytes: work done; files that size and time call unchanged are not hashed.
    """

    batches: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    unchanged: int = 0
    quarantined: dict[str, tuple[str, str]] = field(default_factory=dict)
    deferred: tuple[str, ...] = ()
    ignored: dict[str, int] = field(default_factory=dict)
    forgotten: tuple[str, ...] = ()
    hashed_files: int = 0
    hashed_bytes: int = 0


def sources_for(workspace: Workspace, paths: Sequence[Path]) -> list[Source]:
    """Return the sources for paths given by a person: files or folders; none: the inbox.

    A path inside a folder that is known as a source belongs to that source, and the scan is limited to the path.

    Raises:
        BadInputError: a path does not exist, or its name is not UTF-8.
    """
    if not paths:
        workspace.home.inbox.mkdir(parents=True, exist_ok=True)
        return [FolderSource("inbox", workspace.home.inbox.resolve())]
    known = {
        Path(root.location): root.name
        for manifest in workspace.home.manifests.all()
        for root in manifest.sources
        if root.kind == KIND
    }
    known.setdefault(workspace.home.inbox.resolve(), "inbox")
    scopes: dict[tuple[str, Path], list[PurePosixPath]] = {}
    for path in paths:
        if not path.exists():
            raise BadInputError(f"{path} does not exist.", remedy="Check the path.")
        # The path itself may be a link that the user set; what lies below it may not lead out.
        real = path.resolve()
        try:
            str(real).encode("utf-8")
        except UnicodeEncodeError as error:
            raise BadInputError(
                f"The name of {os.fsencode(real).decode('utf-8', 'backslashreplace')} is not valid UTF-8.",
                remedy="Rename the file or folder.",
            ) from error
        folder = real if real.is_dir() else real.parent
        owner = next((root for root in (folder, *folder.parents) if root in known), folder)
        name = known.get(owner) or source_name(owner)
        scopes.setdefault((name, owner), []).append(PurePosixPath(real.relative_to(owner).as_posix()))
    return [
        FolderSource(name, location, scope=() if PurePosixPath() in scope else tuple(scope))
        for (name, location), scope in sorted(scopes.items())
    ]


def scan(workspace: Workspace, sources: Iterable[Source], limits: ScanLimits | None = None) -> ScanReport:
    """Compare sources with the fold of all manifests and write the manifests of new batches.

    Scanning the same state twice makes no batch the second time.

    Raises:
        BadInputError: a source cannot be read, or too large a share of its documents has vanished.
    """
    limits = limits or ScanLimits()
    with workspace.home.lock("scan").held():
        manifests = workspace.home.manifests.all()
        corpus = fold(manifests)
        tally = _Tally()
        changes: list[DocumentChange] = []
        roots: list[SourceRoot] = []
        for source in sources:
            roots.append(source.root)
            changes.extend(_scan_source(workspace, source, corpus, limits, tally))
        batches = list(write_batches(workspace, changes, roots, manifests))
    return ScanReport(
        batches=tuple(batches),
        added=_keys(changes, Change.ADDED),
        changed=_keys(changes, Change.CHANGED),
        removed=_keys(changes, Change.REMOVED),
        unchanged=tally.unchanged,
        quarantined={c.key: (c.reason, c.detail or "") for c in changes if c.reason},
        deferred=tuple(tally.deferred),
        ignored=dict(sorted(tally.ignored.items())),
        forgotten=tuple(sorted(tally.forgotten)),
        hashed_files=tally.hashed_files,
        hashed_bytes=tally.hashed_bytes,
    )


@dataclass(slots=True)
class _Tally:
    unchanged: int = 0
    hashed_files: int = 0
    hashed_bytes: int = 0
    deferred: list[str] = field(default_factory=list)
    ignored: Counter[str] = field(default_factory=Counter)
    forgotten: list[str] = field(default_factory=list)


def _keys(changes: Iterable[DocumentChange], kind: Change) -> tuple[str, ...]:
    return tuple(change.key for change in changes if change.change is kind)


def _scan_source(
    workspace: Workspace, source: Source, corpus: Corpus, limits: ScanLimits, tally: _Tally
) -> list[DocumentChange]:
    prefix = f"{source.root.name}/"
    known = {
        key: state
        for key, state in corpus.documents.items()
        if key.startswith(prefix) and source.covers(key.removeprefix(prefix))
    }
    files = list(source.scan())
    present = {prefix + file.path for file in files if not file.ignored}
    # A folder that cannot be listed stands among the files; it says nothing about the documents in it.
    closed = tuple(f"{prefix}{file.path}/" for file in files if file.reason is not None)
    present.update(key for key in known if key.startswith(closed))
    removed = sorted(known.keys() - present)
    _guard_removals(source, len(known), len(removed), workspace.batching, limits)
    changes = [DocumentChange(key=key, change=Change.REMOVED, sha256=None) for key in removed]
    forgotten = workspace.home.absences.contents(Kind.FORGOTTEN)
    inventory = workspace.home.inventory.load(source.root.name)
    marks = {path: mark for path, mark in inventory.items() if not source.covers(path) or prefix + path in present}
    for number, file in enumerate(files):
        report("scan", number + 1, len(files))
        if file.ignored:
            tally.ignored[file.detail or "unknown"] += 1
            continue
        key = prefix + file.path
        state = known.get(key)
        outcome = _identify(workspace, source, file, inventory, limits, tally)
        if outcome is None:
            tally.deferred.append(key)
            continue
        sha256, reason, detail, mark = outcome
        if mark is not None:
            marks[file.path] = mark
        if sha256 in forgotten:
            tally.forgotten.append(key)
            if state is not None:
                changes.append(DocumentChange(key=key, change=Change.REMOVED, sha256=None))
            continue
        if state is not None and (state.sha256, state.reason) == (sha256, reason):
            tally.unchanged += 1
            continue
        changes.append(
            DocumentChange(
                key=key,
                change=Change.ADDED if state is None else Change.CHANGED,
                sha256=sha256,
                size=mark.size if mark else 0,
                reason=reason,
                detail=detail,
            )
        )
    if marks != inventory:
        workspace.home.inventory.save(source.root.name, marks)
    return changes


def _guard_removals(source: Source, known: int, removed: int, options: BatchOptions, limits: ScanLimits) -> None:
    if limits.allow_removals or known < REMOVAL_GUARD_FROM or removed <= options.removal_limit * known:
        return
    raise BadInputError(
        f"{removed} of {known} documents have vanished from {source.root.location}.",
        remedy="If they were really removed, run `ragflow ingest --allow-removals`; otherwise check that the folder"
        " is mounted. Nothing was changed.",
    )


_Outcome = tuple[str | None, str | None, str | None, FileMark | None]


def _identify(
    workspace: Workspace,
    source: Source,
    file: FoundFile,
    inventory: dict[str, FileMark],
    limits: ScanLimits,
    tally: _Tally,
) -> _Outcome | None:
    """Return (sha256, reason, detail, mark), or None if the file has to wait for the next scan."""
    if file.reason is not None:
        return None, file.reason, file.detail, None
    seen = inventory.get(file.path)
    if seen is not None and (seen.size, seen.mtime_ns) == (file.size, file.mtime_ns):
        return seen.sha256, None, None, seen
    try:
        if not _settled(source, file, workspace.batching.settle_seconds, wait=limits.wait):
            return None
        size, mtime_ns = source.stat(file.path)
        if limits.max_hashed_bytes is not None and tally.hashed_bytes >= limits.max_hashed_bytes:
            return None
        sha256 = _hash(source, file.path)
        if source.stat(file.path) != (size, mtime_ns):
            return None
    except OutsideSourceError as error:
        return None, Reason.OUTSIDE_SOURCE, error.message, None
    except BadInputError as error:
        if isinstance(error.__cause__, FileNotFoundError):
            # It went away after it was listed: the next scan says whether it was removed or replaced.
            return None
        return None, Reason.UNREADABLE, error.message, None
    except OSError as error:
        return None, Reason.UNREADABLE, f"reading failed: {error.strerror}", None
    tally.hashed_files += 1
    tally.hashed_bytes += size
    return sha256, None, None, FileMark(size, mtime_ns, sha256)


def _settled(source: Source, file: FoundFile, seconds: float, *, wait: bool) -> bool:
    """Whether nobody seems to be writing the file: it has not changed for ``seconds``.

    The pause also makes (size, time) a safe key of the inventory: a later write cannot fall into the same tick of
    the file system's clock.
    """
    age = time.time() - file.mtime_ns / 1e9
    if age >= seconds or age < -seconds:
        return True
    if not wait:
        return False
    time.sleep(max(0.0, seconds - max(age, 0.0)))
    return source.stat(file.path) == (file.size, file.mtime_ns)


def _hash(source: Source, path: str) -> str:
    digest = hashlib.sha256()
    with source.open(path) as stream:
        while piece := stream.read(PIECE):
            digest.update(piece)
    return digest.hexdigest()


def write_batches(
    workspace: Workspace,
    changes: Sequence[DocumentChange],
    roots: Sequence[SourceRoot],
    manifests: Sequence[BatchManifest],
) -> Iterator[str]:
    """Write the manifests of new batches and yield their keys. The caller holds the scan lock.

    Args:
        roots: the sources that the changes are in.
        manifests: all there are.
    """
    last = manifests[-1] if manifests else None
    for group in _group(sorted(changes, key=lambda change: change.key), workspace.batching):
        names = {change.key.split("/", 1)[0] for change in group}
        manifest = BatchManifest.create(
            sequence=last.sequence + 1 if last else 1,
            created_at=datetime.now(UTC).isoformat(timespec="seconds"),
            previous=last.sha256 if last else None,
            sources=[root for root in roots if root.name in names],
            documents=group,
        )
        workspace.home.manifests.append(manifest)
        log.info("batch made", extra={"batch": manifest.key, "documents": len(group)})
        last = manifest
        yield manifest.key


def _group(changes: Sequence[DocumentChange], options: BatchOptions) -> Iterator[list[DocumentChange]]:
    group: list[DocumentChange] = []
    size = 0
    for change in changes:
        if group and (len(group) >= options.max_documents or size + change.size > options.max_bytes):
            yield group
            group, size = [], 0
        group.append(change)
        size += change.size
    if group:
        yield group
