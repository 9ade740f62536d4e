"""Documents into text files: real PDFs, the real pool, the text layer as engine."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ragflow.errors import BadInputError, UsageError
from ragflow.model.fingerprints import sha256_hex
from ragflow.model.reading import PageStatus, Reason
from ragflow.ocr.options import TrustThresholds
from ragflow.ocr.pool import TaskFailure, WorkerPool
from ragflow.pipeline import single_files
from ragflow.pipeline.progress import listening
from ragflow.pipeline.single_files import OcrReport, read_files
from ragflow.pipeline.workspace import Workspace
from ragflow_tests.ocr.pdfs import empty, lines_at, write_pdf
from ragflow_tests.pipeline.archive import make_workspace


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return make_workspace(tmp_path_factory.mktemp("single") / "home")


def document(path: Path, *pages: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return write_pdf(path, [lines_at(page.split("\n")) if page else empty for page in pages])


def written(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def pages_of(path: Path) -> list[dict[str, Any]]:
    pages: list[dict[str, Any]] = json.loads(path.read_bytes())["pages"]
    return pages


def test_text_and_json_of_each_document(workspace: Workspace, tmp_path: Path) -> None:
    letters = tmp_path / "letters"
    first = document(letters / "first.pdf", "the ferry crosses\nthe river", "", "page three")
    document(letters / "1923" / "first.pdf", "another one")
    (letters / "notes.md").write_text("no document")
    single = document(tmp_path / "single.pdf", *[f"page number {number}" for number in range(1, 31)])
    out = tmp_path / "out"
    seen: list[tuple[str, int, int]] = []
    with listening(lambda *step: seen.append(step)):
        report = read_files(workspace, [letters, single], out)
    assert [Path(file.path).name for file in report.files] == ["first.pdf", "first.pdf", "single.pdf"]
    assert set(written(out)) == {
        "first.txt", "first.json", "1923/first.txt", "1923/first.json", "single.txt", "single.json",
    }  # fmt: skip
    assert (out / "first.txt").read_text() == "the ferry crosses\nthe river\n\f\fpage three\n"
    expected = [f"page number {number}\n" for number in range(1, 31)]
    assert (out / "single.txt").read_text().split("\f") == expected
    found = json.loads((out / "first.json").read_bytes())
    assert found["document"] == {
        "name": "first.pdf",
        "sha256": sha256_hex(first.read_bytes()),
        "size": first.stat().st_size,
    }
    assert [(page["page_number"], page["status"]) for page in found["pages"]] == [
        (1, "indexed"), (2, "blank"), (3, "indexed"),
    ]  # fmt: skip
    assert report.files[0].pages == {"indexed": 2, "blank": 1} and report.files[0].words == 7
    assert all(file.complete for file in report.files) and report.ignored == {".md": 1}
    assert ("look at files", 3, 3) in seen and seen[-1] == ("read pages", 34, 34)


def test_the_same_command_again_keeps_and_another_is_refused(workspace: Workspace, tmp_path: Path) -> None:
    one, two = document(tmp_path / "one.pdf", "first text"), document(tmp_path / "two.pdf", "second text")
    out = tmp_path / "out"
    read_files(workspace, [one], out)
    report = read_files(workspace, [one, two], out)
    assert [file.kept for file in report.files] == [True, False]
    assert report.files[0].pages == {"indexed": 1} and report.files[0].words == 2

    before = written(out)
    document(one, "changed text")
    with pytest.raises(UsageError, match=r"one\.txt and 1 more"):
        read_files(workspace, [one, two], out)
    other = replace(workspace, reading=replace(workspace.reading, trust=TrustThresholds(image_cover=0.4)))
    with pytest.raises(UsageError, match=r"and 1 more would be overwritten"):
        read_files(other, [two], out)
    assert written(out) == before
    report = read_files(workspace, [one, two], out, force=True)
    assert [file.kept for file in report.files] == [False, False]
    assert (out / "one.txt").read_text() == "changed text\n"


def test_a_file_that_is_not_ours_is_spared(workspace: Workspace, tmp_path: Path) -> None:
    one = document(tmp_path / "one.pdf", "first text")
    out = tmp_path / "out"
    out.mkdir()
    for name in ("one.txt", "one.json"):
        (out / name).write_text("mine")
        with pytest.raises(UsageError, match="would be overwritten"):
            read_files(workspace, [one], out)
        assert written(out) == {name: b"mine"}
        (out / name).unlink()


def test_what_an_end_between_the_two_files_left_is_no_hindrance(workspace: Workspace, tmp_path: Path) -> None:
    one = document(tmp_path / "one.pdf", "first text")
    out = tmp_path / "out"
    read_files(workspace, [one], out)
    (out / "one.txt").unlink()
    assert [file.kept for file in read_files(workspace, [one], out).files] == [False]
    assert (out / "one.txt").read_text() == "first text\n"


def test_an_input_is_never_written_over(workspace: Workspace, tmp_path: Path) -> None:
    document(tmp_path / "one.txt", "a PDF that is called text")
    before = written(tmp_path)
    with pytest.raises(UsageError, match="an input and an output"):
        read_files(workspace, [tmp_path / "one.txt"], tmp_path, force=True)
    assert written(tmp_path) == before


def test_what_cannot_be_read_is_told_and_the_others_are_written(workspace: Workspace, tmp_path: Path) -> None:
    good = document(tmp_path / "in" / "good.pdf", "first text")
    (tmp_path / "in" / "liar.pdf").write_text("I am no PDF")
    (tmp_path / "in" / "empty.pdf").touch()
    (tmp_path / "in" / "link.pdf").symlink_to("/etc/hostname")
    os.mkfifo(tmp_path / "in" / "pipe.pdf")
    os.mkfifo(tmp_path / "pipe.pdf")
    missing = tmp_path / "missing.pdf"
    report = read_files(workspace, [tmp_path / "in", missing, tmp_path / "pipe.pdf", good], tmp_path / "out")
    problems = [(Path(file.path).name, file.problem and file.problem[0]) for file in report.files]
    assert problems == [
        ("empty.pdf", Reason.EMPTY_FILE),
        ("good.pdf", None),
        ("liar.pdf", Reason.NOT_A_PDF),
        ("link.pdf", Reason.OUTSIDE_SOURCE),
        ("pipe.pdf", Reason.UNREADABLE),
        ("missing.pdf", Reason.UNREADABLE),
        ("pipe.pdf", Reason.UNREADABLE),
    ]
    assert set(written(tmp_path / "out")) == {"good.txt", "good.json"}


def test_old_outputs_of_what_cannot_be_read_any_more_go_with_force(workspace: Workspace, tmp_path: Path) -> None:
    one, out = document(tmp_path / "one.pdf", "first text"), tmp_path / "out"
    read_files(workspace, [one], out)
    one.write_text("damaged now")
    assert read_files(workspace, [one], out).files[0].problem is not None
    assert set(written(out)) == {"one.txt", "one.json"}
    read_files(workspace, [one], out, force=True)
    assert written(out) == {}


def test_nothing_to_read_is_an_error(workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("text")
    with pytest.raises(BadInputError, match=r"no document in .*passed over: 1 \.md"):
        read_files(workspace, [tmp_path], tmp_path / "out")


def test_hostile_names_stay_inside(workspace: Workspace, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    names = ["line\nbreak.pdf", "...pdf", "déjà vu.pdf", "x" * 251 + ".pdf", "-rf.pdf"]
    for number, name in enumerate(names):
        document(folder / name, f"text {number}")
    odd = os.fsencode(tmp_path) + b"/caf\xe9.pdf"
    Path(os.fsdecode(odd)).write_bytes(document(tmp_path / "plain.pdf", "text 9").read_bytes())
    out = tmp_path / "deep" / "out"
    report = read_files(workspace, [folder, Path(os.fsdecode(odd)), folder / ".." / "in", folder / "...pdf"], out)
    assert all(file.complete for file in report.files)
    texts = {name: content for name, content in written(out).items() if name.endswith(".txt")}
    assert texts["line\\nbreak.txt"] == b"text 0\n" and texts["_...txt"] == b"text 1\n"
    assert texts["caf\\xe9.txt"] == b"text 9\n"
    json.dumps([(file.path, str(file.text)) for file in report.files], ensure_ascii=False).encode()
    assert {path for path in tmp_path.iterdir()} == {
        folder, tmp_path / "deep", tmp_path / "plain.pdf", Path(os.fsdecode(odd)),
    }  # fmt: skip


def test_a_folder_in_the_way_of_an_output_costs_that_document_only(workspace: Workspace, tmp_path: Path) -> None:
    document(tmp_path / "in" / "a.pdf", "first")
    document(tmp_path / "in" / "a.txt" / "b.pdf", "second")
    report = read_files(workspace, [tmp_path / "in"], tmp_path / "out")
    assert sorted(file.problem is None for file in report.files) == [False, True]


class _BreakingPool:
    """The real pool, but some units end without a result, as they do when a worker dies or takes too long."""

    def __init__(self, pool: WorkerPool, bad_page: int) -> None:
        self.pool, self.bad_page = pool, bad_page

    def map(self, function: Any, tasks: Any, *, seconds: Any) -> Iterator[tuple[Any, Any]]:
        for task, result in self.pool.map(function, tasks, seconds=seconds):
            bad = function is single_files.read_unit and any(self.bad_page in pages for _, _, pages in task.parts)
            yield task, TaskFailure(Reason.WORKER_DIED, "The worker was ended by signal 9.") if bad else result


def test_a_page_that_kills_its_worker_costs_itself_alone(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = workspace.pool()
    monkeypatch.setattr(Workspace, "pool", lambda self: _BreakingPool(pool, 2))
    one = document(tmp_path / "one.pdf", *[f"page {number}" for number in range(5)])
    report: OcrReport = read_files(workspace, [one], tmp_path / "out")
    assert report.files[0].pages == {"indexed": 4, "quarantined": 1} and not report.files[0].complete
    assert (tmp_path / "out/one.txt").read_text().split("\f") == ["page 0\n", "page 1\n", "", "page 3\n", "page 4\n"]
    page = pages_of(tmp_path / "out/one.json")[2]
    assert (page["status"], page["reason"]) == (PageStatus.QUARANTINED, Reason.WORKER_DIED)
    assert report.engine_runs == {"text_layer": 4}


def test_a_file_that_changes_while_it_is_read_is_not_written(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = document(tmp_path / "one.pdf", "first text")
    plan = single_files._Run._plan

    def change_then_plan(self: Any, todo: Any, folder: Path) -> Any:
        document(one, "second text, longer than the first")
        return plan(self, todo, folder)

    monkeypatch.setattr(single_files._Run, "_plan", change_then_plan)
    report = read_files(workspace, [one], tmp_path / "out")
    assert report.files[0].problem is not None and report.files[0].problem[0] is Reason.SOURCE_CHANGED
    assert not (tmp_path / "out").exists()


def test_units_are_shared_by_small_files_and_cut_for_large_ones(workspace: Workspace, tmp_path: Path) -> None:
    many = [document(tmp_path / f"{number:02}.pdf", "text") for number in range(60)]
    from ragflow.pipeline.single_inputs import find_inputs, look_at

    for engines, sizes in ((("text_layer",), [7] * 8 + [4]), (("tesseract",), [4] * 15)):
        other = replace(workspace, reading=replace(workspace.reading, engines=engines))
        inputs, _ = find_inputs(many)
        run = single_files._Run(other, inputs, [], look_at(workspace, inputs), "")
        units = list(run._plan(range(60), tmp_path))
        assert [unit.page_count for unit in units] == sizes
        assert [number for unit in units for number, _, _ in unit.parts] == list(range(60))
