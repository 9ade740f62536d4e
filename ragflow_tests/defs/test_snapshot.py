"""What Dagster is told, as one readable file. Whoever changes the graph changes the file too, and a reviewer sees it.

To write it anew: ``RAGFLOW_UPDATE_EXPECTED=1 python -m pytest ragflow_tests/defs/test_snapshot.py``.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import dagster as dg

from ragflow.definitions import defs
from ragflow.defs.checks.descriptions import DESCRIPTIONS, GATE_DESCRIPTIONS
from ragflow.pipeline.batch_checks import CHECK_NAMES
from ragflow.pipeline.examination import VERDICT_NAMES
from ragflow.pipeline.stages import STAGES
from ragflow.quality.readiness import CANARY_NAMES

EXPECTED = Path(__file__).parent / "expected" / "definitions.json"


def _partitions(definition: dg.PartitionsDefinition[str] | None) -> str | None:
    if isinstance(definition, dg.DynamicPartitionsDefinition):
        return f"dynamic: {definition.name}"
    return None if definition is None else str(definition)


def _asset(spec: dg.AssetSpec) -> dict[str, Any]:
    schema = spec.metadata["dagster/column_schema"].schema if "dagster/column_schema" in spec.metadata else None
    return {
        "deps": sorted(dep.asset_key.to_user_string() for dep in spec.deps),
        "group": spec.group_name,
        "owners": sorted(spec.owners),
        "kinds": sorted(spec.kinds),
        "partitions": _partitions(spec.partitions_def),
        "code_version": spec.code_version,
        "columns": [column.name for column in schema.columns] if schema else None,
    }


def _check(spec: dg.AssetCheckSpec) -> dict[str, Any]:
    return {"blocking": spec.blocking, "partitions": _partitions(spec.partitions_def), "description": spec.description}


def describe() -> dict[str, Any]:
    """Return the definitions as plain JSON values."""
    repository = defs.get_repository_def()
    graph = repository.asset_graph
    assets = {spec.key.to_user_string(): spec for spec in defs.resolve_all_asset_specs()}
    checks = {key: graph.get_check_spec(key) for key in graph.asset_check_keys}
    jobs = [job for job in repository.get_all_jobs() if not job.name.startswith("__")]
    return {
        "assets": {name: _asset(spec) for name, spec in sorted(assets.items())},
        "checks": {
            name: {key.name: _check(spec) for key, spec in sorted(checks.items()) if key.asset_key == asset.key}
            for name, asset in sorted(assets.items())
        },
        "retries": {
            node.name: node.definition.retry_policy.max_retries
            for job in jobs
            for node in job.graph.nodes
            if isinstance(node.definition, dg.OpDefinition) and node.definition.retry_policy is not None
        },
        "pools": {
            node.name: sorted(node.definition.pools)
            for job in jobs
            for node in job.graph.nodes
            if node.definition.pools
        },
        "jobs": {
            job.name: {
                "assets": sorted(key.to_user_string() for key in job.asset_layer.executable_asset_keys),
                "ops": sorted(node.name for node in job.graph.nodes),
                "partitions": _partitions(job.partitions_def),
                "executor": job.executor_def.name,
            }
            for job in sorted(jobs, key=lambda job: job.name)
        },
        "sensors": {
            sensor.name: {
                "job": sensor.job_name,
                "seconds": sensor.minimum_interval_seconds,
                "status": sensor.default_status.value,
            }
            for sensor in sorted(repository.sensor_defs, key=lambda sensor: sensor.name)
        },
        "schedules": {
            schedule.name: {
                "job": schedule.job_name,
                "cron": schedule.cron_schedule,
                "status": schedule.default_status.value,
            }
            for schedule in sorted(repository.schedule_defs, key=lambda schedule: schedule.name)
        },
        "resources": sorted(repository.get_top_level_resources()),
    }


def test_the_definitions_are_what_the_file_says() -> None:
    found = describe()
    if os.environ.get("RAGFLOW_UPDATE_EXPECTED") == "1":
        EXPECTED.write_text(json.dumps(found, indent=2, sort_keys=True, ensure_ascii=False) + "\n")
    assert found == json.loads(EXPECTED.read_text()), "If this change is meant, see the docstring of this module."


def test_every_asset_says_what_one_row_is_and_what_its_columns_mean() -> None:
    for spec in defs.resolve_all_asset_specs():
        assert "**Grain:**" in (spec.description or ""), spec.key
        schema = spec.metadata.get("dagster/column_schema")
        for column in schema.schema.columns if schema else []:
            assert column.description, (spec.key, column.name)


def test_every_verdict_of_the_pipeline_is_a_check_with_a_description() -> None:
    graph = defs.get_repository_def().asset_graph
    shown = {(key.asset_key.to_user_string(), key.name) for key in graph.asset_check_keys}
    wanted = {(asset, name) for asset in STAGES for name in CHECK_NAMES[asset]}
    wanted |= {("serving_alias", name) for name in (*VERDICT_NAMES, *CANARY_NAMES)} | {
        ("vector_collection", "version_sealed")
    }
    assert shown == wanted
    assert {*DESCRIPTIONS, *GATE_DESCRIPTIONS} == {name for _, name in wanted}


def test_a_run_over_several_partitions_is_never_offered() -> None:
    """Dagster loses check results in such a run: a backfill makes one run per batch."""
    graph = defs.get_repository_def().asset_graph
    for name in STAGES:
        policy = graph.get(dg.AssetKey(name)).backfill_policy
        assert policy is None or policy.max_partitions_per_run == 1
