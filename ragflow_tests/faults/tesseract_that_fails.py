"""Stands in the place of the program ``tesseract``: passes every call on, but fails on pages of certain shapes.

A page that is much taller than wide names by its shape what is to happen; nothing else that is read looks like that.
"""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

DEEDS = {"crash": 4.0, "kill": 4.5, "hang": 5.0, "eat": 5.5}
"""What happens → height of the page divided by its width."""

WIDTH = 120
"""Of such a page, in points."""


def main() -> None:
    real, folder = os.environ["RAGFLOW_TEST_TESSERACT"], Path(os.environ["RAGFLOW_TEST_FOLDER"])
    deed = deed_for(sys.argv[1:])
    if deed is None:
        os.execv(real, [real, *sys.argv[1:]])
    if deed == "crash":
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        os.kill(os.getpid(), signal.SIGSEGV)
    elif deed == "kill":
        os.kill(os.getppid(), signal.SIGKILL)
        time.sleep(600)
    elif deed == "hang":
        child = subprocess.Popen(["sleep", "600"])
        with (folder / "hung").open("a") as note:
            note.write(f"{os.getpid()}\n{child.pid}\n")
        time.sleep(600)
    elif deed == "eat":
        kept = []
        try:
            while True:
                kept.append(bytearray(16 << 20))
        except MemoryError:
            (folder / "eaten").write_text(str(16 * len(kept)))
            raise


def deed_for(arguments: list[str]) -> str | None:
    """Return what is to happen to the image that the arguments name; None: nothing, or no image is named."""
    for argument in arguments:
        if Path(argument).is_file():
            width, height = size_of(Path(argument))
            return next((deed for deed, ratio in DEEDS.items() if abs(height / width - ratio) < 0.1), None)
    return None


def size_of(image: Path) -> tuple[int, int]:
    from PIL import Image

    with Image.open(image) as opened:
        return opened.size


if __name__ == "__main__":
    main()
