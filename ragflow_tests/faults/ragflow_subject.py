"""ragflow, put through the faults: each is put in the way a bug in a stage would, and then everything runs for real."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from ragflow.errors import CheckFailedError, RagflowError
from ragflow.model.batches import BatchManifest, Change, DocumentChange, SourceRoot
from ragflow.model.verdicts import Verdict
from ragflow.pipeline.backing_up import back_up
from ragflow.pipeline.batch_checks import check_batches
from ragflow.pipeline.collection import CandidateReport, build_candidate
from ragflow.pipeline.ingest import MATERIALIZE
from ragflow.pipeline.release import ReleaseReport, live_version, release
from ragflow.pipeline.searching import Searcher
from ragflow.pipeline.stages import CHUNKS, EMBEDDINGS, OCR_TEXT, RAW_PDFS, STAGES
from ragflow.pipeline.workspace import Workspace
from ragflow.store.backups import open_target
from ragflow.store.inventory import FileMark
from ragflow_tests.faults.documents import FIRST, GROWTH, STANDING, Row, Scene, write_questions
from ragflow_tests.faults.fault import Fault, Level, Moment
from ragflow_tests.faults.ragflow_engine import (
    Plan,
    change_snapshot,
    exchange_files,
    faulty_payloads,
    forgetful,
    with_plan,
)
from ragflow_tests.faults.ragflow_homes import (
    change_file,
    copy_home,
    edit,
    largest,
    reseal,
    run_pending,
    seal,
    take_over,
    work_off,
    workspace_at,
)
from ragflow_tests.faults.ragflow_rows import SOURCE, BatchTables, plain_point
from ragflow_tests.faults.subject import REFUSED, Outcome, Place, Situation

UNSCANNED = "before the last scan"
BACKUP = "proof"


class RagflowSubject:
    """ragflow's stages, gate and canaries, called as a run calls them; see :mod:`ragflow_tests.faults.subject`.

    Args:
        root: a folder for the homes; each reset works on a copy of a prepared one.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._runs = 0
        self._situation = Situation.GROWTH
        self._arm()

    def _arm(self) -> None:
        """Forget every fault."""
        self._plan: Plan | None = None
        self._payloads: Callable[[Row], Row] | None = None
        self._kept_batches: Sequence[str] | None = None
        self._with_candidate: Callable[[CandidateReport], None] | None = None
        self._settings: Callable[[Row], Row] | None = None
        self._stages_left: Sequence[str] = ()
        self._backs_up = False

    @property
    def workspace(self) -> Workspace:
        return workspace_at(self._root / f"run-{os.getpid()}-{self._runs}")

    def prepare(self, states: Sequence[Path]) -> None:
        workspace = workspace_at(self._root / "prepared")
        workspace.home.inbox.mkdir(parents=True)
        write_questions(workspace.home.root / "golden.jsonl", SOURCE)
        for number, folder in enumerate(states, start=1):
            take_over(folder, workspace.home.inbox)
            if number == len(states):
                self._keep(workspace, UNSCANNED)
            work_off(workspace)
            if number == 1:
                self._keep(workspace, Situation.FIRST)
            if number < len(states):
                report = release(workspace)
                failed = [verdict for verdict in report.verdicts if not verdict.passed]
                assert report.decision == "promoted", failed
        self._keep(workspace, Situation.GROWTH)

    def _keep(self, workspace: Workspace, name: str) -> None:
        copy_home(workspace.home.root, self._root / name)

    def reset(self, situation: Situation) -> None:
        self._situation = situation
        self._go_to(situation)
        self._arm()

    def _go_to(self, name: str) -> None:
        shutil.rmtree(self.workspace.home.root, ignore_errors=True)
        self._runs += 1
        shutil.rmtree(self.workspace.home.root, ignore_errors=True)
        copy_home(self._root / name, self.workspace.home.root)

    # Putting faults in.

    def inject(self, fault: Fault) -> None:
        put_in: Mapping[Level, Callable[[Fault], None]] = {
            Level.SOURCE: self._damage_source,
            Level.INVENTORY: self._damage_inventory,
            Level.DOCUMENTS: lambda of: self._rewrite(of, RAW_PDFS, "documents"),
            Level.PAGES: lambda of: self._rewrite(of, OCR_TEXT, "pages"),
            Level.CHUNKS: lambda of: self._rewrite(of, CHUNKS, "chunks"),
            Level.VECTORS: lambda of: self._rewrite(of, EMBEDDINGS, "vectors"),
            Level.POINTS: self._damage_points,
            Level.CODE: self._damage_code,
            Level.TABLES: self._damage_table,
            Level.RECORDS: self._damage_record,
            Level.SETTINGS: self._change_settings,
            Level.ALIAS: self._move_alias,
            Level.SERVED: self._damage_served,
            Level.BACKUP: self._damage_backup,
        }
        put_in[fault.level](fault)

    def _batches(self) -> tuple[str, ...]:
        return self.workspace.home.manifests.batch_keys()

    def _scene(self) -> Scene:
        return FIRST if self._situation is Situation.FIRST else GROWTH

    def _rewrite(self, fault: Fault, asset: str, rows: str) -> None:
        """Have a stage of the new batch give other rows; the stages after it run before publication."""
        *earlier, newest = (BatchTables(self.workspace, batch) for batch in self._batches())
        texts = {(row["document"], row["page"]): row["text"] for row in newest.pages()}
        before = [row for tables in earlier for row in getattr(tables, rows)()]
        scene = replace(self._scene(), earlier=before, texts=texts)
        getattr(newest, f"write_{rows}")(fault.change(getattr(newest, rows)(), scene))
        self._stages_left = STAGES[STAGES.index(asset) + 1 :]

    def _damage_source(self, fault: Fault) -> None:
        key = SOURCE + self._scene().new
        (sha256,) = [c.sha256 for c in self.workspace.home.manifests.get(self._batches()[-1]).documents if c.key == key]
        assert sha256 is not None
        change_file(self.workspace.home.blobs.path(sha256), fault.change)

    def _damage_inventory(self, fault: Fault) -> None:
        self._go_to(UNSCANNED)
        home, name = self.workspace.home, SOURCE.rstrip("/")
        marks = home.inventory.load(name)
        rows = []
        for path, mark in marks.items():
            if (home.inbox / path).exists():
                state = (home.inbox / path).stat()
                now = [state.st_size, state.st_mtime_ns]
                rows.append({"document": path, "seen": [mark.size, mark.mtime_ns], "is": now})
        for row in fault.change(rows, self._scene()):
            marks[row["document"]] = FileMark(*row["seen"], marks[row["document"]].sha256)
        home.inventory.save(name, marks)
        work_off(self.workspace)

    def _damage_points(self, fault: Fault) -> None:
        """Have the candidate built with other points; its record says what is there."""
        live = live_version(self.workspace)
        scene = replace(self._scene(), earlier=self._points(live) if live else ())
        self._plan = Plan(points=lambda rows: fault.change(rows, scene))
        self._with_candidate = lambda candidate: reseal(self.workspace, candidate)

    def _points(self, version: str) -> list[Row]:
        with self.workspace.versions().open(version) as reader:
            return [plain_point(point) for points in reader.scroll() for point in points]

    def _damage_code(self, fault: Fault) -> None:
        self._payloads = fault.change

    def _damage_table(self, fault: Fault) -> None:
        newest, oldest = self._batches()[-1], self._batches()[0]
        asset, batch, table = {
            "vectors of the new batch": (EMBEDDINGS, newest, "embeddings"),
            "record of the new vectors": (EMBEDDINGS, newest, None),
            "words of the new batch": (OCR_TEXT, newest, "words"),
            "words of the first batch": (OCR_TEXT, oldest, "words"),
        }[fault.target]
        tables = self.workspace.home.tables
        name = tables.get(asset, batch).files[table].file if table else "record.json"
        change_file(tables.folder(asset, batch) / name, fault.change)

    def _damage_record(self, fault: Fault) -> None:
        home = self.workspace.home
        if fault.target == "batches":
            self._kept_batches = fault.change(list(self._batches()))
        elif fault.target == "record of the candidate":
            root = home.version_records.root
            self._with_candidate = lambda of: edit(root / f"{of.record.version}.json", fault.change)
        elif fault.target.startswith("manifest"):
            key = self._batches()[0 if fault.target == "manifest of the first batch" else 1]
            path = home.manifests.root / f"{key}.json"
            if fault.forged:
                self._rename_manifest(path, fault.change(orjson.loads(path.read_bytes())))
            else:
                edit(path, fault.change)
        else:
            records = sorted(home.releases.root.glob("[0-9]*.json"))
            path = records[0] if fault.target == "oldest release record" else records[-1]
            edit(path, fault.change, again=seal if fault.forged else None)

    def _rename_manifest(self, path: Path, edited: Row) -> None:
        """Put an edited manifest in place under the name that its content gives, and run its stages."""
        forged = BatchManifest.create(
            sequence=edited["sequence"],
            created_at=edited["created_at"],
            previous=edited["previous"],
            sources=[SourceRoot(**source) for source in edited["sources"]],
            documents=[DocumentChange(**{**of, "change": Change(of["change"])}) for of in edited["documents"]],
        )
        path.unlink()
        self.workspace.home.manifests.append(forged)
        run_pending(self.workspace)

    def _change_settings(self, fault: Fault) -> None:
        self._settings = fault.change

    def _move_alias(self, fault: Fault) -> None:
        def move(_: CandidateReport | None = None) -> None:
            versions = self.workspace.versions()
            target = fault.change(versions.versions())
            versions.move_alias(target, expected=live_version(self.workspace), moved_at=_now())

        if fault.target == "alias":
            move()
        else:
            self._with_candidate = move

    def _damage_served(self, fault: Fault) -> None:
        if fault.target.startswith("files"):
            self._plan = Plan(after_move=lambda of, version: exchange_files(of, version, fault.change(of.versions())))
        elif fault.target == "alias":
            self._plan = Plan(
                after_move=lambda of, version: _ignore(
                    of.move_alias(fault.change(of.versions()), expected=version, moved_at=_now())
                )
            )
        else:
            way = fault.target.split()[0]
            self._plan = Plan(**{way: fault.change})
            if fault.moment is Moment.BEFORE:
                self._with_candidate = self._break_candidate

    def _break_candidate(self, candidate: CandidateReport) -> None:
        assert self._plan is not None
        self._plan.broken = candidate.record.version

    def _damage_backup(self, fault: Fault) -> None:
        """What is live is backed up; a part is played by a document that is live, not by a new one."""
        self._backs_up = True
        if fault.target == "points in the snapshot":
            scene = replace(FIRST, other="mill.pdf")
            self._plan = Plan(snapshot=lambda folder: change_snapshot(folder, lambda rows: fault.change(rows, scene)))
        else:
            self._plan = Plan(snapshot=lambda folder: change_file(largest(folder), fault.change))

    # Publishing.

    def publish(self) -> Outcome:
        workspace = with_plan(self.workspace, self._plan) if self._plan else self.workspace
        if self._backs_up:
            return self._back_up(workspace)
        candidate = None
        try:
            with self._code():
                for asset in self._stages_left:
                    MATERIALIZE[asset](workspace, self._batches()[-1])
                candidate = self._build(workspace)
                if self._with_candidate is not None:
                    self._with_candidate(candidate)
                report = release(self._with_settings(workspace), candidate)
        except RagflowError as error:
            return self._refused(error, candidate)
        return self._decided(report, candidate)

    def _code(self) -> AbstractContextManager[None]:
        return faulty_payloads(self._payloads) if self._payloads else nullcontext()

    def _build(self, workspace: Workspace) -> CandidateReport:
        if self._kept_batches is not None:
            workspace = forgetful(workspace, self._kept_batches)
        return build_candidate(workspace)

    def _with_settings(self, workspace: Workspace) -> Workspace:
        if self._settings is None:
            return workspace
        return replace(workspace, **self._settings({"target_tokens": workspace.target_tokens}))

    def _decided(self, report: ReleaseReport, candidate: CandidateReport) -> Outcome:
        failed = [verdict for verdict in (*report.verdicts, *report.canaries) if not verdict.passed]
        return Outcome(
            published=live_version(self.workspace) == candidate.record.version,
            caught_by=tuple(verdict.name for verdict in failed),
            before=not report.canaries,
            message=" ".join(verdict.summary for verdict in failed) or f"decision: {report.decision}",
            places=_places(failed),
        )

    def _refused(self, error: RagflowError, candidate: CandidateReport | None) -> Outcome:
        """An error ended it. What the checks of the run say, which come before a release, is asked as well."""
        failed = [v for v in check_batches(self.workspace, self._batches_to_check()) if not v.passed]
        moved = self._plan is not None and self._plan.moved is not None
        return Outcome(
            published=candidate is not None and live_version(self.workspace) == candidate.record.version,
            caught_by=tuple(dict.fromkeys([REFUSED, *(verdict.name for verdict in failed)])),
            before=not moved,
            message=f"{type(error).__name__}: {error.message}",
            places=_places(failed),
        )

    def _batches_to_check(self) -> list[str]:
        try:
            return [manifest.key for manifest in self.workspace.home.manifests.all()][-1:]
        except RagflowError:
            return []

    def _back_up(self, workspace: Workspace) -> Outcome:
        target = self._root / f"backup-{os.getpid()}-{self._runs}"
        try:
            back_up(workspace, str(target), name=BACKUP)
        except CheckFailedError as error:
            proof = open_target(str(target), existing=True).proof(BACKUP)
            failed = [verdict for verdict in proof.verdicts if not verdict.passed] if proof else []
            names = tuple(verdict.name for verdict in failed)
            return Outcome(False, names, True, error.message, _places(failed))
        except RagflowError as error:
            return Outcome(False, (REFUSED,), True, f"{type(error).__name__}: {error.message}")
        finally:
            shutil.rmtree(target, ignore_errors=True)
        return Outcome(True, (), True, "The backup counts as good.")

    def live(self) -> str | None:
        return live_version(self.workspace)

    def answers(self) -> bool:
        question, document = STANDING
        with Searcher(self.workspace) as searcher:
            hits = searcher.search(question)
        return bool(hits) and hits[0].document["key"] == SOURCE + document


def _places(failed: Sequence[Verdict]) -> dict[str, frozenset[Place]]:
    """Return verdict → the documents and pages that it names."""
    return {
        verdict.name: frozenset(
            (str(row["document"]).removeprefix(SOURCE), row.get("page")) for row in verdict.rows if row.get("document")
        )
        for verdict in failed
    }


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _ignore(_: Any) -> None:
    return None
