"""The release sensor: asks when every batch is done, once for each state of the archive, and never in a loop."""

from __future__ import annotations

import dagster as dg
import pytest
from dagster._core.test_utils import create_run_for_test

from ragflow.defs.resources import ArchiveResource
from ragflow.defs.sensors import CORPUS_TAG, MAX_ATTEMPTS, release_sensor
from ragflow.model.batches import fold
from ragflow.pipeline.desired import corpus_fingerprint
from ragflow.pipeline.release import rollback
from ragflow_tests.defs.archive import Archive
from ragflow_tests.defs.conftest import BELL


def tick(archive: Archive) -> dg.RunRequest | str:
    """Evaluate the sensor; return its request, or why it skipped."""
    context = dg.build_sensor_context(instance=archive.instance, resources={"archive": ArchiveResource()})
    answer = release_sensor()(context)
    if isinstance(answer, dg.SkipReason):
        return answer.skip_message or ""
    assert isinstance(answer, dg.RunRequest)
    return answer


def fingerprint_of(archive: Archive) -> str:
    workspace = archive.workspace()
    return corpus_fingerprint(workspace, fold(workspace.home.manifests.all()))[0]


def request(archive: Archive) -> dg.RunRequest:
    answer = tick(archive)
    assert isinstance(answer, dg.RunRequest), answer
    return answer


def test_without_a_batch_there_is_nothing_to_release(empty: Archive) -> None:
    assert tick(empty) == "There is no document batch yet."


def test_what_is_live_is_not_released_again(released: Archive) -> None:
    assert tick(released) == "v000001 is live and holds this state of the archive."


def test_a_batch_that_is_not_done_holds_it_back(released: Archive) -> None:
    released.drop("bell", BELL)
    (key,) = released.scan()
    answer = tick(released)
    assert isinstance(answer, str)
    assert answer.startswith(f"1 batches are not done: {key}.")


@pytest.mark.parametrize("job", ["ingest_batch", "release"])
@pytest.mark.parametrize(
    "status", [dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]
)
def test_a_run_in_flight_holds_it_back(released: Archive, job: str, status: dg.DagsterRunStatus) -> None:
    run = create_run_for_test(released.instance, job_name=job, status=status)
    answer = tick(released)
    assert isinstance(answer, str)
    assert answer.startswith(f"Run {run.run_id[:8]} of {job} is still going on.")


def test_a_new_state_is_asked_for_by_its_fingerprint_and_the_attempt(ready: Archive) -> None:
    fingerprint = fingerprint_of(ready)
    asked = request(ready)
    assert asked.run_key == f"{fingerprint}:1"
    assert asked.tags[CORPUS_TAG] == fingerprint[:32]
    # Runs that end without a decision: asked for again, with another key, but not for ever.
    for attempt in range(1, MAX_ATTEMPTS + 1):
        assert request(ready).run_key == f"{fingerprint}:{attempt}"
        create_run_for_test(
            ready.instance, job_name="release", status=dg.DagsterRunStatus.FAILURE, tags=dict(asked.tags)
        )
    answer = tick(ready)
    assert isinstance(answer, str)
    assert answer.startswith(f"{MAX_ATTEMPTS} release runs failed without a decision.")
    # A person launches the job after all.
    assert ready.run("release").success
    assert tick(ready) == "v000002 is live and holds this state of the archive."


def test_a_rejected_state_is_not_asked_for_again(released: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAGFLOW_GATE__COVERAGE", "1.0")
    released.drop_broken("torn")
    released.ingest()
    request(released)
    assert not released.run("release").success
    assert released.live() == "v000001"
    for _ in range(2):
        assert tick(released) == "v000002 holds this state of the archive, and was rejected."


def test_a_state_that_was_rolled_back_from_is_not_asked_for_again(ready: Archive) -> None:
    assert ready.run("release").success
    rollback(ready.workspace())
    assert ready.live() == "v000001"
    assert tick(ready) == "v000002 holds this state of the archive, and was rolled back from."


def test_a_setting_that_is_changed_back_is_released_again(released: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    batches = released.workspace().home.manifests.batch_keys()
    for tokens, version in (("40", "v000002"), ("200", "v000001")):
        monkeypatch.setenv("RAGFLOW_TARGET_TOKENS", tokens)
        assert "2 batches are not done" in str(tick(released))
        for batch in batches:
            assert released.run("ingest_batch", batch).success
        request(released)
        assert released.run("release").success
        assert released.live() == version
        assert isinstance(tick(released), str)
