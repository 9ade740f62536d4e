"""Reading queries and judgements in BEIR's layout."""

from __future__ import annotations

from pathlib import Path

import pytest

from ragflow.errors import BadInputError
from ragflow.model.questions import Target
from ragflow.pipeline.judgements import read_judged

KEYS = frozenset({"inbox/1.pdf", "inbox/letters/two.pdf", "other/3.pdf", "inbox/3.pdf"})
QUERIES = (
    '{"_id": "a", "text": "first"}\n\n{"_id": "b", "text": "second", "answer": 7}\n{"_id": "c", "text": "third"}\n'
)


def files(folder: Path, queries: str, qrels: str) -> tuple[Path, Path]:
    paths = folder / "queries.jsonl", folder / "qrels.tsv"
    for path, content in zip(paths, (queries, qrels), strict=True):
        path.write_text(content)
    return paths


@pytest.mark.parametrize(
    "qrels",
    [
        "query-id\tcorpus-id\tscore\na\t1\t2\na\ttwo.pdf\t1\na\tnowhere\t1\nb\tinbox/3.pdf\t1\nc\t1\t0\n",
        "a 0 1 2\na 0 two.pdf 1\na 0 nowhere 1\nb 0 inbox/3.pdf 1\nc 0 1 0\n",
    ],
)
def test_documents_are_named_by_key_file_or_stem(tmp_path: Path, qrels: str) -> None:
    judged = read_judged(*files(tmp_path, QUERIES, qrels), KEYS)
    first, second = judged.questions
    assert (first.id, first.text) == ("a", "first")
    assert first.targets == (
        Target("inbox/1.pdf", None, 2.0),
        Target("inbox/letters/two.pdf", None, 1.0),
        Target("nowhere", None, 1.0),
    )
    assert second.targets == (Target("inbox/3.pdf", None, 1.0),)
    assert (judged.unknown_documents, judged.unjudged) == (("nowhere",), 1)


@pytest.mark.parametrize(
    ("queries", "qrels", "said"),
    [
        (QUERIES, "a\t3\t1\n", "several documents"),
        (QUERIES, "a\t1\t1\nb\t1\tgood\n", "line 2"),
        (QUERIES, "a\t1\t1\nb\t1\n", "line 2"),
        (QUERIES, "x\t1\t1\n", "No query"),
        ('{"_id": "a b", "text": "t"}\n', "a\t1\t1\n", "white space"),
        ('{"text": "t"}\n', "a\t1\t1\n", "line 1"),
        ("[]\n", "a\t1\t1\n", "line 1"),
        ("{\n", "a\t1\t1\n", "line 1"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(tmp_path: Path, queries: str, qrels: str, said: str) -> None:
    with pytest.raises(BadInputError, match=said) as caught:
        read_judged(*files(tmp_path, queries, qrels), KEYS)
    assert caught.value.remedy


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    queries, qrels = files(tmp_path, QUERIES, "a\t1\t1\n")
    with pytest.raises(BadInputError, match="nowhere"):
        read_judged(queries, tmp_path / "nowhere.tsv", KEYS)
    qrels.write_bytes(b"a\t1\t1\n\xff\n")
    with pytest.raises(BadInputError, match="line 2"):
        read_judged(queries, qrels, KEYS)
