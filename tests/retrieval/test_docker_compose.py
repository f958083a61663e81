from __future__ import annotations

import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped, unused-ignore]

from tests.scripted_server import Behaviour, ScriptedServer, hang, status, text

ROOT = Path(__file__).parents[2]


@pytest.fixture
def qdrant() -> dict[str, Any]:
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))
    service: dict[str, Any] = compose["services"]["qdrant"]
    return service


def test_the_image_is_pinned_to_the_clients_release(qdrant: dict[str, Any]) -> None:
    image, _, tag = qdrant["image"].partition(":v")
    assert image == "qdrant/qdrant"
    assert tag.split(".")[:2] == version("qdrant-client").split(".")[:2]


def test_it_is_closed_to_others(qdrant: dict[str, Any]) -> None:
    assert qdrant["ports"] == ["127.0.0.1:6333:6333", "127.0.0.1:6334:6334"]
    environment = qdrant["environment"]
    assert environment["QDRANT__SERVICE__API_KEY"].startswith("${KBQA_QDRANT_API_KEY:?")
    assert environment["QDRANT__TELEMETRY_DISABLED"] == "true"
    assert qdrant["read_only"]


def test_what_it_writes_lies_in_the_volume(qdrant: dict[str, Any]) -> None:
    assert qdrant["volumes"] == ["qdrant_storage:/qdrant/storage"]
    environment = qdrant["environment"]
    for name in ("QDRANT__STORAGE__SNAPSHOTS_PATH", "QDRANT_INIT_FILE_PATH"):
        assert environment[name].startswith("/qdrant/storage/")


def test_every_variable_is_explained(qdrant: dict[str, Any]) -> None:
    example = (ROOT / ".env.example").read_text("utf-8")
    assert "\nKBQA_QDRANT_API_KEY=\n" in example  # empty: compose refuses to start
    assert "\n#KBQA_QDRANT_MEMORY=" in example


@pytest.mark.parametrize(
    ("behaviour", "healthy"),
    [
        (text("all shards are ready", media_type="text/plain"), True),
        (status(503), False),
        (hang, False),
    ],
)
def test_the_health_check(qdrant: dict[str, Any], behaviour: Behaviour, healthy: bool) -> None:
    kind, *command = qdrant["healthcheck"]["test"]
    assert kind == "CMD"
    with ScriptedServer(then=behaviour) as server:
        port = server.base_url.split(":")[2].split("/")[0]
        # as compose hands it to bash, at the port of the test, and not waiting as long
        script = command[-1].replace("$$", "$").replace("6333", port).replace("-t 3", "-t 0.3")
        process = subprocess.run([*command[:-1], script], check=False, capture_output=True)
    assert (process.returncode == 0) is healthy
    assert [request.path for request in server.requests] == ["/readyz"]


def test_the_health_check_of_a_server_that_is_down(qdrant: dict[str, Any]) -> None:
    with ScriptedServer() as server:
        port = server.base_url.split(":")[2].split("/")[0]
    *command, script = qdrant["healthcheck"]["test"][1:]
    script = script.replace("$$", "$").replace("6333", port)
    assert subprocess.run([*command, script], check=False, capture_output=True).returncode != 0
