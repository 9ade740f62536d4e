"""Qdrant's local mode, answering as a server does: with its errors, and to several threads.

Local mode is the client library's own imitation of a server, in memory. It has no snapshots, no payload indexes and no
shards, searches by looking at every point, and raises plain ``ValueError``.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable
from typing import Any

import httpx
from qdrant_client import QdrantClient, models
from qdrant_client.http.exceptions import UnexpectedResponse

_STATUS = {"not found": 404, "does not exist": 404, "already exists": 409}


class LocalQdrant:
    """Has the methods of a client; what local mode cannot do is refused with status 501's neighbour, 400."""

    def __init__(self) -> None:
        self._client = QdrantClient(":memory:")
        self._lock = threading.RLock()

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._client, name)

        def call(*arguments: Any, **options: Any) -> Any:
            with self._lock, warnings.catch_warnings():
                warnings.simplefilter("ignore")  # payload indexes do nothing here
                try:
                    return method(*arguments, **options)
                except ValueError as error:
                    status = next((code for words, code in _STATUS.items() if words in str(error)), 400)
                    raise refusal(status, str(error)) from error
                except NotImplementedError as error:
                    raise refusal(400, "not in local mode") from error

        return call

    def cluster_status(self) -> models.ClusterStatus:
        return models.ClusterStatusOneOf(status="disabled")


def refusal(status: int, reason: str) -> UnexpectedResponse:
    """Return what the client raises when a server answers with this status."""
    content = models.ErrorResponse(status=models.ErrorResponseStatus(error=reason), time=0.0).model_dump_json()
    return UnexpectedResponse(status, "", content.encode(), httpx.Headers())
