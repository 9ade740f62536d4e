"""``ragflow adopt``: take over collections that other tools filled."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from ragflow.cli.console import emit, progress
from ragflow.settings import load_settings

API_KEY = "QDRANT_API_KEY"
"""The variable that holds the key of a Qdrant server."""


def adopt(
    collections: Annotated[
        list[str],
        typer.Argument(
            help="http(s)://HOST:6333/COLLECTION, qdrant-local:/PATH#COLLECTION, the folder of a Qdrant Edge shard, or"
            " an export (.parquet, .jsonl, .jsonl.gz, .jsonl.zst). Of duplicates, the first named keeps its own.",
        ),
    ],
    name: Annotated[str, typer.Option(help="Of the adopted collection; none: taken from the first one.")] = "",
    text_field: Annotated[
        str | None, typer.Option(help="Payload field with the text, or a path: metadata.text. None: found out.")
    ] = None,
    vector: Annotated[str | None, typer.Option(help="Dense vector to adopt, where there are several.")] = None,
    sparse: Annotated[str | None, typer.Option(help="Sparse vector to adopt, where there are several.")] = None,
    drop_near: Annotated[
        bool, typer.Option("--drop-near", help="Keep one of points with the same text, and of near duplicates.")
    ] = False,
    re_embed: Annotated[
        bool, typer.Option("--re-embed", help="Make new vectors from the texts, with the archive's model.")
    ] = False,
    as_cosine: Annotated[
        bool, typer.Option("--as-cosine", help="Compare by cosine, whatever the distance was.")
    ] = False,
    exact_limit: Annotated[
        int, typer.Option(min=0, help="Up to so many points every pair is compared; beyond, an index finds pairs.")
    ] = 100_000,
    replace: Annotated[
        bool, typer.Option("--replace", help="Take the place of an adoption of other collections.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and write nothing.")] = False,
) -> None:
    """Take over collections that other tools filled: count, find duplicates, merge into one. Never goes live.

    The key of a Qdrant server comes from QDRANT_API_KEY. Disk: about twice what the collections take, half of it only
    for the time being; memory: below 1 KiB per point.
    """
    from ragflow.pipeline.adopting import AdoptOptions
    from ragflow.pipeline.adopting import adopt as take_over
    from ragflow.pipeline.duplicates import NearOptions

    options = AdoptOptions(
        name=name,
        text_field=text_field,
        vector=vector,
        sparse=sparse,
        drop_near=drop_near,
        re_embed=re_embed,
        as_cosine=as_cosine,
        replace=replace,
        dry_run=dry_run,
        near=NearOptions(exact_limit=exact_limit),
    )
    with progress():
        report = take_over(load_settings().workspace(), collections, options, api_key=os.environ.get(API_KEY) or None)
    emit(report.to_dict(), report.to_text())
