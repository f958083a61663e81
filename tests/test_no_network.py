"""The whole way without a socket: none is opened, let alone connected."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.sample_base import Outcome, environment_of, ingest_without_network

pytestmark = pytest.mark.integration


@pytest.mark.end_to_end
def test_ingest_and_ask_open_no_connection(made_sample_base: tuple[Path, Outcome]) -> None:
    _, outcome = made_sample_base
    assert (outcome.code, outcome.err) == (0, "")
    report, english, chinese = outcome.lines
    assert report["added"] > 20
    assert report["failures"] == []
    assert english["verified"]
    assert "30 September 2026" in english["text"]
    assert chinese["verified"]
    assert "36" in chinese["text"]


@pytest.mark.end_to_end
def test_a_first_run_without_a_cache_opens_no_connection(tmp_path: Path) -> None:
    document = tmp_path / "docs"
    document.mkdir()
    (document / "a.txt").write_text("The canteen opens at 11:30.", "utf-8")
    env = environment_of(tmp_path, tmp_path / "cache")
    outcome = ingest_without_network(tmp_path / "kb", document, env=env)
    assert (outcome.code, outcome.err) == (0, "")
    assert [line["added"] for line in outcome.lines] == [1]
    assert list((tmp_path / "cache").glob("kbqa/minilm-*/model.xml"))
