"""BM25 vectors: words of both sides meet, whatever their endings and accents."""

from __future__ import annotations

import unicodedata

import numpy as np
import pytest

from ragflow.embedding.sparse import SparseEmbedder
from ragflow.errors import BadInputError, UsageError
from ragflow.model.points import SparseVector

BM25 = SparseEmbedder()


def score(query: SparseVector, document: SparseVector) -> float:
    shared, left, right = np.intersect1d(query.indices, document.indices, return_indices=True)
    return float(query.values[left] @ document.values[right]) if shared.size else 0.0


def found(query: str, document: str, language: str | None, searched: tuple[str | None, ...] = ("en", "fr")) -> float:
    return score(BM25.query(query, searched), BM25.encode([document], [language])[0])


@pytest.mark.parametrize(
    ("query", "document", "language"),
    [
        ("economiques", "Les économies de l'année", "fr"),
        ("économique", "LES ECONOMIES", "fr"),
        ("été", unicodedata.normalize("NFD", "un été chaud"), "fr"),
        ("coeur", "le cœur", "fr"),
        ("invoice", "three INVOICES were paid", "en"),
        ("running", "he runs", "en"),
        ("efficient", "an e\ufb03cient office", "en"),
        ("construction", "con\u00adstruction", "en"),
        ("information", "the infor-\nmation desk", "en"),
        ("infor mation", "the infor-\nmation desk", "en"),
        ("Häuser", "das Haus", "de"),
        ("maison", "maison", None),
        ("検索", "日本語の検索", "ja"),
    ],
)
def test_these_meet(query: str, document: str, language: str | None) -> None:
    assert found(query, document, language, ("en", "fr", language)) > 0.0


@pytest.mark.parametrize(
    ("query", "document", "language"),
    [("the", "the house", "en"), ("les", "les maisons", "fr"), ("dog", "the cats", "en"), ("maisons", "maison", None)],
)
def test_these_do_not_meet(query: str, document: str, language: str | None) -> None:
    assert found(query, document, language, (language,)) == 0.0


def test_accents_do_not_matter() -> None:
    accented = "Les élèves étaient très fâchés : « Où êtes-vous allés à Noël ? »"
    plain = "Les eleves etaient tres faches : « Ou etes-vous alles a Noel ? »"
    one, other = BM25.encode([accented, plain], ["fr", "fr"])
    np.testing.assert_array_equal(one.indices, other.indices)
    np.testing.assert_array_equal(one.values, other.values)
    np.testing.assert_array_equal(BM25.query(accented, ["fr"]).indices, BM25.query(plain, ["fr"]).indices)


def test_vectors_are_ascending_and_typed() -> None:
    text = " ".join(f"term{number}" for number in range(300))
    for vector in (*BM25.encode([text, ""], ["en", "fr"]), BM25.query(text, ["en", "fr"])):
        assert vector.indices.dtype == np.uint32
        assert vector.values.dtype == np.float32
        assert vector.indices.shape == vector.values.shape
        assert (np.diff(vector.indices.astype(np.int64)) > 0).all()
        assert (vector.values > 0).all()
    assert BM25.encode([""], ["en"])[0].indices.size == 0


def test_document_weights_follow_the_formula() -> None:
    (vector,) = SparseEmbedder(k=2.0, b=0.5, avg_len=4.0).encode(["oak oak oak elm ash fir"], ["en"])
    norm = 2.0 * (1 - 0.5 + 0.5 * 6 / 4)
    expected = sorted([3 * 3 / (3 + norm), *[1 * 3 / (1 + norm)] * 3])
    np.testing.assert_allclose(sorted(vector.values), expected, rtol=1e-5)


def test_a_query_counts_its_words_and_joins_the_languages() -> None:
    vector = BM25.query("oak elm oak oak", ["en", "fr"])
    assert sorted(vector.values) == [1.0, 3.0]
    english, french = BM25.query("nationalities", ["en"]), BM25.query("nationalities", ["fr"])
    both = BM25.query("nationalities", ["fr", "en", "en"])
    assert set(both.indices) == {*english.indices, *french.indices}
    assert both.indices.size == 2
    long = BM25.query("oak " * 1000, ["en"])
    assert long.values[0] == pytest.approx(1000, rel=0.01)


def test_the_fingerprint_follows_the_parameters() -> None:
    prints = {SparseEmbedder(*values).fingerprint for values in [(), (1.3,), (1.2, 0.7), (1.2, 0.75, 65.0)]}
    assert len(prints) == 4
    assert BM25.fingerprint == SparseEmbedder().fingerprint


def test_bad_values_are_refused() -> None:
    for values in [(-1.0,), (1.2, 1.5), (1.2, 0.75, 0.0)]:
        with pytest.raises(UsageError, match="BM25 cannot take"):
            SparseEmbedder(*values)
    with pytest.raises(BadInputError, match="not valid Unicode"):
        BM25.encode(["\ud800"], ["en"])
