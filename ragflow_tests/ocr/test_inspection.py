"""What is said of good and bad files."""

from __future__ import annotations

from pathlib import Path

import pytest
from reportlab.lib.pdfencrypt import StandardEncryption

from ragflow.model.reading import Reason
from ragflow.ocr.inspection import inspect_document
from ragflow.ocr.options import ReadingOptions
from ragflow.ocr.reader import read_pages
from ragflow_tests.ocr.pdfs import ENGLISH, HEIGHT, WIDTH, empty, lines_at, write_pdf

OPTIONS = ReadingOptions(engines=("text_layer",))


def test_a_good_file(tmp_path: Path) -> None:
    path = write_pdf(
        tmp_path / "a.pdf",
        [lines_at(ENGLISH), empty],
        rotate=90,
        title="A\x00 title\nover lines" + "x" * 600,
        lang="(fr-CA)",
    )
    found = inspect_document(path, OPTIONS)
    assert (found.page_count, found.reason, found.damaged, found.encrypted) == (2, None, False, False)
    assert found.title is not None and found.title.startswith("A title over lines") and len(found.title) == 500
    assert found.producer is not None and "ReportLab" in found.producer
    first, second = found.pages
    assert (first.page_index, first.rotation) == (0, 90)
    assert (first.width_pt, first.height_pt) == pytest.approx((WIDTH, HEIGHT))
    assert first.has_text_layer and not second.has_text_layer


def test_catalogue_language(tmp_path: Path) -> None:
    path = write_pdf(tmp_path / "a.pdf", [empty])
    data = path.read_bytes()
    assert inspect_document(path, OPTIONS).language is None
    for tag, code in ((b"fr-CA", "fr"), (b"ENG", "en"), (b"x!", None)):
        path.write_bytes(data.replace(b"/Type /Catalog", b"/Lang (" + tag + b") /Type /Catalog"))
        assert inspect_document(path, OPTIONS).language == code


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", Reason.EMPTY_FILE),
        (b"GIF89a" + b"\0" * 3000, Reason.NOT_A_PDF),
        (b"\0" * 2000 + b"%PDF-1.4\n", Reason.NOT_A_PDF),
        (b"%PDF-1.4\n" + b"nothing of a PDF " * 100, Reason.DAMAGED),
    ],
)
def test_bad_files(tmp_path: Path, content: bytes, reason: Reason) -> None:
    path = tmp_path / "bad.pdf"
    path.write_bytes(content)
    found = inspect_document(path, OPTIONS)
    assert found.reason is reason
    assert found.pages == () and found.detail is not None and "bad.pdf" in found.detail


def test_missing_file_and_folder(tmp_path: Path) -> None:
    assert inspect_document(tmp_path / "none.pdf", OPTIONS).reason is Reason.UNREADABLE
    assert inspect_document(tmp_path, OPTIONS).reason is Reason.UNREADABLE


def test_no_pages(tmp_path: Path) -> None:
    path = write_pdf(tmp_path / "a.pdf", [empty], encrypt=StandardEncryption("", "owner", strength=128))
    data = path.read_bytes()
    path.write_bytes(data.replace(b"/Count 1 /Kids [ 3 0 R ]", b"/Count 0 /Kids [       ]"))
    found = inspect_document(path, OPTIONS)
    assert (found.reason, found.page_count, found.pages) == (Reason.NO_PAGES, 0, ())


def test_too_many_pages(tmp_path: Path) -> None:
    path = write_pdf(tmp_path / "a.pdf", [empty] * 4)
    found = inspect_document(path, ReadingOptions(engines=("text_layer",), max_pages=3))
    assert (found.reason, found.page_count, found.pages) == (Reason.TOO_MANY_PAGES, 4, ())


def test_truncated_file_is_damaged_yet_opens(tmp_path: Path) -> None:
    path = write_pdf(tmp_path / "a.pdf", [lines_at(ENGLISH)] * 3)
    data = path.read_bytes()
    path.write_bytes(data[: data.rindex(b"startxref")])
    found = inspect_document(path, OPTIONS)
    assert (found.page_count, found.reason, found.damaged) == (3, None, True)


def test_encryption(tmp_path: Path) -> None:
    path = write_pdf(tmp_path / "a.pdf", [lines_at(ENGLISH)], encrypt=StandardEncryption("secret", strength=128))
    shut = inspect_document(path, OPTIONS, ("wrong",))
    assert (shut.page_count, shut.reason, shut.encrypted) == (None, Reason.ENCRYPTED, True)
    opened = inspect_document(path, OPTIONS, ("wrong", "secret"))
    assert (opened.page_count, opened.reason, opened.encrypted) == (1, None, True)
    assert read_pages(path, [0], OPTIONS)[0].reason is Reason.ENCRYPTED
    assert read_pages(path, [0], OPTIONS, passwords=("secret",))[0].text.startswith("The quick brown fox")


def test_encrypted_with_the_empty_password_opens(tmp_path: Path) -> None:
    path = write_pdf(tmp_path / "a.pdf", [lines_at(ENGLISH)], encrypt=StandardEncryption("", "owner", strength=128))
    found = inspect_document(path, OPTIONS)
    assert (found.reason, found.encrypted, found.pages[0].has_text_layer) == (None, True, True)


def test_a_page_that_does_not_load(tmp_path: Path) -> None:
    path = tmp_path / "a.pdf"
    path.write_bytes(
        b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n"
        b"2 0 obj<</Type/Pages/Kids[3 0 R 9 0 R]/Count 2>>endobj\n"
        b"3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 200 200]>>endobj\ntrailer<</Root 1 0 R>>\nstartxref\n0\n%%EOF"
    )
    found = inspect_document(path, OPTIONS)
    assert [page.reason for page in found.pages] == [None, Reason.PAGE_DAMAGED]
    assert found.damaged
    assert [page.reason for page in read_pages(path, [0, 1], OPTIONS)] == [None, Reason.PAGE_DAMAGED]
