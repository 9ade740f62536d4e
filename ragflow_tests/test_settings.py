"""Settings of the reading: limits that can be set, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from ragflow.errors import UsageError
from ragflow.settings import load_settings


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RAGFLOW_HOME", str(tmp_path))
    return tmp_path


def test_limits_are_set_by_the_environment(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = {
        "MAX_PAGES": 7,
        "MAX_PAGE_PIXELS": 1000,
        "PAGE_SECONDS": 1.5,
        "INSPECTION_SECONDS": 2.5,
        "WORKER_MEMORY_MB": 300,
    }
    for name, value in given.items():
        monkeypatch.setenv(f"RAGFLOW_READING__{name}", str(value))
    reading = load_settings().workspace().reading
    assert {name: getattr(reading, name.lower()) for name in given} == given


def test_limits_are_set_by_the_file_and_the_environment_wins(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "ragflow.toml").write_text('[reading]\nmax_pages = 7\npage_seconds = 3\nengines = ["text_layer"]\n')
    monkeypatch.setenv("RAGFLOW_READING__PAGE_SECONDS", "4")
    reading = load_settings().reading
    assert (reading.max_pages, reading.page_seconds, reading.engines) == (7, 4.0, ("text_layer",))


@pytest.mark.parametrize("given", ["text_layer,tesseract", "text_layer, tesseract", '["text_layer", "tesseract"]'])
def test_lists_are_set_by_the_environment(home: Path, monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    monkeypatch.setenv("RAGFLOW_READING__ENGINES", given)
    monkeypatch.setenv("RAGFLOW_READING__LANGUAGES", "fra")
    reading = load_settings().reading
    assert (reading.engines, reading.languages) == (("text_layer", "tesseract"), ("fra",))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MAX_PAGES", "0"),
        ("MAX_PAGES", "many"),
        ("MAX_PAGE_PIXELS", "-1"),
        ("PAGE_SECONDS", "0"),
        ("PAGE_SECONDS", "nan"),
        ("INSPECTION_SECONDS", "inf"),
        ("INSPECTION_SECONDS", "-3"),
        ("WORKER_MEMORY_MB", "64"),
        ("MAX_PAGESS", "7"),
    ],
)
def test_what_cannot_be_a_limit_is_refused_by_name(
    home: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(f"RAGFLOW_READING__{name}", value)
    with pytest.raises(UsageError) as caught:
        load_settings()
    named = {"WORKER_MEMORY_MB": "worker"}.get(name, name.lower())
    assert named in str(caught.value) and caught.value.remedy


def test_a_relative_passwords_file_lies_in_the_home_folder(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAGFLOW_READING__PASSWORDS_FILE", "secrets/passwords.txt")
    assert load_settings().workspace().reading.passwords_file == home / "secrets" / "passwords.txt"
    monkeypatch.setenv("RAGFLOW_READING__PASSWORDS_FILE", "/etc/passwords.txt")
    assert load_settings().workspace().reading.passwords_file == Path("/etc/passwords.txt")
