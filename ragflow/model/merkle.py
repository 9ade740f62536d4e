"""Merkle trees: one hash over many, of which any one can be proven with a few others.

A collection version has two levels of them: per batch a tree over its points, in order of their ids, and over the
batches a tree of their keys and roots, in order of the keys. A break then shows in which batch it lies.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterable, Mapping, Sequence

from ragflow.model.fingerprints import canonical_json, sha256_hex

LEAF, NODE = b"\x00", b"\x01"
"""What is put before a leaf and before two nodes, so that a node cannot pass for a leaf (RFC 6962)."""


def merkle_root(leaves: Iterable[bytes]) -> str:
    """Return the root over ``leaves`` in the given order, as hexadecimal digits.

    An odd node moves up unchanged. No leaves: the SHA-256 of nothing.
    """
    level = [_leaf(leaf) for leaf in leaves]
    if not level:
        return sha256_hex(b"")
    while len(level) > 1:
        level = _above(level)
    return level[0].hex()


def merkle_path(leaves: Sequence[bytes], position: int) -> list[tuple[str, str]]:
    """Return what leads from one leaf to the root: (``left`` or ``right``, hash of the neighbour there), from below."""
    level = [_leaf(leaf) for leaf in leaves]
    path: list[tuple[str, str]] = []
    while len(level) > 1:
        neighbour = position ^ 1
        if neighbour < len(level):
            path.append(("left" if neighbour < position else "right", level[neighbour].hex()))
        level = _above(level)
        position //= 2
    return path


def root_of_path(leaf: bytes, path: Iterable[tuple[str, str]]) -> str:
    """Return the root to which a path leads.

    Raises:
        ValueError: the path is not one that :func:`merkle_path` makes.
    """
    node = _leaf(leaf)
    for side, neighbour in path:
        other = bytes.fromhex(neighbour)
        if side not in ("left", "right") or len(other) != 32:
            raise ValueError(f"{side!r}, {neighbour!r} is no step of a Merkle path")
        node = hashlib.sha256(NODE + (other + node if side == "left" else node + other)).digest()
    return node.hex()


def batch_roots(points: Mapping[uuid.UUID, tuple[str, bytes]]) -> dict[str, str]:
    """Return batch key → root over the hashes of its points, in order of their ids.

    Args:
        points: point id → (batch key, point hash).
    """
    by_batch: dict[str, list[bytes]] = {}
    for identifier in sorted(points):
        batch, digest = points[identifier]
        by_batch.setdefault(batch, []).append(digest)
    return {batch: merkle_root(leaves) for batch, leaves in sorted(by_batch.items())}


def version_leaves(roots: Mapping[str, str]) -> list[bytes]:
    """Return the leaves of a version's tree: one per batch that has points, in order of the keys."""
    return [canonical_json([batch, roots[batch]]) for batch in sorted(roots)]


def version_root(roots: Mapping[str, str]) -> str:
    """Return the root of a version, from those of its batches."""
    return merkle_root(version_leaves(roots))


def _leaf(leaf: bytes) -> bytes:
    return hashlib.sha256(LEAF + leaf).digest()


def _above(level: Sequence[bytes]) -> list[bytes]:
    paired = [hashlib.sha256(NODE + level[i] + level[i + 1]).digest() for i in range(0, len(level) - 1, 2)]
    return [*paired, *level[len(level) - len(level) % 2 :]]
