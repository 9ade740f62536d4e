"""How a process that searches starts, leaving the cores to others where nobody waits for it.

Arguments: the file descriptor of its end of a pair of sockets; how patient it is until a version is to be opened.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from collections.abc import Callable
from contextlib import suppress


def main() -> None:
    """Be such a process, until the other end of the socket is closed."""
    # Who stops the service stops it alone: requests under way still need this process.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    descriptor, niceness = map(int, sys.argv[1:])
    patiently(_import, niceness)
    from ragflow.service.search_worker import serve_searches

    # If the service dies while it is answered, there is nobody left to be told.
    with socket.socket(fileno=descriptor) as connection, suppress(ConnectionError):
        serve_searches(connection)


def patiently(work: Callable[[], None], niceness: int) -> None:
    """Do something with a niceness that ends with it: a thread of its own has it, for none is ever given back."""
    failed: list[BaseException] = []

    def nicely() -> None:
        try:
            # Never less nice than this process is: that would not be allowed.
            least = max(niceness, os.getpriority(os.PRIO_PROCESS, 0))
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), least)
            work()
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=nicely)
    thread.start()
    thread.join()
    if failed:
        raise failed[0]


def _import() -> None:
    import ragflow.service.search_worker  # noqa: F401
