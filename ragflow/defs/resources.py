"""The workspace as a Dagster resource."""

import dagster as dg

from ragflow.pipeline.workspace import Workspace
from ragflow.settings import Settings, load_settings


class ArchiveResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """One archive: its settings are read when a run starts, not when the code is loaded."""

    def settings(self) -> Settings:
        return load_settings()

    def workspace(self) -> Workspace:
        return self.settings().workspace()
