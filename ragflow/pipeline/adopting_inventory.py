"""What a foreign collection holds, counted while it is read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ragflow.vectors.foreign import ForeignPoint

TEXT_FIELDS = ("text", "content", "page_content", "document", "chunk")
"""Where other tools put the text of a point; the one that most points have counts, at equal numbers the first."""
MAX_FIELDS = 500
"""Payload fields that are told apart; points with further ones are counted together."""
_TYPES = {str: "string", bool: "boolean", int: "integer", float: "number", list: "array", dict: "object"}


@dataclass(slots=True)
class Inventory:
    """Counts over the points of one collection, in memory that does not grow with them.

    Attributes:
        ids: kind of id (``int``, ``uuid``, ``text``) → points.
        vectors: name → points that have this dense vector.
        sparse: name → points that have this sparse vector.
        others: name → points that have something else under the name of a vector.
        fields: payload field → JSON type → points.
        more_fields: points with fields beyond the first :data:`MAX_FIELDS`.
        texts: field of the text → points in which it holds one.
        without_vector, zero, not_finite, not_unit: what the adopted vector is like.
    """

    candidates: tuple[str, ...] = TEXT_FIELDS
    points: int = 0
    ids: Counter[str] = field(default_factory=Counter)
    vectors: Counter[str] = field(default_factory=Counter)
    sparse: Counter[str] = field(default_factory=Counter)
    others: Counter[str] = field(default_factory=Counter)
    fields: dict[str, Counter[str]] = field(default_factory=dict)
    more_fields: int = 0
    texts: Counter[str] = field(default_factory=Counter)
    without_vector: int = 0
    zero: int = 0
    not_finite: int = 0
    not_unit: int = 0

    def add(self, point: ForeignPoint) -> None:
        """Count a point; what its adopted vector is like, the caller counts."""
        self.points += 1
        self.ids[kind_of(point.id)] += 1
        self.vectors.update(point.dense.keys())
        self.sparse.update(point.sparse.keys())
        self.others.update(point.others.keys())
        beyond = False
        for name, value in point.payload.items():
            types = self.fields.get(name)
            if types is None:
                if len(self.fields) >= MAX_FIELDS:
                    beyond = True
                    continue
                types = self.fields[name] = Counter()
            types[_TYPES.get(type(value), "null" if value is None else "string")] += 1
        self.more_fields += beyond
        for name in self.candidates:
            if text_at(point.payload, name) is not None:
                self.texts[name] += 1

    @property
    def text_field(self) -> str | None:
        """The field that holds the text; None if no point has one."""
        found = [name for name in self.candidates if self.texts[name]]
        return max(found, key=lambda name: self.texts[name]) if found else None

    def to_dict(self) -> dict[str, Any]:
        chosen = self.text_field
        return {
            "points": self.points,
            "ids": _sorted(self.ids),
            "vector_points": _sorted(self.vectors),
            "sparse_points": _sorted(self.sparse),
            "other_vectors": _sorted(self.others),
            "payload_fields": {
                name: {"points": types.total(), "types": _sorted(types)} for name, types in sorted(self.fields.items())
            },
            "points_with_further_fields": self.more_fields,
            "text_field": chosen,
            "without_text": self.points - (self.texts[chosen] if chosen else 0),
            "without_vector": self.without_vector,
            "zero_vectors": self.zero,
            "not_finite_vectors": self.not_finite,
            "not_unit_length": self.not_unit,
        }


def kind_of(identifier: Any) -> str:
    """Return the kind of an id: ``int``, ``uuid`` or ``text``."""
    return "int" if isinstance(identifier, int) else "text" if isinstance(identifier, str) else "uuid"


def raw_text_at(payload: Mapping[str, Any], name: str) -> str | None:
    """Return the text in a field as it stands there; None if there is none but white space.

    Args:
        name: a field, or a path to one in objects: ``metadata.text``.
    """
    value: Any = payload.get(name)
    if name not in payload and "." in name:
        value = payload
        for part in name.split("."):
            value = value.get(part) if isinstance(value, Mapping) else None
    return value if isinstance(value, str) and value.strip() else None


def text_at(payload: Mapping[str, Any], name: str) -> str | None:
    """Return the text in a field with single spaces for all white space; None if there is none."""
    text = raw_text_at(payload, name)
    return None if text is None else " ".join(text.split())


def _sorted(counts: Counter[str]) -> dict[str, int]:
    return dict(sorted(counts.items()))
