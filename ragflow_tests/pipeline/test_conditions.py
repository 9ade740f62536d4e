"""Conditions as people write them."""

from __future__ import annotations

import pytest

from ragflow.errors import UsageError
from ragflow.pipeline.conditions import read_conditions
from ragflow.vectors.protocols import AnyOf, Between, Condition


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ([], {}),
        (["language=fr"], {"language": "fr"}),
        (["language=fr", "language=en"], {"language": AnyOf(("fr", "en"))}),
        (["document_key=1887"], {"document_key": "1887"}),
        (["document_key=2..5", "source=true"], {"document_key": "2..5", "source": "true"}),
        (["document_key=a=b"], {"document_key": "a=b"}),
        (["page_number=3"], {"page_number": 3}),
        (["page_number=3", "page_number=1"], {"page_number": AnyOf((3, 1))}),
        (["page_number=2..5"], {"page_number": Between(2.0, 5.0)}),
        (["confidence=0.9..", "shift=..-1.5"], {"confidence": Between(0.9, None), "shift": Between(None, -1.5)}),
        (["draft=false", "year=-44"], {"draft": False, "year": -44}),
        (["name=..", "other=1.2.3..4"], {"name": "..", "other": "1.2.3..4"}),
        (["name=9999999999999999", "digits=²"], {"name": "9999999999999999", "digits": "²"}),
        (["name="], {"name": ""}),
    ],
)
def test_what_is_written_is_what_is_asked(entries: list[str], expected: dict[str, Condition]) -> None:
    found = read_conditions(entries)
    assert found == expected
    assert {key: type(value) for key, value in found.items()} == {key: type(value) for key, value in expected.items()}


@pytest.mark.parametrize(
    "entries", [["language"], ["=fr"], [""], ["page_number=1", "page_number=one"], ["draft=true", "draft=false"]]
)
def test_what_cannot_be_read_is_told(entries: list[str]) -> None:
    with pytest.raises(UsageError) as caught:
        read_conditions(entries)
    assert caught.value.remedy
