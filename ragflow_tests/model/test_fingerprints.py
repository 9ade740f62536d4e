"""Hashes that mean the same thing everywhere."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from hypothesis import assume, given
from hypothesis import strategies as st

from ragflow.model.fingerprints import canonical_json, fingerprint
from ragflow.model.merkle import merkle_root

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=3)
    ),
    max_leaves=6,
)
parts = st.dictionaries(st.sampled_from(["asset", "code", "options", "raw"]), values, min_size=1)


def backwards(value: Any) -> Any:
    """Return an equal value whose objects were filled in the opposite order."""
    if isinstance(value, dict):
        return {key: backwards(value[key]) for key in reversed(value)}
    return [backwards(one) for one in value] if isinstance(value, list) else value


@given(values)
def test_canonical_json_is_json_and_does_not_know_an_order_of_keys(value: Any) -> None:
    assert json.loads(canonical_json(value)) == value
    assert canonical_json(value) == canonical_json(backwards(value))
    assert canonical_json(json.loads(canonical_json(value))) == canonical_json(value)


def test_canonical_json_does_not_change_between_releases() -> None:
    assert canonical_json({"b": [1, 2.5, None, True], "a": "é\n"}) == '{"a":"é\\n","b":[1,2.5,null,true]}'.encode()
    assert fingerprint(b=1, a="x") == hashlib.sha256(b'{"a":"x","b":1}').hexdigest()


@given(parts)
def test_the_order_of_parts_does_not_matter(given_parts: dict[str, Any]) -> None:
    assert fingerprint(**given_parts) == fingerprint(**backwards(given_parts))


@given(parts, st.data())
def test_any_change_of_a_part_changes_the_fingerprint(given_parts: dict[str, Any], data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(given_parts)))
    value = data.draw(values)
    assume(canonical_json(value) != canonical_json(given_parts[name]))
    base = fingerprint(**given_parts)
    assert fingerprint(**{**given_parts, name: value}) != base
    assert fingerprint(**{key: part for key, part in given_parts.items() if key != name}) != base
    assert fingerprint(**given_parts, another=None) != base


leaves = st.lists(st.binary(max_size=4), min_size=1, max_size=9)


@given(leaves, st.data())
def test_any_change_of_a_leaf_changes_the_root(found: list[bytes], data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(found) - 1))
    leaf = data.draw(st.binary(max_size=4))
    assume(leaf != found[place])
    assert merkle_root([*found[:place], leaf, *found[place + 1 :]]) != merkle_root(found)


@given(leaves, st.data())
def test_swapping_leaves_changes_the_root(found: list[bytes], data: st.DataObject) -> None:
    shuffled = data.draw(st.permutations(found))
    assert (merkle_root(shuffled) == merkle_root(found)) == (list(shuffled) == found)


@given(leaves, st.binary(max_size=4))
def test_one_leaf_more_or_less_changes_the_root(found: list[bytes], leaf: bytes) -> None:
    root = merkle_root(found)
    assert merkle_root([*found, leaf]) != root
    assert merkle_root([*found, found[-1]]) != root, "a doubled last leaf is no padding"
    assert merkle_root(found[:-1]) != root


def test_the_tree_is_that_of_rfc_6962() -> None:
    def leaf(data: bytes) -> bytes:
        return hashlib.sha256(b"\x00" + data).digest()

    def node(left: bytes, right: bytes) -> bytes:
        return hashlib.sha256(b"\x01" + left + right).digest()

    assert merkle_root([]) == hashlib.sha256(b"").hexdigest()
    assert merkle_root([b"a"]) == leaf(b"a").hex()
    assert merkle_root([b"a", b"b", b"c"]) == node(node(leaf(b"a"), leaf(b"b")), leaf(b"c")).hex()


def test_an_inner_node_cannot_pass_for_a_leaf() -> None:
    inner = hashlib.sha256(b"\x00a").digest() + hashlib.sha256(b"\x00b").digest()
    assert merkle_root([inner]) != merkle_root([b"a", b"b"])
