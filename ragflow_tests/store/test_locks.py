"""One writer at a time, between processes."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from ragflow.errors import ServiceUnavailableError
from ragflow.store.home import Home
from ragflow_tests.store.children import child

HOLD = """
from ragflow.store.home import Home
with Home(Path(sys.argv[1])).lock("scan").held():
    print("ready", flush=True)
    time.sleep(600)
"""


def test_a_second_process_waits_and_says_whom_for(tmp_path: Path) -> None:
    lock = Home(tmp_path).lock("scan")
    with child(HOLD, tmp_path):
        with pytest.raises(ServiceUnavailableError, match=r"scan\.lock") as caught, lock.held(seconds=0.1):
            pytest.fail("two processes hold one lock")
        assert caught.value.transient
        assert caught.value.remedy
        with Home(tmp_path).lock("release").held(seconds=0.1):
            assert True, "another name is another lock"


def test_a_killed_holder_frees_the_lock(tmp_path: Path) -> None:
    lock = Home(tmp_path).lock("scan")
    with child(HOLD, tmp_path) as process:
        process.kill()
        process.wait()
        with lock.held(seconds=60):
            assert process.returncode == -9


def test_a_waiting_process_goes_on_when_the_lock_is_free(tmp_path: Path) -> None:
    """Each of them adds a line; the one that waits finds the line of the one before."""
    notes = tmp_path / "notes.txt"
    code = (
        "import sys; from pathlib import Path; from ragflow.store.home import Home\n"
        "with Home(Path(sys.argv[1])).lock('scan').held(seconds=60):\n"
        "    path = Path(sys.argv[2])\n"
        "    path.write_text(path.read_text() + 'second\\n')\n"
    )
    with Home(tmp_path).lock("scan").held():
        process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path), str(notes)])
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.7)
        notes.write_text("first\n")
    assert process.wait(60) == 0
    assert notes.read_text() == "first\nsecond\n"


def test_threads_of_one_process_wait_for_each_other(tmp_path: Path) -> None:
    lock = Home(tmp_path).lock("scan")
    held, order = threading.Event(), []

    def work() -> None:
        held.wait()
        with Home(tmp_path).lock("scan").held(seconds=60):
            order.append("second")

    thread = threading.Thread(target=work)
    thread.start()
    with lock.held():
        held.set()
        thread.join(0.2)
        order.append("first")
    thread.join()
    assert order == ["first", "second"]


def test_an_error_inside_frees_the_lock(tmp_path: Path) -> None:
    lock = Home(tmp_path).lock("scan")
    with pytest.raises(ZeroDivisionError), lock.held():
        raise ZeroDivisionError
    with lock.held(seconds=0.1):
        assert lock.path.exists()
