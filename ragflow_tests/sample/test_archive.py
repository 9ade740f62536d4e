"""The archive is what its record says, byte for byte the same each time, and answers its questions."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pypdfium2
import pytest
from PIL import Image

from ragflow.errors import BadInputError, NotFoundError
from ragflow.sample import (
    USER_PASSWORD,
    DocumentKind,
    SampleArchive,
    SampleQuestion,
    change_document,
    make_archive,
    remove_document,
)

from .pdf_reading import page_count, page_pixels, page_texts

LARGEST_UNREADABLE_SHARE = 0.04


def path_of(archive: SampleArchive, name: str) -> Path:
    return next(document.path for document in archive.documents if document.path.name == name)


def path_of_kind(archive: SampleArchive, kind: DocumentKind) -> Path:
    return next(document.path for document in archive.documents if document.kind is kind)


def hashes(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*.pdf")
    }


def is_scan_question(archive: SampleArchive, question: SampleQuestion) -> bool:
    kinds = {document.path.name: document.kind for document in archive.documents}
    return kinds[question.file_name].image_only


def read_with_tesseract(path: Path, page_index: int, languages: str, work: Path, psm: int = 1) -> str:
    image = work / "page.png"
    Image.fromarray(page_pixels(path, page_index, dpi=200)).save(image, dpi=(200, 200))
    command = ["tesseract", str(image), "-", "-l", languages, "--psm", str(psm)]
    one_thread = {**os.environ, "OMP_THREAD_LIMIT": "1"}  # faster than two where other work goes on
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60, env=one_thread)
    return " ".join(done.stdout.split())


def test_openable_documents_have_the_pages_declared(archive: SampleArchive) -> None:
    openable = [document for document in archive.documents if document.kind.opens]
    assert {document.path.name: page_count(document.path) for document in openable} == {
        document.path.name: document.pages for document in openable
    }


def test_the_others_do_not_open(archive: SampleArchive) -> None:
    closed = [document for document in archive.documents if not document.kind.opens]
    assert {document.kind for document in closed} == {DocumentKind.ENCRYPTED, DocumentKind.TRUNCATED}
    for document in closed:
        assert document.pages is None
        with pytest.raises(pypdfium2.PdfiumError, match=r"password|format"):
            pypdfium2.PdfDocument(document.path)


def test_the_encrypted_document_opens_with_its_password(archive: SampleArchive) -> None:
    path = path_of_kind(archive, DocumentKind.ENCRYPTED)
    with closing(pypdfium2.PdfDocument(path, password=USER_PASSWORD)) as document:
        assert "finance committee" in document[0].get_textpage().get_text_range()


def test_the_archive_has_the_size_and_the_mixture_promised(archive: SampleArchive) -> None:
    assert len(archive.documents) >= 13
    assert 60 <= archive.page_count <= 75
    assert {document.kind for document in archive.documents} == set(DocumentKind)
    to_read_by_ocr = sum(document.pages or 0 for document in archive.documents if document.kind.image_only)
    assert 10 <= to_read_by_ocr <= 13
    pictures = [document for document in archive.documents if document.kind is DocumentKind.PICTURE]
    unreadable = sum(not document.kind.opens for document in archive.documents) + len(pictures)
    assert unreadable / archive.page_count <= LARGEST_UNREADABLE_SHARE
    for kind in (DocumentKind.BORN_DIGITAL, DocumentKind.SCAN):
        assert {document.language for document in archive.documents if document.kind is kind} == {"en", "fr"}


def test_the_folder_holds_the_declared_files_and_no_others(archive: SampleArchive) -> None:
    assert set(archive.folder.rglob("*.pdf")) == {document.path for document in archive.documents}
    names = [document.path.name for document in archive.documents]
    assert len(set(names)) == len(names)
    for character in " é#'":
        assert any(character in name for name in names), character
    assert any(document.path.parent != archive.folder for document in archive.documents)


def test_the_same_bytes_are_written_each_time(archive: SampleArchive, tmp_path: Path) -> None:
    assert hashes(make_archive(tmp_path).folder) == hashes(archive.folder)


def test_the_duplicate_has_the_bytes_of_another_document_and_nothing_else_has(archive: SampleArchive) -> None:
    duplicate = path_of_kind(archive, DocumentKind.DUPLICATE)
    same = [document.path for document in archive.documents if document.path.read_bytes() == duplicate.read_bytes()]
    assert len(same) == 2
    assert len(set(hashes(archive.folder).values())) == len(archive.documents) - 1


def test_image_only_documents_have_no_text_layer(archive: SampleArchive) -> None:
    for document in archive.documents:
        if document.kind.image_only:
            assert page_texts(document.path) == [""] * (document.pages or 0), document.path.name


def test_the_blank_page_has_neither_text_nor_ink(archive: SampleArchive) -> None:
    path = path_of_kind(archive, DocumentKind.BLANK_PAGE)
    first, blank, last = page_texts(path)
    assert first and last and not blank
    assert page_pixels(path, 1).min() == 255
    assert page_pixels(path, 0).min() < 128


def test_the_picture_has_marks_but_no_words(archive: SampleArchive, tmp_path: Path) -> None:
    path = path_of_kind(archive, DocumentKind.PICTURE)
    assert page_pixels(path, 0).std() > 10.0
    for psm in (1, 3, 11):
        assert read_with_tesseract(path, 0, "eng+fra", tmp_path, psm=psm) == ""


def test_one_page_is_rotated_by_the_pdf_and_one_lies_on_its_side(archive: SampleArchive) -> None:
    with closing(pypdfium2.PdfDocument(path_of_kind(archive, DocumentKind.TURNED_SCAN))) as document:
        displayed = [tuple(round(side) for side in document[index].get_size()) for index in range(3)]
        assert [document[index].get_rotation() for index in range(3)] == [0, 90, 0]
    assert displayed == [(595, 842), (595, 842), (842, 595)]


def test_questions_are_of_every_kind(archive: SampleArchive) -> None:
    kinds = {(question.language, is_scan_question(archive, question)) for question in archive.questions}
    assert kinds == {("en", False), ("fr", False), ("en", True), ("fr", True)}


def test_answers_in_text_layers_stand_on_the_expected_page_and_nowhere_else(archive: SampleArchive) -> None:
    places: dict[str, list[tuple[str, int]]] = {question.query: [] for question in archive.questions}
    for document in archive.documents:
        for number, text in enumerate(page_texts(document.path) if document.kind.opens else [], start=1):
            for question in archive.questions:
                if question.answer in text:
                    places[question.query].append((document.path.name, number))
    for question in archive.questions:
        scanned = is_scan_question(archive, question)
        assert places[question.query] == ([] if scanned else [(question.file_name, question.page_number)])


def test_tesseract_reads_the_answers_that_stand_on_scans(archive: SampleArchive, tmp_path: Path) -> None:
    asked = [question for question in archive.questions if is_scan_question(archive, question)]
    assert len(asked) >= 2
    for question in asked:
        path = path_of(archive, question.file_name)
        languages = {"en": "eng", "fr": "fra"}[question.language] + "+osd"
        assert question.answer in read_with_tesseract(path, question.page_number - 1, languages, tmp_path)


def test_the_two_columns_stand_side_by_side(archive: SampleArchive) -> None:
    ink = page_pixels(path_of_kind(archive, DocumentKind.TWO_COLUMNS), 0)[66:400] < 160
    columns_with_ink = np.asarray(ink.any(axis=0))
    assert columns_with_ink[80:280].mean() > 0.9
    assert columns_with_ink[315:515].mean() > 0.9
    assert not columns_with_ink[290:306].any()


@pytest.fixture
def own_archive(archive: SampleArchive, tmp_path: Path) -> SampleArchive:
    """A copy that a test may change."""
    shutil.copytree(archive.folder, tmp_path, dirs_exist_ok=True)
    moved = (replace(d, path=tmp_path / d.path.relative_to(archive.folder)) for d in archive.documents)
    return SampleArchive(tmp_path, tuple(moved), archive.questions)


def test_change_and_removal(own_archive: SampleArchive) -> None:
    before = hashes(own_archive.folder)
    texts = {d.path: page_texts(d.path) for d in own_archive.documents if d.kind.opens}

    changed, question = change_document(own_archive)
    assert (changed.name, page_count(changed)) == (question.file_name, 2)
    assert not any(question.answer in text for pages in texts.values() for text in pages)
    pages = page_texts(changed)
    assert question.answer in pages[question.page_number - 1]
    assert pages[0] == texts[changed][0]

    removed, question = remove_document(own_archive)
    assert (removed.name, removed.exists()) == (question.file_name, False)
    assert question.answer in texts[removed][question.page_number - 1]
    assert sum(question.answer in text for pages in texts.values() for text in pages) == 1

    after = hashes(own_archive.folder)
    assert {name for name in before if before[name] != after.get(name)} == {
        path.relative_to(own_archive.folder).as_posix() for path in (changed, removed)
    }
    with pytest.raises(NotFoundError, match=removed.name):
        remove_document(own_archive)


def test_a_file_is_not_taken_for_a_folder(tmp_path: Path) -> None:
    target = tmp_path / "archive"
    target.write_text("in the way", encoding="utf-8")
    with pytest.raises(BadInputError, match="not a folder"):
        make_archive(target)
