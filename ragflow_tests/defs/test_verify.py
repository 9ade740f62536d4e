"""The job ``verify`` and its schedule."""

from __future__ import annotations

from datetime import UTC, datetime

import dagster as dg

from ragflow.defs.resources import ArchiveResource
from ragflow.defs.schedules import nightly_verify
from ragflow_tests.defs.archive import Archive, event_types, failure_of


def _night(archive: Archive) -> dg.RunRequest | dg.SkipReason:
    context = dg.build_schedule_context(
        instance=archive.instance,
        resources={"archive": ArchiveResource()},
        scheduled_execution_time=datetime(2026, 1, 2, 3, tzinfo=UTC),
    )
    answer = nightly_verify()(context)
    assert isinstance(answer, dg.RunRequest | dg.SkipReason)
    return answer


def test_a_sound_archive_verifies(released: Archive) -> None:
    result = released.run("verify")
    assert result.success
    (output,) = [event for event in result.all_events if event.is_successful_output]
    metadata = output.step_output_data.metadata
    assert metadata["version"].value == "v000001"
    assert metadata["points"].value == 3
    assert "| version_sealed | pass |" in str(metadata["verdicts"].value)


def test_a_tampered_archive_does_not(released: Archive) -> None:
    released.damage_blob(released.workspace().home.manifests.batch_keys()[0])
    result = released.run("verify")
    assert not result.success
    description, metadata = failure_of(result)
    assert description.startswith("Version v000001 is not what was recorded:")
    assert metadata["exit_code"] == 4
    assert "| blobs_intact | fail |" in metadata["verdicts"]
    assert metadata["remedy"]
    assert "STEP_UP_FOR_RETRY" not in event_types(result, "verify_live")
    assert released.live() == "v000001"


def test_the_schedule_verifies_what_is_live(released: Archive) -> None:
    assert isinstance(_night(released), dg.RunRequest)


def test_the_schedule_waits_until_something_is_live(empty: Archive) -> None:
    answer = _night(empty)
    assert isinstance(answer, dg.SkipReason)
    assert answer.skip_message == "Nothing is live yet."
