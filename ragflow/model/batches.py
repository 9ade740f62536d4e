"""Document batches: immutable manifests, and the fold of all of them that gives the desired state.

A batch is a Dagster partition. Its manifest lists what changed in the sources since the batches before it. Manifests
form a chain: each holds the hash of the one before, so that a missing or edited one is seen.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from ragflow.errors import IntegrityError
from ragflow.model.fingerprints import canonical_json, sha256_hex

MANIFEST_FORMAT = "ragflow-manifest/1"
DOCUMENT_BATCH = "document_batch"
"""Name of the Dagster dynamic partitions definition; one partition per manifest."""


class Change(StrEnum):
    """What happened to a document since the batches before."""

    ADDED = "added"
    CHANGED = "changed"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True)
class DocumentChange:
    """One line of a manifest.

    Attributes:
        key: ``<source>/<path inside the source>``; the identity of the document.
        change: added, changed or removed.
        sha256: content hash; None for a removed document and for one whose bytes could not be read.
        size: bytes; 0 where ``sha256`` is None.
        reason: why the bytes could not be read (a quarantine reason); None otherwise.
        detail: the reason in words, for a person.
    """

    key: str
    change: Change
    sha256: str | None
    size: int = 0
    reason: str | None = None
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class SourceRoot:
    """Where the documents of a source were read from when the batch was made.

    Attributes:
        name: the first part of the document keys.
        kind: ``folder`` (other kinds come with other sources).
        location: absolute path of the folder.
    """

    name: str
    kind: str
    location: str


@dataclass(frozen=True, slots=True)
class BatchManifest:
    """One document batch, immutable.

    Attributes:
        key: ``YYYYMMDD-NNNN-<hash8>``, the Dagster partition key; ``hash8`` is taken from the content.
        sequence: 1-based position in the chain.
        created_at: ISO 8601, UTC.
        previous: SHA-256 of the manifest before this one; None for the first.
        sources: where the documents come from.
        documents: the changes, sorted by key; a key stands at most once.
    """

    key: str
    sequence: int
    created_at: str
    previous: str | None
    sources: tuple[SourceRoot, ...]
    documents: tuple[DocumentChange, ...]

    @classmethod
    def create(
        cls,
        *,
        sequence: int,
        created_at: str,
        previous: str | None,
        sources: Iterable[SourceRoot],
        documents: Iterable[DocumentChange],
    ) -> BatchManifest:
        """Make a manifest and derive its key from its content."""
        draft = cls(
            key="",
            sequence=sequence,
            created_at=created_at,
            previous=previous,
            sources=tuple(sorted(sources, key=lambda source: source.name)),
            documents=tuple(sorted(documents, key=lambda change: change.key)),
        )
        day = created_at[:10].replace("-", "")
        digest = sha256_hex(canonical_json(draft._content()))
        return cls(
            key=f"{day}-{sequence:04d}-{digest[:8]}",
            sequence=draft.sequence,
            created_at=draft.created_at,
            previous=draft.previous,
            sources=draft.sources,
            documents=draft.documents,
        )

    def _content(self) -> dict[str, Any]:
        content = asdict(self)
        del content["key"]
        return content

    def to_json(self) -> bytes:
        """Return the canonical JSON bytes that are stored; their SHA-256 links the chain."""
        return canonical_json({"format": MANIFEST_FORMAT, "key": self.key, **self._content()})

    @property
    def sha256(self) -> str:
        return sha256_hex(self.to_json())

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> BatchManifest:
        """Read a stored manifest; its key must fit its content.

        Raises:
            IntegrityError: unknown format, or the content was edited.
        """
        name = value.get("key")
        if value.get("format") != MANIFEST_FORMAT:
            raise IntegrityError(f"Manifest {name} has the unknown format {value.get('format')!r}.")
        try:
            manifest = cls.create(
                sequence=value["sequence"],
                created_at=value["created_at"],
                previous=value["previous"],
                sources=[SourceRoot(**source) for source in value["sources"]],
                documents=[
                    DocumentChange(**{**change, "change": Change(change["change"])}) for change in value["documents"]
                ],
            )
        except (KeyError, TypeError, ValueError) as error:
            raise IntegrityError(f"Manifest {name} is damaged: {error}.") from error
        if manifest.key != name:
            raise IntegrityError(
                f"Manifest {name} was edited: its content gives the key {manifest.key}.",
                remedy="Restore the file from a backup.",
            )
        return manifest


@dataclass(frozen=True, slots=True)
class DocumentState:
    """The desired state of one document.

    Attributes:
        key: document key.
        sha256: content hash; None if its bytes could not be read (then ``reason`` says why).
        size: bytes.
        batch_key: the batch that introduced this state.
        reason, detail: as in :class:`DocumentChange`.
    """

    key: str
    sha256: str | None
    size: int
    batch_key: str
    reason: str | None = None
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class Corpus:
    """The desired state: the fold of all manifests, in order.

    Attributes:
        documents: document key → state, for every document that is there now.
        homes: content hash → key of the first batch that brought this content, live or not. The tables of that batch
            hold its pages, so the same bytes under two names, or under a new name, are read once.
        batch_keys: all batches, in order.
    """

    documents: Mapping[str, DocumentState] = field(default_factory=dict)
    homes: Mapping[str, str] = field(default_factory=dict)
    batch_keys: tuple[str, ...] = ()

    def contents_of(self, batch_key: str) -> tuple[str, ...]:
        """Return the content hashes whose home is ``batch_key``, sorted."""
        return tuple(sorted(sha for sha, home in self.homes.items() if home == batch_key))


def fold(manifests: Iterable[BatchManifest]) -> Corpus:
    """Fold manifests into the desired state.

    A pure function of the *set* of manifests: they are taken in the order of their sequence numbers, and a manifest
    that is given twice counts once.
    """
    ordered = sorted({manifest.key: manifest for manifest in manifests}.values(), key=lambda m: (m.sequence, m.key))
    documents: dict[str, DocumentState] = {}
    homes: dict[str, str] = {}
    for manifest in ordered:
        for change in manifest.documents:
            if change.change is Change.REMOVED:
                documents.pop(change.key, None)
                continue
            documents[change.key] = DocumentState(
                key=change.key,
                sha256=change.sha256,
                size=change.size,
                batch_key=manifest.key,
                reason=change.reason,
                detail=change.detail,
            )
            if change.sha256 is not None:
                homes.setdefault(change.sha256, manifest.key)
    return Corpus(documents=documents, homes=homes, batch_keys=tuple(manifest.key for manifest in ordered))


def check_chain(manifests: Iterable[BatchManifest]) -> None:
    """Raise IntegrityError unless the manifests are an unbroken chain from the first to the last."""
    previous: BatchManifest | None = None
    for manifest in sorted(manifests, key=lambda m: (m.sequence, m.key)):
        expected = previous.sequence + 1 if previous else 1
        if manifest.sequence != expected:
            raise IntegrityError(
                f"Batch number {expected} is missing: batch {manifest.key} has number {manifest.sequence}.",
                remedy="Restore the manifest from a backup.",
            )
        if manifest.previous != (previous.sha256 if previous else None):
            raise IntegrityError(
                f"Batch {manifest.key} does not follow the batch before it: its `previous` hash differs.",
                remedy="Restore the manifests from a backup.",
            )
        previous = manifest
