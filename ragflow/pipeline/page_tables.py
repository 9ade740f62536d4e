"""Rows of tables by content and page, quickly: a table is read whole and kept, within a budget.

To read the words of one page out of a Parquet file means to decode all of it. Measured on 700,000 words (2,000 pages):
about 100 ms of CPU time, after which the words of any other of these pages are found in less than one.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ragflow.errors import IntegrityError
from ragflow.model.reading import Word
from ragflow.pipeline.stages import CHUNKS, OCR_TEXT
from ragflow.store.tables import TableRecord, TableStore

MAX_BYTES = 256 * 1024 * 1024
MAX_ROWS = 2_000_000
"""A larger table is not kept; its rows are looked for in the file each time."""

SHA256, PAGE_INDEX = "document_sha256", "page_index"
COLUMNS: dict[tuple[str, str], tuple[str, ...]] = {
    (OCR_TEXT, "words"): Word._fields,
    (OCR_TEXT, "page_texts"): (
        PAGE_INDEX,
        "status",
        "reason",
        "detail",
        "engine",
        "language",
        "confidence",
        "text",
        "word_count",
    ),
    (CHUNKS, "chunks"): ("chunk_index", "char_start", "char_end", "text_sha256", "language", "line_boxes"),
}
"""What is kept of each table: of the words, for one, not what each engine said."""

Rows = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class _Loaded:
    """A table, and where in it the rows of each page stand: content → page → (first row, number of rows)."""

    table: pa.Table
    places: dict[str, dict[int, list[tuple[int, int]]]]

    def rows(self, sha256: str, page_index: int | None) -> Rows:
        pages = self.places.get(sha256, {})
        wanted = pages.values() if page_index is None else [pages.get(page_index, [])]
        return [
            row for places in wanted for start, count in places for row in self.table.slice(start, count).to_pylist()
        ]


class PageTables:
    """Tables that were read lately, by the hash of their files: versions that share a table share what is kept.

    May be shared by threads.

    Args:
        max_bytes: of all that is kept, as Arrow counts it.
        max_rows: of a table that is kept.
    """

    def __init__(self, max_bytes: int = MAX_BYTES, max_rows: int = MAX_ROWS) -> None:
        self._max_bytes = max_bytes
        self._max_rows = max_rows
        self._kept: OrderedDict[str, _Loaded] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()
        self._loading = threading.Lock()

    @property
    def kept_bytes(self) -> int:
        """What is kept now, in bytes."""
        return self._bytes

    def rows(
        self, tables: TableStore, asset: str, batch: str, name: str, sha256: str, page_index: int | None = None
    ) -> Rows:
        """Return the rows of a page, in the table's order, with the columns of :data:`COLUMNS`.

        Args:
            page_index: None: all pages of the content.

        Raises:
            IncompleteError, IntegrityError: the table cannot be read.
        """
        record, columns = tables.get(asset, batch), COLUMNS[asset, name]
        file = record.files[name]
        if file.rows > self._max_rows:
            where: list[tuple[str, str, Any]] = [(SHA256, "==", sha256)]
            if page_index is not None:
                where.append((PAGE_INDEX, "==", page_index))
            found: Rows = tables.rows(record, name, where).select(columns).to_pylist()
            return found
        loaded = self._find(file.sha256)
        if loaded is None:
            # One at a time: several threads that miss the same table would all read it.
            with self._loading:
                loaded = self._find(file.sha256)
                if loaded is None:
                    loaded = _indexed(_read(tables, record, name, columns), columns)
                    self._keep(file.sha256, loaded)
        return loaded.rows(sha256, page_index)

    def _find(self, file_sha256: str) -> _Loaded | None:
        with self._lock:
            loaded = self._kept.get(file_sha256)
            if loaded is not None:
                self._kept.move_to_end(file_sha256)
            return loaded

    def _keep(self, file_sha256: str, loaded: _Loaded) -> None:
        with self._lock:
            self._kept[file_sha256] = loaded
            self._bytes += loaded.table.nbytes
            while self._bytes > self._max_bytes and self._kept:
                _, left = self._kept.popitem(last=False)
                self._bytes -= left.table.nbytes


def _read(tables: TableStore, record: TableRecord, name: str, columns: tuple[str, ...]) -> pa.Table:
    """Read a table, its content hashes as a dictionary: as texts they would cost more than all the rest.

    Raises:
        IntegrityError: the file is missing or is not the Parquet file that was written.
    """
    path = tables.folder(record.asset, record.batch) / record.files[name].file
    try:
        return pq.read_table(
            path,
            columns=list(dict.fromkeys((SHA256, PAGE_INDEX, *columns))),
            read_dictionary=[SHA256],
            partitioning=None,
        )
    except (FileNotFoundError, pa.ArrowInvalid, OSError) as error:
        raise IntegrityError(
            f"Table {name} of {record.asset} for batch {record.batch} cannot be read: {error}.",
            remedy="Run `ragflow verify` to see what else is damaged.",
        ) from error


def _indexed(table: pa.Table, columns: tuple[str, ...]) -> _Loaded:
    """Find the rows of each page: those that follow each other and have the same content and page."""
    table = table.unify_dictionaries().combine_chunks()
    places: dict[str, dict[int, list[tuple[int, int]]]] = {}
    if table.num_rows:
        contents = table.column(SHA256).combine_chunks()
        codes = contents.indices.to_numpy()
        pages = table.column(PAGE_INDEX).to_numpy()
        starts = np.flatnonzero(np.r_[True, (np.diff(codes) != 0) | (np.diff(pages) != 0)])
        counts = np.diff(np.r_[starts, table.num_rows])
        names = contents.dictionary.to_pylist()
        for start, count in zip(starts.tolist(), counts.tolist(), strict=True):
            places.setdefault(names[codes[start]], {}).setdefault(int(pages[start]), []).append((start, count))
    return _Loaded(table.select(list(columns)), places)
