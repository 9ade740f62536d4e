"""The proof of absence: what of a forgotten document is looked for, where and how, and what was found.

Everything below the home folder is searched but the sources that lie in it. A trace that documents which stay have as
well (a paragraph that two of them share, pixels of the same logo) is no trace of the one that went: it is told apart.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import blake2b
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ragflow.errors import IntegrityError, NotFoundError
from ragflow.model.reading import Reason
from ragflow.model.releases import sealed
from ragflow.pipeline.progress import report
from ragflow.pipeline.stages import CHUNKS, OCR_TEXT
from ragflow.pipeline.workspace import Workspace
from ragflow.sources.folder import KIND
from ragflow.store.blobs import hash_file
from ragflow.vectors.files import data_extents

FORMAT = "ragflow-absence-proof/1"
WINDOW_BYTES = 48
"""Length of the pieces of a document's bytes that are looked for."""
QUOTE_WORDS = 5
"""So many words of the text in a row are a quotation."""
BLOCK = 1 << 22
_ESCAPED = re.compile(r"\\u([0-9a-fA-F]{4})|\\.")
_WORD = re.compile(r"\w+")

BYTES, PIECE, QUOTE, CHUNK = "bytes of the document", "a piece of its text", "a quotation from its text", "a text of it"
NAMES = {
    "manifests": "The chain of manifests tells what came and went; it cannot be changed, and names key and hash.",
    "tables": "The list of a batch's documents keeps key, hash and size, and says that the document was forgotten.",
    "forgotten": "The list of what was forgotten keeps the hash, so that no scan takes the same bytes in again.",
}
"""Where the document is still named, and why."""
NOT_COVERED = (
    "the sources: files there belong to their owner, and are listed if they hold it",
    "backups and other copies of the home folder: those that were named are listed",
    "what was given out: answers to searches, proofs of hits, exports, logs kept elsewhere",
    "blocks of the disk that removed files have left, until they are written over",
    "the key and the hash of the document, which the manifests keep",
    "traces too short or too changed to be known: words alone, other spellings, compressed or encrypted copies",
)


@dataclass(frozen=True, slots=True)
class Needles:
    """What is looked for.

    Attributes:
        sizes: content hash → bytes.
        pieces: of the pages' texts.
        windows: pieces of the documents' bytes, in hexadecimal.
        quotes: short hashes of every few words in a row.
        chunks: SHA-256 of the texts that were embedded.
    """

    sizes: Mapping[str, int]
    pieces: tuple[str, ...] = ()
    windows: tuple[str, ...] = ()
    quotes: frozenset[str] = frozenset()
    chunks: frozenset[str] = frozenset()

    def together(self, other: Needles) -> Needles:
        return Needles(
            {**self.sizes, **other.sizes},
            tuple(dict.fromkeys((*self.pieces, *other.pieces))),
            tuple(dict.fromkeys((*self.windows, *other.windows))),
            self.quotes | other.quotes,
            self.chunks | other.chunks,
        )

    def to_json(self) -> bytes:
        parts = {"pieces": self.pieces, "windows": self.windows, "sizes": dict(self.sizes)}
        return orjson.dumps({**parts, "quotes": sorted(self.quotes), "chunks": sorted(self.chunks)})

    @classmethod
    def from_json(cls, data: bytes) -> Needles:
        value = orjson.loads(data)
        return cls(
            value["sizes"],
            tuple(value["pieces"]),
            tuple(value["windows"]),
            frozenset(value["quotes"]),
            frozenset(value["chunks"]),
        )


def quotes_in(text: str) -> Iterator[str]:
    """Yield a short hash of every few words in a row, whatever stands between them."""
    words = _WORD.findall(text.lower())
    for start in range(len(words) - QUOTE_WORDS + 1):
        yield blake2b(" ".join(words[start : start + QUOTE_WORDS]).encode(), digest_size=8).hexdigest()


@dataclass(slots=True)
class Search:
    """One search for all needles.

    Attributes:
        leave_out: files that are not looked at: what the search itself has written down.
        hits: (place, what, the needle) as found; documents that stay may have it as well.
        places: how each place was searched.
    """

    workspace: Workspace
    needles: Needles
    leave_out: Collection[Path] = ()
    hits: list[tuple[str, str, str]] = field(default_factory=list)
    places: list[dict[str, Any]] = field(default_factory=list)

    def everywhere(self) -> None:
        self._versions()
        self._tables()
        self._files()

    def _hit(self, place: str, what: str, needle: str = "") -> None:
        self.hits.append((place, what, needle))

    def _versions(self) -> None:
        versions, points = self.workspace.versions(), 0
        names = versions.versions()
        for version in names:
            place = f"collection version {version}"
            try:
                with versions.open(version) as reader:
                    for group in reader.scroll():
                        points += len(group)
                        for point in group:
                            self._payload(place, point.payload)
            except (IntegrityError, NotFoundError) as error:
                self._hit(place, f"it cannot be read: {error.message}")
        how = "Every point of every version, the live one among them, was read through the engine: no payload names the"
        how += " content, and no vector is that of a text of it."
        self.places.append({"place": "collection versions", "how": how, "looked_at": names, "points": points})

    def _payload(self, place: str, payload: Mapping[str, Any]) -> None:
        if payload.get("document_sha256") in self.needles.sizes:
            self._hit(place, "a point of it")
        text = payload.get("text_sha256")
        if text in self.needles.chunks:
            self._hit(place, CHUNK, str(text))

    def _tables(self) -> None:
        root = self.workspace.home.tables.root
        paths = sorted(root.rglob("*.parquet"))
        for number, path in enumerate(paths, start=1):
            report("search tables", number, len(paths))
            place = path.relative_to(self.workspace.home.root).as_posix()
            try:
                self._table(place, path)
            except FileNotFoundError:
                continue  # a stage has replaced it since
            except (pa.ArrowException, OSError) as error:
                self._hit(place, f"it cannot be read: {error}")
        how = "Every Parquet file of every generation was read: hashes of contents and texts, and all longer texts."
        self.places.append({"place": "tables", "how": how, "looked_at": len(paths)})

    def _table(self, place: str, path: Path) -> None:
        schema = pq.read_schema(path)
        table = pq.read_table(path, partitioning=None, columns=[n for n in schema.names if n in _LOOKED_AT])
        for name in {"document_sha256", "sha256"} & set(table.column_names):
            rows = table.filter(pc.is_in(table[name], pa.array(sorted(self.needles.sizes), pa.string()))).to_pylist()
            if any(_says_more(row) for row in rows):
                self._hit(place, "rows of it")
        if "text_sha256" in table.column_names:
            for sha256 in self.needles.chunks.intersection(table["text_sha256"].to_pylist()):
                self._hit(place, CHUNK, sha256)
        if "word_index" not in schema.names:
            for name in {"text", "title", "detail"} & set(table.column_names):
                joined = "\n".join(filter(None, table[name].to_pylist()))
                for piece in self.needles.pieces:
                    if piece in joined:
                        self._hit(place, PIECE, piece)

    def _files(self) -> None:
        home = self.workspace.home
        paths = sorted(self._paths())
        wanted = {bytes.fromhex(window): (BYTES, window) for window in self.needles.windows}
        for piece in self.needles.pieces:
            wanted |= {written: (PIECE, piece) for written in (piece.encode(), json.dumps(piece)[1:-1].encode())}
        size = 0
        for number, path in enumerate(paths, start=1):
            report("search files", number, len(paths))
            place = path.relative_to(home.root).as_posix()
            try:
                size += path.stat().st_size
                self._file(place, path, wanted)
            except FileNotFoundError:
                continue  # another process has removed it since
        how = "Every file below the home folder was compared with the document's bytes and searched, byte by byte, for"
        how += " pieces of its bytes and of its text (UTF-8, and escaped as in JSON); records, logs and databases also"
        how += f" for any {QUOTE_WORDS} words of it in a row."
        counts = {"pieces_of_text": len(self.needles.pieces), "pieces_of_bytes": len(self.needles.windows)}
        self.places.append({"place": "home folder", "how": how, "looked_at": len(paths), "bytes": size, **counts})

    def _paths(self) -> Iterator[Path]:
        """Yield every file below the home folder; what lies in a source belongs to its owner."""
        home = self.workspace.home
        known = [root for manifest in home.manifests.all() for root in manifest.sources if root.kind == KIND]
        apart = {home.inbox.resolve(), *(Path(root.location) for root in known)} - {home.root.resolve()}
        for parent, folders, names in os.walk(home.root):
            folders[:] = [name for name in folders if Path(parent, name).resolve() not in apart]
            for path in (Path(parent, name) for name in names):
                if path.is_file() and not path.is_symlink() and path not in self.leave_out:
                    yield path

    def _file(self, place: str, path: Path, wanted: Mapping[bytes, tuple[str, str]]) -> None:
        area = place.split("/", 1)[0]
        if path.stat().st_size in self.needles.sizes.values() and hash_file(path) in self.needles.sizes:
            self._hit(place, "the document itself")
        if area == "blobs":
            return  # what the bytes of another document hold is its own
        left = dict(wanted)
        for block in _blocks(path, max(map(len, wanted), default=1) - 1):
            for found in [needle for needle in left if needle in block]:
                self._hit(place, *left.pop(found))
        if area not in ("tables", "vectors") and self.needles.quotes:
            for block in _blocks(path, 1024):
                text = _ESCAPED.sub(_unescaped, block.decode("utf-8", "ignore"))
                for quote in self.needles.quotes.intersection(quotes_in(text)):
                    self._hit(place, QUOTE, quote)

    def told_apart(self) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """Return what was found of the documents, and what was found that documents which stay have as well."""
        stays = self._stays()
        found: dict[tuple[str, str], set[str]] = {}
        shared: dict[tuple[str, str], set[str]] = {}
        for place, what, needle in self.hits:
            (shared if needle in stays else found).setdefault((place, what), set()).add(needle)
        return _told(found), _told(shared)

    def _stays(self) -> set[str]:
        """Return the needles, of those found, that documents which stay have as well."""
        by_kind: dict[str, set[str]] = {}
        for _, what, needle in self.hits:
            by_kind.setdefault(what, set()).add(needle)
        pieces, quotes = by_kind.get(PIECE, set()), by_kind.get(QUOTE, set())
        chunks, windows = by_kind.get(CHUNK, set()), by_kind.get(BYTES, set())
        stays: set[str] = set()
        for text in self._others(OCR_TEXT, "page_texts", "text") if pieces or quotes else ():
            stays.update(piece for piece in pieces if piece in text)
            stays.update(quotes.intersection(quotes_in(text) if quotes else ()))
        stays |= chunks.intersection(self._others(CHUNKS, "chunks", "text_sha256") if chunks else ())
        blobs = self.workspace.home.blobs
        for sha256 in blobs if windows else ():
            if sha256 not in self.needles.sizes:
                for block in _blocks(blobs.root / sha256[:2] / sha256, WINDOW_BYTES - 1):
                    stays |= {window for window in windows if bytes.fromhex(window) in block}
        return stays

    def _others(self, asset: str, table: str, column: str) -> Iterator[str]:
        """Yield a column of the newest tables, but for what belongs to the contents that went."""
        tables = self.workspace.home.tables
        for batch in tables.batches(asset):
            rows = tables.read(tables.get(asset, batch), table, columns=["document_sha256", column])
            gone = pc.is_in(rows["document_sha256"], pa.array(sorted(self.needles.sizes), pa.string()))
            yield from rows.filter(pc.invert(gone))[column].to_pylist()


_LOOKED_AT = frozenset(
    {"document_sha256", "sha256", "text_sha256", "text", "title", "detail", "producer", "reason", "page_count"}
)


def _says_more(row: Mapping[str, Any]) -> bool:
    """Whether a row says more of a document than that it was forgotten."""
    told = [row.get(name) for name in ("title", "producer", "page_count", "text")]
    return row.get("reason") != Reason.FORGOTTEN or any(told)


def _unescaped(match: re.Match[str]) -> str:
    return chr(int(match[1], 16)) if match[1] else " "


def _blocks(path: Path, overlap: int) -> Iterator[bytes]:
    """Yield a file's data block by block, each behind the end of the one before; holes are passed over."""
    with path.open("rb", buffering=0) as stream:
        descriptor = stream.fileno()
        for start, end in data_extents(descriptor, os.fstat(descriptor).st_size):
            tail = b""
            for position in range(start, end, BLOCK):
                block = tail + os.pread(descriptor, min(BLOCK, end - position), position)
                yield block
                tail = block[-overlap:] if overlap else b""


def _told(hits: Mapping[tuple[str, str], Collection[str]]) -> list[dict[str, Any]]:
    return [{"place": place, "what": what, "traces": len(needles)} for (place, what), needles in sorted(hits.items())]


def prove(
    workspace: Workspace,
    needles: Needles,
    documents: Sequence[str],
    why: str,
    *,
    backups: Sequence[Path] = (),
    leave_out: Collection[Path] = (),
) -> dict[str, Any]:
    """Search everywhere, and return what is to be said of it, sealed with its own hash.

    Args:
        documents: keys that the contents had.
        why: the reason for forgetting them.
        backups: folders that may hold them as well.
        leave_out: files that are not looked at.

    Raises:
        IntegrityError: the manifests, the alias or a newest table are damaged.
    """
    search = Search(workspace, needles, leave_out)
    search.everywhere()
    found, shared = search.told_apart()
    alias = workspace.versions().alias()
    released = [record for record in workspace.home.releases if alias and record.version == alias.version]
    release = released[-1] if released else None
    return sealed(
        {
            "format": FORMAT,
            "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "documents": sorted(documents),
            "contents": sorted(needles.sizes),
            "why": why,
            "absent": not found,
            "found": found,
            "shared_with_documents_that_stay": shared,
            "release": release
            and {
                "number": release.number,
                "version": release.version,
                "sha256": workspace.home.releases.hash_of(release.number),
            },
            "places": search.places,
            "held_elsewhere": [
                *still_in_sources(workspace, documents, needles.sizes),
                *_held_by_backups(backups, needles.sizes),
            ],
            "still_named": dict(NAMES),
            "not_covered": list(NOT_COVERED),
        }
    )


def still_in_sources(workspace: Workspace, documents: Iterable[str], contents: Collection[str]) -> list[dict[str, str]]:
    """Return the files in the sources that still are these contents; scans leave them out, and nobody removes them."""
    home = workspace.home
    roots = {root.name: Path(root.location) for m in home.manifests.all() for root in m.sources if root.kind == KIND}
    roots[home.inbox.name] = home.inbox  # a home that was moved has its inbox with it
    found = []
    for key in sorted(documents):
        name, _, path = key.partition("/")
        file = roots[name] / path if name in roots else None
        try:
            if file is not None and file.is_file() and hash_file(file) in contents:
                found.append({"place": str(file), "what": "the file itself, in its source; scans leave it out"})
        except OSError as error:
            found.append({"place": str(file), "what": f"a file in its source that cannot be read: {error.strerror}"})
    return found


def _held_by_backups(backups: Iterable[Path], contents: Collection[str]) -> Iterator[dict[str, str]]:
    for backup in backups:
        held = sum(any(backup.rglob(sha256)) for sha256 in contents)
        what = f"a backup that holds the bytes of {held} of them" if held else "a backup; it was not searched further"
        yield {"place": str(backup), "what": what}
