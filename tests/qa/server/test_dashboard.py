"""The dashboard asks for what the server tells, all of it, and for nothing else."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from ingest.sync import SyncReport
from qa.server.metrics import Metrics
from qa.turn import Answer
from tests.qa.server.serving import Served

pytestmark = pytest.mark.integration

FILE = Path(__file__).parents[3] / "deploy" / "grafana" / "kbqa.json"


@pytest.fixture(scope="module")
def dashboard() -> dict[str, Any]:
    read: dict[str, Any] = json.loads(FILE.read_text("utf-8"))
    return read


@pytest.fixture(scope="module")
def told() -> dict[str, set[str]]:
    """Every series of a server on which all has happened once, with its labels."""
    metrics = Metrics()
    metrics.request("GET", "/", 200, 0.1)
    usage = {"prompt_tokens": 1, "completion_tokens": 1}
    metrics.answer(Answer("", (), (), False, "m", usage, {"total": 0.1}, 0.1))
    metrics.ingest("library", SyncReport())
    text = metrics.text({"library": (1, 2)}, {"done": 1}).decode()
    samples = [sample for family in text_string_to_metric_families(text)
               for sample in family.samples]  # fmt: skip
    return {sample.name: set(sample.labels) for sample in samples}


def queries(dashboard: dict[str, Any]) -> list[str]:
    return [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]


def test_every_query_is_of_what_is_told(
    dashboard: dict[str, Any], told: dict[str, set[str]]
) -> None:
    for query in queries(dashboard):
        for name, chosen in re.findall(r"(kbqa_\w+)(?:\{(.*?)\})?", query):
            assert name in told, query
            by = re.search(r"by \((.*?)\)", query)
            labels = re.findall(r"(\w+)=", chosen) + (by[1].split(", ") if by else [])
            assert set(labels) <= {*told[name], "instance"}, query  # which Prometheus adds


def test_all_that_is_told_is_shown(dashboard: dict[str, Any], told: dict[str, set[str]]) -> None:
    families = {re.sub(r"_(created|bucket|count|sum|total)$", "", name) for name in told}
    shown = " ".join(queries(dashboard))
    assert [family for family in families if family not in shown] == []


def test_panels_lie_beside_each_other(dashboard: dict[str, Any]) -> None:
    places = [panel["gridPos"] for panel in dashboard["panels"]]
    cells = [(x, y) for place in places for x in range(place["x"], place["x"] + place["w"])
             for y in range(place["y"], place["y"] + place["h"])]  # fmt: skip
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(places)


def test_a_server_tells_its_jobs_and_forgets_a_base_that_is_gone(served: Served) -> None:
    served.http.post("/v1/knowledge-bases", json={"name": "passing"})
    text = served.http.get("/metrics").text
    assert 'kbqa_documents{kb="passing"} 0.0' in text
    assert 'kbqa_ingest_jobs{state="failed"} 0.0' in text
    served.http.delete("/v1/knowledge-bases/passing")
    assert "passing" not in served.http.get("/metrics").text
