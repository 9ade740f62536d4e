"""Who builds a collection of a Qdrant server, and whether it is complete.

A server has no locks, and the machines that use it may share nothing else. What it has is: of several who create a
collection, one succeeds; and a collection carries metadata. So a candidate is claimed by creating its collection, with
a random token in the metadata, and its builder changes a number there every few seconds, the *beat*. A candidate whose
beat does not change for the whole lease counts as given up, and may be removed. Clocks are not compared.

A builder that was cut off for longer than its lease finds another token when it comes back, and stops. What it had
under way at that moment may still arrive in the collection of its successor: that is why the gate reads every point.
"""

from __future__ import annotations

import logging
import os
import secrets
import socket
import threading
import time
from typing import Any, Literal

from ragflow.errors import CheckFailedError, IntegrityError, RagflowError, UsageError
from ragflow.vectors.folders import Completion
from ragflow.vectors.protocols import CollectionSettings
from ragflow.vectors.server_connection import ConflictError
from ragflow.vectors.server_requests import CollectionState, Requests

log = logging.getLogger(__name__)

METADATA = "ragflow"
"""The one key of a collection's metadata that is ours."""
STATE_FORMAT = "ragflow-server/1"
BEATS_IN_LEASE = 6
LOOKS_IN_LEASE = 20

State = Literal["building", "abandoned", "complete", "discarding", "aliases"]


def note(state: State, version: str, **more: Any) -> dict[str, Any]:
    """Return the metadata of a collection in this state."""
    return {METADATA: {"format": STATE_FORMAT, "state": state, "version": version, **more}}


def ours(found: CollectionState) -> dict[str, Any]:
    """Return what we noted about a collection; an empty dictionary if it is none of ours."""
    noted = found.metadata.get(METADATA)
    return noted if isinstance(noted, dict) and noted.get("format") == STATE_FORMAT else {}


def is_complete(found: CollectionState | None, version: str) -> bool:
    """Whether a collection is a complete version of this name; a copy of another version's is not."""
    noted = ours(found) if found is not None else {}
    return noted.get("state") == "complete" and noted.get("version") == version


def completion_of(found: CollectionState, collection: str) -> Completion:
    """Return the record of a complete version.

    Raises:
        IntegrityError: it is damaged.
    """
    try:
        return Completion.from_dict(ours(found)["completion"])
    except (KeyError, TypeError, ValueError, AttributeError, UsageError) as error:
        raise IntegrityError(
            f"The metadata of the collection {collection} are damaged: {error}.",
            remedy="Restore this version from a backup, or roll back to another version and reindex.",
        ) from error


class Claim:
    """The right to build one version, held from :func:`claim` until it is stopped or released."""

    def __init__(self, requests: Requests, version: str) -> None:
        self.version = version
        self.collection = requests.options.collection(version)
        self._requests = requests
        self._lease = requests.options.lease_seconds
        self._token = secrets.token_hex(8)
        self._beat = 0
        self._heard = time.monotonic()
        self._lost = False
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"claim-{self.collection}", daemon=True)

    def metadata(self) -> dict[str, Any]:
        by = f"{socket.gethostname()}:{os.getpid()}"
        return note("building", self.version, token=self._token, beat=self._beat, by=by)

    def create(self, settings: CollectionSettings) -> None:
        """Create the empty collection; raise CheckFailedError if somebody else was faster."""
        try:
            self._requests.create(self.collection, settings, self.metadata())
        except ConflictError as error:
            # Ours all the same if the first answer was lost and the request was made again.
            if not self.holds():
                raise _being_built(self.version) from error

    def start(self) -> None:
        """Send beats from now on."""
        self._heard = time.monotonic()
        self._thread.start()

    def check(self) -> None:
        """Raise CheckFailedError if the claim was lost, or may have been: the server did not hear of us for long."""
        if self._lost or time.monotonic() - self._heard > self._lease * (1 - 1 / BEATS_IN_LEASE):
            raise CheckFailedError(
                f"Collection version {self.version} may be in the hands of another run: the server did not hear from "
                f"this one for about {self._lease:.0f} s, or the candidate was removed.",
                remedy="Build the candidate again; raise lease_seconds if the server is often slow to answer.",
            )

    def stop(self) -> None:
        """Send no more beats. The claim lasts as long as the lease, unless the metadata say otherwise."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def holds(self) -> bool:
        """Ask the server whether the candidate is still ours."""
        found = self._requests.state(self.collection)
        return found is not None and ours(found).get("token") == self._token

    def release(self, *, remove: bool = False) -> None:
        """Give the candidate up, so that nobody has to wait for the lease to end; it may be removed at once."""
        self.stop()
        try:
            if self.holds():
                if remove:
                    self._requests.drop(self.collection)
                else:
                    self._requests.set_metadata(self.collection, note("abandoned", self.version))
        except RagflowError as error:
            # What matters is the error for which the candidate is given up; the lease ends this claim as well.
            log.warning("claim not released", extra={"collection": self.collection, "reason": error.message})

    def _run(self) -> None:
        while not self._stopping.wait(self._lease / BEATS_IN_LEASE):
            try:
                self._tell()
            except RagflowError as error:
                log.warning("no beat", extra={"collection": self.collection, "reason": error.message})

    def _tell(self) -> None:
        found = self._requests.state(self.collection)
        if found is None:  # being made anew by ourselves, or removed by somebody; the next request tells
            return
        if ours(found).get("token") != self._token:
            self._lost = True
            self._stopping.set()
            return
        self._beat += 1
        self._requests.set_metadata(self.collection, self.metadata())
        self._heard = time.monotonic()


def claim(requests: Requests, version: str, settings: CollectionSettings) -> Claim:
    """Create the empty collection of a candidate; the remains of an unfinished build are removed first.

    Raises:
        UsageError: the version is complete already, or the collection is none of ours.
        CheckFailedError: it is being built right now.
    """
    claimed = Claim(requests, version)
    found = requests.state(claimed.collection)
    if found is not None:
        if is_complete(found, version):
            raise UsageError(
                f"Collection version {version} is complete; complete versions never change.",
                remedy="Take the next number.",
            )
        check_abandoned(requests, version, found)
        requests.drop(claimed.collection)
    claimed.create(settings)
    claimed.start()
    return claimed


def check_abandoned(requests: Requests, version: str, found: CollectionState) -> None:
    """Return once it is sure that nobody is building a candidate; takes up to a lease.

    Raises:
        UsageError: the collection is none of ours.
        CheckFailedError: somebody is building it.
    """
    collection = requests.options.collection(version)
    noted = ours(found)
    if not noted:
        raise UsageError(
            f"There is a collection {collection} on the Qdrant server that ragflow did not make.",
            remedy="Take another prefix for the collections, or remove that one by hand.",
        )
    if noted.get("state") != "building":
        return
    log.info("waiting for signs of life", extra={"collection": collection, "by": noted.get("by")})
    lease = requests.options.lease_seconds
    deadline = time.monotonic() + lease
    while time.monotonic() < deadline:
        time.sleep(lease / LOOKS_IN_LEASE)
        now = requests.state(collection)
        if now is not None and ours(now) != noted:
            raise _being_built(version)


def _being_built(version: str) -> CheckFailedError:
    return CheckFailedError(
        f"Collection version {version} is being built or removed by another run.",
        remedy="Wait until that run has ended, or cancel it.",
    )
