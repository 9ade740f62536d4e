"""The weights that docTR needs: where they lie, what they are, and whether they are what was fetched.

``<models>/doctr/models.json`` names the architectures, the vocabulary, and for each file its size, its SHA-256 and
where it came from. It is written last, so what it names is there. Nothing here uses the network; see
:mod:`ragflow.ocr.doctr_pull`.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path, PurePath
from typing import Any

from ragflow.errors import DependencyMissingError
from ragflow.model.fingerprints import sha256_text

FORMAT = 1
MODELS_JSON = "models.json"
PACKAGE = "python-doctr"
INSTALL = "pip install 'ragflow-archive[doctr]'"
PULL = "ragflow models pull doctr"
_SHA256 = re.compile(r"[0-9a-f]{64}\Z")
MAX_WEIGHTS_BYTES = 1 << 30
"""docTR's largest weights have some 500 MB."""


@dataclass(frozen=True, slots=True)
class Weights:
    """One network and its weights.

    Attributes:
        architecture: docTR's name for it.
        file: name of the file beside ``models.json``; ``.pt`` or ``.safetensors``.
        source: address or path that it was fetched from.
    """

    architecture: str
    file: str
    sha256: str
    size: int
    source: str


@dataclass(frozen=True, slots=True)
class DoctrModels:
    """What lies in the folder.

    Attributes:
        folder: where ``models.json`` is.
        detection: finds words; ``recognition``: reads them.
        vocab: the characters that the recognition knows, in the order of its outputs.
    """

    folder: Path
    detection: Weights
    recognition: Weights
    vocab: str

    def to_json(self) -> bytes:
        entries = {"detection": asdict(self.detection), "recognition": asdict(self.recognition)}
        text = json.dumps({"format": FORMAT, **entries, "vocab": self.vocab}, indent=2, ensure_ascii=False)
        return f"{text}\n".encode()


def doctr_folder(models: Path) -> Path:
    """Return the folder of docTR's weights in the models folder."""
    return models / "doctr"


def library_version() -> str:
    """Return the version of docTR, without importing it.

    Raises:
        DependencyMissingError: the extra is not installed.
    """
    try:
        return version(PACKAGE)
    except PackageNotFoundError as error:
        raise DependencyMissingError(
            "The engine doctr is asked for, but docTR is not installed.",
            remedy=f"Run: {INSTALL}; or take doctr out of the engines.",
        ) from error


def find_models(models: Path | None) -> DoctrModels:
    """Return what lies in the models folder; the weights are not read yet.

    Raises:
        DependencyMissingError: there are no weights, or ``models.json`` cannot be used.
    """
    if models is None:
        raise DependencyMissingError(
            "The engine doctr has no weights: no models folder is named.",
            remedy=f"Name one (reading.models) and run: {PULL}; or take doctr out of the engines.",
        )
    folder = doctr_folder(models)
    try:
        raw = (folder / MODELS_JSON).read_bytes()
    except OSError as error:
        raise DependencyMissingError(
            f"The engine doctr has no weights: {folder / MODELS_JSON} cannot be read ({error.strerror}).",
            remedy=f"Run: {PULL}; or take doctr out of the engines.",
        ) from error
    return parse_models(folder, raw)


def parse_models(folder: Path, raw: bytes) -> DoctrModels:
    """Return what a ``models.json`` says.

    Raises:
        DependencyMissingError: it is damaged, or names a file elsewhere.
    """
    try:
        entries = json.loads(raw)
        if entries["format"] != FORMAT:
            raise ValueError(f"format {entries['format']}")
        found = DoctrModels(
            folder, _weights(entries["detection"]), _weights(entries["recognition"]), str(entries["vocab"])
        )
        if len(set(found.vocab)) != len(found.vocab) or not found.vocab:
            raise ValueError("the vocabulary repeats itself or is empty")
    except (ValueError, KeyError, TypeError) as error:
        raise DependencyMissingError(
            f"{folder / MODELS_JSON} cannot be used ({type(error).__name__}: {error}).", remedy=f"Run: {PULL} --force"
        ) from error
    return found


def _weights(entry: Mapping[str, Any]) -> Weights:
    weights = Weights(
        str(entry["architecture"]), str(entry["file"]), str(entry["sha256"]), int(entry["size"]), str(entry["source"])
    )
    if PurePath(weights.file).name != weights.file or weights.file in ("", ".", ".."):
        raise ValueError(f"{weights.file!r} is not a plain file name")
    if not _SHA256.match(weights.sha256):
        raise ValueError(f"{weights.sha256!r} is not a SHA-256")
    if not 0 < weights.size <= MAX_WEIGHTS_BYTES:
        raise ValueError(f"{weights.file} is said to have {weights.size} bytes")
    return weights


def problem_of(folder: Path, weights: Weights) -> str | None:
    """Return why the file is not what was fetched, or None if it is."""
    try:
        with (folder / weights.file).open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        return f"{weights.file} cannot be read ({error.strerror})"
    return None if digest == weights.sha256 else f"{weights.file} does not have the hash that was recorded"


def load_state(folder: Path, weights: Weights) -> dict[str, Any]:
    """Return the tensors of a file. The very bytes that are loaded are hashed first.

    Raises:
        DependencyMissingError: the file is missing, has another hash, or holds anything but tensors.
    """
    path = folder / weights.file
    try:
        if path.stat().st_size != weights.size:
            raise _damaged(path, f"it has {path.stat().st_size} bytes, not {weights.size}")
        raw = path.read_bytes()
    except OSError as error:
        raise _damaged(path, error.strerror or str(error)) from error
    if hashlib.sha256(raw).hexdigest() != weights.sha256:
        raise _damaged(path, "it does not have the hash that was recorded")
    return read_state(path.name, raw)


def read_state(name: str, raw: bytes) -> dict[str, Any]:
    """Return the tensors in the bytes of a ``.pt`` or ``.safetensors`` file.

    Raises:
        DependencyMissingError: it holds anything but tensors.
    """
    import torch

    try:
        if name.endswith(".safetensors"):
            from safetensors.torch import load

            state: Any = load(raw)
        else:
            # weights_only: a pickle may run any code, this reader builds tensors and plain containers only.
            state = torch.load(io.BytesIO(raw), map_location="cpu", weights_only=True)
    except MemoryError:
        raise
    except Exception as error:
        # A file that is no weights can make the reader fail in any way.
        raise _damaged(Path(name), f"{type(error).__name__} {str(error)[:200]}".strip()) from error
    if not isinstance(state, dict) or not all(isinstance(tensor, torch.Tensor) for tensor in state.values()):
        raise _damaged(Path(name), "it does not hold the weights of a network")
    return state


def _damaged(path: Path, why: str) -> DependencyMissingError:
    return DependencyMissingError(f"The weights {path} cannot be used: {why}.", remedy=f"Run: {PULL} --force")


def doctr_fingerprint(models: Path | None) -> dict[str, Any]:
    """Return what decides docTR's readings: library version, architectures, hashes of weights and vocabulary.

    Cheap: neither docTR nor torch is imported. The hashes are those recorded; loading holds the files against them.

    Raises:
        DependencyMissingError: the extra is not installed, or there are no weights.
    """
    library = library_version()
    found = find_models(models)
    return {
        "library": library,
        "detection": {"architecture": found.detection.architecture, "sha256": found.detection.sha256},
        "recognition": {
            "architecture": found.recognition.architecture,
            "sha256": found.recognition.sha256,
            "vocab": sha256_text(found.vocab),
        },
    }
