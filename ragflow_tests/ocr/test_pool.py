"""Crashes, hangs and greed cost the task that they happen in, and nothing stays behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import psutil
import pytest

import ragflow
from ragflow.errors import DependencyMissingError, ServiceUnavailableError, UsageError
from ragflow.model.reading import PageStatus, Reason
from ragflow.ocr.options import ReadingOptions
from ragflow.ocr.pool import TaskFailure, WorkerPool
from ragflow.ocr.reader import read_pages
from ragflow.ocr.worker import start_worker
from ragflow_tests.ocr.fakes import CrashingEngine, SlowEngine, Task, perform
from ragflow_tests.ocr.pdfs import ENGLISH, lines_at, write_pdf

ROOT = Path(ragflow.__file__).parents[1]
MEMORY_MB = 512


@pytest.fixture
def pool() -> Iterator[WorkerPool]:
    with WorkerPool(2, MEMORY_MB) as pool:
        yield pool


def run(pool: WorkerPool, tasks: list[Task], seconds: float = 30) -> dict[Task, int | TaskFailure]:
    results = list(pool.map(perform, tasks, seconds=lambda task: seconds))
    assert len(results) == len(tasks)
    return dict(results)


def doubles(count: int) -> list[Task]:
    return [Task("double", number) for number in range(count)]


def assert_doubled(results: dict[Task, int | TaskFailure], count: int) -> None:
    for task in doubles(count):
        assert results[task] == 2 * task.number


def gone(pid: int, seconds: float = 10) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.05)
    return False


def test_many_tasks_and_many_calls(pool: WorkerPool) -> None:
    for _ in range(2):
        assert_doubled(run(pool, doubles(100)), 100)
    assert run(pool, []) == {}
    assert run(pool, [Task("limits")]) == {Task("limits"): 1}


@pytest.mark.parametrize(
    ("bad", "words"), [(Task("kill"), "signal 9"), (Task("exit", 3), "exit code 3"), (Task("exit", 300), "exit code")]
)
def test_a_dead_worker_costs_its_task(pool: WorkerPool, bad: Task, words: str) -> None:
    results = run(pool, [*doubles(10), bad, *doubles(40)[10:]])
    failure = results[bad]
    assert isinstance(failure, TaskFailure)
    assert failure.reason is Reason.WORKER_DIED and words in failure.detail
    assert_doubled(results, 40)


def test_a_task_whose_worker_was_killed_by_others_is_done_by_the_next(pool: WorkerPool, tmp_path: Path) -> None:
    tasks = [Task("kill once", number, str(tmp_path)) for number in range(4)]
    results = run(pool, [*tasks, *doubles(20)])
    assert [results[task] for task in tasks] == [0, 2, 4, 6]
    assert_doubled(results, 20)


def test_many_dead_workers(pool: WorkerPool) -> None:
    tasks = [Task("kill", number) if number % 3 == 0 else Task("double", number) for number in range(30)]
    results = run(pool, tasks, seconds=10)
    for task, result in results.items():
        if task.deed == "kill":
            assert isinstance(result, TaskFailure) and result.reason in (Reason.WORKER_DIED, Reason.TIMED_OUT)
        else:
            assert result == 2 * task.number


def test_workers_killed_between_two_tasks_are_replaced(pool: WorkerPool) -> None:
    for _ in range(2):
        workers = set(run(pool, [Task("pid", number) for number in range(6)]).values())
        for pid in workers:
            assert isinstance(pid, int)
            os.kill(pid, signal.SIGKILL)
        assert_doubled(run(pool, doubles(60)), 60)


def test_a_hang_costs_its_task_and_its_child_is_ended(pool: WorkerPool, tmp_path: Path) -> None:
    bad = Task("hang with child", 0, str(tmp_path))
    tasks = [bad, *doubles(20)]
    results = dict(pool.map(perform, tasks, seconds=lambda task: 1.5 if task is bad else 30))
    failure = results[bad]
    assert isinstance(failure, TaskFailure) and failure.reason is Reason.TIMED_OUT
    assert_doubled(results, 20)
    assert gone(int((tmp_path / "child").read_text()))


def test_the_child_of_a_killed_worker_is_ended(pool: WorkerPool, tmp_path: Path) -> None:
    bad = Task("kill with child", 0, str(tmp_path))
    failure = run(pool, [bad])[bad]
    assert isinstance(failure, TaskFailure) and failure.reason is Reason.WORKER_DIED
    assert gone(int((tmp_path / "child").read_text()))


def test_too_much_memory_costs_its_task(pool: WorkerPool) -> None:
    results = run(pool, [*doubles(5), Task("eat", 4096), Task("eat", 2), *doubles(20)[5:]])
    failure = results[Task("eat", 4096)]
    assert isinstance(failure, TaskFailure)
    assert failure.reason is Reason.ENGINE_FAILED and f"{MEMORY_MB} MiB" in failure.detail
    assert results[Task("eat", 2)] == 2
    assert_doubled(results, 20)


def test_the_limit_is_for_the_task_and_not_for_what_libraries_set_aside() -> None:
    with WorkerPool(1, 4096) as pool:
        ((_, used),) = pool.map(perform, [Task("arrow")], seconds=lambda task: 60)
    assert isinstance(used, int) and used < 512


def test_errors(pool: WorkerPool) -> None:
    results = run(pool, [Task("raise other"), Task("unpicklable"), Task("double", 4)])
    other, odd = results[Task("raise other")], results[Task("unpicklable")]
    assert isinstance(other, TaskFailure) and other.reason is Reason.ENGINE_FAILED
    assert "ZeroDivisionError: by zero" in other.detail
    assert isinstance(odd, TaskFailure) and odd.reason is Reason.ENGINE_FAILED
    assert results[Task("double", 4)] == 8
    with pytest.raises(DependencyMissingError, match=r"The thing is missing\. Get the thing\."):
        run(pool, [Task("raise ours"), *doubles(50)])
    assert_doubled(run(pool, doubles(5)), 5)


def test_an_iteration_may_end_early(pool: WorkerPool) -> None:
    for _, result in pool.map(perform, doubles(200), seconds=lambda task: 30):
        assert isinstance(result, int)
        break
    assert_doubled(run(pool, doubles(5)), 5)


def test_closing_ends_everything(tmp_path: Path) -> None:
    bad = Task("hang with child", 0, str(tmp_path))
    with WorkerPool(1, MEMORY_MB) as pool:
        results = pool.map(perform, [Task("double", 1), bad], seconds=lambda task: 60)
        assert next(results) == (Task("double", 1), 2)
        deadline = time.monotonic() + 20
        while not (tmp_path / "child").exists() and time.monotonic() < deadline:
            time.sleep(0.02)
    child = int((tmp_path / "child").read_text())
    assert gone(child)
    named = [p for p in psutil.process_iter(["pid"]) if p.pid == child and p.status() != psutil.STATUS_ZOMBIE]
    assert named == []


def test_nothing_outlives_a_killed_parent(tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(
        textwrap.dedent(
            f"""
            import sys
            sys.path.insert(0, {str(ROOT)!r})
            from ragflow.ocr.pool import WorkerPool
            from ragflow_tests.ocr.fakes import Task, perform
            if __name__ == "__main__":
                with WorkerPool(1, {MEMORY_MB}) as pool:
                    task = Task("hang with child", 0, {str(tmp_path)!r})
                    list(pool.map(perform, [task], seconds=lambda task: 600))
            """
        ),
        encoding="utf-8",
    )
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    parent = subprocess.Popen([sys.executable, str(script)], env={**os.environ, "TMPDIR": str(temporary)})
    try:
        deadline = time.monotonic() + 30
        while not (tmp_path / "child").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        child = psutil.Process(int((tmp_path / "child").read_text()))
        worker = child.parent()
        assert worker is not None
        (folder,) = temporary.glob("ragflow-pool-*")
    finally:
        parent.kill()
        parent.wait()
    assert gone(worker.pid) and gone(child.pid)
    assert not folder.exists()


def test_a_pool_needs_sensible_numbers() -> None:
    with pytest.raises(UsageError):
        WorkerPool(-1, 512)
    with pytest.raises(UsageError):
        WorkerPool(1, 10)
    assert WorkerPool(0, 512).workers >= 1


def hang_once(memory_mb: int, folder: str) -> None:
    """Start a worker, but hang if it is the first one."""
    try:
        (Path(os.environ["RAGFLOW_TEST_FOLDER"]) / "hung").touch(exist_ok=False)
    except FileExistsError:
        return start_worker(memory_mb, folder)
    time.sleep(600)


def hang_always(memory_mb: int, folder: str) -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    (Path(os.environ["RAGFLOW_TEST_FOLDER"]) / f"{os.getpid()}.hung").touch()
    time.sleep(600)


def test_workers_that_hang_while_they_start_are_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ragflow.ocr.pool.start_worker", partial(in_folder, hang_once, str(tmp_path)))
    with WorkerPool(1, MEMORY_MB, start_seconds=1) as pool:
        assert_doubled(run(pool, doubles(20)), 20)
    assert (tmp_path / "hung").exists()


def test_workers_that_never_start_are_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ragflow.ocr.pool.start_worker", partial(in_folder, hang_always, str(tmp_path)))
    with WorkerPool(1, MEMORY_MB, start_seconds=0.5) as pool:
        with pytest.raises(ServiceUnavailableError, match="hung while they started, 3 times"):
            run(pool, doubles(3))
        hung = [int(path.stem) for path in tmp_path.glob("*.hung")]
        assert len(hung) == 3 and all(gone(pid) for pid in hung)


def in_folder(start: Callable[[int, str], None], folder: str, memory_mb: int, pool_folder: str) -> None:
    os.environ["RAGFLOW_TEST_FOLDER"] = folder
    start(memory_mb, pool_folder)


def test_a_worker_that_stops_with_the_lock_in_its_hand_costs_its_task(
    pool: WorkerPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its time limit does not reach it: the pool ends a worker only while nobody is being handed a task."""
    monkeypatch.setattr("ragflow.ocr.pool.OVERDUE_SECONDS", 1.0)
    bad = Task("stop with the lock")
    results = dict(
        pool.map(perform, [*doubles(4), bad, *doubles(20)[4:]], seconds=lambda task: 2.0 if task == bad else 30.0)
    )
    failure = results[bad]
    assert isinstance(failure, TaskFailure) and failure.reason is Reason.TIMED_OUT
    assert_doubled(results, 20)


def crash(path: str) -> int:
    return len(read_pages(Path(path), [0], ReadingOptions(), [CrashingEngine()]))


def dawdle(path: str) -> int:
    return len(read_pages(Path(path), [0], ReadingOptions(), [SlowEngine(60)]))


def read(path: str) -> str:
    (page,) = read_pages(Path(path), [0], ReadingOptions(dpi=150, engines=("tesseract",)))
    return page.status


def test_pages_are_read_in_the_pool(pool: WorkerPool, tmp_path: Path) -> None:
    path = str(write_pdf(tmp_path / "a.pdf", [lines_at(ENGLISH)]))
    ((_, crashed),) = pool.map(crash, [path], seconds=lambda _: 30)
    ((_, late),) = pool.map(dawdle, [path], seconds=lambda _: 1)
    ((_, status),) = pool.map(read, [path], seconds=lambda _: 60)
    assert isinstance(crashed, TaskFailure) and crashed.reason is Reason.WORKER_DIED
    assert isinstance(late, TaskFailure) and late.reason is Reason.TIMED_OUT
    assert status == PageStatus.INDEXED
