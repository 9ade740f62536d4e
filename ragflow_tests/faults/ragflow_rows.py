"""ragflow's tables and points as the plain rows of the catalogue, and back with every hash and figure put right.

Rows are written the way the stage itself writes them: through the table store, under the fingerprint that stands.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from ragflow.model.fingerprints import sha256_text
from ragflow.model.points import Point, SparseVector, vector_sha256
from ragflow.model.reading import PageStatus, Word
from ragflow.model.tables import CHUNKS as CHUNKS_SCHEMA
from ragflow.model.tables import DOCUMENTS, PAGE_TEXTS, PAGES, WORDS, embeddings_schema
from ragflow.model.words import NO_WORDS, confidence_of, words_sha256
from ragflow.pipeline.kept_pages import inspection_sha256
from ragflow.pipeline.page_figures import page_figures
from ragflow.pipeline.stages import CHUNKS, EMBEDDINGS, OCR_TEXT, RAW_PDFS
from ragflow.pipeline.workspace import Workspace
from ragflow_tests.faults.documents import Row

SOURCE = "inbox/"
BOX = ("left", "top", "right", "bottom")
PROVENANCE = ("document_sha256", "page_text_sha256", "words_sha256", "raster_sha256", "raster_dpi", "vector_sha256")
"""Fields of a payload that lead back to the page."""


@dataclass(frozen=True, slots=True)
class BatchTables:
    """The tables of one batch, read and written as plain rows."""

    workspace: Workspace
    batch: str

    def _read(self, asset: str, name: str) -> list[Row]:
        tables = self.workspace.home.tables
        return tables.read(tables.get(asset, self.batch), name).to_pylist()

    def _write(self, asset: str, tables: Mapping[str, pa.Table], **figures: Any) -> None:
        store = self.workspace.home.tables
        record = store.get(asset, self.batch)
        said = {**record.figures, **figures}
        store.write(asset, self.batch, fingerprint=record.fingerprint, tables=tables, figures=said)

    def _names(self) -> dict[str, str]:
        """Return content hash → file name."""
        changes = self.workspace.home.manifests.get(self.batch).documents
        return {change.sha256: change.key.removeprefix(SOURCE) for change in changes if change.sha256}

    def _hashes(self) -> dict[str, str]:
        return {name: sha256 for sha256, name in self._names().items()}

    def documents(self) -> list[Row]:
        pages = self._read(RAW_PDFS, "pages")
        return [
            {
                **row,
                "document": row["document_key"].removeprefix(SOURCE),
                "pages": [page for page in pages if page["document_sha256"] == row["document_sha256"]],
            }
            for row in self._read(RAW_PDFS, "documents")
        ]

    def write_documents(self, rows: Sequence[Row]) -> None:
        documents = [{**row, "page_count": len(row["pages"])} for row in rows]
        pages = sorted(
            (page for row in rows for page in row["pages"]),
            key=lambda page: (page["document_sha256"], page["page_index"]),
        )
        tables = {"documents": _table(documents, DOCUMENTS), "pages": _table(pages, PAGES)}
        self._write(RAW_PDFS, tables, documents=len(documents), pages=len(pages))

    def pages(self) -> list[Row]:
        names, words = self._names(), self._read(OCR_TEXT, "words")
        rows = []
        for row in self._read(OCR_TEXT, "page_texts"):
            own = [
                {
                    **word,
                    "box": [word[edge] for edge in BOX],
                    "start": word["char_start"],
                    "end": word["char_end"],
                }
                for word in words
                if (word["document_sha256"], word["page_index"]) == (row["document_sha256"], row["page_index"])
            ]
            rows.append({**row, **_place(names, row), "words": own})
        return rows

    def write_pages(self, rows: Sequence[Row]) -> None:
        hashes = self._hashes()
        inspected = {
            (page["document_sha256"], page["page_index"]): inspection_sha256(page)
            for page in self._read(RAW_PDFS, "pages")
        }
        texts, words = [], []
        for row in sorted(rows, key=lambda row: (hashes[row["document"]], row["page"])):
            key = (hashes[row["document"]], row["page"] - 1)
            own = _table([_word(word, key, number) for number, word in enumerate(row["words"])], WORDS)
            words.append(own)
            texts.append({**_page(row, key, own), "inspection_sha256": inspected.get(key)})
        table = _table(texts, PAGE_TEXTS)
        names = {sha256: SOURCE + name for sha256, name in self._names().items()}
        both = {"page_texts": table, "words": pa.concat_tables(words)}
        self._write(OCR_TEXT, both, **page_figures(table, names))

    def chunks(self) -> list[Row]:
        names = self._names()
        return [
            {
                **row,
                **_place(names, row),
                "number": row["chunk_index"],
                "start": row["char_start"],
                "end": row["char_end"],
                "tokens": row["token_count"],
                "boxes": row["line_boxes"],
            }
            for row in self._read(CHUNKS, "chunks")
        ]

    def write_chunks(self, rows: Sequence[Row]) -> None:
        hashes = self._hashes()
        chunks = [
            {
                **row,
                "document_sha256": hashes[row["document"]],
                "page_index": row["page"] - 1,
                "chunk_index": row["number"],
                "char_start": row["start"],
                "char_end": row["end"],
                "text_sha256": sha256_text(row["text"]),
                "token_count": row["tokens"],
                "line_boxes": row["boxes"],
            }
            for row in rows
        ]
        chunks.sort(key=lambda row: (row["document_sha256"], row["chunk_index"]))
        self._write(CHUNKS, {"chunks": _table(chunks, CHUNKS_SCHEMA)}, chunks=len(chunks))

    def vectors(self) -> list[Row]:
        return [
            {
                **row,
                "text": row["text_sha256"],
                "sparse": dict(zip(row["sparse_indices"], row["sparse_values"], strict=True)),
            }
            for row in self._read(EMBEDDINGS, "embeddings")
        ]

    def write_vectors(self, rows: Sequence[Row]) -> None:
        found = []
        for row in rows:
            dense, sparse = _vectors(row)
            found.append(
                {
                    **row,
                    "text_sha256": row["text"],
                    "sparse_indices": sparse.indices.tolist(),
                    "sparse_values": sparse.values.tolist(),
                    "vector_sha256": vector_sha256(dense, sparse),
                }
            )
        schema = embeddings_schema(self.workspace.dense().dimension)
        self._write(EMBEDDINGS, {"embeddings": _table(found, schema)}, embeddings=len(found))


def _table(rows: Sequence[Row], schema: pa.Schema) -> pa.Table:
    return pa.Table.from_pylist([{name: row[name] for name in schema.names} for row in rows], schema=schema)


def _place(names: Mapping[str, str], row: Row) -> Row:
    return {"document": names[row["document_sha256"]], "page": row["page_index"] + 1}


def _word(word: Row, key: tuple[str, int], number: int) -> Row:
    return {
        **word,
        **dict(zip(BOX, word["box"], strict=True)),
        "document_sha256": key[0],
        "page_index": key[1],
        "word_index": number,
        "char_start": word["start"],
        "char_end": word["end"],
    }


def _page(row: Row, key: tuple[str, int], words: pa.Table) -> Row:
    """Return a row of ``page_texts`` with everything that is worked out from text and words."""
    read = [Word(**word) for word in words.select(Word._fields).to_pylist()]
    confidence = confidence_of(read)
    indexed = row["status"] == PageStatus.INDEXED
    return {
        **row,
        "document_sha256": key[0],
        "page_index": key[1],
        "text_sha256": sha256_text(row["text"]),
        "word_count": len(read),
        "words_sha256": words_sha256(words) if read else NO_WORDS,
        "language": row["language"] if indexed else None,
        "headings": row["headings"] if indexed else [],
        "confidence": confidence.mean if confidence else None,
        "weakest_block": confidence.weakest_block if confidence else None,
        "weak_share": confidence.weak_share if confidence else None,
    }


def _vectors(row: Row) -> tuple[Any, SparseVector]:
    order = sorted(row["sparse"])
    indices = np.array(order, dtype=np.uint32)
    values = np.array([row["sparse"][term] for term in order], dtype=np.float32)
    return np.array(row["dense"], dtype=np.float32), SparseVector(indices, values)


def plain_point(point: Point) -> Row:
    sparse = dict(zip(point.sparse.indices.tolist(), point.sparse.values.tolist(), strict=True))
    payload = plain_payload(point.payload)
    return {"id": str(point.id), "dense": point.dense.tolist(), "sparse": sparse, "payload": payload}


def own_point(row: Row) -> Point:
    dense, sparse = _vectors(row)
    payload = own_payload(row["payload"])
    if "vector_sha256" in payload:
        payload["vector_sha256"] = vector_sha256(dense, sparse)
    return Point(id=uuid.UUID(row["id"]), dense=dense, sparse=sparse, payload=payload)


def plain_payload(payload: Mapping[str, Any]) -> Row:
    others = {
        name: value for name, value in payload.items() if name not in (*PROVENANCE, "document_key", "page_number")
    }
    return {
        **others,
        "document": payload["document_key"].removeprefix(SOURCE),
        "page": payload["page_number"],
        "provenance": {name: payload[name] for name in PROVENANCE if name in payload},
    }


def own_payload(payload: Row) -> Row:
    others = {name: value for name, value in payload.items() if name not in ("document", "page", "provenance")}
    return {
        **others,
        "document_key": SOURCE + payload["document"],
        "page_number": payload["page"],
        **payload.get("provenance", {}),
    }


def changed_points(before: Iterable[Row], after: Sequence[Row]) -> tuple[list[uuid.UUID], list[Point]]:
    """Return the ids of the points to delete, and the points to write."""
    was = {row["id"]: row for row in before}
    there = {row["id"] for row in after}
    gone = [uuid.UUID(identifier) for identifier in was if identifier not in there]
    return gone, [own_point(row) for row in after if was.get(row["id"]) is not row]
