"""The search service under load, and while releases move the alias under it.

The archive is a real one, ingested by the pipeline; the service is ``ragflow serve`` in a process of its own; the
clients are Locust's, in another (see ``load_user``). Service and clients share the machine's cores.

Two kinds of clients are measured. Those *without a pause* ask again as soon as they are answered: they show how many
requests a second the service can take, and their waiting time is but the number of clients divided by that. *Paced*
ones ask a given number of times a second, as people do together: their waiting time is that of the service.

That no request fails, that answers come from one version each, and that both versions answer while the alias moves,
is asserted: a benchmark in which it does not hold could not be run.
"""

from __future__ import annotations

import json
import os
import random
import re
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import psutil

from ragflow.model.service import ServiceOptions
from ragflow.pipeline.stages import CHUNKS, RAW_PDFS
from ragflow.pipeline.workspace import Workspace
from ragflow.sample import make_text_archive
from ragflow.store.home import Home
from ragflow_tests.benchmarks.bulk import documents_of, ingested
from ragflow_tests.benchmarks.fresh import environment_of, ragflow_command
from ragflow_tests.benchmarks.material import settle
from ragflow_tests.benchmarks.report import Bench, Figure, say
from ragflow_tests.benchmarks.scale import MEGABYTE, percentile

NAME = "load"
LOAD_USER = Path(__file__).with_name("load_user.py")
SERVE = (sys.executable, "-m", "ragflow.cli.main", "serve")
SETTLE_SECONDS = 1.0
CHUNKS_WANTED, CLIENTS = 20_000, 50
LEAST_RATE, MOST_P95 = 150.0, 150.0
PACE = 160.0
"""Requests a second of all paced clients together."""
NOISE = 1.2
"""How far a figure under moves may be from the worse one of two runs without."""
STARTING_SECONDS = 120.0
QUERY_WORDS = (3, 10)
MODES = {"hybrid": 0.7, "dense": 0.15, "sparse": 0.15}
POPULAR, POPULAR_SHARE = 300, 0.5
"""Where queries repeat: so many make up this share, the first of them most often (Zipf's law)."""
Request = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Archive:
    """What is served: ``version``, which holds ``points``, and the release after it, of one document more."""

    home: Path
    version: str
    following: str
    points: int


@dataclass(frozen=True, slots=True)
class Run:
    """One run: milliseconds of each answer, by second; answers by version; seconds of CPU; queries by source."""

    seconds: float
    times: list[float]
    versions: dict[str, int]
    service_cpu: float
    clients_cpu: float
    embedded: dict[str, float]

    @property
    def rate(self) -> float:
        return len(self.times) / self.seconds

    @property
    def p95(self) -> float:
        return percentile(self.times, 95)

    @property
    def shown(self) -> str:
        latency = " / ".join(f"{percentile(self.times, share):.0f}" for share in (50, 95, 99))
        return f"{self.rate:.0f} requests/s; p50 / p95 / p99 {latency} ms"

    @property
    def kept(self) -> str:
        """How many of the queries that needed a vector had one already."""
        asked = sum(self.embedded.values())
        return f"{self.embedded.get('kept', 0.0) / asked:.0%} of the vectors from memory" if asked else "no vectors"


def run(bench: Bench) -> Iterator[Figure]:
    archive = archive_of(bench)
    workspace = Workspace(Home(archive.home))
    chunks = chunks_of(workspace)
    seconds, clients = bench.count(20, 4), bench.count(CLIENTS, 4)
    questions = Questions(chunks)
    many = bench.count(600, 100) * seconds  # more than any run can ask
    place(workspace, archive.version)
    with service(archive.home, 0.05 if bench.quick else ServiceOptions().poll_seconds) as (address, process):
        user = Clients(bench.folder, address, process, archive, clients, seconds)
        say(f"{NAME}: warming up")
        user.run(questions.distinct(many))
        runs: dict[str, list[Run]] = {}
        for kind, pace in (("without a pause", None), ("paced", PACE)):
            for moved in (False, True, False):
                say(f"{NAME}: {clients} clients {kind}, {seconds} s{', the alias moves twice' if moved else ''}")
                moves = there_and_back(workspace, archive, seconds) if moved else None
                runs.setdefault(kind, []).append(user.run(questions.distinct(many), pace, moves))
        say(f"{NAME}: {clients} clients who repeat queries")
        repeated = user.run(questions.repeated(many))
        memory = [one.memory_info() for one in (process, *process.children())]
    yield from _figures(archive, clients, runs, repeated)
    yield Figure(
        NAME,
        "resident memory of the service and of the processes beside it, after all runs",
        " + ".join(f"{one.rss / MEGABYTE:.0f} MB ({(one.rss - one.shared) / MEGABYTE:.0f} its own)" for one in memory),
        sum(one.rss for one in memory) / MEGABYTE,
    )


def _figures(archive: Archive, clients: int, runs: dict[str, list[Run]], repeated: Run) -> Iterator[Figure]:
    what = f"{archive.points:,} chunks, {clients} clients"
    first, paced = runs["without a pause"][0], runs["paced"][0]
    yield Figure(
        NAME,
        f"{what} without a pause, distinct queries ({first.kept}), two thirds of them without a filter",
        first.shown,
        first.rate,
        f"≥ {LEAST_RATE:.0f} requests/s, p95 < {MOST_P95:.0f} ms, no error",
        first.rate >= LEAST_RATE and first.p95 < MOST_P95,
    )
    yield Figure(
        NAME,
        f"{what}, {PACE:.0f} requests/s together, distinct queries ({paced.kept})",
        paced.shown,
        paced.p95,
        f"≥ {LEAST_RATE:.0f} requests/s, p95 < {MOST_P95:.0f} ms, no error",
        paced.rate >= LEAST_RATE and paced.p95 < MOST_P95,
    )
    for kind, (before, during, after) in runs.items():
        same = during.p95 <= NOISE * max(before.p95, after.p95) and NOISE * during.rate >= min(before.rate, after.rate)
        answered = " + ".join(f"{count} by {version}" for version, count in sorted(during.versions.items()))
        yield Figure(
            NAME,
            f"{what} {kind}, while the alias moves there and back ({answered}); before and after: {before.rate:.0f} and"
            f" {after.rate:.0f} requests/s, p95 {before.p95:.0f} and {after.p95:.0f} ms",
            during.shown,
            during.p95,
            f"no error; within {NOISE - 1:.0%} of the worse one",
            same,
        )
    yield Figure(
        NAME,
        f"{what} without a pause, half of the queries out of {POPULAR} popular ones ({repeated.kept})",
        repeated.shown,
        repeated.rate,
    )
    cpu, of_clients = (1000 * seconds / len(first.times) for seconds in (first.service_cpu, first.clients_cpu))
    share = first.clients_cpu / first.seconds / (os.cpu_count() or 1)
    yield Figure(
        NAME,
        "CPU time of one request: the service with its search process / the clients, with their share of all cores",
        f"{cpu:.1f} ms / {of_clients:.1f} ms ({share:.0%})",
        cpu,
    )


def archive_of(bench: Bench) -> Archive:
    """Return the bulk archive with as many documents more as are needed, and one release after that."""
    home, whole = ingested(bench)
    points = whole.answer["answer"]["release"]["points"]
    lacking = bench.count(CHUNKS_WANTED, points + 1) - points
    releases = []
    for seed, documents in ((1, max(1, -(-lacking * documents_of(bench) // points))), (2, 1)):
        folder = bench.session / f"{NAME}-papers-{seed}"
        say(f"{NAME}: ingesting {documents} documents more")
        make_text_archive(folder, documents, seed=seed)
        settle(folder)
        releases.append(ragflow_command(home, "ingest", folder).answer["release"])
    return Archive(home, releases[0]["version"], releases[1]["version"], releases[0]["points"])


def chunks_of(workspace: Workspace) -> list[tuple[str, str, str]]:
    """Return text, language and document of every chunk, from the tables."""
    tables = workspace.home.tables
    key_of: dict[str, str] = {}
    for batch in tables.batches(RAW_PDFS):
        table = tables.read(tables.get(RAW_PDFS, batch), "documents", columns=["document_sha256", "document_key"])
        key_of |= dict(zip(*(column.to_pylist() for column in table.columns), strict=True))
    found: list[tuple[str, str, str]] = []
    for batch in tables.batches(CHUNKS):
        table = tables.read(tables.get(CHUNKS, batch), "chunks", columns=["text", "language", "document_sha256"])
        texts, languages, contents = (table.column(name).to_pylist() for name in table.column_names)
        found += zip(texts, languages, map(key_of.__getitem__, contents), strict=True)
    return found


class Questions:
    """Words in a row out of the archive's own chunks; no query twice, in whatever run, but for popular ones."""

    def __init__(self, chunks: Sequence[tuple[str, str, str]]) -> None:
        self._chunks = chunks
        self._choice = random.Random(0)
        self._asked: set[str] = set()
        self._popular = self.distinct(POPULAR)

    def distinct(self, wanted: int) -> list[Request]:
        """Return searches with new queries; fewer than are wanted if the archive is small."""
        found: list[Request] = []
        for _ in range(20 * wanted):
            if len(found) == wanted:
                break
            text, language, document = self._choice.choice(self._chunks)
            words, length = text.split(), self._choice.randrange(*QUERY_WORDS)
            start = self._choice.randrange(max(1, len(words) - length))
            query = " ".join(words[start : start + length])
            if query not in self._asked:
                self._asked.add(query)
                found.append(self._request(query, language, document))
        if not found:
            raise ValueError("all queries that the archive has words for have been asked")
        return found

    def repeated(self, wanted: int) -> list[Request]:
        """Return searches of which :data:`POPULAR_SHARE` are popular ones."""
        weights = [1 / rank for rank in range(1, len(self._popular) + 1)]
        popular = self._choice.choices(self._popular, weights, k=wanted)
        fresh = self.distinct(wanted)
        return [
            again if self._choice.random() < POPULAR_SHARE else new for again, new in zip(popular, fresh, strict=False)
        ]

    def _request(self, query: str, language: str, document: str) -> Request:
        """Return a search, a third of them with filters: by address or with a body."""
        mode = self._choice.choices(list(MODES), list(MODES.values()))[0]
        kind = self._choice.randrange(9)
        if kind == 0:
            return {"body": {"query": query, "mode": mode, "where": {"document_key": document}}}
        if kind == 1:
            where = {"page_number": {"from": 1, "to": 3}, "language": [language]}
            return {"body": {"query": query, "mode": mode, "where": where}}
        filters = {"where": f"language={language}"} if kind == 2 else {}
        return {"path": "/api/v1/search?" + urlencode({"query": query, "mode": mode, **filters})}


@contextmanager
def service(home: Path, poll_seconds: float) -> Iterator[tuple[str, psutil.Popen]]:
    """Run ``ragflow serve``; yield its address and its process. All requests come from one address: no rate limit."""
    environment = {
        **environment_of(home),
        "RAGFLOW_SERVICE__REQUESTS_PER_MINUTE": "0",
        "RAGFLOW_SERVICE__POLL_SECONDS": str(poll_seconds),
    }
    log = home.parent / f"{NAME}-service.log"
    with log.open("wb") as stderr:
        process = psutil.Popen(
            [*SERVE, "--port", "0", "--json"], env=environment, stdout=subprocess.PIPE, stderr=stderr
        )
    impatient = threading.Timer(STARTING_SECONDS, process.kill)
    impatient.start()
    try:
        line = process.stdout.readline()
        if not line:
            raise RuntimeError(f"the service did not start:\n{log.read_text(errors='replace')[-2000:]}")
        impatient.cancel()
        yield json.loads(line)["address"], process
    finally:
        impatient.cancel()
        process.terminate()
        if process.wait(60) != 0:
            say(f"{NAME}: the service ended with {process.returncode}: {log.read_text(errors='replace')[-2000:]}")


@dataclass(frozen=True, slots=True)
class Clients:
    """Runs the load generator against a service, and asserts what must hold in every run."""

    folder: Path
    address: str
    process: psutil.Popen
    archive: Archive
    number: int
    seconds: int

    def run(
        self, requests: Sequence[Request], pace: float | None = None, during: Callable[[], None] | None = None
    ) -> Run:
        """Ask for some seconds; ``during`` runs meanwhile, in a thread.

        Args:
            pace: requests a second of all clients together; None: without a pause.
        """
        plan, began, answer = (self.folder / name for name in ("plan.json", "began", "answer.json"))
        for old in (began, answer):
            old.unlink(missing_ok=True)
        each = pace / self.number if pace else None
        files = {"began": str(began), "answer": str(answer)}
        plan.write_text(json.dumps({"requests": requests, "per_user": each, "settle": SETTLE_SECONDS, **files}))
        command = [
            *(sys.executable, "-m", "locust", "-f", str(LOAD_USER), "--headless", "--only-summary"),
            *("-u", str(self.number), "-r", str(self.number), "-t", f"{self.seconds}s", "-H", self.address),
        ]
        cpu, sources = self._cpu(), self._sources()
        with (self.folder / "locust.log").open("wb") as log:
            locust = subprocess.Popen(
                command, env={**os.environ, "RAGFLOW_LOAD": str(plan)}, stdout=log, stderr=subprocess.STDOUT
            )
            try:
                while during is not None and not began.exists() and locust.poll() is None:
                    time.sleep(0.05)
                if during is not None:
                    during()
                locust.wait(self.seconds + 120)
            finally:
                locust.kill()
                locust.wait()
        if not answer.is_file():
            raise RuntimeError(f"Locust did not run:\n{(self.folder / 'locust.log').read_text()[-2000:]}")
        told = json.loads(answer.read_text())
        expected = {self.archive.version} if during is None else {self.archive.version, self.archive.following}
        if told["failures"] or set(told["versions"]) != expected:
            raise AssertionError(f"failures: {told['failures']}; answers by version: {told['versions']}")
        after = self._sources()
        return Run(
            told["seconds"],
            [milliseconds for _, milliseconds in told["times"]],
            told["versions"],
            # The service also works in the first second, which is not counted.
            (self._cpu() - cpu) * told["seconds"] / self.seconds,
            told["cpu"],
            {source: after[source] - sources.get(source, 0.0) for source in after},
        )

    def _cpu(self) -> float:
        """Return the seconds of CPU that the service has taken, with all processes that it has or had."""
        own = self.process.cpu_times()
        beside = [child.cpu_times() for child in self.process.children()]
        ended = own.children_user + own.children_system
        return float(own.user + own.system + ended + sum(times.user + times.system for times in beside))

    def _sources(self) -> dict[str, float]:
        """Return how many vectors of queries were kept, joined or computed, as the service counts them."""
        with urllib.request.urlopen(f"{self.address}/metrics", timeout=30) as answer:
            text = answer.read().decode()
        found = re.findall(r'^ragflow_query_embeddings\w*\{source="(\w+)"\} (\S+)$', text, re.MULTILINE)
        return {source: float(count) for source, count in found}


def place(workspace: Workspace, version: str) -> None:
    """Move the alias to a version, as a release does."""
    versions = workspace.versions()
    alias = versions.alias()
    now = datetime.now(UTC).isoformat(timespec="seconds")
    versions.move_alias(version, expected=alias.version if alias else None, moved_at=now)


def there_and_back(workspace: Workspace, archive: Archive, seconds: int) -> Callable[[], None]:
    """Return what moves the alias to the next release after a third of a run, and back after two thirds."""

    def move() -> None:
        for version in (archive.following, archive.version):
            time.sleep((seconds - SETTLE_SECONDS) / 3)
            place(workspace, version)

    return move
