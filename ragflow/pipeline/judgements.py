"""Questions with judged answers in BEIR's layout: ``queries.jsonl`` and ``qrels.tsv``."""

from __future__ import annotations

import codecs
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import orjson

from ragflow.errors import BadInputError
from ragflow.model.questions import GOLDEN, Question, Target

QUERY_LINE = '{"_id": "q1", "text": "…"}'


@dataclass(frozen=True, slots=True)
class Judged:
    """Questions, and what of the judgements could not be used.

    Attributes:
        unknown_documents: judged documents that the archive does not have; they count as never found.
        unjudged: queries without any right answer; they are left out.
    """

    questions: tuple[Question, ...]
    unknown_documents: tuple[str, ...]
    unjudged: int


def read_queries(path: Path) -> Iterator[tuple[str, str]]:
    """Yield (id, text) of each query.

    Raises:
        BadInputError: the file cannot be read, or a line is no query; says which and why.
    """
    for number, line in enumerate(_lines(path), start=1):
        if not line.strip():
            continue
        try:
            value = orjson.loads(line)
            name, text = str(value["_id"]), str(value["text"])
        except (orjson.JSONDecodeError, KeyError, TypeError) as error:
            raise BadInputError(
                f"{path}, line {number}, is not a query ({error}).", remedy=f"Each line: {QUERY_LINE}"
            ) from error
        if name.split() != [name]:
            raise BadInputError(
                f"{path}, line {number}: the query's _id {name!r} is empty or holds white space.",
                remedy="A run file parts its columns by white space: choose another _id.",
            )
        yield name, text


def read_judged(queries: Path, qrels: Path, keys: Collection[str]) -> Judged:
    """Read queries and judgements.

    A judged document is one of the archive's if it is its key, the name of its file, or that name without its ending.

    Args:
        keys: of the archive's documents.

    Raises:
        BadInputError: a file cannot be read, a line is wrong, or a name stands for several documents.
    """
    grades = _read_qrels(qrels)
    names = _names(keys)
    unknown: set[str] = set()
    questions: list[Question] = []
    unjudged = 0
    for name, text in read_queries(queries):
        if name not in grades:
            unjudged += 1
            continue
        targets = []
        for document, grade in grades[name].items():
            found = [document] if document in keys else names.get(document, [])
            if len(found) > 1:
                raise BadInputError(
                    f"{qrels}: {document!r} stands for several documents: {', '.join(sorted(found)[:3])}.",
                    remedy="Write the documents' keys, as `ragflow search` prints them.",
                )
            if not found:
                unknown.add(document)
            # What the archive does not have can be judged all the same: it is missed by every search.
            targets.append(Target(found[0] if found else document, None, float(grade)))
        questions.append(Question(name, text, tuple(targets), GOLDEN))
    if not questions:
        raise BadInputError(
            f"No query of {queries} is judged in {qrels}.", remedy="See whether the two files belong together."
        )
    return Judged(tuple(questions), tuple(sorted(unknown)), unjudged)


def _names(keys: Collection[str]) -> Mapping[str, list[str]]:
    names: dict[str, list[str]] = {}
    for key in sorted(keys):
        path = PurePosixPath(key)
        for name in {path.name, path.stem}:
            names.setdefault(name, []).append(key)
    return names


def _read_qrels(path: Path) -> dict[str, dict[str, int]]:
    """Read judgements: query, document, grade; or with a second column that says nothing, as TREC has it."""
    grades: dict[str, dict[str, int]] = {}
    for number, line in enumerate(_lines(path), start=1):
        if not line.strip():
            continue
        try:
            parts = line.decode().split()
            query, document, grade = (parts[0], *parts[2:]) if len(parts) == 4 else parts
            value = int(grade)
        except ValueError as error:
            if number == 1:
                continue  # the names of the columns
            raise BadInputError(
                f"{path}, line {number}, is not a judgement ({error}).", remedy="Each line: query, document, grade."
            ) from error
        if value > 0:
            grades.setdefault(query, {})[document] = value
    return grades


def _lines(path: Path) -> list[bytes]:
    try:
        return path.read_bytes().removeprefix(codecs.BOM_UTF8).splitlines()
    except OSError as error:
        raise BadInputError(f"{path} cannot be read: {error.strerror}.", remedy="Check the path.") from error
