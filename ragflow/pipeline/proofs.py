"""The proof of one hit: everything that leads from it to its page and to the release that published it, in one file
that can be checked without the archive. The format is told in ``docs/proof.md``."""

from __future__ import annotations

import base64
import binascii
import hashlib
import io
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa

from ragflow.errors import BadInputError, IntegrityError, NotFoundError
from ragflow.model.batches import BatchManifest
from ragflow.model.fingerprints import canonical_json, sha256_hex, sha256_text
from ragflow.model.merkle import merkle_path, root_of_path, version_leaves
from ragflow.model.points import SparseVector, point_sha256, vector_sha256
from ragflow.model.reading import Word
from ragflow.model.releases import Decision, EditedError, ReleaseRecord, VersionRecord
from ragflow.model.words import words_sha256, words_table
from ragflow.ocr.document import open_document
from ragflow.ocr.passwords import load_passwords
from ragflow.pipeline.examination import find_version
from ragflow.pipeline.observed import Observed, read_points
from ragflow.pipeline.tracing import Link, Trace, read_page
from ragflow.pipeline.workspace import Workspace
from ragflow.store.blobs import hash_file

PROOF_FORMAT = "ragflow-proof/1"
WORD_COLUMNS = Word._fields


def make_proof(workspace: Workspace, found: Trace) -> dict[str, Any]:
    """Return the proof of a traced point, as JSON values.

    Raises:
        IntegrityError: the chain of the point is broken: there is nothing to be proven.
        NotFoundError: the version of the point has never been released.
    """
    broken = [link.name for link in found.links if not link.holds]
    if broken:
        raise IntegrityError(
            f"The chain of point {found.point_id} is broken at: {', '.join(broken)}.",
            remedy="Run `ragflow verify` to see what else is; a broken chain proves nothing.",
        )
    version = find_version(workspace, found.version)
    release = _release_of(workspace, version)
    payload, identifier = found.payload, uuid.UUID(found.point_id)
    with workspace.versions().open(found.version) as reader:
        observed = read_points(reader)
        (point,) = reader.retrieve([identifier])
    page, words = read_page(workspace.at(version), payload)
    assert page is not None, "its hash was just compared"
    return {
        "format": PROOF_FORMAT,
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "point": {
            "id": found.point_id,
            "payload": payload,
            "dense": _packed(point.dense.astype("<f4")),
            "sparse_indices": _packed(point.sparse.indices.astype("<u4")),
            "sparse_values": _packed(point.sparse.values.astype("<f4")),
        },
        "page": {
            "text": page["text"],
            "words": {name: words.column(name).to_pylist() for name in WORD_COLUMNS},
            "raster": _raster(workspace, payload),
        },
        "paths": _paths(observed, identifier, version, payload["batch"]),
        "manifest": _manifest_text(workspace, version, payload),
        "release": _release_text(workspace, release),
    }


def _release_of(workspace: Workspace, version: VersionRecord) -> int:
    """Return the number of the release that first made a version live."""
    for record in workspace.home.releases:
        if record.version == version.version and record.decision is Decision.PROMOTED:
            return record.number
    raise NotFoundError(
        f"Version {version.version} has never been released.", remedy="Trace the point in a version that was live."
    )


def _release_text(workspace: Workspace, number: int) -> str:
    """Return a release record as it lies on the disk: the next record repeats the hash of these very bytes."""
    return (workspace.home.releases.root / f"{number:06d}.json").read_bytes().decode()


def _manifest_text(workspace: Workspace, version: VersionRecord, payload: Mapping[str, Any]) -> str:
    """Return the manifest with which the document came in as it is in this version."""
    for key in sorted(version.batches, key=lambda batch: int(batch.split("-")[1]), reverse=True):
        manifest = workspace.home.manifests.get(key)
        if any(change.key == payload["document_key"] for change in manifest.documents):
            return manifest.to_json().decode()
    raise NotFoundError(f"No manifest names {payload['document_key']}.", remedy="Run `ragflow verify`.")


def _paths(observed: Observed, identifier: uuid.UUID, version: VersionRecord, batch: str) -> dict[str, Any]:
    ordered = [key for key in sorted(observed.hashes) if observed.origins[key].batch == batch]
    batches = sorted(version.batch_roots)
    return {
        "batch": batch,
        "in_batch": merkle_path([observed.hashes[key] for key in ordered], ordered.index(identifier)),
        "in_version": merkle_path(version_leaves(version.batch_roots), batches.index(batch)),
    }


def _raster(workspace: Workspace, payload: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the pixels that the engine saw, as PNG; None for a page that was not read from pixels."""
    from PIL import Image

    if payload.get("raster_sha256") is None:
        return None
    blob = workspace.home.blobs.path(payload["document_sha256"])
    passwords = load_passwords(workspace.reading.passwords_file)
    with (
        open_document(blob, passwords) as file,
        file.page(payload["page_index"], workspace.reading.max_page_pixels) as page,
    ):
        raster = page.render(payload["raster_dpi"])
    stream = io.BytesIO()
    Image.fromarray(raster.pixels).save(stream, format="PNG", optimize=True)
    return {"dpi": raster.dpi, "png": base64.b64encode(stream.getvalue()).decode()}


def check_proof(
    proof: Mapping[str, Any], *, document: Path | None = None, anchor: str | None = None
) -> tuple[Link, ...]:
    """Recompute every link of a proof. Nothing but the proof is needed.

    Args:
        document: the original file, to be held against the hash in the proof.
        anchor: SHA-256 of the release record, noted elsewhere: without it, a forger may have made up a whole release.

    Raises:
        BadInputError: it is not a proof, or the document cannot be read.
    """
    if not isinstance(proof, Mapping) or proof.get("format") != PROOF_FORMAT:
        raise BadInputError("This is no proof of a hit.", remedy="Make one with `ragflow trace POINT_ID --proof FILE`.")
    try:
        links = [*_point_links(proof), *_page_links(proof), *_release_links(proof)]
        if document is not None:
            links.append(Link("document bytes", proof["point"]["payload"]["document_sha256"], hash_file(document)))
        if anchor is not None:
            links.append(Link("anchor", anchor.strip().lower(), sha256_text(proof["release"])))
    except OSError as error:
        raise BadInputError(f"{document} cannot be read: {error.strerror}.", remedy="Check the path.") from error
    except (KeyError, TypeError, ValueError, AttributeError, binascii.Error, pa.ArrowException) as error:
        raise BadInputError(
            f"The proof is damaged ({type(error).__name__}: {error}).", remedy="Ask for it to be made again."
        ) from error
    return tuple(links)


def _point_links(proof: Mapping[str, Any]) -> list[Link]:
    point, payload, paths = proof["point"], proof["point"]["payload"], proof["paths"]
    dense = np.frombuffer(base64.b64decode(point["dense"], validate=True), dtype="<f4")
    indices = np.frombuffer(base64.b64decode(point["sparse_indices"], validate=True), dtype="<u4")
    values = np.frombuffer(base64.b64decode(point["sparse_values"], validate=True), dtype="<f4")
    vector = vector_sha256(dense, SparseVector(indices, values))
    leaf = point_sha256(uuid.UUID(point["id"]), vector, payload)
    batch_root = root_of_path(leaf, paths["in_batch"])
    version_root = root_of_path(canonical_json([paths["batch"], batch_root]), paths["in_version"])
    release = orjson.loads(proof["release"])
    return [
        Link("vector", payload["vector_sha256"], vector),
        Link("point in its batch", release["batch_roots"][paths["batch"]], batch_root),
        Link("batch in its release", release["merkle_root"], version_root),
    ]


def _page_links(proof: Mapping[str, Any]) -> list[Link]:
    payload, page = proof["point"]["payload"], proof["page"]
    text, columns = page["text"], page["words"]
    words = [Word(*row) for row in zip(*(columns[name] for name in WORD_COLUMNS), strict=True)]
    table = words_table(payload["document_sha256"], payload["page_index"], words)
    astray = [word.text for word in words if text[word.char_start : word.char_end] != word.text]
    links = [
        Link("payload text", payload["text_sha256"], sha256_text(payload["text"])),
        Link("chunk on its page", payload["text"], text[payload["char_start"] : payload["char_end"]]),
        Link("page text", payload["page_text_sha256"], sha256_text(text)),
        Link("words", payload["words_sha256"], words_sha256(table)),
        Link("words in the page text", "", ", ".join(astray[:3])),
    ]
    if payload.get("raster_sha256") is not None:
        links.append(Link("page raster", payload["raster_sha256"], _raster_hash(page["raster"])))
    return links


MAX_PROOF_PIXELS = 200_000_000


def _raster_hash(raster: Mapping[str, Any]) -> str:
    """Return the hash over the pixels, as the reading stage took it; see :class:`ragflow.ocr.page.Raster`."""
    from PIL import Image

    with Image.open(io.BytesIO(base64.b64decode(raster["png"], validate=True)), formats=["PNG"]) as image:
        if image.mode != "L" or image.width * image.height > MAX_PROOF_PIXELS:
            return f"a picture of {image.width} x {image.height} pixels, {image.mode}"
        digest = hashlib.sha256(f"{image.width}x{image.height}@{raster['dpi']}\n".encode())
        digest.update(image.tobytes())
    return digest.hexdigest()


def _release_links(proof: Mapping[str, Any]) -> list[Link]:
    payload = proof["point"]["payload"]
    try:
        release = ReleaseRecord.from_dict(orjson.loads(proof["release"]))
        manifest = BatchManifest.from_json(orjson.loads(proof["manifest"]))
    except (EditedError, IntegrityError) as error:
        return [Link("records", "as they were written", str(error))]
    states = [change.sha256 for change in manifest.documents if change.key == payload["document_key"]]
    return [
        Link("decision", Decision.PROMOTED, release.decision),
        Link("manifest in the release", manifest.key, manifest.key if manifest.key in release.batches else "missing"),
        Link("document in its manifest", payload["document_sha256"], states[0] if states and states[0] else "missing"),
    ]


def _packed(numbers: Any) -> str:
    return base64.b64encode(np.ascontiguousarray(numbers).tobytes()).decode()


def read_proof(path: Path) -> Any:
    """Read a proof from its file.

    Raises:
        BadInputError: there is none, or it is no JSON.
    """
    try:
        return orjson.loads(path.read_bytes())
    except OSError as error:
        raise BadInputError(f"{path} cannot be read: {error.strerror}.", remedy="Check the path.") from error
    except orjson.JSONDecodeError as error:
        raise BadInputError(f"{path} is not JSON: {error}.", remedy="Ask for the proof to be made again.") from error


def release_hash(proof: Mapping[str, Any]) -> str:
    """Return the hash of the release record that a proof stands on: to be compared with one noted elsewhere."""
    return sha256_hex(str(proof["release"]).encode())
