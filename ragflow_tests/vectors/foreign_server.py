"""A small HTTP server that answers as Qdrant does about one collection of somebody else's, in the shapes of its REST
interface: description, count, scroll."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class ForeignServer:
    """Points lie in a list, in order of their numbers; all can be changed while the server runs."""

    def __init__(self) -> None:
        self.points: list[dict[str, Any]] = []
        self.vectors: Any = {"size": 2, "distance": "Cosine"}
        self.key: str | None = None
        self.missing = False
        self.seen: list[tuple[str, Any]] = []
        self.url = ""

    @contextmanager
    def running(self) -> Iterator[ForeignServer]:
        listening = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        listening.daemon_threads = True
        thread = threading.Thread(target=listening.serve_forever, args=(0.02,))
        thread.start()
        self.url = f"http://127.0.0.1:{listening.server_address[1]}"
        try:
            yield self
        finally:
            listening.shutdown()
            thread.join()
            listening.server_close()

    def answer(self, path: str, body: Any, key: str | None) -> tuple[int, Any]:
        self.seen.append((path, body))
        if self.key is not None and key != self.key:
            return 401, {"status": {"error": "Must provide an API key or an Authorization bearer token"}}
        if self.missing:
            return 404, {"status": {"error": f"Not found: Collection `{path.split('/')[2]}` doesn't exist!"}}
        if path.endswith("/points/count"):
            return 200, {"count": len(self.points)}
        if path.endswith("/points/scroll"):
            rest = [point for point in self.points if point["id"] >= (body.get("offset") or 0)]
            page, following = rest[: body["limit"]], rest[body["limit"] : body["limit"] + 1]
            return 200, {"points": page, "next_page_offset": following[0]["id"] if following else None}
        return 200, self._description()

    def _description(self) -> dict[str, Any]:
        return {
            "status": "green",
            "optimizer_status": "ok",
            "indexed_vectors_count": 0,
            "points_count": len(self.points),
            "segments_count": 1,
            "config": {
                "params": {"vectors": self.vectors},
                "hnsw_config": {"m": 16, "ef_construct": 100, "full_scan_threshold": 10_000},
                "optimizer_config": {
                    "deleted_threshold": 0.2,
                    "vacuum_min_vector_number": 1000,
                    "default_segment_number": 0,
                    "flush_interval_sec": 5,
                },
            },
            "payload_schema": {},
        }


def _handler(server: ForeignServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *arguments: Any) -> None:
            """Say nothing."""

        def _serve(self) -> None:
            content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            body = json.loads(content) if content else None
            status, result = server.answer(self.path.split("?")[0], body, self.headers.get("api-key"))
            answer = {"result": result, "status": "ok", "time": 0.0} if status == 200 else {**result, "time": 0.0}
            data = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = _serve  # noqa: N815 (named by the standard library)

    return Handler
