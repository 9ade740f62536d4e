"""Look at some of what was released with other eyes: source files as they lie now, payloads beside the page's words.

The code that builds points is also the code that says what they should be; a mistake in it shows only to code that
goes another way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ragflow.model.batches import BatchManifest, Corpus
from ragflow.model.fingerprints import sha256_text
from ragflow.model.points import Point
from ragflow.model.verdicts import Verdict, verdict
from ragflow.pipeline.stages import OCR_TEXT
from ragflow.pipeline.workspace import Workspace
from ragflow.store.blobs import hash_file

FILES = 20
"""Source files that are hashed again for a release."""
POINTS = 24
"""Points that are held against their pages."""
BESIDE = 0.01
"""How far a box may be from the words that it marks, in fractions of the page."""


def sources_seen(workspace: Workspace, manifests: Sequence[BatchManifest], corpus: Corpus, salt: str) -> Verdict:
    """A sample of the source files still are what the scan says that they are.

    The scan passes over files whose size and time have not changed; such a file must have the bytes that were taken
    in. Files that are gone, or that the next scan will look at anyway, do not matter here.
    """
    places = {source.name: Path(source.location) for manifest in manifests for source in manifest.sources}
    marks = {name: workspace.home.inventory.load(name) for name in places}
    drawn = sorted(corpus.documents, key=lambda key: sha256_text(f"{salt} {key}"))
    failures: list[dict[str, Any]] = []
    hashed = 0
    for key in drawn:
        name, _, path = key.partition("/")
        mark, wanted = marks.get(name, {}).get(path), corpus.documents[key].sha256
        file = places[name] / path if name in places else None
        if hashed >= FILES or mark is None or file is None or wanted is None:
            continue
        try:
            status = file.stat()
            if (status.st_size, status.st_mtime_ns) != (mark.size, mark.mtime_ns):
                continue
            hashed += 1
            if hash_file(file) != wanted:
                failures.append({"document": key, "problem": "has other bytes than were taken in, and the same time"})
        except OSError:
            # The source is not mounted, or the file has just gone: the next scan says so.
            continue
    return verdict(
        "sources_seen",
        failures,
        passed=f"{hashed} source files, hashed again, are what was taken in.",
        failed=f"{{count}} of {hashed} source files were changed without their time changing.",
        remedy="Delete the inventory of the source (inventory/), and run `ragflow ingest`: every file is hashed again.",
        figure=len(failures),
        threshold=0,
    )


def payloads_match_tables(workspace: Workspace, points: Sequence[Point]) -> Verdict:
    """A sample of the points: text, page number and boxes are those of the page's words."""
    failures: list[dict[str, Any]] = []
    for point in points:
        problem = _mismatch(workspace, point.payload)
        if problem is not None:
            place = {"document": point.payload.get("document_key"), "page": point.payload.get("page_number")}
            failures.append({**place, "point": str(point.id), "problem": problem})
    return verdict(
        "payloads_match_tables",
        failures,
        passed=f"Text, page and boxes of {len(points)} points are those of the words on their pages.",
        failed="{count} points do not say what stands on their pages.",
        remedy="This is a defect of ours, or of a changed table: report it; nothing was published.",
        figure=len(failures),
        threshold=0,
    )


def _mismatch(workspace: Workspace, payload: Mapping[str, Any]) -> str | None:
    """Return what is wrong with the payload of a point; a field that it lacks is wrong, too."""
    tables = workspace.home.tables
    try:
        record = tables.get(OCR_TEXT, payload["batch"])
        place = [("document_sha256", "==", payload["document_sha256"]), ("page_index", "==", payload["page_index"])]
        pages = tables.rows(record, "page_texts", place).to_pylist()
        start, end = payload["char_start"], payload["char_end"]
        if not pages or pages[0]["text"][start:end] != payload["text"]:
            return "its text does not stand on its page"
        if payload["page_number"] != payload["page_index"] + 1:
            return "its page number is not that of its page"
        words = [
            row
            for row in tables.rows(record, "words", place).to_pylist()
            if row["char_start"] < end and row["char_end"] > start
        ]
        boxes = payload["boxes"]
    except KeyError as error:
        return f"its payload lacks {error}"
    if not words or not boxes:
        return None if not words and not boxes else "it has words without boxes, or boxes without words"
    edges = [[word[name] for name in ("left", "top", "right", "bottom")] for word in words]
    marked, wanted = _around(boxes), _around(edges)
    if any(abs(a - b) > BESIDE for a, b in zip(marked, wanted, strict=True)):
        return "its boxes do not mark its words"
    return None


def _around(boxes: Sequence[Sequence[float]]) -> tuple[float, float, float, float]:
    """Return the box around all boxes."""
    left, top, right, bottom = zip(*boxes, strict=True)
    return min(left), min(top), max(right), max(bottom)
