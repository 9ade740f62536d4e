"""Cut the pages of new batches again, and compare with the chunks that are stored."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from ragflow.model.batches import Corpus
from ragflow.model.verdicts import Verdict, verdict
from ragflow.pipeline.chunks import cut
from ragflow.pipeline.progress import report
from ragflow.pipeline.stages import CHUNKS, OCR_TEXT
from ragflow.pipeline.workspace import Workspace

COMPARED = ("page_index", "char_start", "char_end", "text", "language", "line_boxes", "confidence", "token_count")


def cut_again(workspace: Workspace, corpus: Corpus, batches: Collection[str]) -> Verdict:
    """The chunks are what the chunker makes of the pages: their text, boxes, language, confidence, in order.

    Args:
        batches: those that are new, or were made anew, since the live version was built.
    """
    names = {state.sha256: key for key, state in sorted(corpus.documents.items(), reverse=True) if state.sha256}
    tables = workspace.home.tables
    failures: list[dict[str, Any]] = []
    total = 0
    for number, batch in enumerate(sorted(batches)):
        report("cut pages again", number, len(batches))
        stored = tables.read(tables.get(CHUNKS, batch), "chunks").combine_chunks()
        again = cut(workspace, tables.get(OCR_TEXT, batch)).combine_chunks()
        total += stored.num_rows
        if stored.num_rows != again.num_rows:
            problem = f"holds {stored.num_rows} chunks; its pages give {again.num_rows}"
            failures.append({"batch": batch, "document": "", "page": 0, "problem": problem})
            continue
        for name in (name for name in COMPARED if not stored.column(name).equals(again.column(name))):
            before, now = stored.column(name).to_pylist(), again.column(name).to_pylist()
            row = next((row for row, pair in enumerate(zip(before, now, strict=True)) if pair[0] != pair[1]), 0)
            failures.append(
                {
                    "batch": batch,
                    "document": names.get(stored.column("document_sha256")[row].as_py(), "one that is gone"),
                    "page": stored.column("page_index")[row].as_py() + 1,
                    "problem": f"{name} of a chunk is not what its page gives",
                }
            )
    return verdict(
        "cut_again",
        failures,
        passed=f"The {total} chunks of {len(batches)} new batches, cut again, are those that are stored.",
        failed="{count} things differ when new pages are cut again.",
        remedy="Materialize chunks again for the named batches.",
        figure=len(failures),
        threshold=0,
    )
