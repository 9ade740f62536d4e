"""The real daemon, the real webserver, and Dagster's own command line, each in a process of its own."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import dagster as dg

from ragflow.pipeline.examination import VERDICT_NAMES
from ragflow.quality.readiness import CANARY_NAMES
from ragflow.settings import PROJECT_ROOT
from ragflow_tests.defs.archive import Archive
from ragflow_tests.defs.conftest import BELL, KILN

Answer = TypeVar("Answer")

BIN = Path(sys.executable).parent
WORKSPACE = ("-w", str(PROJECT_ROOT / "workspace.yaml"))
PATIENCE = 240.0
"""Seconds until a test gives up; nothing is measured by it."""

GRAPH = """{ assetNodes { assetKey { path } groupName
  assetChecksOrError { ... on AssetChecks { checks { name blocking
    executionForLatestMaterialization { status } } } } } }"""


def _dagster(archive: Archive, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [BIN / "dagster", *arguments], env=archive.environment, capture_output=True, text=True, timeout=PATIENCE
    )


@contextmanager
def _service(archive: Archive, log: Path, *command: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a service in a process group of its own, and end the whole group."""
    with log.open("wb") as stream:
        process = subprocess.Popen(
            command, env=archive.environment, stdout=stream, stderr=stream, start_new_session=True
        )
        try:
            yield process
        finally:
            process.send_signal(signal.SIGINT)
            with suppress(subprocess.TimeoutExpired):
                process.wait(30)
            # A code server may outlive the service that started it.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _wait_for(what: Callable[[], Answer | None], service: subprocess.Popen[bytes], log: Path) -> Answer:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        answer = what()
        if answer is not None:
            return answer
        assert service.poll() is None, log.read_text()
        time.sleep(0.3)
    raise AssertionError(log.read_text())


def _finished(archive: Archive, job: str, count: int) -> list[dg.DagsterRun] | None:
    runs = list(archive.instance.get_runs(filters=dg.RunsFilter(job_name=job)))
    return runs if len(runs) == count and all(run.is_finished for run in runs) else None


def _ask(port: int, query: str) -> Any:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/graphql",
        data=json.dumps({"query": query}).encode(),
        headers={"Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            return json.load(response)["data"]
    except urllib.error.URLError:
        return None  # it is still starting


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _problems(output: str) -> Sequence[str]:
    """Return the lines of a Dagster command that tell of a warning or an error of ours, not of its own renaming."""
    lines = [line for line in output.splitlines() if re.search(r"warning|error|ragflow/", line, re.IGNORECASE)]
    return [line for line in lines if "SupersessionWarning" not in line]


def test_the_definitions_validate_without_a_warning(empty: Archive) -> None:
    done = _dagster(empty, "definitions", "validate", *WORKSPACE)
    assert done.returncode == 0, done.stderr
    assert "All code locations passed validation." in done.stdout + done.stderr
    assert _problems(done.stdout + done.stderr) == []


def test_wrong_settings_are_named_when_the_definitions_are_loaded(empty: Archive) -> None:
    (empty.home / "ragflow.toml").write_text("[gate]\ncoverage = 'most of it'\n")
    done = _dagster(empty, "definitions", "validate", *WORKSPACE)
    assert done.returncode != 0
    assert "gate.coverage" in done.stdout + done.stderr


def test_a_backfill_through_the_daemon_and_a_release_end_green_and_the_ui_shows_it(
    released: Archive, tmp_path: Path
) -> None:
    released.drop("bell", BELL)
    released.drop("paper", f"{KILN} So it is written in the ledger of the year.")
    batches = released.scan()
    assert len(batches) == 2
    before = {run.run_id for run in released.instance.get_runs()}
    log = tmp_path / "daemon.log"
    with _service(released, log, str(BIN / "dagster-daemon"), "run", *WORKSPACE) as daemon:
        keys = ",".join(batches)
        asked = _dagster(
            released, "job", "backfill", *WORKSPACE, "-j", "ingest_batch", "--partitions", keys, "--noprompt"
        )
        assert asked.returncode == 0, asked.stderr
        earlier = sum(run.job_name == "ingest_batch" for run in released.instance.get_runs() if run.run_id in before)
        runs = _wait_for(lambda: _finished(released, "ingest_batch", earlier + 2), daemon, log)
        new = [run for run in runs if run.run_id not in before]
        assert {run.tags["dagster/partition"] for run in new} == set(batches)
        assert [run.status for run in new] == [dg.DagsterRunStatus.SUCCESS] * 2
        (backfill,) = released.instance.get_backfills()
        assert {run.tags["dagster/backfill"] for run in new} == {backfill.backfill_id}

        launched = _dagster(released, "job", "launch", *WORKSPACE, "-j", "release")
        assert launched.returncode == 0, launched.stderr
        (newest, *_) = _wait_for(lambda: _finished(released, "release", 2), daemon, log)
        assert newest.status is dg.DagsterRunStatus.SUCCESS
    assert released.live() == "v000002"

    port = _free_port()
    log = tmp_path / "webserver.log"
    command = (str(BIN / "dagster-webserver"), *WORKSPACE, "-h", "127.0.0.1", "-p", str(port), "--read-only")
    with _service(released, log, *command) as webserver:
        nodes = _wait_for(lambda: _ask(port, GRAPH), webserver, log)["assetNodes"]
    shown = {node["assetKey"]["path"][0]: node for node in nodes}
    assert {name: node["groupName"] for name, node in shown.items()} == {
        **dict.fromkeys(("raw_pdfs", "ocr_text", "chunks", "embeddings"), "document_batches"),
        **dict.fromkeys(("vector_collection", "serving_alias"), "collection"),
    }
    checks = {name: node["assetChecksOrError"]["checks"] for name, node in shown.items()}
    assert {check["name"] for check in checks["serving_alias"]} == {*VERDICT_NAMES, *CANARY_NAMES}
    assert all(check["blocking"] for check in checks["serving_alias"])
    for name, of_asset in checks.items():
        for check in of_asset:
            execution = check["executionForLatestMaterialization"]
            assert execution is not None, (name, check["name"])
            assert execution["status"] == "SUCCEEDED", (name, check["name"])
