"""Figures of the service for Prometheus. Labels are bounded: templates of routes, never addresses as they came in."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

LATENCY_BUCKETS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
STAGE_BUCKETS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0, 20.0)
STAGES = ("embed", "dense", "sparse", "fuse", "payload", "rerank", "words", "render")
METHODS = frozenset({"GET", "HEAD", "POST", "OPTIONS", "DELETE"})
UNMATCHED = "unmatched"
"""The route of requests for which there is none."""
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class _Watched(Collector):
    """Counters that another part of the service keeps, read when they are asked for."""

    def __init__(self, name: str, help_text: str, label: str, read: Callable[[], Mapping[str, int]]) -> None:
        self._family = (name, help_text, label)
        self._read = read

    def collect(self) -> list[Metric]:
        name, help_text, label = self._family
        family = CounterMetricFamily(name, help_text, labels=[label])
        for value, count in self._read().items():
            family.add_metric([value], count)
        return [family]


class Metrics:
    """The figures of one service, in a registry of its own. May be shared by threads."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "ragflow_requests", "Requests answered.", ["route", "method", "status"], registry=self.registry
        )
        self.latency = Histogram(
            "ragflow_request_seconds", "Time to answer a request.", ["route"], buckets=LATENCY_BUCKETS,
            registry=self.registry,
        )  # fmt: skip
        self.stages = Histogram(
            "ragflow_stage_seconds", "Time in one stage of the work.", ["stage"], buckets=STAGE_BUCKETS,
            registry=self.registry,
        )  # fmt: skip
        self.errors = Counter("ragflow_errors", "Requests that met a defect.", ["route"], registry=self.registry)
        self.in_flight = Gauge("ragflow_requests_in_flight", "Requests being worked on.", registry=self.registry)
        self.live = Gauge("ragflow_live_version", "1 for the version that serves.", ["version"], registry=self.registry)
        self.live_since = Gauge(
            "ragflow_live_version_decided_timestamp_seconds", "When it was released.", registry=self.registry
        )
        self.points = Gauge("ragflow_points", "Points of the version that serves.", registry=self.registry)
        self.ledger = Gauge(
            "ragflow_ledger_pages", "Pages of the version that serves, by state.", ["state"], registry=self.registry
        )
        self.images = Counter("ragflow_page_images", "Page images, by source.", ["source"], registry=self.registry)
        # Looking a figure up by its labels costs more than counting it does.
        self._of_stage = {stage: self.stages.labels(stage) for stage in STAGES}
        self._of_request: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}

    def watch(self, name: str, help_text: str, label: str, read: Callable[[], Mapping[str, int]]) -> None:
        """Take up counters that another part keeps.

        Args:
            name: of the counter, without ``_total``.
            label: name of the one label that tells them apart.
            read: returns label value → count; called when the figures are asked for.
        """
        self.registry.register(_Watched(name, help_text, label, read))

    def request_done(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count one request."""
        labels = route, method if method in METHODS else "other", status
        found = self._of_request.get(labels)
        if found is None:
            found = self._of_request[labels] = self.requests.labels(*map(str, labels)), self.latency.labels(route)
        count, latency = found
        count.inc()
        latency.observe(seconds)

    def stage_done(self, stage: str, seconds: float) -> None:
        """Note the time spent in a stage; unknown stages are summed up as ``other``."""
        (self._of_stage.get(stage) or self.stages.labels("other")).observe(seconds)

    def stages_done(self, stages: Mapping[str, float]) -> None:
        """Note the times of several stages, in seconds."""
        for stage, seconds in stages.items():
            self.stage_done(stage, seconds)

    def serves(self, version: str | None, *, points: int, decided: float | None, pages: Mapping[str, int]) -> None:
        """Note what is served now.

        Args:
            version: None: nothing.
            decided: seconds since 1970; None if it is not known.
            pages: state (indexed, blank, quarantined) → number.
        """
        self.live.clear()
        if version is not None:
            self.live.labels(version).set(1)
        self.points.set(points)
        self.live_since.set(decided or 0.0)
        for state in ("indexed", "blank", "quarantined"):
            self.ledger.labels(state).set(pages.get(state, 0))

    def text(self) -> bytes:
        """Return all figures in Prometheus' text format."""
        return generate_latest(self.registry)


class Stopwatch:
    """Time since it was made, in seconds."""

    def __init__(self) -> None:
        self._started = time.perf_counter()

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self._started
