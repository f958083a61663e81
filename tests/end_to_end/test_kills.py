"""Killed at random moments, a base ends as one that never was: see `bench.kills`."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.kills import run

pytestmark = pytest.mark.end_to_end


@pytest.mark.end_to_end
def test_kills_lose_double_and_leave_nothing(tmp_path: Path) -> None:
    row = run(tmp_path, kills=2, seed=1)
    assert (row["lost, doubled or stale"], row["which"]) == (0, "")
    assert row["left over after the end"] == 0
    assert row["documents"] > 10
