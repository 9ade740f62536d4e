"""Tiny models with random weights, made here and saved as sentence-transformers saves them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", ".", ",", *(f"word{number}" for number in range(200))]

ModelMaker = Callable[..., Path]


def tiny_tokenizer(limit: int) -> Any:
    """Return a transformers tokenizer with one token per word of :data:`WORDS`."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import BertPreTokenizer
    from tokenizers.processors import TemplateProcessing
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(WordLevel({word: number for number, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = BertPreTokenizer()
    tokenizer.post_processor = TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    make: Any = PreTrainedTokenizerFast
    return make(
        tokenizer_object=tokenizer,
        model_max_length=limit,
        **{f"{name.lower()}_token": f"[{name}]" for name in ("PAD", "UNK", "CLS", "SEP")},
    )


@pytest.fixture(scope="session")
def make_model(tmp_path_factory: pytest.TempPathFactory) -> ModelMaker:
    """Return a function that saves a random BERT with any modules behind it and returns its folder."""

    def make(*, seed: int = 0, pooling: Any = "mean", dense: int = 0, limit: int = 32, **saved: Any) -> Path:
        import torch
        from sentence_transformers import SentenceTransformer
        from sentence_transformers.base.modules import Dense, Transformer
        from sentence_transformers.sentence_transformer.modules import Pooling
        from transformers import BertConfig, BertModel

        torch.manual_seed(seed)
        config = BertConfig(
            vocab_size=len(WORDS),
            hidden_size=32,
            num_hidden_layers=2,
            num_attention_heads=4,
            intermediate_size=64,
            max_position_embeddings=limit,
            initializer_range=0.3,
        )
        plain = tmp_path_factory.mktemp("bert")
        BertModel(config).save_pretrained(plain)
        tiny_tokenizer(limit).save_pretrained(plain)
        modules: list[Any] = [Transformer(str(plain)), Pooling(32, pooling_mode=pooling)]
        if dense:
            modules.append(Dense(modules[-1].pooling_output_dimension, dense))
        model: SentenceTransformer = SentenceTransformer(modules=modules, device="cpu", **saved)
        folder = tmp_path_factory.mktemp("model")
        model.save(str(folder))
        return folder

    return make
