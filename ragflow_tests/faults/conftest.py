"""One archive, prepared once, and each fault tried once, whichever test asks for it first."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ragflow_tests.faults.runner import Runner
from ragflow_tests.faults.trial import Trial


@pytest.fixture(scope="session")
def runner(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    """Runs the trials of all tests that were chosen, ahead of them."""
    calls = [item.callspec.params for item in request.session.items if hasattr(item, "callspec")]
    with Runner(tmp_path_factory.mktemp("faults")) as running:
        running.start([call["trial"] for call in calls if isinstance(call.get("trial"), Trial)])
        yield running
