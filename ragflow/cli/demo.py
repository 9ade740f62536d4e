"""The demonstration: the whole job on an archive that the project makes itself."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ragflow.cli.archive import ingest_text, run_ingest
from ragflow.cli.console import emit, options, out, progress
from ragflow.errors import CheckFailedError
from ragflow.settings import Settings, load_settings

if TYPE_CHECKING:
    from ragflow.sample import SampleArchive, SampleQuestion

SHOWN_HITS = 3


def demo() -> None:
    """Make a sample archive, ingest it through Dagster, search it, change it, and show what that cost."""
    from ragflow.sample import change_document, make_archive, remove_document

    settings = load_settings()
    settings = settings.model_copy(update={"home": settings.home / "demo"})
    show = _Show(settings)
    show.title(f"1. A sample archive in {settings.home / 'archive'}")
    archive = make_archive(settings.home / "archive")
    show.text(_describe(archive))
    show.title("2. Ingest it through Dagster, and release")
    show.ingest(archive)
    show.title("3. Three searches")
    show.questions(_three(archive.questions))
    show.title("4. One document changes, one is removed")
    _, changed = change_document(archive)
    _, removed = remove_document(archive)
    answer = show.ingest(archive)
    show.text(_work(answer))
    show.questions([changed])
    show.absent(removed)
    show.title("5. Is what is served what was recorded?")
    show.verify()
    show.text(
        f"\nLook at it in Dagster's UI:\n    RAGFLOW_HOME={settings.home} make dev\n"
        "and open http://127.0.0.1:3000 (assets, checks, runs, partitions)."
    )
    emit(show.facts, "")
    if show.problems:
        raise CheckFailedError(" ".join(show.problems), remedy="Run `ragflow demo --debug` and report what it prints.")


@dataclass(slots=True)
class _Show:
    """Does each step, prints it, and remembers what did not come out as it should."""

    settings: Settings
    facts: dict[str, Any] = field(default_factory=lambda: {"ingests": [], "searches": []})
    problems: list[str] = field(default_factory=list)

    def title(self, text: str) -> None:
        if not options.json:
            out.rule(text, align="left")

    def text(self, text: str) -> None:
        if not options.json:
            out.print(text, markup=False)

    def ingest(self, archive: SampleArchive) -> dict[str, Any]:
        started = time.monotonic()
        with progress():
            answer, exit_code = run_ingest(self.settings, [archive.folder])
        self.facts["ingests"].append(answer)
        self.text(ingest_text(answer))
        self.text(f"Took:      {time.monotonic() - started:.1f} s")
        if exit_code or not (answer["pages"] and answer["pages"]["adds_up"]):
            self.problems.append("The ingest did not succeed.")
        return answer

    def questions(self, asked: Sequence[SampleQuestion]) -> None:
        from ragflow.pipeline.searching import Searcher

        with Searcher(self.settings.workspace()) as searcher:
            for question in asked:
                hits = searcher.search(question.query, top=SHOWN_HITS)
                self.text(f"\n? {question.query}   ({question.note})")
                for hit in hits:
                    right = hit.document["key"].endswith(question.file_name) and hit.page_number == question.page_number
                    self.text(
                        f"  {'→' if right else ' '} {hit.score:.3f}  {hit.document['key']}, page {hit.page_number},"
                        f" read by {hit.engine}: {' '.join(hit.text.split())[:110]}…"
                    )
                found = any(h.document["key"].endswith(question.file_name) for h in hits)
                self.facts["searches"].append({"query": question.query, "found": found, "version": searcher.version})
                if not found:
                    self.problems.append(f"{question.query!r} did not find {question.file_name}.")

    def absent(self, removed: SampleQuestion) -> None:
        from ragflow.pipeline.searching import Searcher

        with Searcher(self.settings.workspace()) as searcher:
            hits = searcher.search(removed.query, top=100)
        left = [hit for hit in hits if hit.document["key"].endswith(removed.file_name)]
        self.text(f"\n? {removed.query}\n    {removed.file_name} was removed: {len(left)} of its points are left.")
        if left:
            self.problems.append(f"{removed.file_name} is still found.")

    def verify(self) -> None:
        from ragflow.pipeline.verification import verify

        with progress():
            report = verify(self.settings.workspace())
        self.facts["verified"] = {"version": report.version, "passed": report.passed, "points": report.points}
        passed = sum(verdict.passed for verdict in report.verdicts)
        self.text(
            f"{passed} of {len(report.verdicts)} verdicts hold for version {report.version}"
            f" ({report.points} points, {report.seconds} s)."
        )
        if not report.passed:
            self.problems.append("The version does not verify.")


def _describe(archive: SampleArchive) -> str:
    kinds: dict[str, int] = {}
    for document in archive.documents:
        kinds[document.kind] = kinds.get(document.kind, 0) + 1
    return (
        f"{len(archive.documents)} documents, {archive.page_count} pages, English and French: "
        + ", ".join(f"{count} {kind.replace('_', ' ')}" for kind, count in kinds.items())
        + "."
    )


def _three(questions: Sequence[SampleQuestion]) -> list[SampleQuestion]:
    """Return an English question, a French one, and one whose answer stands only on a scan."""
    digital = [question for question in questions if "scan" not in question.note.lower()]
    scanned = [question for question in questions if "scan" in question.note.lower()]
    return [
        next(question for question in digital if question.language == "en"),
        next(question for question in digital if question.language == "fr"),
        scanned[0],
    ]


def _work(answer: dict[str, Any]) -> str:
    work, release = answer["work"], answer["release"]
    read = work.get("pages_read", 0)
    return (
        f"Worked on: {read} pages read, {read - work.get('text_layer_runs', 0)} of them by OCR;"
        f" {work.get('embeddings_computed', 0)} texts embedded, {work.get('embeddings_reused', 0)} taken from before;"
        f" {release.get('upserted')} points written and {release.get('deleted')} deleted of {release.get('points')}."
    )
