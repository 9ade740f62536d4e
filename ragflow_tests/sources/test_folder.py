"""A folder as a source: what it lists, what it refuses to open."""

from __future__ import annotations

import os
import sys
from pathlib import Path, PurePosixPath

import pytest

from ragflow.errors import BadInputError
from ragflow.model.batches import SourceRoot
from ragflow.model.reading import Reason
from ragflow.sources.folder import FolderSource, OutsideSourceError, source_name
from ragflow.sources.protocol import FoundFile


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path.resolve() / "archive"
    made.mkdir()
    return made


def put(folder: Path, path: str, content: bytes = b"%PDF-1.7") -> Path:
    target = folder / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content)
    return target


def source(folder: Path, *scope: str) -> FolderSource:
    return FolderSource("box", folder, tuple(PurePosixPath(path) for path in scope))


def listed(folder: Path, *scope: str) -> dict[str, FoundFile]:
    files = list(source(folder, *scope).scan())
    by_path = {file.path: file for file in files}
    assert len(by_path) == len(files), "a path was listed twice"
    return by_path


def test_pdfs_are_listed_with_size_and_time_in_a_stable_order(folder: Path) -> None:
    for path in ("b.pdf", "sub/a.PDF", "a.pdf"):
        os.utime(put(folder, path), ns=(7, 1_700_000_000_123_456_789))
    files = list(source(folder).scan())
    assert files == [FoundFile(path, 8, 1_700_000_000_123_456_789) for path in ("a.pdf", "b.pdf", "sub/a.PDF")]
    assert source(folder).root == SourceRoot("box", "folder", str(folder))


def test_other_kinds_are_ignored_and_hidden_ones_are_passed_over(folder: Path) -> None:
    for path in ("a.txt", "README", "x.pdf.part", ".hidden.pdf", ".git/a.pdf", "sub/.cache/b.pdf"):
        put(folder, path)
    found = listed(folder)
    assert {path: file.detail for path, file in found.items()} == {
        "a.txt": ".txt",
        "README": "no suffix",
        "x.pdf.part": ".part",
    }
    assert all(file.ignored for file in found.values())


def test_images_are_documents_too(folder: Path) -> None:
    images = ("a.png", "b.jpg", "c.JPEG", "d.tif", "sub/e.TIFF", "f.webp", "g.bmp")
    others = ("h.gif", "i.svg", "j.heic", "k.jp2", "l.png.txt")
    for path in (*images, *others):
        put(folder, path, b"content")
    found = listed(folder)
    assert {path for path, file in found.items() if not file.ignored} == set(images)
    assert {path for path, file in found.items() if file.ignored} == set(others)
    assert all(file.size == 7 and file.reason is None for file in found.values() if not file.ignored)


@pytest.mark.parametrize(
    "name", ["with spaces.pdf", "é à ü 漢.pdf", "a#b?c%20.pdf", "new\nline.pdf", "-rf.pdf", "'\"\\.pdf"]
)
def test_awkward_names_are_listed_and_open(folder: Path, name: str) -> None:
    put(folder, f"sub {name}/{name}", b"content")
    (found,) = listed(folder).values()
    assert (found.path, found.reason) == (f"sub {name}/{name}", None)
    with source(folder).open(found.path) as stream:
        assert stream.read() == b"content"


def test_a_name_that_is_not_utf8_is_quarantined(folder: Path) -> None:
    with open(os.path.join(os.fsencode(folder), b"caf\xe9.pdf"), "wb") as stream:  # noqa: PTH118, PTH123
        stream.write(b"%PDF")
    (found,) = listed(folder).values()
    assert (found.path, found.reason) == ("caf\\xe9.pdf", Reason.UNREADABLE)
    assert "rename" in (found.detail or "")


def test_two_names_that_are_written_alike_are_listed_once(folder: Path) -> None:
    """The bytes 0xE9 and the four characters backslash, x, e, 9: one key must not stand for two documents."""
    with open(os.path.join(os.fsencode(folder), b"caf\xe9.pdf"), "wb") as stream:  # noqa: PTH118, PTH123
        stream.write(b"%PDF")
    put(folder, "caf\\xe9.pdf")
    assert listed(folder).keys() == {"caf\\xe9.pdf"}


def test_a_folder_named_like_a_document_is_a_folder(folder: Path) -> None:
    put(folder, "x.pdf/inner.pdf")
    assert listed(folder).keys() == {"x.pdf/inner.pdf"}


def test_what_is_no_regular_file_is_quarantined_without_waiting_for_it(folder: Path) -> None:
    os.mkfifo(folder / "pipe.pdf")
    (folder / "dangling.pdf").symlink_to(folder / "nowhere.pdf")
    (folder / "loop.pdf").symlink_to("loop.pdf")
    (folder / "device.pdf").symlink_to("/dev/zero")
    found = listed(folder)
    assert {path: file.reason for path, file in found.items()} == {
        "pipe.pdf": Reason.UNREADABLE,
        "dangling.pdf": Reason.UNREADABLE,
        "loop.pdf": Reason.UNREADABLE,
        "device.pdf": Reason.OUTSIDE_SOURCE,
    }
    assert all(file.detail for file in found.values())


def test_a_link_inside_is_a_document_and_one_to_the_outside_is_not(folder: Path) -> None:
    secret = put(folder.parent, "secret.pdf", b"secret")
    put(folder, "real.pdf", b"inside")
    (folder / "inside.pdf").symlink_to("real.pdf")
    (folder / "outside.pdf").symlink_to(secret)
    (folder / "relative.pdf").symlink_to("../secret.pdf")
    found = listed(folder)
    assert (found["inside.pdf"].reason, found["inside.pdf"].size) == (None, 6)
    for name in ("outside.pdf", "relative.pdf"):
        assert (found[name].reason, found[name].size) == (Reason.OUTSIDE_SOURCE, 0)
        with pytest.raises(OutsideSourceError, match="leads out of"):
            source(folder).open(name)


def test_a_sibling_folder_with_the_same_beginning_is_outside(folder: Path) -> None:
    put(folder.parent, "archive-private/x.pdf")
    (folder / "x.pdf").symlink_to("../archive-private/x.pdf")
    assert listed(folder)["x.pdf"].reason is Reason.OUTSIDE_SOURCE


@pytest.mark.parametrize("path", ["../secret.pdf", "sub/../../secret.pdf", "/etc/hostname", "/etc/passwd"])
def test_a_path_that_leads_out_is_not_opened(folder: Path, path: str) -> None:
    put(folder.parent, "secret.pdf")
    (folder / "sub").mkdir()
    with pytest.raises(OutsideSourceError):
        source(folder).open(path)


def test_linked_folders_are_not_entered_but_said(folder: Path) -> None:
    put(folder.parent, "elsewhere/x.pdf")
    put(folder, "sub/a.pdf")
    (folder / "out").symlink_to(folder.parent / "elsewhere")
    (folder / "sub" / "loop").symlink_to(folder)
    found = listed(folder)
    assert found.keys() == {"sub/a.pdf", "out", "sub/loop"}
    assert {found[path].detail for path in ("out", "sub/loop")} == {"linked folder"}
    with pytest.raises(OutsideSourceError):
        source(folder).open("out/x.pdf")


def test_a_scope_limits_what_is_listed_and_what_is_covered(folder: Path) -> None:
    for path in ("a.pdf", "sub/b.pdf", "sub/deep/c.pdf", "subway/d.pdf"):
        put(folder, path)
    assert listed(folder, "sub").keys() == {"sub/b.pdf", "sub/deep/c.pdf"}
    assert listed(folder, "a.pdf", "sub/deep").keys() == {"a.pdf", "sub/deep/c.pdf"}
    assert listed(folder, "gone.pdf") == {}
    limited = source(folder, "sub", "a.pdf")
    paths = ("a.pdf", "sub/gone.pdf", "subway/d.pdf", "b.pdf")
    assert [limited.covers(path) for path in paths] == [True, True, False, False]
    assert source(folder).covers("anything/at/all.pdf")


def test_scopes_that_overlap_list_each_file_once(folder: Path) -> None:
    put(folder, "sub/b.pdf")
    assert listed(folder, "sub", "sub/b.pdf", "sub").keys() == {"sub/b.pdf"}


def test_a_missing_folder_is_never_an_empty_one(folder: Path) -> None:
    with pytest.raises(BadInputError, match="is not there") as caught:
        list(FolderSource("box", folder / "gone").scan())
    assert "Mount" in caught.value.remedy


@pytest.fixture
def unlistable(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Folders that the disk fails on. Permissions would not do: tests may run as root."""
    broken: set[str] = set()
    real = os.scandir

    def scandir(path: str) -> object:
        if os.fspath(path) in broken:
            raise OSError(5, "Input/output error", path)
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    return broken


def test_a_folder_that_cannot_be_listed_is_quarantined(folder: Path, unlistable: set[str]) -> None:
    put(folder, "a.pdf")
    put(folder, "sub/b.pdf")
    unlistable.add(str(folder / "sub"))
    found = listed(folder)
    assert found.keys() == {"a.pdf", "sub"}
    assert found["sub"].reason is Reason.UNREADABLE
    assert "Input/output error" in (found["sub"].detail or "")


def test_a_source_that_cannot_be_listed_is_never_an_empty_one(folder: Path, unlistable: set[str]) -> None:
    put(folder, "a.pdf")
    unlistable.add(str(folder))
    with pytest.raises(BadInputError, match="cannot be listed"):
        list(source(folder).scan())


def test_opening_leaves_no_descriptor_behind(folder: Path) -> None:
    put(folder.parent, "secret.pdf")
    (folder / "out.pdf").symlink_to("../secret.pdf")
    os.mkfifo(folder / "pipe.pdf")
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(5):
        listed(folder)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_file_that_is_gone_says_so(folder: Path) -> None:
    for ask in (source(folder).open, source(folder).stat):
        with pytest.raises(BadInputError, match=r"gone\.pdf cannot be read") as caught:
            ask("gone.pdf")
        assert caught.value.remedy


def test_names_of_sources_are_plain_stable_and_distinct(tmp_path: Path) -> None:
    first, second = source_name(tmp_path / "a b" / "Été/#1 "), source_name(tmp_path / "c" / "Été/#1 ")
    assert first != second
    assert first == source_name(tmp_path / "a b" / "Été/#1 ")
    for name in (first, second, source_name(Path("/"))):
        assert "/" not in name
        assert not name.startswith(".")
        assert name.isprintable()


@pytest.mark.skipif(sys.platform != "linux", reason="asks the kernel what was opened")
def test_a_link_that_is_swapped_while_it_is_opened_gives_nothing_away(folder: Path) -> None:
    """What was opened decides: swap the file for a link after the name was resolved for the last time."""
    secret = put(folder.parent, "secret.pdf", b"secret")
    target = put(folder, "a.pdf", b"inside")
    target.unlink()
    target.symlink_to(secret)
    with pytest.raises(OutsideSourceError):
        source(folder).stat("a.pdf")
    target.unlink()
    put(folder, "a.pdf", b"inside")
    with source(folder).open("a.pdf") as stream:
        target.unlink()
        target.symlink_to(secret)
        assert stream.read() == b"inside"
