"""``/api/v1/releases/current``: what is live, who let it through, and what was found then."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from fastapi import APIRouter, Request, Response

from ragflow.model.keys import Scope
from ragflow.model.releases import Decision, ReleaseRecord
from ragflow.model.verdicts import Verdict
from ragflow.service import examples
from ragflow.service.problems import INTEGRITY
from ragflow.service.responses import answers, json_answer, live_version
from ragflow.service.schemas import ReleaseAnswer
from ragflow.service.security import require
from ragflow.service.state import ServiceState, state_of
from ragflow.store.verifications import verification_store

router = APIRouter(prefix="/api/v1/releases", tags=["releases"], dependencies=[require(Scope.READ)])


@router.get("/current", responses=answers(ReleaseAnswer, examples.RELEASE, INTEGRITY), operation_id="release")
async def current(request: Request) -> Response:
    """Return the release that is live."""
    state = state_of(request)
    version = live_version(state)
    return json_answer(await state.slowly(lambda: _told(state, version)))


def _told(state: ServiceState, version: str) -> dict[str, Any]:
    home = state.workspace.home
    shown, newest = state.shown(version), state.release(version)
    # After a rollback the newest record says little; what the gate found stands in the one that let it through.
    judged = _promotion(list(home.releases), version) or newest
    said = home.canaries.find(judged.number) if judged is not None else None
    last = verification_store(home.root).find()
    ledger = judged.ledger if judged is not None else None
    return {
        "version": version,
        "number": newest.number if newest is not None else None,
        "decision": newest.decision if newest is not None else None,
        "decided_at": newest.decided_at if newest is not None else None,
        "replaced": judged.replaced if judged is not None else None,
        "points": shown.record.points,
        "documents": shown.documents,
        "ledger": {**asdict(ledger), "coverage": ledger.coverage, "adds_up": ledger.adds_up} if ledger else None,
        "verdicts": _verdicts(judged.verdicts) if judged is not None else [],
        "canaries": _verdicts(said.verdicts) if said is not None else None,
        "configuration": shown.record.configuration,
        "switched_off": judged.switched_off if judged is not None else [],
        "record_sha256": home.releases.hash_of(newest.number) if newest is not None else None,
        "verification": asdict(last) if last is not None else None,
    }


def _promotion(records: Sequence[ReleaseRecord], version: str) -> ReleaseRecord | None:
    found = [r for r in records if r.version == version and r.decision is Decision.PROMOTED]
    return found[-1] if found else None


def _verdicts(verdicts: Sequence[Verdict]) -> list[dict[str, Any]]:
    return [
        {
            "name": verdict.name,
            "outcome": verdict.outcome,
            "figure": verdict.figure,
            "threshold": verdict.threshold,
            "message": verdict.summary,
        }
        for verdict in verdicts
    ]
