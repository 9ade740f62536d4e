"""Encrypted documents: shut in quarantine until the passwords file opens them, once for each change of that file."""

from __future__ import annotations

import shutil
import stat
from dataclasses import replace
from pathlib import Path

import pytest
from reportlab.lib.pdfencrypt import StandardEncryption

from ragflow.errors import UsageError
from ragflow.pipeline import raw_pdfs
from ragflow.pipeline.examination import examine
from ragflow.pipeline.ingest import pending_batches
from ragflow.pipeline.passwords import passwords_mark
from ragflow.pipeline.quarantine import quarantined
from ragflow.pipeline.release import release
from ragflow.pipeline.rereading import batches_to_reread
from ragflow.pipeline.verification import verify
from ragflow.pipeline.workspace import GateOptions, Workspace
from ragflow_tests.ocr.pdfs import ENGLISH, lines_at, write_pdf
from ragflow_tests.pipeline.archive import (
    QUARRY,
    WINDMILL,
    Archive,
    ingest,
    make_workspace,
    put,
    run_batch,
    run_pending,
    scan_inbox,
    settle,
)

SECRET = "Sturmvogel-3141"
"""Occurs nowhere else; what is searched for below must not be found by chance."""


def lock(workspace: Workspace, name: str, password: str = SECRET) -> Path:
    path = workspace.home.inbox / name
    write_pdf(path, [lines_at(ENGLISH)] * 2, encrypt=StandardEncryption(password, strength=128))
    return settle(path)


def with_passwords(workspace: Workspace, *passwords: str) -> Workspace:
    path = workspace.home.root.parent / "passwords.txt"
    path.write_text("\n".join(passwords) + "\n")
    path.chmod(0o600)
    return replace(workspace, reading=replace(workspace.reading, passwords_file=path))


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Archive:
    """Two batches: one with a good and a locked document, one with a copy of the locked one."""
    root = tmp_path_factory.mktemp("locked").resolve() / "home"
    workspace = make_workspace(root, gate=GateOptions(coverage=0.1))
    workspace.home.inbox.mkdir(parents=True)
    put(workspace, "good.pdf", QUARRY)
    path = lock(workspace, "locked.pdf")
    assert ingest(workspace).decision == "promoted"
    settle(Path(shutil.copy(path, path.with_name("copy.pdf"))))
    assert ingest(workspace).decision == "promoted"
    return Archive(workspace, *workspace.home.manifests.batch_keys())


@pytest.fixture
def locked(template: Archive, tmp_path: Path) -> Workspace:
    return template.copy(tmp_path / "home").workspace


def indexed(workspace: Workspace) -> int:
    report = release(workspace)
    assert report.decision == "promoted", report.verdicts
    return report.ledger.indexed


def test_a_password_opens_every_copy_and_only_what_was_shut_is_looked_at(locked: Workspace) -> None:
    assert [entry.document for entry in quarantined(locked)] == ["inbox/copy.pdf", "inbox/locked.pdf"]
    assert pending_batches(locked) == [] and batches_to_reread(locked) == {}
    opened = with_passwords(locked, "wrong", SECRET)
    both = list(opened.home.manifests.batch_keys())
    assert pending_batches(opened) == both and list(batches_to_reread(opened)) == both
    reports = run_pending(opened)
    work = [reports[batch]["raw_pdfs"].work for batch in both]
    assert [(w["documents_inspected"], w["documents_kept"]) for w in work] == [(1, 1), (1, 0)]
    assert reports[both[0]]["ocr_text"].work["pages_read"] == 2
    assert quarantined(opened) == [] and pending_batches(opened) == []
    assert indexed(opened) == 5
    assert verify(opened, deep=True).passed


def test_documents_are_tried_once_for_each_change_of_the_file(locked: Workspace) -> None:
    opened = with_passwords(locked, "wrong")
    assert len(pending_batches(opened)) == 2
    run_pending(opened)
    assert pending_batches(opened) == [] and batches_to_reread(opened) == {}
    again = with_passwords(locked, "# a comment is no password", "wrong", "")
    assert pending_batches(again) == [], "the passwords are the same"
    settle(Path(str(again.reading.passwords_file)))
    assert pending_batches(again) == []
    more = with_passwords(locked, "wrong", "also wrong")
    assert len(pending_batches(more)) == 2
    assert pending_batches(replace(locked, reading=replace(locked.reading, passwords_file=None))) == []


def test_a_run_with_new_passwords_is_asked_for_once(locked: Workspace) -> None:
    first = batches_to_reread(with_passwords(locked, "wrong"))
    assert first == batches_to_reread(with_passwords(locked, "wrong")), "the same run key"
    second = batches_to_reread(with_passwords(locked, "also wrong"))
    assert first.keys() == second.keys() and not set(first.values()) & set(second.values())


def test_no_password_is_written_anywhere(locked: Workspace, caplog: pytest.LogCaptureFixture) -> None:
    opened = with_passwords(locked, SECRET)
    with caplog.at_level("DEBUG"):
        run_pending(opened)
        assert examine(opened, release(opened).version).passed
    assert SECRET not in caplog.text
    for path in opened.home.root.rglob("*"):
        assert not path.is_file() or SECRET.encode() not in path.read_bytes(), path


def test_the_key_of_the_mark_is_private_and_the_mark_needs_it(locked: Workspace) -> None:
    opened = with_passwords(locked, SECRET)
    mark = passwords_mark(opened)
    key = opened.home.passwords_key
    assert mark == passwords_mark(opened)
    assert stat.S_IMODE(key.stat().st_mode) == 0o600 and len(key.read_bytes()) == 32
    key.write_bytes(b"torn")
    assert passwords_mark(opened) != mark and len(key.read_bytes()) == 32
    assert stat.S_IMODE(key.stat().st_mode) == 0o600


def test_a_passwords_file_that_cannot_be_used_stops_work_but_not_a_verification(locked: Workspace) -> None:
    opened = with_passwords(locked, SECRET)
    Path(str(opened.reading.passwords_file)).chmod(0o644)
    with pytest.raises(UsageError, match="others than its owner"):
        pending_batches(opened)
    put(opened, "new.pdf", WINDMILL)
    (batch,) = scan_inbox(opened).batches
    with pytest.raises(UsageError, match="others than its owner") as caught:
        raw_pdfs.materialize(opened, batch)
    assert SECRET not in str(caught.value)
    run_batch(locked, batch)
    assert release(locked).decision == "promoted"
    assert verify(opened).passed
