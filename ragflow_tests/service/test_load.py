"""The load generator of the benchmarks, two seconds against a running service: what it counts, what it asserts."""

from __future__ import annotations

from collections import Counter
from importlib.util import find_spec
from pathlib import Path

import psutil
import pytest

from ragflow_tests.benchmarks.load import MODES, Archive, Clients, Questions
from ragflow_tests.pipeline.archive import LAVOIR, ORCHARD, QUARRY
from ragflow_tests.service.homes import V2, Service

TEXTS = [(QUARRY, "en", "inbox/report.pdf"), (ORCHARD, "en", "inbox/report.pdf"), (LAVOIR, "fr", "inbox/minutes.pdf")]
CHUNKS = [(f"{text} {number} ".join(text.split()), *rest) for number in range(40) for text, *rest in TEXTS]
"""Long enough that queries out of them need not repeat."""

# Locust itself is not imported: it would patch this whole process. It runs in one of its own.
pytestmark = pytest.mark.skipif(find_spec("locust") is None, reason="needs the extra bench")


def clients(service: Service, folder: Path, version: str) -> Clients:
    archive = Archive(service.workspace.home.root, version, "v000009", 0)
    # Their own process stands in for the service's, whose CPU time is taken, too.
    return Clients(folder, service.address, psutil.Process(), archive, 3, 2)


def test_queries_are_the_archives_own_and_repeat_only_if_asked_to() -> None:
    def query(request: dict) -> str:  # type: ignore[type-arg]
        return str(request["body"]["query"] if "body" in request else request["path"])

    questions = Questions(CHUNKS)
    first, second = questions.distinct(600), questions.distinct(600)
    assert len(first) == len({query(request) for request in (*first, *second)}) / 2 == 600
    bodies = [request["body"] for request in first if "body" in request]
    assert {body["mode"] for body in bodies} == set(MODES)
    assert {frozenset(body["where"]) for body in bodies} == {
        frozenset({"document_key"}),
        frozenset({"page_number", "language"}),
    }
    repeated = Counter(map(query, questions.repeated(300)))
    assert 300 > len(repeated) > 150


def test_a_run_reads_every_answer(service: Service, tmp_path: Path) -> None:
    questions = Questions(CHUNKS)
    run = clients(service, tmp_path, V2).run(questions.distinct(50))
    assert run.versions == {V2: len(run.times)} and run.times
    assert run.embedded["computed"] + run.embedded["kept"] > 0
    with pytest.raises(AssertionError, match=V2):
        clients(service, tmp_path, "v000001").run(questions.distinct(50))
    wrong = [{"path": "/api/v1/search?query=quarry&top=0"}]
    with pytest.raises(AssertionError, match="422"):
        clients(service, tmp_path, V2).run(wrong)
