"""Qdrant's OpenAPI description, as a judge of requests and answers.

The development corpora hold it; the environment variable RAGFLOW_CORPORA names their folder.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match

from ragflow_tests.vectors.rest_server import Answer, Request

CORPORA = "RAGFLOW_CORPORA"
FILE = "contracts/qdrant/openapi-v1.19.json"


class OpenApi:
    """The description, made strict: what it does not name is not allowed either."""

    def __init__(self, description: dict[str, Any]) -> None:
        self._description = _strict(description)

    def problems(self, request: Request, answer: Answer) -> Iterator[str]:
        """Yield what is wrong with a request, and with its answer if it is one of success."""
        where = f"{request.method} {request.path}"
        operation = self._operation(request)
        if operation is None:
            yield f"{where}: there is no such operation"
            return
        known = {p["name"]: p for p in operation.get("parameters", []) if p["in"] == "query"}
        for name, value in request.query.items():
            if name not in known:
                yield f"{where}: no parameter {name}"
            else:
                yield from self._check(f"{where}?{name}", known[name]["schema"], _typed(value))
        bodies = operation.get("requestBody", {}).get("content", {})
        kind = request.headers.get("content-type", "").partition(";")[0]
        if not request.content:
            if operation.get("requestBody", {}).get("required"):
                yield f"{where}: no body"
        elif kind not in bodies:
            yield f"{where}: a body of the type {kind}"
        elif kind == "application/json":
            yield from self._check(where, bodies[kind]["schema"], request.body())
        if answer.status == 200 and not request.path.endswith(".snapshot"):
            schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
            yield from self._check(f"answer to {where}", schema, json.loads(answer.content))

    def _operation(self, request: Request) -> Any:
        for path, operations in sorted(self._description["paths"].items(), key=lambda item: item[0].count("{")):
            pattern = re.sub(r"\\\{[^}]*\\\}", "[^/]+", re.escape(path))
            if re.fullmatch(pattern, unquote(request.path)) and request.method.lower() in operations:
                return operations[request.method.lower()]
        return None

    def _check(self, where: str, schema: Any, value: Any) -> Iterator[str]:
        validator = Draft202012Validator({**schema, "components": self._description["components"]})
        error = best_match(validator.iter_errors(value))
        if error is not None:
            yield f"{where}: {error.json_path}: {error.message[:300]}"


@lru_cache(maxsize=1)
def find_openapi() -> OpenApi | None:
    """Return the description; None where it is not at hand."""
    path = Path(os.environ.get(CORPORA, "")) / FILE
    return OpenApi(json.loads(path.read_bytes())) if CORPORA in os.environ and path.is_file() else None


def needed_openapi() -> OpenApi:
    """Return the description; skip the test where it is not at hand."""
    described = find_openapi()
    if described is None:
        pytest.skip(f"there is no {FILE}: {CORPORA} names no folder that has it")
    return described


def _strict(schema: Any) -> Any:
    """Translate OpenAPI 3.0 to JSON Schema: ``nullable`` becomes a type, and objects are closed."""
    if isinstance(schema, list):
        return [_strict(entry) for entry in schema]
    if not isinstance(schema, dict):
        return schema
    translated = {key: _strict(value) for key, value in schema.items() if key not in {"nullable", "example"}}
    if schema == {"nullable": True}:
        return {"type": "null"}
    if schema.get("nullable") is True and isinstance(schema.get("type"), str):
        translated["type"] = [schema["type"], "null"]
    if schema.get("type") == "object" and isinstance(schema.get("properties"), dict):
        translated.setdefault("additionalProperties", False)
    return translated


def _typed(value: str) -> Any:
    try:
        return json.loads(value)
    except ValueError:
        return value
