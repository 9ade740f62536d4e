"""A small archive for the tests of the service, and the service run on it."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI

from ragflow.model.service import ServiceOptions
from ragflow.ocr.options import ReadingOptions
from ragflow.pipeline.workspace import EmbeddingOptions, GateOptions, Workspace
from ragflow.sample import write_scan_pdf
from ragflow.service.app import create_app
from ragflow.service.serving import address_of, bound, server_of
from ragflow.service.state import ServiceState
from ragflow.settings import Settings
from ragflow.store.home import Home
from ragflow.vectors.files import copy_file
from ragflow_tests.pipeline.archive import (
    LAVOIR,
    ORCHARD,
    QUARRY,
    SCHOOL,
    WINDMILL,
    ingest,
    put,
    settle,
)

LIGHTHOUSE = "The lighthouse keeper lit the lamp at sixteen minutes past four, and the fog bell rang all night."
FERRY = "The ferry across the lake was sold for nine hundred guilders to a miller from the other shore."
BRIDGE = "The iron bridge at the mill needs new planks before the hay carts come."
REPORT, TWIN, MINUTES, SCAN, BROKEN, LATER = (
    "inbox/report.pdf",
    "inbox/a twin.pdf",
    "inbox/séance d'été.pdf",
    "inbox/scan.pdf",
    "inbox/broken.pdf",
    "inbox/later.pdf",
)
V1, V2 = "v000001", "v000002"
READING = ReadingOptions(engines=("text_layer", "tesseract"), workers=2)
EMBEDDING = EmbeddingOptions(precision="float32")
GATE = GateOptions(coverage=0.5)
CONFIGURATION = (
    '[reading]\nengines = ["text_layer", "tesseract"]\nworkers = 2\n'
    '[embedding]\nprecision = "float32"\n[gate]\ncoverage = 0.5\n'
)
"""The same as :func:`settings_of` gives, for processes."""


def settings_of(root: Path, **options: Any) -> Settings:
    """Return settings for a home, on loopback, any free port, with these service options.

    Searches are done in the service's own process if nothing else is asked for: it starts faster so.
    """
    service = ServiceOptions(**{"port": 0, "poll_seconds": 0.05, "search_process": False, **options})
    return Settings(home=root, reading=READING, embedding=EMBEDDING, gate=GATE, service=service)


def make_home(root: Path) -> Workspace:
    """Ingest six documents in two batches: v000001, then v000002, which is live.

    A report of four pages, one blank; its twin, with the same bytes; French minutes; a scan; a torn file, which cannot
    be opened. The second batch brings one more text.
    """
    workspace = settings_of(root).workspace()
    root.mkdir(parents=True)
    (root / "ragflow.toml").write_text(CONFIGURATION)
    report = put(workspace, "report.pdf", QUARRY, [], WINDMILL, ORCHARD, title="Report")
    settle(Path(shutil.copy(report, report.with_name("a twin.pdf"))))
    put(workspace, "séance d'été.pdf", LAVOIR, SCHOOL, title="Séance", language="fr")
    scan = report.with_name("scan.pdf")
    write_scan_pdf(scan, [[LIGHTHOUSE]], seed=7)
    settle(scan)
    torn = report.with_name("broken.pdf")
    torn.write_bytes(b"%PDF-1.7\nthis file was torn in two")
    settle(torn)
    assert ingest(workspace).decision == "promoted"
    put(workspace, "later.pdf", FERRY, BRIDGE, title="Later")
    assert ingest(workspace).decision == "promoted"
    return workspace


def copied(workspace: Workspace, root: Path) -> Workspace:
    """Return a copy of an archive, to be changed."""
    source = workspace.home.root
    shutil.copytree(source, root, copy_function=_copy, ignore=shutil.ignore_patterns("locks", "views", "cache"))
    return replace(workspace, home=Home(root))


def _copy(source: str, target: str) -> None:
    copy_file(Path(source), Path(target))
    shutil.copystat(source, target)


@dataclass(frozen=True, slots=True)
class Service:
    """A service that runs.

    Attributes:
        address: ``http://host:port``.
        app, state: what answers.
    """

    address: str
    app: FastAPI
    state: ServiceState
    workspace: Workspace

    def client(self, **options: Any) -> httpx.Client:
        """Return a client that talks to it over TCP."""
        return httpx.Client(base_url=self.address, timeout=60.0, **options)


@contextmanager
def running(settings: Settings) -> Iterator[Service]:
    """Run a service on a free port, in a thread of this process, as ``ragflow serve`` does."""
    app = create_app(settings)
    listener = bound(settings.service.host, 0)
    listens = threading.Event()
    server = server_of(app, settings.service, listens.set)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="service")
    thread.start()
    try:
        assert listens.wait(60), "the service does not start"
        yield Service(address_of(listener), app, app.state.service, settings.workspace())
    finally:
        server.should_exit = True
        thread.join(60)
        listener.close()
    assert not thread.is_alive(), "the service does not stop"
