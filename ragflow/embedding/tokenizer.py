"""Count tokens as the embedding model does, without loading it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ragflow.embedding.model_folder import read_json, read_modules
from ragflow.errors import BadInputError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

UNLIMITED = 1_000_000
"""What stands for no limit: models without one carry an absurd ``model_max_length``, or none."""

_TEXTS_AT_ONCE = 1024
"""Bounds how many encodings are held at a time."""


class ModelTokenizer:
    """The fast tokenizer of a model folder; never truncates, never pads.

    Pure once made; may be shared by threads.

    Attributes:
        special_tokens: tokens that the model adds to every text, those of ``prompt`` included.
        max_tokens: what the model reads, special tokens included.
        prompt: put before each text when tokens are counted; what the model wants before documents, often nothing.

    Raises:
        BadInputError: the folder has no ``tokenizer.json``, or it cannot be read.
    """

    def __init__(self, folder: Path, *, prompt: str = "") -> None:
        transformer = transformer_folder(folder)
        places = (transformer / "tokenizer.json", folder / "tokenizer.json")
        path = next((place for place in places if place.is_file()), None)
        if path is None:
            raise BadInputError(
                f"The embedding model in {folder} has no tokenizer.json.",
                remedy="Save the model once with a fast tokenizer, or choose another model.",
            )
        self._tokenizer = _load(path)
        self._lower_case(transformer)
        self.prompt = prompt
        self.special_tokens: int = self.count([""])[0]
        self.max_tokens: int = max_tokens_of(folder)

    def _lower_case(self, transformer: Path) -> None:
        """Do what sentence-transformers does for a model whose configuration asks for lower case."""
        if not read_json(transformer / "sentence_bert_config.json").get("do_lower_case"):
            return
        from tokenizers.normalizers import Lowercase
        from tokenizers.normalizers import Sequence as NormalizerSequence

        existing = self._tokenizer.normalizer
        self._tokenizer.normalizer = NormalizerSequence([Lowercase(), *([existing] if existing else [])])

    def spans(self, texts: Sequence[str]) -> list[list[tuple[int, int]]]:
        """Return, for each text, the (start, end) characters of its tokens, ascending, without special tokens."""
        found: list[list[tuple[int, int]]] = []
        for part in _parts(texts):
            with _any_text(part) as readable:
                found.extend(list(e.offsets) for e in self._tokenizer.encode_batch(readable, add_special_tokens=False))
        return found

    def count(self, texts: Sequence[str]) -> list[int]:
        """Return how many tokens each text costs when it stands alone, special tokens and prompt included."""
        counts: list[int] = []
        for part in _parts([self.prompt + text for text in texts] if self.prompt else texts):
            with _any_text(part) as readable:
                counts.extend(len(e) for e in self._tokenizer.encode_batch_fast(readable, add_special_tokens=True))
        return counts


def _parts(texts: Sequence[str]) -> Iterator[list[str]]:
    for first in range(0, len(texts), _TEXTS_AT_ONCE):
        yield list(texts[first : first + _TEXTS_AT_ONCE])


@contextlib.contextmanager
def _any_text(texts: list[str]) -> Iterator[list[str]]:
    """Say which text it is if one is not valid Unicode (lone surrogates cannot be tokenised)."""
    try:
        yield texts
    except (TypeError, UnicodeEncodeError) as error:
        for text in texts:
            try:
                text.encode("utf-8")
            except UnicodeEncodeError:
                raise BadInputError(f"A text is not valid Unicode: {text[:40]!a}.") from error
        raise


def _load(path: Path) -> Tokenizer:
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises bare Exception
        raise BadInputError(f"{path} of the embedding model cannot be read: {error}.") from error
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def transformer_folder(folder: Path) -> Path:
    """Return the folder of the model's first module, which holds the tokenizer."""
    modules = read_modules(folder)
    return folder / modules[0][1] if modules else folder


def max_tokens_of(folder: Path) -> int:
    """Return how many tokens the model reads, special tokens included.

    As sentence-transformers reads a folder: ``max_seq_length``, else the tokenizer's own limit, capped by the number of
    positions that the model knows; :data:`UNLIMITED` if no file names a limit, for then nothing is cut off.
    """
    transformer = transformer_folder(folder)
    stated = read_json(transformer / "sentence_bert_config.json").get("max_seq_length")
    if isinstance(stated, int) and stated > 0:
        return stated
    limits = (
        read_json(transformer / "tokenizer_config.json").get("model_max_length"),
        read_json(transformer / "config.json").get("max_position_embeddings"),
    )
    known = [int(limit) for limit in limits if isinstance(limit, int | float) and 0 < limit < UNLIMITED]
    return min([UNLIMITED, *known])
