"""Run the service until it is told to stop."""

from __future__ import annotations

import logging
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import uvicorn
from fastapi import FastAPI

from ragflow.errors import ServiceUnavailableError, UsageError
from ragflow.model.service import ServiceOptions
from ragflow.service.app import create_app
from ragflow.service.limits import GuardedProtocol
from ragflow.service.security import check_can_serve, key_store
from ragflow.settings import Settings

log = logging.getLogger(__name__)

STOP_SECONDS = 30
"""How long requests under way may take to end once the service is told to stop."""
KEEP_ALIVE_SECONDS = 30
BACKLOG = 1024
LEAST_CONNECTIONS, CONNECTIONS = 1000, 5
"""Connections that are taken at least, and for each request that may be worked on."""


class Server(uvicorn.Server):
    """A server that says when it listens. SIGTERM and SIGINT end it once the requests under way are answered.

    Args:
        listening: called with the address, once requests are taken.
    """

    def __init__(self, config: uvicorn.Config, listening: Callable[[], None]) -> None:
        super().__init__(config)
        self._listening = listening

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take SIGTERM and SIGINT for the time of serving.

        As uvicorn does, but the signal is not raised again in the end: to be stopped is what a service ends with, and
        what is given back when the process ends would be left lying.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        if self.started and not self.should_exit:
            self._listening()


def bound(host: str, port: int) -> socket.socket:
    """Return a socket bound to an address.

    Args:
        host: a name or an address, IPv4 or IPv6.
        port: 0: any free one.

    Raises:
        UsageError: the address is not of this machine, or not to be had.
        ServiceUnavailableError: the port is taken.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise UsageError(f"{host} is not known: {error}.", remedy="Name an address of this machine.") from error
    family, kind, protocol, _, address = found[0]
    listener = socket.socket(family, kind, protocol)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(address)
    except OSError as error:
        listener.close()
        raise ServiceUnavailableError(
            f"{host}, port {port}, cannot be listened on: {error.strerror or error}.",
            remedy="Choose another port with --port (0: any free one), or stop what listens there.",
        ) from error
    return listener


def address_of(listener: socket.socket) -> str:
    """Return the address under which a bound socket is reached: ``http://host:port``."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def server_of(app: FastAPI, options: ServiceOptions, listening: Callable[[], None]) -> Server:
    """Return a server for an application, not started yet."""
    config = uvicorn.Config(
        app,
        http=GuardedProtocol,
        # Connections, most of which wait: how many requests are worked on at once is limited further in, politely.
        limit_concurrency=max(LEAST_CONNECTIONS, CONNECTIONS * options.max_concurrent),
        backlog=BACKLOG,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=STOP_SECONDS,
        lifespan="on",
        ws="none",
    )
    return Server(config, listening)


def serve(settings: Settings, listening: Callable[[str], None]) -> None:
    """Serve until SIGTERM or SIGINT; returns when the requests under way are answered.

    Args:
        listening: called with the address once requests are taken.

    Raises:
        UsageError: the options cannot be used: others would reach the service, and there is no key.
        ServiceUnavailableError: the address cannot be listened on.
    """
    options = settings.service
    check_can_serve(options, key_store(settings))
    app = create_app(settings)
    listener = bound(options.host, options.port)
    address = address_of(listener)
    try:
        server_of(app, options, lambda: listening(address)).run(sockets=[listener])
    finally:
        listener.close()
    log.info("stopped", extra={"address": address})
