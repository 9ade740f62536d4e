"""The proof of a hit, made in a worker process: the page is rendered for it, and a document may be hostile."""

from __future__ import annotations

from dataclasses import dataclass

import orjson

from ragflow.errors import BadInputError, ServiceUnavailableError
from ragflow.ocr.page import PdfError
from ragflow.ocr.pool import TaskFailure
from ragflow.pipeline.proofs import make_proof
from ragflow.pipeline.tracing import Trace
from ragflow.pipeline.workspace import Workspace


@dataclass(frozen=True, slots=True)
class ProofTask:
    """A traced point that is to be proven."""

    workspace: Workspace
    found: Trace


def prove(task: ProofTask) -> bytes:
    """Return the proof as JSON. Runs in a worker process.

    Raises:
        RagflowError: as :func:`ragflow.pipeline.proofs.make_proof`, or the page cannot be rendered.
    """
    try:
        return orjson.dumps(make_proof(task.workspace, task.found), option=orjson.OPT_INDENT_2)
    except PdfError as error:
        # Its own class does not get through to another process.
        raise BadInputError(error.message, remedy=error.remedy) from error


def proof_bytes(workspace: Workspace, found: Trace, *, seconds: float) -> bytes:
    """Return the proof of a traced point as the bytes of its file.

    Args:
        seconds: limit on making it.

    Raises:
        IntegrityError: the chain of the point is broken: there is nothing to be proven.
        NotFoundError: the version of the point has never been released.
        ServiceUnavailableError: it took too long, or the worker died.
    """
    task = ProofTask(workspace, found)
    ((_, made),) = workspace.pool().map(prove, [task], seconds=lambda _: seconds)
    if isinstance(made, TaskFailure):
        raise ServiceUnavailableError(
            f"The proof could not be made. {made.detail}", remedy="Make it with `ragflow trace POINT_ID --proof FILE`."
        )
    return made
