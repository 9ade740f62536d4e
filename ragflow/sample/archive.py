"""The sample archive: which documents it has, and how it changes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ragflow.errors import BadInputError, NotFoundError
from ragflow.sample import questions
from ragflow.sample.blocks import parse_pages
from ragflow.sample.layout import PageStyle
from ragflow.sample.picture import PICTURE_DPI, draw_chart
from ragflow.sample.records import DocumentKind, SampleArchive, SampleDocument, SampleQuestion
from ragflow.sample.scan_pdf import ImagePage, ScanLook, image_pdf_bytes, scan_images
from ragflow.sample.text_pdf import text_pdf_bytes
from ragflow.sample.texts import bridges, deliberations, harvest, letters, minutes, scans, school, survey, water

USER_PASSWORD = "Candlemas"
_TRUNCATED_SHARE = 0.4
_BOOK = PageStyle(size=14.0, justified=True)
_SANS = PageStyle(font="Helvetica", bold="Helvetica-Bold", size=12.5)
_COLUMNS = PageStyle(size=13.0, columns=2, justified=True)


@dataclass(frozen=True, slots=True)
class _Plan:
    """One document to write; ``data`` makes its bytes."""

    name: str
    kind: DocumentKind
    pages: int | None
    language: str | None
    data: Callable[[], bytes]


def make_archive(folder: Path) -> SampleArchive:
    """Write the sample archive: the papers of an imaginary municipality, in English and French.

    The same bytes are written each time. Files of the same names are overwritten, others are left alone.

    Args:
        folder: made if it is not there.

    Raises:
        BadInputError: ``folder`` is a file.
    """
    if folder.exists() and not folder.is_dir():
        raise BadInputError(f"{folder} is not a folder.", remedy="Name a folder for the sample archive.")
    documents = []
    for plan in _plans():
        path = folder / plan.name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(plan.data())
        documents.append(SampleDocument(path, plan.kind, plan.pages, plan.language))
    return SampleArchive(folder, tuple(documents), questions.QUESTIONS)


def change_document(archive: SampleArchive) -> tuple[Path, SampleQuestion]:
    """Rewrite the letter about the harbour light (two pages) with another paragraph on its second page.

    Returns:
        The file, and a question about the new fact, which nothing answered before.

    Raises:
        NotFoundError: the document is no longer there.
    """
    path = _find(archive, questions.HARBOUR_LIGHT)
    path.write_bytes(_harbour_light(letters.HARBOUR_LIGHT_AFTER))
    return path, questions.CHANGED


def remove_document(archive: SampleArchive) -> tuple[Path, SampleQuestion]:
    """Delete the notice of the ferry.

    Returns:
        The path where the file was, and a question that only this document answered.

    Raises:
        NotFoundError: the document is no longer there.
    """
    path = _find(archive, questions.FERRY)
    path.unlink()
    return path, questions.REMOVED


def _find(archive: SampleArchive, name: str) -> Path:
    path = next((document.path for document in archive.documents if document.path.name == name), None)
    if path is None or not path.is_file():
        raise NotFoundError(f"{name} is not in the sample archive {archive.folder}.", remedy="Make the archive anew.")
    return path


def _plans() -> tuple[_Plan, ...]:
    born, scan = DocumentKind.BORN_DIGITAL, DocumentKind.SCAN
    english, french = partial(_text, "en"), partial(_text, "fr")
    organ = partial(english, letters.PARISH_LETTER_TITLE, letters.PARISH_LETTER, _SANS)
    eulalie = "Sainte-Eulalie"
    return (
        _Plan(f"council/{questions.MINUTES}", born, 9, "en", partial(english, minutes.TITLE, minutes.TEXT, _BOOK)),
        _Plan(f"works/{questions.WATER}", born, 8, "en", partial(english, water.TITLE, water.TEXT, _SANS)),
        _Plan(f"works/{questions.BRIDGES}", born, 8, "en", partial(english, bridges.TITLE, bridges.text(), _BOOK)),
        _Plan(
            f"works/{questions.SURVEY}",
            DocumentKind.TWO_COLUMNS,
            7,
            "en",
            partial(english, survey.TITLE, survey.text(), _COLUMNS),
        ),
        _Plan(
            f"harbour/{questions.HARBOUR_LIGHT}", born, 2, "en", partial(_harbour_light, letters.HARBOUR_LIGHT_BEFORE)
        ),
        _Plan(f"harbour/{questions.FERRY}", born, 1, "en", partial(english, letters.FERRY_TITLE, letters.FERRY, _SANS)),
        _Plan("schools/Visit to the boys' school 1908.pdf", DocumentKind.BLANK_PAGE, 3, "en", _school_visit),
        _Plan(
            f"{eulalie}/{questions.DELIBERATIONS}",
            born,
            8,
            "fr",
            partial(french, deliberations.TITLE, deliberations.TEXT, _BOOK),
        ),
        _Plan(f"{eulalie}/{questions.HARVEST}", born, 6, "fr", partial(french, harvest.TITLE, harvest.TEXT, _SANS)),
        _Plan(f"{eulalie}/{questions.SCHOOL}", born, 6, "fr", partial(french, school.TITLE, school.text(), _BOOK)),
        _Plan(
            f"harbour/scans/{questions.HARBOUR_LETTERS}",
            scan,
            4,
            "en",
            partial(_scan, "en", scans.HARBOUR_LETTERS_TITLE, scans.HARBOUR_LETTERS, 1.0, 1898),
        ),
        _Plan(f"harbour/scans/{questions.LIGHTHOUSE_LOG}", DocumentKind.TURNED_SCAN, 3, "en", _turned_scan),
        _Plan(
            f"{eulalie}/{questions.PARISH_FR}",
            scan,
            3,
            "fr",
            partial(_scan, "fr", scans.PARISH_FR_TITLE, scans.PARISH_FR, -0.9, 1874),
        ),
        _Plan("Île de Sarnel.pdf", DocumentKind.PICTURE, 1, None, _chart),
        _Plan("parishes/Havrelin organ.pdf", born, 2, "en", organ),
        _Plan("parishes/Copy of Havrelin organ.pdf", DocumentKind.DUPLICATE, 2, "en", organ),
        _Plan("council/Salaries 1933 (confidential).pdf", DocumentKind.ENCRYPTED, None, None, _encrypted),
        _Plan("damaged/Tithe roll 1861.pdf", DocumentKind.TRUNCATED, None, None, _truncated),
    )


def _text(language: str, title: str, text: str, style: PageStyle) -> bytes:
    return text_pdf_bytes(parse_pages(text, language), title=title, language=language, style=style, footer=title)


def _harbour_light(character: str) -> bytes:
    text = letters.HARBOUR_LIGHT.format(character=character)
    return _text("en", letters.HARBOUR_LIGHT_TITLE, text, _BOOK)


def _school_visit() -> bytes:
    first, last = (parse_pages(text, "en")[0] for text in (letters.SCHOOL_VISIT_FIRST, letters.SCHOOL_VISIT_LAST))
    return text_pdf_bytes((first, (), last), title=letters.SCHOOL_VISIT_TITLE, language="en", style=_BOOK)


def _scan(language: str, title: str, text: str, skew_degrees: float, seed: int) -> bytes:
    look = ScanLook(skew_degrees=skew_degrees)
    images = scan_images(parse_pages(text, language), look, seed=seed)
    # Scanners do not know the language, so the catalogue does not say it.
    return image_pdf_bytes([ImagePage(image) for image in images], dpi=look.dpi, title=title)


def _turned_scan() -> bytes:
    """Three pages: upright; on its side, put right by ``/Rotate``; on its side, as a careless hand laid it."""
    upright, rotated, turned = parse_pages(scans.LIGHTHOUSE_LOG, "en")
    pages = []
    for blocks, turn, rotation in ((upright, 0, 0), (rotated, 270, 90), (turned, 90, 0)):
        look = ScanLook(skew_degrees=0.6, turn=turn)
        (image,) = scan_images([blocks], look, seed=1904 + turn)
        pages.append(ImagePage(image, rotation))
    return image_pdf_bytes(pages, dpi=ScanLook().dpi, title=scans.LIGHTHOUSE_LOG_TITLE)


def _chart() -> bytes:
    return image_pdf_bytes([ImagePage(draw_chart())], dpi=PICTURE_DPI)


def _encrypted() -> bytes:
    pages = parse_pages(letters.SALARIES, "en")
    return text_pdf_bytes(pages, title=letters.SALARIES_TITLE, language="en", user_password=USER_PASSWORD)


def _truncated() -> bytes:
    whole = _text("en", letters.TITHE_TITLE, letters.TITHE, _BOOK)
    return whole[: int(len(whole) * _TRUNCATED_SHARE)]  # the page tree and the catalogue lie behind the cut
