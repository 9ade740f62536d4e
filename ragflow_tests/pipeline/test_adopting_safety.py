"""Adoptions that are killed, and adopted collections that are tampered with."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ragflow.errors import IntegrityError, NotFoundError
from ragflow.pipeline.adopting import adopt, verify_adopted
from ragflow.pipeline.workspace import Workspace
from ragflow.store.blobs import hash_file
from ragflow.store.home import Home
from ragflow_tests.pipeline.exports import contents, export, failing, library, point, two_libraries, unit
from ragflow_tests.store.children import child


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(home=Home(tmp_path / "home"))


def test_tampering_shows(workspace: Workspace, tmp_path: Path) -> None:
    report = adopt(workspace, two_libraries(tmp_path))
    assert [v.name for v in verify_adopted(report.folder)] == ["files", "merkle_root", "mapping", "collection_version"]

    def rewrite(name: str, change: Any) -> Path:
        """Change a file of a copy, and make the report fit its new bytes."""
        folder = tmp_path / f"tampered-{name}"
        shutil.copytree(report.folder, folder)
        pq.write_table(change(pq.read_table(folder / name)), folder / name)
        record = orjson.loads((folder / "report.json").read_bytes())
        for file in record["files"]:
            file["sha256"] = hash_file(folder / file["file"])
        (folder / "report.json").write_bytes(orjson.dumps(record))
        return folder

    def other_payload(table: pa.Table) -> pa.Table:
        payloads = table.column("payload").to_pylist()
        changed = pa.array([payloads[0].replace("granite", "marble"), *payloads[1:]])
        return table.set_column(table.schema.get_field_index("payload"), table.schema.field("payload"), changed)

    assert failing(verify_adopted(rewrite("points-00001.parquet", other_payload))) == ["merkle_root"]
    assert failing(verify_adopted(rewrite("mapping.parquet", lambda table: table.slice(1)))) == ["mapping"]

    damaged = tmp_path / "damaged"
    shutil.copytree(report.folder, damaged)
    data = next((damaged / "vectors" / "versions").rglob("matrix.dat"), None) or next(
        (damaged / "vectors" / "versions").rglob("chunk_0.mmap")
    )
    content = bytearray(data.read_bytes())
    content[len(content) // 2] ^= 1
    data.write_bytes(content)
    assert failing(verify_adopted(damaged)) == ["collection_version"]
    (damaged / "points-00002.parquet").write_bytes((damaged / "points-00001.parquet").read_bytes())
    assert failing(verify_adopted(damaged)) == ["files", "collection_version"]
    (damaged / "report.json").write_bytes(b"{}")
    with pytest.raises(IntegrityError, match=r"report\.json is damaged"):
        verify_adopted(damaged)
    (damaged / "report.json").unlink()
    with pytest.raises(NotFoundError, match="holds no adopted collection"):
        verify_adopted(damaged)


KILLED = """
from ragflow.pipeline.adopting import AdoptOptions, adopt
from ragflow.pipeline.progress import listening
from ragflow.pipeline.workspace import Workspace
from ragflow.store.home import Home

def stop(work, done, total):
    if work.startswith(sys.argv[3]):
        print("ready", flush=True)
        time.sleep(600)

with listening(stop):
    adopt(Workspace(home=Home(Path(sys.argv[1]))), [sys.argv[2]])
"""


@pytest.mark.parametrize("moment", ["reading", "looking for near", "writing points", "writing the mapping"])
def test_killed(workspace: Workspace, tmp_path: Path, moment: str) -> None:
    source = library(tmp_path / "a.jsonl")
    folder = workspace.home.root / "adopted" / "a"
    with child(KILLED, workspace.home.root, source, moment):
        assert not folder.exists()
    assert not folder.exists()
    clean = Workspace(home=Home(tmp_path / "clean"))
    assert adopt(workspace, [source]).decision == "adopted"
    assert contents(folder) == contents(adopt(clean, [source]).folder)
    before = contents(folder)
    export(tmp_path / "a.jsonl", [point(1, unit(1), "changed")])
    with child(KILLED, workspace.home.root, source, moment):
        assert contents(folder) == before
    assert contents(folder) == before and not failing(verify_adopted(folder))
    assert adopt(workspace, [source]).decision == "replaced"
    assert sorted(path.name for path in folder.parent.iterdir()) == ["a"]


def test_killed_between_two_names(workspace: Workspace, tmp_path: Path) -> None:
    source = library(tmp_path / "a.jsonl")
    folder = adopt(workspace, [source]).folder
    before = contents(folder)
    folder.rename(folder.with_name(".old-a"))
    (folder.with_name(".new-a") / "vectors").mkdir(parents=True)
    assert adopt(workspace, [source]).decision == "unchanged"
    assert contents(folder) == before and sorted(path.name for path in folder.parent.iterdir()) == ["a"]
