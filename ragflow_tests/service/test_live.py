"""The service follows the alias: with both engines, whatever happens to a version, and while people search."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ragflow.errors import NotFoundError, ServiceUnavailableError, UsageError
from ragflow.model.points import Point, point_id
from ragflow.pipeline.hits import SearchMode
from ragflow.pipeline.workspace import EmbeddingOptions, VectorOptions, Workspace
from ragflow.service.live import LiveCollection
from ragflow.store.home import Home
from ragflow.vectors.protocols import CollectionSettings
from ragflow_tests.vectors.rest_server import RestServer

TEXTS = {
    "v000001": ("The granite quarry was closed after the flood.", "Pear orchards cover the southern slope."),
    "v000002": ("The granite quarry was opened again.", "The windmill grinds barley.", "Three new bridges."),
}
MOVED_AT = "2026-01-02T03:04:05Z"
SECONDS = 60.0
MOVES = 4
READERS = 3


@pytest.fixture(params=["edge", "server"])
def workspace(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Workspace]:
    """Two complete versions; nothing is live."""
    plain = Workspace(Home(tmp_path / "home"), embedding=EmbeddingOptions(precision="float32", threads=1))
    if request.param == "edge":
        yield build(plain)
        return
    with RestServer(tmp_path / "server").running() as server:
        yield build(replace(plain, vectors=VectorOptions(engine="server", url=server.url)))


@pytest.fixture
def edge(tmp_path: Path) -> Workspace:
    plain = Workspace(Home(tmp_path / "home"), embedding=EmbeddingOptions(precision="float32", threads=1))
    return build(plain)


def build(workspace: Workspace) -> Workspace:
    for version, texts in TEXTS.items():
        with workspace.versions().create(version, CollectionSettings(workspace.dense().dimension)) as writer:
            dense = workspace.dense().encode(texts)
            sparse = workspace.sparse().encode(texts, ["en"] * len(texts))
            writer.upsert(
                [point(number, *parts) for number, parts in enumerate(zip(texts, dense, sparse, strict=True))]
            )
            writer.finish()
    return workspace


def point(number: int, text: str, dense: object, sparse: object) -> Point:
    payload = {
        "document_key": f"inbox/{number}.pdf",
        "document_sha256": f"{number:064x}",
        "source": "inbox",
        "title": f"Paper {number}",
        "page_number": 1,
        "text": text,
        "text_sha256": f"{number:064d}",
        "language": "en",
        "boxes": [[0.1, 0.1, 0.9, 0.2]],
        "confidence": 1.0,
        "engine": "text_layer",
    }
    identifier = point_id(payload["document_key"], 0, 0, payload["text_sha256"])  # type: ignore[arg-type]
    return Point(identifier, dense, sparse, payload)  # type: ignore[arg-type]


def move(workspace: Workspace, version: str) -> None:
    alias = workspace.versions().alias()
    expected = alias.version if alias else None
    workspace.versions().move_alias(version, expected=expected, moved_at=MOVED_AT)


def found(live: LiveCollection, query: str = "granite quarry") -> tuple[str, str]:
    """Return the version that answers, and its best hit."""
    with live.lease() as searcher:
        hit = searcher.search(query, mode=SearchMode.SPARSE)[0]
        assert hit.collection_version == searcher.version
        return searcher.version, hit.text


def until(condition: Callable[[], bool]) -> None:
    """Wait for what another thread is about to do."""
    waiting = threading.Event()
    for _ in range(int(SECONDS * 100)):
        if condition():
            return
        waiting.wait(0.01)
    raise AssertionError("it does not happen")


def views(workspace: Workspace) -> int:
    return len(list((workspace.home.vectors / "views").iterdir()))


def test_it_goes_where_the_alias_goes(workspace: Workspace) -> None:
    live = LiveCollection(workspace, poll_seconds=0.02)
    live.start()
    try:
        assert live.version is None and live.problem is None
        with pytest.raises(NotFoundError), live.lease():
            pass
        for version in ("v000001", "v000002", "v000001"):
            move(workspace, version)
            until(lambda wanted=version: live.version == wanted)  # type: ignore[misc]
            assert found(live) == (version, TEXTS[version][0])
        workspace.versions().drop_alias(expected="v000001")
        until(lambda: live.version is None)
        with pytest.raises(NotFoundError), live.lease():
            pass
        assert live.problem is None
    finally:
        live.stop()


def test_a_request_keeps_its_version_until_it_is_done(edge: Workspace) -> None:
    move(edge, "v000001")
    live = LiveCollection(edge)
    live.look()
    with live.lease() as first, live.lease() as second:
        move(edge, "v000002")
        live.look()
        assert found(live)[0] == "v000002"
        assert first is second and first.version == "v000001"
        assert first.search("orchards", mode=SearchMode.HYBRID)[0].text == TEXTS["v000001"][1]
        assert views(edge) == 2
    live.look()
    with pytest.raises(UsageError, match="closed"):
        first.count()
    assert views(edge) == 1
    live.stop()
    assert views(edge) == 0


def test_a_version_that_is_held_outlives_the_stop(edge: Workspace) -> None:
    move(edge, "v000001")
    live = LiveCollection(edge, poll_seconds=0.02)
    live.start()
    with live.lease() as searcher:
        live.stop()
        assert live.version is None
        assert searcher.count() == len(TEXTS["v000001"])
    with pytest.raises(UsageError, match="closed"):
        searcher.count()
    assert views(edge) == 0


def test_a_version_that_cannot_be_opened_leaves_the_old_one_serving(edge: Workspace) -> None:
    move(edge, "v000001")
    live = LiveCollection(edge, poll_seconds=0.02)
    live.start()
    try:
        damaged = edge.home.vectors / "versions" / "v000002" / "shard"
        kept = damaged.with_name("kept")
        damaged.rename(kept)
        move(edge, "v000002")
        until(lambda: live.problem is not None)
        assert "v000002" in str(live.problem)
        assert found(live)[0] == "v000001"
        kept.rename(damaged)  # it is tried again by itself
        until(lambda: live.version == "v000002")
        assert live.problem is None
        assert found(live)[0] == "v000002"
    finally:
        live.stop()


def test_what_is_live_but_cannot_be_opened_is_not_called_nothing(edge: Workspace) -> None:
    move(edge, "v000001")
    shard = edge.home.vectors / "versions" / "v000001" / "shard"
    shard.rename(shard.with_name("kept"))
    live = LiveCollection(edge)
    live.look()
    with pytest.raises(ServiceUnavailableError, match="v000001"), live.lease():
        pass


def test_a_damaged_alias_is_a_problem_and_passes(edge: Workspace) -> None:
    move(edge, "v000001")
    live = LiveCollection(edge, poll_seconds=0.02)
    live.start()
    try:
        alias = edge.home.vectors / "alias.json"
        good = alias.read_bytes()
        alias.write_bytes(b"{")
        until(lambda: live.problem is not None)
        assert "alias.json" in str(live.problem)
        assert found(live)[0] == "v000001"
        alias.write_bytes(good)
        until(lambda: live.problem is None)
    finally:
        live.stop()


def test_the_thread_survives_what_nobody_foresaw(edge: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    move(edge, "v000001")
    live = LiveCollection(edge, poll_seconds=0.02)
    live.start()
    try:
        with monkeypatch.context() as patched:
            patched.setattr(type(edge.versions()), "alias", lambda self: 1 // 0)
            until(lambda: live.problem is not None)
            assert "ZeroDivisionError" in str(live.problem)
            assert found(live)[0] == "v000001"
        move(edge, "v000002")
        until(lambda: live.version == "v000002")
        assert live.problem is None
    finally:
        live.stop()


def test_no_search_is_lost_while_the_alias_moves(edge: Workspace) -> None:
    move(edge, "v000001")
    live = LiveCollection(edge, poll_seconds=0.01)
    live.start()
    done = threading.Event()
    answered: Counter[str] = Counter()
    problems: list[BaseException] = []

    def search() -> None:
        while not done.is_set():
            try:
                version, text = found(live)
                assert text == TEXTS[version][0]
                answered[version] += 1
            except BaseException as error:
                problems.append(error)
                return

    readers = [threading.Thread(target=search) for _ in range(READERS)]
    for reader in readers:
        reader.start()
    try:
        for number in range(MOVES):
            version = ("v000002", "v000001")[number % 2]
            before = answered[version]
            move(edge, version)
            until(lambda v=version, n=before: bool(problems) or answered[v] > n)  # type: ignore[misc]
    finally:
        done.set()
        for reader in readers:
            reader.join()
        live.stop()
    assert not problems, problems[0]
    assert answered["v000001"] and answered["v000002"], answered
    assert views(edge) == 0
