"""``/api/v1/releases/current``: what is live, as the records have it."""

from __future__ import annotations

from dataclasses import asdict

from ragflow.pipeline.release import rollback
from ragflow.pipeline.verification import verify
from ragflow.pipeline.workspace import Workspace
from ragflow_tests.service.homes import V1, V2, running, settings_of


def test_the_release_that_is_live_before_and_after_a_rollback(changing: Workspace) -> None:
    home = changing.home
    settings = settings_of(home.root, requests_per_minute=0)
    with running(settings) as service, service.client() as client:
        found = client.get("/api/v1/releases/current").json()
        record = list(home.releases)[-1]
        assert (found["version"], found["number"], found["decision"]) == (V2, 2, "promoted")
        assert (found["decided_at"], found["points"]) == (record.decided_at, record.points)
        assert found["record_sha256"] == home.releases.hash_of(2)
        assert found["documents"] == found["ledger"]["documents"] == 6
        assert found["ledger"]["quarantined"] == 1 and found["ledger"]["adds_up"]
        assert {v["name"]: v["outcome"] for v in found["verdicts"]} == {v.name: v.outcome for v in record.verdicts}
        assert found["canaries"] and all(verdict["outcome"] == "pass" for verdict in found["canaries"])
        kept = home.version_records.find(V2)
        assert kept is not None and found["configuration"] == asdict(kept)["configuration"]
        assert found["verification"] is None

        assert verify(changing).passed
        told = client.get("/api/v1/releases/current").json()["verification"]
        assert (told["version"], told["passed"], told["deep"]) == (V2, True, False)

        note = home.root / "verified.json"
        note.unlink()
        note.mkdir()  # it cannot be written: the archive is verified all the same
        assert verify(changing).passed
        assert client.get("/api/v1/releases/current").json()["verification"] is None

        rollback(changing)
        service.state.live.look()
        back = client.get("/api/v1/releases/current").json()
        assert (back["version"], back["number"], back["decision"]) == (V1, 3, "rolled_back")
        assert back["decided_at"] == list(home.releases)[-1].decided_at
        assert len(back["verdicts"]) > 5, "what let it through stands in its promotion"
        assert back["documents"] == 5
