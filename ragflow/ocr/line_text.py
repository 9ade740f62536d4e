"""One engine's reading of one line, in the form in which readings are compared."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from ragflow.ocr.line_reading import Character
from ragflow.ocr.line_sheet import SheetWord


class LineText(NamedTuple):
    """What an engine read on a line.

    Attributes:
        engine: its name.
        text: words parted by one space each.
        confidences: the engine's own, one per character of the text, 0.0 to 1.0.
        edges: (left, right) of each character, as fractions of the line's width.
    """

    engine: str
    text: str
    confidences: tuple[float, ...]
    edges: tuple[tuple[float, float], ...]

    def part(self, start: int, end: int) -> LineText:
        """Return the characters from ``start`` up to ``end``."""
        return LineText(self.engine, self.text[start:end], self.confidences[start:end], self.edges[start:end])

    def words(self) -> list[LineText]:
        """Return the words one by one; a reading without text is one empty word."""
        words, position = [], 0
        for word in self.text.split(" "):
            words.append(self.part(position, position + len(word)))
            position += len(word) + 1
        return words

    @property
    def lowest(self) -> float:
        """The least confidence; 0.0 if there is no text."""
        return min(self.confidences, default=0.0)

    @property
    def mean(self) -> float:
        """The mean confidence; 0.0 if there is no text."""
        return sum(self.confidences) / len(self.confidences) if self.confidences else 0.0


def bare(text: str) -> str:
    """Return the letters and digits of a text, case folded: what two readings must share to agree."""
    return "".join(filter(str.isalnum, text)).casefold()


def from_characters(engine: str, characters: Iterable[Character]) -> LineText:
    """Return a reading made of characters; spaces are put in order."""
    kept: list[Character] = []
    for character in characters:
        if character.text == " " and (not kept or kept[-1].text == " "):
            continue
        kept.append(character)
    if kept and kept[-1].text == " ":
        kept.pop()
    return LineText(
        engine,
        "".join(character.text for character in kept),
        tuple(character.confidence for character in kept),
        tuple((character.left, character.right) for character in kept),
    )


def from_words(engine: str, words: Sequence[SheetWord]) -> LineText:
    """Return a reading made of words; a word's characters are taken to be equally wide and equally sure."""
    text: list[str] = []
    confidences: list[float] = []
    edges: list[tuple[float, float]] = []
    for word in words:
        if text:
            text.append(" ")
            confidences.append(word.confidence)
            edges.append((edges[-1][1], max(edges[-1][1], word.left)))
        step = (word.right - word.left) / len(word.text)
        for index, character in enumerate(word.text):
            text.append(character)
            confidences.append(word.confidence)
            edges.append((word.left + index * step, word.left + (index + 1) * step))
    return LineText(engine, "".join(text), tuple(confidences), tuple(edges))


def joined(parts: Sequence[LineText]) -> LineText:
    """Return parts of one line, left to right, as one reading, with a space between them."""
    filled = [part for part in parts if part.text]
    if not filled:
        return LineText(parts[0].engine if parts else "", "", (), ())
    text, confidences, edges = filled[0].text, list(filled[0].confidences), list(filled[0].edges)
    for part in filled[1:]:
        text += " " + part.text
        confidences += [min(confidences[-1], part.confidences[0]), *part.confidences]
        edges += [(edges[-1][1], part.edges[0][0]), *part.edges]
    return LineText(filled[0].engine, text, tuple(confidences), tuple(edges))
