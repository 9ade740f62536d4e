"""A real HTTP server on this machine that hands out files, rightly or wrongly."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(slots=True)
class WeightsServer:
    """What is served, and what was asked for.

    Attributes:
        files: path → bytes; anything else is 404.
        truncated: paths that end early, after the length was promised.
        statuses: path → status to answer with instead.
        redirects: path → address.
        claimed: path → length to promise, whatever is sent.
        chunked: paths that are sent without a length.
    """

    address: str
    files: dict[str, bytes] = field(default_factory=dict)
    truncated: set[str] = field(default_factory=set)
    statuses: dict[str, int] = field(default_factory=dict)
    redirects: dict[str, str] = field(default_factory=dict)
    claimed: dict[str, int] = field(default_factory=dict)
    chunked: set[str] = field(default_factory=set)
    asked: list[str] = field(default_factory=list)


@contextmanager
def serving() -> Iterator[WeightsServer]:
    """Run the server for the length of the ``with`` block."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            told.asked.append(self.path)
            raw = told.files.get(self.path)
            if self.path in told.redirects:
                self.send_response(302)
                self.send_header("Location", told.redirects[self.path])
                self.end_headers()
            elif self.path in told.statuses or raw is None:
                self.send_error(told.statuses.get(self.path, 404))
            else:
                self.send_response(200)
                if self.path not in told.chunked:
                    self.send_header("Content-Length", str(told.claimed.get(self.path, len(raw))))
                self.end_headers()
                self.wfile.write(raw[: len(raw) // 2] if self.path in told.truncated else raw)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    told = WeightsServer(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield told
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
