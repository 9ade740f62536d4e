"""Random histories of an archive, and the simplest model of what they lead to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hypothesis import strategies as st

from ragflow.model.batches import BatchManifest, Change, DocumentChange, SourceRoot
from ragflow.model.fingerprints import sha256_text

KEYS = ("inbox/a.pdf", "inbox/b.pdf", "inbox/sub/c.pdf", "zotero/a.pdf")
CONTENTS = tuple(sha256_text(text) for text in ("one", "two", "three"))
ROOTS = (SourceRoot("inbox", "folder", "/archive/inbox"), SourceRoot("zotero", "folder", "/archive/zotero"))

State = tuple[str | None, str | None]
"""(content hash, reason): exactly one of them is None."""


@dataclass(frozen=True, slots=True)
class History:
    """Manifests, and the states that a dictionary went through while they were made: the reference."""

    manifests: tuple[BatchManifest, ...]
    documents: dict[str, State]
    first_batch: dict[str, str]


Step = dict[str, State | None]
"""Document key → its new state; None removes it."""

states: st.SearchStrategy[State | None] = st.one_of(
    st.none(),
    st.sampled_from(CONTENTS).map(lambda sha: (sha, None)),
    st.just((None, "unreadable")),
)
steps: st.SearchStrategy[list[Step]] = st.lists(
    st.dictionaries(st.sampled_from(KEYS), states, min_size=1), min_size=1, max_size=6
)


def play(history: Sequence[Step]) -> History:
    """Make one manifest per step that changes something, as a scan would."""
    documents: dict[str, State] = {}
    first_batch: dict[str, str] = {}
    manifests: list[BatchManifest] = []
    for number, step in enumerate(history):
        changes = []
        for key, state in step.items():
            if state is None and key in documents:
                del documents[key]
                changes.append(DocumentChange(key, Change.REMOVED, None))
            elif state is not None and documents.get(key) != state:
                kind = Change.CHANGED if key in documents else Change.ADDED
                documents[key] = state
                changes.append(DocumentChange(key, kind, state[0], size=number + 1, reason=state[1]))
        if not changes:
            continue
        last = manifests[-1] if manifests else None
        manifest = BatchManifest.create(
            sequence=len(manifests) + 1,
            created_at=f"2026-11-{number + 1:02d}T10:00:00+00:00",
            previous=last.sha256 if last else None,
            sources=ROOTS,
            documents=changes,
        )
        manifests.append(manifest)
        for change in changes:
            if change.sha256 is not None:
                first_batch.setdefault(change.sha256, manifest.key)
    return History(tuple(manifests), documents, first_batch)


histories: st.SearchStrategy[History] = steps.map(play).filter(lambda history: bool(history.manifests))
