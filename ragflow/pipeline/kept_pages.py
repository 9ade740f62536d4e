"""Which pages of a batch stand as they were read before, and which have to be read.

A page stands if it was read by a route whose fingerprint still holds, from bytes that inspection still describes in
the same way, and if nobody has asked since to read it again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ragflow.errors import IntegrityError
from ragflow.model.fingerprints import fingerprint
from ragflow.model.reading import Effort
from ragflow.model.tables import PAGE_TEXTS, REREADS, WORDS
from ragflow.ocr.options import TEXT_LAYER, Route, route_fingerprints
from ragflow.pipeline.stages import OCR_TEXT
from ragflow.pipeline.workspace import Workspace
from ragflow.store.forgotten import Kind
from ragflow.store.rereads import Reread
from ragflow.store.tables import TableRecord

PageKey = tuple[str, int]
"""Content hash and page index."""

HARDEST_LAST = (Effort.NORMAL, Effort.THOROUGH)


@dataclass(frozen=True)
class Wanted:
    """How the pages of a batch are to be read now.

    Attributes:
        requests: all requests to read again that concern contents at home in the batch.
        fingerprints: effort → route → fingerprint, for each effort that is asked for.
    """

    requests: tuple[Reread, ...]
    fingerprints: Mapping[Effort, Mapping[Route, str]]

    @cached_property
    def _efforts(self) -> dict[tuple[str, int | None], Effort]:
        efforts: dict[tuple[str, int | None], Effort] = {}
        for request in sorted(self.requests, key=lambda request: HARDEST_LAST.index(request.effort)):
            efforts[request.sha256, request.page_index] = request.effort
        return efforts

    def effort(self, sha256: str, page_index: int) -> Effort:
        """Return the highest effort asked for a page."""
        asked = (self._efforts.get((sha256, where), Effort.NORMAL) for where in (page_index, None))
        return max(asked, key=HARDEST_LAST.index)

    def fingerprint(self, sha256: str, page_index: int, engine: str | None) -> str | None:
        """Return the fingerprint under which a page that this engine read is current."""
        return self.fingerprints[self.effort(sha256, page_index)].get(route_of(engine))

    def parts(self) -> dict[str, Any]:
        """Return what of this decides the stage's tables."""
        reading = {
            str(effort): {str(route): of_route for route, of_route in routes.items()}
            for effort, routes in self.fingerprints.items()
        }
        return {"reading": reading, "rereads": [asdict(request) for request in self.requests]}

    def table(self) -> pa.Table:
        return pa.Table.from_pylist([asdict(request) for request in self.requests], schema=REREADS)


def route_of(engine: str | None) -> Route:
    """Return how a page came by its words, given what ``page_texts`` says of its engine."""
    return Route.TEXT_LAYER if engine == TEXT_LAYER else Route.OCR


def wanted(workspace: Workspace, raw: TableRecord) -> Wanted:
    """Return how the pages of a batch are to be read, by the options and the requests there are now.

    Raises:
        DependencyMissingError: an engine is not installed.
        IntegrityError: the requests or the table of documents cannot be read.
    """
    requests: list[Reread] = []
    if workspace.home.rereads.all():
        documents = workspace.home.tables.read(raw, "documents", columns=["document_sha256", "home_batch"])
        contents = {row["document_sha256"] for row in documents.to_pylist() if row["home_batch"] == raw.batch}
        contents -= workspace.home.absences.contents(Kind.FORGOTTEN)
        for of_content in workspace.home.rereads.of(contents).values():
            requests += of_content
    asked = {Effort.NORMAL, *(request.effort for request in requests)}
    return Wanted(tuple(requests), {effort: route_fingerprints(workspace.reading, effort) for effort in sorted(asked)})


def inspection_sha256(page: Mapping[str, Any]) -> str:
    """Return the hash of a row of ``pages``."""
    return fingerprint(page=page)


@dataclass(frozen=True, slots=True)
class Pages:
    """Rows of ``page_texts`` and of ``words``, both ordered by page, so that the words of a page are one slice."""

    texts: pa.Table
    words: pa.Table

    @classmethod
    def together(cls, texts: Sequence[pa.Table], words: Sequence[pa.Table]) -> Pages:
        """Put tables together and bring them in order."""
        return cls(
            _sorted([PAGE_TEXTS.empty_table(), *texts], ["document_sha256", "page_index"]),
            _sorted([WORDS.empty_table(), *words], ["document_sha256", "page_index", "word_index"]),
        )

    def select(self, mask: npt.NDArray[np.bool_]) -> Pages:
        """Return the pages for which ``mask`` (one entry per page) is true."""
        counts = self.texts.column("word_count").to_numpy()
        return Pages(self.texts.filter(pa.array(mask)), self.words.filter(pa.array(np.repeat(mask, counts))))

    def rows(self, columns: Sequence[str]) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = self.texts.select(["document_sha256", "page_index", *columns]).to_pylist()
        return rows

    def scores(self) -> list[float]:
        """Return for each page the confidence summed over its characters: more text, and surer, is better."""
        letters = pc.utf8_length(pc.replace_substring_regex(self.texts.column("text"), "[ \n]+", ""))
        confidences = self.texts.column("confidence").to_pylist()
        return [(confidence or 0.0) * count for confidence, count in zip(confidences, letters.to_pylist(), strict=True)]


NO_PAGES = Pages(PAGE_TEXTS.empty_table(), WORDS.empty_table())


def _sorted(tables: Sequence[pa.Table], keys: Sequence[str]) -> pa.Table:
    table = pa.concat_tables(tables)
    ordered = table.take(pc.sort_indices(table, sort_keys=[(key, "ascending") for key in keys]))
    # The bytes of the file must not depend on how many tables it was put together from.
    return ordered.combine_chunks()


@dataclass(frozen=True, slots=True)
class Earlier:
    """What stands in the batch's tables.

    Attributes:
        pages: all pages; none if there are no tables that could be built on.
        heeded: the requests that were heeded when the tables were written.
        gone: contents whose bytes were pruned: their pages stand as they are, for there is nothing to read again.
    """

    pages: Pages
    heeded: tuple[Reread, ...]
    gone: frozenset[str] = frozenset()

    def kept(self, wanted: Wanted, inspected: Mapping[PageKey, str]) -> Pages:
        """Return the pages that need not be read again.

        Args:
            inspected: for each page that can be read, the hash of its row in ``pages``.
        """
        unheeded = Counter(wanted.requests)
        unheeded.subtract(self.heeded)
        anew = {(request.sha256, request.page_index) for request, count in unheeded.items() if count > 0}
        mask = [
            inspected.get(key) == row["inspection_sha256"] is not None
            and (
                key[0] in self.gone
                or (
                    key not in anew
                    and (key[0], None) not in anew
                    and row["reading_fingerprint"] == wanted.fingerprint(*key, row["engine"])
                )
            )
            for row in self.pages.rows(["engine", "reading_fingerprint", "inspection_sha256"])
            if (key := (row["document_sha256"], row["page_index"]))
        ]
        return self.pages.select(np.array(mask, dtype=bool))

    def better_of(self, fresh: Pages, wanted: Wanted, inspected: Mapping[PageKey, str]) -> tuple[Pages, Pages]:
        """Hold thorough readings against the readings that stand; a worse one does not take the place of a better.

        Returns:
            The fresh pages that count, and the earlier pages that stand, marked as thoroughly read, so that they are
            not tried again without end.
        """
        before = {
            (row["document_sha256"], row["page_index"]): (number, score)
            for number, (row, score) in enumerate(
                zip(
                    self.pages.rows(["engine", "reading_fingerprint", "inspection_sha256"]),
                    self.pages.scores(),
                    strict=True,
                )
            )
            if inspected.get((row["document_sha256"], row["page_index"])) == row["inspection_sha256"]
            # Words that other options gave would not come out again: they are no measure.
            and any(row["reading_fingerprint"] == of[route_of(row["engine"])] for of in wanted.fingerprints.values())
        }
        count = np.ones(fresh.texts.num_rows, dtype=bool)
        stand = np.zeros(self.pages.texts.num_rows, dtype=bool)
        for number, (row, score) in enumerate(zip(fresh.rows(["effort"]), fresh.scores(), strict=True)):
            earlier, better = before.get((row["document_sha256"], row["page_index"]), (0, 0.0))
            if row["effort"] == Effort.THOROUGH and score < better:
                count[number], stand[earlier] = False, True
        return fresh.select(count), _as_thorough(self.pages.select(stand), wanted)


def _as_thorough(pages: Pages, wanted: Wanted) -> Pages:
    if not pages.texts.num_rows:
        return NO_PAGES
    routes = [route_of(engine) for engine in pages.texts.column("engine").to_pylist()]
    thorough = wanted.fingerprints[Effort.THOROUGH]
    texts = with_column(pages.texts, "effort", [str(Effort.THOROUGH)] * len(routes))
    return Pages(with_column(texts, "reading_fingerprint", [thorough[route] for route in routes]), pages.words)


def with_column(table: pa.Table, name: str, values: Sequence[Any]) -> pa.Table:
    """Return the table with other values in one column."""
    field = table.schema.field(name)
    return table.set_column(table.schema.get_field_index(name), field, pa.array(values, field.type))


def earlier_pages(workspace: Workspace, batch: str, code_version: int) -> Earlier:
    """Return what stands in the batch's tables, if it is intact and was written by this version of the stage."""
    tables = workspace.home.tables
    nothing = Earlier(NO_PAGES, ())
    try:
        record = tables.find(OCR_TEXT, batch)
        if record is None or record.figures.get("code_version") != code_version or tables.damage(record):
            return nothing
        pages = Pages(tables.read(record, "page_texts"), tables.read(record, "words"))
        heeded = tables.read(record, "rereads").to_pylist() if "rereads" in record.files else []
    except IntegrityError:
        # Damaged tables are as good as none: every page is read again.
        return nothing
    fits = pages.texts.schema.equals(PAGE_TEXTS) and pages.words.schema.equals(WORDS)
    if not fits or sum(pages.texts.column("word_count").to_pylist()) != pages.words.num_rows:
        return nothing
    gone = frozenset(
        sha256 for sha256 in workspace.home.absences.contents(Kind.PRUNED) if not workspace.home.blobs.has(sha256)
    )
    return Earlier(pages, tuple(Reread(**{**row, "effort": Effort(row["effort"])}) for row in heeded), gone)
