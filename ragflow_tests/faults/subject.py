"""What a pipeline must offer to be put through the faults of the catalogue.

To try another pipeline, write one class with the methods of :class:`PipelineUnderTest`:

- ``prepare``: work the folders off in order, as your pipeline would when its source grows. Publish each but the last;
  of the last, do everything but publish. Remember the state after the first folder, before it was published, too.
- ``reset``: go back to one of the two states. Copying a folder or restoring a snapshot is fine.
- ``inject``: by the level of the fault, read what your pipeline holds as plain rows (their fields stand in
  :class:`ragflow_tests.faults.fault.Level`), hand them to ``fault.change`` with the scene, and write the result
  back *as your stage would have written it*: with every hash, count and index that your stage derives from its rows,
  so that nothing but the content is wrong. Then run the stages after it. A row may carry further fields of yours: they
  travel with it. What your pipeline does not have (a manifest, a backup) cannot go wrong there: raise
  :class:`NotApplicableError`.
- ``publish``: publish as usual, and tell what happened.
- ``live`` and ``answers``: tell what a reader of your collection meets now.

Documents are called by their file names, pages by their 1-based numbers. The names of the verdicts in the catalogue are
ragflow's; for another pipeline, what counts is whether the fault was published.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from ragflow_tests.faults.fault import Fault

REFUSED = "refused"
"""Stands among what caught a fault if publishing ended in an error that says what is wrong."""


Place = tuple[str, int | None]
"""Document and page; the page is None where only the document is named."""


class NotApplicableError(Exception):
    """A pipeline has nothing that this fault could be put into."""


class Situation(StrEnum):
    """When the faulty batch is about to be published."""

    GROWTH = "a later release"
    """Something is live, and one batch is new: documents added, changed and removed."""
    FIRST = "the first release"
    """Nothing is live yet."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an attempt to publish.

    Attributes:
        published: whether what was damaged is what readers meet in the end (of a backup: whether it counts as good).
        caught_by: names of the checks that failed, and :data:`REFUSED` if it ended in an error.
        before: whether it was noticed before any reader could meet it.
        message: what a person is told.
        places: what the failed checks name, check by check.
    """

    published: bool
    caught_by: tuple[str, ...]
    before: bool
    message: str
    places: Mapping[str, frozenset[Place]] = field(default_factory=dict)


class PipelineUnderTest(Protocol):
    """A pipeline that faults can be put into; see the module on how to write one."""

    def prepare(self, states: Sequence[Path]) -> None:
        """Work off the folders, each of which holds the whole source at one moment; done once."""
        ...

    def reset(self, situation: Situation) -> None:
        """Go back to what was prepared."""
        ...

    def inject(self, fault: Fault) -> None:
        """Put a fault in; those that act later (while a candidate is built, once it is live) are only armed here."""
        ...

    def publish(self) -> Outcome:
        """Try to publish."""
        ...

    def live(self) -> str | None:
        """Return the name of what is served now; None if nothing is."""
        ...

    def answers(self) -> bool:
        """Ask what is served a question that the archive could answer at every moment
        (:data:`ragflow_tests.faults.documents.STANDING`), and return whether it finds the document."""
        ...
