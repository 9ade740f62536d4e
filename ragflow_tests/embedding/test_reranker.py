"""A cross-encoder puts texts in order; its weights are made here, small, and by chance."""

from __future__ import annotations

from pathlib import Path

import pytest

from ragflow.embedding.reranker import Reranker
from ragflow.errors import BadInputError, UsageError


def write_cross_encoder(folder: Path, outputs: int = 1) -> None:
    """Write a tiny BERT that reads two texts."""
    import torch
    from transformers import BertConfig, BertForSequenceClassification, BertTokenizerFast

    folder.mkdir()
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "quarry", "flood", "windmill", "barley", "the", "of"]
    (folder / "vocab.txt").write_text("\n".join(words))
    torch.manual_seed(7)
    config = BertConfig(
        vocab_size=len(words),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=64,
        num_labels=outputs,
        initializer_range=0.5,  # so that its scores differ
    )
    BertForSequenceClassification(config).save_pretrained(folder)
    BertTokenizerFast(str(folder / "vocab.txt")).save_pretrained(folder)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reranker") / "model"
    write_cross_encoder(folder)
    return folder


def test_texts_are_scored_against_the_query_one_by_one(folder: Path) -> None:
    reranker = Reranker(folder, depth=5, batch=2)
    texts = ["the flood of the quarry", "barley", "the windmill of barley"]
    scores = reranker.score("quarry flood", texts)
    assert len(set(scores)) == 3
    alone = [reranker.score("quarry flood", [text])[0] for text in texts]
    assert scores == pytest.approx(alone, abs=1e-5)
    assert reranker.score("barley", texts) != pytest.approx(scores, abs=1e-5)
    assert reranker.score("quarry", []) == []


def test_what_is_no_reranker_is_said_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="cannot be loaded"):
        Reranker(tmp_path).score("a", ["b"])
    write_cross_encoder(tmp_path / "two", outputs=2)
    with pytest.raises(BadInputError, match="2 outputs") as caught:
        Reranker(tmp_path / "two").score("a", ["b"])
    assert "search.reranker" in caught.value.remedy
    for wrong in ({"depth": 0}, {"batch": 0}):
        with pytest.raises(UsageError):
            Reranker(tmp_path, **wrong)
