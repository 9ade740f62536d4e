"""Whether collections go together, which of their vectors are adopted, and what a person should know of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from ragflow.errors import BadInputError, UsageError
from ragflow.pipeline.adopting_decisions import other_model
from ragflow.pipeline.adopting_inventory import TEXT_FIELDS
from ragflow.pipeline.adopting_rows import Outcomes, Rows
from ragflow.vectors.foreign import COSINE, Layout

APART = "Adopt them apart, or give --re-embed to make new vectors from their texts with the archive's model."
SAME_ORDER = frozenset({"Dot", "Euclid"})
"""Distances that put vectors of unit length in the same order as the cosine does."""


class Choice(Protocol):
    """The options that are asked here; see :class:`ragflow.pipeline.adopting.AdoptOptions`."""

    @property
    def vector(self) -> str | None: ...
    @property
    def sparse(self) -> str | None: ...
    @property
    def text_field(self) -> str | None: ...
    @property
    def re_embed(self) -> bool: ...
    @property
    def as_cosine(self) -> bool: ...


def choose(origin: str, layout: Layout, options: Choice) -> tuple[str | None, str | None]:
    """Return the names of the dense and the sparse vector to adopt.

    Raises:
        UsageError: the one that was asked for is not there, or there are several and none was asked for.
    """
    names = sorted(layout.dense)
    vector: str | None = names[0] if len(names) == 1 else None
    if options.vector is not None:
        if options.vector not in layout.dense:
            raise UsageError(
                f"{origin} has no dense vector {options.vector!r}.", remedy=f"It has: {_list(names) or 'none'}."
            )
        vector = options.vector
    elif len(names) > 1 and not options.re_embed:
        raise UsageError(
            f"{origin} has several dense vectors: {_list(names)}.", remedy="Choose one with --vector; all are kept."
        )
    sparse: str | None = layout.sparse[0] if len(layout.sparse) == 1 else None
    if options.sparse is not None:
        if options.sparse not in layout.sparse:
            raise UsageError(
                f"{origin} has no sparse vector {options.sparse!r}.",
                remedy=f"It has: {_list(layout.sparse) or 'none'}.",
            )
        sparse = options.sparse
    return vector, sparse


def check_collections(
    origins: Sequence[str], layouts: Sequence[Layout], vectors: Sequence[str | None], options: Choice
) -> None:
    """Check that collections can be merged into one, before any is read.

    Raises:
        UsageError: one was named twice.
        BadInputError: one has no vectors, or two are of different dimension or distance.
    """
    for place, origin in enumerate(origins):
        if origin in origins[:place]:
            raise UsageError(f"{origin} was named twice.", remedy="Name every collection once.")
    if options.re_embed:
        return
    first: tuple[str, int, str] | None = None
    for origin, layout, vector in zip(origins, layouts, vectors, strict=True):
        if vector is None:
            raise BadInputError(
                f"{origin} has no dense vectors.", remedy="Give --re-embed to make them from the texts."
            )
        dense = layout.dense[vector]
        here = (origin, dense.dimension, dense.distance or COSINE)
        first = first or here
        if here[1] != first[1]:
            raise BadInputError(
                f"{first[0]} has vectors of {first[1]} numbers, and {origin} of {here[1]}: they cannot be merged.",
                remedy=APART,
            )
        if here[2] != first[2] and not options.as_cosine:
            raise BadInputError(
                f"{first[0]} compares vectors by {first[2]}, and {origin} by {here[2]}: they cannot be merged.",
                remedy=f"{APART} If cosine is right for both, give --as-cosine.",
            )


def check_read(rows: Rows, options: Choice) -> None:
    """Check what could not be known before the points were read.

    Raises:
        UsageError: no point has a text in the field that was named.
        BadInputError: comparing by cosine would put hits into another order than the collection's own distance does,
            there are no points, or none has a vector.
    """
    if not len(rows):
        raise BadInputError("There are no points to adopt.", remedy="Name a collection that has some.")
    if options.text_field and not any(spool.inventory.text_field for spool in rows.spools):
        fields = sorted({name for spool in rows.spools for name in spool.inventory.fields})
        raise UsageError(
            f"No point has a text in {options.text_field!r}.", remedy=f"There are the fields {_list(fields[:20])}."
        )
    if options.re_embed:
        if not any(spool.inventory.text_field for spool in rows.spools):
            raise BadInputError(
                "No point has a text to embed.",
                remedy=f"Name the field with --text-field; looked at were {', '.join(TEXT_FIELDS)}.",
            )
        return
    for spool in rows.spools:
        distance = spool.layout.dense[spool.vector].distance or COSINE if spool.vector is not None else COSINE
        same = distance == COSINE or (distance in SAME_ORDER and not spool.inventory.not_unit)
        if not same and not options.as_cosine:
            raise BadInputError(
                f"{spool.origin} compares vectors by {distance}, and {spool.inventory.not_unit} of "
                f"{len(spool)} are not of unit length: by cosine, hits would come in another order.",
                remedy="Give --as-cosine if that is right, or --re-embed to make new vectors from the texts.",
            )
    if not rows.searchable.any():
        raise BadInputError(
            "No point has a vector that can be searched.", remedy="Give --re-embed to make them from the texts."
        )


def warnings_of(rows: Rows, outcomes: Outcomes, options: Choice) -> list[str]:
    """Return what a person should know, one sentence each."""
    warnings = []
    for spool in rows.spools:
        if len(spool.layout.sparse) > 1 and spool.sparse_name is None and not options.re_embed:
            warnings.append(
                f"{spool.origin} has several sparse vectors ({_list(spool.layout.sparse)}): none was chosen, so none "
                "is searched; all are kept."
            )
        if spool.ignored:
            warnings.append(f"{spool.origin} has fields beside the payload that were not read: {_list(spool.ignored)}.")
    lost = int((outcomes.written & ~rows.searchable).sum())
    if lost:
        warnings.append(f"{lost} points have no usable vector: they are kept in the files, and no search finds them.")
    apart = other_model(rows, outcomes)
    if apart is not None:
        warnings.append(
            f"{apart[0]} texts stand in two collections with vectors that are not alike (median cosine "
            f"{apart[1]:.2f}): different models seem to have made them. {APART}"
        )
    return warnings


def _list(names: Sequence[str] | dict[str, int]) -> str:
    return ", ".join(name or "(unnamed)" for name in names)
