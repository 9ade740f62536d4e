"""Jobs that keep an archive for years: what the commands do, as runs that can be scheduled, seen and alerted on."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import orjson
import pytest

from ragflow.defs.resources import ArchiveResource
from ragflow.defs.schedules import nightly_backup
from ragflow.pipeline.adopting import verify_adopted
from ragflow.pipeline.backing_up import list_backups
from ragflow.pipeline.verification import verify
from ragflow_tests.defs.archive import Archive, failure_of


def shown(result: dg.ExecuteInProcessResult) -> dict[str, Any]:
    """Return the metadata of the one output of a run."""
    (output,) = [event for event in result.all_events if event.is_successful_output]
    return {name: value.value for name, value in output.step_output_data.metadata.items()}


def config(op: str, **values: Any) -> dict[str, Any]:
    return {"ops": {op: {"config": values}}}


def test_a_backup_is_written_proven_and_put_back(released: Archive, tmp_path: Path) -> None:
    target = str(tmp_path / "backups")
    result = released.run("backup", config=config("write_backup", target=target))
    assert result.success
    told = shown(result)
    assert (told["version"], told["points"]) == ("v000001", 3)
    assert "| backup_points | pass |" in told["verdicts"]
    assert [entry.name for entry in list_backups(target)] == [told["backup"]]
    blob = released.damage_blob(released.newest())
    assert not verify(released.workspace()).passed
    restored = released.run("restore", config=config("put_back", source=target))
    assert restored.success, failure_of(restored)
    assert shown(restored)["files_replaced"] == 1 and blob.is_file()
    assert verify(released.workspace()).passed


def test_a_backup_without_a_place_is_an_error_that_says_so(released: Archive) -> None:
    description, metadata = failure_of(released.run("backup"))
    assert "No place for backups" in description and metadata["exit_code"] == 2


def test_the_nightly_backup_waits_for_a_place(released: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    def night() -> object:
        return nightly_backup()(
            dg.build_schedule_context(
                instance=released.instance,
                resources={"archive": ArchiveResource()},
                scheduled_execution_time=datetime(2026, 1, 2, 4, tzinfo=UTC),
            )
        )

    assert isinstance(night(), dg.SkipReason)
    monkeypatch.setenv("RAGFLOW_BACKUP__TARGET", "/backups")
    assert isinstance(night(), dg.RunRequest)


def test_pruning_says_what_it_frees(ready: Archive) -> None:
    assert ready.run("release").success
    stray = ready.workspace().home.vectors / "versions" / "v000009"
    shutil.copytree(stray.with_name("v000001"), stray)
    (stray / "complete.json").unlink()
    told = shown(ready.run("prune", config=config("remove_what_is_not_needed", dry_run=True)))
    assert told["freed_bytes"] >= 0 and stray.is_dir()
    assert ready.run("prune").success
    assert ready.live() == "v000002" and verify(ready.workspace()).passed


def test_forgetting_is_a_dry_run_unless_it_is_asked_for(released: Archive) -> None:
    key = sorted(c.key for m in released.workspace().home.manifests.all() for c in m.documents)[0]
    told = shown(released.run("forget", config=config("forget_documents", documents=[key])))
    assert told["dry_run"] and key in told["contents"]
    assert released.live() == "v000001"
    done = released.run("forget", config=config("forget_documents", documents=[key], dry_run=False, reason="asked"))
    assert done.success, failure_of(done)
    assert shown(done)["absent"] is True
    assert released.live() == "v000002" and verify(released.workspace()).passed


def test_adopting_writes_a_collection_of_its_own(released: Archive, tmp_path: Path) -> None:
    export = tmp_path / "export.jsonl"
    rows = [{"id": n, "vector": [1.0, float(n), 0.5], "payload": {"text": f"text {n}"}} for n in range(4)]
    export.write_bytes(b"\n".join(orjson.dumps(row) for row in rows))
    asked = config("adopt_collections", collections=[str(export)], name="old", dry_run=False)
    assert released.run("adopt", config=asked).success
    folder = released.home / "adopted" / "old"
    assert all(verdict.passed for verdict in verify_adopted(folder))
    assert released.live() == "v000001"


def test_a_reindex_is_asked_for_only_where_one_is_needed(released: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    assert shown(released.run("reindex"))["needed"] is False
    monkeypatch.setenv("RAGFLOW_TARGET_TOKENS", "64")
    told = shown(released.run("reindex"))
    assert told["needed"] is True and "target_tokens" in told["changes"]
