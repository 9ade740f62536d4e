"""The inbox sensor: files become batches, one partition and one run each."""

from __future__ import annotations

import os
import time

import dagster as dg
import pytest

from ragflow.defs.resources import ArchiveResource
from ragflow.defs.sensors import inbox_sensor
from ragflow.model.batches import DOCUMENT_BATCH
from ragflow.pipeline.scanning import ScanLimits, scan, sources_for
from ragflow_tests.defs.archive import Archive
from ragflow_tests.defs.conftest import FERRY, KILN


def tick(archive: Archive) -> dg.SensorResult | dg.SkipReason:
    """Evaluate the sensor as a tick does, and add the partitions that it asks for as the daemon does."""
    context = dg.build_sensor_context(instance=archive.instance, resources={"archive": ArchiveResource()})
    answer = inbox_sensor()(context)
    assert isinstance(answer, dg.SensorResult | dg.SkipReason)
    if isinstance(answer, dg.SensorResult):
        for request in answer.dynamic_partitions_requests or []:
            assert request.partitions_def_name == DOCUMENT_BATCH
            archive.instance.add_dynamic_partitions(DOCUMENT_BATCH, list(request.partition_keys))
    return answer


def requested(answer: dg.SensorResult | dg.SkipReason) -> list[tuple[str | None, str | None]]:
    assert isinstance(answer, dg.SensorResult), answer
    return [(request.run_key, request.partition_key) for request in answer.run_requests or []]


def test_an_empty_inbox_is_skipped(empty: Archive) -> None:
    answer = tick(empty)
    assert isinstance(answer, dg.SkipReason)
    assert "Nothing new" in (answer.skip_message or "")
    assert not empty.workspace().home.manifests.batch_keys()


def test_files_become_partitions_and_one_run_each(empty: Archive) -> None:
    empty.drop("ferry", FERRY)
    empty.drop("kiln", KILN)
    answer = tick(empty)
    keys = empty.workspace().home.manifests.batch_keys()
    assert len(keys) == 2
    assert requested(answer) == [(f"{key}:1", key) for key in keys]
    assert set(empty.instance.get_dynamic_partitions(DOCUMENT_BATCH)) == set(keys)


def test_the_second_tick_asks_for_nothing(empty: Archive) -> None:
    empty.drop("ferry", FERRY)
    tick(empty)
    answer = tick(empty)
    assert isinstance(answer, dg.SkipReason)
    assert "1 documents are as they were" in (answer.skip_message or "")


def test_a_file_that_is_being_written_is_left(empty: Archive) -> None:
    path = empty.drop("ferry", FERRY)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])  # written just now
    answer = tick(empty)
    assert isinstance(answer, dg.SkipReason)
    assert "1 files are still being written" in (answer.skip_message or "")

    path.write_bytes(whole)
    past = time.time() - 60
    os.utime(path, (past, past))
    assert len(requested(tick(empty))) == 1
    (document,) = empty.workspace().home.manifests.all()[0].documents
    assert document.size == len(whole)


def test_a_batch_whose_tick_was_killed_before_the_partition_is_picked_up(empty: Archive) -> None:
    empty.drop("ferry", FERRY)
    workspace = empty.workspace()
    (key,) = scan(workspace, sources_for(workspace, []), ScanLimits()).batches
    assert key not in empty.instance.get_dynamic_partitions(DOCUMENT_BATCH)
    assert requested(tick(empty)) == [(f"{key}:1", key)]
    assert isinstance(tick(empty), dg.SkipReason)


def test_a_tick_hashes_no_more_than_it_may(empty: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAGFLOW_SENSORS__MAX_HASHED_BYTES", "1")
    empty.drop("ferry", FERRY)
    empty.drop("kiln", KILN)
    assert len(requested(tick(empty))) == 1
    assert len(requested(tick(empty))) == 1
    assert isinstance(tick(empty), dg.SkipReason)


def test_a_source_that_is_emptied_at_once_fails_the_tick_and_changes_nothing(empty: Archive) -> None:
    paths = [empty.drop(f"paper-{number}", f"{KILN} No. {number}.") for number in range(20)]
    tick(empty)
    for path in paths:
        path.unlink()
    with pytest.raises(dg.Failure, match="20"):
        tick(empty)
    assert len(empty.workspace().home.manifests.batch_keys()) == 20
