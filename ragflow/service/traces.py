"""``/api/v1/trace`` and ``/api/v1/proofs``: from a hit back to the stored bytes, recomputed hash by hash."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response

from ragflow.model.keys import Scope
from ragflow.pipeline.proving import proof_bytes
from ragflow.pipeline.tracing import Trace, trace
from ragflow.service import examples
from ragflow.service.problems import INTEGRITY, NOT_FOUND
from ragflow.service.responses import answers, json_answer, live_version
from ragflow.service.schemas import PROOF_ID, UUID, VERSION, TraceAnswer
from ragflow.service.security import require
from ragflow.service.state import ServiceState, state_of
from ragflow.store.forgotten import Kind

router = APIRouter(prefix="/api/v1", tags=["proof"], dependencies=[require(Scope.READ)])

PROOF_SECONDS = 300.0
TRACED = answers(TraceAnswer, examples.TRACE, NOT_FOUND, INTEGRITY)
PROOF = answers(None, None, NOT_FOUND, INTEGRITY, description="The proof, for `ragflow check-proof`.")
PROOF[200]["content"] = {"application/json": {"schema": {"type": "object"}, "example": examples.PROOF}}


@router.get("/trace/{point_id}", responses=TRACED, operation_id="trace")
async def trace_point(
    request: Request,
    point_id: Annotated[str, Path(pattern=UUID, examples=[examples.POINT])],
    version: Annotated[
        str | None, Query(pattern=VERSION, description="Where to look for it; left out: what is live.")
    ] = None,
) -> Response:
    """Recompute every link from a hit to the stored bytes. ``holds`` says whether all of them hold."""
    state = state_of(request)
    wanted = version or live_version(state)
    return json_answer(await state.alone(lambda: _told(_traced(state, point_id, wanted))))


@router.get("/proofs/{proof_id}", responses=PROOF, response_class=Response, operation_id="proof")
async def proof(
    request: Request,
    proof_id: Annotated[
        str, Path(pattern=PROOF_ID, description="Of a hit.", examples=[f"{examples.VERSION_NAME}:{examples.POINT}"])
    ],
) -> Response:
    """Return the proof of a hit: one file that can be checked without the archive."""
    state = state_of(request)
    version, _, point_id = proof_id.partition(":")

    def work() -> bytes:
        return proof_bytes(state.workspace, _traced(state, point_id, version), seconds=PROOF_SECONDS)

    named = f'attachment; filename="proof-{version}-{point_id.lower()}.json"'
    return Response(await state.alone(work), headers={"Content-Disposition": named}, media_type="application/json")


def _traced(state: ServiceState, point_id: str, version: str) -> Trace:
    """Trace a point.

    Raises:
        NotFoundError: there is no such point or version, or its document is to be forgotten.
        IntegrityError: a table cannot be read.
    """
    found = trace(state.workspace, point_id, version)
    if state.workspace.home.absences.kind_of(found.payload["document_sha256"]) is Kind.FORGOTTEN:
        state.shown(version).check_shown(found.payload["document_sha256"])
    return found


def _told(found: Trace) -> dict[str, Any]:
    return {
        "point_id": found.point_id,
        "version": found.version,
        "holds": found.holds,
        "present": found.present,
        "links": [{**asdict(link), "holds": link.holds} for link in found.links],
        "payload": found.payload,
        "words": found.words,
        "proof_id": f"{found.version}:{found.point_id}",
    }
