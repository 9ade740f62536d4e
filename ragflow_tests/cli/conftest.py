"""The launcher and the ingested archive are shared with the end-to-end tests: one of each in a session."""

from ragflow_tests.e2e.conftest import archive, copied, launcher

__all__ = ["archive", "copied", "launcher"]
