"""The OpenAPI document: every operation says what it does, shows it, and names its errors.

Whether replies are as it says is for tests/end_to_end/test_openapi.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from qa.server.app import create_app
from qa.server.problems import MEDIA_TYPE
from tests.qa.server.serving import settings_for

Described = Mapping[str, Any]
OPEN = ("/health/live", "/health/ready")  # without a key: 401 cannot be


@pytest.fixture(scope="module")
def described(tmp_path_factory: pytest.TempPathFactory, cache_dir: Path) -> Described:
    return create_app(settings_for(tmp_path_factory.mktemp("data"), cache_dir)).openapi()


def operations(described: Described) -> Iterator[tuple[str, Described]]:
    """Each as (method and path, description)."""
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            yield f"{method} {path}", operation


def test_every_operation_says_what_it_does(described: Described) -> None:
    names = [operation["operationId"] for _, operation in operations(described)]
    assert len(set(names)) == len(names)
    for name, operation in operations(described):
        assert operation["summary"], name
        assert operation["description"], name
        assert operation["tags"], name


def test_every_error_is_a_problem_with_an_example(described: Described) -> None:
    for name, operation in operations(described):
        errors = {code: reply for code, reply in operation["responses"].items() if code >= "4"}
        if name.partition(" ")[2] not in OPEN:
            assert errors.keys() >= {"400", "401", "403", "429", "500"}, name
        for code, reply in errors.items():
            assert list(reply["content"]) == [MEDIA_TYPE], f"{name} {code}"
            example = reply["content"][MEDIA_TYPE]["example"]
            assert example["status"] == int(code), name
            assert reply["description"] == example["title"], name


def test_all_that_must_be_given_is_shown_by_an_example(described: Described) -> None:
    for name, operation in operations(described):
        for given in operation.get("parameters", ()):
            if given["required"]:
                assert "examples" in given["schema"] or "examples" in given, f"{name} {given}"
        for content in operation.get("requestBody", {}).get("content", {}).values():
            schema = resolved(described, content["schema"])
            for field in schema.get("required", ()):
                shown = resolved(described, schema["properties"][field])
                assert shown_by_example(described, shown), f"{name} {field}"


def shown_by_example(described: Described, schema: Described) -> bool:
    """Whether it has an example, or the form that its items have shows all that it must have."""
    if "examples" in schema:
        return True
    items = resolved(described, schema.get("items", {}))
    return any("examples" in value for value in items.get("properties", {}).values())


def resolved(described: Described, schema: Described) -> Described:
    """The schema that a reference names, or itself."""
    reference = schema.get("$ref")
    if reference is None:
        return schema
    found: Described = described["components"]["schemas"][reference.rpartition("/")[2]]
    return found
