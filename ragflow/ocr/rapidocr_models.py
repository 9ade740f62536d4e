"""The models that RapidOCR's wheel carries: where they lie, their hashes, and sessions made from them.

RapidOCR's own pipeline is not used: its recognition model spends about a third of its time on 18,000 characters that
no document in English or French has, and its pipeline throws away what fusion needs (the place and the probability of
each character). The models are the same files, loaded here with the last layer cut down to the characters wanted.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ragflow.errors import DependencyMissingError

DETECTION_MODEL = "PP-OCRv6_det_small.onnx"
RECOGNITION_MODEL = "PP-OCRv6_rec_small.onnx"

BLANK = ""
"""The class of the recognition model that stands for no character; the first."""

_BEYOND_LATIN_1 = "ŒœŸŠšŽž\u2013\u2014\u2018\u2019\u201c\u201d\u201e†•…€™"


def models_folder() -> Path:
    """Return the folder of the models in the installed wheel. The library itself is not imported.

    Raises:
        DependencyMissingError: the wheel, or a model in it, is missing.
    """
    spec = find_spec("rapidocr")
    if spec is None or spec.origin is None:
        raise DependencyMissingError(
            "The OCR library rapidocr is not installed.",
            remedy="Run: pip install rapidocr onnxruntime, or take rapidocr out of reading.engines.",
        )
    folder = Path(spec.origin).parent / "models"
    missing = [name for name in (DETECTION_MODEL, RECOGNITION_MODEL) if not (folder / name).is_file()]
    if missing:
        raise DependencyMissingError(
            f"The installed rapidocr carries no model {missing[0]}.",
            remedy="Install the version that constraints.txt names.",
        )
    return folder


@lru_cache(maxsize=1)
def rapidocr_fingerprint() -> dict[str, str]:
    """Return the SHA-256 of both models and the version of the runtime that executes them."""
    folder = models_folder()
    hashes = {}
    for name in (DETECTION_MODEL, RECOGNITION_MODEL):
        with (folder / name).open("rb") as stream:
            hashes[name] = hashlib.file_digest(stream, "sha256").hexdigest()
    try:
        runtime = version("onnxruntime")
    except PackageNotFoundError as error:
        raise DependencyMissingError(
            "onnxruntime, which executes RapidOCR's models, is not installed.", remedy="Run: pip install onnxruntime"
        ) from error
    return {**hashes, "onnxruntime": runtime}


def is_wanted(character: str) -> bool:
    """Whether a character of the model's alphabet can stand in a Western European document."""
    if len(character) != 1:
        return False
    code = ord(character)
    return 0x20 <= code < 0x7F or 0xA0 <= code < 0x100 or character in _BEYOND_LATIN_1


@lru_cache(maxsize=2)
def detection_session(threads: int) -> Any:
    """Return the process's session for finding lines.

    It maps pixels ``(1, 3, rows, columns)`` to the probability of text ``(1, 1, rows, columns)``.
    Rows and columns are multiples of 32.
    """
    return _session(models_folder() / DETECTION_MODEL, threads)


@lru_cache(maxsize=2)
def recognition_session(threads: int) -> tuple[Any, tuple[str, ...]]:
    """Return the process's session that reads lines of 48 pixels, and its alphabet.

    It maps ``(lines, 3, 48, columns)`` to probabilities ``(lines, steps, len(alphabet))``; the first class is
    :data:`BLANK`.
    """
    import onnx
    from onnx import numpy_helper

    model = onnx.load(str(models_folder() / RECOGNITION_MODEL))
    alphabet = [BLANK, *_alphabet(model), " "]
    last = [node for node in model.graph.node if node.op_type in ("MatMul", "Add")][-2:]
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    kept = _kept(alphabet)
    for node in last:
        (name,) = [name for name in node.input if name in weights]
        full = numpy_helper.to_array(weights[name])
        if full.shape[-1] != len(alphabet):
            raise DependencyMissingError(
                f"{RECOGNITION_MODEL} is not built as expected: {full.shape[-1]} classes, {len(alphabet)} characters.",
                remedy="Install the version of rapidocr that constraints.txt names.",
            )
        weights[name].CopyFrom(numpy_helper.from_array(full[..., kept].copy(), name))
    model.graph.output[0].type.tensor_type.shape.dim[2].dim_value = len(kept)
    return _session(model.SerializeToString(), threads), tuple(alphabet[index] for index in kept)


def _alphabet(model: Any) -> list[str]:
    (characters,) = [entry.value for entry in model.metadata_props if entry.key == "character"]
    return str(characters).split("\n")


def _kept(alphabet: Sequence[str]) -> list[int]:
    """Return the classes to keep: the blank, and the first class of each wanted character."""
    first: dict[str, int] = {}
    for index, character in enumerate(alphabet):
        if index and is_wanted(character):
            first.setdefault(character, index)
    return [0, *sorted(first.values())]


def _session(model: Path | bytes, threads: int) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.enable_cpu_mem_arena = False  # an arena grows to the largest page ever read and never shrinks
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    source = model if isinstance(model, bytes) else str(model)
    return onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
