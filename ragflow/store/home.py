"""The folder layout under ``RAGFLOW_HOME``."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from ragflow.store.blobs import BlobStore
from ragflow.store.forgotten import AbsenceStore, Kind
from ragflow.store.inventory import InventoryStore
from ragflow.store.locks import Lock
from ragflow.store.manifests import ManifestStore
from ragflow.store.records import CanaryStore, ReleaseStore, VersionRecordStore
from ragflow.store.rereads import RereadStore
from ragflow.store.tables import Pins, TableStore
from ragflow.store.tuning import TuningStore


@dataclass(frozen=True, slots=True)
class Home:
    """One archive's home folder; every other path is derived from it.

    Attributes:
        root: absolute path; folders below it are made when something is first written.
        pins: which generation of its tables to read, see :mod:`ragflow.store.tables`; None: the newest.
    """

    root: Path
    pins: Pins | None = field(default=None, compare=False, repr=False)

    @property
    def inbox(self) -> Path:
        """Default source: people and scanners drop files here."""
        return self.root / "inbox"

    @property
    def dagster(self) -> Path:
        """Dagster's own storage (DAGSTER_HOME)."""
        return self.root / "dagster"

    @property
    def vectors(self) -> Path:
        """Collection versions and the alias."""
        return self.root / "vectors"

    @property
    def blobs(self) -> BlobStore:
        return BlobStore(self.root / "blobs")

    @property
    def manifests(self) -> ManifestStore:
        return ManifestStore(self.root / "manifests")

    @property
    def tables(self) -> TableStore:
        return TableStore(self.root / "tables", self.pins)

    @property
    def releases(self) -> ReleaseStore:
        return ReleaseStore(self.root / "releases")

    @property
    def canaries(self) -> CanaryStore:
        return CanaryStore(self.root / "releases" / "canaries")

    @property
    def version_records(self) -> VersionRecordStore:
        return VersionRecordStore(self.root / "releases" / "versions")

    @property
    def inventory(self) -> InventoryStore:
        return InventoryStore(self.root / "inventory")

    @property
    def rereads(self) -> RereadStore:
        """Requests to read pages or documents again."""
        return RereadStore(self.root / "rereads")

    @property
    def tuning(self) -> TuningStore:
        """Weights of a search that were fitted to this archive."""
        return TuningStore(self.root / "tuning.json")

    @property
    def page_images(self) -> Path:
        """Images of pages that the service has shown: a cache."""
        return self.root / "cache" / "pages"

    @property
    def absences(self) -> AbsenceStore:
        """Contents whose bytes are gone on purpose: pruned or forgotten."""
        return AbsenceStore(self.root / "forgotten")

    def is_pruned(self, sha256: str) -> bool:
        """Whether the bytes of a content are not there because nothing that is kept needs them."""
        return self.absences.kind_of(sha256) is Kind.PRUNED and not self.blobs.has(sha256)

    @property
    def passwords_key(self) -> Path:
        """The key by which a changed passwords file is told; readable by its owner only."""
        return self.root / "secrets" / "passwords.key"

    def lock(self, name: str) -> Lock:
        """Return a lock shared by all processes that use this home; ``name`` is a plain word."""
        return Lock(self.root / "locks" / f"{name}.lock")
