"""The reference of the command line is what the code says."""

from __future__ import annotations

from pathlib import Path

from ragflow.cli.reference import EXIT_CODES, reference
from ragflow.errors import RagflowError

DOCUMENT = Path(__file__).parents[2] / "docs" / "cli.md"


def test_document_is_current() -> None:
    assert DOCUMENT.read_text() == reference(), "run: .venv/bin/python -m ragflow.cli.reference > docs/cli.md"


def test_every_exit_code_is_explained() -> None:
    kinds = [RagflowError]
    for kind in kinds:
        kinds += kind.__subclasses__()
    assert {kind.exit_code for kind in kinds} <= set(EXIT_CODES)
