"""What can be said of the image and the services without an engine to build and start them."""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped, unused-ignore]

from qa.settings import Settings
from retrieval.minilm import SHIPPED

ROOT = Path(__file__).parents[1]


@pytest.fixture
def dockerfile() -> str:
    return (ROOT / "Dockerfile").read_text("utf-8")


@pytest.fixture
def services() -> dict[str, Any]:
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))
    found: dict[str, Any] = compose["services"]
    return found


def test_the_image_holds_every_package(dockerfile: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    packages = project["tool"]["setuptools"]["packages"]["find"]["include"]
    let_in = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    for name in (package.rstrip("*") for package in packages):
        assert f"COPY {name} {name}\n" in dockerfile
        assert f"!{name}" in let_in
    assert "-c constraints.txt" in dockerfile


def test_the_image_is_for_no_root_and_tells_its_health(dockerfile: str) -> None:
    last = dockerfile.rpartition("\nFROM ")[2]
    assert re.search(r"^USER \d{4,}$", last, re.M)
    assert "HEALTHCHECK" in last
    assert "/health/ready" in last
    assert all(re.search(r":\d[\w.-]+", line) for line in dockerfile.splitlines()
               if line.startswith("FROM "))  # fmt: skip


def test_every_setting_of_image_and_compose_is_one(
    dockerfile: str, services: dict[str, Any]
) -> None:
    named = set(re.findall(r"KBQA_([A-Z_]+)=", dockerfile))
    named |= {name.removeprefix("KBQA_") for name in services["kbqa"]["environment"]}
    assert {name.lower() for name in named} <= set(Settings.model_fields)


def test_the_cache_can_be_written_and_the_model_is_shipped(dockerfile: str) -> None:
    """A base that has been tuned builds its graph there: all else of the container is read-only."""
    (data,) = re.findall(r"^VOLUME (\S+)", dockerfile, re.M)
    (cache,) = re.findall(r"KBQA_CACHE_DIR=(\S+)", dockerfile)
    assert Path(cache).is_relative_to(data)
    assert "python -m venv /opt/kbqa " in dockerfile
    assert str(SHIPPED.relative_to(sys.prefix)) == "cache"
    assert "ensure_graph(Path('/opt/kbqa/cache'))" in dockerfile


def test_kbqa_is_reached_from_this_machine_only(services: dict[str, Any]) -> None:
    kbqa = services["kbqa"]
    assert all(port.startswith("127.0.0.1:") for port in kbqa["ports"])
    assert kbqa["read_only"]
    assert kbqa["cap_drop"] == ["ALL"]
    assert kbqa["depends_on"]["qdrant"]["condition"] == "service_healthy"
    assert all(":ro" in volume for volume in kbqa["volumes"] if "documents" in volume)


def test_models_of_ones_own_are_started_only_when_asked_for(services: dict[str, Any]) -> None:
    assert services["ollama"]["profiles"] == ["ollama"]
    assert not services["ollama"].get("ports")


def test_every_variable_is_explained(services: dict[str, Any]) -> None:
    compose = (ROOT / "docker-compose.yml").read_text("utf-8")
    example = (ROOT / ".env.example").read_text("utf-8")
    for name in set(re.findall(r"\$\{(\w+)", compose)):
        assert re.search(rf"^#?{name}=", example, re.M), name
