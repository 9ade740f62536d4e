"""The load generator: Locust users who search a running service, in a process of their own.

python -m locust -f ragflow_tests/benchmarks/load_user.py --headless -u 50 -r 50 -t 30s -H http://127.0.0.1:8080

``RAGFLOW_LOAD`` names a JSON file:

- ``requests``: what is sent, in order, shared by all users, from the beginning again at the end
- ``per_user``: requests per second that each user makes in the mean, at random times (a Poisson process; one that is
  late asks at once); null: the next as soon as one is answered
- ``settle``: seconds at the beginning, while all connect at once, that are not counted; nothing may fail in them either
- ``began``: a file that is made when counting begins
- ``answer``: the file that the outcome is written to when the run ends, see :class:`Outcome`

Every answer is read: it must be 200, and all of its hits of the version that it names. Locust's own table rounds
times, hence the exact ones in the outcome.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import time
from collections import Counter
from pathlib import Path
from typing import Any

import gevent
import orjson
from locust import FastHttpUser, events, task

PLAN: dict[str, Any] = json.loads(Path(os.environ["RAGFLOW_LOAD"]).read_text())
NEXT = itertools.cycle(PLAN["requests"])
SETTLE_SECONDS: float = PLAN["settle"]


class Outcome:
    """What came of one run.

    Attributes:
        times: (seconds since the run began, milliseconds) of every counted answer.
        versions: how many answers each version gave.
        failures: what went wrong, and how often, what is not counted included.
        empty: answers without a hit.
    """

    def __init__(self) -> None:
        self.began = time.monotonic()
        self.counted_cpu = 0.0
        self.times: list[tuple[float, float]] = []
        self.versions: Counter[str] = Counter()
        self.failures: Counter[str] = Counter()
        self.empty = 0

    def add(self, seconds: float, milliseconds: float, body: bytes | None, status: int, problem: str | None) -> None:
        version = None
        if problem is None and status != 200:
            problem = f"status {status}"
        if problem is None:
            answer = orjson.loads(body or b"null")
            version = answer["version"]
            if any(hit["collection_version"] != version for hit in answer["hits"]):
                problem = "hits of two versions in one answer"
            self.empty += not answer["hits"]
        if problem is not None:
            self.failures[problem] += 1
        elif version is not None and seconds >= SETTLE_SECONDS:
            self.versions[version] += 1
            self.times.append((round(seconds, 3), round(milliseconds, 2)))


OUTCOME = Outcome()


@events.test_start.add_listener
def _begin(**_: Any) -> None:
    OUTCOME.__init__()  # type: ignore[misc]

    def count_from_here() -> None:
        OUTCOME.counted_cpu = time.process_time()
        Path(PLAN["began"]).touch()

    gevent.spawn_later(SETTLE_SECONDS, count_from_here)


@events.test_stop.add_listener
def _end(**_: Any) -> None:
    seconds = time.monotonic() - OUTCOME.began - SETTLE_SECONDS
    told = {
        "seconds": seconds,
        "cpu": time.process_time() - OUTCOME.counted_cpu,
        "times": OUTCOME.times,
        "versions": OUTCOME.versions,
        "failures": OUTCOME.failures,
        "empty": OUTCOME.empty,
    }
    Path(PLAN["answer"]).write_text(json.dumps(told))


class Reader(FastHttpUser):
    """Searches, by address or with a body."""

    network_timeout = 60.0
    connection_timeout = 10.0
    insecure = False

    def on_start(self) -> None:
        self._due = time.monotonic()
        if PLAN["per_user"]:
            gevent.sleep(self.wait_time())

    def wait_time(self) -> float:
        """Return the seconds until this user asks again: people do not ask in step."""
        if not PLAN["per_user"]:
            return 0.0
        self._due += random.expovariate(PLAN["per_user"])
        return max(0.0, self._due - time.monotonic())

    @task
    def search(self) -> None:
        asked = next(NEXT)
        began = time.monotonic()
        if "body" in asked:
            answer = self.client.post("/api/v1/search", json=asked["body"], name="search")
        else:
            answer = self.client.get(asked["path"], name="search")
        ended = time.monotonic()
        problem = repr(answer.error) if answer.status_code == 0 else None
        OUTCOME.add(began - OUTCOME.began, 1000 * (ended - began), answer.content, answer.status_code, problem)
