"""Settings: the only reader of ``RAGFLOW_*`` variables and of ``ragflow.toml``.

Order, the first that says something wins: environment (``RAGFLOW_GATE__COVERAGE=0.9``), ``ragflow.toml`` in the home
folder (``[gate]`` ``coverage = 0.9``), the defaults of the option classes.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
)

from ragflow.errors import UsageError
from ragflow.model.backups import Retention
from ragflow.model.service import ServiceOptions
from ragflow.ocr.options import ReadingOptions
from ragflow.pipeline.workspace import (
    BatchOptions,
    EmbeddingOptions,
    GateOptions,
    SearchOptions,
    VectorOptions,
    Workspace,
)
from ragflow.store.home import Home

CONFIG_FILE = "ragflow.toml"
PROJECT_ROOT = Path(__file__).resolve().parent.parent


class SensorOptions(BaseSettings):
    """How often the sensors look, in seconds, and how much one tick hashes, in bytes."""

    inbox_seconds: int = 30
    release_seconds: int = 30
    max_hashed_bytes: int = 1 << 30


class BackupSettings(BaseSettings):
    """Where backups go, and how many are kept.

    Attributes:
        target: a folder, or the URL of a bucket; empty: nowhere, and the nightly backup is left out.
        keep, keep_days: a backup is removed when there are so many newer good ones, and when it is older than that;
            None: not for that reason.
        schedule: cron line, UTC.
    """

    target: str = ""
    keep: int | None = 14
    keep_days: int | None = 30
    schedule: str = "0 4 * * *"

    def retention(self) -> Retention:
        return Retention(count=self.keep, days=self.keep_days)


class Settings(BaseSettings):
    """All settings of one archive.

    Attributes:
        home: where everything is kept; relative paths are taken from the working folder.
        target_tokens: soft length of a chunk, in tokens of the embedding model.
        index_from_points: below this number of points dense search is exact; above, an HNSW graph is built.
        verify_schedule: cron line of the nightly verification, UTC.
        prune_schedule: cron line of the weekly clearing up, UTC.
    """

    model_config = SettingsConfigDict(env_prefix="RAGFLOW_", env_nested_delimiter="__", extra="forbid", frozen=True)

    home: Path
    batching: BatchOptions = Field(default_factory=BatchOptions)
    reading: ReadingOptions = Field(default_factory=ReadingOptions)
    embedding: EmbeddingOptions = Field(default_factory=EmbeddingOptions)
    gate: GateOptions = Field(default_factory=GateOptions)
    vectors: VectorOptions = Field(default_factory=VectorOptions)
    search: SearchOptions = Field(default_factory=SearchOptions)
    service: ServiceOptions = Field(default_factory=ServiceOptions)
    sensors: SensorOptions = Field(default_factory=SensorOptions)
    target_tokens: int = 200
    index_from_points: int = 50_000
    backup: BackupSettings = Field(default_factory=BackupSettings)
    verify_schedule: str = "0 3 * * *"
    prune_schedule: str = "0 5 * * 0"

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, home_folder() / CONFIG_FILE)

    @field_validator("vectors", mode="before")
    @classmethod
    def _key_from_the_environment(cls, value: Any) -> Any:
        """Take the server's key from QDRANT_API_KEY or RAGFLOW_VECTORS__API_KEY; a key in a file is refused."""
        if not isinstance(value, Mapping):
            return value
        given = os.environ.get("RAGFLOW_VECTORS__API_KEY") or os.environ.get("QDRANT_API_KEY")
        if value.get("api_key") not in (None, given):
            raise ValueError("api_key stands in a file; set QDRANT_API_KEY in the environment instead")
        return {**value, "api_key": given}

    @field_validator("gate", mode="before")
    @classmethod
    def _names_of_verdicts(cls, value: Any) -> Any:
        """Take ``RAGFLOW_GATE__OFF=latency,known_items`` for a list, as ragflow.toml has it."""
        if not isinstance(value, Mapping) or not isinstance(value.get("off"), str):
            return value
        return {**value, "off": _words(value["off"])}

    @field_validator("reading", mode="before")
    @classmethod
    def _lists_of_names(cls, value: Any) -> Any:
        """Take ``RAGFLOW_READING__ENGINES=text_layer,tesseract`` for a list, as ragflow.toml has it."""
        if not isinstance(value, Mapping):
            return value
        lists = {name: value[name] for name in ("engines", "languages") if isinstance(value.get(name), str)}
        return {**value, **{name: _words(given) for name, given in lists.items()}}

    def workspace(self) -> Workspace:
        """Return the workspace that these settings describe."""
        return Workspace(
            home=Home(self.home),
            batching=self.batching,
            reading=self._reading(),
            target_tokens=self.target_tokens,
            embedding=self.embedding,
            index_from_points=self.index_from_points,
            gate=self.gate,
            vectors=self.vectors,
            search=self.search,
        )

    def _reading(self) -> ReadingOptions:
        """Return the reading options; a relative path among them is taken from the home folder, where ragflow.toml
        stands: every process then finds the same file."""
        file = self.reading.passwords_file
        return replace(
            self.reading,
            passwords_file=None if file is None else self.home / file.expanduser(),
            models=self.home / (self.reading.models or Path("models")).expanduser(),
        )


def _words(given: str) -> tuple[str, ...]:
    return tuple(word for part in given.split(",") if (word := part.strip(" []\"'")))


def home_folder() -> Path:
    """Return RAGFLOW_HOME, or ``data`` in the project (in the working folder if there is no checkout)."""
    named = os.environ.get("RAGFLOW_HOME")
    if named:
        return Path(named).expanduser().absolute()
    base = PROJECT_ROOT if (PROJECT_ROOT / "pyproject.toml").is_file() else Path.cwd()
    return base / "data"


def load_settings() -> Settings:
    """Read the settings.

    Raises:
        UsageError: a variable or an entry of the file is unknown or has a wrong value; all are named.
    """
    try:
        return Settings(home=home_folder())
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise UsageError(
            f"The settings cannot be used: {problems}.",
            remedy=f"Correct {home_folder() / CONFIG_FILE} or the RAGFLOW_* variables.",
        ) from error
    except (SettingsError, ValueError) as error:
        raise UsageError(
            f"The settings cannot be read: {error}.", remedy=f"Correct {home_folder() / CONFIG_FILE}."
        ) from error


def dagster_environment(settings: Settings) -> dict[str, str]:
    """Return the variables that Dagster's processes need, and make its folder ready.

    The project's ``dagster.yaml`` is copied to DAGSTER_HOME, which lies under the home folder, so that the command
    line, the webserver and the daemon share one instance.
    """
    folder = settings.home / "dagster"
    folder.mkdir(parents=True, exist_ok=True)
    wanted = PROJECT_ROOT / "dagster.yaml"
    text = wanted.read_text() if wanted.is_file() else "telemetry:\n  enabled: false\n"
    target = folder / "dagster.yaml"
    if not target.is_file() or target.read_text() != text:
        target.write_text(text)
    return {"DAGSTER_HOME": str(folder), "RAGFLOW_HOME": str(settings.home), "DAGSTER_DISABLE_TELEMETRY": "1"}
