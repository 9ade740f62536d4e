"""What a model folder says about its vectors and prompts, without loading the model."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from ragflow.embedding.model_folder import read_json, read_modules
from ragflow.errors import BadInputError

Role = Literal["document", "query"]
"""Some models want another prompt before a query than before a document."""

_PROMPT_NAMES: dict[Role, tuple[str, ...]] = {"document": ("document", "passage", "corpus"), "query": ("query",)}
_HIDDEN_SIZE = ("hidden_size", "d_model", "dim", "n_embd")
_POOLING_MODES = (
    "pooling_mode_cls_token",
    "pooling_mode_max_tokens",
    "pooling_mode_mean_tokens",
    "pooling_mode_mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens",
    "pooling_mode_lasttoken",
)
_KEEPS_SIZE = frozenset({"Normalize", "Dropout", "LayerNorm"})


def prompt_of(folder: Path, role: Role) -> str:
    """Return what the model wants before a document or a query; nothing for most models.

    Raises:
        BadInputError: the model's list of prompts is damaged.
    """
    path = folder / "config_sentence_transformers.json"
    prompts = read_json(path).get("prompts") or {}
    if not isinstance(prompts, dict):
        raise BadInputError(f"{path} of the embedding model holds no object under prompts.")
    return next((str(prompts[name]) for name in _PROMPT_NAMES[role] if prompts.get(name)), "")


def dimension_of(folder: Path) -> int | None:
    """Return the length of the model's vectors as its configuration files tell it.

    Returns:
        None if there is a module whose effect on the length is not known here: then the model has to be loaded.
    """
    modules = read_modules(folder) or [("Transformer", ""), ("Pooling", "")]
    size: int | None = None
    for kind, subfolder in modules:
        config = read_json(folder / subfolder / "config.json")
        if kind == "Transformer":
            size = next((int(config[name]) for name in _HIDDEN_SIZE if isinstance(config.get(name), int)), None)
        elif kind == "Pooling":
            size = _pooled_size(config, size)
        elif kind == "Dense":
            if config.get("module_input_name", "sentence_embedding") != "sentence_embedding":
                return None
            size = config.get("out_features")
        elif kind not in _KEEPS_SIZE:
            return None
    return size if isinstance(size, int) and size > 0 else None


def _pooled_size(config: dict[str, object], size: int | None) -> int | None:
    """Return what pooling makes of vectors of ``size``: several ways of pooling are put side by side."""
    each = config.get("word_embedding_dimension", config.get("embedding_dimension", size))
    if not isinstance(each, int):
        return None
    mode = config.get("pooling_mode")
    if mode is not None:
        return each * (len(mode) if isinstance(mode, list) else 1)
    return each * max(1, sum(bool(config.get(name)) for name in _POOLING_MODES))
