"""Scanning real folders: what becomes a batch, what waits, what is never taken for a removal."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO, ClassVar

import pytest

from ragflow.errors import BadInputError
from ragflow.model.batches import check_chain, fold
from ragflow.model.fingerprints import sha256_hex
from ragflow.pipeline.scanning import ScanLimits, ScanReport, scan, sources_for
from ragflow.pipeline.workspace import BatchOptions, Workspace
from ragflow.sources.folder import FolderSource
from ragflow_tests.pipeline.archive import scan_inbox, settle


def drop(workspace: Workspace, name: str, content: bytes | None = None) -> Path:
    """Put a file into the inbox; a scan does not look at what is inside."""
    path = workspace.home.inbox / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(name.encode() if content is None else content)
    return settle(path)


def documents(workspace: Workspace) -> dict[str, str | None]:
    corpus = fold(workspace.home.manifests.all())
    check_chain(workspace.home.manifests.all())
    return {key: state.sha256 or state.reason for key, state in corpus.documents.items()}


def counts(report: ScanReport) -> tuple[int, int, int, int, int]:
    return len(report.added), len(report.changed), len(report.removed), report.unchanged, report.hashed_files


def test_new_changed_and_removed_documents(workspace: Workspace) -> None:
    drop(workspace, "a.pdf")
    drop(workspace, "b.pdf")
    drop(workspace, "c.pdf")
    report = scan_inbox(workspace)
    assert counts(report) == (3, 0, 0, 0, 3)
    assert len(report.batches) == 1
    drop(workspace, "a.pdf", b"other")
    (workspace.home.inbox / "b.pdf").unlink()
    drop(workspace, "sub/d.pdf")
    report = scan_inbox(workspace)
    assert (report.added, report.changed, report.removed) == (("inbox/sub/d.pdf",), ("inbox/a.pdf",), ("inbox/b.pdf",))
    assert counts(report) == (1, 1, 1, 1, 2)
    assert documents(workspace) == {
        "inbox/a.pdf": sha256_hex(b"other"),
        "inbox/c.pdf": sha256_hex(b"c.pdf"),
        "inbox/sub/d.pdf": sha256_hex(b"sub/d.pdf"),
    }


def test_the_same_folder_twice_makes_no_second_batch_and_hashes_nothing(workspace: Workspace) -> None:
    drop(workspace, "a.pdf")
    scan_inbox(workspace)
    again = scan_inbox(workspace)
    assert again == ScanReport(unchanged=1)
    assert len(workspace.home.manifests.batch_keys()) == 1


def test_only_files_whose_size_or_time_changed_are_hashed(workspace: Workspace) -> None:
    for number in range(4):
        drop(workspace, f"{number}.pdf", b"12345678")
    assert scan_inbox(workspace).hashed_files == 4
    touched = workspace.home.inbox / "1.pdf"
    settle(touched, 30)
    report = scan_inbox(workspace)
    assert (report.hashed_files, report.hashed_bytes, report.batches, report.unchanged) == (1, 8, (), 4)
    longer = workspace.home.inbox / "2.pdf"
    before = longer.stat().st_mtime_ns
    longer.write_bytes(b"123456789")
    os.utime(longer, ns=(before, before))
    report = scan_inbox(workspace)
    assert (report.hashed_files, report.hashed_bytes, report.changed) == (1, 9, ("inbox/2.pdf",))
    assert scan_inbox(workspace).hashed_files == 0


def test_without_its_inventory_a_scan_hashes_everything_and_finds_nothing_new(workspace: Workspace) -> None:
    drop(workspace, "a.pdf")
    drop(workspace, "b.pdf")
    scan_inbox(workspace)
    (workspace.home.root / "inventory" / "inbox.json").write_bytes(b"{torn")
    assert counts(scan_inbox(workspace)) == (0, 0, 0, 2, 2)
    assert counts(scan_inbox(workspace)) == (0, 0, 0, 2, 0), "and the inventory is whole again"


def test_a_rename_is_a_removal_and_an_addition_of_the_same_content(workspace: Workspace) -> None:
    path = drop(workspace, "a.pdf")
    (first,) = scan_inbox(workspace).batches
    path.rename(path.with_name("z.pdf"))
    report = scan_inbox(workspace)
    assert (report.added, report.removed) == (("inbox/z.pdf",), ("inbox/a.pdf",))
    corpus = fold(workspace.home.manifests.all())
    assert corpus.homes == {sha256_hex(b"a.pdf"): first}, "its pages are read already"


def test_doubles_are_two_documents_with_one_content(workspace: Workspace) -> None:
    shutil.copy2(drop(workspace, "a.pdf"), workspace.home.inbox / "b.pdf")
    report = scan_inbox(workspace)
    assert len(report.added) == 2
    assert len(set(documents(workspace).values())) == 1


def test_a_file_that_was_written_a_moment_ago_waits_and_is_not_removed(workspace: Workspace) -> None:
    path = drop(workspace, "a.pdf")
    scan_inbox(workspace)
    path.write_bytes(b"%PDF half of the new")
    drop(workspace, "b.pdf").write_bytes(b"half")
    report = scan_inbox(workspace)
    assert (report.deferred, report.batches, report.hashed_files) == (("inbox/a.pdf", "inbox/b.pdf"), (), 0)
    assert documents(workspace) == {"inbox/a.pdf": sha256_hex(b"a.pdf")}
    settle(path)
    assert scan_inbox(workspace).changed == ("inbox/a.pdf",)


def test_a_scan_that_may_wait_takes_fresh_files(workspace: Workspace) -> None:
    brief = replace(workspace, batching=BatchOptions(settle_seconds=0.05))
    (workspace.home.inbox / "a.pdf").write_bytes(b"fresh")
    assert scan_inbox(brief, wait=True).added == ("inbox/a.pdf",)


def test_a_file_dated_in_the_future_does_not_wait_for_ever(workspace: Workspace) -> None:
    future = time.time_ns() + 10**15
    os.utime(drop(workspace, "a.pdf"), ns=(future, future))
    assert scan_inbox(workspace).added == ("inbox/a.pdf",)


class Meddled(FolderSource):
    """A source in which something happens to a file each time after it was opened."""

    meddle: ClassVar[Callable[[Path], None]]

    def open(self, path: str) -> BinaryIO:
        stream = FolderSource.open(self, path)
        type(self).meddle(self.location / path)
        return stream


def scan_meddled(workspace: Workspace, meddle: Callable[[Path], None]) -> ScanReport:
    source = type("Source", (Meddled,), {"meddle": staticmethod(meddle)})("inbox", workspace.home.inbox)
    return scan(workspace, [source], ScanLimits(wait=False))


def test_a_file_that_changes_while_it_is_hashed_waits(workspace: Workspace) -> None:
    path = drop(workspace, "a.pdf")

    def grow(path: Path) -> None:
        with path.open("ab") as writer:
            writer.write(b"more")
        settle(path)

    report = scan_meddled(workspace, grow)
    assert (report.deferred, report.batches) == (("inbox/a.pdf",), ())
    assert scan_inbox(workspace).added == ("inbox/a.pdf",)
    assert documents(workspace) == {"inbox/a.pdf": sha256_hex(path.read_bytes())}


def test_a_file_that_goes_away_after_it_was_listed_waits(workspace: Workspace) -> None:
    path = drop(workspace, "a.pdf")
    scan_inbox(workspace)
    settle(path, 30)
    report = scan_meddled(workspace, lambda path: path.unlink(missing_ok=True))
    assert (report.deferred, report.batches) == (("inbox/a.pdf",), ())
    assert scan_inbox(workspace).removed == ("inbox/a.pdf",)


def test_a_link_to_the_outside_put_in_place_of_a_listed_file_is_not_followed(workspace: Workspace) -> None:
    secret = workspace.home.root / "secret.pdf"
    secret.write_bytes(b"secret")
    drop(workspace, "a.pdf")

    def swap(path: Path) -> None:
        path.unlink()
        path.symlink_to(secret)

    report = scan_meddled(workspace, swap)
    assert report.quarantined["inbox/a.pdf"][0] == "outside_source"
    assert documents(workspace) == {"inbox/a.pdf": "outside_source"}
    assert report.hashed_files == 0


AWKWARD = ("with spaces.pdf", "é à ü 漢.pdf", "a#b?c%20.pdf", "new\nline.pdf", "sub.pdf/x.pdf")


def test_awkward_names_keep_their_keys(workspace: Workspace) -> None:
    for name in AWKWARD:
        drop(workspace, name)
    scan_inbox(workspace)
    assert documents(workspace) == {f"inbox/{name}": sha256_hex(name.encode()) for name in AWKWARD}
    assert scan_inbox(workspace) == ScanReport(unchanged=len(AWKWARD))


def test_names_that_are_not_utf8_are_quarantined_once(workspace: Workspace) -> None:
    with open(os.path.join(os.fsencode(workspace.home.inbox), b"\xff\xe9.pdf"), "wb") as stream:  # noqa: PTH118, PTH123
        stream.write(b"%PDF")
    report = scan_inbox(workspace)
    assert report.quarantined["inbox/\\xff\\xe9.pdf"][0] == "unreadable"
    assert scan_inbox(workspace) == ScanReport(unchanged=1)
    drop(workspace, "\\xff\\xe9.pdf")
    assert len(scan_inbox(workspace).batches) <= 1
    assert scan_inbox(workspace).batches == (), "two names that are written alike do not make batches for ever"


def test_what_cannot_be_read_is_quarantined_and_taken_up_when_it_can(workspace: Workspace) -> None:
    dangling, pipe = workspace.home.inbox / "dangling.pdf", workspace.home.inbox / "pipe.pdf"
    dangling.symlink_to(workspace.home.inbox / "missing")
    os.mkfifo(pipe)
    report = scan_inbox(workspace)
    assert {key: reason for key, (reason, _) in report.quarantined.items()} == {
        "inbox/dangling.pdf": "unreadable",
        "inbox/pipe.pdf": "unreadable",
    }
    assert report.hashed_files == 0
    assert scan_inbox(workspace) == ScanReport(unchanged=2), "a quarantined file is no news the second time"
    dangling.unlink()
    drop(workspace, "dangling.pdf")
    report = scan_inbox(workspace)
    assert (report.changed, report.quarantined) == (("inbox/dangling.pdf",), {})


def test_a_document_that_becomes_unreadable_is_quarantined_not_removed(workspace: Workspace) -> None:
    path = drop(workspace, "a.pdf")
    scan_inbox(workspace)
    path.unlink()
    path.symlink_to("nowhere")
    report = scan_inbox(workspace)
    assert (report.changed, report.removed) == (("inbox/a.pdf",), ())
    assert documents(workspace) == {"inbox/a.pdf": "unreadable"}


def test_a_link_that_leads_out_is_quarantined_and_one_inside_is_a_document(workspace: Workspace) -> None:
    secret = workspace.home.root / "secret.pdf"
    secret.write_bytes(b"secret")
    drop(workspace, "real.pdf")
    (workspace.home.inbox / "out.pdf").symlink_to(secret)
    (workspace.home.inbox / "in.pdf").symlink_to("real.pdf")
    report = scan_inbox(workspace)
    assert report.quarantined["inbox/out.pdf"][0] == "outside_source"
    assert documents(workspace)["inbox/in.pdf"] == sha256_hex(b"real.pdf")
    assert sha256_hex(b"secret") not in documents(workspace).values(), "not even its hash"


def test_linked_folders_and_other_kinds_are_counted(workspace: Workspace) -> None:
    (workspace.home.root / "elsewhere").mkdir()
    (workspace.home.root / "elsewhere" / "x.pdf").write_bytes(b"x")
    (workspace.home.inbox / "linked").symlink_to(workspace.home.root / "elsewhere")
    for name in ("a.txt", "b.txt", "README"):
        drop(workspace, name)
    report = scan_inbox(workspace)
    assert report.ignored == {".txt": 2, "linked folder": 1, "no suffix": 1}
    assert report.batches == ()


def test_most_of_a_source_vanishing_is_refused(workspace: Workspace) -> None:
    for number in range(20):
        drop(workspace, f"{number}.pdf")
    scan_inbox(workspace)
    for number in range(11):
        (workspace.home.inbox / f"{number}.pdf").unlink()
    with pytest.raises(BadInputError, match="11 of 20 documents have vanished") as caught:
        scan_inbox(workspace)
    assert "--allow-removals" in caught.value.remedy
    assert len(documents(workspace)) == 20
    assert len(scan_inbox(workspace, allow_removals=True).removed) == 11
    for number in range(11, 15):
        (workspace.home.inbox / f"{number}.pdf").unlink()
    assert len(scan_inbox(workspace).removed) == 4, "a source this small may shrink as it likes"


def test_half_of_a_source_may_go(workspace: Workspace) -> None:
    for number in range(20):
        drop(workspace, f"{number}.pdf")
    scan_inbox(workspace)
    for number in range(10):
        (workspace.home.inbox / f"{number}.pdf").unlink()
    assert len(scan_inbox(workspace).removed) == 10


def test_a_folder_that_cannot_be_listed_removes_nothing(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk or permission error on a sub-folder says nothing about the documents in it."""
    drop(workspace, "a.pdf")
    drop(workspace, "sub/b.pdf")
    drop(workspace, "subway/c.pdf")
    scan_inbox(workspace)
    before = documents(workspace)
    real, broken = os.scandir, str(workspace.home.inbox / "sub")

    def scandir(path: str) -> object:
        if os.fspath(path) == broken:
            raise OSError(5, "Input/output error", path)
        return real(path)

    (workspace.home.inbox / "subway" / "c.pdf").unlink()
    with monkeypatch.context() as patch:
        patch.setattr(os, "scandir", scandir)
        report = scan_inbox(workspace)
    assert report.removed == ("inbox/subway/c.pdf",)
    assert report.quarantined["inbox/sub"][0] == "unreadable"
    assert before.items() - documents(workspace).items() == {("inbox/subway/c.pdf", sha256_hex(b"subway/c.pdf"))}
    healed = scan_inbox(workspace)
    assert (healed.removed, healed.hashed_files) == (("inbox/sub",), 0), "the folder's own entry goes again"


def test_a_missing_folder_is_bad_input_and_changes_nothing(workspace: Workspace) -> None:
    drop(workspace, "a.pdf")
    scan_inbox(workspace)
    sources = sources_for(workspace, [])
    workspace.home.inbox.rename(workspace.home.inbox.with_name("unmounted"))
    with pytest.raises(BadInputError, match="is not there"):
        scan(workspace, sources)
    with pytest.raises(BadInputError, match="does not exist"):
        sources_for(workspace, [workspace.home.root / "nowhere"])
    assert len(documents(workspace)) == 1


def test_without_paths_the_inbox_is_scanned_and_made(workspace: Workspace) -> None:
    workspace.home.inbox.rmdir()
    (source,) = sources_for(workspace, [])
    assert (source.root.name, source.root.location) == ("inbox", str(workspace.home.inbox))
    assert workspace.home.inbox.is_dir()


def test_a_scan_of_one_file_or_folder_leaves_the_rest_alone(workspace: Workspace) -> None:
    for name in ("a.pdf", "b.pdf", "sub/c.pdf", "sub/d.pdf"):
        drop(workspace, name)
    scan_inbox(workspace)
    shutil.rmtree(workspace.home.inbox / "sub")
    (workspace.home.inbox / "b.pdf").unlink()
    drop(workspace, "a.pdf", b"changed")
    drop(workspace, "sub/e.pdf")
    only_file = scan(workspace, sources_for(workspace, [workspace.home.inbox / "a.pdf"]))
    assert (only_file.changed, only_file.removed, only_file.added) == (("inbox/a.pdf",), (), ())
    only_folder = scan(workspace, sources_for(workspace, [workspace.home.inbox / "sub"]))
    assert (only_folder.added, only_folder.removed) == (("inbox/sub/e.pdf",), ("inbox/sub/c.pdf", "inbox/sub/d.pdf"))
    assert "inbox/b.pdf" in documents(workspace)
    assert scan_inbox(workspace).removed == ("inbox/b.pdf",)


@pytest.mark.parametrize("paths", [("sub", "sub/x.pdf"), ("sub/x.pdf", "sub/x.pdf"), ("sub", "sub"), ("", "sub")])
def test_a_file_named_twice_is_one_change(workspace: Workspace, paths: Sequence[str]) -> None:
    drop(workspace, "sub/x.pdf")
    report = scan(workspace, sources_for(workspace, [workspace.home.inbox / path for path in paths]))
    assert report.added == ("inbox/sub/x.pdf",)
    (manifest,) = workspace.home.manifests.all()
    assert [change.key for change in manifest.documents] == ["inbox/sub/x.pdf"]


def test_a_folder_elsewhere_is_a_source_that_is_remembered(workspace: Workspace) -> None:
    folder = workspace.home.root.parent / "my papers"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "x.pdf").write_bytes(b"x")
    settle(folder / "deep" / "x.pdf")
    first = scan(workspace, sources_for(workspace, [folder]))
    (key,) = first.added
    assert key.startswith("my-papers-")
    assert key.endswith("/deep/x.pdf")
    (folder / "deep" / "y.pdf").write_bytes(b"y")
    settle(folder / "deep" / "y.pdf")
    second = scan(workspace, sources_for(workspace, [folder / "deep" / "y.pdf"]))
    assert second.added == (key.replace("x.pdf", "y.pdf"),), "the file belongs to the source that is known already"
    assert scan_inbox(workspace) == ScanReport(), "and the inbox knows nothing of it"


def test_a_path_whose_name_is_not_utf8_is_bad_input(workspace: Workspace) -> None:
    folder = os.path.join(os.fsencode(workspace.home.root), b"caf\xe9")  # noqa: PTH118
    os.mkdir(folder)  # noqa: PTH102
    with pytest.raises(BadInputError, match="UTF-8") as caught:
        sources_for(workspace, [Path(os.fsdecode(folder))])
    assert "Rename" in caught.value.remedy
