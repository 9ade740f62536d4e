"""The files that ``ragflow ocr`` writes, and their names."""

from __future__ import annotations

import json
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragflow.model.fingerprints import sha256_text
from ragflow.model.reading import Opinion, PageReading, PageStatus, Reason, Word
from ragflow.ocr.compose import Line, Piece, compose
from ragflow.pipeline.reading_output import (
    document_text,
    json_path,
    output_names,
    page_json,
    printed_text,
    shown,
    text_is_as_written,
    text_path,
    write_outputs,
    written_header,
)

WORDS = (
    Word("Head", 0.1, 0.1, 0.3, 0.15, 0.9, 0, 0, 0, 4),
    Word("one", 0.1, 0.3, 0.2, 0.32, 0.8, 1, 1, 6, 9),
    Word("two", 0.25, 0.29, 0.4, 0.33, 0.5, 1, 1, 10, 13),
    Word("three", 0.1, 0.35, 0.3, 0.38, 1.0, 1, 2, 14, 19),
)
TEXT = "Head\n\none two\nthree"
SAID = ((Opinion("a", "Head", 0.9), Opinion("b", "Hcad", 0.4)), (), (Opinion("b", "two", 0.5),), ())


def test_the_text_file_keeps_lines_as_they_are_printed() -> None:
    text, words = compose(
        [
            Line(0, [Piece("the", 0.1, 0.1, 0.2, 0.2, 0.9), Piece("har-", 0.3, 0.1, 0.4, 0.2, 0.9)]),
            Line(0, [Piece("bour", 0.1, 0.3, 0.2, 0.4, 0.9), Piece("wall", 0.3, 0.3, 0.4, 0.4, 0.9)]),
            Line(1, [Piece("End", 0.1, 0.6, 0.2, 0.7, 0.9)]),
        ]
    )
    assert text == "the harbour\nwall\n\nEnd"
    reading = PageReading(0, PageStatus.INDEXED, text=text, words=words)
    assert printed_text(reading) == "the har-\nbour wall\n\nEnd"
    assert printed_text(PageReading(0, PageStatus.BLANK)) == ""


def test_a_page_as_json_has_blocks_lines_words_and_what_each_engine_said() -> None:
    reading = PageReading(
        2, PageStatus.INDEXED, engine="a+b", text=TEXT, words=WORDS, headings=(0,), raster_sha256="ab", raster_dpi=300,
        opinions=SAID, orientation=90, skew=0.51234, disagreement=0.123456, reread_regions=2, language="en",
        layer_distrust="hidden words",
    )  # fmt: skip
    page = json.loads(page_json(reading))
    assert [[line["bbox"] for line in block["lines"]] for block in page["blocks"]] == [
        [[0.1, 0.1, 0.3, 0.15]],
        [[0.1, 0.29, 0.4, 0.33], [0.1, 0.35, 0.3, 0.38]],
    ]
    assert page["blocks"][1]["bbox"] == [0.1, 0.29, 0.4, 0.38]
    assert [block["heading"] for block in page["blocks"]] == [True, False]
    words = [word for block in page["blocks"] for line in block["lines"] for word in line["words"]]
    assert [page["text"][word["char_start"] : word["char_end"]] for word in words] == [word.text for word in WORDS]
    assert words[0]["opinions"] == [
        {"engine": "a", "text": "Head", "confidence": 0.9},
        {"engine": "b", "text": "Hcad", "confidence": 0.4},
    ]
    assert [len(word["opinions"]) for word in words] == [2, 0, 1, 0]
    assert page["confidence"] == pytest.approx((0.9 * 4 + 0.8 * 3 + 0.5 * 3 + 1.0 * 5) / 15, abs=1e-4)
    expected = {
        "page_number": 3, "status": "indexed", "reason": None, "engine": "a+b", "language": "en", "orientation": 90,
        "skew": 0.512, "disagreement": 0.1235, "reread_regions": 2, "layer_distrust": "hidden words",
        "raster": {"sha256": "ab", "dpi": 300}, "effort": "normal",
    }  # fmt: skip
    assert {name: page[name] for name in expected} == expected


def test_a_quarantined_page_says_why() -> None:
    page = json.loads(page_json(PageReading(0, PageStatus.QUARANTINED, reason=Reason.TIMED_OUT)))
    assert (page["status"], page["reason"], page["blocks"]) == ("quarantined", "timed_out", [])
    assert page["detail"] and page["raster"] is None and page["confidence"] is None


def test_pages_are_parted_by_form_feeds() -> None:
    assert document_text(["one\n\ntwo", "", "three"]) == "one\n\ntwo\n\f\fthree\n"
    assert document_text(["one"]) == "one\n"
    assert document_text([""]) == ""


def test_both_files_are_written_and_known_again(tmp_path: Path) -> None:
    base = tmp_path / "sub" / "a.b"
    assert written_header(base) is None
    pages = [page_json(PageReading(i, PageStatus.INDEXED, text=TEXT, words=WORDS)) for i in range(2)]
    write_outputs(base, {"document": {"name": "x"}, "summary": {}}, pages, "the text\n")
    assert (text_path(base), json_path(base)) == (tmp_path / "sub/a.b.txt", tmp_path / "sub/a.b.json")
    assert text_path(base).read_text() == "the text\n"
    found = json.loads(json_path(base).read_bytes())
    assert [page["page_number"] for page in found["pages"]] == [1, 2]
    assert found["text_sha256"] == sha256_text("the text\n")
    header = written_header(base)
    assert header is not None and text_is_as_written(base, header)
    text_path(base).write_text("another text\n")
    assert not text_is_as_written(base, header)
    assert sorted(path.name for path in base.parent.iterdir()) == ["a.b.json", "a.b.txt"]


@pytest.mark.parametrize("content", ["", "{", "[1]", '{"format": "ragflow-ocr/1"}', '{"document": {}, "summary": {}}'])
def test_another_json_is_not_taken_for_ours(tmp_path: Path, content: str) -> None:
    (tmp_path / "a.json").write_text(content)
    assert written_header(tmp_path / "a") is None


def test_names_keep_sub_folders_and_lose_the_suffix() -> None:
    wanted = [PurePosixPath(name) for name in ("a.pdf", "sub/a.pdf", "sub/b.tar.pdf", "none", "...pdf")]
    assert list(map(str, output_names(wanted))) == ["a", "sub/a", "sub/b.tar", "none", "_.."]


def test_those_that_share_a_name_keep_the_suffix_or_get_a_number() -> None:
    wanted = [PurePosixPath(name) for name in ("a.pdf", "a.png", "a.pdf", "a.png.pdf", "b.pdf")]
    assert list(map(str, output_names(wanted))) == ["a.pdf", "a.png-2", "a.pdf-2", "a.png", "b"]


def test_odd_names_are_made_printable() -> None:
    assert shown("line\nbreak \udcff\x85.pdf") == r"line\nbreak \xff\x85.pdf"
    assert shown("déjà vu #1") == "déjà vu #1"


PARTS = st.text(st.characters(exclude_characters="/\0", codec="utf-8"), min_size=1, max_size=300)


@given(st.lists(st.lists(PARTS, min_size=1, max_size=3).map(lambda parts: PurePosixPath(*parts)), max_size=8))
def test_any_names_stay_below_the_folder_and_differ(wanted: list[PurePosixPath]) -> None:
    names = output_names([path for path in wanted if path.name])
    assert len(set(names)) == len(names)
    for name in names:
        assert not name.is_absolute() and ".." not in name.parts and name.name
        assert all(len(part.encode()) + len(".json") <= 255 for part in name.parts)
        assert all(character.isprintable() or not character.isascii() for character in str(name))
