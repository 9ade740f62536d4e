"""Copies of collections on a Qdrant server: from one to another, into a folder, and back."""

from __future__ import annotations

import logging
from pathlib import Path

from ragflow.errors import IntegrityError, NotFoundError, ServiceUnavailableError, UsageError
from ragflow.store.blobs import hash_file
from ragflow.vectors.checking import check_points
from ragflow.vectors.files import FileStamp, files_below, sync_tree, write_json
from ragflow.vectors.folders import COMPLETE, SHARD, Completion, read_saved
from ragflow.vectors.server_claims import Claim
from ragflow.vectors.server_completion import ENGINE
from ragflow.vectors.server_connection import RefusedError
from ragflow.vectors.server_requests import Requests, Snapshot
from ragflow.vectors.server_uploads import Uploads

log = logging.getLogger(__name__)

SNAPSHOT = "collection.snapshot"
COPY_BATCH = 1_024


def copy_collection(requests: Requests, base: str, claimed: Claim, completion: Completion) -> None:
    """Fill the empty collection of a candidate with what ``base`` holds, which is described by ``completion``.

    The server copies by a snapshot that it takes and reads itself; where it does not, or several servers share the
    collection and each has only its part of it, the points travel through this process.

    Raises:
        IntegrityError: ``base`` changed meanwhile.
    """
    if requests.peers() > 1:
        problem = "several servers share it"
    else:
        problem = _copy_by_snapshot(requests, base, claimed, completion)
    if problem:
        log.info("copying point by point", extra={"collection": claimed.collection, "reason": problem})
        requests.drop(claimed.collection)
        claimed.create(completion.settings)
        _copy_by_points(requests, base, claimed, completion)
    requests.create_indexes(claimed.collection, completion.settings)
    _check_count(requests, claimed, completion, f"the copy of {base}")


def _copy_by_snapshot(requests: Requests, base: str, claimed: Claim, completion: Completion) -> str:
    """Return why it was not possible; an empty text if it was."""
    try:
        snapshot = requests.make_snapshot(base)
    except (RefusedError, NotFoundError, ServiceUnavailableError) as error:
        return error.message
    try:
        requests.recover(claimed.collection, base, snapshot)
    except (RefusedError, NotFoundError, ServiceUnavailableError) as error:
        return error.message
    finally:
        _drop_snapshot(requests, base, snapshot)
    # Whatever the snapshot brought along: this collection is a candidate.
    requests.set_metadata(claimed.collection, claimed.metadata())
    points = requests.count(claimed.collection)
    return "" if points == completion.points else f"{points} of {completion.points} points arrived"


def _copy_by_points(requests: Requests, base: str, claimed: Claim, completion: Completion) -> None:
    uploads = Uploads(
        lambda points, dense: requests.upsert(claimed.collection, points, dense), requests.options.parallel
    )
    try:
        offset: str | None = None
        while True:
            claimed.check()
            points, offset = requests.scroll(base, COPY_BATCH, offset)
            for start in range(0, len(points), requests.options.batch):
                batch = points[start : start + requests.options.batch]
                uploads.put(batch, check_points(batch, completion.settings.dimension).tolist())
            if offset is None:
                break
        uploads.drain()
    finally:
        uploads.close()


def save(requests: Requests, collection: str, completion: Completion, folder: Path) -> list[str]:
    """Have the server take a snapshot of a collection, and fetch it.

    Raises:
        UsageError: several servers share the collection.
        IntegrityError: it did not arrive as the server sent it.
    """
    if requests.peers() > 1:
        raise UsageError(
            f"{collection} lies on several Qdrant servers, of which each gives a snapshot of its own part only.",
            remedy="Back the servers up with their own means, or leave the vectors out: a reindex brings them back.",
        )
    path = folder / SHARD / SNAPSHOT
    path.parent.mkdir(parents=True)
    snapshot = requests.make_snapshot(collection)
    try:
        requests.download(collection, snapshot, path)
    finally:
        _drop_snapshot(requests, collection, snapshot)
    sha256 = hash_file(path)
    if snapshot.sha256 is not None and sha256 != snapshot.sha256:
        raise IntegrityError(
            f"The snapshot of {collection} did not arrive as the Qdrant server sent it.", remedy="Try again."
        )
    sync_tree(folder)
    state = path.stat()
    saved = Completion(
        settings=completion.settings,
        points=completion.points,
        optimized=completion.optimized,
        engine=ENGINE,
        engine_version=requests.server_version,
        files={SNAPSHOT: FileStamp(state.st_size, state.st_mtime_ns, sha256)},
    )
    write_json(folder / COMPLETE, saved.to_dict())
    return [path.relative_to(folder).as_posix() for path in files_below(folder)]


def read_snapshot(folder: Path) -> tuple[Completion, Path]:
    """Return the record and the file of a snapshot that is as it was saved; raise IntegrityError otherwise."""
    saved = read_saved(folder, ENGINE)
    if set(saved.files) != {SNAPSHOT}:
        raise IntegrityError(f"The snapshot in {folder} is not one file.", remedy="Take another backup.")
    return saved, folder / SHARD / SNAPSHOT


def fill(requests: Requests, claimed: Claim, saved: Completion, file: Path) -> None:
    """Fill the empty collection of a candidate from a snapshot.

    Raises:
        IntegrityError: the server does not take it, or not all points are there afterwards.
    """
    try:
        requests.upload(claimed.collection, file, saved.files[SNAPSHOT].sha256)
    except (RefusedError, NotFoundError) as error:
        raise IntegrityError(
            f"The Qdrant server does not take the snapshot {file}: {error.message}",
            remedy=f"It was taken on version {saved.engine_version}; see whether this server is older.",
        ) from error
    requests.set_metadata(claimed.collection, claimed.metadata())
    requests.create_indexes(claimed.collection, saved.settings)
    _check_count(requests, claimed, saved, str(file))


def _check_count(requests: Requests, claimed: Claim, expected: Completion, source: str) -> None:
    points = requests.count(claimed.collection)
    if points != expected.points:
        raise IntegrityError(
            f"{points} points came out of {source}, and its record says {expected.points}.",
            remedy="Take another backup, or reindex.",
        )


def _drop_snapshot(requests: Requests, collection: str, snapshot: Snapshot) -> None:
    try:
        requests.drop_snapshot(collection, snapshot)
    except (RefusedError, NotFoundError, ServiceUnavailableError) as error:
        # It takes up room on the server, and harms nothing else.
        log.warning("snapshot left on the server", extra={"snapshot": snapshot.name, "reason": error.message})
