"""Dense vectors from any sentence-transformers model.

The transformer runs here batch by batch over texts sorted by length, so that little padding is computed, in bfloat16
where the CPU multiplies it; pooling and what follows run in float32. Models that do not begin with a plain text
transformer go through ``SentenceTransformer.encode``. In a process that embeds queries again and again, they go through
:mod:`ragflow.embedding.short_texts`.
"""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ragflow.embedding.model_folder import DEFAULT_MODEL, model_fingerprint, resolve_model
from ragflow.embedding.model_shape import Role, dimension_of, prompt_of
from ragflow.embedding.precision import Precision, UsedPrecision, cpu_multiplies_bfloat16
from ragflow.embedding.short_texts import MOST_TOKENS, ShortTexts, record_short_texts
from ragflow.embedding.tokenizer import ModelTokenizer
from ragflow.errors import BadInputError, UsageError
from ragflow.model.points import Float32Array

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

BATCH_TOKENS = 4096
"""Tokens of a batch, padding included; measured on a CPU, smaller batches were slower and larger ones no faster."""
RECORD_AFTER = 8
"""Small batches of queries after which the transformer is recorded for them; recording takes as long as dozens."""

_PRECISIONS = ("auto", "float32", "bfloat16")


class DenseEmbedder:
    """Turns texts into vectors of unit length.

    Nothing is loaded before it is needed: name, fingerprint, dimension and length come from the model's files. May be
    shared by threads; the model is loaded once.

    Args:
        model: as for :func:`ragflow.embedding.model_folder.resolve_model`.
        precision: ``auto`` takes bfloat16 where the device multiplies it faster, else float32.
        device: torch's name of a device; None takes CUDA if torch has it, else the CPU.
        threads: for torch on the CPU, in the whole process; 0 leaves torch's own choice.
        batch_tokens: tokens of a batch, padding included.

    Attributes:
        name: the model as given.
        computed: how many vectors :meth:`encode` has computed so far.

    Raises:
        UsageError: unknown precision, negative threads, a batch without tokens.
    """

    def __init__(
        self,
        model: str = DEFAULT_MODEL,
        precision: Precision = "auto",
        *,
        device: str | None = None,
        threads: int = 0,
        batch_tokens: int = BATCH_TOKENS,
    ) -> None:
        if precision not in _PRECISIONS:
            raise UsageError(f"Unknown precision {precision!r}.", remedy=f"Choose one of {', '.join(_PRECISIONS)}.")
        if threads < 0 or batch_tokens < 1:
            raise UsageError(
                f"threads={threads} and batch_tokens={batch_tokens} cannot be used.",
                remedy="Set threads to 0 or more and batch_tokens to 1 or more.",
            )
        self.name = model
        self.computed = 0
        self._asked_precision: Precision = precision
        self._asked_device = device
        self._threads = threads
        self._batch_tokens = batch_tokens
        self._lock = threading.RLock()
        self._folder: Path | None = None
        self._tokenizer: ModelTokenizer | None = None
        self._dimension: int | None = None
        self._device: str | None = device
        self._model: SentenceTransformer | None = None
        self._exact: DenseEmbedder | None = None
        self._small_batches = 0
        self._short: ShortTexts | None = None

    @property
    def folder(self) -> Path:
        """The folder of the model; fetched on first use if it is one of the model hub."""
        with self._lock:
            if self._folder is None:
                self._folder = resolve_model(self.name)
            return self._folder

    @property
    def tokenizer(self) -> ModelTokenizer:
        """Counts the tokens of documents as this model does."""
        with self._lock:
            if self._tokenizer is None:
                self._tokenizer = ModelTokenizer(self.folder, prompt=prompt_of(self.folder, "document"))
            return self._tokenizer

    @property
    def max_tokens(self) -> int:
        """How many tokens the model reads, special tokens included."""
        return self.tokenizer.max_tokens

    @property
    def fingerprint(self) -> str:
        """Hash of everything in the model's folder that decides the vectors.

        The precision is not part of it: vectors of both precisions agree to a cosine of 0.999 and more, which
        :meth:`cosine_to_float32` measures, so a machine without bfloat16 may go on with the same collection.
        """
        return model_fingerprint(self.folder)

    @property
    def dimension(self) -> int:
        """Length of the vectors."""
        with self._lock:
            if self._dimension is None:
                self._dimension = dimension_of(self.folder)
            if self._dimension is None:
                self._dimension = self._load().get_embedding_dimension()
            if self._dimension is None:
                self._dimension = int(self._vectors(self._load(), ["."], "document", None).shape[1])
            return self._dimension

    @property
    def device(self) -> str:
        """Torch's name of the device in use."""
        if self._device is None:
            import torch

            self._device = "cuda" if torch.cuda.is_available() else "cpu"
        return self._device

    @property
    def precision(self) -> UsedPrecision:
        """The number format of the transformer's computations."""
        if self._asked_precision != "auto":
            return self._asked_precision
        if self.device.startswith("cuda"):
            import torch

            return "bfloat16" if torch.cuda.is_bf16_supported() else "float32"
        return "bfloat16" if self.device == "cpu" and cpu_multiplies_bfloat16() else "float32"

    def encode(
        self,
        texts: Sequence[str],
        on_progress: Callable[[int], None] | None = None,
        *,
        role: Role = "document",
    ) -> Float32Array:
        """Return one vector per text, in order: shape (n, dimension), finite, of unit length.

        Args:
            on_progress: called after each batch with the number of texts done in it.
            role: which of the model's prompts goes before the texts, if it has any.

        Raises:
            BadInputError: a text is longer than the model reads (nothing is cut off silently), or the model returns
                something that is not a direction.
        """
        if not texts:
            return np.zeros((0, self.dimension), dtype=np.float32)
        vectors = _unit_length(self._vectors(self._load(), texts, role, on_progress), self.name)
        if vectors.shape[1] != self.dimension:
            raise BadInputError(
                f"The embedding model {self.name} returns vectors of {vectors.shape[1]} numbers, but its files say "
                f"{self.dimension}.",
                remedy="Save the model again with sentence-transformers.",
            )
        with self._lock:
            self.computed += len(texts)
        return vectors

    def cosine_to_float32(self, texts: Sequence[str]) -> float:
        """Return the smallest cosine between a text's vector in the used precision and in float32.

        1.0 if the precision is float32 or there are no texts. Loads the model a second time, once.
        """
        if self.precision == "float32" or not texts:
            return 1.0
        used = _unit_length(self._vectors(self._load(), texts, "document", None), self.name)
        with self._lock:
            if self._exact is None:
                self._exact = DenseEmbedder(
                    str(self.folder), "float32", device=self.device, batch_tokens=self._batch_tokens
                )
        cosines = np.einsum("ij,ij->i", used.astype(np.float64), self._exact.encode(texts).astype(np.float64))
        return float(min(1.0, cosines.min()))

    def _load(self) -> SentenceTransformer:
        with self._lock:
            if self._model is None:
                self._model = _load_model(self.folder, self.device, self.precision, self._threads)
            return self._model

    def _vectors(
        self, model: SentenceTransformer, texts: Sequence[str], role: Role, on_progress: Callable[[int], None] | None
    ) -> Float32Array:
        """Return vectors of any length, shape (n, dimension), in the order of ``texts``."""
        import torch

        prompt = prompt_of(self.folder, role)
        lengths, ids = self._tokenise(model, texts, prompt)
        rows: list[Any] = [None] * len(texts)
        with torch.inference_mode():
            short = self._for_short_texts(model) if role == "query" and ids and sum(lengths) <= MOST_TOKENS else None
            if short is not None and ids is not None:
                output = _after_transformer(model, *short(ids))
                if on_progress is not None:
                    on_progress(len(texts))
                return np.ascontiguousarray(output.float().numpy(), dtype=np.float32)
            for batch in batches_by_length(lengths, self._batch_tokens):
                if ids is None:
                    output = model.encode(
                        [texts[index] for index in batch],
                        prompt=prompt,
                        batch_size=len(batch),
                        show_progress_bar=False,
                        convert_to_tensor=True,
                    )
                else:
                    output = _forward(model, [ids[index] for index in batch])
                for index, row in zip(batch, output.float().cpu().numpy(), strict=True):
                    rows[index] = row
                if on_progress is not None:
                    on_progress(len(batch))
        _give_memory_back()
        return np.stack(rows).astype(np.float32, copy=False)

    def _for_short_texts(self, model: SentenceTransformer) -> ShortTexts | None:
        """Return the recorded transformer; None on other devices, for models that have none, and for the first few."""
        with self._lock:
            if self.device == "cpu" and self._small_batches <= RECORD_AFTER:
                self._small_batches += 1
                if self._small_batches > RECORD_AFTER:
                    self._short = record_short_texts(getattr(model[0], "auto_model", None))
            return self._short

    def _tokenise(
        self, model: SentenceTransformer, texts: Sequence[str], prompt: str
    ) -> tuple[list[int], list[list[int]] | None]:
        """Return the length of each text in tokens, and the tokens if the fast path can take them."""
        full = [prompt + text for text in texts]
        if _has_plain_transformer(model, prompt):
            encodings = model.tokenizer(full, padding=False, truncation=False, verbose=False)
            ids: list[list[int]] | None = list(encodings["input_ids"])
            lengths = [len(tokens) for tokens in encodings["input_ids"]]
        else:
            ids = None
            lengths = ModelTokenizer(self.folder).count(full)
        limit = min(self.max_tokens, model.max_seq_length or self.max_tokens)
        for index, length in enumerate(lengths):
            if length > limit:
                raise BadInputError(
                    f"Text number {index} has {length} tokens, but the embedding model {self.name} reads {limit}.",
                    remedy="Cut the text into shorter chunks (max_tokens).",
                )
        return lengths, ids


def _give_memory_back() -> None:
    """Return freed memory to the system.

    Batches of ever other shapes leave the C library's heap in pieces: without this a process that embeds batch after
    batch grows by some 40 MiB a time.
    """
    try:
        ctypes.CDLL("libc.so.6").malloc_trim(0)
    except (OSError, AttributeError):
        # Another C library (musl, macOS): nothing to do, and nothing is lost but some memory.
        return


def batches_by_length(lengths: Sequence[int], batch_tokens: int) -> Iterator[list[int]]:
    """Yield batches of indices, longest texts first, each of at most ``batch_tokens`` tokens, padding included.

    A run of equally long texts that fills half a batch stays by itself: without padding attention needs no mask.
    """
    order = sorted(range(len(lengths)), key=lambda index: -lengths[index])
    start = 0
    while start < len(order):
        longest = max(1, lengths[order[start]])
        size = max(1, batch_tokens // longest)
        batch = order[start : start + size]
        equal = sum(lengths[index] == lengths[batch[0]] for index in batch)
        if equal * 2 >= size:
            batch = batch[:equal]
        yield batch
        start += len(batch)


def _load_model(folder: Path, device: str, precision: UsedPrecision, threads: int) -> SentenceTransformer:
    # Read once, when torch loads: oneDNN keeps a compiled kernel for each shape it meets, 1,024 of them by default.
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "128")
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules import Transformer
    from transformers.utils import logging as transformers_logging

    if threads and device == "cpu":
        torch.set_num_threads(threads)
    bars = transformers_logging.is_progress_bar_enabled()
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        model = SentenceTransformer(str(folder), device=device, local_files_only=True)
    except (OSError, ValueError, KeyError, RuntimeError, ImportError) as error:
        raise BadInputError(
            f"The embedding model in {folder} cannot be loaded: {error}",
            remedy="Give the folder of a complete sentence-transformers model.",
        ) from error
    finally:
        if bars:
            transformers_logging.enable_progress_bar()  # type: ignore[no-untyped-call]
    model.eval()
    if precision == "bfloat16":
        if isinstance(model[0], Transformer):
            model[0].to(torch.bfloat16)
        else:
            model.to(torch.bfloat16)
    return model


def _has_plain_transformer(model: SentenceTransformer, prompt: str) -> bool:
    """Whether the model begins with a text transformer that can be fed with tokens directly."""
    from sentence_transformers.base.modules import Transformer
    from sentence_transformers.sentence_transformer.modules import Pooling
    from transformers import PreTrainedTokenizerFast

    first = model[0]
    if type(first) is not Transformer or not isinstance(model.tokenizer, PreTrainedTokenizerFast):
        return False
    without_prompt = any(isinstance(module, Pooling) and not module.include_prompt for module in model)
    return not first.can_flatten_inputs and not (prompt and without_prompt)


def _forward(model: SentenceTransformer, ids: Sequence[list[int]]) -> Any:
    """Run all modules over one batch of token ids; returns a float tensor of shape (n, dimension)."""
    padded = model.tokenizer.pad({"input_ids": list(ids)}, padding=True, return_tensors="pt")
    features: dict[str, Any] = {name: tensor.to(model.device) for name, tensor in padded.items()}
    features = model[0](features)
    for name, value in features.items():
        if hasattr(value, "is_floating_point") and value.is_floating_point():
            features[name] = value.float()
    return _through(list(model)[1:], features)


def _after_transformer(model: SentenceTransformer, vectors: Any, mask: Any) -> Any:
    """Run the modules behind the transformer; returns a float tensor of shape (n, dimension)."""
    return _through(list(model)[1:], {"token_embeddings": vectors, "attention_mask": mask})


def _through(modules: Sequence[Any], features: dict[str, Any]) -> Any:
    for module in modules:
        features = module(features)
    return features["sentence_embedding"]


def _unit_length(vectors: Float32Array, name: str) -> Float32Array:
    """Return the vectors at unit length, computed in float64."""
    wide = vectors.astype(np.float64)
    norms = np.linalg.norm(wide, axis=1, keepdims=True)
    wrong = np.flatnonzero(~np.isfinite(norms[:, 0]) | (norms[:, 0] == 0.0))
    if wrong.size:
        raise BadInputError(
            f"The embedding model {name} returns no usable vector for text number {int(wrong[0])}.",
            remedy="Try precision float32; if that does not help, the model is damaged.",
        )
    unit: Float32Array = (wide / norms).astype(np.float32)
    return unit
