"""The job ``reocr`` asks, the reread sensor has it done, the check on confidence warns without blocking."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.test_utils import create_run_for_test

from ragflow.defs.resources import ArchiveResource
from ragflow.defs.sensors import MAX_ATTEMPTS, PARTITION_TAG, REREADS_TAG, reread_sensor
from ragflow.model.reading import Effort
from ragflow.pipeline.release import rollback
from ragflow.sample import write_scan_pdf
from ragflow.store.rereads import Reread
from ragflow_tests.defs.archive import SETTLED, Archive, failed_checks, opened
from ragflow_tests.defs.conftest import FERRY, copied

FOG = "Dense fog for thirty hours. The siren sounded without a stop."
MILL = "The windmill on the northern ridge grinds barley for three villages."
AT = "2026-11-21T10:00:00+00:00"


OPTIONS = """
[reading]
engines = ["text_layer", "tesseract"]
dpi = 150
[gate]
coverage = 0.5
"""


@pytest.fixture(scope="module")
def faint_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A released archive: a born-digital document, and a scan that Tesseract can only guess at."""
    home = tmp_path_factory.mktemp("faint") / "home"
    home.mkdir()
    (home / "ragflow.toml").write_text(OPTIONS)
    with pytest.MonkeyPatch.context() as patch, opened(home, patch) as archive:
        patch.setenv("RAGFLOW_GATE__LOW_CONFIDENCE", "1.0")
        archive.drop("ferry", FERRY)
        scan = home / "inbox" / "scan.pdf"
        write_scan_pdf(scan, [[FOG, MILL]], dpi=50, noise=0.02, seed=7)
        past = time.time() - SETTLED
        os.utime(scan, (past, past))
        assert len(archive.ingest()) == 2
        assert archive.run("release").success
    return home


@pytest.fixture
def faint(faint_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Archive]:
    with opened(copied(faint_home, tmp_path / "home"), monkeypatch) as archive:
        monkeypatch.setenv("RAGFLOW_GATE__LOW_CONFIDENCE", "1.0")
        yield archive


def scanned(archive: Archive) -> str:
    manifests = archive.workspace().home.manifests.all()
    return next(m.key for m in manifests if m.documents[0].key == "inbox/scan.pdf")


def tick(archive: Archive) -> list[dg.RunRequest] | str:
    """Evaluate the sensor; return its requests, or why it skipped."""
    context = dg.build_sensor_context(instance=archive.instance, resources={"archive": ArchiveResource()})
    answer = reread_sensor()(context)
    if isinstance(answer, dg.SkipReason):
        return answer.skip_message or ""
    assert isinstance(answer, dg.SensorResult)
    return list(answer.run_requests or [])


def reocr(archive: Archive, **config: object) -> dg.ExecuteInProcessResult:
    from ragflow.definitions import defs

    return defs.resolve_job_def("reocr").execute_in_process(
        instance=archive.instance,
        run_config={"ops": {"ask_for_rereads": {"config": config}}},
        raise_on_error=False,
    )


def test_from_the_job_to_the_next_release(faint: Archive) -> None:
    assert tick(faint) == "Nothing is to be read again or built anew."
    result = reocr(faint, below=0.8)
    assert result.success
    (output,) = (event for event in result.all_events if event.event_type_value == "STEP_OUTPUT")
    metadata = output.step_output_data.metadata
    assert metadata["pages"].value == 1
    assert "inbox/scan.pdf" in str(metadata["asked_for"].value) and scanned(faint) in str(metadata["batches"].value)

    requests = tick(faint)
    assert isinstance(requests, list)
    (asked,) = requests
    assert asked.partition_key == scanned(faint) and asked.run_key is not None and asked.run_key.endswith(":1")

    run = faint.run("ingest_batch", scanned(faint))
    assert run.success, "the check warns, and blocks nothing"
    (warned,) = [e for e in run.get_asset_check_evaluations() if e.check_name == "low_confidence"]
    assert warned.severity is dg.AssetCheckSeverity.WARN and failed_checks(run) == set()
    done = {e.materialization.asset_key.to_user_string(): e for e in run.get_asset_materialization_events()}
    reported = done["ocr_text"].materialization.metadata
    assert (reported["done_pages_read"].value, reported["done_pages_kept"].value) == (1, 0)
    assert "thorough" in str(reported["efforts"].value)
    assert "█" in str(reported["confidence_histogram"].value)
    assert isinstance(reported["weak_share"].value, float)

    assert tick(faint) == "Nothing is to be read again or built anew."
    assert faint.run("release").success
    assert reocr(faint).success
    assert tick(faint) == "Nothing is to be read again or built anew.", "nothing is tried without end"


def test_the_low_confidence_warning_names_the_page(faint: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAGFLOW_GATE__LOW_CONFIDENCE", "0.25")
    run = faint.run("ingest_batch", scanned(faint))
    (warned,) = [e for e in run.get_asset_check_evaluations() if e.check_name == "low_confidence"]
    assert run.success and not warned.passed and warned.severity is dg.AssetCheckSeverity.WARN
    assert "inbox/scan.pdf | 1" in str(warned.metadata["rows"].value)


def test_the_sensor_asks_again_after_a_failure_but_not_without_end(faint: Archive) -> None:
    assert reocr(faint, below=0.8, limit=5).success
    batch = scanned(faint)
    for attempt in range(1, MAX_ATTEMPTS + 1):
        requests = tick(faint)
        assert isinstance(requests, list)
        (asked,) = requests
        assert asked.run_key == f"{batch}:{asked.tags[REREADS_TAG]}:{attempt}"
        tags = {**asked.tags, PARTITION_TAG: batch}
        create_run_for_test(faint.instance, job_name="ingest_batch", status=dg.DagsterRunStatus.FAILURE, tags=tags)
    assert f"{MAX_ATTEMPTS} runs of {batch} failed." in str(tick(faint))
    # Another request is another try.
    workspace = faint.workspace()
    sha256 = workspace.home.rereads.all()[0].sha256
    workspace.home.rereads.add([Reread(sha256, None, Effort.NORMAL, "a new password", AT)])
    assert isinstance(tick(faint), list)


def test_the_sensor_waits_for_a_run_of_the_batch(faint: Archive) -> None:
    assert reocr(faint, below=0.8).success
    tags = {PARTITION_TAG: scanned(faint)}
    create_run_for_test(faint.instance, job_name="ingest_batch", status=dg.DagsterRunStatus.STARTED, tags=tags)
    assert tick(faint) == f"A run of {scanned(faint)} is still going on."


def test_a_wrong_threshold_fails_the_job_and_says_what_to_do(faint: Archive) -> None:
    result = reocr(faint, below=2.0)
    assert not result.success
    (failure,) = [event.step_failure_data for event in result.all_events if event.is_step_failure]
    assert failure.user_failure_data is not None and "0.8" in (failure.user_failure_data.description or "")
    assert faint.workspace().home.rereads.all() == []


def test_what_was_read_again_can_be_rolled_back_from(faint: Archive) -> None:
    assert reocr(faint, below=0.8).success
    assert faint.run("ingest_batch", scanned(faint)).success and faint.run("release").success
    assert faint.live() == "v000002"
    rollback(faint.workspace())
    assert faint.live() == "v000001"
