"""How the search service is run: addresses, limits, and what it keeps."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address


@dataclass(frozen=True, slots=True)
class ServiceOptions:
    """Options of ``ragflow serve``.

    Attributes:
        host: address to bind to; anything but loopback asks for keys.
        port: TCP port; 0: any free one.
        require_key: whether a key is asked for on loopback, too.
        cors_origins: origins whose pages may call the service; none by default.
        trusted_proxies: addresses whose X-Forwarded-For is believed; none by default.
        poll_seconds: how often the alias is looked at.
        requests_per_minute: of one key, or of one address where no key is asked for; 0: no limit.
        burst: requests that may come at once, above that rate.
        max_body_bytes: largest request body.
        timeout_seconds: a request that takes longer is answered with 504.
        max_concurrent: requests worked on at once; more are answered with 503.
        search_process: whether searches are done by a process beside the service; with a reranker they are not.
        embed_batch: queries embedded together at most.
        embed_wait_ms: how long a query waits for others to be embedded with.
        embed_cache: query vectors kept in memory.
        image_cache_bytes: page images kept on the disk.
        audit_log: file that queries are written to, relative to the home folder; None: no query is written anywhere.
        verify_max_age_hours: without a verification younger than this the service counts as degraded; 0: not asked.
        live_max_age_days: a live version older than this counts as degraded; 0: not asked.
        disk_free_bytes: with less free than this the service counts as degraded.
        memory_limit_bytes: with more resident memory than this the service counts as degraded; 0: not asked.
    """

    host: str = "127.0.0.1"
    port: int = 8080
    require_key: bool = False
    cors_origins: tuple[str, ...] = ()
    trusted_proxies: tuple[str, ...] = ()
    poll_seconds: float = 0.5
    requests_per_minute: int = 600
    burst: int = 100
    max_body_bytes: int = 64 * 1024
    timeout_seconds: float = 30.0
    max_concurrent: int = 200
    search_process: bool = True
    embed_batch: int = 32
    embed_wait_ms: float = 2.0
    embed_cache: int = 10_000
    image_cache_bytes: int = 512 * 1024 * 1024
    audit_log: str | None = None
    verify_max_age_hours: float = 0.0
    live_max_age_days: float = 0.0
    disk_free_bytes: int = 512 * 1024 * 1024
    memory_limit_bytes: int = 0

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach the service."""
        if self.host == "localhost":
            return True
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def asks_for_key(self) -> bool:
        return self.require_key or not self.is_loopback
