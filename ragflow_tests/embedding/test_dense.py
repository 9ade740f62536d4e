"""Dense vectors: the contract, on the default model and on tiny models of every kind."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ragflow.embedding.dense import DenseEmbedder, batches_by_length
from ragflow.embedding.precision import cpu_multiplies_bfloat16
from ragflow.errors import BadInputError, UsageError
from ragflow_tests.embedding.conftest import ModelMaker, tiny_tokenizer

TEXTS = [
    "The archive holds letters, invoices and minutes of the council.",
    "Les délibérations du conseil municipal sont conservées depuis 1870.",
    "",
    "Invoice 2041: three tonnes of coal, paid in cash.",
    "word " * 200,
    "Vector search finds passages that mean the same.",
    "日本語の文章",
    "Les délibérations du conseil municipal sont conservées depuis 1870.",
]
TINY_TEXTS = [
    " ".join(f"word{(7 * start + step) % 200}" for step in range(length))
    for start, length in enumerate([5, 1, 30, 9, 9, 17])
]


@pytest.fixture(scope="module")
def embedder() -> DenseEmbedder:
    return DenseEmbedder(precision="float32")


def reference(folder: Path, texts: list[str], **options: Any) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Return what sentence-transformers itself gives, at unit length."""
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(folder), device="cpu", local_files_only=True)
    return np.asarray(model.encode(texts, normalize_embeddings=True, show_progress_bar=False, **options))


def smallest_cosine(one: Any, other: Any) -> float:
    assert one.shape == other.shape
    return float(np.einsum("ij,ij->i", one.astype(np.float64), other.astype(np.float64)).min())


def test_vectors_are_of_unit_length_in_order_and_those_of_the_model(embedder: DenseEmbedder) -> None:
    vectors = embedder.encode(TEXTS)
    assert vectors.dtype == np.float32
    assert vectors.shape == (len(TEXTS), embedder.dimension) == (8, 384)
    assert np.isfinite(vectors).all()
    np.testing.assert_allclose(np.linalg.norm(vectors.astype(np.float64), axis=1), 1.0, atol=1e-6)
    assert smallest_cosine(vectors, reference(embedder.folder, TEXTS)) >= 0.99999
    np.testing.assert_allclose(vectors[1], vectors[7], atol=1e-6)
    assert abs(float(vectors[0] @ vectors[1])) < 0.9, "different texts have different vectors"


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_text_alone_or_in_a_batch_has_the_same_vector(precision: Any) -> None:
    texts = [text for text in TEXTS if text]
    together = DenseEmbedder(precision=precision).encode(texts)
    single = DenseEmbedder(precision=precision, batch_tokens=1)
    alone = np.concatenate([single.encode([text]) for text in texts])
    assert smallest_cosine(together, alone) >= 0.9999
    assert smallest_cosine(together[::-1], single.encode(texts[::-1])) >= 0.9999


def test_the_empty_text_in_bfloat16_is_held_to_a_looser_bound() -> None:
    # Nothing but special tokens: rounding is not averaged over words, and 0.9999 is missed by a hair (0.99989 was
    # measured). No chunk is empty.
    used = DenseEmbedder(precision="bfloat16")
    batch = used.encode(TEXTS)
    assert smallest_cosine(batch[2:3], used.encode([""])) >= 0.9995


def test_bfloat16_agrees_with_float32(embedder: DenseEmbedder) -> None:
    used = DenseEmbedder(precision="bfloat16")
    measured = used.cosine_to_float32(TEXTS)
    assert 0.999 <= measured < 1.0
    assert measured == pytest.approx(smallest_cosine(used.encode(TEXTS), embedder.encode(TEXTS)), abs=1e-6)
    assert embedder.cosine_to_float32(TEXTS) == 1.0
    assert used.fingerprint == embedder.fingerprint


def test_progress_and_the_number_computed(make_model: ModelMaker) -> None:
    tiny = DenseEmbedder(str(make_model()), batch_tokens=32)
    done: list[int] = []
    tiny.encode(TINY_TEXTS, done.append)
    assert sum(done) == len(TINY_TEXTS) == tiny.computed
    assert len(done) > 2
    assert tiny.encode([]).shape == (0, 32)
    tiny.encode(["word1"])
    assert tiny.computed == len(TINY_TEXTS) + 1


def test_a_text_that_is_too_long_is_refused_not_cut(embedder: DenseEmbedder) -> None:
    just = "word " * 254
    assert embedder.tokenizer.count([just]) == [embedder.max_tokens] == [256]
    embedder.encode([just])
    with pytest.raises(BadInputError, match="number 1 has 257 tokens"):
        embedder.encode(["short", just + "word", "short"])


@pytest.mark.parametrize(
    ("options", "dimension"),
    [
        ({}, 32),
        ({"pooling": "cls"}, 32),
        ({"pooling": ("mean", "max")}, 64),
        ({"dense": 12}, 12),
        ({"pooling": ("cls", "mean"), "dense": 20}, 20),
    ],
)
def test_any_modules_give_what_sentence_transformers_gives(
    make_model: ModelMaker, options: dict[str, Any], dimension: int
) -> None:
    folder = make_model(**options)
    tiny = DenseEmbedder(str(folder), "float32")
    assert tiny.dimension == dimension
    assert tiny._model is None, "the dimension is known without loading the model"
    assert smallest_cosine(tiny.encode(TINY_TEXTS), reference(folder, TINY_TEXTS)) >= 0.99999
    assert DenseEmbedder(str(folder), "bfloat16").cosine_to_float32(TINY_TEXTS) >= 0.99


def test_a_model_without_transformer(tmp_path: Path) -> None:
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding

    words = StaticEmbedding(tiny_tokenizer(32).backend_tokenizer, embedding_dim=24)
    SentenceTransformer(modules=[words], device="cpu").save(str(tmp_path))
    static = DenseEmbedder(str(tmp_path), "float32", batch_tokens=40)
    assert static.dimension == 24
    assert smallest_cosine(static.encode(TINY_TEXTS), reference(tmp_path, TINY_TEXTS)) >= 0.99999


def test_prompts_of_the_model_are_put_before_the_texts(make_model: ModelMaker) -> None:
    folder = make_model(prompts={"query": "word7 word8 ", "passage": "word9 "})
    tiny = DenseEmbedder(str(folder), "float32")
    documents, queries = tiny.encode(TINY_TEXTS[:2]), tiny.encode(TINY_TEXTS[:2], role="query")
    assert smallest_cosine(documents, reference(folder, TINY_TEXTS[:2], prompt_name="passage")) >= 0.99999
    assert smallest_cosine(queries, reference(folder, TINY_TEXTS[:2], prompt_name="query")) >= 0.99999
    assert smallest_cosine(documents, queries) < 0.999
    assert tiny.tokenizer.special_tokens == 3
    assert tiny.tokenizer.count(["word1 word2"]) == [5]


def test_batches_hold_every_text_once_and_keep_to_their_tokens() -> None:
    lengths = [3, 250, 17, 250, 8, 0, 250, 90, 90]
    batches = list(batches_by_length(lengths, 512))
    assert sorted(index for batch in batches for index in batch) == list(range(len(lengths)))
    assert all(max(lengths[index] for index in batch) * len(batch) <= 512 for batch in batches)
    assert list(batches_by_length([9, 9], 1)) == [[0], [1]]


def test_bfloat16_is_taken_only_where_the_cpu_says_so(tmp_path: Path) -> None:
    with_unit, without = tmp_path / "with", tmp_path / "without"
    with_unit.write_text("processor : 0\nflags\t\t: fpu avx512f amx_bf16 sse\n")
    without.write_text("processor : 0\nflags\t\t: fpu avx512f not_avx512_bf16x sse\n")
    assert cpu_multiplies_bfloat16(with_unit)
    assert not cpu_multiplies_bfloat16(without)
    assert not cpu_multiplies_bfloat16(tmp_path / "missing")
    expected = "bfloat16" if cpu_multiplies_bfloat16() else "float32"
    assert DenseEmbedder(device="cpu").precision == expected


def test_a_model_that_returns_no_direction_is_an_error(make_model: ModelMaker, tmp_path: Path) -> None:
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(make_model()), device="cpu")
    next(model[0].parameters()).data.fill_(float("nan"))
    model.save(str(tmp_path))
    with pytest.raises(BadInputError, match="no usable vector for text number 0"):
        DenseEmbedder(str(tmp_path), "float32").encode(["word1"])


def test_a_folder_without_a_model_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(BadInputError, match="cannot be loaded"):
        DenseEmbedder(str(tmp_path))._load()


@pytest.mark.parametrize("options", [{"precision": "float16"}, {"threads": -1}, {"batch_tokens": 0}])
def test_wrong_options_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        DenseEmbedder(**options)


def test_nothing_heavy_is_loaded_before_it_is_needed() -> None:
    program = (
        "import sys; from ragflow.embedding.dense import DenseEmbedder; e = DenseEmbedder();"
        "e.dimension, e.max_tokens, e.fingerprint, e.tokenizer.count(['a']);"
        "print([name for name in ('torch', 'transformers', 'sentence_transformers') if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
