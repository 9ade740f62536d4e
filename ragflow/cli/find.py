"""Commands that ask the live version: search and trace."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import orjson
import typer

from ragflow.cli.console import emit, progress
from ragflow.errors import CheckFailedError, UsageError
from ragflow.pipeline.conditions import read_conditions
from ragflow.pipeline.hits import Hit, SearchMode
from ragflow.pipeline.judgements import read_queries
from ragflow.pipeline.progress import report
from ragflow.pipeline.searching import Searcher
from ragflow.pipeline.tracing import Link
from ragflow.settings import load_settings
from ragflow.store.atomic import write_bytes
from ragflow.vectors.protocols import Where


class Level(StrEnum):
    DOCUMENT = "document"
    CHUNK = "chunk"


def search(
    query: Annotated[str | None, typer.Argument(help="What to look for.")] = None,
    top: Annotated[int, typer.Option(help="How many hits.")] = 10,
    mode: Annotated[SearchMode, typer.Option(help="Which vectors answer.")] = SearchMode.HYBRID,
    where: Annotated[list[str] | None, typer.Option(help="key=value or key=low..high; one key twice: either.")] = None,
    min_score: Annotated[float | None, typer.Option(help="Leave out hits below this score.")] = None,
    per_document: Annotated[int | None, typer.Option(help="At most so many hits of one document.")] = None,
    diversity: Annotated[float, typer.Option(help="0 to 1: prefer hits unlike those before.")] = 0.0,
    queries: Annotated[Path | None, typer.Option(help="JSON lines with _id and text: answer them all.")] = None,
    run: Annotated[Path | None, typer.Option(help="With --queries: the TREC run file to write.")] = None,
    level: Annotated[Level, typer.Option(help="With --queries: what is ranked.")] = Level.DOCUMENT,
) -> None:
    """Search the live version."""
    if (query is None) == (queries is None) or (queries is None) != (run is None):
        raise UsageError("Give either a query, or both --queries and --run.", remedy="See `ragflow search --help`.")
    conditions = read_conditions(where or [])
    with progress(), Searcher(load_settings().workspace()) as searcher:
        if query is not None:
            hits = searcher.search(
                query,
                top=top,
                mode=mode,
                where=conditions,
                min_score=min_score,
                per_document=per_document,
                diversity=diversity,
            )
            emit([asdict(hit) for hit in hits], hits_text(hits))
            return
        assert queries is not None and run is not None
        asked = list(read_queries(queries))
        lines = list(_run_lines(searcher, asked, top, mode, conditions, level))
        write_bytes(run, "".join(lines).encode())
    emit(
        {"run": str(run), "queries": len(asked), "lines": len(lines), "version": searcher.version},
        f"{len(asked)} queries answered from {searcher.version}; {len(lines)} lines in {run}.",
    )


def _run_lines(
    searcher: Searcher,
    asked: list[tuple[str, str]],
    top: int,
    mode: SearchMode,
    where: Where,
    level: Level,
) -> Iterator[str]:
    vectors = searcher.embed([text for _, text in asked]) if mode is not SearchMode.SPARSE else None
    for number, (name, text) in enumerate(asked):
        vector = vectors[number] if vectors is not None else None
        if level is Level.DOCUMENT:
            ranked = searcher.documents(text, vector, top=top, mode=mode, where=where)
        else:
            hits = searcher.search_with(text, vector, top=top, mode=mode, where=where)
            ranked = [(hit.point_id, hit.score) for hit in hits]
        for rank, (key, score) in enumerate(ranked, start=1):
            # The format parts its columns by white space, and a file name may hold some.
            yield f"{name} Q0 {quote(key, safe='/#:,;!()[]@&=+~')} {rank} {score:.6f} ragflow-{mode}\n"
        report("answer queries", number + 1, len(asked))


def hits_text(hits: list[Hit]) -> str:
    """Return hits for a person."""
    if not hits:
        return "Nothing found."
    blocks = []
    for rank, hit in enumerate(hits, start=1):
        text = textwrap.shorten(hit.text, 300, placeholder=" …")
        also = f"\n    also in {', '.join(hit.also_in)}" if hit.also_in else ""
        blocks.append(
            f"{rank:>2}. {hit.document['title']} — {hit.document['key']}, page {hit.page_number}\n"
            f"    score {hit.score:.3f}, read by {hit.engine} with confidence {hit.confidence:.2f}"
            f"\n    point {hit.point_id}{also}\n{textwrap.indent(textwrap.fill(text, 100), '    ')}"
        )
    return "\n\n".join(blocks)


def trace(
    point_id: Annotated[str, typer.Argument(help="The point_id of a search hit.")],
    image: Annotated[Path | None, typer.Option(help="Write the page as PNG, with the words marked.")] = None,
    proof: Annotated[Path | None, typer.Option(help="Write the proof of the hit, for `ragflow check-proof`.")] = None,
    version: Annotated[str | None, typer.Option(help="None: the live one.")] = None,
) -> None:
    """Lead one hit back to the stored bytes, hash by hash, and to its place on the page."""
    from ragflow.pipeline.proofs import make_proof
    from ragflow.pipeline.tracing import mark_page
    from ragflow.pipeline.tracing import trace as follow

    workspace = load_settings().workspace()
    found = follow(workspace, point_id, version)
    if image is not None:
        mark_page(workspace, found, image)
    if proof is not None:
        write_bytes(proof, orjson.dumps(make_proof(workspace, found), option=orjson.OPT_INDENT_2))
    answer: dict[str, Any] = {
        "point_id": found.point_id,
        "version": found.version,
        "holds": found.holds,
        "present": found.present,
        "links": _links(found.links),
        "payload": found.payload,
        "words": list(found.words),
        "image": str(image) if image else None,
        "proof": str(proof) if proof else None,
    }
    payload = found.payload
    lines = [
        f"{payload['title']} — {payload['document_key']}, page {payload['page_number']} (version {found.version})",
        f"read by {payload['engine']}, batch {payload['batch']}",
        *link_lines(found.links),
    ]
    if not found.present:
        lines.append("This document has been changed in or removed from the archive since.")
    if image is not None:
        lines.append(f"Page image: {image}")
    if proof is not None:
        lines.append(f"Proof: {proof}")
    emit(answer, "\n".join(lines))
    if not found.holds:
        raise typer.Exit(CheckFailedError.exit_code)


def _links(links: Sequence[Link]) -> list[dict[str, Any]]:
    return [{**asdict(link), "holds": link.holds} for link in links]


def link_lines(links: Sequence[Link]) -> list[str]:
    """Return the links of a chain for a person."""
    lines = []
    for link in links:
        lines.append(f"  {'holds ' if link.holds else 'BROKEN'}  {link.name:<22} {link.recorded[:16]}…")
        if not link.holds:
            lines.append(f"          found: {textwrap.shorten(link.found, 80, placeholder=' …')}")
    return lines


def check_proof(
    proof: Annotated[Path, typer.Argument(help="What `ragflow trace POINT_ID --proof FILE` wrote.")],
    document: Annotated[Path | None, typer.Option(help="The original file, to be held against the proof.")] = None,
    anchor: Annotated[str | None, typer.Option(help="SHA-256 of the release record, noted elsewhere.")] = None,
) -> None:
    """Check the proof of a hit; needs nothing but the file."""
    from ragflow.pipeline.proofs import check_proof as recompute
    from ragflow.pipeline.proofs import read_proof, release_hash

    value = read_proof(proof)
    links = recompute(value, document=document, anchor=anchor)
    holds = all(link.holds for link in links)
    payload = value["point"]["payload"]
    named = f"{payload['title']} — {payload['document_key']}, page {payload['page_number']}"
    answer = {"holds": holds, "links": _links(links), "payload": payload, "release_sha256": release_hash(value)}
    lines = [named, *link_lines(links), f"Release record: {release_hash(value)}"]
    if anchor is None:
        lines.append("The proof stands on this hash: compare it with one that you noted, or give it as --anchor.")
    emit(answer, "\n".join(lines))
    if not holds:
        raise typer.Exit(CheckFailedError.exit_code)
