"""What is changed behind ragflow's back is found, and named by document and page."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import qdrant_edge

from ragflow.model.fingerprints import sha256_text
from ragflow.store.blobs import hash_file
from ragflow.store.home import Home
from ragflow.vectors.files import take_inventory
from ragflow_tests.e2e.homes import (
    CARRIERE,
    MINUTES,
    QUARRY,
    REPORT,
    SCAN,
    Archive,
    failed,
    live,
    points_of,
    replace_cells,
    table_path,
)
from ragflow_tests.e2e.launcher import Launcher

LIE = QUARRY.replace("closed", "opened")
VICTIM_PAGE = 1


def text_in_its_table(home: Home) -> None:
    assert replace_cells(table_path(home, "ocr_text", "page_texts"), "text", {QUARRY: LIE}) == 1


def text_and_its_hashes(home: Home) -> None:
    """The forger also puts right the text's hash and the file's hash in the record."""
    text_in_its_table(home)
    path = table_path(home, "ocr_text", "page_texts")
    assert replace_cells(path, "text_sha256", {sha256_text(QUARRY): sha256_text(LIE)}) == 1
    record_file = path.parent / "record.json"
    record = json.loads(record_file.read_bytes())
    record["files"]["page_texts"] |= {"sha256": hash_file(path), "size": path.stat().st_size}
    record_file.write_text(json.dumps(record))


def byte_of_a_scan(home: Home) -> None:
    (sha256,) = {line.sha256 for line in home.manifests.all()[0].documents if line.key == f"inbox/{SCAN}"}
    assert sha256 is not None
    data = bytearray(home.blobs.path(sha256).read_bytes())
    data[len(data) // 2] ^= 1
    home.blobs.path(sha256).write_bytes(data)


def shard_folder(home: Home) -> Path:
    return home.vectors / "versions" / str(live(home)) / "shard"


def vector(home: Home) -> None:
    """Turn round the vector of a point of the French minutes, page 1, inside the live version."""
    shard = qdrant_edge.EdgeShard.load(str(shard_folder(home)))
    records, _ = shard.scroll(qdrant_edge.ScrollRequest(limit=100, with_payload=True, with_vector=True))
    (record,) = [
        record
        for record in records
        if record.payload and (record.payload["document_key"], record.payload["text"]) == (f"inbox/{MINUTES}", CARRIERE)
    ]
    vectors: Any = record.vector
    turned = qdrant_edge.PointVectors(record.id, {**vectors, "dense": [-value for value in vectors["dense"]]})
    shard.update(qdrant_edge.UpdateOperation.update_vectors([turned]))
    shard.flush()
    shard.close()


def vector_and_inventory(home: Home) -> None:
    """The forger also makes the inventory of the version's files fit: only the points themselves give it away."""
    vector(home)
    completion = shard_folder(home).parent / "complete.json"
    value = json.loads(completion.read_bytes())
    value["files"] = {name: list(stamp) for name, stamp in take_inventory(shard_folder(home)).items()}
    completion.write_text(json.dumps(value))


TAMPERINGS: tuple[Callable[[Home], None], ...] = (
    text_in_its_table,
    text_and_its_hashes,
    byte_of_a_scan,
    vector,
    vector_and_inventory,
)


@dataclass(frozen=True, slots=True)
class Tampered:
    """A copy of the archive that somebody changed, and what ``ragflow verify`` said."""

    archive: Archive
    report: dict[str, Any]

    @property
    def failed(self) -> set[str]:
        return failed(self.report["verdicts"])

    @property
    def named(self) -> set[tuple[str, object, object]]:
        """(check, document, page) of every break."""
        return {(row["check"], row.get("document"), row.get("page")) for row in self.report["breaks"]}


@pytest.fixture(scope="module")
def tampered(launcher: Launcher, archive: Archive, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Tampered]:
    folder = tmp_path_factory.mktemp("tampered")
    copies = {tamper.__name__: archive.copy(folder / tamper.__name__) for tamper in TAMPERINGS}
    for tamper in TAMPERINGS:
        tamper(copies[tamper.__name__].home)
    homes = {name: copied.root for name, copied in copies.items()}
    done = launcher.run_together({"untouched": archive.root, **homes}, "verify", "--json")
    untouched = done.pop("untouched")
    assert (untouched.exit_code, untouched.json["passed"], untouched.json["breaks"]) == (0, True, [])
    for name, result in done.items():
        assert result.exit_code == 4, f"{name}: {result.stdout}"
        assert result.json["passed"] is False
        assert result.json["breaks"]
    return {name: Tampered(copies[name], result.json) for name, result in done.items()}


def test_a_page_text_rewritten_in_its_table_is_named(tampered: dict[str, Tampered]) -> None:
    found = tampered["text_in_its_table"]
    assert {"tables_intact", "texts_intact"} <= found.failed
    assert ("texts_intact", f"inbox/{REPORT}", VICTIM_PAGE) in found.named
    assert {document for _, document, _ in found.named} <= {f"inbox/{REPORT}", None}, "nobody else is blamed"


def test_a_page_text_rewritten_with_its_hashes_put_right_is_named(tampered: dict[str, Tampered]) -> None:
    found = tampered["text_and_its_hashes"]
    assert "tables_intact" in found.failed, "the newest record fits, but it is not what the version was built from"
    assert ("chunks_cover_pages", f"inbox/{REPORT}", VICTIM_PAGE) in found.named
    assert ("points_exact", f"inbox/{REPORT}", VICTIM_PAGE) in found.named


def test_a_byte_flipped_in_a_stored_document_is_named(tampered: dict[str, Tampered]) -> None:
    found = tampered["byte_of_a_scan"]
    assert found.failed == {"blobs_intact"}
    assert {document for _, document, _ in found.named} == {f"inbox/{SCAN}"}


def test_a_vector_changed_with_its_inventory_is_named(tampered: dict[str, Tampered]) -> None:
    found = tampered["vector_and_inventory"]
    assert found.failed == {"points_exact", "version_sealed"}
    assert found.named >= {("points_exact", f"inbox/{MINUTES}", VICTIM_PAGE)}
    assert {document for _, document, _ in found.named} <= {f"inbox/{MINUTES}", None}


def test_a_vector_changed_without_further_care_shows_in_the_files_and_is_named(
    launcher: Launcher, tampered: dict[str, Tampered]
) -> None:
    found = tampered["vector"]
    folder = str(shard_folder(found.archive.home))
    assert any(folder in str(row.get("problem")) for row in found.report["breaks"])
    assert ("points_exact", f"inbox/{MINUTES}", VICTIM_PAGE) in found.named
    refused = launcher.run(found.archive.root, "search", "lavoir", "--mode", "sparse", "--json")
    assert refused.exit_code == 4, "damaged files are not searched"
    assert folder in refused.json["error"]["message"]


def test_a_damaged_version_is_healed_by_building_it_anew(launcher: Launcher, tampered: dict[str, Tampered]) -> None:
    archive = tampered["vector_and_inventory"].archive
    healed = launcher.run(archive.root, "ingest", "--rebuild", "--json")
    assert healed.exit_code == 0, healed.stderr
    release = healed.json["release"]
    assert (release["version"], release["decision"]) == ("v000002", "promoted")
    assert healed.json["work"] == {"hashed_files": 0, "hashed_bytes": 0}, "the tables were sound: nothing is read again"
    assert points_of(archive.home, "v000002").keys() == points_of(archive.home, "v000001").keys()
    hits = launcher.run(archive.root, "search", CARRIERE, "--mode", "dense", "--json").json
    assert hits[0]["text"] == CARRIERE
    assert launcher.run(archive.root, "verify", "--json").exit_code == 0
