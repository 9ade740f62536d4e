"""Lead one point back to its pixels: vector → chunk → words → page → stored bytes, hash by hash."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ragflow.errors import IntegrityError, NotFoundError, UsageError
from ragflow.model.batches import fold
from ragflow.model.fingerprints import sha256_text
from ragflow.model.points import vector_sha256
from ragflow.model.words import words_sha256
from ragflow.ocr.document import open_document
from ragflow.ocr.passwords import load_passwords
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
    sha256, page_index = payload["document_sha256"], payload["page_index"]
    tables = workspace.home.tables
    only_page = [("document_sha256", "==", sha256), ("page_index", "==", page_index)]
    texts = tables.rows(tables.get(OCR_TEXT, payload["batch"]), "page_texts", only_page).to_pylist()
    words = tables.rows(tables.get(OCR_TEXT, payload["batch"]), "words", only_page)
    chunks = tables.rows(
        tables.get(CHUNKS, payload["batch"]),
        "chunks",
        [("document_sha256", "==", sha256), ("chunk_index", "==", payload["chunk_index"])],
    ).to_pylist()
    page_text = texts[0]["text"] if texts else ""
    piece = page_text[payload["char_start"] : payload["char_end"]]
    links = (
        Link("vector", payload["vector_sha256"], vector_sha256(point.dense, point.sparse)),
        Link("payload text", payload["text_sha256"], sha256_text(payload["text"])),
        Link("chunk", payload["text_sha256"], sha256_text(chunks[0]["text"]) if chunks else "missing"),
        Link("chunk on its page", payload["text_sha256"], sha256_text(piece)),
        Link("page text", payload["page_text_sha256"], sha256_text(page_text)),
        Link("words", payload["words_sha256"], words_sha256(words)),
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
