"""Queries that a process embeds again and again go through a recorded transformer, with the same vectors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ragflow.embedding import dense, short_texts
from ragflow.embedding.dense import RECORD_AFTER, DenseEmbedder
from ragflow.embedding.short_texts import MOST_TOKENS, STEP, ShortTexts, record_short_texts
from ragflow_tests.embedding.conftest import ModelMaker

QUERIES = [
    "quarry",
    "Who repaired the roof of the wash-house before the winter?",
    "le toit du lavoir, réparé avant l'hiver",
    "pear orchards on the southern slope",
    "",
    "cider",
]


def smallest_cosine(one: Any, other: Any) -> float:
    return float(np.einsum("ij,ij->i", one.astype(np.float64), other.astype(np.float64)).min())


def used_to(embedder: DenseEmbedder) -> DenseEmbedder:
    """Return an embedder that has met so many small batches that the transformer is recorded."""
    for _ in range(RECORD_AFTER):
        embedder.encode(["warm"], role="query")
    return embedder


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_recorded_transformer_gives_the_same_vectors(precision: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[list[int]] = []
    original = ShortTexts.__call__

    def counted(self: ShortTexts, ids: Any) -> Any:
        calls.append([len(text) for text in ids])
        return original(self, ids)

    monkeypatch.setattr(ShortTexts, "__call__", counted)
    embedder = DenseEmbedder(precision=precision, threads=1)
    plain = embedder.encode(QUERIES, role="query")
    assert calls == []
    used_to(embedder)
    calls.clear()
    together = embedder.encode(QUERIES, role="query")
    alone = np.vstack([embedder.encode([query], role="query") for query in QUERIES])
    assert [len(call) for call in calls] == [len(QUERIES)] + [1] * len(QUERIES)
    # The empty text has special tokens only, over which rounding in bfloat16 is not averaged.
    worded = [number for number, query in enumerate(QUERIES) if query]
    least, least_empty = (0.999999, 0.999999) if precision == "float32" else (0.9999, 0.9995)
    for other in (together, alone):
        assert smallest_cosine(other[worded], plain[worded]) >= least
        assert smallest_cosine(other, plain) >= least_empty
    assert together.dtype == np.float32 and np.allclose(np.linalg.norm(together, axis=1), 1.0, atol=1e-6)


def test_documents_and_many_queries_go_the_plain_way(monkeypatch: pytest.MonkeyPatch) -> None:
    embedder = DenseEmbedder(precision="float32", threads=1)
    before = embedder.encode(QUERIES)
    used_to(embedder)
    embedder.encode(["recorded"], role="query")

    def refused(self: ShortTexts, ids: Any) -> Any:
        raise AssertionError("not for this")

    monkeypatch.setattr(ShortTexts, "__call__", refused)
    assert np.array_equal(embedder.encode(QUERIES), before)
    assert embedder.encode(["orchard"] * (MOST_TOKENS // 2), role="query").shape == (MOST_TOKENS // 2, 384)
    with pytest.raises(AssertionError, match="not for this"):
        embedder.encode(["orchard"], role="query")


def test_rows_have_few_lengths_and_texts_look_at_themselves_only() -> None:
    for lengths in ([3], [STEP], [5, 7, 9], [STEP, STEP + 1]):
        tokens, positions, mask = short_texts._in_one_row([[7] * length for length in lengths])
        row = tokens.shape[1]
        assert row % STEP == 0 and 0 <= row - sum(lengths) < STEP
        assert positions[0, : sum(lengths)].tolist() == [place for length in lengths for place in range(length)]
        assert mask.shape == (1, 1, row, row)
        start = 0
        for length in lengths:
            seen = mask[0, 0, start : start + length]
            assert bool(seen[:, start : start + length].all())
            assert int(seen.sum()) == length * length
            start += length


def test_what_cannot_be_recorded_goes_the_plain_way(make_model: ModelMaker, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    assert record_short_texts(None) is None
    assert record_short_texts(torch.nn.Linear(2, 2)) is None
    embedder = DenseEmbedder(str(make_model()), "float32")
    plain = embedder.encode(["a b", "c"], role="query")
    monkeypatch.setattr(short_texts, "LEAST_COSINE", 1.1)  # no graph is as good as that
    recorded: list[Any] = []
    original = dense.record_short_texts
    monkeypatch.setattr(dense, "record_short_texts", lambda model: recorded.append(original(model)) or recorded[-1])
    used_to(embedder)
    assert np.array_equal(embedder.encode(["a b", "c"], role="query"), plain)
    assert recorded == [None]
