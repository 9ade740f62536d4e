"""Born-digital PDFs say what they were given."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pypdfium2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragflow.errors import UsageError
from ragflow.sample import write_text_pdf
from ragflow.sample.blocks import Block, BlockKind, parse_pages
from ragflow.sample.layout import MARGIN, PAGE_HEIGHT, PAGE_WIDTH, PageStyle, lay_out

from .pdf_reading import page_pixels, page_texts

LETTERS = "abcdefghijklmnopqrstuvwxyzéèàçœÉ\N{RIGHT SINGLE QUOTATION MARK}"
words = st.text(alphabet=LETTERS, min_size=1, max_size=60)
paragraphs = st.lists(words, min_size=1, max_size=80).map(" ".join)


def test_accents_and_typographic_marks_are_written(tmp_path: Path) -> None:
    text = "L\u2019\u0153uvre \u00ab\u00a0d\u00e9j\u00e0 vue\u00a0\u00bb \u2014 \u201cquoted\u201d, 5 \u20ac\u2026"
    path = tmp_path / "a.pdf"
    write_text_pdf(path, [[text]])
    with closing(pypdfium2.PdfDocument(path)) as document:
        # PDFium gives no-break spaces as spaces.
        assert document[0].get_textpage().get_text_range().strip() == text.replace("\u00a0", " ")


def test_title_language_and_headings(tmp_path: Path) -> None:
    path = tmp_path / "a.pdf"
    write_text_pdf(path, [["un"], ["deux"]], title="Été", language="fr", headings=["Premier", ""])
    with closing(pypdfium2.PdfDocument(path)) as document:
        assert document.get_metadata_dict()["Title"] == "Été"
    assert b"/Lang (fr)" in path.read_bytes()
    assert page_texts(path) == ["Premier un", "deux"]


def test_without_a_language_the_catalogue_has_none(tmp_path: Path) -> None:
    path = tmp_path / "a.pdf"
    write_text_pdf(path, [["one"]])
    assert b"/Lang" not in path.read_bytes()


def test_an_empty_page_is_blank(tmp_path: Path) -> None:
    path = tmp_path / "a.pdf"
    write_text_pdf(path, [["one"], [], ["three"]])
    assert page_texts(path) == ["one", "", "three"]
    assert page_pixels(path, 1).min() == 255


def test_the_same_input_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a.pdf", "b.pdf"):
        write_text_pdf(tmp_path / name, [["one two"]], title="t")
    assert (tmp_path / "a.pdf").read_bytes() == (tmp_path / "b.pdf").read_bytes()


def test_a_full_page_is_set_smaller_and_loses_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.pdf"
    text = " ".join(f"word{number}" for number in range(1200))
    write_text_pdf(path, [[text]], columns=2)
    assert page_texts(path) == [text]


@pytest.mark.parametrize(
    ("pages", "options", "message"),
    [
        ([], {}, "without pages"),
        ([["a"]], {"headings": []}, "0 headings"),
        ([["a"]], {"columns": 0}, "0 columns"),
        ([["word " * 9000]], {}, "9000 words"),
        ([["snow \N{SNOWMAN}"]], {}, r"U\+2603"),
    ],
)
def test_what_cannot_be_set_is_refused(
    tmp_path: Path, pages: list[list[str]], options: dict[str, object], message: str
) -> None:
    path = tmp_path / "a.pdf"
    with pytest.raises(UsageError, match=message):
        write_text_pdf(path, pages, **options)  # type: ignore[arg-type]
    assert not path.exists()


@given(texts=st.lists(paragraphs, min_size=1, max_size=4), columns=st.integers(1, 3), justified=st.booleans())
def test_every_letter_is_set_within_the_margins(texts: list[str], columns: int, justified: bool) -> None:
    style = PageStyle(columns=columns, justified=justified)
    lines = lay_out([Block(BlockKind.PARAGRAPH, text) for text in texts], style)
    assert "".join(line.text for line in lines).replace(" ", "") == "".join(texts).replace(" ", "")
    assert all(MARGIN <= line.baseline <= PAGE_HEIGHT - MARGIN for line in lines)
    assert all(MARGIN <= line.left < PAGE_WIDTH - MARGIN for line in lines)
    assert all(line.word_space >= 0.0 for line in lines)
    assert len({(line.left, line.baseline) for line in lines}) == len(lines)


def test_the_notation() -> None:
    first, second = parse_pages("# A\n\none\ntwo : l'eau\n\n## B\n\nthree\n\n---\n\nfour - five", "fr")
    assert first == (
        Block(BlockKind.HEADING, "A"),
        Block(BlockKind.PARAGRAPH, "one two\u00a0: l\u2019eau"),
        Block(BlockKind.SUBHEADING, "B"),
        Block(BlockKind.PARAGRAPH, "three"),
    )
    assert second == (Block(BlockKind.PARAGRAPH, "four \u2013 five"),)
