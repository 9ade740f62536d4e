"""Runs of ``release``: the gate trusts no earlier run, says why it refuses, and leaves what is live alone."""

from __future__ import annotations

import shutil

import dagster as dg

from ragflow.pipeline.examination import VERDICT_NAMES
from ragflow.quality.readiness import CANARY_NAMES
from ragflow_tests.defs.archive import Archive, failed_checks, failure_of, materialized

EVERY = (*VERDICT_NAMES, *CANARY_NAMES)


def _gate(result: dg.ExecuteInProcessResult) -> dict[str, bool]:
    return {
        evaluation.check_name: evaluation.passed
        for evaluation in result.get_asset_check_evaluations()
        if evaluation.asset_key.to_user_string() == "serving_alias"
    }


def test_a_proven_candidate_goes_live_and_every_verdict_is_shown_with_it(ready: Archive) -> None:
    result = ready.run("release")
    assert result.success
    assert ready.live() == "v000002"
    assert _gate(result) == dict.fromkeys(EVERY, True)
    for evaluation in result.get_asset_check_evaluations():
        target = evaluation.target_materialization_data
        assert target is not None
        assert target.run_id == result.run_id, evaluation.check_name


def test_releasing_the_same_again_shows_the_verdicts_of_its_release(released: Archive) -> None:
    result = released.run("release")
    assert result.success
    assert released.live() == "v000001"
    assert _gate(result) == dict.fromkeys(EVERY, True)
    assert len(released.workspace().home.releases.all()) == 1


def test_a_check_that_failed_in_another_run_cannot_be_slipped_past(ready: Archive) -> None:
    batch = ready.newest()
    ready.damage_blob(batch)
    assert failed_checks(ready.run("ingest_batch", batch)) == {("raw_pdfs", "blobs_intact")}
    before = ready.workspace().versions().alias()

    result = ready.run("release")  # nothing in Dagster keeps this run from starting
    assert not result.success
    assert ready.workspace().versions().alias() == before
    assert "serving_alias" not in materialized(result)
    assert _gate(result) == {**dict.fromkeys(VERDICT_NAMES, True), "blobs_intact": False}
    description, metadata = failure_of(result)
    assert description.startswith("The gate refused v000002:")
    assert metadata["exit_code"] == 4
    assert metadata["remedy"]
    assert ready.workspace().home.releases.all()[-1].decision == "rejected"
    # What the UI shows of the asset is the refusal, not the success before it.
    check = dg.AssetCheckKey(dg.AssetKey("serving_alias"), "blobs_intact")
    (record,) = ready.instance.event_log_storage.get_asset_check_execution_history(check, limit=1)
    assert record.status.value == "FAILED"


def test_a_candidate_that_is_damaged_on_disk_does_not_reach_the_gate(ready: Archive) -> None:
    assert ready.run("release", assets=["vector_collection"]).success
    versions = ready.workspace().home.vectors / "versions"
    (payloads,) = [path for path in (versions / "v000002").rglob("*.dat") if b"chapel" in path.read_bytes()]
    payloads.write_bytes(payloads.read_bytes().replace(b"chapel", b"temple"))
    result = ready.run("release")
    assert not result.success
    assert failed_checks(result) == {("vector_collection", "version_sealed")}
    assert _gate(result) == {}
    assert ready.live() == "v000001"


def test_a_table_that_rots_before_the_gate_is_a_refusal_and_every_check_has_a_result(ready: Archive) -> None:
    """The points cannot be recomputed, so some verdicts cannot be told: that refuses, too, and is no defect."""
    assert ready.run("release", assets=["vector_collection"]).success
    (table,) = ready.workspace().home.tables.folder("chunks", ready.newest()).glob("chunks-*.parquet")
    table.write_bytes(table.read_bytes()[:100])
    result = ready.run("release", assets=["serving_alias"])
    description, metadata = failure_of(result)
    assert description.startswith("The gate refused v000002:")
    assert metadata["exit_code"] == 4
    assert set(_gate(result)) == set(VERDICT_NAMES)
    failed = {name for asset, name in failed_checks(result) if asset == "serving_alias"}
    assert {"tables_intact", "chunks_cover_pages", "points_exact"} <= failed
    assert "version_sealed" not in failed
    assert _gate(result)["version_sealed"], "the points themselves are as they were sealed"
    assert ready.live() == "v000001"


def test_a_stage_that_is_missing_ends_the_run_before_anything_is_judged(ready: Archive) -> None:
    shutil.rmtree(ready.workspace().home.tables.folder("ocr_text", ready.newest()))
    result = ready.run("release")
    description, metadata = failure_of(result)
    assert description.startswith(f"ocr_text is missing for batch {ready.newest()}.")
    assert metadata["exit_code"] == 4
    assert materialized(result) == []
    assert ready.live() == "v000001"
