"""Runs of ``ingest_batch``: what they report, what they retry, and where they stop."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from filelock import FileLock, Timeout

from ragflow.defs.failures import translated
from ragflow.errors import BadInputError, IncompleteError, ServiceUnavailableError
from ragflow.pipeline.stages import STAGES
from ragflow_tests.defs.archive import Archive, event_types, failed_checks, failure_of, flip, materialized
from ragflow_tests.defs.conftest import FERRY, KILN


def _reported(result: dg.ExecuteInProcessResult) -> dict[str, dict[str, Any]]:
    return {
        event.materialization.asset_key.to_user_string(): {
            name: value.value for name, value in event.materialization.metadata.items()
        }
        for event in result.get_asset_materialization_events()
    }


def _data_versions(result: dg.ExecuteInProcessResult) -> dict[str, str]:
    return {
        event.materialization.asset_key.to_user_string(): (event.materialization.tags or {})["dagster/data_version"]
        for event in result.get_asset_materialization_events()
    }


def test_a_run_reports_what_it_did_and_the_next_one_does_nothing_twice(empty: Archive) -> None:
    empty.drop("ferry", FERRY, KILN)
    (batch,) = empty.scan()
    first = empty.run("ingest_batch", batch)
    assert first.success
    assert materialized(first) == list(STAGES)
    reported = _reported(first)

    assert reported["raw_pdfs"]["dagster/row_count"] == 1
    assert reported["ocr_text"]["dagster/row_count"] == 2
    assert reported["chunks"]["dagster/row_count"] == reported["embeddings"]["dagster/row_count"] == 2
    assert reported["ocr_text"]["done_pages_read"] == 2
    assert reported["embeddings"]["done_embeddings_computed"] == 2
    assert "| 0.9 | ████████████████████ 2 |" in reported["ocr_text"]["confidence_histogram"]
    for metadata in reported.values():
        assert metadata["reused"] is False
        assert Path(metadata["tables"]).is_dir()
        assert Path(metadata["manifest"]).is_file()
        stored = sum(path.stat().st_size for path in Path(metadata["tables"]).glob("*.parquet"))
        assert metadata["table_bytes"] == stored
    assert all(evaluation.passed for evaluation in first.get_asset_check_evaluations())
    # The pipeline's own log lines stand among the run's events.
    messages = [entry.user_message for entry in empty.instance.all_logs(first.run_id)]
    assert messages.count("stage done") == len(STAGES)

    second = empty.run("ingest_batch", batch)
    assert second.success
    assert _data_versions(second) == _data_versions(first)
    for metadata in _reported(second).values():
        assert metadata["reused"] is True
        assert not [name for name in metadata if name.startswith("done_")]


def test_a_transient_error_is_retried(empty: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process holds a lock for too long, once."""
    empty.drop("ferry", FERRY)
    (batch,) = empty.scan()
    acquire = FileLock.acquire
    refused: list[str] = []

    def busy_once(self: Any, *arguments: Any, **options: Any) -> Any:
        if Path(self.lock_file).name.startswith("chunks-") and not refused:
            refused.append(self.lock_file)
            raise Timeout(self.lock_file)
        return acquire(self, *arguments, **options)

    monkeypatch.setattr(FileLock, "acquire", busy_once)
    result = empty.run("ingest_batch", batch)
    assert len(refused) == 1
    assert result.success
    types = event_types(result, "chunks")
    assert types.count("STEP_UP_FOR_RETRY") == types.count("STEP_RESTARTED") == 1
    assert materialized(result) == list(STAGES)


def test_an_error_that_will_not_go_away_is_not_retried(empty: Archive) -> None:
    empty.drop("ferry", FERRY)
    (batch,) = empty.scan()
    result = empty.run("ingest_batch", batch, assets=["chunks"])
    description, metadata = failure_of(result)
    assert description.startswith(f"ocr_text is missing for batch {batch}.")
    assert metadata["exit_code"] == IncompleteError.exit_code
    assert "Materialize ocr_text" in metadata["remedy"]
    assert "STEP_UP_FOR_RETRY" not in event_types(result, "chunks")


@pytest.mark.parametrize(
    ("error", "retried"),
    [
        (ServiceUnavailableError("The lock is held."), True),
        (BadInputError("The folder is not there."), False),
        (ValueError("a defect of ours"), False),
        (MemoryError(), False),
    ],
)
def test_only_transient_errors_allow_retries(error: Exception, retried: bool) -> None:
    with pytest.raises(dg.Failure) as caught, translated():
        raise error
    assert caught.value.allow_retries is retried
    assert str(error) in (caught.value.description or "")
    assert caught.value.__cause__ is error


def test_a_check_that_fails_stops_its_run(released: Archive) -> None:
    """The stored bytes of a document rot after a green run: the next run stops where that is seen."""
    batch = released.workspace().home.manifests.batch_keys()[0]
    released.damage_blob(batch)
    result = released.run("ingest_batch", batch)
    assert not result.success
    assert failed_checks(result) == {("raw_pdfs", "blobs_intact")}
    assert materialized(result) == ["raw_pdfs"]
    evaluation = next(e for e in result.get_asset_check_evaluations() if not e.passed)
    assert evaluation.blocking
    assert evaluation.partition == batch
    assert "inbox/ferry.pdf" in str(evaluation.metadata["rows"].value)
    assert evaluation.metadata["what_to_do"].value


def test_a_damaged_table_is_made_anew(released: Archive) -> None:
    batch = released.newest()
    (table,) = released.workspace().home.tables.folder("chunks", batch).glob("chunks-*.parquet")
    before = table.read_bytes()
    flip(table)
    result = released.run("ingest_batch", batch)
    assert result.success
    reused = {name: metadata["reused"] for name, metadata in _reported(result).items()}
    assert reused == {"raw_pdfs": True, "ocr_text": True, "chunks": False, "embeddings": True}
    assert table.read_bytes() == before
