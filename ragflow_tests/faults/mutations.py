"""What a fault does to the output of a stage: pure functions on plain rows. Each returns something new and leaves its
input.

The fields of the rows stand in :class:`ragflow_tests.faults.catalogue.Level`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

from ragflow_tests.faults.documents import Row, Scene

Rows = list[Row]
RowsChange = Callable[[Rows, Scene], Rows]

FAR = 0.2
"""How far boxes are shifted, in fractions of the page."""
SURE = 0.97


class NothingToChangeError(Exception):
    """The rows do not have what the fault is about: the test is wrong, not the pipeline."""


def _pick(rows: Iterable[Row], document: str | None, page: int | None = None) -> Row:
    return _all(rows, document, page)[0]


def _all(rows: Iterable[Row], document: str | None, page: int | None = None) -> Rows:
    found = [row for row in rows if row["document"] == document and (page is None or row["page"] == page)]
    if not found:
        raise NothingToChangeError(f"{document}, page {page}")
    return found


def instead(rows: Rows, old: Row, *new: Row) -> Rows:
    place = next(number for number, row in enumerate(rows) if row is old)
    return [*rows[:place], *new, *rows[place + 1 :]]


def moved(box: Sequence[float]) -> list[float]:
    """A box further down the page, still on it."""
    left, top, right, bottom = box
    down = min(FAR, 1.0 - bottom) if bottom < 0.8 else -FAR
    return [left, round(top + down, 5), right, round(bottom + down, 5)]


# Documents and pages.


def drop_document(rows: Rows, scene: Scene) -> Rows:
    return instead(rows, _pick(rows, scene.new))


def lose_last_page(rows: Rows, scene: Scene) -> Rows:
    row = _pick(rows, scene.new)
    return instead(rows, row, {**row, "pages": row["pages"][:-1]})


def change_title(rows: Rows, scene: Scene) -> Rows:
    row = _pick(rows, scene.new)
    return instead(rows, row, {**row, "title": "Accounts of another parish"})


def call_unchanged(rows: Rows, scene: Scene) -> Rows:
    row = _pick(rows, scene.changed)
    return instead(rows, row, {**row, "seen": row["is"]})


def drop_page(rows: Rows, scene: Scene) -> Rows:
    return instead(rows, _pick(rows, scene.new, 1))


def drop_scanned_page(rows: Rows, scene: Scene) -> Rows:
    return instead(rows, _pick(rows, scene.scan, 1))


def double_page(rows: Rows, scene: Scene) -> Rows:
    row = _pick(rows, scene.new, 1)
    return instead(rows, row, row, row)


def blank_page(rows: Rows, scene: Scene) -> Rows:
    return _blanked(rows, _pick(rows, scene.new, 1))


def blank_scanned_page(rows: Rows, scene: Scene) -> Rows:
    return _blanked(rows, _pick(rows, scene.scan, 1))


def _blanked(rows: Rows, row: Row) -> Rows:
    return instead(rows, row, {**row, "status": "blank", "text": "", "words": []})


def quarantine_page(rows: Rows, scene: Scene) -> Rows:
    row = _pick(rows, scene.new, 1)
    return instead(rows, row, {**row, "status": "quarantined", "reason": "engine_failed", "text": "", "words": []})


def page_of_another(rows: Rows, scene: Scene) -> Rows:
    row, other = _pick(rows, scene.new, 1), _pick([*rows, *scene.earlier], scene.other, 1)
    return instead(rows, row, {**other, "document": row["document"], "page": row["page"]})


def text_of_another_on_scan(rows: Rows, scene: Scene) -> Rows:
    """Text and words only: the page keeps the pixels that the engine saw."""
    row, other = _pick(rows, scene.scan, 1), _pick([*rows, *scene.earlier], scene.other, 1)
    words = [{**word, "confidence": SURE} for word in other["words"]]
    return instead(rows, row, {**row, "text": other["text"], "words": words})


def exchange_pages(rows: Rows, scene: Scene) -> Rows:
    one, two = _pick(rows, scene.new, 1), _pick(rows, scene.new, scene.second)
    rows = instead(rows, one, {**two, "page": one["page"]})
    return instead(rows, two, {**one, "page": two["page"]})


def change_one_word(rows: Rows, scene: Scene) -> Rows:
    row = _pick(rows, scene.new, 1)
    return instead(rows, row, _retyped(row, [len(row["words"]) // 2]))


def garble_region(rows: Rows, scene: Scene) -> Rows:
    """The last third of the lines of a scanned page becomes letters that are no language, all of them sure."""
    row = _pick(rows, scene.scan, 1)
    lines = sorted({word["line"] for word in row["words"]})
    bad = set(lines[-max(1, len(lines) // 3) :])
    return instead(rows, row, _retyped(row, [n for n, word in enumerate(row["words"]) if word["line"] in bad]))


def _retyped(row: Row, numbers: Sequence[int]) -> Row:
    """Put other letters, as many as before, into some words of a page, and into its text."""
    text, words = row["text"], list(row["words"])
    for number in numbers:
        word = words[number]
        letters = _noise(number, len(word["text"]))
        words[number] = {**word, "text": letters, "confidence": SURE}
        text = text[: word["start"]] + letters + text[word["end"] :]
    return {**row, "text": text, "words": words}


def _noise(seed: int, length: int) -> str:
    """Letters that no word is made of; the same for the same seed."""
    alphabet = "xqzvkjwxrtqgzfbnhc"
    return "".join(alphabet[(seed * 7 + place * (seed % 5 + 3)) % len(alphabet)] for place in range(length))


def lose_line(rows: Rows, scene: Scene) -> Rows:
    """The last line of a scanned page is not there."""
    row = _pick(rows, scene.scan, 1)
    last = max(word["line"] for word in row["words"])
    words = [word for word in row["words"] if word["line"] != last]
    return instead(rows, row, {**row, "text": row["text"][: words[-1]["end"]], "words": words})


def raise_confidence(rows: Rows, scene: Scene) -> Rows:
    row = _pick(rows, scene.scan, 1)
    return instead(rows, row, {**row, "words": [{**word, "confidence": 1.0} for word in row["words"]]})


def page_in_wrong_language(rows: Rows, scene: Scene) -> Rows:
    row = _pick(rows, scene.new, 1)
    return instead(rows, row, {**row, "language": "de"})


def shift_word_boxes(rows: Rows, scene: Scene) -> Rows:
    return _with_moved_words(rows, _pick(rows, scene.new, 1))


def shift_scanned_word_boxes(rows: Rows, scene: Scene) -> Rows:
    return _with_moved_words(rows, _pick(rows, scene.scan, 1))


def _with_moved_words(rows: Rows, row: Row) -> Rows:
    words = [{**word, "box": moved(word["box"])} for word in row["words"]]
    return instead(rows, row, {**row, "words": words})


# Chunks.


def drop_chunk(rows: Rows, scene: Scene) -> Rows:
    return instead(rows, _pick(rows, scene.new, 1))


def double_chunk(rows: Rows, scene: Scene) -> Rows:
    row = _pick(rows, scene.new, 1)
    last = max(other["number"] for other in _all(rows, scene.new))
    return [*rows, {**row, "number": last + 1}]


def cut_chunk_short(rows: Rows, scene: Scene) -> Rows:
    row = _pick(rows, scene.new, 1)
    half = row["text"].index(" ", len(row["text"]) // 2)
    return instead(rows, row, {**row, "text": row["text"][:half], "end": row["start"] + half})


def chunk_too_long(rows: Rows, scene: Scene) -> Rows:
    """All chunks of a long page become one, which the model cannot read to its end."""
    parts = _all(rows, scene.new, scene.second)
    if len(parts) < 2:
        raise NothingToChangeError("a page of several chunks")
    start, end = parts[0]["start"], parts[-1]["end"]
    whole = {
        **parts[0],
        "end": end,
        "text": scene.texts[scene.new, scene.second][start:end],
        "tokens": max(part["tokens"] for part in parts),
        "boxes": [box for part in parts for box in part["boxes"]],
    }
    return [row for row in instead(rows, parts[0], whole) if row not in parts[1:]]


def chunk_on_wrong_page(rows: Rows, scene: Scene) -> Rows:
    row = _pick(rows, scene.new, 1)
    return instead(rows, row, {**row, "page": scene.second})


def shift_chunk_boxes(rows: Rows, scene: Scene) -> Rows:
    row = _pick(rows, scene.new, 1)
    return instead(rows, row, {**row, "boxes": [moved(box) for box in row["boxes"]]})


def chunk_in_wrong_language(rows: Rows, scene: Scene) -> Rows:
    row = _pick(rows, scene.new, 1)
    return instead(rows, row, {**row, "language": "de"})


def chunk_too_sure(rows: Rows, scene: Scene) -> Rows:
    row = _pick(rows, scene.scan, 1)
    return instead(rows, row, {**row, "confidence": 1.0})


# Vectors.


def swap_vectors(rows: Rows, scene: Scene) -> Rows:
    one, two, *others = rows
    return [vectors_of(two, one), vectors_of(one, two), *others]


def vectors_of(source: Row, target: Row) -> Row:
    return {**target, "dense": source["dense"], "sparse": source["sparse"]}


def swap_dense_vectors(rows: Rows, scene: Scene) -> Rows:
    one, two, *others = rows
    return [{**one, "dense": two["dense"]}, {**two, "dense": one["dense"]}, *others]


def zero_vector(rows: Rows, scene: Scene) -> Rows:
    return [{**rows[0], "dense": [0.0] * len(rows[0]["dense"])}, *rows[1:]]


def nan_vector(rows: Rows, scene: Scene) -> Rows:
    return [{**rows[0], "dense": [math.nan, *rows[0]["dense"][1:]]}, *rows[1:]]


def vectors_of_another_model(rows: Rows, scene: Scene) -> Rows:
    """As another model of the same dimension would give them: of unit length, and in other directions."""
    return [{**row, "dense": row["dense"][1::2] + row["dense"][::2]} for row in rows]


def drop_vector(rows: Rows, scene: Scene) -> Rows:
    return rows[1:]


def lose_sparse(rows: Rows, scene: Scene) -> Rows:
    return [{**row, "sparse": {}} for row in rows]
