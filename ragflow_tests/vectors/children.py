"""What the tests run in other processes, started with ``spawn``; each is told what to do and answers over a pipe."""

from __future__ import annotations

import math
import time
from contextlib import suppress
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from pathlib import Path

from ragflow.errors import CheckFailedError
from ragflow.vectors import edge
from ragflow.vectors.edge import EdgeVersionStore
from ragflow.vectors.protocols import CollectionSettings
from ragflow.vectors.server import ServerVersionStore
from ragflow.vectors.server_options import ServerOptions
from ragflow_tests.vectors.builders import DIMENSION, MOVED_AT, hashes, make_points


def build_for_ever(root: Path, answer: Connection) -> None:
    """Build v000002 and go on writing until killed; answers after each call of ``upsert``."""
    with EdgeVersionStore(root).create("v000002", CollectionSettings(DIMENSION)) as writer:
        first = 0
        while True:
            writer.upsert(make_points(500, first=first))
            first += 500
            answer.send(first)


def load_and_hang(root: Path, folder: Path, answer: Connection) -> None:
    """Load a snapshot as v000002, and stop shortly before it is complete, until killed."""

    def hang(_: Path) -> None:
        answer.send("loaded")
        time.sleep(600)

    edge.sync_tree = hang  # type: ignore[assignment]
    EdgeVersionStore(root).load_snapshot("v000002", folder)


def move_alias(root: Path, version: str, rounds: int, barrier: Barrier, answer: Connection) -> None:
    """In every round, try to move the alias from v000001; answers with the rounds that were won."""
    store, won = EdgeVersionStore(root), []
    for number in range(rounds):
        barrier.wait(60)
        # Processes leave a barrier one after the other; the clock lets them go at the same moment.
        start = math.floor(time.time() * 20) / 20 + 0.1
        while time.time() < start:
            continue
        with suppress(CheckFailedError):  # the other process was faster; the caller counts
            store.move_alias(version, expected="v000001", moved_at=MOVED_AT)
            won.append(number)
        barrier.wait(60)
        barrier.wait(60)
    answer.send(won)


def search_live(root: Path, rounds: int, answer: Connection) -> None:
    """Open what is live, again and again, and search; answers with (version, hits of each round)."""
    store = EdgeVersionStore(root)
    queries = make_points(5)
    answer.send("ready")
    seen = []
    for _ in range(rounds):
        alias = store.alias()
        assert alias is not None
        with store.open(alias.version) as reader:
            hits = [[hit.id for hit in reader.search_dense(query.dense, 3)] for query in queries]
            seen.append((alias.version, reader.count(), hits, len(hashes(next(reader.scroll(50))))))
    answer.send(seen)


def build_on_server(options: ServerOptions, answer: Connection) -> None:
    """As :func:`build_for_ever`, on a server."""
    with ServerVersionStore(options).create("v000002", CollectionSettings(DIMENSION)) as writer:
        first = 0
        while True:
            writer.upsert(make_points(500, first=first))
            first += 500
            answer.send(first)
