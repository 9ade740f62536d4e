"""Lead one point back to its pixels: point → vector → chunk → page text → words → page → stored bytes, hash by hash."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from ragflow.errors import IntegrityError, NotFoundError, UsageError
from ragflow.model.batches import Corpus, fold
from ragflow.model.fingerprints import sha256_text
from ragflow.model.points import vector_sha256
from ragflow.model.words import words_sha256
from ragflow.ocr.document import open_document
from ragflow.ocr.passwords import load_passwords
from ragflow.ocr.pool import TaskFailure
from ragflow.pipeline.deep import RecheckTask, recheck, recheck_page
from ragflow.pipeline.desired import by_home, desired_points, load_inputs, titles
from ragflow.pipeline.examination import find_version
from ragflow.pipeline.observed import observed_hash
from ragflow.pipeline.release import live_version
from ragflow.pipeline.stages import CHUNKS, OCR_TEXT
from ragflow.pipeline.workspace import Workspace

MARK_DPI = 110
"""Resolution of the marked page image: readable, and a few hundred kilobytes."""
MARK_COLOUR = (255, 196, 0)
MARK_STRENGTH = 0.45
CHAINED = (
    "document_key",
    "document_sha256",
    "batch",
    "page_index",
    "chunk_index",
    "char_start",
    "char_end",
    "text",
    "text_sha256",
    "page_text_sha256",
    "words_sha256",
    "vector_sha256",
)
"""Fields of a payload that lead back to the page."""


@dataclass(frozen=True, slots=True)
class Link:
    """One link of the chain: what was recorded, what was recomputed now."""

    name: str
    recorded: str
    found: str

    @property
    def holds(self) -> bool:
        return self.recorded == self.found


@dataclass(frozen=True, slots=True)
class Trace:
    """The chain of one point.

    Attributes:
        payload: of the point.
        version: collection version in which it was found.
        links: from the vector down to the bytes.
        words: text and box of each word of the chunk.
        present: whether the document is still in the archive, unchanged.
    """

    point_id: str
    version: str
    payload: dict[str, Any]
    links: tuple[Link, ...]
    words: tuple[dict[str, Any], ...]
    present: bool

    @property
    def holds(self) -> bool:
        return all(link.holds for link in self.links)


def trace(workspace: Workspace, point_id: str, version: str | None = None) -> Trace:
    """Recompute every link between a point and the stored bytes of its document.

    Args:
        version: where to look for the point; None: the live version.

    Raises:
        UsageError: not a point id.
        NotFoundError: no such point or version.
        IntegrityError: a table cannot be read, or the point's payload lacks what leads back.
    """
    try:
        identifier = uuid.UUID(point_id)
    except ValueError as error:
        raise UsageError(f"{point_id!r} is not a point id.", remedy="Take the `point_id` of a search hit.") from error
    version = version or live_version(workspace)
    if version is None:
        raise NotFoundError("Nothing is live yet.", remedy="Run `ragflow ingest` first.")
    record = find_version(workspace, version)
    workspace = workspace.at(record)
    with workspace.versions().open(version) as reader:
        points = reader.retrieve([identifier])
    if not points:
        raise NotFoundError(
            f"Version {version} has no point {point_id}.", remedy="Take the `point_id` of a search hit."
        )
    point = points[0]
    payload = dict(point.payload)
    lacking = [name for name in CHAINED if name not in payload]
    if lacking:
        raise IntegrityError(
            f"Point {point_id} of version {version} lacks {', '.join(lacking)} in its payload.",
            remedy="Run `ragflow verify` to see what else was changed, and `ragflow ingest --rebuild` to replace it.",
        )
    sha256 = payload["document_sha256"]
    corpus = fold([workspace.home.manifests.get(key) for key in record.batches])
    page, words = read_page(workspace, payload)
    chunks = _rows(workspace, CHUNKS, "chunks", payload["batch"], sha256, "chunk_index", payload["chunk_index"])
    chunk = chunks.to_pylist()
    page_text = page["text"] if page else ""
    piece = page_text[payload["char_start"] : payload["char_end"]]
    links = (
        Link("point", _desired_hash(workspace, corpus, payload, identifier), observed_hash(point).hex()),
        Link("vector", payload["vector_sha256"], vector_sha256(point.dense, point.sparse)),
        Link("payload text", payload["text_sha256"], sha256_text(payload["text"])),
        Link("chunk", payload["text_sha256"], sha256_text(chunk[0]["text"]) if chunk else "missing"),
        Link("chunk on its page", payload["text_sha256"], sha256_text(piece)),
        Link("page text", payload["page_text_sha256"], sha256_text(page_text)),
        Link("words", payload["words_sha256"], words_sha256(words)),
        _pixels(workspace, payload, page),
        Link("document bytes", sha256, "damaged" if workspace.home.blobs.verify(sha256) else sha256),
    )
    inside = [
        {
            "text": row["text"],
            "box": [row[edge] for edge in ("left", "top", "right", "bottom")],
            "confidence": row["confidence"],
        }
        for row in words.to_pylist()
        if row["char_start"] >= payload["char_start"] and row["char_end"] <= payload["char_end"]
    ]
    state = fold(workspace.home.manifests.all()).documents.get(payload["document_key"])
    return Trace(
        point_id=str(identifier),
        version=version,
        payload=payload,
        links=links,
        words=tuple(inside),
        present=state is not None and state.sha256 == sha256,
    )


def read_page(workspace: Workspace, payload: Mapping[str, Any]) -> tuple[dict[str, Any] | None, pa.Table]:
    """Return the row of ``page_texts`` for the page of a point, None if it is missing, and the page's words.

    Raises:
        IncompleteError, IntegrityError: the tables cannot be read.
    """
    place = (payload["batch"], payload["document_sha256"], "page_index", payload["page_index"])
    pages = _rows(workspace, OCR_TEXT, "page_texts", *place).to_pylist()
    return (pages[0] if pages else None), _rows(workspace, OCR_TEXT, "words", *place)


def _rows(workspace: Workspace, asset: str, table: str, batch: str, sha256: str, column: str, value: int) -> pa.Table:
    tables = workspace.home.tables
    return tables.rows(tables.get(asset, batch), table, [("document_sha256", "==", sha256), (column, "==", value)])


def _desired_hash(workspace: Workspace, corpus: Corpus, payload: Mapping[str, Any], identifier: uuid.UUID) -> str:
    """Return the hash of the point that the tables give: it binds title, page, boxes and all else in the payload."""
    contents = by_home(corpus).get(payload["batch"], {})
    wanted = {sha256: states for sha256, states in contents.items() if sha256 == payload["document_sha256"]}
    inputs = load_inputs(workspace, payload["batch"])
    for desired in desired_points(inputs, wanted, titles(workspace, corpus), only=frozenset({identifier})):
        return desired.sha256.hex()
    return "not in the tables"


def _pixels(workspace: Workspace, payload: Mapping[str, Any], page: Mapping[str, Any] | None) -> Link:
    """Read the page once more from the stored bytes: its pixels, or the words of its text layer."""
    scanned = payload.get("raster_sha256") is not None
    name = "page raster" if scanned else "text layer"
    recorded = payload["raster_sha256"] if scanned else payload["words_sha256"]
    if page is None:
        return Link(name, recorded, "missing")
    path = str(workspace.home.blobs.path(payload["document_sha256"]))
    task = RecheckTask(payload["document_sha256"], path, (recheck_page(page),), workspace.reading)
    ((_, found),) = workspace.pool().map(recheck, [task], seconds=lambda _: workspace.reading.page_seconds)
    if isinstance(found, TaskFailure):
        return Link(name, recorded, found.detail)
    return Link(name, recorded, found[0][1] if found else recorded)


def mark_page(workspace: Workspace, found: Trace, target: Path) -> None:
    """Write a PNG of the page with the words of the chunk marked.

    Raises:
        PdfError: the page cannot be rendered.
    """
    import numpy as np
    from PIL import Image

    blob = workspace.home.blobs.path(found.payload["document_sha256"])
    page_index, max_pixels = found.payload["page_index"], workspace.reading.max_page_pixels
    passwords = load_passwords(workspace.reading.passwords_file)
    with open_document(blob, passwords) as file, file.page(page_index, max_pixels) as page:
        grey = page.render(MARK_DPI).pixels.copy()
    pixels = np.repeat(grey[:, :, None], 3, axis=2).astype(np.float32)
    height, width = grey.shape
    colour = np.array(MARK_COLOUR, dtype=np.float32)
    for word in found.words:
        left, top, right, bottom = word["box"]
        area = pixels[int(top * height) : int(bottom * height) + 1, int(left * width) : int(right * width) + 1]
        # Multiplying keeps the letters black on the marked ground, as a marker pen does.
        area *= 1 - MARK_STRENGTH + MARK_STRENGTH * colour / 255
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(target, format="PNG")
