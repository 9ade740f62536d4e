"""Stores on the small server of the tests, as if on several machines; names of requests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from ragflow.vectors.server import ServerVersionStore
from ragflow.vectors.server_options import ServerOptions
from ragflow.vectors.server_requests import Requests
from ragflow_tests.vectors.rest_server import Answer, Fault, Request

COLLECTION = "/collections/ragflow-v00000[0-9]"
POINTS = f"{COLLECTION}/points"
ALIASES = "/collections/aliases"
HANG_UP = 0


def machine(options: ServerOptions, **changes: Any) -> ServerVersionStore:
    """Return a store that shares nothing with any other."""
    changed = replace(options, **changes)
    return ServerVersionStore(changed, requests=Requests(changed))


def once(method: str, path: str, act: Callable[[], None]) -> Fault:
    """Return a fault that does something when the first request of a kind arrives, before it is worked on."""
    left = [act]

    def fault(request: Request) -> Answer | None:
        if left and (request.method, request.path) == (method, path):
            left.pop()()
        return None

    return fault
