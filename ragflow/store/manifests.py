"""The chain of batch manifests: one JSON file each, written once, never changed, never deleted."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import orjson

from ragflow.errors import IntegrityError, NotFoundError
from ragflow.model.batches import BatchManifest
from ragflow.store.atomic import TEMPORARY_PREFIX, write_bytes

_KEY = re.compile(r"[0-9]{8}-([0-9]{4,})-[0-9a-f]{8}", re.ASCII)


@dataclass(frozen=True, slots=True)
class ManifestStore:
    """Manifests under ``root/<batch key>.json``."""

    root: Path

    def batch_keys(self) -> tuple[str, ...]:
        """Return all batch keys in the order of their sequence numbers.

        Raises:
            IntegrityError: there is a file that is not named like a manifest; passing it over could lose a batch.
        """
        keys: list[tuple[int, str]] = []
        for path in self.root.glob("*.json"):
            if path.name.startswith(TEMPORARY_PREFIX):
                continue
            match = _KEY.fullmatch(path.stem)
            if match is None:
                raise IntegrityError(
                    f"{path} is not named like a manifest.",
                    remedy="If it is a renamed manifest, give it the name that its `key` says; if not, move it away.",
                )
            keys.append((int(match[1]), path.stem))
        return tuple(key for _, key in sorted(keys))

    def get(self, key: str) -> BatchManifest:
        """Read one manifest.

        Raises:
            NotFoundError: there is none of that key.
            IntegrityError: it was edited or is damaged.
        """
        path = self.root / f"{Path(key).name}.json"
        try:
            value = orjson.loads(path.read_bytes())
        except FileNotFoundError as error:
            raise NotFoundError(
                f"There is no document batch {key!r}.", remedy="See `ragflow status` for the batches there are."
            ) from error
        except orjson.JSONDecodeError as error:
            raise IntegrityError(
                f"Manifest {path} is not JSON: {error}.", remedy="Restore the file from a backup."
            ) from error
        if not isinstance(value, dict):
            raise IntegrityError(f"Manifest {path} is not a JSON object.", remedy="Restore the file from a backup.")
        manifest = BatchManifest.from_json(value)
        if manifest.key != key:
            raise IntegrityError(f"Manifest {path} holds the batch {manifest.key}.", remedy="Restore the file's name.")
        return manifest

    def all(self) -> tuple[BatchManifest, ...]:
        """Read all manifests, in order."""
        return tuple(self.get(key) for key in self.batch_keys())

    def append(self, manifest: BatchManifest) -> None:
        """Write one manifest atomically. The caller holds the scan lock."""
        write_bytes(self.root / f"{manifest.key}.json", manifest.to_json())
