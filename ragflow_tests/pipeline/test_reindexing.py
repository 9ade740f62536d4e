"""A reindex: its plan tells the truth, the old version serves until the new one has passed, and both are compared."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from ragflow.errors import DependencyMissingError, IntegrityError, NotFoundError
from ragflow.pipeline.ingest import pending_batches
from ragflow.pipeline.reindexing import batches_to_reindex, compare, plan_reindex, request_reindex
from ragflow.pipeline.release import release
from ragflow.pipeline.searching import Searcher
from ragflow.pipeline.verification import verify
from ragflow.pipeline.workspace import EmbeddingOptions, Workspace
from ragflow_tests.pipeline.archive import ORCHARD, Archive, run_pending
from ragflow_tests.vectors.builders import snapshot

DIMENSION = 96


def write_projected_model(folder: Path) -> Path:
    """Save the default model with a random projection behind it: another model, with vectors of another length."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules import Dense

    from ragflow.embedding.dense import DenseEmbedder

    torch.manual_seed(1)
    plain = SentenceTransformer(str(DenseEmbedder().folder), device="cpu")
    projection = Dense(384, DIMENSION, bias=False, activation_function=torch.nn.Identity())
    SentenceTransformer(modules=[plain[0], plain[1], projection], device="cpu").save(str(folder))
    return folder


@pytest.fixture
def other(copied: Archive, tmp_path: Path) -> Workspace:
    """The archive with settings that name a model of another dimension."""
    model = write_projected_model(tmp_path / "model")
    return replace(copied.workspace, embedding=EmbeddingOptions(model=str(model), precision="float32"))


def test_nothing_is_needed_where_nothing_has_changed(archive: Archive) -> None:
    plan = plan_reindex(archive.workspace)
    assert not plan.is_needed
    assert (plan.live, plan.changes, plan.stale, plan.embeddings, plan.pages_to_read) == ("v000002", {}, {}, 0, 0)
    assert plan.size_after == plan.size_bytes > 0
    assert batches_to_reindex(archive.workspace) == {}


def test_nothing_can_be_planned_before_something_is_live(workspace: Workspace) -> None:
    with pytest.raises(NotFoundError, match="Nothing is live"):
        plan_reindex(workspace)


def test_the_plan_says_what_another_model_costs_and_touches_nothing(other: Workspace) -> None:
    before = snapshot(other.home.root / "tables")
    plan = plan_reindex(other)
    assert plan.is_needed
    assert {"model", "model_sha256", "collection.dimension"} <= plan.changes.keys()
    assert plan.changes["model"] == ("all-MiniLM-L6-v2", other.embedding.model)
    assert sum(plan.stale.values()) == 2 and plan.pages_to_read == 0
    assert plan.points == pytest.approx(10, abs=2) and plan.embeddings == pytest.approx(7, abs=2)
    assert plan.size_after < plan.size_bytes
    assert snapshot(other.home.root / "tables") == before


def test_the_old_version_serves_with_its_own_model_until_the_new_one_is_live(other: Workspace) -> None:
    run_pending(other)
    with Searcher(other) as searcher:
        assert searcher.version == "v000002"
        assert searcher.embed([ORCHARD]).shape == (1, 384), "the query is embedded as the version was"
        assert searcher.search(ORCHARD)[0].text == ORCHARD
    assert verify(other).passed, "what is served is proven by the tables of then"
    report = release(other)
    assert (report.decision, report.live) == ("promoted", "v000003"), [v for v in report.verdicts if not v.passed]
    told = {verdict.name: verdict for verdict in report.verdicts}
    assert told["known_items"].figure is not None, "the live version was asked with its own model"
    assert verify(other).passed and verify(other, "v000002").passed
    before, after = compare(other, "v000002", "v000003")
    assert (before.model, after.model) == ("all-MiniLM-L6-v2", other.embedding.model)
    assert (before.points, before.version, after.version) == (after.points, "v000002", "v000003")
    assert after.size_bytes < before.size_bytes
    assert pending_batches(other) == []


def test_a_model_that_is_gone_is_named(copied: Archive, tmp_path: Path) -> None:
    model = write_projected_model(tmp_path / "model")
    workspace = replace(copied.workspace, embedding=EmbeddingOptions(model=str(model), precision="float32"))
    run_pending(workspace)
    assert release(workspace).live == "v000003"
    model.rename(tmp_path / "elsewhere")
    with pytest.raises(DependencyMissingError, match="v000003 was built with the model") as caught:
        Searcher(copied.workspace)
    assert "reindex" in caught.value.remedy


def test_a_request_asks_for_the_stale_batches_until_they_are_done(other: Workspace, copied: Archive) -> None:
    assert batches_to_reindex(other) == {}, "settings alone start nothing"
    assert request_reindex(other).is_needed
    asked = batches_to_reindex(other)
    assert list(asked) == list(other.home.manifests.batch_keys())
    assert batches_to_reindex(copied.workspace) == {}, "it was asked for with other settings"
    run_pending(other)
    assert batches_to_reindex(other) == {}
    path = other.home.root / "rereads" / "reindex.json"
    path.write_text("{")
    with pytest.raises(IntegrityError, match=r"reindex\.json"):
        batches_to_reindex(other)
