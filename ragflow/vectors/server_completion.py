"""How a candidate on a Qdrant server becomes a complete version."""

from __future__ import annotations

import time

from ragflow.errors import CheckFailedError, RagflowError, ServiceUnavailableError
from ragflow.vectors.folders import Completion
from ragflow.vectors.protocols import CollectionInfo, CollectionSettings
from ragflow.vectors.server_claims import Claim, note
from ragflow.vectors.server_requests import CollectionState, Requests

ENGINE = "qdrant"
FIRST_LOOK_SECONDS = 0.05
LONGEST_LOOK_SECONDS = 2.0


def complete(requests: Requests, claimed: Claim, settings: CollectionSettings) -> CollectionInfo:
    """Wait until a candidate is indexed, and mark it as complete; the claim ends.

    Raises:
        ServiceUnavailableError: the server takes too long.
        CheckFailedError: the claim was lost.
    """
    found = _wait_until_indexed(requests, claimed)
    points = requests.count(claimed.collection)
    # No beat may come after the mark: it would take it away.
    claimed.stop()
    claimed.check()
    if not claimed.holds():
        raise CheckFailedError(
            f"Another run builds collection version {claimed.version} now.", remedy="Wait until it has ended."
        )
    completion = Completion(
        settings=settings,
        points=points,
        optimized=True,
        engine=ENGINE,
        engine_version=requests.server_version,
        files={},
    )
    requests.set_metadata(claimed.collection, note("complete", claimed.version, completion=completion.to_dict()))
    return CollectionInfo(points, found.indexed, found.segments, completion.optimized)


def _wait_until_indexed(requests: Requests, claimed: Claim) -> CollectionState:
    """Return the state of a collection once the server has nothing left to do on it, twice in a row."""
    limit = requests.options.wait_seconds
    deadline = time.monotonic() + limit
    pause, before = FIRST_LOOK_SECONDS, None
    while True:
        claimed.check()
        found = requests.state(claimed.collection)
        if found is None:
            raise CheckFailedError(f"The candidate {claimed.version} was removed while it was being built.")
        if found.status == "red" or found.problem:
            raise RagflowError(
                f"The Qdrant server cannot index {claimed.collection}: {found.problem or 'its state is red'}.",
                remedy="See the log of the server, and whether its disk is full; then build the candidate again.",
            )
        if found.status == "green" and not found.queued and found == before:
            return found
        if found.status == "grey":
            requests.start_optimizers(claimed.collection)
        if time.monotonic() >= deadline:
            raise ServiceUnavailableError(
                f"The Qdrant server has not indexed {claimed.collection} after {limit:.0f} s: its state is "
                f"{found.status}, {found.queued} updates wait.",
                remedy="Raise wait_seconds, or give the server more processors; then build the candidate again.",
            )
        before = found if found.status == "green" else None
        time.sleep(pause)
        pause = min(LONGEST_LOOK_SECONDS, pause * 1.5)
