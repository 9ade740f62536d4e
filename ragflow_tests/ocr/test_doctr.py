"""docTR's real networks, with weights that read one page right."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ragflow.errors import DependencyMissingError
from ragflow.ocr.doctr import DoctrRecogniser, _load
from ragflow.ocr.doctr_models import (
    MODELS_JSON,
    doctr_fingerprint,
    doctr_folder,
    find_models,
    load_state,
    problem_of,
    read_state,
)
from ragflow.ocr.engine import EngineError

pytest.importorskip("doctr", reason="the optional extra doctr is not installed")

from ragflow_tests.ocr.doctr_weights import Known, make_known, write_models


@pytest.fixture(scope="session")
def known() -> Known:
    return make_known()


@pytest.fixture(scope="session")
def models(known: Known, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("doctr")
    write_models(folder, known)
    return folder


@pytest.fixture
def copied(known: Known, tmp_path: Path) -> Path:
    """A models folder to damage."""
    write_models(tmp_path / "models", known)
    return tmp_path / "models"


def test_words_lines_boxes_and_confidences(known: Known, models: Path) -> None:
    recogniser = DoctrRecogniser(models)
    lines = recogniser.recognise(known.page, 200, ["eng", "fra"])
    assert [[word.text for word in line.words] for line in lines] == [
        [text for text, _ in line] for line in known.lines
    ]
    for line, truth in zip(lines, known.lines, strict=True):
        assert line.block == -1
        for word, (_, (left, top, right, bottom)) in zip(line.words, truth, strict=True):
            assert 0.5 < word.confidence <= 1.0
            assert word.left < left + 20 and word.top < top + 20
            assert word.right > right - 20 and word.bottom > bottom - 20
            assert 0 <= word.left < word.right <= known.page.shape[1] and word.bottom <= known.page.shape[0]
            assert word.right - word.left < 2 * (right - left) and word.bottom - word.top < 200
    assert recogniser.runs == 1
    again = DoctrRecogniser(models)
    assert again.recognise(known.page, 200, ["eng"]) == lines, "the same raster gives the same words"


def test_boxes_are_in_pixels_of_the_raster_that_was_given(known: Known, models: Path) -> None:
    wide = np.full((1000, 1400), 255, np.uint8)
    wide[:, :1000] = known.page
    for page in (wide, np.repeat(np.repeat(known.page, 2, axis=0), 2, axis=1)):
        for line in DoctrRecogniser(models).recognise(page, 200, []):
            for word in line.words:
                assert 0 <= word.left < word.right <= page.shape[1] and 0 <= word.top < word.bottom <= page.shape[0]


def test_rasters_without_room_for_a_word_are_not_looked_at(models: Path) -> None:
    recogniser = DoctrRecogniser(models)
    for shape in ((0, 0), (1, 500), (500, 3)):
        assert recogniser.recognise(np.zeros(shape, np.uint8), 200, []) == []
    assert recogniser.runs == 0
    assert isinstance(recogniser.recognise(np.full((8, 900), 255, np.uint8), 200, []), list)
    read_only = np.full((40, 40), 255, np.uint8)
    read_only.setflags(write=False)
    assert isinstance(recogniser.recognise(read_only, 200, []), list)


def test_what_goes_wrong_on_a_raster_costs_that_raster(models: Path) -> None:
    recogniser = DoctrRecogniser(models)
    with pytest.raises(EngineError, match="docTR failed"):
        recogniser.recognise(np.zeros((50, 50), np.complex64), 200, [])  # type: ignore[arg-type]
    assert isinstance(recogniser.recognise(np.full((50, 50), 255, np.uint8), 200, []), list)


def test_the_number_of_threads_is_put_back(known: Known, models: Path) -> None:
    import torch

    before = torch.get_num_threads()
    DoctrRecogniser(models, threads=before + 1).recognise(known.page, 200, [])
    assert torch.get_num_threads() == before


def test_without_weights_it_says_what_to_do(tmp_path: Path) -> None:
    page = np.full((50, 50), 255, np.uint8)
    for folder in (None, tmp_path):
        with pytest.raises(DependencyMissingError) as raised:
            DoctrRecogniser(folder).recognise(page, 200, [])
        assert "has no weights" in raised.value.message and "ragflow models pull doctr" in raised.value.remedy
        with pytest.raises(DependencyMissingError, match="models pull doctr"):
            doctr_fingerprint(folder)


def test_without_the_extra_it_says_what_to_do(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ragflow.ocr.doctr_models.PACKAGE", "python-doctr-is-not-here")
    for call in (
        lambda: DoctrRecogniser(models).recognise(np.full((50, 50), 255, np.uint8), 200, []),
        lambda: doctr_fingerprint(models),
    ):
        with pytest.raises(DependencyMissingError) as raised:
            call()
        assert "not installed" in raised.value.message and "ragflow-archive[doctr]" in raised.value.remedy


def test_a_changed_file_is_not_loaded(copied: Path) -> None:
    found = find_models(copied)
    path = found.folder / found.recognition.file
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    path.write_bytes(raw)
    assert problem_of(found.folder, found.detection) is None and "hash" in str(
        problem_of(found.folder, found.recognition)
    )
    with pytest.raises(DependencyMissingError, match=r"hash.*--force"):
        DoctrRecogniser(copied).recognise(np.full((50, 50), 255, np.uint8), 200, [])
    path.unlink()
    with pytest.raises(DependencyMissingError, match=r"cannot be used.*--force"):
        load_state(found.folder, found.recognition)


class _Evil:
    def __reduce__(self) -> object:
        return os.mkdir, (os.environ["RAGFLOW_TEST_EVIL"],)


def test_weights_cannot_run_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import io

    import torch

    target = tmp_path / "evil"
    monkeypatch.setenv("RAGFLOW_TEST_EVIL", str(target))
    buffer = io.BytesIO()
    torch.save({"weight": _Evil()}, buffer)
    for raw in (buffer.getvalue(), pickle.dumps(_Evil()), b"", b"PK\x03\x04", b"not weights at all"):
        with pytest.raises(DependencyMissingError, match="cannot be used"):
            read_state("recognition.pt", raw)
        with pytest.raises(DependencyMissingError, match="cannot be used"):
            read_state("recognition.safetensors", raw)
    buffer = io.BytesIO()
    torch.save([torch.zeros(3)], buffer)
    with pytest.raises(DependencyMissingError, match="weights of a network"):
        read_state("recognition.pt", buffer.getvalue())
    assert not target.exists()


def test_safetensors_are_read_as_well(known: Known, tmp_path: Path) -> None:
    import torch
    from safetensors.torch import save

    state = read_state("detection.pt", known.detection)
    same = read_state("detection.safetensors", save({name: tensor.contiguous() for name, tensor in state.items()}))
    assert state.keys() == same.keys() and all(torch.equal(state[name], same[name]) for name in state)


def test_weights_of_another_architecture_are_refused(copied: Path) -> None:
    found = find_models(copied)
    for changed in (
        replace(found, recognition=replace(found.recognition, architecture="crnn_mobilenet_v3_large")),
        replace(found, detection=replace(found.detection, architecture="db_of_the_future")),
        replace(found, vocab=found.vocab + "ß"),
    ):
        (found.folder / MODELS_JSON).write_bytes(changed.to_json())
        with pytest.raises(DependencyMissingError, match=r"architecture|not those of"):
            DoctrRecogniser(copied).recognise(np.full((50, 50), 255, np.uint8), 200, [])
    _load.cache_clear()


@pytest.mark.parametrize(
    ("part", "field", "value"),
    [
        ("detection", "file", "../../etc/passwd"),
        ("detection", "file", ".."),
        ("detection", "size", 1 << 40),
        ("recognition", "sha256", "abc"),
        ("recognition", "architecture", None),
    ],
)
def test_a_bad_models_json_is_refused(copied: Path, part: str, field: str, value: object) -> None:
    path = doctr_folder(copied) / MODELS_JSON
    entries = json.loads(path.read_bytes())
    entries[part][field] = value
    if value is None:
        del entries[part][field]
    path.write_text(json.dumps(entries))
    with pytest.raises(DependencyMissingError, match="--force"):
        find_models(copied)
    path.write_text("{")
    with pytest.raises(DependencyMissingError, match="--force"):
        find_models(copied)


def test_the_fingerprint_follows_weights_and_vocabulary(copied: Path) -> None:
    first = doctr_fingerprint(copied)
    found = find_models(copied)
    assert first["detection"] == {"architecture": found.detection.architecture, "sha256": found.detection.sha256}
    for changed in (
        replace(found, vocab=found.vocab[::-1]),
        replace(found, detection=replace(found.detection, sha256="0" * 64)),
    ):
        (found.folder / MODELS_JSON).write_bytes(changed.to_json())
        assert doctr_fingerprint(copied) != first


def test_the_fingerprint_is_cheap(models: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from ragflow.ocr.doctr_models import doctr_fingerprint;"
        f"doctr_fingerprint(Path({str(models)!r})); import ragflow.ocr.doctr;"
        "sys.exit(any(name in sys.modules for name in ('torch', 'doctr', 'cv2')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
