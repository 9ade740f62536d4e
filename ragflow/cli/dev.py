"""Start Dagster's UI and daemon on the archive."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import Annotated

import typer

from ragflow.errors import DependencyMissingError
from ragflow.settings import PROJECT_ROOT, dagster_environment, load_settings


def dev(
    port: Annotated[int, typer.Option(help="Port of the UI.")] = 3000,
    host: Annotated[str, typer.Option(help="Address; the UI has no login, so stay on this machine.")] = "127.0.0.1",
) -> None:
    """Start Dagster's webserver and daemon."""
    settings = load_settings()
    os.environ.update(dagster_environment(settings))
    program = shutil.which("dagster", path=str(Path(sys.executable).parent)) or shutil.which("dagster")
    if program is None:
        raise DependencyMissingError("The program `dagster` is not there.", remedy="Run `make setup`.")
    workspace = PROJECT_ROOT / "workspace.yaml"
    code = ["-w", str(workspace)] if workspace.is_file() else ["-m", "ragflow.definitions"]
    os.execv(program, [program, "dev", *code, "--host", host, "--port", str(port)])
