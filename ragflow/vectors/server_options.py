"""How a Qdrant server is reached and used. Light to import: the client library comes with the first connection."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from ragflow.errors import UsageError
from ragflow.vectors.folders import check_version_name

DEFAULT_PORT = 6333
_PREFIX = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", re.ASCII)
_LIMITS: dict[str, tuple[float, float]] = {
    "grpc_port": (1, 65_535),
    "timeout_seconds": (1, 86_400),
    "retries": (0, 100),
    "retry_seconds": (0.001, 600),
    "parallel": (1, 64),
    "batch": (1, 10_000),
    "wait_seconds": (1, 7 * 86_400),
    "lease_seconds": (0.5, 3_600),
}


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """Where the server is, and how hard to try.

    Attributes:
        url: http or https, host, port (6333 if none), and a path where a proxy asks for one.
        prefix: how the names of our collections and aliases begin; one for each archive on the server.
        api_key: sent with every request; over https only, unless the server is on this machine.
        prefer_grpc: points travel by gRPC, everything else by REST.
        grpc_port: of the same host.
        timeout_seconds: the longest that a request may take.
        retries: how often a request is made again that failed for a reason that may pass.
        retry_seconds: wait before the first of them, doubled with each.
        parallel: batches of points that may be under way at once.
        batch: points in one request.
        ca_file: certificates of authorities to trust instead of the usual ones.
        verify: False accepts any certificate; not allowed with an API key.
        wait_seconds: the longest to wait for a collection to be indexed, or for a snapshot.
        lease_seconds: a candidate of which its builder has not been heard for so long counts as given up.
    """

    url: str
    prefix: str = "ragflow"
    api_key: str | None = field(default=None, repr=False)
    prefer_grpc: bool = False
    grpc_port: int = 6334
    timeout_seconds: float = 60.0
    retries: int = 3
    retry_seconds: float = 0.5
    parallel: int = 2
    batch: int = 256
    ca_file: Path | None = None
    verify: bool = True
    wait_seconds: float = 3_600.0
    lease_seconds: float = 60.0

    def __post_init__(self) -> None:
        parts = self._parts()
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise UsageError(
                f"{self.url!r} is not the address of a Qdrant server.",
                remedy="It looks like https://qdrant.example:6333.",
            )
        if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
            raise UsageError(
                "The address of the Qdrant server holds more than scheme, host, port and path.",
                remedy="Give the API key by its own setting.",
            )
        if not _PREFIX.fullmatch(self.prefix):
            raise UsageError(
                f"{self.prefix!r} cannot be how collections are named.",
                remedy="Take letters, digits, '_', '.' and '-', at most 64, the first a letter or a digit.",
            )
        for name, (lowest, highest) in _LIMITS.items():
            if not lowest <= getattr(self, name) <= highest:
                raise UsageError(
                    f"The setting {name} of the Qdrant server is {getattr(self, name)}.",
                    remedy=f"It must be from {lowest} to {highest}.",
                )
        self._check_secrecy()

    def _check_secrecy(self) -> None:
        if self.api_key is not None and not self.is_local:
            if not self.is_encrypted:
                raise UsageError(
                    f"An API key is not sent to {self.host} over plain http.",
                    remedy="Use an https address, or a server on this machine.",
                )
            if not self.verify:
                raise UsageError(
                    f"An API key is not sent to {self.host} without knowing that it is that host.",
                    remedy="Name the authority that signed its certificate as ca_file, and leave verify on.",
                )
        if self.prefer_grpc and self.is_encrypted and not self.verify:
            raise UsageError("gRPC cannot accept any certificate.", remedy="Name a ca_file, or do without gRPC.")
        if self.ca_file is not None and not self.ca_file.is_file():
            raise UsageError(f"There are no certificates at {self.ca_file}.", remedy="Name a PEM file as ca_file.")

    @property
    def host(self) -> str:
        return self._parts().hostname or ""

    @property
    def is_encrypted(self) -> bool:
        return self._parts().scheme == "https"

    @property
    def is_local(self) -> bool:
        """Whether what is sent stays on this machine."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:  # a name
            return False

    @property
    def address(self) -> str:
        """The URL, port included, without a slash at its end."""
        parts = self._parts()
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{parts.scheme}://{host}:{parts.port or DEFAULT_PORT}{parts.path.rstrip('/')}"

    def collection(self, version: str) -> str:
        """Return the name of the collection that holds a version."""
        return f"{self.prefix}-{check_version_name(version)}"

    def _parts(self) -> SplitResult:
        try:
            parts = urlsplit(self.url)
            _ = parts.port
        except ValueError as error:
            raise UsageError(
                f"{self.url!r} is not the address of a Qdrant server: {error}.",
                remedy="It looks like https://qdrant.example:6333.",
            ) from error
        return parts
