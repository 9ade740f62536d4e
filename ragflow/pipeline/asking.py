"""Ask a candidate what is known, and ask again through the alias once it is live."""

from __future__ import annotations

import logging
from collections.abc import Collection
from dataclasses import dataclass, replace

from ragflow.errors import DependencyMissingError, IntegrityError
from ragflow.model.questions import Question, RetrievalOptions
from ragflow.model.releases import VersionRecord
from ragflow.model.verdicts import Verdict
from ragflow.pipeline.questions import Drawing, golden_questions, known_items
from ragflow.pipeline.retrieval_quality import ask, documents_in
from ragflow.pipeline.workspace import Workspace
from ragflow.quality.readiness import Answers, canary_verdicts, retrieval_verdicts

log = logging.getLogger(__name__)

CANARIES = "canaries"
"""What the settings call the questions that are asked through the alias."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a version was asked, what it answered, and what the gate says to that."""

    verdicts: tuple[Verdict, ...]
    questions: tuple[Question, ...]
    answers: Answers


def draw_questions(workspace: Workspace, version: str, drawing: Drawing | None = None) -> tuple[Question, ...]:
    """Return the user's questions, and those drawn from what a version holds.

    Args:
        drawing: has been shown every point of the version; None: they are read now.

    Raises:
        BadInputError: the file of the user's questions cannot be read.
    """
    options = _options(workspace)
    golden: tuple[Question, ...] = ()
    if options.golden_queries is not None:
        # The default file may be missing; one that the settings name may not.
        optional = options.golden_queries == RetrievalOptions().golden_queries
        golden = golden_questions(workspace.home.root / options.golden_queries.expanduser(), optional=optional)
    if drawing is not None:
        return (*golden, *drawing.questions(options.known_items))
    with workspace.versions().open(version) as reader:
        return (*golden, *known_items(reader, options.known_items))


def _options(workspace: Workspace) -> RetrievalOptions:
    options, off = workspace.gate.retrieval, workspace.gate.off
    if "golden_queries" in off:
        options = replace(options, golden_queries=None)
    return replace(options, known_items=0) if "known_items" in off else options


def ask_candidate(
    workspace: Workspace, record: VersionRecord, live: str | None, present: Collection[str], drawing: Drawing
) -> Asked:
    """Ask a candidate and, for comparison, the version that is live.

    Args:
        present: keys of the documents that are there now: what was removed need not be found any more.
        drawing: has been shown every point of the candidate.
    """
    questions = draw_questions(workspace, record.version, drawing)
    answers = ask(workspace, questions, record.version)
    before, added = None, frozenset[str]()
    served = workspace.home.version_records.find(live) if live is not None and live != record.version else None
    if served is not None:
        try:
            before = ask(workspace, questions, served.version)
            added = documents_in(workspace, record) - documents_in(workspace, served)
        except (DependencyMissingError, IntegrityError) as error:
            log.warning("the live version cannot be asked for comparison", extra={"reason": error.message})
    verdicts = retrieval_verdicts(_options(workspace), answers, before, present, added)
    return Asked(tuple(verdicts), questions, answers)


def ask_canaries(workspace: Workspace, version: str, points: int, asked: Asked | None) -> tuple[Verdict, ...]:
    """Ask through the alias what the candidate was asked in the gate; nothing if canaries are switched off.

    Args:
        points: that the version holds, by its record.
        asked: in the gate; None (a release that was interrupted): the version itself is asked now.
    """
    if CANARIES in workspace.gate.off:
        return ()
    if asked is None:
        questions = draw_questions(workspace, version)
        asked = Asked((), questions, ask(workspace, questions, version))
    served = ask(workspace, asked.questions, known=asked.answers.vectors)
    return tuple(canary_verdicts(asked.answers, served, points_expected=points))
