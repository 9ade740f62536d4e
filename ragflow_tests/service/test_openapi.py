"""The description of the API: complete, with examples, and true: random requests find no answer outside of it."""

from __future__ import annotations

from typing import Any

import httpx
import jsonschema
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from ragflow_tests.pipeline.archive import sha_of
from ragflow_tests.service.homes import REPORT, Service

EXAMPLES = 15
PROBLEM = "application/problem+json"


@pytest.fixture(scope="module")
def described(client: httpx.Client) -> dict[str, Any]:
    found: dict[str, Any] = client.get("/openapi.json").json()
    return found


def operations(described: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (path, method, operation)
        for path, methods in described["paths"].items()
        for method, operation in methods.items()
    ]


def test_every_operation_is_described_with_examples(described: dict[str, Any]) -> None:
    found = operations(described)
    assert len(found) >= 12
    names = [operation["operationId"] for _, _, operation in found]
    assert len(set(names)) == len(names)
    for path, method, operation in found:
        told = f"{method} {path}"
        assert operation.get("description"), told
        for parameter in operation.get("parameters", ()):
            if parameter["required"]:
                assert parameter["schema"].get("examples") or parameter.get("example"), (told, parameter["name"])
        answer = operation["responses"]["200"]["content"]
        assert "application/json" not in answer or "example" in answer["application/json"], told
        problems = {status: entry["content"] for status, entry in operation["responses"].items() if status >= "4"}
        for status, content in problems.items():
            assert PROBLEM in content, (told, status)
            assert content[PROBLEM]["examples"], (told, status)
        if path.startswith("/api/"):
            assert {"401", "403", "422", "429", "503", "504"} <= set(problems), told


def test_examples_are_what_the_description_says(described: dict[str, Any]) -> None:
    checked = 0
    for path, _, operation in operations(described):
        for status, entry in operation["responses"].items():
            for media_type, content in entry.get("content", {}).items():
                given_examples = [content["example"]] if "example" in content else []
                given_examples += [example["value"] for example in content.get("examples", {}).values()]
                for example in given_examples:
                    schema = {**content.get("schema", {}), "components": described["components"]}
                    jsonschema.validate(example, schema, cls=jsonschema.Draft202012Validator)
                    assert media_type != PROBLEM or status == str(example["status"]), path
                    checked += 1
    assert checked > 50


CHECKS = [
    schemathesis.checks.not_a_server_error,
    response_schema_conformance,
    status_code_conformance,
    content_type_conformance,
]


def exercised(operation: Any, service: Service, mode: GenerationMode) -> set[int]:
    """Ask an operation with random values that fit its description, or do not; return the statuses of the answers.

    Every other request names a document that is there, where the operation is about one.
    """
    sha256 = sha_of(service.workspace, REPORT)
    statuses: list[int] = []

    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        deadline=None,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def ask(case: schemathesis.Case) -> None:
        if len(statuses) % 2:
            for name, value in (("sha256", sha256), ("page_id", f"{sha256}-{1 + len(statuses) % 4}")):
                if name in case.path_parameters:
                    case.path_parameters[name] = value
        answer = case.call(base_url=service.address)
        case.validate_response(answer, checks=CHECKS)
        statuses.append(answer.status_code)

    ask()
    return set(statuses)


def test_random_requests_find_no_answer_outside_of_the_description(described: dict[str, Any], service: Service) -> None:
    schema = schemathesis.openapi.from_dict(described)
    seen = {}
    for result in schema.get_all_operations():
        operation = result.ok()
        seen[operation.label] = exercised(operation, service, GenerationMode.POSITIVE)
    assert len(seen) >= 12
    unanswered = [label for label, statuses in seen.items() if 200 not in statuses]
    assert set(unanswered) <= {
        "GET /api/v1/documents",
        "GET /api/v1/trace/{point_id}",
        "GET /api/v1/proofs/{proof_id}",
    }, "no random key, point or proof is there; all else has been answered"


def test_random_requests_that_are_wrong_are_answered_with_described_problems(
    described: dict[str, Any], service: Service
) -> None:
    refused = 0
    for result in schemathesis.openapi.from_dict(described).get_all_operations():
        operation = result.ok()
        if list(operation.iter_parameters()) or operation.body:
            statuses = exercised(operation, service, GenerationMode.NEGATIVE)
            refused += 422 in statuses
    assert refused >= 8
