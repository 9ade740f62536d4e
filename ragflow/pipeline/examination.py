"""Examine a collection version: everything that was recorded for it is read again and recomputed.

The gate examines a candidate before it goes live; ``ragflow verify`` examines what is served. Neither trusts that a
check passed in some other run.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from ragflow.errors import IncompleteError, IntegrityError, NotFoundError, RagflowError
from ragflow.model.batches import BatchManifest, Corpus, fold
from ragflow.model.ledger import Ledger
from ragflow.model.releases import VersionRecord
from ragflow.model.verdicts import MAX_ROWS, Outcome, Verdict
from ragflow.pipeline.asking import Asked, ask_candidate
from ragflow.pipeline.batch_checks import CHECK_NAMES, NOT_BLOCKING, check_batches, low_confidence
from ragflow.pipeline.collection import desired_owners
from ragflow.pipeline.deep import read_again
from ragflow.pipeline.fitness import model_matches, ready, served_pages
from ragflow.pipeline.garbled import garbled
from ragflow.pipeline.ledger import corpus_ledger
from ragflow.pipeline.observed import Observed, observe
from ragflow.pipeline.probes import POINTS, payloads_match_tables, sources_seen
from ragflow.pipeline.questions import Drawing
from ragflow.pipeline.recut import cut_again
from ragflow.pipeline.revectored import vectors_match_texts
from ragflow.pipeline.sealing import newest_release, read_manifests, releases_chained, version_sealed
from ragflow.pipeline.stages import STAGES
from ragflow.pipeline.staleness import stages_current
from ragflow.pipeline.workspace import Workspace
from ragflow.quality.pages import coverage, ledger_adds_up
from ragflow.quality.points import points_exact, served_coverage

VERDICT_NAMES = (
    "manifests_chained",
    "batches_complete",
    "releases_chained",
    "stages_current",
    "sources_seen",
    *dict.fromkeys(name for asset in CHECK_NAMES for name in CHECK_NAMES[asset] if name not in NOT_BLOCKING),
    "read_again",
    "cut_again",
    "vectors_match_texts",
    "ledger",
    "coverage",
    "served_coverage",
    "low_confidence",
    "garbled_text",
    "points_exact",
    "payloads_match_tables",
    "version_sealed",
    "model_matches",
    "ready",
    "golden_queries",
    "known_items",
    "latency",
)
"""Every verdict of the gate, in order."""

GATE_ONLY = frozenset(
    {
        "stages_current",
        "sources_seen",
        "payloads_match_tables",
        "read_again",
        "cut_again",
        "vectors_match_texts",
        "coverage",
        "low_confidence",
        "garbled_text",
        "model_matches",
        "ready",
        "golden_queries",
        "known_items",
        "latency",
    }
)
"""Verdicts on whether a version is fit to go live; the others say whether it is what it was."""


@dataclass(frozen=True, slots=True)
class Examination:
    """What was found.

    Attributes:
        record: of the version examined.
        verdicts: one per check, over all batches.
        ledger: of the documents in the version; empty if the tables do not allow to count.
        asked: what the version answered; None if nothing was asked.
        seconds: what it took.
    """

    record: VersionRecord
    verdicts: tuple[Verdict, ...]
    ledger: Ledger
    asked: Asked | None
    seconds: float

    @property
    def passed(self) -> bool:
        return all(verdict.passed for verdict in self.verdicts)


def examine(workspace: Workspace, version: str, *, publish: bool = True) -> Examination:
    """Recompute the chain of a version: stored bytes, tables, chunks, vectors, points, and the seals.

    Args:
        publish: ask as well whether the version is fit to go live now (:data:`GATE_ONLY`).

    Raises:
        NotFoundError: there is no such version.
    """
    return _Examiner(workspace, find_version(workspace, version), publish).examination()


def find_version(workspace: Workspace, version: str) -> VersionRecord:
    """Return the record of a version.

    Raises:
        NotFoundError: there is none.
    """
    record = workspace.home.version_records.find(version)
    if record is None:
        raise NotFoundError(f"There is no record of version {version}.", remedy="See `ragflow releases`.")
    return record


class _Examiner:
    """One examination; ``now`` is the workspace as it stands, ``then`` has the tables of the version."""

    def __init__(self, workspace: Workspace, record: VersionRecord, publish: bool) -> None:
        self.now = workspace
        self.then = workspace.at(record)
        self.record = record
        self.publish = publish
        alias = workspace.versions().alias()
        self.live = alias.version if alias else None
        self.found: dict[str, Verdict] = {}

    def examination(self) -> Examination:
        started = time.monotonic()
        manifests = self._manifests()
        corpus = fold(manifests)
        self._say(releases_chained(self.now, self.live))
        if self.publish:
            self._say(stages_current(self.now, manifests, self.record))
        by_batch = check_batches(self.then, [manifest.key for manifest in manifests])
        for verdict in merge(v for v in by_batch if v.name not in NOT_BLOCKING):
            self._say(verdict)
        ledger, asked = self._corpus(manifests, corpus)
        order = [name for name in VERDICT_NAMES if name in self.found]
        verdicts = tuple(self.found[name] for name in order)
        return Examination(self.record, verdicts, ledger, asked, round(time.monotonic() - started, 2))

    def _say(self, verdict: Verdict) -> None:
        self.found[verdict.name] = verdict

    def _judge(self, name: str, work: Callable[[], Verdict]) -> None:
        """Add a verdict that the settings may have switched off, or that needs tables that may be damaged."""
        if name in GATE_ONLY and not self.publish:
            return
        if name in self.now.gate.off:
            self._say(switched_off(name))
            return
        try:
            self._say(work())
        except (IncompleteError, IntegrityError, KeyError, TypeError, ValueError) as error:
            message = error.message if isinstance(error, RagflowError) else f"{type(error).__name__}: {error}"
            remedy = "See the other verdicts: what this check reads is damaged."
            rows = ({"problem": message},)
            self._say(
                Verdict(name, Outcome.FAIL, f"It cannot be told: {message}", 1, threshold=0, remedy=remedy, rows=rows)
            )

    def _manifests(self) -> list[BatchManifest]:
        manifests, verdicts = read_manifests(self.now, self.record)
        for verdict in verdicts:
            self._say(verdict)
        return manifests

    def _corpus(self, manifests: list[BatchManifest], corpus: Corpus) -> tuple[Ledger, Asked | None]:
        """Judge what concerns the archive and the version as a whole."""
        then, gate = self.then, self.now.gate
        ledger = Ledger()

        def count() -> Verdict:
            nonlocal ledger
            ledger = corpus_ledger(then, corpus)
            return ledger_adds_up(ledger)

        fresh, salt = self._fresh(), self.record.corpus_fingerprint
        self._judge("ledger", count)
        self._judge("coverage", lambda: coverage(ledger, gate.coverage, scope="the archive"))
        self._judge("low_confidence", lambda: _confidence(then, corpus))
        self._judge("garbled_text", lambda: garbled(then, corpus, gate.garbled))
        self._judge("read_again", lambda: read_again(then, corpus, fresh, salt))
        self._judge("cut_again", lambda: cut_again(then, corpus, fresh))
        self._judge("sources_seen", lambda: sources_seen(self.now, manifests, corpus, salt))
        self._judge("vectors_match_texts", lambda: vectors_match_texts(then, fresh, salt))
        self._judge("model_matches", lambda: model_matches(self.now, self.record))
        return ledger, self._version(corpus)

    def _version(self, corpus: Corpus) -> Asked | None:
        """Judge the points, the seal, and what the version answers."""
        gate, drawing = self.now.gate, Drawing()
        try:
            observed, damage = observe(self.then, self.record.version, drawing if self.publish else None)
        except NotFoundError as error:
            observed, damage = None, IntegrityError(error.message, remedy=error.remedy)
        self._say(version_sealed(self.record, newest_release(self.now, self.record.version), observed, damage))
        self._judge("points_exact", lambda: self._points(corpus, observed, damage))
        self._judge(
            "served_coverage",
            lambda: served_coverage(served_pages(self.then, corpus, observed or Observed()), gate.served_coverage),
        )
        if not self.publish or damage is not None:
            return None
        with self.now.versions().open(self.record.version) as reader:
            self._judge("ready", lambda: ready(reader, self.record))
            sample = next(reader.scroll(POINTS), [])
            self._judge("payloads_match_tables", lambda: payloads_match_tables(self.then, sample))
        asked = ask_candidate(self.now, self.record, self.live, set(corpus.documents), drawing)
        for verdict in asked.verdicts:
            self._judge(verdict.name, lambda verdict=verdict: verdict)  # type: ignore[misc]
        return asked

    def _points(self, corpus: Corpus, observed: Observed | None, damage: IntegrityError | None) -> Verdict:
        contents = {key: state.sha256 for key, state in corpus.documents.items()}
        exact = (
            points_exact(desired_owners(self.then, corpus), observed.points(), observed.doubled, contents)
            if observed is not None
            else None
        )
        if damage is None and exact is not None:
            return exact
        assert damage is not None
        rows = ({"problem": damage.message}, *(exact.rows if exact is not None else ()))
        said, remedy = damage.message, damage.remedy
        return Verdict("points_exact", Outcome.FAIL, said, len(rows), threshold=0, remedy=remedy, rows=rows)

    def _fresh(self) -> frozenset[str]:
        """Return the batches whose tables are not those that the live version was built from."""
        served = self.now.home.version_records.find(self.live) if self.live else None
        if served is None or served.version == self.record.version:
            return frozenset(self.record.batches)
        return frozenset(
            batch
            for batch in self.record.batches
            if any(self.record.tables.get(a, {}).get(batch) != served.tables.get(a, {}).get(batch) for a in STAGES)
        )


def switched_off(name: str) -> Verdict:
    """Return what stands in a release record for a verdict that the settings have switched off."""
    return Verdict(
        name,
        Outcome.WARN,
        "Switched off by the settings: nothing was judged.",
        remedy=f"Take {name} out of `gate.off` to have it judged.",
    )


def _confidence(workspace: Workspace, corpus: Corpus) -> Verdict:
    """How sure the words of the contents that are there now are, each counted once."""
    names = {state.sha256: key for key, state in sorted(corpus.documents.items(), reverse=True) if state.sha256}
    homes = {sha: corpus.homes[sha] for sha in names}
    return low_confidence(workspace, homes, names, scope="the archive")


def merge(verdicts: Iterable[Verdict]) -> list[Verdict]:
    """Make one verdict per name out of those of all batches: it fails if one of them failed."""
    by_name: dict[str, list[Verdict]] = {}
    for verdict in verdicts:
        by_name.setdefault(verdict.name, []).append(verdict)
    merged = []
    for name, group in by_name.items():
        failed = [verdict for verdict in group if not verdict.passed]
        if not failed:
            merged.append(replace(group[0], summary=f"{len(group)} checks passed.", figure=0, threshold=0, rows=()))
            continue
        rows = [row for verdict in failed for row in verdict.rows]
        merged.append(
            Verdict(
                name,
                Outcome.FAIL,
                f"{len(failed)} of {len(group)} checks failed: {failed[0].summary}",
                figure=len(failed),
                threshold=0,
                remedy=failed[0].remedy,
                rows=tuple(rows[:MAX_ROWS]),
            )
        )
    return merged
