"""A small HTTP server that answers the requests of our engine as Qdrant does.

Points lie in shards of Qdrant Edge. It keeps every request and every answer, and can be told to fail, to hold requests
back, or to ask for a key. Its snapshots are archives of a shard's files.
"""

from __future__ import annotations

import re
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from ragflow_tests.vectors.rest_answers import ROUTES, Answer, Collection, RefusalError, Request, dump, refusal

VERSION = "1.19.0"


Fault = Callable[[Request], Answer | None]


class RestServer:
    """Listens on a free port of this machine from :meth:`running` on."""

    def __init__(self, folder: Path, version: str = VERSION) -> None:
        self.version = version
        self.key: str | None = None
        self.seen: list[tuple[Request, Answer]] = []
        self.faults: list[Fault] = []
        """Asked in turn, before a request is worked on; the first answer that is not None is given."""
        self.after: list[Fault] = []
        """As ``faults``, but once the request has been worked on: its answer gets lost."""
        self.state: dict[str, Any] = {}
        """Put over what is said about every collection."""
        self.broken: list[Exception] = []
        """Defects of this server, raised when it ends."""
        self.peers = 1
        self.has_snapshots = True
        self.folder = folder
        self.collections: dict[str, Collection] = {}
        self.aliases: dict[str, str] = {}
        self.snapshots: dict[str, bytes] = {}
        self.lock = threading.RLock()
        self.url = ""

    @contextmanager
    def running(self, tls: ssl.SSLContext | None = None) -> Iterator[RestServer]:
        listening = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        listening.daemon_threads = True
        if tls is not None:
            listening.socket = tls.wrap_socket(listening.socket, server_side=True)
        thread = threading.Thread(target=listening.serve_forever, args=(0.02,))
        thread.start()
        self.url = f"{'http' if tls is None else 'https'}://127.0.0.1:{listening.server_address[1]}"
        try:
            yield self
        finally:
            listening.shutdown()
            thread.join()
            listening.server_close()
        if self.broken:
            raise self.broken[0]

    def find(self, name: str) -> Collection:
        """Return a collection, by its name or an alias."""
        found = self.collections.get(self.aliases.get(name, name))
        if found is None:
            raise refusal(404, f"Not found: Collection `{name}` doesn't exist!")
        return found

    def requests(self, method: str, path: str) -> list[Request]:
        """Return the requests so far whose path matches."""
        return [r for r, _ in list(self.seen) if r.method == method and re.fullmatch(path, r.path)]

    def answer(self, request: Request) -> Answer:
        if self.key is not None and request.headers.get("api-key") != self.key:
            return Answer(401, b"Must provide an API key or an Authorization bearer token")
        for fault in self.faults:
            if (answer := fault(request)) is not None:
                return answer
        answer = self._work(request)
        for fault in self.after:
            if (lost := fault(request)) is not None:
                return lost
        return answer

    def _work(self, request: Request) -> Answer:
        for method, pattern, work in ROUTES:
            found = re.fullmatch(pattern, request.path)
            if found and method == request.method:
                try:
                    with self.lock:
                        result = work(self, request, *map(unquote, found.groups()))
                except RefusalError as refused:
                    return refused.answer
                except Exception as error:
                    self.broken.append(error)
                    return Answer(400, dump({"status": {"error": f"defect of the test's server: {error!r}"}}))
                if isinstance(result, Answer):
                    return result
                return Answer(200, dump({"result": result, "status": "ok", "time": 0.0}))
        return Answer(404, b"")


def failing(times: int, status: int, method: str, path: str, **headers: str) -> Fault:
    """Return a fault that answers the next requests of a kind with a status."""
    left = [times]

    def fault(request: Request) -> Answer | None:
        if request.method != method or not re.fullmatch(path, request.path) or left[0] == 0:
            return None
        left[0] -= 1
        return Answer(status, dump({"status": {"error": "as told"}, "time": 0.0}), headers)

    return fault


def _handler(server: RestServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *arguments: Any) -> None:
            """Say nothing: the requests are kept."""

        def _serve(self) -> None:
            parts = urlsplit(self.path)
            content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            request = Request(self.command, parts.path, dict(parse_qsl(parts.query)), headers, content)
            answer = server.answer(request)
            server.seen.append((request, answer))
            if answer.status == 0:  # hang up
                self.close_connection = True
                return
            self.send_response(answer.status)
            for name, value in {"Content-Length": str(len(answer.content)), **answer.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer.content)

        do_GET = do_PUT = do_POST = do_PATCH = do_DELETE = _serve  # noqa: N815 (named by the standard library)

    return Handler
