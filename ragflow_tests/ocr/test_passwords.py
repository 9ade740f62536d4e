"""The passwords file: what is read from it, when it is refused, and which bytes open which document."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from reportlab.lib.pdfencrypt import StandardEncryption

from ragflow.errors import UsageError
from ragflow.model.reading import Reason
from ragflow.ocr.inspection import inspect_document
from ragflow.ocr.options import ReadingOptions
from ragflow.ocr.passwords import MAX_PASSWORDS, encoded, load_passwords
from ragflow_tests.ocr.pdfs import ENGLISH, lines_at, write_pdf

OPTIONS = ReadingOptions(engines=("text_layer",))


def private(path: Path, data: bytes, mode: int = 0o600) -> Path:
    path.write_bytes(data)
    path.chmod(mode)
    return path


def test_no_file_is_no_passwords() -> None:
    assert load_passwords(None) == ()


def test_lines_comments_and_escapes(tmp_path: Path) -> None:
    data = "\ufeff# staff\r\nsecret\r\n\n   \n two words \n\\#hash\n\\\\#both\n\\other\næøå\nsecret\n#end".encode()
    found = load_passwords(private(tmp_path / "p", data))
    assert found == ("secret", " two words ", "#hash", "\\#both", "\\other", "æøå")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o610, 0o644])
def test_a_file_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    path = private(tmp_path / "p", b"geheim\n", mode)
    with pytest.raises(UsageError, match="by others than its owner") as caught:
        load_passwords(path)
    assert caught.value.remedy == f"Run: chmod 600 {path}"


def test_what_is_no_plain_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    for path in (tmp_path, tmp_path / "pipe", tmp_path / "none"):
        with pytest.raises(UsageError, match=r"is no plain file|cannot be read"):
            load_passwords(path)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"fine\ngeheim\xe6\n", "line 2"),
        (b"gehe\0im\n", "NUL character in line 1"),
        (b"".join(b"geheim%d\n" % n for n in range(MAX_PASSWORDS + 1)), "1001 passwords"),
        (b"geheim\n" * 200_000, "more than 1,048,576 bytes"),
    ],
)
def test_bad_content_is_refused_without_being_quoted(tmp_path: Path, data: bytes, words: str) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        load_passwords(private(tmp_path / "p", data))
    told = f"{caught.value!r} {caught.value} {caught.value.__cause__!r}"
    assert "gehe" not in told and "xe6" not in told
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_forms_that_are_tried() -> None:
    assert list(encoded(["plain"])) == [b"plain"]
    assert list(encoded(["æø"])) == ["æø".encode(), "æø".encode("latin-1")]
    assert list(encoded(["пароль"])) == ["пароль".encode()]
    # RFC 4013: a soft hyphen goes, a feminine ordinal indicator becomes a letter.
    assert b"SaSLprep" in list(encoded(["S\u00aaSL\u00adprep"]))


@pytest.mark.parametrize("strength", [40, 128])
@pytest.mark.parametrize("password", ["secret", " two words ", "æøå"])
def test_documents_open(tmp_path: Path, strength: int, password: str) -> None:
    lock = StandardEncryption(password, strength=strength)
    path = write_pdf(tmp_path / "a.pdf", [lines_at(ENGLISH)], encrypt=lock)
    assert inspect_document(path, OPTIONS, ["wrong"]).reason is Reason.ENCRYPTED
    found = inspect_document(path, OPTIONS, ["wrong", password])
    assert (found.reason, found.page_count, found.encrypted) == (None, 1, True)


def test_what_opened_the_last_document_is_tried_first(tmp_path: Path) -> None:
    passwords = ["first", "second", "third"]
    path = write_pdf(tmp_path / "a.pdf", [lines_at(ENGLISH)], encrypt=StandardEncryption("third", strength=128))
    assert inspect_document(path, OPTIONS, passwords).reason is None
    assert list(encoded(passwords)) == [b"third", b"first", b"second"]
    assert list(encoded(["other"])) == [b"other"], "only what the file holds now is tried"


@pytest.mark.corpora
@pytest.mark.skipif("RAGFLOW_CORPORA" not in os.environ, reason="RAGFLOW_CORPORA names no folder")
def test_documents_of_the_corpora_open() -> None:
    """Each list names files beside it or below it: name, tab, password."""
    tried = 0
    for listed in Path(os.environ["RAGFLOW_CORPORA"]).rglob("TEST_PASSWORDS.tsv"):
        for line in listed.read_text(encoding="utf-8").splitlines()[1:]:
            name, password = line.split("\t")
            for path in listed.parent.rglob(name):
                assert inspect_document(path, OPTIONS).reason is Reason.ENCRYPTED, path
                assert inspect_document(path, OPTIONS, ["wrong", password]).reason is None, path
                tried += 1
    assert tried
