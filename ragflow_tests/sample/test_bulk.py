"""Benchmark archives: as many documents as asked for, all different, in two languages."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ragflow.errors import UsageError
from ragflow.sample import make_text_archive

from .pdf_reading import page_texts


def texts(folder: Path) -> list[str]:
    pages = [page_texts(path) for path in sorted(folder.glob("*.pdf"))]
    assert all(len(page) == 1 for page in pages)
    return [text for (text,) in pages]


def test_all_documents_differ_and_have_the_words_asked_for(tmp_path: Path) -> None:
    make_text_archive(tmp_path, 200, words_per_page=120)
    found = texts(tmp_path)
    assert len(found) == len(set(found)) == 200
    assert all(120 <= len(text.split()) <= 170 for text in found)
    sentences = [sentence for text in found for sentence in re.split(r"(?<=\w\w)\. ", text)]  # not after "M."
    assert len(set(sentences)) > 0.99 * len(sentences)
    assert sum(" francs" in text for text in found) > 80
    assert sum(" the " in text for text in found) == 100


def test_a_larger_archive_begins_with_the_smaller_one(tmp_path: Path) -> None:
    small, large, other = (tmp_path / name for name in ("small", "large", "other"))
    make_text_archive(small, 6, seed=7)
    make_text_archive(large, 9, seed=7)
    make_text_archive(other, 6, seed=8)
    contents = {
        folder: [path.read_bytes() for path in sorted(folder.glob("*.pdf"))] for folder in (small, large, other)
    }
    assert contents[large][:6] == contents[small]
    assert not set(contents[other]) & set(contents[small])


@pytest.mark.parametrize(("documents", "words"), [(-1, 350), (1, 0), (1, 20_000)])
def test_what_cannot_be_written_is_refused(tmp_path: Path, documents: int, words: int) -> None:
    with pytest.raises(UsageError):
        make_text_archive(tmp_path / "a", documents, words_per_page=words)
