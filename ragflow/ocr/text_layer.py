"""The engine that takes the text a PDF carries, if it can be trusted."""

from __future__ import annotations

import ctypes
import math
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import pypdfium2.raw as pdfium

from ragflow.model.reading import PageReading, PageStatus
from ragflow.ocr.compose import LINE_HYPHEN, Line, Piece, compose
from ragflow.ocr.engine import EngineError
from ragflow.ocr.layer_sample import SAMPLE_DPI, agreement, is_plainly_text
from ragflow.ocr.layout import PlacedLine, find_headings, number_blocks
from ragflow.ocr.options import TEXT_LAYER, TrustThresholds
from ragflow.ocr.page import Page, PdfError
from ragflow.ocr.pdf import PageView
from ragflow.ocr.recognition import Recogniser
from ragflow.ocr.trust import Distrust, has_meaning, hides_text, is_mojibake

MAX_CHARACTERS = 500_000
"""Characters read from one page; a page of print has 5,000."""

# PDFium puts U+0002 where a hyphen ended a line, and no line break after it.
_TOKENS = re.compile(rf"[^\s{LINE_HYPHEN}]+{LINE_HYPHEN}?|{LINE_HYPHEN}|[\r\n]+")


class _Token(NamedTuple):
    """A word with its place among the characters of the text page."""

    first: int
    piece: Piece


class TextLayerEngine:
    """Words, boxes and reading order from PDFium; confidence 1.0 throughout.

    Passes a page on if it carries no visible word, or words that are not what a reader sees: characters without
    meaning, text outside the page, invisible or covered text and stamps on a scan.
    """

    name = TEXT_LAYER

    def __init__(
        self,
        trust: TrustThresholds | None = None,
        sampler: Recogniser | None = None,
        languages: Sequence[str] = (),
    ) -> None:
        """
        Args:
            sampler: reads a few lines of a doubtful page; without it no page is compared with its pixels.
            languages: of the sampler.
        """
        self.runs = 0
        self.distrust: Distrust | None = None
        """Why the text of the page that was asked for last was not believed; None if it was, or if there is none."""
        self._trust = trust or TrustThresholds()
        self._sampler = sampler
        self._languages = tuple(languages)

    def read(self, page: Page) -> PageReading | None:
        self.distrust = None
        if not isinstance(page, PageView):
            return None  # an image carries no text
        text_page = page.text_page
        if text_page is None:
            return None
        characters = read_characters(text_page)
        if not characters.strip():
            return None
        if not has_meaning(characters, text_page, self._trust):
            self.distrust = Distrust.MEANINGLESS
            return None
        if is_mojibake(characters, self._trust):
            self.distrust = Distrust.MOJIBAKE
            return None
        lines, inside, outside = _read_lines(characters, text_page, page)
        if not inside or outside > self._trust.max_outside_words * (inside + outside):
            self.distrust = Distrust.MISPLACED
            return None
        if hides_text(page, [token.first for line in lines for token in line], self._trust):
            self.distrust = Distrust.HIDDEN
            return None
        placed = [_place(line, text_page, page) for line in lines]
        blocks = number_blocks(placed)
        text, words = compose(
            [Line(block, [token.piece for token in line]) for block, line in zip(blocks, lines, strict=True)]
        )
        if not any(character.isalnum() for character in text):
            return None
        if self._contradicted(page, text, lines, placed):
            self.distrust = Distrust.CONTRADICTED
            return None
        self.runs += 1
        return PageReading(
            page_index=page.page_index,
            status=PageStatus.INDEXED,
            engine=self.name,
            text=text,
            words=words,
            headings=find_headings(text, words, page.height_pt),
        )

    def _contradicted(
        self, page: PageView, text: str, lines: Sequence[Sequence[_Token]], placed: Sequence[PlacedLine]
    ) -> bool:
        """Return whether the pixels of a few lines say something else."""
        how = self._trust.sample
        if self._sampler is None or how == "never" or (how == "doubtful" and is_plainly_text(text)):
            return False
        boxes = []
        for line, place in zip(lines, placed, strict=True):
            if not place.vertical:
                pieces = [token.piece for token in line]
                box = (
                    min(piece.left for piece in pieces),
                    min(piece.top for piece in pieces),
                    max(piece.right for piece in pieces),
                    max(piece.bottom for piece in pieces),
                )
                boxes.append((" ".join(piece.text for piece in pieces), box))
        try:
            alike = agreement(page.render(SAMPLE_DPI).pixels, boxes, self._sampler, self._languages)
        except (PdfError, EngineError):
            return False  # a page that cannot be rendered cannot be read by OCR either
        return alike is not None and alike < self._trust.min_agreement


def read_characters(text_page: Any) -> str:
    """Return the characters of a text page, one per PDFium character index."""
    count = min(max(0, pdfium.FPDFText_CountChars(text_page)), MAX_CHARACTERS)
    text = _whole_text(text_page, count)
    if text is not None:
        return text
    get = pdfium.FPDFText_GetUnicode
    codes = [get(text_page, index) for index in range(count)]
    return "".join([chr(code) if code < 0x110000 else "\ufffd" for code in codes])


def _whole_text(text_page: Any, count: int) -> str | None:
    """Return the text in one call where its indices are those of the characters, else None.

    PDFium leaves control characters out of the text, and may write one character as two; either changes the length
    or leaves a trace.
    """
    buffer = (ctypes.c_ushort * (count + 1))()
    if pdfium.FPDFText_GetText(text_page, 0, count, buffer) != count + 1:
        return None
    text = bytes(buffer)[: 2 * count].decode("utf-16-le", "replace")
    if len(text) != count:
        return None
    for index in [match.start() for match in re.finditer("\ufffe", text)]:  # a hyphen, or a character without a code
        text = text[:index] + chr(pdfium.FPDFText_GetUnicode(text_page, index)) + text[index + 1 :]
    return text


def _read_lines(characters: str, text_page: Any, page: PageView) -> tuple[list[list[_Token]], int, int]:
    """Return PDFium's lines of words, and how many words lie inside and outside the displayed page.

    Words outside are not displayed, and so are left out.
    """
    xu, xv, yu, yv, u0, v0 = page.to_displayed()
    get_box = pdfium.FPDFText_GetLooseCharBox
    first_box, last_box = pdfium.FS_RECTF(), pdfium.FS_RECTF()
    first_reference, last_reference = ctypes.byref(first_box), ctypes.byref(last_box)
    lines: list[list[_Token]] = []
    line: list[_Token] = []
    inside = outside = 0
    for match in _TOKENS.finditer(characters):
        token = match.group()
        if token[0] in "\r\n":
            if line:
                lines.append(line)
                line = []
            continue
        start, end = match.span()
        get_box(text_page, start, first_reference)
        left, bottom, right, top = first_box.left, first_box.bottom, first_box.right, first_box.top
        if end - start > 1:
            get_box(text_page, end - 1, last_reference)
            left, right = min(left, last_box.left), max(right, last_box.right)
            bottom, top = min(bottom, last_box.bottom), max(top, last_box.top)
        a, b = xu * left + yu * bottom + u0, xu * right + yu * top + u0
        c, d = xv * left + yv * bottom + v0, xv * right + yv * top + v0
        if a > b:
            a, b = b, a
        if c > d:
            c, d = d, c
        if b > 0.0 and a < 1.0 and d > 0.0 and c < 1.0:  # false for NaN, too
            inside += 1
            box = (max(0.0, a), max(0.0, c), min(1.0, b), min(1.0, d))
            line.append(_Token(start, Piece(token if token.isascii() else _combine_surrogates(token), *box, 1.0)))
        else:
            outside += 1
        if token[-1] == LINE_HYPHEN and line:
            lines.append(line)
            line = []
    if line:
        lines.append(line)
    return lines, inside, outside


def _combine_surrogates(text: str) -> str:
    """Return ``text`` with pairs of surrogates, which PDFium counts as two characters, as one."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _place(line: list[_Token], text_page: Any, page: PageView) -> PlacedLine:
    boxes = [token.piece for token in line]
    angle = pdfium.FPDFText_GetCharAngle(text_page, line[0].first)
    quarter_turns = round(angle / (math.pi / 2)) + page.rotation // 90
    vertical = quarter_turns % 2 == 1
    if vertical:
        sizes = sorted((box.right - box.left) * page.width_pt for box in boxes)
    else:
        sizes = sorted((box.bottom - box.top) * page.height_pt for box in boxes)
    return PlacedLine(
        left=min(box.left for box in boxes) * page.width_pt,
        top=min(box.top for box in boxes) * page.height_pt,
        right=max(box.right for box in boxes) * page.width_pt,
        bottom=max(box.bottom for box in boxes) * page.height_pt,
        size=max(sizes[len(sizes) // 2], 0.1),
        vertical=vertical,
    )
