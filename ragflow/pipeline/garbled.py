"""Being written: replaced shortly."""

from __future__ import annotations

from ragflow.model.batches import Corpus
from ragflow.model.verdicts import Outcome, Verdict
from ragflow.pipeline.workspace import Workspace


def garbled(workspace: Workspace, corpus: Corpus, threshold: float) -> Verdict:
    return Verdict("garbled_text", Outcome.PASS, "Not judged yet.", figure=0.0, threshold=threshold)
