"""A process that searches one version for the service; the other end of ``search_process``.

It imports little, for it is started while a release is on its way and others search.
"""

from __future__ import annotations

import logging
import logging.handlers
import pickle
import queue
import socket
import struct
from typing import Any

from ragflow.errors import RagflowError
from ragflow.pipeline.searching import Searcher
from ragflow.service.search_start import patiently
from ragflow.service.search_tasks import Found, find, warm_up

log = logging.getLogger(__name__)

PATIENCE = 10
"""Niceness of what nobody waits for yet."""
LENGTH = struct.Struct("!I")
"""Goes before every message: its length in bytes."""


class _Forwarded(logging.handlers.QueueHandler):
    """Sends records of the log to the service, which writes them as its own."""

    def __init__(self, connection: socket.socket) -> None:
        super().__init__(queue.SimpleQueue())
        self._connection = connection

    def enqueue(self, record: logging.LogRecord) -> None:
        self._connection.sendall(framed((None, record)))


def serve_searches(connection: socket.socket) -> None:
    """Answer messages until the other end is closed: that is how this process ends, whatever became of the service."""
    first = _received(connection)
    if first is None:
        return
    number, workspace, level, version, vector = first
    ours = logging.getLogger("ragflow")
    ours.setLevel(level)
    ours.addHandler(_Forwarded(connection))
    try:
        searcher = Searcher(workspace, version)
    except RagflowError as error:
        connection.sendall(framed((number, error)))
        return
    with searcher:
        patiently(searcher.read_ahead, PATIENCE)
        warm_up(searcher, vector)
        connection.sendall(framed((number, None)))
        while (message := _received(connection)) is not None:
            number, task = message
            answer: Found | RagflowError | None
            try:
                answer = find(searcher, workspace.home.absences, task)
            except RagflowError as error:
                answer = error
            except Exception:
                # The service searches itself then, and answers for what happens there.
                log.exception("a search failed")
                answer = None
            connection.sendall(framed((number, answer)))


def framed(message: Any) -> bytes:
    """Return a message as it is sent."""
    data = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
    return LENGTH.pack(len(data)) + data


def _received(connection: socket.socket) -> Any:
    """Return the next message; None when the other end is closed."""
    head = _read(connection, LENGTH.size)
    data = _read(connection, *LENGTH.unpack(head)) if head else None
    return pickle.loads(data) if data else None


def _read(connection: socket.socket, wanted: int) -> bytes | None:
    data = bytearray()
    while len(data) < wanted:
        try:
            part = connection.recv(wanted - len(data))
        except ConnectionError:
            return None
        if not part:
            return None
        data += part
    return bytes(data)
