"""Run the search service."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from typing import Annotated

import typer

from ragflow.cli.console import options, out
from ragflow.settings import load_settings


def serve(
    host: Annotated[str | None, typer.Option(help="Address to bind to; anything but loopback asks for keys.")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="TCP port; 0: any free one.")] = None,
) -> None:
    """Serve searches, documents and pages over HTTP, and a search page, until it is stopped."""
    from ragflow.service.serving import serve as run

    settings = load_settings()
    given = settings.service
    chosen = replace(given, host=given.host if host is None else host, port=given.port if port is None else port)
    run(settings.model_copy(update={"service": chosen}), _listening)


def _listening(address: str) -> None:
    """Tell where the service is reached: at once, and on one line, for a program that waits for it."""
    if options.json:
        sys.stdout.write(json.dumps({"address": address}) + "\n")
        sys.stdout.flush()
    else:
        out.print(f"The search page: {address}/   (Ctrl-C stops it)", markup=False)
