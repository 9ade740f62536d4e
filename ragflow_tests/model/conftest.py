from __future__ import annotations

from hypothesis import settings

# A busy machine must not fail a test: nothing here is about time.
settings.register_profile("ragflow", deadline=None)
settings.load_profile("ragflow")
