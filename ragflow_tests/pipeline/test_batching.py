"""How a scan groups changes into batches, and where it stops."""

from __future__ import annotations

import itertools
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from ragflow.model.batches import Change, DocumentChange, check_chain
from ragflow.pipeline.scanning import _group
from ragflow.pipeline.workspace import BatchOptions, Workspace
from ragflow_tests.pipeline.archive import scan_inbox
from ragflow_tests.pipeline.test_scanning import documents, drop


def test_hashing_stops_at_the_limit_and_goes_on_next_time(workspace: Workspace) -> None:
    for number in range(5):
        drop(workspace, f"{number}.pdf", b"x" * 10 + bytes([number]))
    found = []
    for _ in range(3):
        report = scan_inbox(workspace, max_hashed_bytes=20)
        found.append((len(report.added), len(report.deferred), report.unchanged))
    assert found == [(2, 3, 0), (2, 1, 2), (1, 0, 4)]
    assert len(documents(workspace)) == 5


def test_batches_are_chained_and_keep_to_their_limits(workspace: Workspace) -> None:
    small = replace(workspace, batching=BatchOptions(max_documents=3, max_bytes=25))
    for number in range(4):
        drop(workspace, f"{number}.pdf", b"x" * 10 + bytes([number]))
    for number in range(4, 9):
        drop(workspace, f"{number}.pdf", bytes([number]))
    report = scan_inbox(small)
    manifests = workspace.home.manifests.all()
    assert report.batches == tuple(manifest.key for manifest in manifests)
    assert [len(manifest.documents) for manifest in manifests] == [2, 3, 3, 1]
    check_chain(manifests)
    assert {root.name for manifest in manifests for root in manifest.sources} == {"inbox"}


sizes = st.lists(st.integers(0, 30), max_size=30)


@given(sizes, st.integers(1, 5), st.integers(1, 40))
def test_groups_keep_order_and_never_go_over_a_limit_they_could_keep(
    found: list[int], max_documents: int, max_bytes: int
) -> None:
    changes = [DocumentChange(f"inbox/{n:03d}", Change.ADDED, "a" * 64, size) for n, size in enumerate(found)]
    groups = list(_group(changes, BatchOptions(max_documents=max_documents, max_bytes=max_bytes)))
    assert [change for group in groups for change in group] == changes
    for group in groups:
        assert 1 <= len(group) <= max_documents
        assert len(group) == 1 or sum(change.size for change in group) <= max_bytes
    for group, after in itertools.pairwise(groups):
        assert len(group) == max_documents or sum(change.size for change in [*group, after[0]]) > max_bytes
