"""People search while versions change: no query is lost, and each is answered by one version as a whole."""

from __future__ import annotations

import threading
from collections import Counter

from ragflow.pipeline.hits import SearchMode
from ragflow.pipeline.release import judge, rollback
from ragflow.pipeline.searching import Searcher
from ragflow_tests.pipeline.archive import ORCHARD, Archive

READERS = 4
MOVES = 6


def test_a_rollback_under_load_loses_no_query(copied: Archive) -> None:
    workspace = copied.workspace
    done = threading.Event()
    answered: Counter[str] = Counter()
    problems: list[BaseException] = []

    def search() -> None:
        while not done.is_set():
            try:
                with Searcher(workspace) as searcher:
                    hits = searcher.search(ORCHARD, mode=SearchMode.SPARSE)
                assert hits[0].text == ORCHARD
                assert {hit.collection_version for hit in hits} == {searcher.version}
                answered[searcher.version] += 1
            except BaseException as error:
                problems.append(error)
                return

    readers = [threading.Thread(target=search) for _ in range(READERS)]
    for reader in readers:
        reader.start()
    try:
        for _ in range(MOVES // 2):
            rollback(workspace)
            judge(workspace, "v000002", explicit=True)
    finally:
        done.set()
        for reader in readers:
            reader.join()
    assert not problems, problems[0]
    assert len(workspace.home.releases.all()) == 2 + MOVES
    assert answered["v000001"] and answered["v000002"], answered
