"""An archive under test: its home folder, Dagster's real instance in it, and what a user does to both."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from ragflow.definitions import defs
from ragflow.model.batches import DOCUMENT_BATCH
from ragflow.pipeline.release import live_version
from ragflow.pipeline.scanning import ScanLimits, scan, sources_for
from ragflow.pipeline.workspace import Workspace
from ragflow.sample import write_text_pdf
from ragflow.settings import dagster_environment, load_settings

SETTLED = 3600.0
"""Seconds since a dropped file was last written: far more than a scan asks for."""


@dataclass(frozen=True)
class Archive:
    """One archive and its Dagster instance.

    Attributes:
        home: RAGFLOW_HOME.
        environment: what a process needs to work on it.
    """

    home: Path
    instance: dg.DagsterInstance
    environment: dict[str, str]

    def workspace(self) -> Workspace:
        return load_settings().workspace()

    def drop(self, name: str, *pages: str) -> Path:
        """Put a born-digital PDF into the inbox, finished long ago."""
        path = self.home / "inbox" / f"{name}.pdf"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text_pdf(path, [[page] for page in pages], title=name, language="en")
        past = time.time() - SETTLED
        os.utime(path, (past, past))
        return path

    def drop_broken(self, name: str) -> Path:
        """Put a PDF into the inbox that nothing can open."""
        path = self.home / "inbox" / f"{name}.pdf"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"%PDF-1.7\n" + bytes(range(256)) * 4)
        past = time.time() - SETTLED
        os.utime(path, (past, past))
        return path

    def scan(self) -> tuple[str, ...]:
        """Make batches of what is new, and their partitions; return the keys."""
        workspace = self.workspace()
        made = scan(workspace, sources_for(workspace, []), ScanLimits()).batches
        self.instance.add_dynamic_partitions(DOCUMENT_BATCH, list(made))
        return made

    def run(
        self,
        job: str,
        partition: str | None = None,
        assets: Sequence[str] | None = None,
        config: dict[str, Any] | None = None,
    ) -> dg.ExecuteInProcessResult:
        """Run a job, or some of its assets, to its end; a failure is returned, not raised."""
        selection = [dg.AssetKey(name) for name in assets] if assets is not None else None
        return defs.resolve_job_def(job).execute_in_process(
            instance=self.instance,
            partition_key=partition,
            asset_selection=selection,
            run_config=config,
            raise_on_error=False,
        )

    def ingest(self) -> tuple[str, ...]:
        """Scan, and take every new batch through its stages; return the keys."""
        made = self.scan()
        for batch in made:
            assert self.run("ingest_batch", batch).success
        return made

    def newest(self) -> str:
        """Return the key of the newest batch."""
        return self.workspace().home.manifests.batch_keys()[-1]

    def live(self) -> str | None:
        return live_version(self.workspace())

    def damage_blob(self, batch: str) -> Path:
        """Flip one byte of the stored bytes of a batch's first document."""
        workspace = self.workspace()
        sha256 = workspace.home.manifests.get(batch).documents[0].sha256
        assert sha256 is not None
        return flip(workspace.home.blobs.path(sha256))


def flip(path: Path) -> Path:
    """Flip one byte in the middle of a file, leaving its size and times as they are."""
    status = path.stat()
    path.chmod(0o644)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    return path


@contextmanager
def opened(home: Path, patch: pytest.MonkeyPatch) -> Iterator[Archive]:
    """Make ``home`` the archive that the settings name, one document to a batch, and open its instance."""
    patch.setenv("RAGFLOW_HOME", str(home))
    patch.setenv("RAGFLOW_BATCHING__MAX_DOCUMENTS", "1")
    environment = dagster_environment(load_settings())
    for name, value in environment.items():
        patch.setenv(name, value)
    with dg.DagsterInstance.from_config(environment["DAGSTER_HOME"]) as instance:
        yield Archive(home, instance, {**os.environ, **environment})


def failure_of(result: dg.ExecuteInProcessResult) -> tuple[str, dict[str, Any]]:
    """Return what the failed step of a run said: description and metadata."""
    data = next(event.step_failure_data for event in result.all_events if event.is_step_failure)
    assert data.user_failure_data is not None, data.error
    metadata = {name: value.value for name, value in data.user_failure_data.metadata.items()}
    return data.user_failure_data.description or "", metadata


def materialized(result: dg.ExecuteInProcessResult) -> list[str]:
    """Return the assets that a run materialized, in order."""
    return [event.materialization.asset_key.to_user_string() for event in result.get_asset_materialization_events()]


def failed_checks(result: dg.ExecuteInProcessResult) -> set[tuple[str, str]]:
    """Return (asset, check) for every check of a run that did not pass with severity ERROR."""
    return {
        (evaluation.asset_key.to_user_string(), evaluation.check_name)
        for evaluation in result.get_asset_check_evaluations()
        if not evaluation.passed and evaluation.severity is dg.AssetCheckSeverity.ERROR
    }


def event_types(result: dg.ExecuteInProcessResult, step: str) -> list[str]:
    return [event.event_type_value for event in result.all_events if event.step_key == step]
