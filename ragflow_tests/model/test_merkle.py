"""Merkle trees: paths lead to the root, and to no other; the two levels of a version."""

from __future__ import annotations

import hashlib
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragflow.model.fingerprints import canonical_json, sha256_hex
from ragflow.model.merkle import batch_roots, merkle_path, merkle_root, root_of_path, version_leaves, version_root

leaves = st.lists(st.binary(min_size=1, max_size=40), min_size=1, max_size=40)


@given(leaves, st.data())
def test_a_path_leads_from_its_leaf_to_the_root(found: list[bytes], data: st.DataObject) -> None:
    position = data.draw(st.integers(0, len(found) - 1))
    path = merkle_path(found, position)
    assert root_of_path(found[position], path) == merkle_root(found)
    assert len(path) <= (len(found) - 1).bit_length()
    assert root_of_path(found[position] + b"x", path) != merkle_root(found)


def test_the_side_of_a_neighbour_counts() -> None:
    path = merkle_path([b"a", b"b"], 0)
    assert [side for side, _ in path] == ["right"]
    turned = [("left", neighbour) for _, neighbour in path]
    assert root_of_path(b"a", turned) != merkle_root([b"a", b"b"])


@pytest.mark.parametrize("step", [("up", "00" * 32), ("left", "00"), ("left", "zz")])
def test_what_is_no_step_is_refused(step: tuple[str, str]) -> None:
    with pytest.raises(ValueError):
        root_of_path(b"a", [step])


def test_a_node_cannot_pass_for_a_leaf() -> None:
    first, second = (hashlib.sha256(b"\x00" + leaf).digest() for leaf in (b"a", b"b"))
    assert merkle_root([first + second]) != merkle_root([b"a", b"b"])
    assert merkle_root([]) == sha256_hex(b"")


def test_a_version_has_a_root_for_each_batch_and_one_over_them() -> None:
    points = {uuid.UUID(int=number): ("first" if number < 3 else "second", bytes([number])) for number in range(5)}
    roots = batch_roots(points)
    assert roots == {
        "first": merkle_root([b"\x00", b"\x01", b"\x02"]),
        "second": merkle_root([b"\x03", b"\x04"]),
    }
    assert version_root(roots) == merkle_root(version_leaves(roots))
    assert version_leaves(roots)[0] == canonical_json(["first", roots["first"]])
    moved = batch_roots({**points, uuid.UUID(int=4): ("first", b"\x04")})
    assert version_root(moved) != version_root(roots), "a point that changes its batch changes the root"
    assert batch_roots(dict(reversed(points.items()))) == roots, "the order in which points come does not count"
