"""The proof of a hit: complete in itself, and worth nothing once anything in it was changed."""

from __future__ import annotations

import base64
import copy
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ragflow.errors import BadInputError, IntegrityError, NotFoundError
from ragflow.model.releases import seal_of
from ragflow.ocr.options import ReadingOptions
from ragflow.pipeline.proofs import check_proof, make_proof, read_proof, release_hash
from ragflow.pipeline.searching import Searcher
from ragflow.pipeline.tracing import trace
from ragflow.pipeline.workspace import Workspace
from ragflow.sample import write_scan_pdf
from ragflow_tests.pipeline.archive import MINUTES, REPORT, Archive, flip, ingest, make_workspace, settle, sha_of

Proof = dict[str, Any]
SHIP = "The schooner Petrel lay at the coal wharf for seven weeks and was sold in spring."


def proof_of(workspace: Workspace, query: str, **where: Any) -> Proof:
    with Searcher(workspace) as searcher:
        hit = searcher.search(query, where=where)[0]
    made = make_proof(workspace, trace(workspace, hit.point_id))
    return dict(json.loads(json.dumps(made)))


@pytest.fixture(scope="module")
def layer(archive: Archive) -> Proof:
    return proof_of(archive.workspace, "granite quarry", document_key=REPORT)


@pytest.fixture(scope="module")
def scanned(tmp_path_factory: pytest.TempPathFactory) -> tuple[Workspace, Proof]:
    reading = ReadingOptions(engines=("text_layer", "tesseract"), languages=("eng",), workers=1)
    workspace = make_workspace(tmp_path_factory.mktemp("scanned").resolve(), reading=reading)
    workspace.home.inbox.mkdir(parents=True)
    path = workspace.home.inbox / "scan.pdf"
    write_scan_pdf(path, [[SHIP] * 4], seed=3)
    settle(path)
    assert ingest(workspace).decision == "promoted"
    return workspace, proof_of(workspace, "schooner Petrel")


def broken(proof: Proof, **options: Any) -> set[str]:
    return {link.name for link in check_proof(proof, **options) if not link.holds}


def test_a_proof_holds_without_the_archive(archive: Archive, layer: Proof, tmp_path: Path) -> None:
    links = check_proof(layer)
    assert [link.name for link in links] == [
        "vector",
        "point in its batch",
        "batch in its release",
        "payload text",
        "chunk on its page",
        "page text",
        "words",
        "words in the page text",
        "decision",
        "manifest in the release",
        "document in its manifest",
    ]
    assert all(link.holds for link in links)
    noted = archive.home.releases.hash_of(2)
    assert release_hash(layer) == noted
    original = archive.home.blobs.path(sha_of(archive.workspace, REPORT))
    assert broken(layer, document=original, anchor=noted) == set()
    other = archive.home.blobs.path(sha_of(archive.workspace, MINUTES))
    assert broken(layer, document=other, anchor="0" * 64) == {"document bytes", "anchor"}
    path = tmp_path / "proof.json"
    path.write_text(json.dumps(layer))
    assert read_proof(path) == layer


def test_a_scanned_page_is_proven_down_to_its_pixels(scanned: tuple[Workspace, Proof]) -> None:
    _, proof = scanned
    assert "page raster" in {link.name for link in check_proof(proof)}
    assert broken(proof) == set()
    stream = io.BytesIO(base64.b64decode(proof["page"]["raster"]["png"]))
    with Image.open(stream) as image:
        pixels = np.array(image)
    assert pixels.min() < 100 < pixels.max(), "there is ink on the page"
    pixels[5, 5] ^= 1
    changed = io.BytesIO()
    Image.fromarray(pixels).save(changed, format="PNG")
    forged = copy.deepcopy(proof)
    forged["page"]["raster"]["png"] = base64.b64encode(changed.getvalue()).decode()
    assert broken(forged) == {"page raster"}


def reseal(proof: Proof, **fields: Any) -> None:
    """Edit the release record the way a careful forger would."""
    value = {**json.loads(proof["release"]), **fields}
    proof["release"] = json.dumps({**value, "seal": seal_of(value)})


def edit_release(proof: Proof) -> None:
    proof["release"] = proof["release"].replace('"promoted"', '"rejected"')


def edit_manifest(proof: Proof) -> None:
    proof["manifest"] = proof["manifest"].replace("added", "changed", 1)


def edit_vector(proof: Proof) -> None:
    vector = np.frombuffer(base64.b64decode(proof["point"]["dense"]), dtype="<f4")
    proof["point"]["dense"] = base64.b64encode((-vector).tobytes()).decode()


def edit_text(proof: Proof) -> None:
    proof["point"]["payload"]["text"] = proof["point"]["payload"]["text"].replace("granite", "marble ")


EDITS: list[tuple[Callable[[Proof], object], set[str]]] = [
    (edit_vector, {"vector", "point in its batch", "batch in its release"}),
    (edit_text, {"payload text", "chunk on its page", "point in its batch", "batch in its release"}),
    (lambda p: p["point"]["payload"].update(title="Another"), {"point in its batch", "batch in its release"}),
    (lambda p: p["point"]["payload"].update(page_number=9), {"point in its batch", "batch in its release"}),
    (lambda p: p["page"].update(text=p["page"]["text"] + "x"), {"page text"}),
    (lambda p: p["page"]["words"]["left"].__setitem__(0, 0.5), {"words"}),
    (lambda p: p["page"]["words"]["char_start"].__setitem__(0, 3), {"words", "words in the page text"}),
    (edit_release, {"records"}),
    (edit_manifest, {"records"}),
    (lambda p: reseal(p, decision="rejected"), {"decision"}),
    (lambda p: reseal(p, merkle_root="0" * 64), {"batch in its release"}),
    (lambda p: reseal(p, batches={}), {"manifest in the release"}),
]


@pytest.mark.parametrize(("edit", "links"), EDITS)
def test_any_edit_breaks_the_links_that_it_touches(
    layer: Proof, edit: Callable[[Proof], object], links: set[str]
) -> None:
    forged = copy.deepcopy(layer)
    edit(forged)
    assert broken(forged) == links


def test_a_release_made_up_as_a_whole_needs_an_anchor_to_be_told(archive: Archive, layer: Proof) -> None:
    forged = copy.deepcopy(layer)
    reseal(forged, decided_at="1999-01-01T00:00:00+00:00")
    assert broken(forged) == set()
    assert broken(forged, anchor=archive.home.releases.hash_of(2)) == {"anchor"}


@pytest.mark.parametrize(
    "damage", [lambda p: p.pop("page"), lambda p: p["point"].update(dense="??"), lambda p: p.clear()]
)
def test_what_is_no_proof_is_bad_input(layer: Proof, damage: Callable[[Proof], object], tmp_path: Path) -> None:
    forged = copy.deepcopy(layer)
    damage(forged)
    with pytest.raises(BadInputError) as caught:
        check_proof(forged)
    assert caught.value.remedy
    (tmp_path / "p.json").write_text("{")
    for path in (tmp_path / "p.json", tmp_path / "none.json"):
        with pytest.raises(BadInputError, match=path.name):
            read_proof(path)
    with pytest.raises(BadInputError, match="none"):
        check_proof(layer, document=tmp_path / "none.pdf")


def test_a_broken_chain_is_not_proven(copied: Archive) -> None:
    with Searcher(copied.workspace) as searcher:
        hit = searcher.search("granite quarry", where={"document_key": REPORT})[0]
    flip(copied.home.blobs.path(sha_of(copied.workspace, REPORT)))
    with pytest.raises(IntegrityError, match="document bytes"):
        make_proof(copied.workspace, trace(copied.workspace, hit.point_id))


def test_a_version_that_was_never_live_proves_nothing(copied: Archive) -> None:
    with Searcher(copied.workspace) as searcher:
        hit = searcher.search("granite quarry", where={"document_key": REPORT})[0]
    found = trace(copied.workspace, hit.point_id)
    for path in copied.home.releases.root.glob("*.json"):
        path.unlink()
    with pytest.raises(NotFoundError, match="never been released"):
        make_proof(copied.workspace, found)
