"""An archive that has not changed, and one in which one document has."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ragflow.sample import make_text_archive, write_text_pdf
from ragflow.store.home import Home
from ragflow.vectors.edge import EdgeVersionStore
from ragflow.vectors.files import BLOCK, copy_file, data_extents, files_below
from ragflow_tests.benchmarks.fresh import Measured, call, ragflow_command
from ragflow_tests.benchmarks.material import prose, settle
from ragflow_tests.benchmarks.parts import profiled_ingest
from ragflow_tests.benchmarks.report import MEGABYTE, Bench, Figure, say

NAME = "unchanged"
MOST_SECONDS = 10.0
MOST_WRITTEN = 0.10
"""Share of the version's bytes that one changed document may write anew."""
PIECE = 4096


def run(bench: Bench) -> Iterator[Figure]:
    documents = bench.count(1000, 30)
    home, folder = bench.folder / "home", bench.folder / "papers"
    make_text_archive(folder, documents)
    settle(folder)
    say(f"{NAME}: ingesting {documents} documents for the first time")
    first = call(profiled_ingest, home, folder=folder)
    say(f"{NAME}: ingesting them again, unchanged")
    again = ragflow_command(home, "ingest", folder)
    work = again.answer["work"]
    ocr, embedded = work.get("tesseract_runs", 0), work.get("embeddings_computed", 0)
    yield Figure(
        NAME,
        f"`ragflow ingest` over {documents} unchanged documents, a fresh process",
        f"{again.wall:.1f} s ({again.cpu:.1f} s CPU), {ocr} OCR calls, {embedded} embeddings,"
        f" {work['hashed_files']} files hashed",
        again.wall,
        f"no OCR, no embedding, < {MOST_SECONDS:.0f} s",
        (ocr, embedded) == (0, 0) and again.wall < MOST_SECONDS,
    )
    say(f"{NAME}: one document changes")
    changed = folder / f"paper-{documents // 2:06d}.pdf"
    # Another seed: the text is new to the archive.
    write_text_pdf(changed, prose(1, words=350, seed=1), title="Changed", language="en", headings=["A changed page"])
    os.utime(changed, ns=(stamp := time.time_ns() - 5 * 10**9, stamp))
    yield from one_changed(home, first, call(profiled_ingest, home, folder=folder))


def one_changed(home: Path, first: Measured, measured: Measured) -> Iterator[Figure]:
    work, release = measured.answer["answer"]["work"], measured.answer["answer"]["release"]
    pages, embedded = work.get("pages_read", 0), work.get("embeddings_computed", 0)
    chunks = work.get("chunks_cut", 0)
    upserted, deleted = release["upserted"], release["deleted"]
    few = pages == 1 and embedded <= chunks and upserted == chunks and deleted <= 2 * chunks
    yield Figure(
        NAME,
        "the same after one document of one page changed: work done",
        f"{work['hashed_files']} file hashed, {pages} page read, {embedded} embeddings, {upserted} points written,"
        f" {deleted} deleted of {release['points']}",
        float(upserted),
        "the work of one document",
        few,
    )
    build, gate, before = (_seconds(m, name) for m, name in ((measured, "build"), (measured, "gate"), (first, "build")))
    yield Figure(
        NAME,
        "seconds of it: whole process / build of the candidate (first time) / read back and gate",
        f"{measured.wall:.1f} s / {build:.1f} s ({before:.1f} s) / {gate:.1f} s",
        measured.wall,
    )
    writing = compare(home)
    share = writing.written / (writing.written + writing.kept)
    how = "sharing their blocks" if shares_blocks(home.parent) else "copied: this file system cannot share blocks"
    yield Figure(
        NAME,
        f"bytes of the new version: written anew / taken over from the live one ({how})",
        f"{writing.written / MEGABYTE:.2f} MB / {writing.kept / MEGABYTE:.2f} MB ({share:.1%} new;"
        f" {writing.new_files} new files, {writing.changed_files} changed, {writing.same_files} the same)",
        share,
        f"≤ {MOST_WRITTEN:.0%} new",
        share <= MOST_WRITTEN,
    )


def _seconds(measured: Measured, kind: str) -> float:
    names = {"build": ("build candidate",), "gate": ("gate", "read the candidate back (check)")}[kind]
    parts: dict[str, dict[str, float]] = measured.answer["parts"]
    return sum(parts[name]["wall"] for name in names if name in parts)


@dataclass(slots=True)
class Writing:
    """How a version differs from the one it was cloned from, in allocated bytes and in files."""

    written: int = 0
    kept: int = 0
    new_files: int = 0
    changed_files: int = 0
    same_files: int = 0


def compare(home: Path) -> Writing:
    """Hold the live version's files against those of the version before, piece by piece; holes do not count."""
    store, vectors = EdgeVersionStore(Home(home).vectors), Home(home).vectors
    alias = store.alias()
    if alias is None or alias.previous is None:
        raise ValueError("no second version was released")
    old, new = (vectors / "versions" / version for version in (alias.previous, alias.version))
    writing = Writing()
    for path in files_below(new):
        before = old / path.relative_to(new)
        written, kept = _compare_file(before, path)
        writing.written += written
        writing.kept += kept
        if not before.exists():
            writing.new_files += 1
        elif written:
            writing.changed_files += 1
        else:
            writing.same_files += 1
    return writing


def _compare_file(before: Path, path: Path) -> tuple[int, int]:
    """Return how many bytes differ from the same place in ``before``, in pieces of 4 KiB, and how many do not."""
    written = kept = 0
    old = before.open("rb") if before.exists() else None
    with path.open("rb") as stream:
        for start, end in data_extents(stream.fileno(), path.stat().st_size):
            for position in range(start, end, PIECE):
                size = min(PIECE, end - position)
                same = old is not None and os.pread(old.fileno(), size, position) == os.pread(
                    stream.fileno(), size, position
                )
                kept += size if same else 0
                written += 0 if same else size
    if old is not None:
        old.close()
    return written, kept


def shares_blocks(folder: Path) -> bool:
    """Whether a copy in this folder shares the blocks of its original: it then takes no room of its own."""
    source, target = folder / "original", folder / "copy"
    source.write_bytes(os.urandom(16 * BLOCK))
    free = os.statvfs(folder).f_bavail
    copy_file(source, target)
    os.sync()
    taken = (free - os.statvfs(folder).f_bavail) * os.statvfs(folder).f_frsize
    source.unlink()
    target.unlink()
    return taken < 8 * BLOCK
