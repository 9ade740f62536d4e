"""The connection to a Qdrant server: clients, and what becomes of what they raise.

A request that failed for a reason that may pass (no connection, no answer in time, an error of the server's own, too
many requests) is made again, after waits that double. Everything else becomes an error of ours at once.
"""

from __future__ import annotations

import logging
import math
import random
import ssl
import time
from collections.abc import Callable
from functools import cached_property
from json import JSONDecodeError
from typing import Any, TypeVar

import grpc  # type: ignore[import-untyped]
import httpx
from qdrant_client import QdrantClient
from qdrant_client.common.client_exceptions import ResourceExhaustedResponse
from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

from ragflow.errors import NotFoundError, RagflowError, ServiceUnavailableError, UsageError
from ragflow.vectors.server_options import ServerOptions

log = logging.getLogger(__name__)

T = TypeVar("T")
LONGEST_WAIT_SECONDS = 60.0
MINIMUM_SERVER = (1, 19)
"""The first with everything used here: metadata of collections, and document frequencies over a named corpus."""
_GRPC_STATUS = {
    grpc.StatusCode.UNAVAILABLE: 503,
    grpc.StatusCode.DEADLINE_EXCEEDED: 504,
    grpc.StatusCode.INTERNAL: 500,
    grpc.StatusCode.RESOURCE_EXHAUSTED: 429,
    grpc.StatusCode.UNAUTHENTICATED: 401,
    grpc.StatusCode.PERMISSION_DENIED: 403,
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.ALREADY_EXISTS: 409,
}

_RAISED = (ResponseHandlingException, UnexpectedResponse, ResourceExhaustedResponse, grpc.RpcError, JSONDecodeError)
"""What clients raise."""


class MissingError(NotFoundError):
    """The server has no such collection, alias or snapshot."""


class ConflictError(RagflowError):
    """The server has something of that name already."""


class RefusedError(RagflowError):
    """The server does not do what it was asked for."""


class Connection:
    """Clients for one server. Threads may share it; processes may not (after a fork, make another).

    Args:
        client: to be used instead of those made from ``options``.
    """

    def __init__(self, options: ServerOptions, client: QdrantClient | None = None) -> None:
        self.options = options
        self._given = client

    @cached_property
    def admin(self) -> QdrantClient:
        """For collections and aliases: REST."""
        return self._given or self._client(self.options.timeout_seconds)

    @cached_property
    def points(self) -> QdrantClient:
        """For points: gRPC if that is preferred."""
        return self._client(self.options.timeout_seconds, by_grpc=True) if self._by_grpc else self.admin

    @cached_property
    def patient(self) -> QdrantClient:
        """For snapshots, which the server may work on for as long as it likes before it answers."""
        return self._given or self._client(self.options.wait_seconds)

    @property
    def _by_grpc(self) -> bool:
        return self.options.prefer_grpc and self._given is None

    @property
    def headers(self) -> dict[str, str]:
        return {} if self.options.api_key is None else {"api-key": self.options.api_key}

    @property
    def verify(self) -> ssl.SSLContext | bool:
        if self.options.ca_file is None:
            return self.options.verify
        try:
            return ssl.create_default_context(cafile=str(self.options.ca_file))
        except ssl.SSLError as error:
            raise UsageError(
                f"There are no certificates in {self.options.ca_file}: {error}.", remedy="Name a PEM file as ca_file."
            ) from error

    def _client(self, timeout: float, *, by_grpc: bool = False) -> QdrantClient:
        options = self.options
        certificates = options.ca_file.read_bytes() if options.ca_file is not None else None
        return QdrantClient(
            url=options.address,
            prefer_grpc=by_grpc,
            grpc_port=options.grpc_port,
            grpc_options={} if certificates is None else {"root_certificates": certificates},
            # As a header, and not as `api_key`, of which the client warns where it does not travel encrypted.
            headers=self.headers,
            timeout=math.ceil(timeout),
            check_compatibility=False,
            verify=self.verify,
            # A proxy named by the environment must not get what stays on this machine, or is not encrypted.
            trust_env=options.is_encrypted,
        )

    @cached_property
    def server_version(self) -> str:
        """The version of the server.

        Raises:
            UsageError: it is too old.
        """
        version = self.ask("say its version", lambda: self.admin.info().version)
        numbers = tuple(int(part) for part in version.split("-")[0].split(".")[:2] if part.isdigit())
        if numbers < MINIMUM_SERVER:
            raise UsageError(
                f"The Qdrant server at {self.options.address} is of version {version}.",
                remedy=f"Version {'.'.join(map(str, MINIMUM_SERVER))} or later is needed: update the server.",
            )
        return version

    def ask(self, what: str, call: Callable[[], T], *, retries: int | None = None) -> T:
        """Return what ``call`` returns; try again if it fails for a reason that may pass.

        Args:
            what: what the server is asked to do, for messages: "the server did not <what>".

        Raises:
            ServiceUnavailableError: it failed so each time.
            MissingError, ConflictError, RefusedError: the server said so.
            UsageError: the API key or the certificate is not accepted.
        """
        left = self.options.retries if retries is None else retries
        wait = self.options.retry_seconds
        while True:
            try:
                return call()
            except _RAISED as raised:
                error = self._judge(what, raised)
                if not error.transient or left <= 0:
                    raise error from raised
                asked = getattr(raised, "retry_after_s", 0)
            pause = min(LONGEST_WAIT_SECONDS, max(asked, wait * random.uniform(0.75, 1.25)))
            log.warning("vector server: trying again", extra={"what": what, "seconds": pause, "reason": error.message})
            time.sleep(pause)
            left, wait = left - 1, wait * 2

    def _judge(self, what: str, raised: Any) -> RagflowError:
        """Return the error of ours for what a client raised."""
        server = f"The Qdrant server at {self.options.address}"
        status, reason = _status(raised)
        source = raised.source if isinstance(raised, ResponseHandlingException) else raised
        if isinstance(source, ValueError) or (source is not raised and not isinstance(source, httpx.TransportError)):
            return RefusedError(
                f"{server} gave an answer that cannot be read when it should {what}: {reason}",
                remedy="See whether the address is that of a Qdrant server of a version that is supported.",
            )
        if "CERTIFICATE_VERIFY_FAILED" in reason:
            return UsageError(
                f"{server} showed a certificate that is not trusted: {reason}",
                remedy="Name the file with the certificate of the authority that signed it as ca_file.",
            )
        if status in {401, 403}:
            return UsageError(
                f"{server} did not {what}: it does not accept the API key, or none was given (status {status}).",
                remedy="Set the API key of the server; it needs the right to manage collections.",
            )
        if status is None or status == 429 or status >= 500:
            return ServiceUnavailableError(
                f"{server} did not {what}: {reason}",
                remedy="See whether it runs and can be reached from here; then try again.",
            )
        kind = {404: MissingError, 409: ConflictError}.get(status, RefusedError)
        return kind(f"{server} did not {what}: {reason}", remedy="See the log of the server.")


def _status(raised: Any) -> tuple[int | None, str]:
    """Return the HTTP status of what a client raised (None: there was no answer), and the reason in words."""
    if isinstance(raised, UnexpectedResponse):
        try:
            reason = str(raised.structured()["status"]["error"])
        except (ValueError, KeyError, TypeError):  # not the server's own words: those of a proxy
            reason = raised.reason_phrase or "no reason given"
        return raised.status_code, f"{reason} (status {raised.status_code})"
    if isinstance(raised, ResourceExhaustedResponse):
        return 429, f"{raised} (status 429)"
    if isinstance(raised, ResponseHandlingException):
        return None, f"{type(raised.source).__name__}: {raised.source}"
    if isinstance(raised, JSONDecodeError):
        return None, str(raised)
    return _GRPC_STATUS.get(raised.code(), 400), f"{raised.details()} ({raised.code().name})"
